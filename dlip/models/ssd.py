"""SSD for digits: a network that says for thousands of prepared boxes what is in them."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from dlip._check import integer
from dlip.detection import default_boxes

__all__ = ["DigitSSD"]

SIDE = 96
"""Height and width in pixels of the pictures that the network takes."""

GRIDS = (24, 12, 6)
"""Height and width of the three feature maps that find."""

HEIGHTS = ((15, 19), (24, 30), (37, 46))
"""The heights of each map's default boxes in pixels; neighbours differ by about 1.25."""

RATIOS = (0.3, 0.6, 1.0)
"""Width : height of the default boxes. Digits are seldom wider than high."""


class DigitSSD(nn.Module):
    """Find digits in pictures of 96×96 pixels, in one pass.

    A base network makes feature maps that get smaller. At three sizes a *head*, a single
    3×3 convolution, says for each cell and each of its six default boxes how the box must be
    moved (4 offsets) and what is in it (1 + classes scores). The large map finds small
    things, the small map large ones.

    =========  ==========================  =========  ======================  =====
    block      layers                      output     default boxes           count
    =========  ==========================  =========  ======================  =====
    `block1`   3×3 with stride 2           16×48×48
    `block2`   3×3, pool                   32×24×24
    `block3`   3×3, 3×3                    48×24×24   15 and 19 pixels high   3,456
    `block4`   pool, 3×3, 3×3              80×12×12   24 and 30 pixels high   864
    `block5`   pool, 3×3, 3×3              112×6×6    37 and 46 pixels high   216
    =========  ==========================  =========  ======================  =====

    Each 3×3 is a padded convolution with batch normalisation and ReLU. The heads are
    `location` and `confidence`. SSD300 does the same with VGG-16 as its base, six maps and
    8,732 default boxes.

    Parameters
    ----------
    classes
        Number of classes, at least 1; the background is not counted.
    channels
        Channels of the pictures: 1 for gray, 3 for colour.

    Attributes
    ----------
    defaults : Tensor
        The default boxes, shape (4536, 4), (left, top, right, bottom) in pixels.

    Raises
    ------
    TypeError, ValueError
        If `classes` or `channels` is no integer from 1 on, or pictures of another size come.

    References
    ----------
    W. Liu et al., "SSD: single shot multibox detector", ECCV 2016.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.DigitSSD().eval()
    >>> images, targets = dlip.data.digit_scenes(2, "test")
    >>> offsets, scores = model(images)
    >>> offsets.shape, scores.shape
    (torch.Size([2, 4536, 4]), torch.Size([2, 4536, 11]))
    """

    defaults: Tensor

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        """Make the layers, with PyTorch's random weights."""
        super().__init__()
        integer(classes, "classes", least=1)
        integer(channels, "channels", least=1)
        self.classes = classes
        self.channels = channels
        shapes = [[(r * h, h) for h in heights for r in RATIOS] for heights in HEIGHTS]
        # Not among the weights: it follows from the constants above.
        self.register_buffer("defaults", default_boxes(SIDE, GRIDS, shapes), persistent=False)
        self.block1 = _layer(channels, 16, stride=2)
        self.block2 = nn.Sequential(_layer(16, 32), nn.MaxPool2d(2))
        self.block3 = nn.Sequential(_layer(32, 48), _layer(48, 48))
        self.block4 = nn.Sequential(nn.MaxPool2d(2), _layer(48, 80), _layer(80, 80))
        self.block5 = nn.Sequential(nn.MaxPool2d(2), _layer(80, 112), _layer(112, 112))
        widths, each = (48, 80, 112), len(shapes[0])
        self.location = nn.ModuleList(nn.Conv2d(w, each * 4, 3, padding=1) for w in widths)
        self.confidence = nn.ModuleList(
            nn.Conv2d(w, each * (1 + classes), 3, padding=1) for w in widths
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Answer for every default box: (N, channels, 96, 96) → (N, P, 4), (N, P, 1 + classes).

        The first are offsets as `dlip.detection.encode` makes them, the second scores
        (logits), of which number 0 is that of the background.
        """
        if images.shape[1:] != (self.channels, SIDE, SIDE):
            raise ValueError(
                f"expected images (N, {self.channels}, {SIDE}, {SIDE}), got {tuple(images.shape)}"
            )
        small = self.block3(self.block2(self.block1(images)))
        medium = self.block4(small)
        large = self.block5(medium)
        maps = (small, medium, large)
        offsets = [_rows(head(m), 4) for head, m in zip(self.location, maps, strict=True)]
        scores = [
            _rows(head(m), 1 + self.classes) for head, m in zip(self.confidence, maps, strict=True)
        ]
        return torch.cat(offsets, dim=1), torch.cat(scores, dim=1)


def _layer(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
            norm=nn.BatchNorm2d(channels_out),
            relu=nn.ReLU(),
        )
    )


def _rows(answers: Tensor, numbers: int) -> Tensor:
    """Bring a head's map into the order of the default boxes: (N, 6·k, H, W) → (N, H·W·6, k)."""
    return answers.permute(0, 2, 3, 1).reshape(len(answers), -1, numbers)
