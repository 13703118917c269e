"""The book's own networks, one a file, each short enough to be read in one go.

=====================  =========================================================
`DigitCNN`             two convolutions and two linear layers, for digits and clothes
`GapCNN`               only convolutions, then global average pooling and one linear layer
`UNet`                 an image in, an image of the same size out
`EfficientNetLite0`    sorts photographs into the 1,000 classes of ImageNet
=====================  =========================================================

All start with random weights. `dlip.zoo.pretrained` returns EfficientNet-Lite0 with the
weights it learnt from 1.3 million photographs.
"""

from dlip.models.digit_cnn import DigitCNN
from dlip.models.efficientnet_lite import EfficientNetLite0
from dlip.models.gap_cnn import GapCNN
from dlip.models.unet import UNet

__all__ = ["DigitCNN", "EfficientNetLite0", "GapCNN", "UNet"]
