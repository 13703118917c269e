"""What turns a network into a detector: default boxes, targets, loss, and reading the answer.

A detector such as `dlip.models.DigitSSD` answers for thousands of prepared boxes at the same
time. This module holds what surrounds it, with the names of the paper on SSD:

=======================  ===========================================================
`default_boxes`          the prepared boxes
`encode`, `decode`       a box as four offsets from a default box, and back
`match`                  which default box is to find which object
`hard_negatives`         which of the empty boxes count in the loss
`multibox_loss`          the loss
`detect`                 from the network's answers to a few boxes with names
=======================  ===========================================================

A box is (left, top, right, bottom) in pixels. The intersection over union of boxes and the
non-maximum suppression are torchvision's: `torchvision.ops.box_iou`, `batched_nms`.

References
----------
W. Liu et al., "SSD: single shot multibox detector", ECCV 2016.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, box_convert, box_iou, clip_boxes_to_image

from dlip._check import describe, integer
from dlip._model import undisturbed

__all__ = [
    "decode",
    "default_boxes",
    "detect",
    "encode",
    "hard_negatives",
    "match",
    "multibox_loss",
]

VARIANCES = (0.1, 0.2)
"""Offsets are divided by these, of the centre and of the size, to have a spread of about 1."""


def default_boxes(
    side: int, grids: Sequence[int], shapes: Sequence[Sequence[tuple[float, float]]]
) -> Tensor:
    """Return the prepared boxes of all feature maps, around the centres of their cells.

    Parameters
    ----------
    side
        Height and width of the picture in pixels.
    grids
        For each feature map its height and width, such as (24, 12, 6).
    shapes
        For each feature map the (width, height) in pixels of the boxes of one cell.

    Returns
    -------
    Tensor
        Shape (P, 4), float32, P the sum of grid² × shapes over the maps. They come map by map,
        row by row, cell by cell; the boxes of one cell are neighbours. Boxes at the border
        reach out of the picture.

    Raises
    ------
    TypeError, ValueError
        If a size is no positive number, or the numbers of maps differ.

    Examples
    --------
    >>> from dlip.detection import default_boxes
    >>> default_boxes(96, [2, 1], [[(20, 20)], [(40, 80)]])[:2]
    tensor([[14., 14., 34., 34.],
            [62., 14., 82., 34.]])
    """
    integer(side, "side", least=1)
    if len(grids) != len(shapes):
        raise ValueError(f"expected shapes for each of {len(grids)} maps, got {len(shapes)}")
    boxes = []
    for grid, sizes in zip(grids, shapes, strict=True):
        integer(grid, "a grid", least=1)
        if not sizes or min(min(size) for size in sizes) <= 0:
            raise ValueError(f"expected (width, height) above 0 for each map, got {sizes}")
        middles = (torch.arange(grid) + 0.5) * side / grid
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2)  # cells, 1, 2
        halves = torch.tensor(sizes).float() / 2  # shapes, 2
        boxes.append(torch.cat([centres - halves, centres + halves], dim=-1).reshape(-1, 4))
    return torch.cat(boxes)


def encode(boxes: Tensor, defaults: Tensor) -> Tensor:
    """Say how default boxes must be moved and stretched to become boxes.

    With centres (cx, cy) and sizes (w, h) of a box and (dx, dy), (dw, dh) of its default box:
    ((cx − dx) / dw, (cy − dy) / dh) / 0.1 and (ln(w / dw), ln(h / dh)) / 0.2. Dividing by the
    size makes a shift mean the same for small and large boxes.

    Parameters
    ----------
    boxes, defaults
        Shape (…, 4), (left, top, right, bottom); of the same shape, or such that one can be
        broadcast to the other. Widths and heights above 0.

    Returns
    -------
    Tensor
        The offsets, shape (…, 4).

    Raises
    ------
    ValueError
        If the last dimension is not 4.

    Examples
    --------
    >>> import torch
    >>> from dlip.detection import encode
    >>> encode(torch.tensor([12.0, 10, 32, 30]), torch.tensor([10.0, 10, 30, 30]))
    tensor([1., 0., 0., 0.])
    """
    _check_boxes(boxes, "boxes")
    _check_boxes(defaults, "defaults")
    box, default = (box_convert(b, "xyxy", "cxcywh") for b in (boxes, defaults))
    centre = (box[..., :2] - default[..., :2]) / default[..., 2:]
    size = (box[..., 2:] / default[..., 2:]).log()
    return torch.cat([centre / VARIANCES[0], size / VARIANCES[1]], dim=-1)


def decode(offsets: Tensor, defaults: Tensor) -> Tensor:
    """Move and stretch default boxes: the inverse of `encode`.

    Parameters
    ----------
    offsets, defaults
        Shape (…, 4), of the same shape or such that one can be broadcast to the other.

    Returns
    -------
    Tensor
        The boxes, shape (…, 4), (left, top, right, bottom).

    Raises
    ------
    ValueError
        If the last dimension is not 4.

    Examples
    --------
    >>> import torch
    >>> from dlip.detection import decode
    >>> decode(torch.tensor([1.0, 0, 0, 0]), torch.tensor([10.0, 10, 30, 30]))
    tensor([12., 10., 32., 30.])
    """
    _check_boxes(offsets, "offsets")
    _check_boxes(defaults, "defaults")
    default = box_convert(defaults, "xyxy", "cxcywh")
    centre = default[..., :2] + offsets[..., :2] * VARIANCES[0] * default[..., 2:]
    size = default[..., 2:] * (offsets[..., 2:] * VARIANCES[1]).exp()
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def match(boxes: Tensor, defaults: Tensor, threshold: float = 0.5) -> Tensor:
    """Say for each default box which object it is to find, or that it is to find none.

    A default box is matched with the object that it overlaps most, if the intersection over
    union is above the threshold. Besides, each object gets the default box that overlaps it
    most, however little that is, so that none goes without. (If two objects have the same best
    default box, the later one gets it.)

    Parameters
    ----------
    boxes
        The objects of one picture, shape (n, 4); n may be 0.
    defaults
        Shape (P, 4).
    threshold
        From 0 to 1.

    Returns
    -------
    Tensor
        Shape (P,), int64: the number of the object, 0 … n − 1, or −1 for none.

    Raises
    ------
    ValueError
        If a shape does not fit or the threshold is not from 0 to 1.

    Examples
    --------
    >>> import torch
    >>> from dlip.detection import match
    >>> defaults = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10]])
    >>> match(torch.tensor([[1.0, 0, 11, 10]]), defaults)
    tensor([ 0, -1, -1])
    """
    _check_boxes(boxes, "boxes", dims=2)
    _check_boxes(defaults, "defaults", dims=2)
    _check_share(threshold, "threshold")
    if len(boxes) == 0:
        return torch.full((len(defaults),), -1, device=defaults.device)
    iou: Tensor = box_iou(boxes, defaults)
    best, matched = iou.max(dim=0)  # for each default box
    matched[best <= threshold] = -1
    matched[iou.argmax(dim=1)] = torch.arange(len(boxes), device=matched.device)
    return matched


def hard_negatives(loss: Tensor, positive: Tensor, ratio: int = 3) -> Tensor:
    """Choose the empty default boxes that count: those with the largest losses.

    Nearly all default boxes are empty. If all counted, a network that never finds anything
    would be nearly perfect.

    Parameters
    ----------
    loss
        The loss of the class of each default box, shape (N, P).
    positive
        Which boxes are matched with an object, bool, shape (N, P).
    ratio
        How many empty boxes there are for each matched one, in each picture; at least 1. A
        picture without objects has none.

    Returns
    -------
    Tensor
        The chosen boxes, bool, shape (N, P).

    Raises
    ------
    TypeError, ValueError
        If `ratio` is no integer from 1 on, or the shapes differ.

    Examples
    --------
    >>> import torch
    >>> from dlip.detection import hard_negatives
    >>> loss, positive = torch.tensor([[0.1, 0.9, 0.2, 0.7]]), torch.tensor([[0, 1, 0, 0]]).bool()
    >>> hard_negatives(loss, positive, ratio=2)
    tensor([[False, False,  True,  True]])
    """
    integer(ratio, "ratio", least=1)
    if loss.ndim != 2 or loss.shape != positive.shape:
        raise ValueError(
            "expected loss and positive of the same shape (N, P), "
            f"got {tuple(loss.shape)} and {tuple(positive.shape)}"
        )
    negative_loss = loss.detach().masked_fill(positive, -torch.inf)
    rank = negative_loss.argsort(dim=1, descending=True).argsort(dim=1)
    return (rank < ratio * positive.sum(dim=1, keepdim=True)) & ~positive


def multibox_loss(
    offsets: Tensor,
    scores: Tensor,
    targets: Sequence[Mapping[str, Tensor]],
    defaults: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the two parts of SSD's loss; their sum is what is minimized.

    The first, smooth L1 (with its bend at 1), is the difference between the offsets and those
    that fit the object, over all matched default boxes. The second, cross-entropy, is taken
    over the matched boxes and three times as many empty ones, the worst (`hard_negatives`).
    Both are sums, divided by the number of matched boxes in the batch.

    Parameters
    ----------
    offsets, scores
        What the network answers: shapes (N, P, 4) and (N, P, 1 + classes). Score 0 is that of
        the background.
    targets
        For each picture `"boxes"` (n, 4) and `"labels"` (n,), labels from 0 to classes − 1.
    defaults
        Shape (P, 4).

    Returns
    -------
    location, confidence : Tensor
        Two numbers; 0 if no picture holds an object.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.DigitSSD()
    >>> images, targets = dlip.data.digit_scenes(2)
    >>> location, confidence = dlip.detection.multibox_loss(*model(images), targets, model.defaults)
    >>> location.shape, confidence.shape
    (torch.Size([]), torch.Size([]))
    """
    _check_boxes(defaults, "defaults", dims=2)
    wanted = (len(targets), len(defaults))
    if offsets.shape != (*wanted, 4) or scores.ndim != 3 or scores.shape[:2] != wanted:
        raise ValueError(
            f"expected offsets {(*wanted, 4)} and scores {wanted} + (1 + classes,), "
            f"got {tuple(offsets.shape)} and {tuple(scores.shape)}"
        )
    right_class = torch.zeros(wanted, dtype=torch.int64, device=scores.device)
    right_offsets = torch.zeros_like(offsets)
    for i, target in enumerate(targets):
        matched = match(target["boxes"], defaults)
        found = matched >= 0
        right_class[i, found] = target["labels"][matched[found]] + 1
        right_offsets[i, found] = encode(target["boxes"][matched[found]], defaults[found])
    positive = right_class > 0
    count = positive.sum().clamp(min=1)
    location = F.smooth_l1_loss(offsets[positive], right_offsets[positive], reduction="sum")
    loss = F.cross_entropy(scores.flatten(0, 1), right_class.flatten(), reduction="none")
    loss = loss.reshape(wanted)
    counted = positive | hard_negatives(loss, positive)
    return location / count, loss[counted].sum() / count


