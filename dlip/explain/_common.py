"""What the methods of this package share: scores, targets, sizes of batches."""

import operator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlip._check import describe, integer
from dlip._model import run


def class_scores(model: nn.Module, batch: Tensor) -> Tensor:
    """Return the scores (logits) of a batch, shape (N, classes).

    Raises
    ------
    TypeError, ValueError
        If the model cannot take the batch, or returns anything else than finite scores.
    """
    scores = run(model, batch)
    if not isinstance(scores, Tensor):
        raise TypeError(
            "expected a classifier, which returns a tensor of shape (N, classes), "
            f"got a model that returns a {type(scores).__name__}"
        )
    if scores.ndim != 2 or len(scores) != len(batch):
        raise ValueError(
            "expected a classifier, which returns scores of shape (N, classes), got a model "
            f"that makes {tuple(scores.shape)} of {tuple(batch.shape)}"
        )
    if not torch.isfinite(scores).all():
        raise ValueError("expected finite scores, but the model returns NaN or infinity")
    return scores


def target_class(scores: Tensor, target: int | Tensor | None) -> int:
    """Return `target` as an int, or for None the class of the highest score.

    Raises
    ------
    TypeError
        If `target` is no integer.
    ValueError
        If there is no such class.
    """
    if target is None:
        return int(scores[0].argmax())
    try:
        if isinstance(target, bool):
            raise TypeError
        number = operator.index(target)  # also of NumPy, and labels that are tensors
    except TypeError:
        raise TypeError(
            f"expected the target, a class, as an integer, got {describe(target)}"
        ) from None
    classes = scores.shape[1]
    if not 0 <= number < classes:
        raise ValueError(
            f"expected a target from 0 to {classes - 1}, because the model knows {classes} "
            f"classes, got {number}"
        )
    return number


def filling(baseline: float | Tensor, image: Tensor) -> Tensor:
    """Return what stands in the place of removed pixels, in the shape of the image.

    Raises
    ------
    TypeError, ValueError
        If `baseline` is neither a finite number nor a tensor that fits the image.
    """
    if isinstance(baseline, bool) or not isinstance(baseline, (int, float, Tensor)):
        raise TypeError(f"expected the baseline as a number or a tensor, got {describe(baseline)}")
    value = torch.as_tensor(baseline, dtype=image.dtype, device=image.device)
    if not torch.isfinite(value).all():
        raise ValueError("expected a finite baseline, got NaN or infinity")
    try:
        return value.expand_as(image)
    except RuntimeError:
        raise ValueError(
            f"expected the baseline as a number, a tensor of shape (C, 1, 1) or one of the "
            f"image's shape {tuple(image.shape)}, got shape {tuple(value.shape)}"
        ) from None


def images_at_once(batch_size: int | None, image: Tensor) -> int:
    """Return `batch_size`, or for None how many images (C, H, W) are best computed together.

    Raises
    ------
    TypeError, ValueError
        If `batch_size` is no integer from 1 on.
    """
    if batch_size is not None:
        return integer(batch_size, "batch_size", least=1)
    if image.device.type == "cpu":
        # As much as fits the processor's caches: 4 images of 224 × 224 pixels.
        best = 4 * 224 * 224 // (image.shape[-2] * image.shape[-1])
    elif image.device.type == "cuda":
        # The largest feature maps of usual networks are some 100 times the size of their input.
        free, _ = torch.cuda.mem_get_info(image.device)
        best = free // (100 * image.numel() * image.element_size())
    else:
        best = 32
    return int(min(max(best, 1), 256))


def enlarge(maps: Tensor, image: Tensor) -> Tensor:
    """Resize a map (h, w) to the size, device and dtype of an image (C, H, W), bilinearly."""
    size = image.shape[-2:]
    large = F.interpolate(maps[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    return large.to(image)
