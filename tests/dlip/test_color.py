"""Lab against scikit-image, the CIE's numbers and properties; the gamut; predicting with a network."""

import warnings

import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlip.color import (
    chroma,
    colorize,
    denormalize,
    lab_to_rgb,
    normalize,
    predict_lab,
    rgb_to_lab,
    to_gamut,
)
from dlip.data import sample_image

PIXELS = st.lists(
    st.tuples(*[st.floats(0, 1, allow_nan=False, width=32)] * 3), min_size=1, max_size=20
)
LABS = st.lists(
    st.tuples(st.floats(0, 100), st.floats(-128, 128), st.floats(-128, 128)),
    min_size=1,
    max_size=20,
)

# Lab of sRGB's colours for D65 and 2°, as colour tables list them (to two digits).
TABLE = {
    "black": ((0, 0, 0), (0, 0, 0)),
    "white": ((1, 1, 1), (100, 0, 0)),
    "red": ((1, 0, 0), (53.24, 80.09, 67.20)),
    "green": ((0, 1, 0), (87.73, -86.18, 83.18)),
    "blue": ((0, 0, 1), (32.30, 79.19, -107.86)),
    "yellow": ((1, 1, 0), (97.14, -21.55, 94.48)),
}


def image(pixels, dtype=torch.float64):
    """A picture of one row."""
    return torch.tensor(pixels, dtype=dtype).T[:, None]


def numpy(picture):
    return picture.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", TABLE)
def test_known_colours(name):
    rgb, lab = TABLE[name]
    torch.testing.assert_close(
        rgb_to_lab(image([rgb])).flatten(), torch.tensor(lab).double(), rtol=0, atol=0.02
    )


def test_a_gray_computed_by_hand():
    # 119/255 → ((0.46667 + 0.055) / 1.055) ** 2.4 = 0.18447 of white's light,
    # cube root 0.56926, L = 116 · 0.56926 − 16 = 50.03
    lab = rgb_to_lab(image([[119 / 255] * 3])).flatten()
    torch.testing.assert_close(lab, torch.tensor([50.034, 0, 0]).double(), rtol=0, atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["cat", "coffee", "retina"])
def test_photographs_as_scikit_image_has_them(name, dtype):
    photo = sample_image(name).to(dtype)
    lab = rgb_to_lab(photo)
    theirs = skimage.color.rgb2lab(numpy(photo.double()))
    assert np.abs(numpy(lab.double()) - theirs).max() < 1e-4
    back = skimage.color.lab2rgb(theirs)
    assert np.abs(numpy(lab_to_rgb(lab).double()) - back).max() < 1e-5


@given(LABS)
def test_any_lab_as_scikit_image_clips_it(labs):
    lab = image(labs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of negative Z, and sets them to 0
        theirs = skimage.color.lab2rgb(numpy(lab))
    negative_z = (lab[0] + 16) / 116 - lab[2] / 200 < 16 / 116
    difference = np.abs(numpy(lab_to_rgb(lab)) - theirs).max(-1)
    assert (difference[~negative_z.numpy()] < 1e-9).all()


@given(PIXELS)
def test_round_trip(pixels):
    # 3e-8 apart where a curve and its straight piece meet: the standard's limits are rounded.
    rgb = image(pixels)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, rtol=0, atol=1e-6)
    rgb = rgb.float()
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, rtol=0, atol=1e-5)


@given(PIXELS)
def test_normalized_colours_of_a_screen_are_between_minus_1_and_1(pixels):
    lab = rgb_to_lab(image(pixels))
    small = normalize(lab)
    assert small[0].min() > -1e-9
    assert small[0].max() < 1 + 1e-9
    assert small[1:].abs().max() < 1
    torch.testing.assert_close(denormalize(small), lab)


@given(PIXELS)
def test_lightness_of_gray_pictures_rises_with_the_gray(pixels):
    gray = image(pixels)[:1].flatten().sort().values
    lab = rgb_to_lab(gray.expand(3, 1, -1))
    assert (lab[0].diff() >= 0).all()
    assert chroma(lab).max() < 0.02  # not exactly 0: the digits of white and of the matrix


@pytest.mark.parametrize("rgb", [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0.04045, 0, 0.5)])
def test_gradients_are_finite(rgb):
    there = image([rgb]).requires_grad_()
    rgb_to_lab(there).sum().backward()
    assert there.grad.isfinite().all()
    back = rgb_to_lab(image([rgb])).requires_grad_()
    lab_to_rgb(back, clip=False).sum().backward()
    assert back.grad.isfinite().all()


def test_gradient_at_black_is_that_of_the_straight_piece():
    black = image([(0, 0, 0)]).requires_grad_()
    rgb_to_lab(black)[0].sum().backward()  # L = 116 · 7.787 · Y, Y = 0.71516 · G / 12.92
    assert black.grad[1].item() == pytest.approx(116 * 7.787 * 0.715160 / 12.92)


@given(PIXELS)
def test_gradients_are_right(pixels):
    rgb = image(pixels).clamp(0.05, 0.95).requires_grad_()  # away from where it bends
    assert torch.autograd.gradcheck(rgb_to_lab, rgb)
    lab = rgb_to_lab(rgb.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: lab_to_rgb(x, clip=False), lab)


def test_batches_are_as_single_pictures():
    photos = torch.stack([sample_image(name, size=40) for name in ("cat", "coffee")])
    for function in (rgb_to_lab, chroma, normalize, denormalize):
        assert torch.equal(function(photos)[1], function(photos[1]))
    lab = rgb_to_lab(photos) * torch.tensor([1.0, 3, 3])[:, None, None]
    for function in (lab_to_rgb, to_gamut):
        torch.testing.assert_close(function(lab)[1], function(lab[1]))


