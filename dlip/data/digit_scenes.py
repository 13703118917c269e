"""Scenes for a detector: handwritten digits of several sizes among pieces of clothes."""

import math
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dlip._check import integer, known
from dlip.data.digits import digits
from dlip.data.fashion import fashion

__all__ = ["digit_scenes"]

SIDE = 96
"""Height and width of a scene in pixels."""

SMALLEST, LARGEST = 14, 46
"""The longer side of a digit in pixels."""

INK = 0.2
"""A pixel belongs to a digit if at least so much of it is ink."""

OVERLAP = 0.3
"""The largest part of a box that another box may cover."""


def digit_scenes(
    count: int, split: Literal["train", "val", "test"] = "train", *, seed: int = 0
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Return scenes of 1 to 6 handwritten digits, with a tight box around each.

    A digit's longer side has 14 to 46 pixels, each size in proportion as often as the next
    (a logarithmic draw); its two sides are stretched by up to 15 %. Digits may overlap: up to
    30 % of the smaller box. Behind them lie 2 to 6 pieces cut out of pictures of clothes, which
    are not to be found. The digits of the three splits are disjoint, as those of `digits`; so
    are the clothes of the test scenes and those of the others.

    Parameters
    ----------
    count
        How many scenes, at least 1.
    split
        Which of `digits`' parts the digits come from.
    seed
        At least 0. The same seed gives the same scenes; the first n of many are the n of few.

    Returns
    -------
    images : Tensor
        Shape (N, 1, 96, 96), float32, from 0 (black) to 1 (white).
    targets : list of dict
        For each scene `"boxes"`, shape (n, 4), float32, each (left, top, right, bottom) in
        pixels, and `"labels"`, shape (n,), int64, from 0 to 9. A box reaches from the left
        edge of the leftmost inked pixel to the right edge of the rightmost one, and likewise
        from top to bottom: it is tight, and right − left is a width.

    Raises
    ------
    TypeError, ValueError
        If `count` or `seed` is no such integer, there is no such split, or a shipped file is
        damaged.

    Examples
    --------
    >>> import dlip
    >>> images, targets = dlip.data.digit_scenes(8, "test")
    >>> images.shape, targets[0]["boxes"].shape[1]
    (torch.Size([8, 1, 96, 96]), 4)
    """
    integer(count, "count", least=1)
    integer(seed, "seed", least=0)
    known(split, ("train", "val", "test"), "split of digit_scenes")
    random = torch.Generator().manual_seed(seed)
    scenes = [_scene(*_parts(split), random) for _ in range(count)]
    return torch.stack([image for image, _ in scenes]), [target for _, target in scenes]


@cache
def _parts(split: Literal["train", "val", "test"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the digits of a split, their labels, and the clothes of its clutter."""
    pictures, labels = digits(split)
    clothes, _ = fashion("test" if split == "test" else "train")
    return pictures, labels, clothes


def _scene(
    pictures: Tensor, labels: Tensor, clothes: Tensor, random: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compose one scene: first the clutter, then the digits above it."""
    scene = torch.zeros(1, SIDE, SIDE)
    for _ in range(_whole(2, 6, random)):
        piece = _clutter(clothes, random)
        _paste(scene, piece, _corner(piece, random), _real(0.2, 0.7, random))
    boxes: list[list[int]] = []
    names: list[int] = []
    wanted = _whole(1, 6, random)
    for _ in range(4 * wanted):  # a digit that finds no place is left out
        if len(boxes) == wanted:
            break
        number = _whole(0, len(pictures) - 1, random)
        digit = _digit(pictures[number], random)
        top, left = _corner(digit, random)
        box = [left, top, left + digit.shape[2], top + digit.shape[1]]
        if all(_covered(box, other) <= OVERLAP for other in boxes):
            _paste(scene, digit, (top, left), _real(0.7, 1.0, random))
            boxes.append(box)
            names.append(int(labels[number]))
    return scene, {
        "boxes": torch.tensor(boxes, dtype=torch.float32),
        "labels": torch.tensor(names),
    }


def _digit(picture: Tensor, random: torch.Generator) -> Tensor:
    """Resize a digit and cut it off at its ink: (1, 28, 28) → (1, h, w)."""
    side = math.exp(_real(math.log(SMALLEST), math.log(LARGEST), random))
    picture = _cut(picture)
    scale = side / max(picture.shape[1:])
    height, width = (
        min(max(round(length * scale * stretch), 2), LARGEST)
        for length in picture.shape[1:]
        for stretch in [_real(0.85, 1.15, random)]
    )
    return _cut(_resize(picture, height, width))


def _clutter(clothes: Tensor, random: torch.Generator) -> Tensor:
    """Cut a rectangle out of a picture of clothes and resize it: (1, h, w)."""
    picture = clothes[_whole(0, len(clothes) - 1, random)]
    height, width = _whole(8, 28, random), _whole(8, 28, random)
    top, left = _whole(0, 28 - height, random), _whole(0, 28 - width, random)
    scale = _real(0.7, 1.8, random)
    piece = picture[:, top : top + height, left : left + width]
    return _resize(piece, round(height * scale), round(width * scale))


def _cut(picture: Tensor) -> Tensor:
    """Cut off the rows and columns at the borders in which there is no ink."""
    ink = picture[0] >= INK
    rows, columns = ink.any(dim=1).nonzero(), ink.any(dim=0).nonzero()
    return picture[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resize(picture: Tensor, height: int, width: int) -> Tensor:
    """Resize, smoothly and without aliasing: (1, H, W) → (1, height, width)."""
    return F.interpolate(picture[None], (height, width), mode="bilinear", antialias=True)[0]


def _paste(scene: Tensor, piece: Tensor, corner: tuple[int, int], brightness: float) -> None:
    """Lay a piece over the scene: opaque where it is 1, transparent where it is 0."""
    top, left = corner
    height, width = piece.shape[1:]
    below = scene[:, top : top + height, left : left + width]
    below += piece * (brightness - below)


def _corner(piece: Tensor, random: torch.Generator) -> tuple[int, int]:
    """Draw where the top left corner of a piece lies, so that all of it is in the scene."""
    height, width = piece.shape[1:]
    return _whole(0, SIDE - height, random), _whole(0, SIDE - width, random)


def _covered(box: list[int], other: list[int]) -> float:
    """Return the part of the smaller of two boxes that lies in the other."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return max(width, 0) * max(height, 0) / min(areas)


def _whole(least: int, most: int, random: torch.Generator) -> int:
    """Draw one of the integers least … most."""
    return int(torch.randint(least, most + 1, (1,), generator=random))


def _real(least: float, most: float, random: torch.Generator) -> float:
    """Draw a number between two others."""
    return least + (most - least) * float(torch.rand(1, generator=random))
