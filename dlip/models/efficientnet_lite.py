"""EfficientNet-Lite0: a small, accurate network for photographs."""

from collections import OrderedDict
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from dlip._check import integer

__all__ = ["EfficientNetLite0", "rename_original"]

# Kernel size, stride of the first block, expansion, output channels, blocks: the stages 2 to 8
# in Table 1 of the paper.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class EfficientNetLite0(nn.Module):
    """Sort colour photographs into classes: 4,652,008 parameters for 1,000 of them.

    A variant of EfficientNet-B0 for telephones and microcontrollers: ReLU6 instead of SiLU,
    and no squeeze-and-excitation. Output of each part for a photograph of 224×224 pixels:

    ===================  ===========  ============================================
    part                 output       what it is
    ===================  ===========  ============================================
    `features.stem`      32×112×112   convolution 3×3, stride 2
    `features.stage1`    16×112×112   1 block, depthwise 3×3
    `features.stage2`    24×56×56     2 blocks, depthwise 3×3, the first stride 2
    `features.stage3`    40×28×28     2 blocks, depthwise 5×5, the first stride 2
    `features.stage4`    80×14×14     3 blocks, depthwise 3×3, the first stride 2
    `features.stage5`    112×14×14    3 blocks, depthwise 5×5
    `features.stage6`    192×7×7      4 blocks, depthwise 5×5, the first stride 2
    `features.stage7`    320×7×7      1 block, depthwise 3×3
    `features.head`      1280×7×7     convolution 1×1
    `pool`               1280×1×1     global average pooling
    `dropout`            1280         sets a fifth to 0 while training
    `classifier`         1000         linear
    ===================  ===========  ============================================

    Weights start at random, as PyTorch makes them. Those learnt from ImageNet come with
    `dlip.zoo.pretrained("efficientnet_lite0")`. The network that they were trained as also
    left out whole blocks at random while training (stochastic depth), which plays no part in
    evaluation and is not done here.

    Parameters
    ----------
    classes
        Number of classes, at least 1.

    Raises
    ------
    TypeError, ValueError
        If `classes` is no integer from 1 on.

    References
    ----------
    M. Tan and Q. V. Le, "EfficientNet: rethinking model scaling for convolutional neural
    networks", ICML 2019, arXiv:1905.11946. R. Liu, "Higher accuracy on vision models with
    EfficientNet-Lite", TensorFlow blog, 2020. M. Sandler et al., "MobileNetV2: inverted
    residuals and linear bottlenecks", CVPR 2018 (the block).

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.EfficientNetLite0(classes=5).eval()
    >>> cat = dlip.data.sample_image("cat", size=224)
    >>> model.features(cat[None]).shape, model(cat[None]).shape
    (torch.Size([1, 1280, 7, 7]), torch.Size([1, 5]))
    """

    def __init__(self, classes: int = 1000) -> None:
        """Make the layers, with PyTorch's random weights."""
        super().__init__()
        integer(classes, "classes", least=1)
        self.features = nn.Sequential(OrderedDict(stem=conv(3, 32, kernel=3, stride=2)))
        before = 32
        for number, (kernel, stride, expansion, channels, blocks) in enumerate(STAGES, start=1):
            stage = nn.Sequential(MBConv(before, channels, kernel, stride, expansion))
            for _ in range(blocks - 1):
                stage.append(MBConv(channels, channels, kernel, 1, expansion))
            self.features.add_module(f"stage{number}", stage)
            before = channels
        self.features.add_module("head", conv(before, 1280, kernel=1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return one score (logit) for each class: (N, 3, H, W) → (N, classes)."""
        means = self.pool(self.features(images)).flatten(1)
        scores: Tensor = self.classifier(self.dropout(means))
        return scores


class MBConv(nn.Module):
    """An inverted bottleneck: widen, look around in each channel by itself, narrow.

    A 1×1 convolution widens `channels_in` by the factor `expansion`, a depthwise convolution
    filters every channel apart, and a 1×1 convolution without activation narrows to
    `channels_out`. Where input and output have the same shape, the input is added.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int
    ) -> None:
        """Make the layers; without `expansion` (1), none widens."""
        super().__init__()
        wide = channels_in * expansion
        self.expand = conv(channels_in, wide, kernel=1) if expansion > 1 else nn.Identity()
        self.depthwise = conv(wide, wide, kernel, stride, groups=wide)
        self.project = conv(wide, channels_out, kernel=1, relu=False)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) → (N, channels_out, ⌈H / stride⌉, ⌈W / stride⌉)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class SamePad(nn.Module):
    """Pad by zeros so that a convolution with a stride gives ⌈size / stride⌉ values.

    This is TensorFlow's padding "SAME". Where an odd number of rows or columns is missing,
    the larger half goes below and to the right: at stride 2 and an even size, a 3×3 kernel
    gets 0 rows above and 1 below. `padding=1` would shift its window by one pixel, and
    weights trained one way do not fit the other.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        """Remember the kernel size and the stride of the convolution that follows."""
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same with a border of zeros."""
        height, width = x.shape[-2:]
        # ⌈size / stride⌉ windows reach over size + (−size mod stride) + kernel − stride pixels.
        rows = -height % self.stride + self.kernel - self.stride
        cols = -width % self.stride + self.kernel - self.stride
        return F.pad(x, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))

    def extra_repr(self) -> str:
        """Say the numbers when the network is printed."""
        return f"kernel={self.kernel}, stride={self.stride}"


