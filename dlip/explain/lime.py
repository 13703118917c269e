"""LIME: which superpixels does the score depend on, if it were a linear function of them?"""

import math
from typing import Any

import captum.attr
import torch
from skimage.segmentation import slic
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dlip._check import integer
from dlip._model import channels_last, input_batch, undisturbed
from dlip.explain._common import class_scores, filling, images_at_once, target_class

__all__ = ["lime", "superpixels"]

KERNEL_WIDTH = 0.25
"""How quickly a sample counts less, the more of the image is missing; the authors' value."""


def lime(
    model: nn.Module,
    image: Tensor,
    target: int | Tensor | None = None,
    *,
    segments: int | Tensor | None = None,
    samples: int = 300,
    baseline: float | Tensor | None = None,
    ridge: float = 1.0,
    seed: int = 0,
    batch_size: int | None = None,
) -> Tensor:
    """Switch superpixels on and off at random and fit a linear model to the scores.

    Each sample z is a row of zeros (the superpixel is replaced by the baseline) and ones (it
    is kept). A linear model w·z + b is fitted to the scores (logits) by ridge regression, in
    which a sample counts by exp(−d² / (2·0.25²)), with its cosine distance d from the whole
    image, as in the authors' own code. The coefficient of a superpixel is what it adds to the
    score; each of its pixels gets this value. Captum's `Lime` does the sampling and the
    evaluation.

    Parameters
    ----------
    model
        A classifier: (N, C, H, W) → scores (N, classes).
    image
        The model's preprocessed input, shape (C, H, W), floating-point, finite.
    target
        The class; None: the one that the model predicts.
    segments
        About how many superpixels `superpixels` is to make, 50 by default; or a tensor of
        integers (H, W) that says for each pixel which segment it belongs to.
    samples
        How often the model is evaluated, at least 2. Several times the number of segments,
        or the coefficients are mostly chance.
    baseline
        What replaces a superpixel, in the input's units: a number, or a tensor of shape
        (C, 1, 1) or (C, H, W). None: the superpixel's mean colour.
    ridge
        Penalty on large coefficients, at least 0.
    seed
        Seed of the samples: the same seed gives the same result. The global random state
        is neither used nor changed.
    batch_size
        Samples evaluated at a time; by default what suits the processor's caches or the
        graphics card's memory.

    Returns
    -------
    Tensor
        Shape (H, W), dtype and device of `image`, in units of the score; signed, constant
        within a superpixel.

    Raises
    ------
    TypeError
        If `model` is no module, `image` no floating-point tensor, or a number of another type.
    ValueError
        If the image is no single finite image that the model can take, the model no
        classifier, there is no class `target`, `segments` is one segment only or of another
        size than the image, or a number is too small.

    References
    ----------
    M. T. Ribeiro, S. Singh and C. Guestrin, "'Why should I trust you?' Explaining the
    predictions of any classifier", KDD 2016, arXiv:1602.04938.

    Examples
    --------
    A "network" that adds up all pixels, and a left half that is twice as bright:

    >>> import torch, dlip
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 1, bias=False))
    >>> _ = torch.nn.init.ones_(model[1].weight)
    >>> image = torch.tensor([[[2.0, 2, 1, 1], [2, 2, 1, 1]]])
    >>> halves = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])
    >>> dlip.explain.lime(model, image, segments=halves, baseline=0.0, ridge=0.0)[0]
    tensor([8., 8., 4., 4.])
    """
    # Captum draws from the global random state, though not the samples: fork it.
    with undisturbed(model), torch.no_grad(), torch.random.fork_rng(devices=[]):
        whole = input_batch(model, image)
        target = target_class(class_scores(model, whole), target)
        if not isinstance(segments, Tensor):
            segments = superpixels(whole[0], 50 if segments is None else segments)
        labels, count = _consecutive(segments, whole[0])
        integer(samples, "samples", least=2)
        if not ridge >= 0 or math.isinf(ridge):
            raise ValueError(f"expected ridge to be a finite number from 0 on, got {ridge}")
        if baseline is None:
            blank = _mean_colors(whole[0], labels, count)
        else:
            blank = filling(baseline, whole[0])
        generator = torch.Generator().manual_seed(integer(seed, "seed", least=0))

        def score(images: Tensor) -> Tensor:
            scores: Tensor = model(channels_last(images))[:, target]
            return scores

        def sample(original: Tensor, **options: Any) -> Tensor:
            return torch.randint(0, 2, (1, count), generator=generator).to(original.device)

        def weight(original: Tensor, perturbed: Tensor, z: Tensor, **options: Any) -> Tensor:
            distance = 1 - z.cpu().double().mean().sqrt()  # of the cosine between z and all ones
            return torch.exp(-((distance / KERNEL_WIDTH) ** 2) / 2)

        explainer = captum.attr.Lime(score, _Ridge(ridge), weight, sample)
        coefficients = explainer.attribute(
            whole,
            feature_mask=labels[None, None],
            baselines=blank[None],
            n_samples=samples,
            perturbations_per_eval=images_at_once(batch_size, whole[0]),
            return_input_shape=False,
        )
        by_pixel: Tensor = coefficients[labels.cpu()]
        return by_pixel.to(image)


