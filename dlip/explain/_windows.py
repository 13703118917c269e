"""The scores of an image of which one window is covered, for many windows.

`scores_plain` says what is computed. `scores_local` computes the same in half the time or less:
the first layers, which are the expensive ones because their maps are large, see only the
window and what lies around it. Whether a model allows this is found out by `find_front`.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlip._fields import Field, FollowFields
from dlip._model import channels_last, is_compiled

Corner = tuple[int, int]


def scores_plain(
    model: nn.Module, batch: Tensor, gray: Tensor, corners: list[Corner], window: int
) -> Tensor:
    """Return the scores (len(corners), classes) of the image with each window covered.

    `batch` is the image as a batch of one; `gray` is what covers it, as large as the image;
    `corners` are the upper left corners (y, x) of the windows.
    """
    covered = [cover(batch[0], gray, corner, window) for corner in corners]
    scores: Tensor = model(channels_last(torch.stack(covered)))
    return scores


def cover(image: Tensor, gray: Tensor, corner: Corner, window: int) -> Tensor:
    """Return a copy of the image with one window covered."""
    covered = image.clone()
    inside = (..., slice(corner[0], corner[0] + window), slice(corner[1], corner[1] + window))
    covered[inside] = gray[inside]
    return covered


@dataclass(frozen=True)
class Front:
    """The first part of a model, up to a layer through which everything passes.

    Attributes
    ----------
    layer : nn.Module
        The last layer of this part.
    maps : Tensor
        What it makes of the whole image, shape (1, K, h, w).
    field : Field
        The receptive field of a value of these maps.
    side : int
        Side in pixels of a crop that holds all that a window touches, anywhere.
    """

    layer: nn.Module
    maps: Tensor
    field: Field
    side: int


def scores_local(
    model: nn.Module,
    front: Front,
    batch: Tensor,
    gray: Tensor,
    corners: list[Corner],
    window: int,
) -> Tensor:
    """Return what `scores_plain` returns, with the front computed on crops of the image.

    Covering a window changes few values of the front's maps. The model gets crops of the
    image in place of the image. When its front is done, the values that the window touches
    are pasted into the maps of the whole image, with which the model goes on.
    """
    crops, places = [], []
    for corner in corners:
        down, right = (_place(front, batch, corner[axis], window, axis) for axis in (0, 1))
        crops.append(cover(batch[0], gray, corner, window)[:, down.crop, right.crop])
        places.append((down, right))

    def paste(module: nn.Module, inputs: Any, of_crops: Tensor) -> Tensor:
        pasted = channels_last(front.maps.repeat(len(corners), 1, 1, 1))
        for whole, part, (down, right) in zip(pasted, of_crops, places, strict=True):
            whole[:, down.touched, right.touched] = part[:, down.of_crop, right.of_crop]
        return pasted

    with front.layer.register_forward_hook(paste, prepend=True):
        scores: Tensor = model(channels_last(torch.stack(crops)))
    return scores


@dataclass(frozen=True)
class _Place:
    """Rows, or columns, that belong to a window."""

    crop: slice  # of the image: the crop
    touched: slice  # of the maps of the whole image: what the window touches
    of_crop: slice  # the same values in the maps of the crop


def _place(front: Front, batch: Tensor, start: int, window: int, axis: int) -> _Place:
    size, stride, padding = (
        numbers[axis] for numbers in (front.field.size, front.field.stride, front.field.padding)
    )
    length, values = batch.shape[2 + axis], front.maps.shape[2 + axis]
    # Value p depends on the rows from p·stride − padding on, `size` of them.
    first = max(0, -((size - 1 - padding - start) // stride))
    last = min(values - 1, (start + window - 1 + padding) // stride)
    # Crops begin at multiples of the stride, so that their values are those of the whole map.
    begin = max(0, first * stride - padding) // stride * stride
    begin = min(begin, length - front.side)
    offset = begin // stride
    return _Place(
        crop=slice(begin, begin + front.side),
        touched=slice(first, last + 1),
        of_crop=slice(first - offset, last + 1 - offset),
    )


def find_front(model: nn.Module, batch: Tensor, gray: Tensor, window: int) -> Front | None:
    """Return the longest front that is worth it, or None if there is none.

    It ends at a layer whose values have a receptive field (`FollowFields`), and through which
    everything passes: nothing that was computed before it is used after it, but its output.
    Both are known of the operations that the model executes. As a model may use the size of
    what it gets, for instance to choose its padding, two windows are computed both ways.
    """
    if is_compiled(model):
        return None
    height, width = batch.shape[2:]
    fields = FollowFields()
    outputs: list[tuple[nn.Module, Tensor, int]] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            outputs.append((module, output, fields.clock))

    with ExitStack() as hooks:
        for module in model.modules():
            hooks.enter_context(module.register_forward_hook(note))
        fields.note(batch, Field())
        with fields:
            model(batch)

    fronts = []
    for module, output, time in outputs:
        _, field = fields.noted.get(id(output), (None, None))
        if not isinstance(field, Field) or field.adaptive or not fields.is_bottleneck(output, time):
            continue
        stride = field.stride[0]
        reach = window + 2 * (max(field.size) - 1)  # of the values that a window touches
        side = (reach // stride + 2) * stride
        once = [m for m, _, _ in outputs].count(module) == 1
        aligned = field.stride[1] == stride and height % stride == width % stride == 0
        if once and aligned and side < min(height, width) and 3 * side**2 <= height * width:
            fronts.append((module, field, side))

    for module, field, side in reversed(fronts[-3:]):
        front = _front_if_right(model, batch, gray, window, module, field, side)
        if front is not None:
            return front
    return None


def _front_if_right(
    model: nn.Module,
    batch: Tensor,
    gray: Tensor,
    window: int,
    layer: nn.Module,
    field: Field,
    side: int,
) -> Front | None:
    """Return the front that ends at a layer, if it gives the right results for two windows."""
    height, width = batch.shape[2:]
    corners = [(0, width - window), ((height - window) // 2, (width - window) // 2)]
    covered = [cover(batch[0], gray, corner, window) for corner in corners]
    maps: list[Tensor] = []
    with layer.register_forward_hook(lambda m, i, output: maps.append(output.clone())):
        try:
            plain = model(channels_last(torch.stack([batch[0], *covered])))
            front = Front(layer, maps[0][:1], field, side)
            local = scores_local(model, front, batch, gray, corners, window)
        except RuntimeError:  # sizes do not fit
            return None
    # Maps tell more than scores, which may hardly depend on them.
    return front if _close(maps[1], maps[0][1:]) and _close(local, plain[1:]) else None


def _close(values: Tensor, expected: Tensor) -> bool:
    return bool((values - expected).abs().max() <= 1e-4 * expected.abs().max())
