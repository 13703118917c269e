"""Losses of two networks that are trained against each other, and how real a picture looks.

A *generator* paints pictures. A *discriminator* gives scores to pictures, high ones to those
that it holds for real. `discriminator_loss` is small if it is right, `generator_loss` if it is
deceived and if the painted pictures are near the wanted ones. `gradient_distance` says without
any network how far the edges of painted pictures are from those of real ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlip._check import describe, integer

__all__ = ["discriminator_loss", "generator_loss", "gradient_distance"]


def discriminator_loss(real: Tensor, painted: Tensor) -> Tensor:
    """Return the loss of a discriminator: real pictures should score high, painted ones low.

    It is half the sum of the means of −log D(real) and −log(1 − D(painted)), where D is the
    sigmoid of the score. At scores of 0, when nothing is known, it is log 2 ≈ 0.693.

    Parameters
    ----------
    real
        Scores (logits) of real pictures, of any shape, floating-point.
    painted
        Scores of painted pictures. To train the discriminator alone, they come from pictures
        that have been detached from the generator.

    Returns
    -------
    Tensor
        A scalar, from 0 on.

    Raises
    ------
    TypeError
        If the scores are no floating-point tensors.

    References
    ----------
    I. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014. The half is that of
    P. Isola et al. (CVPR 2017), section 3.3: it slows the discriminator down.

    Examples
    --------
    >>> import torch, dlip
    >>> dlip.gan.discriminator_loss(torch.zeros(4), torch.zeros(4))
    tensor(0.6931)
    """
    _scores(real, "real")
    _scores(painted, "painted")
    right_on_real = F.softplus(-real).mean()  # −log sigmoid(real)
    right_on_painted = F.softplus(painted).mean()  # −log(1 − sigmoid(painted))
    return (right_on_real + right_on_painted) / 2


def generator_loss(
    scores: Tensor, painted: Tensor, wanted: Tensor, weight: float = 100.0
) -> Tensor:
    """Return the loss of a generator: deceive the discriminator, and be near what is wanted.

    It is the mean of −log D(painted), where D is the sigmoid of the score, plus `weight` times
    the mean absolute difference (L1) of the painted and the wanted pictures.

    Parameters
    ----------
    scores
        What the discriminator says of the painted pictures (logits), of any shape.
    painted, wanted
        Pictures of the same shape.
    weight
        Of the L1 difference, λ in the paper, at least 0. There it is 100 for values from −1
        to 1, which is 200 for values from 0 to 1.

    Returns
    -------
    Tensor
        A scalar, from 0 on.

    Raises
    ------
    TypeError
        If the scores are no floating-point tensor.
    ValueError
        If the pictures differ in shape, or the weight is below 0.

    References
    ----------
    P. Isola, J.-Y. Zhu, T. Zhou and A. A. Efros, "Image-to-image translation with conditional
    adversarial networks", CVPR 2017, equations 1, 3 and 4 with the change of section 3.3:
    −log D(painted) in the place of log(1 − D(painted)).

    Examples
    --------
    >>> import torch, dlip
    >>> gray, white = torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
    >>> dlip.gan.generator_loss(torch.zeros(4), gray, white, weight=10)
    tensor(5.6931)
    """
    _scores(scores, "scores")
    if painted.shape != wanted.shape:
        raise ValueError(
            "expected painted and wanted pictures of one shape, "
            f"got {tuple(painted.shape)} and {tuple(wanted.shape)}"
        )
    if not weight >= 0:
        raise ValueError(f"expected a weight of at least 0, got {weight}")
    return F.softplus(-scores).mean() + weight * F.l1_loss(painted, wanted)


def gradient_distance(painted: Tensor, real: Tensor, bins: int = 20) -> float:
    """Compare how often edges of each strength occur in two collections of pictures.

    The gradient of a pixel is the pair of differences to its right and its lower neighbour.
    Its length, from 0 to √2, is sorted into bins. The distance is half the sum of the absolute
    differences of the two histograms (the total variation distance), which is the part of
    the pixels that would have to change their bin. Blurred pictures have too few long ones.

    Parameters
    ----------
    painted, real
        Pictures (…, H, W) with values from 0 to 1; not necessarily equally many.
    bins
        Number of bins, at least 1.

    Returns
    -------
    float
        From 0 (equal histograms) to 1 (no bin in common).

    Raises
    ------
    ValueError
        If a picture has less than 2×2 pixels, or a value is outside 0…1.

    Examples
    --------
    >>> import dlip
    >>> pictures, _ = dlip.data.fashion("test")
    >>> blurred = dlip.filters.correlate(pictures, dlip.filters.gaussian(5, 1.0))
    >>> near = dlip.gan.gradient_distance(pictures[:500], pictures[500:])
    >>> far = dlip.gan.gradient_distance(blurred[:500], pictures[500:])
    >>> near < 0.03 < far
    True
    """
    integer(bins, "bins", least=1)
    first, second = (_histogram(pictures, bins) for pictures in (painted, real))
    return float((first - second).abs().sum() / 2)


def _histogram(pictures: Tensor, bins: int) -> Tensor:
    """Return which part of the gradients of pictures is in each bin."""
    if pictures.ndim < 2 or min(pictures.shape[-2:]) < 2 or pictures.numel() == 0:
        raise ValueError(f"expected pictures of at least 2×2 pixels, got {tuple(pictures.shape)}")
    if not (pictures.min() >= 0 and pictures.max() <= 1):
        raise ValueError("expected values from 0 to 1")
    corner = pictures[..., :-1, :-1]
    across, down = pictures[..., :-1, 1:] - corner, pictures[..., 1:, :-1] - corner
    lengths = torch.hypot(across, down).flatten().float().cpu()
    return torch.histc(lengths, bins, 0, 2**0.5) / lengths.numel()


def _scores(scores: Tensor, what: str) -> None:
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        raise TypeError(f"expected {what} as a floating-point tensor, got {describe(scores)}")
