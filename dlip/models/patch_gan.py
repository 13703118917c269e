"""PatchGAN: a network that says for every patch of a picture whether it looks real."""

from collections import OrderedDict

from torch import Tensor, nn

from dlip._check import integer

__all__ = ["PatchGAN"]


class PatchGAN(nn.Module):
    """Judge patches of a picture: the discriminator of pix2pix.

    It has no fully connected layer. Its output is a map of scores, and each of them depends
    on one square patch of the input only, so that it is asked many times whether a small
    piece of texture is real, and never whether the whole picture makes sense.

    ======  =======================  ==================  =================
    layers  channels at width 64     side of a patch     28×28 pixels give
    ======  =======================  ==================  =================
    1       64, 128, 1               16                  12×12 scores
    2       64, 128, 256, 1          34                  5×5 scores
    3       64, 128, 256, 512, 1     70                  1×1 score
    ======  =======================  ==================  =================

    All convolutions are 4×4 with padding 1. The first `layers` of them halve the size, the
    last two do not. Between them are leaky ReLUs with a slope of 0.2, and batch normalisation
    except after the first and the last. The channels double up to 8 × `width`. As in the
    paper, the weights of the convolutions start with a standard deviation of 0.02.

    Parameters
    ----------
    channels_in
        Channels of the input, at least 1: those of the picture, and those of the drawing it
        was painted from, if the discriminator is to see both.
    width
        Channels after the first convolution, at least 1; 64 in the paper.
    layers
        How often the size is halved, at least 1; 3 in the paper, for pictures of 256×256.

    Attributes
    ----------
    model : nn.Sequential
        `conv0`, `relu0`, `conv1`, `norm1`, `relu1`, …, `output`.

    Raises
    ------
    TypeError, ValueError
        If one of the numbers is no integer from 1 on; in use, if a picture has another number
        of channels or is smaller than 3 · 2 ** layers.

    References
    ----------
    P. Isola, J.-Y. Zhu, T. Zhou and A. A. Efros, "Image-to-image translation with conditional
    adversarial networks", CVPR 2017, section 3.2.2 and appendix 6.1.

    Examples
    --------
    >>> import dlip, torch
    >>> pictures, _ = dlip.data.fashion("test")
    >>> drawings = dlip.data.line_drawings(pictures[:8])
    >>> judge = dlip.models.PatchGAN(2, layers=1)
    >>> judge(torch.cat([drawings, pictures[:8]], dim=1)).shape
    torch.Size([8, 1, 12, 12])
    """

    def __init__(self, channels_in: int, width: int = 64, layers: int = 3) -> None:
        """Make the layers, with small random weights."""
        super().__init__()
        self.channels_in = integer(channels_in, "channels_in", least=1)
        integer(width, "width", least=1)
        self.smallest = 3 * 2 ** integer(layers, "layers", least=1)
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv0"] = nn.Conv2d(channels_in, width, 4, stride=2, padding=1)
        parts["relu0"] = nn.LeakyReLU(0.2)
        before = width
        for n in range(1, layers + 1):
            after = width * min(2**n, 8)
            stride = 2 if n < layers else 1
            parts[f"conv{n}"] = nn.Conv2d(before, after, 4, stride, padding=1, bias=False)
            parts[f"norm{n}"] = nn.BatchNorm2d(after)
            parts[f"relu{n}"] = nn.LeakyReLU(0.2)
            before = after
        parts["output"] = nn.Conv2d(before, 1, 4, padding=1)
        self.model = nn.Sequential(parts)
        for part in parts.values():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Return a score (logit) for each patch, positive for real: (N, C, H, W) → (N, 1, h, w)."""
        if images.ndim != 4 or images.shape[1] != self.channels_in:
            raise ValueError(
                f"expected images of shape (N, {self.channels_in}, H, W), got {tuple(images.shape)}"
            )
        if min(images.shape[2:]) < self.smallest:
            raise ValueError(
                f"expected images of at least {self.smallest}×{self.smallest} pixels for "
                f"this number of layers, got {tuple(images.shape[2:])}"
            )
        scores: Tensor = self.model(images)
        return scores
