"""Colour pictures to learn colorization from, and others to test it with.

There are few: six colour photographs, three gray ones that are tinted, and 128 cut-outs. How
they are divided decides what a test says, so both kinds of division are here: regions of
photographs of which other regions are for training, and photographs kept apart as a whole.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as TF
from torch import Tensor
from torchvision.transforms import InterpolationMode

from dlip._check import describe, integer, known
from dlip.data.cutouts import Cutouts, cutouts, scene
from dlip.data.samples import sample_image

__all__ = ["colorization_crops", "colorization_cutouts", "colorization_photographs"]

SHARED = ("astronaut", "rocket", "hubble")
"""Photographs of which one region is for training, one for choosing, one for testing."""

TINTED = ("brick", "grass", "gravel")
"""Gray photographs that `scene` tints, divided in the same way."""

UNSEEN = ("cat", "coffee", "retina")
"""Photographs that are for testing as a whole."""

PARTS = ("train", "val", "test")


def colorization_photographs(
    part: Literal["train", "val", "test", "unseen"],
) -> dict[str, Tensor]:
    """Return colour photographs, or regions of them, for training, choosing or testing.

    Of each of six pictures (astronaut, rocket, hubble, brick, grass, gravel) the right quarter
    is for testing, of the rest the lowest quarter for choosing, and what is left for training.
    Three photographs (cat, coffee, retina) are kept apart as a whole.

    Parameters
    ----------
    part
        "train", "val" or "test": a region of each of the six. "unseen": the other three.

    Returns
    -------
    dict
        Name and picture (3, H, W), float32, from 0 to 1. Brick, grass and gravel are gray
        photographs that `scene` tints.

    Raises
    ------
    ValueError
        If `part` is none of these.

    Examples
    --------
    >>> import dlip
    >>> for part in ("train", "val", "test"):
    ...     print(part, tuple(dlip.data.colorization_photographs(part)["astronaut"].shape))
    train (3, 384, 384)
    val (3, 128, 384)
    test (3, 512, 128)
    >>> list(dlip.data.colorization_photographs("unseen"))
    ['cat', 'coffee', 'retina']
    """
    known(part, (*PARTS, "unseen"), "part")
    if part == "unseen":
        return {name: sample_image(name) for name in UNSEEN}
    whole = {name: sample_image(name) for name in SHARED}
    whole |= {name: scene(name) for name in TINTED}
    return {name: _region(picture, part) for name, picture in whole.items()}


def colorization_cutouts(part: Literal["train", "val", "test"]) -> Cutouts:
    """Return the cut-outs for training, choosing or testing: about 70, 15 and 15 % of each class.

    Cut-outs whose names begin with the same word, such as `gnu_baby` and `gnu_stand`, may show
    the same animal. They are always in the same part.

    Parameters
    ----------
    part
        "train", "val" or "test".

    Returns
    -------
    Cutouts
        As `cutouts` returns them, in the same order.

    Raises
    ------
    ValueError
        If `part` is none of these.

    Examples
    --------
    >>> import dlip
    >>> for part in ("train", "val", "test"):
    ...     print(f"{part:<5} {dlip.data.colorization_cutouts(part)}")
    train <85 cut-outs: 20 bird, 13 flower, 13 fruit, 39 mammal>
    val   <21 cut-outs: 4 bird, 3 flower, 7 fruit, 7 mammal>
    test  <22 cut-outs: 5 bird, 3 flower, 4 fruit, 10 mammal>
    """
    known(part, PARTS, "part")
    cut = cutouts()
    chosen = torch.tensor([i for i, its_part in enumerate(_parts(cut)) if its_part == part])
    return Cutouts(
        images=cut.images[chosen],
        labels=cut.labels[chosen],
        classes=cut.classes,
        names=tuple(cut.names[i] for i in chosen),
    )


def colorization_crops(
    photographs: Mapping[str, Tensor],
    cut: Cutouts,
    count: int,
    size: int = 64,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw square pictures to train with.

    One in three is a piece of a photograph. In the other two a cut-out is pasted: in one onto
    such a piece, in the other onto a plain gray, so that the background says nothing. By lot
    are drawn: the piece and how large it is, from `size` pixels to the whole picture; the
    cut-out, its size and place and a turn of up to 15°; whether all is mirrored; and the
    exposure, by a power of 0.7 to 1.4.

    Parameters
    ----------
    photographs
        At least one, each (3, H, W), from 0 to 1; from `colorization_photographs`.
    cut
        From `colorization_cutouts`.
    count
        How many, at least 1.
    size
        Height and width in pixels, at least 16.
    generator
        Of random numbers; by default PyTorch's own.

    Returns
    -------
    Tensor
        Shape (count, 3, size, size), float32, from 0 to 1.

    Raises
    ------
    TypeError
        If `cut` is no `Cutouts`, or a number no integer.
    ValueError
        If there is no photograph, or a number is too small.

    Examples
    --------
    >>> import dlip
    >>> photographs = dlip.data.colorization_photographs("train")
    >>> cut = dlip.data.colorization_cutouts("train")
    >>> dlip.data.colorization_crops(photographs, cut, 8).shape
    torch.Size([8, 3, 64, 64])
    """
    integer(count, "count", least=1)
    integer(size, "size", least=16)
    if not isinstance(cut, Cutouts):
        raise TypeError(f"expected cut-outs as dlip.data.cutouts returns, got {describe(cut)}")
    if not photographs:
        raise ValueError("expected at least one photograph, got none")
    pictures = []
    for _ in range(count):
        kind = _draw(3, generator)
        chosen = list(photographs.values())[_draw(len(photographs), generator)]
        picture = _piece(chosen, size, generator)
        if kind == 0:
            picture = torch.full_like(picture, _uniform(0, 1, generator))
        if kind < 2:
            picture = _paste(cut.images[_draw(len(cut), generator)], picture, generator)
        if _draw(2, generator):
            picture = picture.flip(-1)
        pictures.append(picture ** _uniform(0.7, 1.4, generator))
    return torch.stack(pictures)


