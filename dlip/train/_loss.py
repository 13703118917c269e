"""Comparing the model's scores with the targets, and saying what does not fit."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes scores and targets and returns one number, the mean over the batch."""


def compare(scores: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor | None]:
    """Return the loss, and how many targets have the highest score.

    Parameters
    ----------
    scores
        What the model returned, on its device.
    targets
        Still on the CPU, so that they can be looked at.
    loss
        A function of scores and targets.

    Returns
    -------
    loss : Tensor
        One number.
    hits : Tensor or None
        A count, on the device of the scores; None if the targets are no classes.

    Raises
    ------
    TypeError
        If targets are of the wrong type.
    ValueError
        If a shape does not fit, a label lies outside the classes, or the loss is no number.
    """
    _check_shapes(scores, targets, loss)
    if scores.device.type != "cpu":
        # At a wrong label a GPU would end the program with an error that does not name it.
        _check_labels(scores, targets, loss)
    answers = targets.to(scores.device)
    try:
        value = loss(scores, answers)
    except IndexError:
        _check_labels(scores, targets, loss)
        raise
    if not isinstance(value, Tensor) or value.ndim:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"expected the loss as one number, the mean over the batch, got {got}")
    if torch.is_grad_enabled() and not value.requires_grad:
        raise ValueError(
            "the loss does not depend on any trainable parameter: is the result of the model "
            "detached, or are its trainable parts not used?"
        )
    hits = (scores.argmax(1) == answers).sum() if are_classes(scores, answers) else None
    return value, hits


def are_classes(scores: Tensor, targets: Tensor) -> bool:
    """Say whether targets (N, …) are numbers of classes, with scores (N, classes, …)."""
    return not targets.is_floating_point() and scores.ndim == targets.ndim + 1


def _check_shapes(scores: Tensor, targets: Tensor, loss: Loss) -> None:
    if loss is not F.cross_entropy:
        # mse_loss would compare each of N targets with each of N scores of shape (N, 1).
        if scores.shape != targets.shape and scores.numel() == targets.numel():
            raise ValueError(
                f"the model returns shape {tuple(scores.shape)}, the targets have shape "
                f"{tuple(targets.shape)}: make them equal, such as by targets.unsqueeze(1)"
            )
    elif targets.is_floating_point():
        raise TypeError(
            f"expected targets to be numbers of classes (int64), got {targets.dtype}; to learn "
            "values instead of classes, give another loss, such as torch.nn.functional.mse_loss"
        )
    elif targets.dtype.itemsize != 8:
        raise TypeError(f"expected targets to be int64, got {targets.dtype}; use targets.long()")
    elif not are_classes(scores, targets) or scores.shape[2:] != targets.shape[1:]:
        raise ValueError(
            "expected scores of shape (N, classes) and targets of shape (N,), got "
            f"{tuple(scores.shape)} from the model and targets {tuple(targets.shape)}"
        )


def _check_labels(scores: Tensor, targets: Tensor, loss: Loss) -> None:
    if loss is not F.cross_entropy or targets.device.type != "cpu":
        return
    classes, (lowest, highest) = scores.shape[1], targets.aminmax()
    if lowest < 0 or highest >= classes:
        label = int(lowest) if lowest < 0 else int(highest)
        raise ValueError(
            f"the model has {classes} classes, 0 to {classes - 1}, but there is a target {label}"
        )
