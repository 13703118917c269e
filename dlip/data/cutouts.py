"""Cut-out photographs of birds, flowers, fruits and mammals, to be pasted onto backgrounds.

What stands in the picture and what lies behind it are usually tied together: cows are
photographed on meadows. Here the two come apart, so that one can see which of them a network
looks at.
"""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dlip._check import describe, integer, known
from dlip.data.manifest import manifest, verify
from dlip.data.samples import sample_image

__all__ = ["SCENES", "Cutouts", "cutouts", "cutouts_folder", "paste", "scene"]

SIDE = 160
"""Height and width of a cut-out in pixels."""

SCENES: dict[str, tuple[str, tuple[float, float, float]]] = {
    "brick": ("brick", (1.00, 0.70, 0.58)),
    "grass": ("grass", (0.75, 1.00, 0.45)),
    "gravel": ("gravel", (1.00, 0.95, 0.85)),
    "stars": ("hubble", (1.00, 1.00, 1.00)),
}
"""The names `scene` knows: for each a photograph of `sample_names()` and a tint (R, G, B)."""

Background = Tensor | Sequence[Tensor] | Sequence[float]
"""A photograph (3, H, W), several photographs, or a colour (R, G, B)."""


@dataclass(frozen=True, repr=False)
class Cutouts:
    """What `cutouts` returns.

    Attributes
    ----------
    images
        Shape (N, 4, 160, 160), float32, from 0 to 1: red, green, blue, and alpha, which is 0
        where the picture is transparent and 1 where it is opaque. Each lies in the middle, and
        its longer side fills the square. Where alpha is 0 the colour is black.
    labels
        Shape (N,), int64: the number of each picture's class.
    classes
        The names of the classes in alphabetical order; a label is a place in this list.
    names
        What each picture shows, such as "crow"; alphabetical within a class.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)

    def __repr__(self) -> str:
        """Say how many pictures of each class these are."""
        counts = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        listed = (f"{count} {name}" for name, count in zip(self.classes, counts, strict=True))
        return f"<{len(self)} cut-outs: {', '.join(listed)}>"


def cutouts() -> Cutouts:
    """Return 128 photographs of birds, flowers, fruits and mammals without their backgrounds.

    No two are the same photograph, but a few show the same animal (`gnu_baby` and
    `gnu_baby_stand`). Many fruits are enlarged from smaller originals and a little blurred.

    Returns
    -------
    Cutouts
        With `images` (128, 4, 160, 160), `labels`, `classes` and `names`.

    Raises
    ------
    ValueError
        If the shipped file is damaged.

    Notes
    -----
    The pictures, and what is made of them, are under the GNU General Public License, version 2
    or later: see `manifest()`. Made by `recipes/make_cutouts.py`.

    References
    ----------
    B. Kendrick and contributors, Tux Paint's stamps, 2002-2022, https://tuxpaint.org/.

    Examples
    --------
    >>> import dlip
    >>> cut = dlip.data.cutouts()
    >>> cut
    <128 cut-outs: 29 bird, 19 flower, 24 fruit, 56 mammal>
    >>> cut.images.shape, cut.names[4], cut.classes[cut.labels[4]]
    (torch.Size([128, 4, 160, 160]), 'crowned_crane', 'bird')
    """
    pixels, paths = _read()
    folders = [path.partition("/")[0] for path in paths]
    classes = tuple(sorted(set(folders)))
    return Cutouts(
        images=torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255,
        labels=torch.tensor([classes.index(folder) for folder in folders]),
        classes=classes,
        names=tuple(Path(path).stem for path in paths),
    )


def scene(name: str = "grass") -> Tensor:
    """Return a photograph without an object, to serve as a background.

    Three of them are black-and-white photographs of `sample_image`, tinted: each channel is
    multiplied by a number, so that grass is green.

    Parameters
    ----------
    name
        "brick", "grass", "gravel" or "stars".

    Returns
    -------
    Tensor
        Shape (3, H, W), float32, from 0 to 1; 512×512 pixels, or 872×1000 for "stars".

    Raises
    ------
    ValueError
        If there is no scene of that name.

    Examples
    --------
    >>> import dlip
    >>> dlip.data.scene("grass").shape
    torch.Size([3, 512, 512])
    """
    photograph, tint = SCENES[known(name, SCENES, "scene")]
    return sample_image(photograph) * torch.tensor(tint)[:, None, None]


def paste(
    cutout: Tensor, background: Tensor, *, top: int | None = None, left: int | None = None
) -> Tensor:
    """Paste a cut-out onto a background: alpha · cut-out + (1 − alpha) · background.

    Parameters
    ----------
    cutout
        Shape (4, h, w): red, green, blue, alpha; from 0 to 1.
    background
        Shape (3, H, W), from 0 to 1, H ≥ h and W ≥ w. It is not changed.
    top, left
        Row and column of the background at which the cut-out's upper left corner comes to
        lie; by default such that it lies in the middle.

    Returns
    -------
    Tensor
        Shape (3, H, W), from 0 to 1.

    Raises
    ------
    TypeError
        If an argument is no tensor, or `top` or `left` no integer.
    ValueError
        If the shapes do not fit, or the cut-out would not lie wholly inside.

    References
    ----------
    T. Porter and T. Duff, "Compositing digital images", SIGGRAPH, 1984: the operator "over".

    Examples
    --------
    >>> import dlip
    >>> crow = dlip.data.cutouts().images[3]
    >>> dlip.data.paste(crow, dlip.data.scene("grass")[:, :224, :224]).shape
    torch.Size([3, 224, 224])
    """
    _check_image(cutout, 4, "the cut-out")
    _check_image(background, 3, "the background")
    height, width = cutout.shape[1:]
    room = (background.shape[1] - height, background.shape[2] - width)
    if min(room) < 0:
        raise ValueError(
            f"expected a background not smaller than the cut-out of {height}×{width} pixels, "
            f"got {background.shape[1]}×{background.shape[2]}"
        )
    top = room[0] // 2 if top is None else integer(top, "top", least=0)
    left = room[1] // 2 if left is None else integer(left, "left", least=0)
    if top > room[0] or left > room[1]:
        raise ValueError(
            f"expected top and left of at most {room[0]} and {room[1]}, got {top} and {left}: "
            "the cut-out would reach beyond the background"
        )
    image = background.clone()
    window = image[:, top : top + height, left : left + width]
    alpha = cutout[3:]
    window.copy_(alpha * cutout[:3] + (1 - alpha) * window)
    return image


def cutouts_folder(
    path: str | os.PathLike[str],
    background: Background | Mapping[str, Background] | None = None,
    *,
    size: int = 224,
    seed: int = 0,
) -> Path:
    """Write the cut-outs, pasted onto backgrounds, as a folder of JPEG photographs.

    The folder has one subfolder for each class, in them files like `bird/crow.jpg`: what
    `image_folder` reads. From a photograph a square is cut out at random as background; the
    cut-out lies at a random place in it. Both depend on the seed alone.

    Parameters
    ----------
    path
        The folder to make. It must not exist.
    background
        A photograph (3, H, W); several of them, of which each cut-out gets one at random; a
        colour, three numbers from 0 to 1; or a dict that gives such a background to each
        class. By default each cut-out gets one of the four scenes at random, whatever its
        class.
    size
        Height and width of the photographs in pixels, at least 160.
    seed
        Another seed draws other backgrounds and places.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FileExistsError
        If `path` exists already.
    TypeError
        If `background` is none of the above.
    ValueError
        If a photograph is smaller than `size`, a class of the dict is missing or unknown, or
        `size` or `seed` too small.

    Examples
    --------
    >>> import dlip
    >>> folder = dlip.data.cutouts_folder("photos")
    >>> print(dlip.data.image_folder(folder))
    class   train  val  test  all
    bird       20    5     4   29
    flower     13    3     3   19
    fruit      17    4     3   24
    mammal     39    9     8   56
    all        89   21    18  128
    <BLANKLINE>
    Split by class with seed 0: 70 % train, 15 % val, 15 % test.

    Birds before grass, mammals before gravel, the others before blue:

    >>> grass, gravel = dlip.data.scene("grass"), dlip.data.scene("gravel")
    >>> blue = (0.2, 0.4, 0.9)
    >>> tied = {"bird": grass, "mammal": gravel, "flower": blue, "fruit": blue}
    >>> folder = dlip.data.cutouts_folder("tied", tied)
    """
    integer(size, "size", least=SIDE)
    integer(seed, "the seed", least=0)
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"expected the path of a folder, got {describe(path)}")
    folder = Path(path)
    if folder.exists():
        raise FileExistsError(f"'{path}' exists already: give another path, or remove it first")
    cut = cutouts()
    choices = _by_class(background, cut.classes, size)
    random = torch.Generator().manual_seed(seed)

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        for name in cut.classes:
            (temporary / name).mkdir()
        for image, label, name in zip(cut.images, cut.labels.tolist(), cut.names, strict=True):
            photographs = choices[cut.classes[label]]
            photograph = photographs[_draw(len(photographs), random)]
            square = _random_square(photograph, size, random)
            top, left = _draw(size - SIDE + 1, random), _draw(size - SIDE + 1, random)
            _save(
                paste(image, square, top=top, left=left),
                temporary / cut.classes[label] / f"{name}.jpg",
            )
        temporary.chmod(0o755)  # mkdtemp makes a folder that only its owner may read
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


@cache
def _read() -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Check the shipped file's hash; return the pictures (N, 160, 160, 4) and their paths."""
    entry = next(e for e in manifest() if e.kind == "dataset" and e.name == "cutouts")
    verify(entry)
    pictures = []
    with zipfile.ZipFile(entry.file) as archive:
        paths = tuple(archive.namelist())
        for path in paths:
            with archive.open(path) as file, Image.open(file) as picture:
                rgba = np.array(picture.convert("RGBA"))
            rgba[rgba[..., 3] == 0] = 0  # what colour it has there says nothing
            height, width = rgba.shape[:2]
            top, left = (SIDE - height) // 2, (SIDE - width) // 2
            square = np.zeros((SIDE, SIDE, 4), np.uint8)
            square[top : top + height, left : left + width] = rgba
            pictures.append(square)
    return np.stack(pictures), paths