@given(LABS)
def test_to_gamut_keeps_lightness_and_hue(labs):
    lab = image(labs)
    possible = to_gamut(lab)
    assert torch.equal(possible[0], lab[0])
    rgb = lab_to_rgb(possible, clip=False)
    assert rgb.min() > -2e-3
    assert rgb.max() < 1 + 2e-3
    cross = possible[1] * lab[2] - possible[2] * lab[1]
    torch.testing.assert_close(cross, torch.zeros_like(cross), rtol=0, atol=1e-6)
    assert (chroma(possible) <= chroma(lab) + 1e-9).all()
    assert ((possible[1:] * lab[1:]).sum(0) >= 0).all()  # never to the complementary colour
    # What is shown has the lightness that was asked for; merely cutting off has not.
    torch.testing.assert_close(rgb_to_lab(lab_to_rgb(possible))[0], lab[0], rtol=0, atol=0.2)


@given(PIXELS)
def test_to_gamut_leaves_what_a_screen_can_show(pixels):
    lab = rgb_to_lab(image(pixels))
    torch.testing.assert_close(to_gamut(lab), lab, rtol=0, atol=1e-9)


def test_to_gamut_goes_as_far_as_it_can():
    lab = image([(90, 80, 0)])
    pale = to_gamut(lab)
    more = pale * torch.tensor([1, 1.01, 1.01])[:, None, None]
    assert lab_to_rgb(pale, clip=False).max() < 1.0011
    assert lab_to_rgb(more, clip=False).max() > 1.0011
    assert abs(rgb_to_lab(lab_to_rgb(lab))[0].item() - 90) > 5


class Constant(nn.Module):
    """Says the same colour everywhere, and remembers what it was shown."""

    def __init__(self, a, b):
        super().__init__()
        self.colour = torch.tensor([a, b])[:, None, None]

    def forward(self, lightness):
        self.seen = lightness
        return self.colour.expand(len(lightness), 2, *lightness.shape[-2:])


def test_prediction_keeps_the_lightness_exactly():
    photo = sample_image("coffee", size=50)
    lab = predict_lab(Constant(0.5, -0.1), photo)
    assert torch.equal(lab[0], rgb_to_lab(photo)[0])
    torch.testing.assert_close(lab[1], torch.full((50, 50), 55.0))
    torch.testing.assert_close(lab[2], torch.full((50, 50), -11.0))


def test_colorized_pictures_have_the_lightness_of_the_input():
    for name in ("coffee", "astronaut", "hubble"):
        photo = sample_image(name, size=60)
        result = colorize(Constant(0.7, -0.4), photo)  # no screen shows that much everywhere
        difference = rgb_to_lab(result)[0] - rgb_to_lab(photo)[0]
        assert difference.abs().max() < 0.2


def test_network_sees_lightness_only_at_the_size_asked_for():
    photo = sample_image("cat")  # 300 × 451
    gray = rgb_to_lab(photo) * torch.tensor([1.0, 0, 0])[:, None, None]
    model = Constant(0.0, 0.0)
    predict_lab(model, photo, 100)
    assert model.seen.shape == (1, 1, 100, 150)
    assert 0 <= model.seen.min() < model.seen.max() <= 1
    colourful = model.seen
    predict_lab(model, lab_to_rgb(gray), 100)
    torch.testing.assert_close(model.seen, colourful, rtol=0, atol=1e-3)
    predict_lab(model, photo, None)
    torch.testing.assert_close(model.seen[0, 0], rgb_to_lab(photo)[0] / 100)


def test_gray_pictures_and_batches():
    gray = sample_image("camera", gray=True, size=48)
    three = gray.expand(3, -1, -1)
    model = Constant(0.2, 0.3)
    assert torch.equal(colorize(model, gray), colorize(model, three))
    assert torch.equal(colorize(model, three[None])[0], colorize(model, three))
    assert colorize(model, gray).requires_grad is False


@pytest.mark.parametrize(
    "function", [rgb_to_lab, lab_to_rgb, to_gamut, chroma, normalize, denormalize]
)
def test_errors(function):
    with pytest.raises(TypeError, match=r"expected .* as a torch.Tensor \(3, H, W\)"):
        function(np.zeros((3, 4, 4)))
    with pytest.raises(TypeError, match=r"floating-point numbers, got torch.uint8"):
        function(torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"\(3, H, W\) or \(N, 3, H, W\), got \(4, 4, 3\)"):
        function(torch.zeros(4, 4, 3))
    with pytest.raises(ValueError, match=r"got \(3, 4\)"):
        function(torch.zeros(3, 4))


def test_errors_of_the_gamut_and_the_prediction():
    with pytest.raises(ValueError, match="lightness from 0 to 100, got values from -1 to 120"):
        to_gamut(image([(120, 0, 0), (-1, 0, 0)]))
    with pytest.raises(ValueError, match="got values from nan to nan"):
        to_gamut(image([(float("nan"), 0, 0)]))
    photo = sample_image("cat", size=20)
    with pytest.raises(ValueError, match=r"returns \(1, 2, 20, 20\), got \(1, 1, 20, 20\)"):
        predict_lab(nn.Identity(), photo, None)
    with pytest.raises(ValueError, match="side to be at least 1, got 0"):
        predict_lab(nn.Identity(), photo, 0)
    with pytest.raises(TypeError, match="side to be an integer"):
        colorize(nn.Identity(), photo, 20.0)
    with pytest.raises(ValueError, match=r"\(3, H, W\) or \(N, 3, H, W\), got \(2, 20, 20\)"):
        predict_lab(nn.Identity(), photo[:2])