def conv(
    channels_in: int,
    channels_out: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    relu: bool = True,
) -> nn.Sequential:
    """Return a padded convolution, batch normalisation and ReLU6 as `conv`, `norm`, `relu`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    padding = kernel // 2
    if stride > 1:  # otherwise "SAME" is the usual symmetric padding
        layers["pad"] = SamePad(kernel, stride)
        padding = 0
    layers["conv"] = nn.Conv2d(
        channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False
    )
    # TensorFlow's decay of 0.99 is PyTorch's momentum of 0.01.
    layers["norm"] = nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.01)
    if relu:
        layers["relu"] = nn.ReLU6()
    return nn.Sequential(layers)


def rename_original(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights of the package efficientnet_lite_pytorch the names they have here.

    ====================================  ===========================================
    there                                 here
    ====================================  ===========================================
    `_conv_stem`, `_bn0`                  `features.stem.conv`, `.norm`
    `_blocks.4._expand_conv`, `._bn0`     `features.stage3.1.expand.conv`, `.norm`
    `_blocks.4._depthwise_conv`, `._bn1`  `features.stage3.1.depthwise.conv`, `.norm`
    `_blocks.4._project_conv`, `._bn2`    `features.stage3.1.project.conv`, `.norm`
    `_conv_head`, `_bn1`                  `features.head.conv`, `.norm`
    `_fc`                                 `classifier`
    ====================================  ===========================================

    There the 16 blocks are counted from 0 to 15; here, within their stage.

    Parameters
    ----------
    weights
        The original's state dict.

    Returns
    -------
    dict
        The same tensors under the names of `EfficientNetLite0().state_dict()`.

    Raises
    ------
    ValueError
        If a name is not one of the original's.

    Examples
    --------
    >>> import torch
    >>> from dlip.models.efficientnet_lite import rename_original
    >>> list(rename_original({"_blocks.4._expand_conv.weight": torch.zeros(240, 40, 1, 1)}))
    ['features.stage3.1.expand.conv.weight']
    """
    names = {
        "_conv_stem": "features.stem.conv",
        "_bn0": "features.stem.norm",
        "_conv_head": "features.head.conv",
        "_bn1": "features.head.norm",
        "_fc": "classifier",
    }
    places = [(stage, i) for stage, row in enumerate(STAGES, start=1) for i in range(row[-1])]
    for block, (stage, i) in enumerate(places):
        there, here = f"_blocks.{block}", f"features.stage{stage}.{i}"
        names[f"{there}._expand_conv"] = f"{here}.expand.conv"
        names[f"{there}._bn0"] = f"{here}.expand.norm"
        names[f"{there}._depthwise_conv"] = f"{here}.depthwise.conv"
        names[f"{there}._bn1"] = f"{here}.depthwise.norm"
        names[f"{there}._project_conv"] = f"{here}.project.conv"
        names[f"{there}._bn2"] = f"{here}.project.norm"
    renamed = {}
    for name, tensor in weights.items():
        module, _, kind = name.rpartition(".")
        if module not in names:
            raise ValueError(f"expected names of efficientnet_lite_pytorch, got {name!r}")
        renamed[f"{names[module]}.{kind}"] = tensor
    return renamed