def superpixels(image: Tensor, count: int) -> Tensor:
    """Divide an image into connected regions of similar colour, by SLIC.

    Parameters
    ----------
    image
        Shape (C, H, W), floating-point, any range.
    count
        About how many superpixels are wanted, at least 2.

    Returns
    -------
    Tensor
        Shape (H, W), int64, from 0 to the number of superpixels − 1, on the image's device.

    Raises
    ------
    TypeError
        If `count` is no integer.
    ValueError
        If `count` is below 2.

    References
    ----------
    R. Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods",
    IEEE TPAMI 34(11), 2012. The implementation is scikit-image's.

    Examples
    --------
    >>> import dlip
    >>> dlip.explain.superpixels(dlip.data.sample_image("cat"), 50).shape
    torch.Size([300, 451])
    """
    if isinstance(count, Tensor):
        count = count.item()
    integer(count, "the number of segments", least=2)
    picture = image.detach().cpu().double()
    # A preprocessed input may have any range; SLIC wants colours from 0 to 1.
    low, high = picture.min(), picture.max()
    picture = (picture - low) / (high - low).clamp(min=1e-12)
    labels = slic(
        picture.numpy(),
        n_segments=count,
        start_label=0,
        channel_axis=0,
        convert2lab=len(picture) == 3,  # distances in Lab are nearer to those one sees
    )
    return torch.from_numpy(labels).to(image.device)


class _Ridge:
    """The linear model that Captum's `Lime` fits: weighted ridge regression, solved exactly."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def fit(self, data: DataLoader[tuple[Tensor, ...]], **options: Any) -> None:
        """Minimise Σ weight · (w·z + b − y)² + penalty · |w|² over all (z, y, weight)."""
        ((z, y, weight),) = [[column.cpu().double() for column in batch] for batch in data]
        share = weight / weight.sum()
        # Without their weighted means, z and y need no b, and b is not penalised.
        z = z - share @ z
        y = y - share @ y
        penalty = self.penalty * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        normal = z.T @ (weight[:, None] * z) + penalty
        # The pseudo-inverse copes with fewer samples than segments, too.
        self.w: Tensor = torch.linalg.pinv(normal, hermitian=True) @ (z.T @ (weight * y))

    def representation(self) -> Tensor:
        """Return the coefficients w."""
        return self.w


def _consecutive(segments: Tensor, image: Tensor) -> tuple[Tensor, int]:
    """Return segments numbered 0, 1, 2, … without gaps, and how many there are."""
    if segments.is_floating_point() or segments.is_complex() or segments.dtype == torch.bool:
        raise TypeError(f"expected segments as integers, got {segments.dtype}")
    if segments.shape != image.shape[1:]:
        raise ValueError(
            f"expected segments of the image's size {tuple(image.shape[1:])}, "
            f"got {tuple(segments.shape)}"
        )
    numbers, labels = torch.unique(segments.to(image.device), return_inverse=True)
    if len(numbers) < 2:
        raise ValueError(
            "expected at least 2 segments, got 1 (of an image of noise SLIC makes one)"
        )
    return labels, len(numbers)


def _mean_colors(image: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return the image with every pixel replaced by the mean of its segment."""
    channels, places = image.flatten(1), labels.flatten()
    sums = torch.zeros(len(image), count, dtype=image.dtype, device=image.device)
    sums.index_add_(1, places, channels)
    sizes = torch.bincount(places, minlength=count)
    return (sums / sizes)[:, labels]
