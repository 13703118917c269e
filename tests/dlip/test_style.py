"""Style transfer against hand-computed numbers, einsum, autograd's own check, and SciPy."""

import numpy as np
import pytest
import scipy.signal
import skimage.data
import torch
import torch.nn.functional as F
from torch import nn

import dlip
from dlip import style

CAT = dlip.data.sample_image("cat", size=64)
BRICK = dlip.data.sample_image("brick", size=64)


def random(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


# The Gram matrix


def test_gram_by_hand():
    maps = torch.tensor([[[[1.0, 0.0, 2.0]], [[3.0, 1.0, 0.0]]]])
    torch.testing.assert_close(
        style.gram(maps), torch.tensor([[[5.0, 3.0], [3.0, 10.0]]]) / 3, rtol=0, atol=1e-7
    )


def test_gram_against_einsum():
    maps = random(3, 7, 5, 4)
    expected = torch.einsum("nixy,nkxy->nik", maps, maps) / 20
    torch.testing.assert_close(style.gram(maps), expected)


def test_gram_forgets_places_and_no_more():
    maps = random(2, 5, 6, 6)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    moved = maps.flatten(2)[..., order].reshape(maps.shape)
    torch.testing.assert_close(style.gram(moved), style.gram(maps))
    apart = maps.clone()
    apart[:, 0] = moved[:, 0]  # one map alone
    assert (style.gram(apart) - style.gram(maps)).abs().max() > 0.1


def test_gram_of_a_tiled_picture_is_that_of_one_tile():
    maps = random(1, 4, 3, 5)
    torch.testing.assert_close(style.gram(maps.tile(1, 1, 2, 3)), style.gram(maps))


# Losses


def test_content_loss_by_hand():
    target = torch.tensor([[[[3.0, 4.0]]], [[[1.0, 0.0]]]])
    maps = torch.tensor([[[[3.0, 1.0]]], [[[1.0, 2.0]]]])
    # (0 + 9) / 25 of the first picture, (0 + 4) / 1 of the second; averaged
    assert style.content_loss(maps, target).item() == pytest.approx((9 / 25 + 4) / 2)
    assert style.content_loss(target, target).item() == 0
    assert style.content_loss(torch.zeros_like(target), target).item() == 1


def test_style_loss_by_hand():
    maps = torch.tensor([[[[1.0, 1.0]], [[0.0, 2.0]]]])  # G = [[1, 1], [1, 2]]
    target = torch.tensor([[[2.0, 1.0], [1.0, 0.0]]])
    assert style.style_loss(maps, target).item() == pytest.approx((1 + 4) / (4 + 1 + 1))
    assert style.style_loss(maps, style.gram(maps)).item() == 0


def test_gradient_of_the_style_loss():
    maps = random(2, 3, 4, 3, dtype=torch.float64).requires_grad_()
    target = style.gram(random(2, 3, 5, 5, dtype=torch.float64) + 1)
    assert torch.autograd.gradcheck(lambda x: style.style_loss(x, target), maps)
    other = maps.detach() + 1  # once: gradcheck moves the values of `maps` in place
    assert torch.autograd.gradcheck(lambda x: style.content_loss(x, other), maps)


def test_gradient_of_the_style_loss_by_formula():
    maps = random(1, 3, 4, 5, dtype=torch.float64).requires_grad_()
    target = torch.eye(3, dtype=torch.float64)[None]
    (gradient,) = torch.autograd.grad(style.style_loss(maps, target), maps)
    rows = maps.detach().flatten(2)[0]
    expected = 4 / 20 * (rows @ rows.T / 20 - target[0]) @ rows / 3  # ΣA² = 3
    torch.testing.assert_close(gradient.flatten(2)[0], expected)


def test_losses_are_weighted_sums():
    maps = [random(1, 2, 3, 3), random(1, 4, 2, 2)]
    targets = [maps[0] + 1, maps[1] * 2]
    grams = [style.gram(targets[0]), style.gram(targets[1])]
    content, painted = style.losses(maps, targets, grams, [0.5, 0], [2, 3])
    assert content.item() == pytest.approx(0.5 * style.content_loss(maps[0], targets[0]).item())
    assert painted.item() == pytest.approx(
        2 * style.style_loss(maps[0], grams[0]).item()
        + 3 * style.style_loss(maps[1], grams[1]).item()
    )


# Features


@pytest.fixture(scope="module")
def lite0():
    return dlip.zoo.pretrained("efficientnet_lite0")


def test_features_are_what_hooks_see(lite0):
    seen = {}
    hooks = [
        lite0.model.get_submodule(name).register_forward_hook(
            lambda layer, inputs, output, name=name: seen.setdefault(name, output)
        )
        for name in style.LAYERS
    ]
    with torch.no_grad():
        lite0.model((CAT[None] * 255 - 127) / 128)
        found = style.features(lite0, style.LAYERS)(CAT[None])
    for hook in hooks:
        hook.remove()
    for maps, name in zip(found, style.LAYERS, strict=True):
        torch.testing.assert_close(maps, seen[name], rtol=1e-4, atol=1e-5)


def test_features_come_in_the_order_asked_for(lite0):
    f = style.features(lite0, ["features.stage2", "features.stem"])
    assert [maps.shape[1] for maps in f(CAT[None])] == [24, 32]


def test_gradient_reaches_the_pixels_and_not_the_weights(lite0):
    image = CAT[None].clone().requires_grad_()
    style.features(lite0, ["features.stage2"])(image)[0].sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in lite0.model.parameters())


