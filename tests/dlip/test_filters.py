"""dlip.filters against SciPy, scikit-image, torch.nn.Conv2d, and sums done by hand."""

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import skimage.filters
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlip.data import sample_image
from dlip.filters import KERNELS, convolve, correlate, gaussian, kernel, median

# Our name of a fill, NumPy's, and scipy.ndimage's.
FILLS = [
    ("zeros", "constant", "constant"),
    ("reflect", "reflect", "mirror"),
    ("replicate", "edge", "nearest"),
    ("circular", "wrap", "wrap"),
]


def random_image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_kernel(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


CAT = sample_image("cat", gray=True)[0].double()


# Kernels


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_is_a_new_float32_tensor_with_an_odd_side(name):
    first = kernel(name)
    assert first.dtype == torch.float32
    assert first.shape in {(3, 3), (5, 5)}
    first.zero_()
    assert kernel(name).abs().sum() > 0  # changing one does not change the next


@pytest.mark.parametrize("name", KERNELS)
def test_weights_sum_to_one_or_for_derivatives_to_zero(name):
    derivative = name.startswith(("sobel", "laplacian"))
    assert kernel(name).sum().item() == pytest.approx(0 if derivative else 1, abs=1e-6)


def test_sobel_against_skimage_up_to_its_scale_of_four():
    # skimage: sobel_v is the derivative along columns, sobel_h along rows; mode "mirror"
    # leaves our interior alone, so compare without the border.
    for name, reference in [
        ("sobel_x", skimage.filters.sobel_v),
        ("sobel_y", skimage.filters.sobel_h),
    ]:
        ours = correlate(CAT, kernel(name), padding="valid")
        np.testing.assert_allclose(ours, 4 * reference(CAT.numpy())[1:-1, 1:-1], atol=1e-12)


def test_sobel_signs():
    ramp = torch.arange(5.0).expand(4, 5)  # brighter to the right
    assert (correlate(ramp, kernel("sobel_x"), padding="valid") == 8).all()
    assert (correlate(ramp, kernel("sobel_y"), padding="valid") == 0).all()
    assert (correlate(ramp.T, kernel("sobel_y"), padding="valid") == 8).all()


def test_laplacian_against_skimage_and_scipy():
    ours = correlate(CAT, kernel("laplacian"), fill="replicate")
    np.testing.assert_allclose(ours, scipy.ndimage.laplace(CAT.numpy(), mode="nearest"), atol=1e-12)
    inner = -skimage.filters.laplace(CAT.numpy(), ksize=3)[1:-1, 1:-1]  # its sign is the opposite
    np.testing.assert_allclose(ours[1:-1, 1:-1], inner, atol=1e-12)


def test_laplacian8_by_hand():
    image = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]])
    assert correlate(image, kernel("laplacian8"), padding="valid").item() == 46 - 9 * 5


def test_averages_against_scipy():
    for name, size in [("average3", 3), ("average5", 5)]:
        expected = scipy.ndimage.uniform_filter(CAT.numpy(), size, mode="mirror")
        np.testing.assert_allclose(
            correlate(CAT, kernel(name), fill="reflect"), expected, atol=1e-6
        )


def test_binomial_gaussians_by_repeated_averaging_of_neighbours():
    pair = np.array([[1, 1], [1, 1]]) / 4
    three = scipy.signal.convolve2d(pair, pair)
    five = scipy.signal.convolve2d(three, three)
    np.testing.assert_allclose(kernel("gaussian3"), three, atol=1e-7)
    np.testing.assert_allclose(kernel("gaussian5"), five, atol=1e-7)


def test_sharpen_and_unsharp_are_what_they_are_said_to_be():
    blurred = correlate(CAT, kernel("gaussian5"))
    torch.testing.assert_close(
        correlate(CAT, kernel("unsharp")), CAT + (CAT - blurred), atol=1e-6, rtol=0
    )
    sharp = CAT - torch.from_numpy(scipy.ndimage.laplace(CAT.numpy(), mode="constant"))
    torch.testing.assert_close(correlate(CAT, kernel("sharpen")), sharp, atol=1e-12, rtol=0)


def test_emboss_is_bright_where_the_light_from_the_top_left_falls():
    hill = torch.zeros(9, 9)
    hill[3:6, 3:6] = 1
    relief = correlate(hill, kernel("emboss")) - hill
    assert relief[2, 2] > 0 > relief[6, 6]


