"""The book's own networks, one a file, each short enough to be read in one go.

=====================  =========================================================
`DigitCNN`             two convolutions and two linear layers, for digits and clothes
`GapCNN`               only convolutions, then global average pooling and one linear layer
`UNet`                 an image in, an image of the same size out
`DigitSSD`             finds digits of several sizes in a picture
`PatchGAN`             tells real pictures from painted ones, patch by patch
`FastStyle`            paints a picture in the style of another, in one pass
`EfficientNetLite0`    sorts photographs into the 1,000 classes of ImageNet
=====================  =========================================================

All start with random weights. `dlip.zoo.pretrained` returns EfficientNet-Lite0 with the
weights it learnt from 1.3 million photographs, and by the names of `dlip.checkpoint` some of
the others with weights that this project's recipes made.
"""

from dlip.models.digit_cnn import DigitCNN
from dlip.models.efficientnet_lite import EfficientNetLite0
from dlip.models.fast_style import CoMatch, FastStyle
from dlip.models.gap_cnn import GapCNN
from dlip.models.patch_gan import PatchGAN
from dlip.models.ssd import DigitSSD
from dlip.models.unet import UNet

__all__ = [
    "CoMatch",
    "DigitCNN",
    "DigitSSD",
    "EfficientNetLite0",
    "FastStyle",
    "GapCNN",
    "PatchGAN",
    "UNet",
]
