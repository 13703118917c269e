"""Entry points for `torch.hub.load("owner/repository", name)`: see `dlip/hub/hubconf.py`.

torch.hub puts this folder at the head of Python's search path, so that dlip is imported from
the clone, whether it is installed or not.
"""

from dlip.hub.hubconf import *  # noqa: F403
from dlip.hub.hubconf import __all__ as __all__
