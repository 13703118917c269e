"""Deletion and insertion: how good is an explanation?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlip._check import integer
from dlip._model import channels_last, input_batch, undisturbed
from dlip.explain._common import class_scores, filling, images_at_once, target_class
from dlip.filters import correlate, gaussian

__all__ = ["Curves", "deletion_insertion"]


@dataclass(frozen=True)
class Curves:
    """The probability of a class while pixels are taken away, and while they are put back.

    Attributes
    ----------
    fractions : Tensor
        Shape (steps + 1,), from 0 to 1: how many of the pixels were deleted or inserted, the
        most important ones first.
    deletion, insertion : Tensor
        Shape (steps + 1,): the class's probability at these fractions.
    deletion_area, insertion_area : float
        Areas under the two curves, from 0 to 1. A good explanation has a small first and a
        large second one.
    """

    fractions: Tensor
    deletion: Tensor
    insertion: Tensor
    deletion_area: float
    insertion_area: float


def deletion_insertion(
    model: nn.Module,
    image: Tensor,
    attribution: Tensor,
    target: int | Tensor | None = None,
    *,
    steps: int = 50,
    baseline: float | Tensor | None = None,
    batch_size: int | None = None,
) -> Curves:
    """Delete the pixels that an explanation calls important, and insert them into nothing.

    If the explanation is right, deleting the most important pixels soon lowers the class's
    probability, and inserting them soon raises it. This asks the model, not a human, and
    therefore measures whether the explanation is true to the model, not whether it is
    plausible. Of equally important pixels the upper and left ones come first.

    Parameters
    ----------
    model
        A classifier: (N, C, H, W) → scores (N, classes).
    image
        The model's preprocessed input, shape (C, H, W), floating-point, finite.
    attribution
        The explanation, shape (H, W), finite; only the order of its values counts.
    target
        The class; None: the one that the model predicts.
    steps
        In how many equal steps all pixels are deleted, and inserted; at least 1.
    baseline
        What deleted pixels become, and what inserting starts from, in the input's units: a
        number, or a tensor of shape (C, 1, 1) or (C, H, W). None: as in the paper, deleted
        pixels become 0, which is gray for inputs that are centred on zero, and inserting
        starts from the blurred image (Gaussian, σ = 5 pixels, 11×11).
    batch_size
        Images evaluated at a time; by default what suits the processor's caches or the
        graphics card's memory.

    Returns
    -------
    Curves

    Raises
    ------
    TypeError
        If `model` is no module, `image` or `attribution` no floating-point tensor, or a
        number of another type.
    ValueError
        If the image is no single finite image that the model can take, the attribution is
        not finite or of another size, the model no classifier, there is no class `target`,
        or `steps` is below 1.

    References
    ----------
    V. Petsiuk, A. Das and K. Saenko, "RISE: randomized input sampling for explanation of
    black-box models", BMVC 2018, arXiv:1806.07421.

    Examples
    --------
    >>> import torch, dlip
    >>> model = dlip.models.DigitCNN()
    >>> images, labels = dlip.data.digits("test")
    >>> explanation = dlip.explain.occlusion(model, images[0], window=7, stride=7)
    >>> curves = dlip.explain.deletion_insertion(model, images[0], explanation, steps=4)
    >>> curves.fractions
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    with undisturbed(model), torch.no_grad():
        whole = input_batch(model, image)
        _check_attribution(attribution, image)
        integer(steps, "steps", least=1)
        if baseline is None:
            removed = torch.zeros_like(whole[0])
            start = correlate(whole[0], gaussian(11, 5.0), fill="replicate")
        else:
            removed = start = filling(baseline, whole[0])
        target = target_class(class_scores(model, whole), target)
        at_once = images_at_once(batch_size, whole[0])

        order = attribution.flatten().argsort(descending=True, stable=True)
        rank = order.argsort().reshape(attribution.shape).to(whole.device)  # 0: most important
        counts = [round(step * rank.numel() / steps) for step in range(steps + 1)]

        def probabilities(early: Tensor, late: Tensor) -> Tensor:
            """Show `early` at the first so many pixels of the order, elsewhere `late`."""
            found = []
            for i in range(0, len(counts), at_once):
                first = torch.stack([rank < count for count in counts[i : i + at_once]])
                images = torch.where(first[:, None], early, late)
                found.append(model(channels_last(images)).softmax(dim=1)[:, target])
            return torch.cat(found).to(image)

        deletion = probabilities(removed, whole[0])
        insertion = probabilities(whole[0], start)
    fractions = torch.tensor(counts).to(image) / rank.numel()
    return Curves(
        fractions,
        deletion,
        insertion,
        torch.trapezoid(deletion, fractions).item(),
        torch.trapezoid(insertion, fractions).item(),
    )


def _check_attribution(attribution: Tensor, image: Tensor) -> None:
    if not isinstance(attribution, Tensor):
        raise TypeError(
            f"expected the attribution as a torch.Tensor, got {type(attribution).__name__}"
        )
    if not attribution.is_floating_point():
        raise TypeError(
            f"expected the attribution in floating-point values, got {attribution.dtype}"
        )
    if attribution.shape != image.shape[1:]:
        raise ValueError(
            f"expected an attribution of the image's size {tuple(image.shape[1:])}, "
            f"got {tuple(attribution.shape)}"
        )
    if not torch.isfinite(attribution).all():
        raise ValueError("expected finite values, got an attribution with NaN or infinity")
