"""The colour space Lab, in PyTorch: lightness apart from colour.

A screen mixes red, green and blue (sRGB). Lab has one channel for how light a pixel is, and
two for which colour it has, so that a network can be given the first and asked for the others.
Everything here is differentiable and works on images and on batches.

=========  ==============  ===========================================
channel    range in sRGB   meaning
=========  ==============  ===========================================
L          0 … 100         from black to white
a          −86 … 98        from green to red
b          −108 … 94       from blue to yellow
=========  ==============  ===========================================

Where a = b = 0 the pixel is gray. The distance from there is the *chroma*, how colourful the
pixel is; the angle is the hue.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlip._check import describe, integer

__all__ = [
    "chroma",
    "colorize",
    "denormalize",
    "lab_to_rgb",
    "normalize",
    "predict_lab",
    "rgb_to_lab",
    "to_gamut",
]

SCALE = (100.0, 110.0, 110.0)
"""`normalize` divides L, a, b by it: L is then in 0…1, a and b of any screen colour in −1…1."""

RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""X, Y, Z of the three lamps of a screen (ITU-R BT.709), to the digits that scikit-image uses."""

WHITE = (0.95047, 1.0, 1.08883)
"""X, Y, Z of white: daylight (D65), for the observer of 1931 (2°)."""


def rgb_to_lab(images: Tensor) -> Tensor:
    """Turn red, green and blue into lightness and colour.

    Each channel is made proportional to light (sRGB stores about its root), the three are
    mixed to X, Y and Z, which describe what the eye's receptors get, and of these the cube
    roots are compared, because we see ratios of light rather than differences:
    L = 116 f(Y) − 16, a = 500 (f(X) − f(Y)), b = 200 (f(Y) − f(Z)).

    Parameters
    ----------
    images
        Shape (3, H, W) or (N, 3, H, W), floating-point, from 0 to 1.

    Returns
    -------
    Tensor
        Same shape and dtype: L from 0 to 100, a, b. Its gradient is finite everywhere.

    Raises
    ------
    TypeError
        If `images` is no tensor, or holds integers.
    ValueError
        If there are not three channels.

    References
    ----------
    IEC 61966-2-1:1999 (sRGB). CIE 15:2004, *Colorimetry* (Lab).

    Examples
    --------
    >>> import torch, dlip
    >>> red = torch.tensor([1.0, 0, 0])[:, None, None]
    >>> dlip.color.rgb_to_lab(red).flatten()
    tensor([53.2406, 80.0923, 67.2027])
    """
    x = _check(images, 3, "an RGB image")
    # Of torch.where both branches have a gradient: the clamps keep the unused one finite.
    light = torch.where(x > 0.04045, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, x / 12.92)
    xyz = _mix(_matrix(x), light) / _column(WHITE, x)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    fx, fy, fz = f.unbind(-3)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=-3)


def lab_to_rgb(lab: Tensor, *, clip: bool = True) -> Tensor:
    """Turn lightness and colour into red, green and blue.

    Many combinations of L, a and b are colours that no screen can show. With `clip` their
    channels are cut off at 0 and 1, which also changes the lightness; `to_gamut` keeps it.

    Parameters
    ----------
    lab
        Shape (3, H, W) or (N, 3, H, W), floating-point: L from 0 to 100, a, b.
    clip
        False: leave values outside 0…1 as they come.

    Returns
    -------
    Tensor
        Same shape and dtype, from 0 to 1 if `clip`.

    Raises
    ------
    TypeError
        If `lab` is no tensor, or holds integers.
    ValueError
        If there are not three channels.

    Examples
    --------
    >>> import torch, dlip
    >>> gray = torch.tensor([50.0, 0, 0])[:, None, None]
    >>> dlip.color.lab_to_rgb(gray).flatten()
    tensor([0.4663, 0.4663, 0.4663])
    """
    lightness, a, b = _check(lab, 3, "a Lab image").unbind(-3)
    fy = (lightness + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=-3)
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * _column(WHITE, lab)
    light = _mix(_matrix(lab, inverse=True), xyz)
    rgb = torch.where(
        light > 0.0031308, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * light
    )
    return rgb.clamp(0, 1) if clip else rgb


