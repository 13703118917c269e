"""A small network of convolutions only, whose decision can be drawn back onto the picture."""

from collections import OrderedDict

from torch import Tensor, nn

from dlip._check import integer

__all__ = ["GapCNN"]


class GapCNN(nn.Module):
    """Sort pictures of any size into classes by averaging feature maps.

    Four convolutions keep the places of things. Then global average pooling (GAP) reduces
    each of the 64 feature maps to its mean, and one linear layer weighs these means. Because
    nothing else lies between maps and scores, the weighted sum of the *maps* shows where a
    score comes from: the class activation map (CAM).

    =========================  ================  ==========
    layer                      output for 28×28  parameters
    =========================  ================  ==========
    convolution 3×3, stride 2  16×14×14          176
    convolution 3×3            32×14×14          4,672
    convolution 3×3, stride 2  48×7×7            13,920
    convolution 3×3            64×7×7            27,776
    global average pooling     64
    linear                     10                650
    =========================  ================  ==========

    Each convolution is padded by 1 and followed by batch normalisation and ReLU; the strides
    take the place of pooling. A value of the last feature maps depends on 19×19 pixels of
    the picture.

    Parameters
    ----------
    classes
        Number of classes, at least 1.
    channels
        Channels of the pictures: 1 for gray, 3 for colour.

    Attributes
    ----------
    features : nn.Sequential
        `block1` to `block4`, each of `conv`, `norm`, `relu`.
    pool : nn.AdaptiveAvgPool2d
        The global average pooling.
    classifier : nn.Linear
        64 → classes.

    Raises
    ------
    TypeError, ValueError
        If `classes` or `channels` is no integer from 1 on.

    References
    ----------
    M. Lin, Q. Chen and S. Yan, "Network in network", ICLR 2014 (global average pooling).
    J. T. Springenberg et al., "Striving for simplicity: the all convolutional net", ICLR 2015.
    B. Zhou et al., "Learning deep features for discriminative localization", CVPR 2016 (CAM).

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.GapCNN().eval()
    >>> images, labels = dlip.data.fashion("test")
    >>> model.features(images[:8]).shape, model(images[:8]).shape
    (torch.Size([8, 64, 7, 7]), torch.Size([8, 10]))
    """

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        """Make the layers, with PyTorch's random weights."""
        super().__init__()
        integer(classes, "classes", least=1)
        integer(channels, "channels", least=1)
        self.features = nn.Sequential(
            OrderedDict(
                block1=_block(channels, 16, stride=2),
                block2=_block(16, 32),
                block3=_block(32, 48, stride=2),
                block4=_block(48, 64),
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return one score (logit) for each class: (N, channels, H, W) → (N, classes)."""
        scores: Tensor = self.classifier(self.pool(self.features(images)).flatten(1))
        return scores


def _block(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        OrderedDict(
            # The normalisation takes the mean away: a bias before it would have no effect.
            conv=nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
            norm=nn.BatchNorm2d(channels_out),
            relu=nn.ReLU(),
        )
    )