def test_identity():
    assert torch.equal(correlate(CAT, kernel("identity")), CAT)


def test_unknown_kernel_lists_all_and_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"unknown kernel 'sobelx'.*mean 'sobel_x'.*laplacian"):
        kernel("sobelx")
    with pytest.raises(TypeError, match="string, got 3"):
        kernel(3)


# Gaussian


@pytest.mark.parametrize(("size", "sigma"), [(3, 0.5), (5, 1.0), (7, 1.5), (13, 2.0)])
def test_gaussian_weights_by_the_formula(size, sigma):
    half = size // 2
    weights = [
        [math.exp(-(x * x + y * y) / (2 * sigma**2)) for x in range(-half, half + 1)]
        for y in range(-half, half + 1)
    ]
    total = sum(map(sum, weights))
    np.testing.assert_allclose(gaussian(size, sigma), np.array(weights) / total, atol=1e-7)


def test_gaussian_blur_against_skimage_and_scipy():
    # Both cut the Gaussian off at `truncate` sigmas: 4 × 1.5 = 6 pixels, that is size 13.
    ours = correlate(CAT, gaussian(13, 1.5), fill="reflect")
    expected = scipy.ndimage.gaussian_filter(CAT.numpy(), 1.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    expected = skimage.filters.gaussian(CAT.numpy(), 1.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


@given(half=st.integers(0, 7), sigma=st.floats(0.3, 5.0))
def test_gaussian_is_positive_symmetric_separable_and_sums_to_one(half, sigma):
    weights = gaussian(2 * half + 1, sigma).double()
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.equal(weights, weights.T)
    assert torch.equal(weights, weights.flip(0))
    assert (weights >= 0).all()
    assert torch.linalg.matrix_rank(weights, rtol=1e-5) == 1  # an outer product


@given(half=st.integers(1, 4), sigma=st.floats(0.4, 3.0))
def test_two_passes_of_the_row_are_one_of_the_square(half, sigma):
    size = 2 * half + 1
    row = gaussian(size, sigma).double().sum(0)
    image = random_image(20, 17)
    twice = correlate(correlate(image, row[None, :]), row[:, None])
    torch.testing.assert_close(correlate(image, gaussian(size, sigma)), twice, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [0, -3, 4])
def test_gaussian_wants_an_odd_size(size):
    with pytest.raises(ValueError, match=f"got {size}"):
        gaussian(size, 1.0)


@pytest.mark.parametrize("sigma", [0, -1.0, math.nan, math.inf])
def test_gaussian_wants_a_positive_sigma(sigma):
    with pytest.raises(ValueError, match="greater than 0, got"):
        gaussian(3, sigma)


def test_gaussian_wants_numbers():
    with pytest.raises(TypeError, match=r"integer, got 3\.0"):
        gaussian(3.0, 1.0)
    with pytest.raises(TypeError, match="number, got '1'"):
        gaussian(3, "1")


# Correlation and convolution


def test_by_hand():
    image = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    weights = torch.tensor([[1.0, 0], [0, 10]])
    # 1·1 + 10·5 = 51, 1·2 + 10·6 = 62, 1·4 + 10·8 = 84, 1·5 + 10·9 = 95
    assert correlate(image, weights, padding="valid").tolist() == [[51, 62], [84, 95]]
    # turned: 10·1 + 1·5 = 15, and so on
    assert convolve(image, weights, padding="valid").tolist() == [[15, 26], [48, 59]]


@pytest.mark.parametrize("shape", [(3, 3), (5, 5), (1, 5), (3, 1), (5, 3)])
def test_against_scipy_signal(shape):
    image, weights = random_image(12, 15), random_kernel(*shape)
    for mode in ["same", "valid"]:
        np.testing.assert_allclose(
            correlate(image, weights, padding=mode),
            scipy.signal.correlate2d(image, weights, mode=mode),
            atol=1e-12,
        )
        np.testing.assert_allclose(
            convolve(image, weights, padding=mode),
            scipy.signal.convolve2d(image, weights, mode=mode),
            atol=1e-12,
        )


@pytest.mark.parametrize(("fill", "numpy_mode", "scipy_mode"), FILLS)
def test_fills_against_numpy_and_scipy(fill, numpy_mode, scipy_mode):
    image, weights = random_image(9, 11), random_kernel(5, 3)
    np.testing.assert_allclose(
        correlate(image, weights, fill=fill),
        scipy.ndimage.correlate(image.numpy(), weights.numpy(), mode=scipy_mode),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        convolve(image, weights, fill=fill),
        scipy.ndimage.convolve(image.numpy(), weights.numpy(), mode=scipy_mode),
        atol=1e-12,
    )
    padded = np.pad(image.numpy(), 4, mode=numpy_mode)
    expected = scipy.signal.correlate2d(padded, weights, mode="valid")
    np.testing.assert_allclose(
        correlate(image, weights, padding=4, fill=fill), expected, atol=1e-12
    )


@pytest.mark.parametrize("stride", [1, 2, 3, 7])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_against_nn_conv2d(stride, padding):
    layer = torch.nn.Conv2d(3, 4, (3, 5), stride=stride, padding=padding, bias=False).double()
    images = random_image(2, 3, 10, 12)
    torch.testing.assert_close(
        correlate(images, layer.weight, stride=stride, padding=padding), layer(images)
    )


def test_same_padding_against_nn_conv2d():
    layer = torch.nn.Conv2d(3, 4, 5, padding="same", padding_mode="reflect", bias=False).double()
    images = random_image(2, 3, 10, 12)
    torch.testing.assert_close(correlate(images, layer.weight, fill="reflect"), layer(images))


def test_a_square_kernel_treats_every_channel_alike():
    image, weights = random_image(2, 3, 8, 9), random_kernel(3, 3)
    result = correlate(image, weights)
    for n in range(2):
        for c in range(3):
            expected = scipy.signal.correlate2d(image[n, c], weights, mode="same")
            np.testing.assert_allclose(result[n, c], expected, atol=1e-12)


def test_channels_are_mixed_by_a_kernel_of_four_dimensions():
    image, weights = random_image(3, 8, 9), random_kernel(2, 3, 3, 3)
    result = convolve(image, weights, padding="valid")
    assert result.shape == (2, 6, 7)
    for o in range(2):
        parts = [scipy.signal.convolve2d(image[c], weights[o, c], "valid") for c in range(3)]
        np.testing.assert_allclose(result[o], sum(parts), atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 9), (1, 8, 9), (3, 8, 9), (2, 3, 8, 9), (1, 1, 8, 9)])
