"""Entry points for `torch.hub.load("owner/repository", name)`: see `dlip/hub/hubconf.py`.

torch.hub puts this folder at the head of Python's search path, so that dlip is imported from
the clone, whether it is installed or not.
"""

from dlip.hub.hubconf import (
    colorizer,
    dependencies,
    digit_cnn,
    digit_ssd,
    edges2clothes,
    efficientnet_lite0,
    fast_style,
    gap_cnn,
    patch_gan,
    unet,
)

__all__ = [
    "colorizer",
    "dependencies",
    "digit_cnn",
    "digit_ssd",
    "edges2clothes",
    "efficientnet_lite0",
    "fast_style",
    "gap_cnn",
    "patch_gan",
    "unet",
]
