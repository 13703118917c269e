"""Local operations on images: kernels, correlation, convolution, the median filter.

A *linear* filter replaces each pixel by a weighted sum of the pixels around it; the small
array of weights is the *kernel*. `correlate` slides the kernel as it is, which is what
`torch.nn.Conv2d` computes. `convolve` turns it by 180° first, which is what mathematics
and signal processing call a convolution. For a symmetric kernel both are the same.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dlip._check import describe, integer, known

__all__ = ["KERNELS", "convolve", "correlate", "gaussian", "kernel", "median"]

Fill = Literal["zeros", "reflect", "replicate", "circular"]

# Our names follow torch.nn.Conv2d's `padding_mode`; torch.nn.functional.pad calls zeros "constant".
_PAD_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}

KERNELS: dict[str, str] = {
    "identity": "changes nothing",
    "average3": "mean of 3×3 pixels: blurs a little",
    "average5": "mean of 5×5 pixels: blurs more",
    "gaussian3": "weighted mean of 3×3 pixels, the centre counts most: blurs softly",
    "gaussian5": "weighted mean of 5×5 pixels, the centre counts most: blurs softly",
    "sobel_x": "change from left to right: positive where it gets brighter to the right",
    "sobel_y": "change from top to bottom: positive where it gets brighter downwards",
    "laplacian": "second derivative, 4 neighbours: edges in every direction",
    "laplacian8": "second derivative, 8 neighbours: edges in every direction, diagonals too",
    "sharpen": "image minus its Laplacian: enhances edges",
    "unsharp": "image plus what gaussian5 takes away from it: enhances edges (unsharp mask)",
    "emboss": "makes the image look like a relief lit from the top left",
}
"""Every name that `kernel` knows, and what that kernel is for."""


def kernel(name: str) -> Tensor:
    """Return one of the named kernels.

    The kernels are made for `correlate`. `sobel_x` correlated with a picture is positive
    where the picture gets brighter from left to right.

    Parameters
    ----------
    name
        One of `KERNELS`.

    Returns
    -------
    Tensor
        A new tensor of shape (3, 3) or (5, 5), float32. The weights of those that keep the
        brightness (identity, averages, Gaussians, sharpen, unsharp, emboss) sum to 1; those
        of the derivatives (Sobel, Laplacian) sum to 0.

    Raises
    ------
    ValueError
        If there is no kernel of that name; the message lists the names.

    References
    ----------
    I. Sobel and G. Feldman, "A 3×3 isotropic gradient operator for image processing",
    Stanford Artificial Intelligence Project, 1968. R. C. Gonzalez and R. E. Woods, *Digital
    Image Processing*, 4th ed., Pearson, 2018, chapter 3 (the others).

    Examples
    --------
    >>> import dlip
    >>> dlip.filters.kernel("sobel_x")
    tensor([[-1.,  0.,  1.],
            [-2.,  0.,  2.],
            [-1.,  0.,  1.]])
    """
    match known(name, KERNELS, "kernel"):
        case "identity":
            return torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
        case "average3":
            return torch.full((3, 3), 1 / 9)
        case "average5":
            return torch.full((5, 5), 1 / 25)
        case "gaussian3":  # binomial coefficients come close to a Gaussian
            return torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        case "gaussian5":
            row = torch.tensor([1.0, 4, 6, 4, 1]) / 16
            return torch.outer(row, row)
        case "sobel_x":
            return torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        case "sobel_y":
            return torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]])
        case "laplacian":
            return torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
        case "laplacian8":
            return torch.tensor([[1.0, 1, 1], [1, -8, 1], [1, 1, 1]])
        case "sharpen":
            return kernel("identity") - kernel("laplacian")
        case "unsharp":
            # image + (image − blurred image), written as one kernel
            unsharp = -kernel("gaussian5")
            unsharp[2, 2] += 2
            return unsharp
        case _:  # "emboss", the only name left
            return torch.tensor([[-2.0, -1, 0], [-1, 1, 1], [0, 1, 2]])


def gaussian(size: int, sigma: float) -> Tensor:
    """Sample the 2-D Gaussian at the pixels of a square and make its weights sum to 1.

    The weight at distance (x, y) from the centre is proportional to
    exp(−(x² + y²) / (2σ²)). The kernel is *separable*: it is the outer product of one row
    with itself, so two passes with 1-D kernels give the same blur as one with this kernel.

    Parameters
    ----------
    size
        Side of the kernel in pixels; odd, so that it has a centre. 6σ + 1 or more leaves
        next to nothing outside.
    sigma
        Standard deviation σ in pixels, greater than 0.

    Returns
    -------
    Tensor
        Shape (size, size), float32, positive, sums to 1.

    Raises
    ------
    TypeError
        If `size` is no integer or `sigma` no number.
    ValueError
        If `size` is even or below 1, or `sigma` is not a finite number greater than 0.

    Examples
    --------
    >>> import dlip
    >>> dlip.filters.gaussian(3, sigma=1.0)
    tensor([[0.0751, 0.1238, 0.0751],
            [0.1238, 0.2042, 0.1238],
            [0.0751, 0.1238, 0.0751]])
    """
    _odd(integer(size, "the size of a Gaussian kernel", least=1), "the size of a Gaussian kernel")
    if isinstance(sigma, bool) or not isinstance(sigma, (int, float)):
        raise TypeError(f"expected sigma to be a number, got {describe(sigma)}")
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"expected sigma to be a finite number greater than 0, got {sigma}")
    x = torch.arange(size, dtype=torch.float64) - size // 2
    row = torch.exp(-(x**2) / (2 * sigma**2))
    row = row / row.sum()
    return torch.outer(row, row).float()


def correlate(
    image: Tensor,
    kernel: Tensor,
    *,
    stride: int = 1,
    padding: int | Literal["same", "valid"] = "same",
    fill: Fill = "zeros",
) -> Tensor:
    """Slide a kernel over an image and sum the products: what `torch.nn.Conv2d` computes.

    Every output pixel is the sum of kernel × window, for the window of the image under the
    kernel (cross-correlation: the kernel is not turned). With kernel side k, padding p and
    stride s, a side of n pixels becomes floor((n + 2p − k) / s) + 1 pixels.

    Parameters
    ----------
    image
        Floating-point tensor of shape (H, W), (C, H, W) or (N, C, H, W), any finite values.
    kernel
        Either shape (kh, kw): applied to every channel alike, the number of channels stays.
        Or shape (O, C, kh, kw), like `torch.nn.Conv2d.weight`: each of the O outputs sums
        over all C channels of the image. It is converted to the image's dtype and device.
    stride
        How many pixels the window moves at a time, down and to the right.
    padding
        Pixels added on each side: a number; `"valid"`: none; `"same"`: half the kernel's
        side, so that stride 1 keeps H × W (for stride s: H / s and W / s, rounded up).
    fill
        What the added pixels hold: `"zeros"`; `"reflect"`: the image mirrored at its edge
        pixels, which are not repeated; `"replicate"`: the edge pixel again and again;
        `"circular"`: the opposite side.

    Returns
    -------
    Tensor
        Shape (H', W'), (C, H', W') or (N, C, H', W') like the input; with a 4-D kernel O
        stands in the place of C. Same dtype and device as `image`. Gradients flow to
        `image` and `kernel`. Values may lie outside 0…1.

    Raises
    ------
    TypeError
        If `image` or `kernel` is no tensor, or the image holds integers.
    ValueError
        If a shape does not fit, a value is NaN or infinite, the kernel has an even side with
        `padding="same"`, the kernel is larger than the padded image, or `stride`, `padding`
        or `fill` is not one of the above.

    Examples
    --------
    >>> import torch, dlip
    >>> step = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> dlip.filters.correlate(step, dlip.filters.kernel("sobel_x"), padding="valid")
    tensor([[4., 4.]])
    """
    _check_image(image)
    _check_kernel(kernel, image)
    stride = integer(stride, "stride", least=1)
    known(fill, _PAD_MODES, "fill")

    kh, kw = kernel.shape[-2:]
    ph, pw = _pad_widths(kh, kw, padding)
    h, w = image.shape[-2:]
    if kh > h + 2 * ph or kw > w + 2 * pw:
        raise ValueError(
            f"the kernel is larger than the image: {kh}×{kw} against {h}×{w} pixels "
            f"with {ph} and {pw} pixels of padding"
        )

    kernel = kernel.to(image)  # same dtype and device
    if kernel.ndim == 2:
        # Every channel is a picture of its own: move channels into the batch dimension.
        pictures = image.reshape(-1, 1, h, w)
        kernel = kernel[None, None]
    else:
        pictures = image.reshape(-1, *image.shape[-3:])
    result = F.conv2d(_pad(pictures, ph, pw, fill), kernel, stride=stride)

    if image.ndim == 2:
        return result[0, 0]
    if image.ndim == 3:
        return result.reshape(-1, *result.shape[-2:])
    return result.reshape(len(image), -1, *result.shape[-2:])


def convolve(
    image: Tensor,
    kernel: Tensor,
    *,
    stride: int = 1,
    padding: int | Literal["same", "valid"] = "same",
    fill: Fill = "zeros",
) -> Tensor:
    """Convolve an image with a kernel: `correlate` with the kernel turned by 180°.

    This is the convolution of mathematics and of `scipy.signal.convolve2d`. Convolving a
    single bright pixel writes the kernel itself around it; correlating writes it turned.

    Parameters
    ----------
    image, kernel, stride, padding, fill
        As for `correlate`.

    Returns
    -------
    Tensor
        As for `correlate`.

    Raises
    ------
    TypeError, ValueError
        As for `correlate`.

    Examples
    --------
    >>> import torch, dlip
    >>> point = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    >>> dlip.filters.convolve(point, dlip.filters.kernel("sobel_x"))
    tensor([[-1.,  0.,  1.],
            [-2.,  0.,  2.],
            [-1.,  0.,  1.]])
    """
    _check_image(image)
    _check_kernel(kernel, image)
    turned = kernel.flip(-2, -1)
    return correlate(image, turned, stride=stride, padding=padding, fill=fill)


def median(image: Tensor, size: int = 3) -> Tensor:
    """Replace every pixel by the median of the pixels around it.

    A *non-linear* filter: no kernel can do it. It removes single wrong pixels ("salt and
    pepper") without blurring edges. Each channel is filtered on its own. At the border the
    image is mirrored (`fill="reflect"` of `correlate`).

    Parameters
    ----------
    image
        Floating-point tensor of shape (H, W), (C, H, W) or (N, C, H, W).
    size
        Side of the square window in pixels; odd, at most 2·min(H, W) − 1.

    Returns
    -------
    Tensor
        Same shape, dtype and device as `image`.

    Raises
    ------
    TypeError
        If `image` is no floating-point tensor or `size` no integer.
    ValueError
        If a shape or size does not fit, or a value is NaN or infinite.

    Examples
    --------
    >>> import torch, dlip
    >>> speck = torch.tensor([[0.2, 0.2, 0.2], [0.2, 1.0, 0.2], [0.2, 0.2, 0.2]])
    >>> dlip.filters.median(speck)[1, 1]
    tensor(0.2000)
    """
    _check_image(image)
    _odd(integer(size, "the size of the median's window", least=1), "the median's window")
    h, w = image.shape[-2:]
    pictures = _pad(image.reshape(-1, 1, h, w), size // 2, size // 2, "reflect")
    windows = pictures.unfold(-2, size, 1).unfold(-2, size, 1)  # (…, H, W, size, size)
    return windows.flatten(-2).median(dim=-1).values.reshape(image.shape)


def _check_image(image: Tensor) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(f"expected the image as a torch.Tensor, got {type(image).__name__}")
    if not image.is_floating_point():
        raise TypeError(
            f"expected an image of floating-point values from 0 to 1, got {image.dtype}; "
            "for 8-bit values use image.float() / 255"
        )
    if image.ndim not in (2, 3, 4):
        raise ValueError(
            "expected an image of shape (H, W), (C, H, W) or (N, C, H, W), "
            f"got {tuple(image.shape)}"
        )
    if image.numel() == 0:
        raise ValueError(f"expected an image with pixels, got shape {tuple(image.shape)}")
    if not torch.isfinite(image).all():
        raise ValueError("expected finite pixel values, got an image with NaN or infinity")


def _check_kernel(kernel: Tensor, image: Tensor) -> None:
    if not isinstance(kernel, Tensor):
        raise TypeError(f"expected the kernel as a torch.Tensor, got {type(kernel).__name__}")
    if kernel.is_complex() or kernel.dtype == torch.bool:
        raise TypeError(f"expected a kernel of real numbers, got {kernel.dtype}")
    if kernel.ndim not in (2, 4) or kernel.numel() == 0:
        raise ValueError(
            f"expected a kernel of shape (kh, kw) or (O, C, kh, kw), got {tuple(kernel.shape)}"
        )
    if not torch.isfinite(kernel).all():
        raise ValueError("expected finite weights, got a kernel with NaN or infinity")
    if kernel.ndim == 4:
        if image.ndim == 2:
            raise ValueError(
                "a kernel of shape (O, C, kh, kw) needs an image with a channel dimension, "
                f"(C, H, W) or (N, C, H, W), got {tuple(image.shape)}"
            )
        if kernel.shape[1] != image.shape[-3]:
            raise ValueError(
                f"the kernel expects {kernel.shape[1]} channels, the image has {image.shape[-3]} "
                f"(kernel {tuple(kernel.shape)}, image {tuple(image.shape)})"
            )


def _odd(size: int, what: str) -> None:
    if size % 2 == 0:
        raise ValueError(f"expected {what} to be odd, so that it has a centre pixel, got {size}")


def _pad_widths(kh: int, kw: int, padding: int | str) -> tuple[int, int]:
    """Return how many pixels to add above and below, and left and right."""
    if isinstance(padding, str):
        if known(padding, ["same", "valid"], "padding") == "valid":
            return 0, 0
        if kh % 2 == 0 or kw % 2 == 0:
            raise ValueError(
                f'padding="same" needs a kernel with odd sides, got {kh}×{kw}; '
                'use padding="valid" or a number'
            )
        return kh // 2, kw // 2
    integer(padding, 'padding, if not "same" or "valid",', least=0)
    return padding, padding


def _pad(pictures: Tensor, ph: int, pw: int, fill: str) -> Tensor:
    """Add `ph` rows above and below and `pw` columns left and right."""
    h, w = pictures.shape[-2:]
    # A mirror image lacks the edge pixel itself, so it is one pixel shorter than the image.
    most = {"reflect": (h - 1, w - 1), "circular": (h, w)}
    if fill in most and (ph > most[fill][0] or pw > most[fill][1]):
        raise ValueError(
            f"cannot fill {ph} rows and {pw} columns of padding by {fill!r} from an image of "
            f"{h}×{w} pixels: at most {most[fill][0]} and {most[fill][1]}"
        )
    return F.pad(pictures, (pw, pw, ph, ph), mode=_PAD_MODES[fill])