def test_leading_shape_is_kept(shape):
    assert correlate(random_image(*shape), random_kernel(3, 3)).shape == shape
    assert median(random_image(*shape)).shape == shape


@given(
    n=st.integers(1, 20),
    k=st.integers(1, 9),
    padding=st.integers(0, 5),
    stride=st.integers(1, 6),
)
def test_output_size_formula(n, k, padding, stride):
    image, weights = torch.ones(n, 20), torch.ones(k, 1)
    if k > n + 2 * padding:
        with pytest.raises(ValueError, match="larger than the image"):
            correlate(image, weights, stride=stride, padding=padding)
        return
    # Count the positions one by one.
    positions = len(range(0, n + 2 * padding - k + 1, stride))
    result = correlate(image, weights, stride=stride, padding=padding)
    assert result.shape[0] == positions == (n + 2 * padding - k) // stride + 1


@given(n=st.integers(1, 20), half=st.integers(0, 4), stride=st.integers(1, 6))
def test_same_with_a_stride_rounds_up(n, half, stride):
    result = correlate(torch.ones(n, n), torch.ones(2 * half + 1, 2 * half + 1), stride=stride)
    assert result.shape == (math.ceil(n / stride), math.ceil(n / stride))


small = st.floats(-10, 10)
images = hnp.arrays(np.float64, (7, 8), elements=small).map(torch.from_numpy)
kernels = hnp.arrays(np.float64, (3, 3), elements=small).map(torch.from_numpy)
fills = st.sampled_from([fill for fill, _, _ in FILLS])


@given(images, images, kernels, small, small, fills)
def test_linear_in_the_image(one, other, weights, a, b, fill):
    torch.testing.assert_close(
        correlate(a * one + b * other, weights, fill=fill),
        a * correlate(one, weights, fill=fill) + b * correlate(other, weights, fill=fill),
        atol=1e-8,
        rtol=1e-8,
    )


@given(images, kernels, kernels, small)
def test_linear_in_the_kernel(image, one, other, a):
    torch.testing.assert_close(
        convolve(image, a * one + other),
        a * convolve(image, one) + convolve(image, other),
        atol=1e-8,
        rtol=1e-8,
    )