def test_enlarging_doubles_the_maps(lite0):
    once, twice = (
        style.features(lite0, ["features.stem"], enlarge=n)(CAT[None])[0] for n in (1, 2)
    )
    assert once.shape[2:] == (32, 32)
    assert twice.shape[2:] == (64, 64)


def test_random_features_against_scipy():
    maps = style.random_features(3, kernel=5, levels=2, seed=4)(CAT[None])
    kernels = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(4)).numpy()
    half = CAT.numpy().reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
    for found, picture in zip(maps, (CAT.numpy(), half), strict=True):
        padded = np.pad(2 * picture - 1, [(0, 0), (2, 2), (2, 2)], mode="edge")
        for number, kernel in enumerate(kernels):
            expected = sum(
                scipy.signal.correlate2d(padded[c], kernel[c], mode="valid") for c in range(3)
            ) / np.sqrt((kernel**2).sum())
            np.testing.assert_allclose(found[0, number], np.maximum(expected, 0), atol=1e-5)


def test_painting_features_have_a_weight_each():
    layers = len(style.painting_features()(CAT[None]))
    assert layers == len(style.CONTENT_WEIGHTS) == len(style.STYLE_WEIGHTS)
    assert sum(style.STYLE_WEIGHTS) == pytest.approx(1)


# The transfer


def simple(images):
    """The pixels, and their blurred version: quick, and the minimum is known."""
    return [images, F.avg_pool2d(images, 2)]


def test_content_alone_gives_the_content_back():
    gray = torch.full_like(CAT, 0.5)
    result = style.transfer(
        CAT, BRICK, simple, content_weights=[1, 0], style_weights=[0, 0], start=gray, steps=30
    )
    assert (result.image - CAT).abs().max() < 1e-3
    assert len(result.content) == len(result.style)
    assert result.content[0] == pytest.approx(
        style.content_loss(gray[None], CAT[None]).item(), rel=1e-5
    )


def test_style_alone_gives_the_gram_matrix_of_the_style():
    result = style.transfer(
        CAT, BRICK, simple, content_weights=[0, 0], style_weights=[1, 0], steps=100
    )
    torch.testing.assert_close(
        style.gram(result.image[None]), style.gram(BRICK[None]), atol=2e-3, rtol=0
    )


def test_beta_sets_style_against_content():
    f = style.random_features(8, kernel=3, levels=2)
    low, high = (
        style.transfer(
            CAT, BRICK, f, content_weights=[0, 1], style_weights=[1, 1], beta=beta, steps=15
        )
        for beta in (0.1, 100)
    )
    assert low.content[-1] < high.content[-1]
    assert low.style[-1] > high.style[-1]
    assert high.image.min() >= 0
    assert high.image.max() <= 1


def test_pictures_are_left_as_they_were():
    content, painted = CAT.clone(), BRICK.clone()
    style.transfer(content, painted, simple, content_weights=[1, 0], style_weights=[0, 1], steps=3)
    assert torch.equal(content, CAT)
    assert torch.equal(painted, BRICK)


def test_same_result_again():
    first, again = (
        style.transfer(CAT, BRICK, simple, content_weights=[0, 1], style_weights=[1, 0], steps=5)
        for _ in range(2)
    )
    assert torch.equal(first.image, again.image)


