"""Occlusion: cover a part of the image and see by how much the score falls.

Captum's `Occlusion` computes the same, but all of the model for each window; leaving out what
a window cannot change (`_windows`, `_fold`) takes a third of the time, as `make bench` shows.
"""

from itertools import product

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dlip._check import integer
from dlip._model import channels_last, input_batch, undisturbed
from dlip.explain._common import class_scores, filling, images_at_once, target_class
from dlip.explain._fold import folded
from dlip.explain._windows import cover, find_front, scores_local, scores_plain

__all__ = ["occlusion"]


def occlusion(
    model: nn.Module,
    image: Tensor,
    target: int | Tensor | None = None,
    *,
    window: int = 32,
    stride: int = 16,
    baseline: float | Tensor = 0.0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Slide a gray square over the image and measure by how much it lowers a class's score.

    A pixel's value is the drop of the score (logit), averaged over all windows that cover the
    pixel. Where it is high, the model needs what was covered. Negative values: covering
    helps the class.

    The windows begin at 0, `stride`, 2·`stride`, … pixels until the image is covered; the
    last ones are cut off at its edge. So 224×224 pixels with the default settings take
    13 · 13 = 169 evaluations, and half the stride takes four times as many.

    Parameters
    ----------
    model
        A classifier: (N, C, H, W) → scores (N, classes).
    image
        The model's preprocessed input, shape (C, H, W), floating-point, finite.
    target
        The class; None: the one that the model predicts.
    window
        Side of the square in pixels, at most the shorter side of the image.
    stride
        How many pixels the square moves at a time, at most `window`, or parts of the image
        would never be covered.
    baseline
        What the square is filled with, in the input's units: a number, or a tensor of shape
        (C, 1, 1) or (C, H, W). 0 is gray for inputs that are centred on zero.
    batch_size
        Windows evaluated at a time; by default what suits the processor's caches or the
        graphics card's memory.
    progress
        True: show a progress bar.

    Returns
    -------
    Tensor
        Shape (H, W), dtype and device of `image`, in units of the score; signed. The same as
        Captum's `Occlusion` with windows over all channels.

    Raises
    ------
    TypeError
        If `model` is no module, `image` no floating-point tensor, or a number of another type.
    ValueError
        If the image is no single finite image that the model can take, the model no
        classifier, there is no class `target`, or window and stride do not fit.

    References
    ----------
    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
    ECCV 2014, arXiv:1311.2901.

    Examples
    --------
    A "network" whose score is the sum of all pixels loses 4 wherever 2×2 ones are covered:

    >>> import torch, dlip
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1, bias=False))
    >>> _ = torch.nn.init.ones_(model[1].weight)
    >>> dlip.explain.occlusion(model, torch.ones(1, 4, 4), window=2, stride=2)[0]
    tensor([4., 4., 4., 4.])
    """
    # Inference mode would hide the single operations that `find_front` has to see.
    with undisturbed(model), torch.inference_mode(False), torch.no_grad():
        whole = input_batch(model, image).clone()
        corners = _corners(whole, window, stride)
        gray = filling(baseline, whole[0])
        at_once = images_at_once(batch_size, whole[0])
        scores = class_scores(model, whole)
        target = target_class(scores, target)

        fast, front = model, None
        if len(corners) > 40:  # the preparations take as long as some twenty windows
            covered = cover(whole[0], gray, corners[len(corners) // 2], window)
            fast = folded(model, channels_last(torch.stack([whole[0], covered])))
            front = find_front(fast, whole, gray, window)
        if front is not None and batch_size is None:
            at_once *= 2  # the largest maps are computed for a part of the image only
        total = torch.zeros_like(whole[0, 0])  # of the drops, for each pixel
        times = torch.zeros_like(whole[0, 0])  # that it was covered
        bar = tqdm(total=len(corners), desc="occlusion", disable=not progress)
        with bar:
            for start in range(0, len(corners), at_once):
                some = corners[start : start + at_once]
                if front is None:
                    covered = scores_plain(fast, whole, gray, some, window)
                else:
                    covered = scores_local(fast, front, whole, gray, some, window)
                drops = scores[0, target] - covered[:, target]
                for drop, (y, x) in zip(drops, some, strict=True):
                    total[y : y + window, x : x + window] += drop
                    times[y : y + window, x : x + window] += 1
                bar.update(len(some))
    return (total / times).to(image)


def _corners(batch: Tensor, window: int, stride: int) -> list[tuple[int, int]]:
    """Return the upper left corners (y, x) of all windows."""
    height, width = batch.shape[-2:]
    integer(window, "window", least=1)
    integer(stride, "stride", least=1)
    if window > min(height, width):
        raise ValueError(
            f"expected a window of at most {min(height, width)} pixels, the shorter side of the "
            f"image of {height}×{width}, got {window}"
        )
    if stride > window:
        raise ValueError(
            f"expected a stride of at most {window}, the side of the window, so that every pixel "
            f"is covered, got {stride}"
        )
    down = range(0, height - window + stride, stride)
    right = range(0, width - window + stride, stride)
    return list(product(down, right))