@given(images, kernels, st.integers(0, 3), st.integers(0, 3))
def test_equivariant_to_shifts_away_from_the_border(image, weights, down, right):
    canvas = torch.zeros(14, 15, dtype=torch.float64)
    canvas[1:8, 1:9] = image
    shifted = torch.zeros_like(canvas)
    shifted[1 + down : 8 + down, 1 + right : 9 + right] = image
    before, after = correlate(canvas, weights), correlate(shifted, weights)
    torch.testing.assert_close(
        before[0:9, 0:10], after[down : 9 + down, right : 10 + right], atol=1e-10, rtol=0
    )


@given(images, kernels, kernels)
def test_convolution_is_associative_and_commutative(image, one, other):
    torch.testing.assert_close(
        convolve(convolve(image, one, padding=2), other, padding=2),
        convolve(convolve(image, other, padding=2), one, padding=2),
        atol=1e-7,
        rtol=1e-8,
    )
    combined = torch.from_numpy(scipy.signal.convolve2d(one, other))
    torch.testing.assert_close(
        convolve(convolve(image, one, padding=2), other, padding=2),
        convolve(image, combined, padding=4),
        atol=1e-7,
        rtol=1e-8,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_the_image_s(dtype):
    image = random_image(6, 6).to(dtype)
    assert correlate(image, kernel("sobel_x")).dtype == dtype
    assert convolve(image, torch.tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])).dtype == dtype
    assert median(image).dtype == dtype


def test_gradients_reach_image_and_kernel():
    image = random_image(2, 5, 6).requires_grad_()
    weights = random_kernel(3, 3).requires_grad_()
    for fill, _, _ in FILLS:
        torch.autograd.gradcheck(lambda i, k, f=fill: correlate(i, k, fill=f), (image, weights))
    mixing = random_kernel(2, 2, 3, 3).requires_grad_()
    torch.autograd.gradcheck(lambda i, k: convolve(i, k, stride=2), (image, mixing))
    torch.autograd.gradcheck(median, image)


def test_a_kernel_can_be_learnt():
    # The bridge to learning: from pictures before and after, gradient descent finds Sobel.
    image = sample_image("cat", gray=True, size=32)
    target = correlate(image, kernel("sobel_x"))
    weights = torch.zeros(3, 3, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.1)
    for _ in range(800):
        optimizer.zero_grad()
        (correlate(image, weights) - target).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(weights.detach(), kernel("sobel_x"), atol=0.05, rtol=0)


def test_inputs_are_left_alone():
    image, weights = random_image(1, 6, 6), random_kernel(3, 3)
    copies = image.clone(), weights.clone()
    correlate(image, weights), convolve(image, weights), median(image)
    assert torch.equal(image, copies[0])
    assert torch.equal(weights, copies[1])


def test_runs_on_the_image_s_device():
    other = "cuda" if torch.cuda.is_available() else None
    if other is None:
        pytest.skip("no second device")
    image = random_image(1, 6, 6).to(other)
    assert correlate(image, kernel("sobel_x")).device.type == other
    assert median(image).device.type == other


# Median


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_median_against_scipy_and_skimage(size):
    image = random_image(14, 17)
    expected = scipy.ndimage.median_filter(image.numpy(), size, mode="mirror")
    np.testing.assert_array_equal(median(image, size), expected)
    footprint = np.ones((size, size))
    expected = skimage.filters.median(image.numpy(), footprint, mode="mirror")
    np.testing.assert_array_equal(median(image, size), expected)


def test_median_treats_channels_apart():
    image = random_image(2, 3, 8, 9)
    result = median(image)
    for n in range(2):
        for c in range(3):
            expected = scipy.ndimage.median_filter(image[n, c].numpy(), 3, mode="mirror")
            np.testing.assert_array_equal(result[n, c], expected)


def test_median_is_not_linear():
    one, other = torch.zeros(3, 3), torch.zeros(3, 3)
    one[0, :2] = one[1, 0] = 1
    other[2, 1:] = other[1, 2] = 1
    assert median(one + other)[1, 1] != median(one)[1, 1] + median(other)[1, 1]


def test_median_removes_salt_and_pepper():
    clean = torch.full((20, 20), 0.5)
    noisy = clean.clone()
    noisy[3::6, 3::6], noisy[6::6, 6::6] = 0, 1
    assert torch.equal(median(noisy), clean)


# Bad input


IMAGE, WEIGHTS = torch.rand(1, 6, 7), torch.rand(3, 3)