def test_sizes_may_differ():
    f = style.random_features(4, kernel=3, levels=2)
    wide = dlip.data.sample_image("coffee")[:, :50, :71]
    result = style.transfer(wide, BRICK, f, content_weights=[0, 1], style_weights=[1, 1], steps=2)
    assert result.image.shape == wide.shape


# Style pictures


@pytest.mark.parametrize("name", style.STYLES)
def test_style_pictures(name):
    picture = style.style_picture(name, size=48)
    assert picture.shape == (3, 48, 48)
    assert picture.dtype == torch.float32
    assert 0 <= picture.min() < picture.max() <= 1
    photograph, side, top, left = style.STYLES[name]
    if photograph == "immunohistochemistry":
        whole = torch.from_numpy(skimage.data.immunohistochemistry()).permute(2, 0, 1) / 255
    else:
        whole = dlip.data.sample_image(photograph)
    square = whole[:, top : top + side, left : left + side]
    assert square.shape == (3, side, side)  # it lies within the photograph
    assert (picture.mean(dim=(1, 2)) - square.mean(dim=(1, 2))).abs().max() < 0.01


# Errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: style.gram(torch.ones(2, 3, 3)), ValueError, r"\(N, C, H, W\).*\(2, 3, 3\)"),
        (lambda: style.gram([1]), TypeError, r"torch.Tensor, got \[1\]"),
        (
            lambda: style.style_loss(torch.ones(1, 2, 3, 3), torch.ones(1, 3, 3)),
            ValueError,
            r"target of shape \(1, 2, 2\), got \(1, 3, 3\)",
        ),
        (
            lambda: style.content_loss(torch.ones(1, 2, 3, 3), None),
            TypeError,
            "target as a torch.Tensor, got None",
        ),
        (
            lambda: style.transfer(CAT, BRICK, simple, content_weights=[1], style_weights=[0, 1]),
            ValueError,
            "content_weights for 2 layers, got 1",
        ),
        (
            lambda: style.transfer(
                CAT, BRICK, simple, content_weights=[1, 0], style_weights=[0, -1]
            ),
            ValueError,
            "style_weights from 0 on",
        ),
        (lambda: style.transfer(CAT[None], BRICK, simple), ValueError, r"content of shape \(3, H"),
        (lambda: style.transfer(CAT, BRICK * 255, simple), ValueError, "style from 0 to 1, got"),
        (lambda: style.transfer(CAT, BRICK, simple, beta=-1), ValueError, "beta .* got -1"),
        (
            lambda: style.transfer(CAT, BRICK, simple, start=CAT[:, 1:]),
            ValueError,
            r"content's shape \(3, 64, 64\), got \(3, 63, 64\)",
        ),
        (lambda: style.transfer(CAT, BRICK, simple, steps=0), ValueError, "steps .* at least 1"),
        (lambda: style.random_features(0), ValueError, "filters .* at least 1"),
        (lambda: style.random_features(2)(CAT), ValueError, r"\(N, C, H, W\)"),
        (lambda: style.random_features(2)(CAT[None, :1]), ValueError, r"\(N, 3, H, W\)"),
        (lambda: style.style_picture("bricks"), ValueError, "Did you mean 'brick'"),
        (lambda: style.style_picture("brick", size=7), ValueError, "size .* at least 8"),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_unknown_layers_are_refused(lite0):
    with pytest.raises(ValueError, match="stage9"):
        style.features(lite0, ["features.stage9"])
    with pytest.raises(ValueError, match="list of one name"):
        style.features(lite0, "features.stem")


def test_a_network_of_torchvision_serves_as_well():
    """VGG as the paper uses it, here small and untrained."""
    small = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.AvgPool2d(2))
    wrapped = dlip.zoo.Pretrained(
        name="small",
        model=nn.ModuleDict({"features": small})["features"],
        preprocess=dlip.zoo.Preprocessing(64, 64, "bilinear", (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)),
        classes=(),
        classes_ja={},
        input_size=(3, 64, 64),
        provenance=None,
    )
    found = style.features(wrapped, ["1", "2"])(CAT[None])
    mean = torch.tensor([0.5, 0.4, 0.3])[:, None, None]
    expected = small[0]((CAT - mean)[None] / 0.2).relu()
    torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1], F.avg_pool2d(expected, 2), rtol=1e-5, atol=1e-5)