def to_gamut(lab: Tensor) -> Tensor:
    """Make colours that no screen can show less colourful, until one can.

    Of each pixel L and the hue stay; a and b are multiplied by the largest number from 0 to 1
    with which red, green and blue are all between 0 and 1. It is found by halving an interval
    twenty times. Colours that a screen can show stay as they are.

    Parameters
    ----------
    lab
        Shape (3, H, W) or (N, 3, H, W), floating-point: L from 0 to 100, a, b.

    Returns
    -------
    Tensor
        Same shape and dtype; the channel L is the same, bit by bit.

    Raises
    ------
    TypeError
        If `lab` is no tensor, or holds integers.
    ValueError
        If there are not three channels, or a lightness is not from 0 to 100.

    Examples
    --------
    >>> import torch, dlip
    >>> impossible = torch.tensor([90.0, 80, 0])[:, None, None]  # so light and so red
    >>> dlip.color.to_gamut(impossible).flatten().round()
    tensor([90., 15.,  0.])
    """
    lightness = _check(lab, 3, "a Lab image").narrow(-3, 0, 1)
    lowest, highest = lightness.aminmax()
    if not (lowest >= 0 and highest <= 100.001):  # NaN fails this too
        raise ValueError(
            f"expected lightness from 0 to 100, got values from {lowest:.4g} to {highest:.4g}"
        )
    pixels = lab.movedim(-3, 0)
    impossible = ~_on_screen(lab).squeeze(-3)
    if not impossible.any():
        return lab
    chosen = pixels[:, impossible][..., None]  # (3, M, 1): an image of these pixels only
    light, colour = chosen[:1], chosen[1:]
    possible = torch.zeros_like(light)
    step = torch.ones_like(light)
    for _ in range(20):
        step = step / 2
        tried = torch.cat([light, (possible + step) * colour])
        possible = torch.where(_on_screen(tried), possible + step, possible)
    pixels = pixels.clone()
    pixels[1:, impossible] = (possible * colour).squeeze(-1)
    return pixels.movedim(0, -3)


def chroma(lab: Tensor) -> Tensor:
    """Return how colourful each pixel is: √(a² + b²), the distance from gray.

    Parameters
    ----------
    lab
        Shape (3, H, W) or (N, 3, H, W), floating-point: L, a, b.

    Returns
    -------
    Tensor
        Shape (1, H, W) or (N, 1, H, W).

    Raises
    ------
    TypeError
        If `lab` is no tensor, or holds integers.
    ValueError
        If there are not three channels.

    Examples
    --------
    >>> import torch, dlip
    >>> dlip.color.chroma(torch.tensor([50.0, 3, -4])[:, None, None]).item()
    5.0
    """
    colour = _check(lab, 3, "a Lab image").narrow(-3, 1, 2)
    length: Tensor = torch.linalg.vector_norm(colour, dim=-3, keepdim=True)
    return length


def normalize(lab: Tensor) -> Tensor:
    """Divide L by 100 and a, b by 110: numbers of a size that networks like.

    L is then from 0 to 1, and a and b of all colours that a screen can show from −1 to 1.

    Parameters
    ----------
    lab
        Shape (3, H, W) or (N, 3, H, W), floating-point: L, a, b.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If `lab` is no tensor, or holds integers.
    ValueError
        If there are not three channels.

    Examples
    --------
    >>> import torch, dlip
    >>> dlip.color.normalize(torch.tensor([50.0, 55, -11])[:, None, None]).flatten()
    tensor([ 0.5000,  0.5000, -0.1000])
    """
    return _check(lab, 3, "a Lab image") / _column(SCALE, lab)


def denormalize(lab: Tensor) -> Tensor:
    """Undo `normalize`.

    Parameters
    ----------
    lab
        Shape (3, H, W) or (N, 3, H, W), floating-point: L / 100, a / 110, b / 110.

    Returns
    -------
    Tensor
        L, a, b, of the same shape and dtype.

    Raises
    ------
    TypeError
        If `lab` is no tensor, or holds integers.
    ValueError
        If there are not three channels.

    Examples
    --------
    >>> import torch, dlip
    >>> dlip.color.denormalize(torch.tensor([0.5, 0.5, -0.1])[:, None, None]).flatten()
    tensor([ 50.,  55., -11.])
    """
    return _check(lab, 3, "a normalized Lab image") * _column(SCALE, lab)


