"""U-Net: from an image to an image of the same size."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlip._check import describe, integer

__all__ = ["UNet"]


class UNet(nn.Module):
    """Turn images into images of the same size: segmentation, denoising, colouring.

    The way down halves the size `depth` times and doubles the channels each time, so that a
    value comes to depend on a large part of the image. The way up brings the size back. What
    the way down saw at each size is handed over to the way up (the *skips*), because halving
    has lost where exactly things are.

    =============  =======================  ===================  ================
    width 16       way down                 skip                 way up
    =============  =======================  ===================  ================
    H × W          `down.0`: 16 channels    ———————————————▶     `up.0`: 16
    H/2 × W/2      `down.1`: 32 channels    ———————————————▶     `up.1`: 32
    H/4 × W/4      `down.2`: 64 channels    ———————————————▶     `up.2`: 64
    H/8 × W/8      `bottom`: 128 channels
    =============  =======================  ===================  ================

    Each of these is twice a 3×3 convolution, batch normalisation and ReLU. Halving is max
    pooling, doubling is a transposed convolution of 2×2, and a last 1×1 convolution makes
    the output's channels. Unlike the original, convolutions are padded and normalised.

    An image whose sides are not divisible by 2 ** depth is extended to the right and
    downwards by repeating its last column and row, and the output is cropped to the image's
    size.

    Parameters
    ----------
    channels_in, channels_out
        Channels of the input and of the output, at least 1.
    width
        Channels at full size, at least 1.
    depth
        How often the size is halved, at least 1.
    skips
        False: nothing is handed over, which leaves an encoder and a decoder.

    Raises
    ------
    TypeError, ValueError
        If one of the numbers is no integer from 1 on, or `skips` is neither True nor False.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical
    image segmentation", MICCAI 2015.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.UNet(3, 1).eval()
    >>> model(dlip.data.sample_image("cat")[None]).shape
    torch.Size([1, 1, 300, 451])
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        width: int = 16,
        depth: int = 3,
        skips: bool = True,
    ) -> None:
        """Make the layers, with PyTorch's random weights."""
        super().__init__()
        integer(channels_in, "channels_in", least=1)
        integer(channels_out, "channels_out", least=1)
        integer(width, "width", least=1)
        integer(depth, "depth", least=1)
        if not isinstance(skips, bool):
            raise TypeError(f"expected skips to be True or False, got {describe(skips)}")
        self.depth = depth
        self.skips = skips
        channels = [width * 2**level for level in range(depth + 1)]  # 16, 32, 64, 128
        self.down = nn.ModuleList()
        self.enlarge = nn.ModuleList()
        self.up = nn.ModuleList()
        before = channels_in
        for level in range(depth):
            here, below = channels[level], channels[level + 1]
            self.down.append(_block(before, here))
            self.enlarge.append(nn.ConvTranspose2d(below, here, kernel_size=2, stride=2))
            self.up.append(_block(2 * here if skips else here, here))
            before = here
        self.halve = nn.MaxPool2d(2)
        self.bottom = _block(before, channels[depth])
        self.output = nn.Conv2d(width, channels_out, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return images without a final activation: (N, in, H, W) → (N, out, H, W)."""
        height, width = images.shape[-2:]
        multiple = 2**self.depth
        missing = (0, -width % multiple, 0, -height % multiple)  # left, right, top, bottom
        x = F.pad(images, missing, mode="replicate")
        seen = []
        for block in self.down:
            x = block(x)
            seen.append(x)
            x = self.halve(x)
        x = self.bottom(x)
        for level in reversed(range(self.depth)):
            x = self.enlarge[level](x)
            if self.skips:
                x = torch.cat([seen[level], x], dim=1)
            x = self.up[level](x)
        result: Tensor = self.output(x)
        return result[..., :height, :width]


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return two convolutions, each with batch normalisation and ReLU."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            norm1=nn.BatchNorm2d(channels_out),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(channels_out),
            relu2=nn.ReLU(),
        )
    )