@pytest.mark.parametrize("function", [correlate, convolve])
@pytest.mark.parametrize(
    ("image", "weights", "options", "error", "message"),
    [
        (np.zeros((6, 7)), WEIGHTS, {}, TypeError, "torch.Tensor, got ndarray"),
        (IMAGE, [[1.0]], {}, TypeError, "torch.Tensor, got list"),
        (torch.zeros(6, 7, dtype=torch.uint8), WEIGHTS, {}, TypeError, r"uint8.*float\(\) / 255"),
        (torch.zeros(6, 7, dtype=torch.complex64), WEIGHTS, {}, TypeError, "complex64"),
        (IMAGE, WEIGHTS.to(torch.complex64), {}, TypeError, "real numbers, got torch.complex64"),
        (torch.zeros(7), WEIGHTS, {}, ValueError, r"\(N, C, H, W\), got \(7,\)"),
        (torch.zeros(1, 1, 1, 6, 7), WEIGHTS, {}, ValueError, r"got \(1, 1, 1, 6, 7\)"),
        (torch.zeros(1, 0, 7), WEIGHTS, {}, ValueError, r"with pixels, got shape \(1, 0, 7\)"),
        (IMAGE, torch.zeros(3), {}, ValueError, r"\(O, C, kh, kw\), got \(3,\)"),
        (IMAGE, torch.zeros(3, 3, 3), {}, ValueError, r"got \(3, 3, 3\)"),
        (IMAGE, torch.zeros(0, 3), {}, ValueError, r"got \(0, 3\)"),
        (IMAGE.index_fill(2, torch.tensor([1]), math.nan), WEIGHTS, {}, ValueError, "NaN"),
        (IMAGE / 0, WEIGHTS, {}, ValueError, "image with NaN or infinity"),
        (IMAGE, WEIGHTS * math.inf, {}, ValueError, "kernel with NaN or infinity"),
        (IMAGE[0], torch.zeros(1, 1, 3, 3), {}, ValueError, r"channel dimension.*got \(6, 7\)"),
        (IMAGE, torch.zeros(2, 3, 3, 3), {}, ValueError, "3 channels, the image has 1"),
        (IMAGE, torch.zeros(2, 3), {}, ValueError, "odd sides, got 2×3"),
        (IMAGE, torch.zeros(3, 4), {"padding": "same"}, ValueError, "odd sides, got 3×4"),
        (IMAGE, torch.zeros(7, 7), {"padding": "valid"}, ValueError, "7×7 against 6×7"),
        (IMAGE, torch.zeros(9, 9), {"padding": 1}, ValueError, "9×9 against 6×7 .* 1 and 1"),
        (IMAGE, WEIGHTS, {"stride": 0}, ValueError, "stride to be at least 1, got 0"),
        (IMAGE, WEIGHTS, {"stride": 1.5}, TypeError, "stride to be an integer, got 1.5"),
        (IMAGE, WEIGHTS, {"stride": True}, TypeError, "stride to be an integer, got True"),
        (IMAGE, WEIGHTS, {"padding": -1}, ValueError, "at least 0, got -1"),
        (IMAGE, WEIGHTS, {"padding": 0.5}, TypeError, "integer, got 0.5"),
        (IMAGE, WEIGHTS, {"padding": "smae"}, ValueError, "padding 'smae'. Did you mean 'same'"),
        (IMAGE, WEIGHTS, {"fill": "reflekt"}, ValueError, "Did you mean 'reflect'.*circular"),
        (IMAGE, WEIGHTS, {"padding": 6, "fill": "reflect"}, ValueError, "at most 5 and 6"),
        (IMAGE, WEIGHTS, {"padding": 7, "fill": "circular"}, ValueError, "at most 6 and 7"),
    ],
)
def test_bad_input(function, image, weights, options, error, message):
    with pytest.raises(error, match=message):
        function(image, weights, **options)


@pytest.mark.parametrize(
    ("image", "size", "error", "message"),
    [
        (IMAGE, 2, ValueError, "odd.*got 2"),
        (IMAGE, 0, ValueError, "at least 1, got 0"),
        (IMAGE, 3.0, TypeError, "integer, got 3.0"),
        (IMAGE, 13, ValueError, "at most 5 and 6"),
        ((IMAGE * 255).byte(), 3, TypeError, "uint8"),
        (IMAGE / 0, 3, ValueError, "NaN or infinity"),
    ],
)
def test_median_bad_input(image, size, error, message):
    with pytest.raises(error, match=message):
        median(image, size)
