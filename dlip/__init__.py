"""dlip: the companion library of *Introduction to Deep Learning for Image Processing*.

The library is read as much as it is run: one concept per file, plain functions, plain PyTorch.

==================  =============================================================
`dlip.env`          what this machine is, which device to use, how to fix the seeds
`dlip.data`         pictures: photographs, handwritten digits, clothes, your own files
`dlip.color`        the colour space Lab: lightness apart from colour
`dlip.filters`      named kernels, correlation, convolution, the median filter
`dlip.models`       the book's own networks, each short enough to be read in one go
`dlip.zoo`          networks that have learnt already: EfficientNet-Lite0 and torchvision's
`dlip.checkpoint`   the networks that this project trained, with their cards
`dlip.inspect`      what is in a network: summary, filters, feature maps, receptive fields
`dlip.explain`      why a network decides so: occlusion, CAM, Grad-CAM, LIME
`dlip.calibration`  whether probabilities can be believed, and a temperature that mends them
`dlip.detection`    boxes: default boxes, matching, SSD's loss, reading the answer
`dlip.gan`          the losses of two networks that are trained against each other
`dlip.style`        style transfer: Gram matrices, and pixels as what is learnt
`dlip.train`        training: the loop, its history, and how good the result is
`dlip.plot`         the figures of the book: picture grids, pixel-value tables, curves
==================  =============================================================

An image is a `torch.Tensor` of floating-point values from 0 (black) to 1 (white) with
shape (C, H, W): channels, height, width. A batch of N images has shape (N, C, H, W).

Examples
--------
>>> import dlip
>>> cat = dlip.data.sample_image("cat", gray=True)
>>> edges = dlip.filters.correlate(cat, dlip.filters.kernel("sobel_x"))
>>> edges.shape
torch.Size([1, 300, 451])
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers and editors; at run time see __getattr__ below
    from dlip import (
        calibration,
        checkpoint,
        color,
        data,
        detection,
        env,
        explain,
        filters,
        gan,
        inspect,
        models,
        plot,
        style,
        train,
        zoo,
    )

__all__ = [
    "__version__",
    "calibration",
    "checkpoint",
    "color",
    "data",
    "detection",
    "env",
    "explain",
    "filters",
    "gan",
    "inspect",
    "models",
    "plot",
    "style",
    "train",
    "zoo",
]

try:
    __version__ = version("dlip")
except PackageNotFoundError:  # the source folder is on the path, but was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> ModuleType:
    """Import a submodule when it is first used, so that `import dlip` itself is quick."""
    if name in __all__:
        return import_module(f"dlip.{name}")
    raise AttributeError(f"module 'dlip' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
