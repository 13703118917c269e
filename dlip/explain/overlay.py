"""Lay an explanation over the image it belongs to."""

import math

import matplotlib
import torch
from torch import Tensor

from dlip.plot import SIGNED

__all__ = ["overlay"]


def overlay(image: Tensor, attribution: Tensor, *, alpha: float = 0.5) -> Tensor:
    """Mix an image with the colours of an explanation.

    An explanation with negative values is drawn blue below zero, white at zero and red above,
    with the same strength on both sides. One without is drawn from black at zero through
    purple and orange to yellow (Matplotlib's "inferno"). The largest absolute value has the
    strongest colour.

    Parameters
    ----------
    image
        Shape (3, H, W) or (1, H, W), floating-point, from 0 to 1: the photograph, not the
        model's preprocessed input.
    attribution
        Shape (H, W), finite.
    alpha
        How much of the mixture is explanation, from 0 to 1.

    Returns
    -------
    Tensor
        Shape (3, H, W), dtype and device of `image`, from 0 to 1.

    Raises
    ------
    TypeError
        If `image` or `attribution` is no floating-point tensor.
    ValueError
        If the shapes do not fit, a value is not finite, the image is not from 0 to 1, or
        `alpha` is not.

    Examples
    --------
    >>> import torch, dlip
    >>> signs = torch.tensor([[-1.0, 0.0, 1.0]])
    >>> dlip.explain.overlay(torch.zeros(1, 1, 3), signs, alpha=1.0)[:, 0, 1]
    tensor([1., 1., 1.])
    """
    for name, tensor in (("image", image), ("attribution", attribution)):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"expected the {name} as a torch.Tensor, got {type(tensor).__name__}")
        if not tensor.is_floating_point():
            raise TypeError(f"expected the {name} in floating-point values, got {tensor.dtype}")
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(
            f"expected an image of shape (3, H, W) or (1, H, W), got {tuple(image.shape)}"
        )
    if attribution.shape != image.shape[1:]:
        raise ValueError(
            f"expected an attribution of the image's size {tuple(image.shape[1:])}, "
            f"got {tuple(attribution.shape)}"
        )
    if not torch.isfinite(attribution).all():
        raise ValueError("expected finite values, got an attribution with NaN or infinity")
    if not ((image >= 0) & (image <= 1)).all():
        raise ValueError(
            f"expected an image from 0 to 1, got values from {image.min():.3g} to "
            f"{image.max():.3g}; undo the preprocessing first"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"expected alpha from 0 to 1, got {alpha}")

    values = attribution.detach().cpu().double()
    limit = values.abs().max().item() or math.inf  # all zero: nothing is coloured
    if values.min() < 0:
        colors = SIGNED(((values / limit + 1) / 2).numpy())
    else:
        colors = matplotlib.colormaps["inferno"]((values / limit).numpy())
    colored = torch.from_numpy(colors[..., :3]).permute(2, 0, 1).to(image)
    return (1 - alpha) * image.expand(3, -1, -1) + alpha * colored
