"""Line drawings: the edges of pictures, as one would draw them with a pen."""

import numpy as np
import torch
from torch import Tensor

from dlip._check import describe

__all__ = ["line_drawings"]

SIGMA = 1.0
"""Standard deviation of the Gaussian that smooths a picture first, in pixels."""

WEAK, STRONG = 0.1, 0.2
"""Lengths of the gradient: a line needs one strong pixel, its others may be weak."""

MARGIN = 2
"""Black pixels that are put around a picture, so that a thing at its border gets an outline."""


def line_drawings(pictures: Tensor) -> Tensor:
    """Return the edges of gray pictures, one pixel wide: Canny's edge detector.

    The picture is smoothed by a Gaussian (σ = 1) and surrounded by black. An edge pixel is
    one at which the gradient is longer than at its two neighbours across the edge, and at
    least 0.1 long. Of the lines that such pixels form, those stay that have a pixel with a
    gradient of at least 0.2.

    Parameters
    ----------
    pictures
        Shape (N, 1, H, W), floating-point, from 0 to 1, before a black background.

    Returns
    -------
    Tensor
        Same shape, dtype and device: 1 on the lines and 0 elsewhere.

    Raises
    ------
    TypeError
        If `pictures` is no floating-point tensor.
    ValueError
        If its shape is another one, or a value is NaN or infinite.

    References
    ----------
    J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 8(6), 1986; as `skimage.feature.canny` computes it.

    Examples
    --------
    >>> import dlip
    >>> pictures, _ = dlip.data.fashion("test")
    >>> dlip.data.line_drawings(pictures[:4]).unique()
    tensor([0., 1.])
    """
    from skimage.feature import canny  # only here, because scikit-image takes its time

    if not isinstance(pictures, Tensor) or not pictures.is_floating_point():
        raise TypeError(f"expected pictures as a floating-point tensor, got {describe(pictures)}")
    if pictures.ndim != 4 or pictures.shape[1] != 1:
        raise ValueError(f"expected pictures of shape (N, 1, H, W), got {tuple(pictures.shape)}")
    if not torch.isfinite(pictures).all():
        raise ValueError("expected finite pixel values, got pictures with NaN or infinity")
    lines = torch.zeros_like(pictures)
    inner = slice(MARGIN, -MARGIN)
    for picture, line in zip(pictures[:, 0].cpu().numpy(), lines[:, 0], strict=True):
        framed = np.pad(picture, MARGIN)
        edges = canny(framed, SIGMA, WEAK, STRONG)  # type: ignore[no-untyped-call]
        line[:] = torch.from_numpy(edges[inner, inner])
    return lines
