"""Photographs to try things on, and reading your own picture files."""

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from dlip._check import describe, integer, known
from dlip.data.manifest import manifest

__all__ = ["load_image", "sample_image", "sample_names"]


def sample_names() -> list[str]:
    """Return the names `sample_image` knows.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import dlip
    >>> dlip.data.sample_names()[:3]
    ['cat', 'astronaut', 'coffee']
    """
    return [entry.name for entry in manifest() if entry.kind == "photograph"]


def sample_image(name: str = "cat", *, gray: bool = False, size: int | None = None) -> Tensor:
    """Return one of the photographs that come with scikit-image; no network is needed.

    Parameters
    ----------
    name
        One of `sample_names()`. Source and licence of each stand in `manifest()`.
    gray
        True: one channel. False: three channels, which are equal where the photograph is
        black and white.
    size
        If given: the shorter side is resized to so many pixels, then the centre cut out.

    Returns
    -------
    Tensor
        Shape (3, H, W), or (1, H, W) if `gray`; H = W = `size` if that is given. float32,
        from 0 (black) to 1 (white).

    Raises
    ------
    ValueError
        If there is no photograph of that name, or `size` is below 1.
    FileNotFoundError
        If the installed scikit-image lacks the photograph.

    References
    ----------
    S. van der Walt et al., "scikit-image: image processing in Python", PeerJ 2:e453, 2014.

    Examples
    --------
    >>> import dlip
    >>> dlip.data.sample_image("cat").shape
    torch.Size([3, 300, 451])
    >>> dlip.data.sample_image("camera", gray=True, size=64).shape
    torch.Size([1, 64, 64])
    """
    known(name, sample_names(), "sample image")
    entry = next(e for e in manifest() if e.kind == "photograph" and e.name == name)
    if not entry.file.is_file():
        raise FileNotFoundError(f"the installed scikit-image lacks the photograph {entry.file}")
    return load_image(entry.file, gray=gray, size=size)


def load_image(
    path: str | os.PathLike[str], *, gray: bool = False, size: int | None = None
) -> Tensor:
    """Read a picture file: JPEG, PNG, TIFF, WebP, … (whatever Pillow can read).

    The camera's orientation mark (EXIF) is obeyed, transparency becomes white, 16-bit gray
    keeps its precision, and of an animation the first picture is taken.

    Parameters
    ----------
    path
        The file.
    gray
        True: one channel, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). False: three channels.
    size
        If given: the shorter side is resized to so many pixels, then the centre cut out.

    Returns
    -------
    Tensor
        Shape (3, H, W), or (1, H, W) if `gray`; H = W = `size` if that is given. float32,
        from 0 (black) to 1 (white).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `path` is no path or `size` no integer.
    ValueError
        If the file is no image or is damaged, or `size` is below 1.

    Examples
    --------
    >>> import dlip
    >>> dlip.data.load_image("no-such-file.jpg")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no picture file 'no-such-file.jpg'
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"expected the path of a picture file, got {describe(path)}")
    if size is not None:
        integer(size, "size", least=1)
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no picture file '{path}'")
    if not Path(path).is_file():
        raise ValueError(f"expected a picture file, got a folder: '{path}'")
    try:
        with Image.open(path) as file:
            image = _to_tensor(ImageOps.exif_transpose(file))
    except UnidentifiedImageError as error:
        raise ValueError(f"'{path}' is no picture file that Pillow can read") from error
    except Exception as error:  # damaged files make Pillow raise errors of many kinds
        raise ValueError(f"the picture file '{path}' cannot be read: {error}") from error
    if gray:
        weights = torch.tensor([0.299, 0.587, 0.114])
        image = (image * weights[:, None, None]).sum(dim=0, keepdim=True)
    if size is not None:
        image = _resize_and_crop(image, size)
    return image


def _to_tensor(picture: Image.Image) -> Tensor:
    """Return a (3, H, W) float32 tensor from 0 to 1."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        # One channel of real numbers or of 16-bit integers: convert("RGB") would cut them off.
        values = np.array(picture, dtype=np.float32) / (1 if picture.mode == "F" else 65535)
        if not (values.min() >= 0 and values.max() <= 1):  # NaN fails this too
            raise ValueError("expected 16-bit integers or real numbers from 0 to 1")
        return torch.from_numpy(values).expand(3, -1, -1).clone()
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    values = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(values).permute(2, 0, 1).contiguous()


def _resize_and_crop(image: Tensor, size: int) -> Tensor:
    """Resize the shorter side to `size` (antialiased), then cut out the centre square."""
    height, width = image.shape[-2:]
    scale = size / min(height, width)
    new = (max(size, round(height * scale)), max(size, round(width * scale)))
    image = F.interpolate(image[None], new, mode="bilinear", antialias=True, align_corners=False)[0]
    top, left = (new[0] - size) // 2, (new[1] - size) // 2
    return image[:, top : top + size, left : left + size].clamp(0, 1)