def _parts(cut: Cutouts) -> list[str]:
    """Return the part of each cut-out. Of each class, groups fill the parts in random order."""
    generator = torch.Generator().manual_seed(0)
    parts = [""] * len(cut)
    for label in range(len(cut.classes)):
        members = torch.where(cut.labels == label)[0].tolist()
        groups: dict[str, list[int]] = {}
        for i in members:
            groups.setdefault(cut.names[i].partition("_")[0], []).append(i)
        names = sorted(groups)
        done = 0.0
        for k in torch.randperm(len(names), generator=generator).tolist():
            part = "test" if done < 0.15 else "val" if done < 0.3 else "train"
            for i in groups[names[k]]:
                parts[i] = part
            done += len(groups[names[k]]) / len(members)
    return parts


def _region(picture: Tensor, part: str) -> Tensor:
    """Return the region of a picture that belongs to a part."""
    height, width = picture.shape[-2:]
    bottom, right = height - height // 4, width - width // 4
    if part == "test":
        return picture[:, :, right:]
    return picture[:, :bottom, :right] if part == "train" else picture[:, bottom:, :right]


def _piece(picture: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """Cut a square out at random, from `size` pixels to the whole picture, and resize it."""
    most = min(picture.shape[-2:])
    least = min(size, most)
    side = round(least * (most / least) ** _uniform(0, 1, generator))
    top, left = (_draw(room - side + 1, generator) for room in picture.shape[-2:])
    return _resize(picture[:, top : top + side, left : left + side], size)


def _paste(cutout: Tensor, picture: Tensor, generator: torch.Generator | None) -> Tensor:
    """Lay a cut-out on a picture, in a random size and place; parts of it may lie outside."""
    size = picture.shape[-1]
    side = round(_uniform(0.6, 1.4, generator) * size)
    alpha = cutout[3:]
    small = _resize(torch.cat([alpha * cutout[:3], alpha]), side)
    small = TF.rotate(small, _uniform(-15, 15, generator), InterpolationMode.BILINEAR)
    top, left = (
        (size - side) // 2 + round(_uniform(-0.3, 0.3, generator) * size) for _ in range(2)
    )
    small = F.pad(small, (left, size - side - left, top, size - side - top))
    return small[:3] + (1 - small[3:]) * picture


def _resize(picture: Tensor, side: int) -> Tensor:
    small = F.interpolate(picture[None], (side, side), mode="bilinear", antialias=True)
    return small[0].clamp(0, 1)


def _draw(count: int, generator: torch.Generator | None) -> int:
    """Draw one of the numbers 0 … count − 1."""
    return int(torch.randint(count, (1,), generator=generator))


def _uniform(low: float, high: float, generator: torch.Generator | None) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))