def predict_lab(model: nn.Module, images: Tensor, side: int | None = 80) -> Tensor:
    """Let a network find a and b of images from their lightness.

    The network looks at a small copy of the lightness, and the a and b that it returns are
    enlarged to the size of the image: the eye sees detail by lightness alone.

    Parameters
    ----------
    model
        From L / 100, shape (N, 1, H, W), to a / 110 and b / 110, shape (N, 2, H, W); such as
        `dlip.models.UNet(1, 2)`. Its mode, training or evaluation, stays as it is.
    images
        Shape (C, H, W) or (N, C, H, W) with C = 1 (gray) or 3, floating-point, from 0 to 1. Of
        the colours of an image nothing reaches the network.
    side
        The shorter side of the small copy in pixels, at least 1; the other one follows. The
        checkpoint `colorizer` has learnt from things as large as they are in pictures of
        about 80 pixels. None: the network looks at the image as it is.

    Returns
    -------
    Tensor
        Shape (3, H, W) or (N, 3, H, W): L of `images`, bit by bit, and the network's a and b,
        which need not be a colour that a screen can show.

    Raises
    ------
    TypeError
        If `images` is no tensor or holds integers, or `side` is no integer.
    ValueError
        If there are neither one nor three channels, `side` is below 1, or the network's
        output has another shape.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.UNet(1, 2).eval()
    >>> lab = dlip.color.predict_lab(model, dlip.data.sample_image("cat", size=64))
    >>> lab.shape
    torch.Size([3, 64, 64])
    """
    if isinstance(images, Tensor) and images.ndim in (3, 4) and images.shape[-3] == 1:
        images = images.expand(*images.shape[:-3], 3, *images.shape[-2:])
    lab = rgb_to_lab(images)
    batch = lab if lab.ndim == 4 else lab[None]
    lightness = batch[:, :1]
    small = lightness if side is None else _resize(lightness, _sides(batch, side))
    colour = model(small / SCALE[0])
    wanted = (len(batch), 2, *small.shape[-2:])
    if colour.shape != wanted:
        raise ValueError(f"expected a network that returns {wanted}, got {tuple(colour.shape)}")
    colour = SCALE[1] * _resize(colour, batch.shape[-2:])
    predicted = torch.cat([lightness, colour], dim=1)
    return predicted if lab.ndim == 4 else predicted[0]


def colorize(model: nn.Module, images: Tensor, side: int | None = 80) -> Tensor:
    """Return images in the colours that a network gives them.

    Parameters
    ----------
    model, images, side
        As for `predict_lab`.

    Returns
    -------
    Tensor
        Shape (3, H, W) or (N, 3, H, W), red, green and blue from 0 to 1, without gradients.
        Its lightness is that of `images`: a colour that no screen can show is made paler, not
        lighter or darker.

    Raises
    ------
    TypeError, ValueError
        As for `predict_lab`.

    Examples
    --------
    >>> import dlip
    >>> colorizer = dlip.zoo.pretrained("colorizer").model
    >>> gray = dlip.data.sample_image("cat", gray=True, size=96)
    >>> dlip.color.colorize(colorizer, gray).shape
    torch.Size([3, 96, 96])
    """
    with torch.no_grad():
        return lab_to_rgb(to_gamut(predict_lab(model, images, side)))


def _sides(images: Tensor, shorter: int) -> tuple[int, int]:
    """Return height and width of images whose shorter side is made `shorter` pixels."""
    integer(shorter, "side", least=1)
    height, width = images.shape[-2:]
    scale = shorter / min(height, width)
    return max(1, round(scale * height)), max(1, round(scale * width))


def _resize(images: Tensor, sides: Sequence[int]) -> Tensor:
    """Resize a batch smoothly; if it has that size already, return it as it is."""
    if images.shape[-2:] == tuple(sides):
        return images
    return F.interpolate(images, tuple(sides), mode="bilinear", antialias=True)


def _check(images: Tensor, channels: int, what: str) -> Tensor:
    """Return `images` if it is a floating-point tensor of so many channels."""
    shapes = f"({channels}, H, W) or (N, {channels}, H, W)"
    if not isinstance(images, Tensor):
        raise TypeError(f"expected {what} as a torch.Tensor {shapes}, got {describe(images)}")
    if not images.is_floating_point():
        raise TypeError(f"expected {what} of floating-point numbers, got {images.dtype}")
    if images.ndim not in (3, 4) or images.shape[-3] != channels:
        raise ValueError(f"expected {what} of shape {shapes}, got {tuple(images.shape)}")
    return images


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return one number for each channel, to be multiplied with images."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def _matrix(like: Tensor, inverse: bool = False) -> Tensor:
    """Return `RGB_TO_XYZ`, or its inverse, with the type of an image."""
    matrix = torch.tensor(RGB_TO_XYZ, dtype=torch.float64)
    if inverse:
        matrix = torch.linalg.inv(matrix)
    return matrix.to(dtype=like.dtype, device=like.device)


def _mix(matrix: Tensor, images: Tensor) -> Tensor:
    """Multiply the three channels of each pixel by a matrix."""
    mixed: Tensor = torch.einsum("ij,...jhw->...ihw", matrix, images)
    return mixed


def _on_screen(lab: Tensor) -> Tensor:
    """Return (…, 1, H, W): True where red, green and blue are between 0 and 1."""
    rgb = lab_to_rgb(lab, clip=False)
    return ((rgb > -1e-3) & (rgb < 1 + 1e-3)).all(dim=-3, keepdim=True)
