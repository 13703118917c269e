"""Entry points for `torch.hub.load("owner/repository", name)`: see `dlip/hub/hubconf.py`.

torch.hub puts this folder at the head of Python's search path, so that dlip is imported from
the clone, whether it is installed or not.
"""

from dlip.hub.hubconf import (
    dependencies,
    digit_cnn,
    efficientnet_lite0,
    gap_cnn,
    unet,
)

__all__ = ["dependencies", "digit_cnn", "efficientnet_lite0", "gap_cnn", "unet"]
