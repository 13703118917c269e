"""FastStyle: one feed-forward network for several styles, steered by a Gram matrix."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlip._check import describe, integer

__all__ = ["CoMatch", "FastStyle"]


class CoMatch(nn.Module):
    """Give features the statistics of a style: multiply them by a style's Gram matrix.

    At every place the C features x become (W G)ᵀ x, where G is the Gram matrix of the style
    picture's features and W is learnt. If W G is the unit matrix, nothing changes.

    Parameters
    ----------
    channels
        C, at least 1.

    Raises
    ------
    TypeError, ValueError
        If `channels` is no integer from 1 on.

    References
    ----------
    H. Zhang and K. Dana, "Multi-style generative network for real-time transfer", ECCV
    workshops 2018, arXiv:1703.06953, equation 5.

    Examples
    --------
    >>> import torch
    >>> from dlip.models.fast_style import CoMatch
    >>> layer = CoMatch(8)
    >>> layer(torch.rand(2, 8, 5, 7), torch.rand(1, 8, 8)).shape
    torch.Size([2, 8, 5, 7])
    """

    def __init__(self, channels: int) -> None:
        """Start with W as a multiple of the unit matrix."""
        super().__init__()
        integer(channels, "channels", least=1)
        self.weight = nn.Parameter(torch.eye(channels) / channels**0.5)

    def forward(self, x: Tensor, gram: Tensor) -> Tensor:
        """Features (N, C, H, W) and Gram matrices (N or 1, C, C) → (N, C, H, W)."""
        channels = len(self.weight)
        if gram.ndim != 3 or gram.shape[1:] != (channels, channels):
            raise ValueError(
                f"expected Gram matrices of shape (N, {channels}, {channels}), "
                f"got {tuple(gram.shape)}"
            )
        if len(gram) not in (1, len(x)):
            raise ValueError(f"expected 1 or {len(x)} Gram matrices, got {len(gram)}")
        mixing = (self.weight @ gram).transpose(1, 2)
        return (mixing @ x.flatten(2)).reshape(x.shape)


class FastStyle(nn.Module):
    """Paint a picture in the style of another, in one pass.

    The same encoder reads both pictures. Of the style picture only the Gram matrix of the
    last feature maps is kept. The feature maps of the content picture lose their own means
    and deviations by instance normalisation. The last ones are multiplied by the Gram
    matrix, and the decoder makes a picture of the result. As in a U-Net, it also gets what
    the encoder has seen at full and at half size.

    ===========  ===================================================  ================
    part         what it is                                           output for H × W
    ===========  ===================================================  ================
    `encoder.0`  convolution 5×5                                      16 × H × W
    `encoder.1`  convolution 3×3, stride 2                            32 × H/2 × W/2
    `encoder.2`  convolution 3×3, stride 2                            48 × H/4 × W/4
    `match`      `CoMatch`                                            48 × H/4 × W/4
    `blocks`     residual blocks, each two convolutions 3×3           48 × H/4 × W/4
    `decoder.0`  enlarge, append `encoder.1`, convolution 3×3         32 × H/2 × W/2
    `decoder.1`  enlarge, append `encoder.0`, convolution 3×3         16 × H × W
    `output`     convolution 5×5 and sigmoid                          3 × H × W
    ===========  ===================================================  ================

    All convolutions pad by reflection. A picture whose sides are not divisible by 4 is
    extended by repeating its last column and row, and the output is cropped.

    Parameters
    ----------
    width
        Channels at full size, at least 1; twice and three times as many further in.
    blocks
        Number of residual blocks, at least 0.

    Raises
    ------
    TypeError, ValueError
        If one of the numbers is no integer in its range.

    References
    ----------
    H. Zhang and K. Dana, "Multi-style generative network for real-time transfer", ECCV
    workshops 2018, arXiv:1703.06953. J. Johnson, A. Alahi and L. Fei-Fei, "Perceptual losses
    for real-time style transfer and super-resolution", ECCV 2016.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.FastStyle().eval()
    >>> cat, brick = dlip.data.sample_image("cat"), dlip.data.sample_image("brick", size=128)
    >>> model(cat[None], brick[None]).shape
    torch.Size([1, 3, 300, 451])
    """

    def __init__(self, width: int = 16, blocks: int = 3) -> None:
        """Make the layers, with PyTorch's random weights."""
        super().__init__()
        integer(width, "width", least=1)
        integer(blocks, "blocks", least=0)
        a, b, c = width, 2 * width, 3 * width
        self.encoder = nn.ModuleList(
            [_conv(3, a, 5), _conv(a, b, 3, stride=2), _conv(b, c, 3, stride=2)]
        )
        self.match = CoMatch(c)
        self.blocks = nn.Sequential(*(Residual(c) for _ in range(blocks)))
        self.decoder = nn.ModuleList([_conv(c + b, b, 3), _conv(b + a, a, 3)])
        self.output = _conv(a, 3, 5)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps at full, half and quarter size, before any ReLU."""
        found = []
        x = 2 * images - 1
        for layer in self.encoder:
            x = layer(x)
            found.append(x)
            x = x.relu()
        return found

    def statistics(self, style: Tensor) -> Tensor:
        """Return what is kept of style pictures: (N, 3, H, W) → Gram matrices (N, C, C).

        They are scaled so that the mean of their diagonal is 1.
        """
        maps = self.encode(_whole(style, "style pictures"))[-1].flatten(2)
        table = maps @ maps.transpose(1, 2)
        scale = table.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None].clamp(min=1e-6)
        statistics: Tensor = table / scale
        return statistics

    def paint(self, content: Tensor, gram: Tensor) -> Tensor:
        """Paint pictures (N, 3, H, W) by Gram matrices (N or 1, C, C), from 0 to 1."""
        maps = self.encode(_whole(content, "pictures"))
        full, half, quarter = (F.instance_norm(m).relu() for m in maps)
        x = self.blocks(self.match(quarter, gram))
        for layer, seen in zip(self.decoder, (half, full), strict=True):
            x = torch.cat([F.interpolate(x, scale_factor=2), seen], dim=1)
            x = layer(x).relu()
        painted: Tensor = self.output(x).sigmoid()
        height, width = content.shape[-2:]
        return painted[..., :height, :width]

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Paint pictures (N, 3, H, W) in the style of (N or 1, 3, h, w), all from 0 to 1."""
        return self.paint(content, self.statistics(style))


class Residual(nn.Module):
    """Add to the input what two convolutions, each normalised, make of it."""

    def __init__(self, channels: int) -> None:
        """Make the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            _conv(channels, channels, 3),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(),
            _conv(channels, channels, 3),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        y: Tensor = self.layers(x)
        return x + y


def _conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that pads by reflection: zeros would frame every picture."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, padding_mode="reflect")


def _whole(images: Tensor, what: str) -> Tensor:
    """Check pictures, and extend them to sides that are divisible by 4."""
    if not isinstance(images, Tensor):
        raise TypeError(f"expected {what} as a torch.Tensor, got {describe(images)}")
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 1:
        raise ValueError(f"expected {what} of shape (N, 3, H, W), got {tuple(images.shape)}")
    height, width = images.shape[-2:]
    missing = (0, max(-width % 4, 8 - width), 0, max(-height % 4, 8 - height))
    return F.pad(images, missing, mode="replicate")