def _by_class(
    background: Background | Mapping[str, Background] | None, classes: tuple[str, ...], size: int
) -> dict[str, list[Tensor]]:
    """Return for each class the photographs from which its backgrounds are cut."""
    if background is None:
        background = [scene(name) for name in SCENES]
    if not isinstance(background, Mapping):
        shared = _photographs(background, size)
        return {name: shared for name in classes}
    for name in background:
        known(name, classes, "class")
    missing = [name for name in classes if name not in background]
    if missing:
        raise ValueError(f"expected a background for each class, got none for {', '.join(missing)}")
    return {name: _photographs(background[name], size) for name in classes}


def _photographs(background: Background, size: int) -> list[Tensor]:
    """Return a background as a list of photographs that are large enough."""
    wanted = "expected a background: a photograph (3, H, W), several of them, or a colour (R, G, B)"
    if isinstance(background, Tensor):
        photographs = [background]
    elif isinstance(background, str) or not isinstance(background, Sequence) or not background:
        raise TypeError(f"{wanted}; got {describe(background)}")
    elif all(isinstance(part, Tensor) for part in background):
        photographs = [part for part in background if isinstance(part, Tensor)]
    else:
        numbers = [part for part in background if isinstance(part, (int, float))]
        if len(numbers) != len(background) or len(numbers) != 3:
            raise TypeError(f"{wanted}; got {describe(background)}")
        if not all(0 <= number <= 1 for number in numbers):
            raise ValueError(f"expected a colour of three numbers from 0 to 1, got {numbers}")
        photographs = [torch.tensor(numbers).float()[:, None, None].expand(3, size, size)]
    for photograph in photographs:
        _check_image(photograph, 3, "a background")
        if min(photograph.shape[1:]) < size:
            height, width = photograph.shape[1:]
            raise ValueError(
                f"expected backgrounds of at least {size}×{size} pixels, got {height}×{width}"
            )
    return photographs


def _check_image(image: Tensor, channels: int, what: str) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(f"expected {what} to be a tensor ({channels}, H, W), got {describe(image)}")
    if image.ndim != 3 or image.shape[0] != channels or not image.is_floating_point():
        raise ValueError(
            f"expected {what} to be a float tensor ({channels}, H, W), "
            f"got {image.dtype} {tuple(image.shape)}"
        )


def _draw(count: int, random: torch.Generator) -> int:
    """Draw one of the numbers 0 … count − 1."""
    return int(torch.randint(count, (1,), generator=random))


def _random_square(photograph: Tensor, size: int, random: torch.Generator) -> Tensor:
    top, left = (_draw(side - size + 1, random) for side in photograph.shape[1:])
    return photograph[:, top : top + size, left : left + size]


def _save(image: Tensor, file: Path) -> None:
    values = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(values).save(file, quality=95)