@torch.no_grad()
def detect(
    model: nn.Module,
    images: Tensor,
    *,
    threshold: float = 0.5,
    overlap: float = 0.45,
    most: int = 100,
) -> list[dict[str, Tensor]]:
    """Find the objects in pictures: decode, keep what is probable, suppress what is double.

    Parameters
    ----------
    model
        A network with the default boxes as `model.defaults`, such as
        `dlip.models.DigitSSD`. It computes in evaluation mode and is left as it was.
    images
        Shape (N, channels, H, W), as the network wants them, on its device.
    threshold
        Boxes with a lower probability are dropped. For an average precision take 0.01, for a
        picture 0.5.
    overlap
        Of two boxes of the same class with a larger intersection over union, the less
        probable is dropped.
    most
        How many boxes of a picture are kept at most, the most probable ones.

    Returns
    -------
    list of dict
        For each picture `"boxes"` (n, 4) in the picture, `"labels"` (n,), int64, from 0 on,
        and `"scores"` (n,), the probabilities, which fall. torchmetrics takes them as they are.

    Raises
    ------
    TypeError
        If the model is no module or `most` no integer.
    ValueError
        If a number is out of its range or the images are no batch.

    Examples
    --------
    >>> import dlip
    >>> images, targets = dlip.data.digit_scenes(1, "test")
    >>> [found] = dlip.detection.detect(dlip.models.DigitSSD(), images, threshold=0)
    >>> found["boxes"].shape, found["scores"].shape
    (torch.Size([100, 4]), torch.Size([100]))
    """
    _check_share(threshold, "threshold")
    _check_share(overlap, "overlap")
    integer(most, "most", least=1)
    if images.ndim != 4:
        raise ValueError(f"expected images (N, channels, H, W), got {tuple(images.shape)}")
    with undisturbed(model):
        offsets, scores = model(images)
    every_box = decode(offsets, model.get_buffer("defaults"))
    every_box = clip_boxes_to_image(every_box, (images.shape[2], images.shape[3]))
    found = []
    for boxes, probabilities in zip(every_box, scores.softmax(dim=2)[..., 1:], strict=True):
        box, label = (probabilities >= threshold).nonzero(as_tuple=True)
        score = probabilities[box, label]
        keep = batched_nms(boxes[box], score, label, overlap)[:most]
        found.append(
            {"boxes": boxes[box[keep]], "labels": label[keep], "scores": score[keep]},
        )
    return found


def _check_boxes(boxes: Tensor, what: str, dims: int | None = None) -> None:
    if not isinstance(boxes, Tensor):
        raise TypeError(f"expected {what} as a tensor, got {describe(boxes)}")
    if boxes.ndim == 0 or boxes.shape[-1] != 4 or (dims is not None and boxes.ndim != dims):
        shape = "(n, 4)" if dims == 2 else "(…, 4)"
        raise ValueError(f"expected {what} of shape {shape}, got {tuple(boxes.shape)}")


def _check_share(value: float, what: str) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"expected {what} to be from 0 to 1, got {describe(value)}")
