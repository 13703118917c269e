"""dlip.explain.deletion_insertion against curves computed by hand."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage
import torch
from nets import Small, Sum, lite0, photograph

from dlip.explain import deletion_insertion, occlusion

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


IMAGE = torch.randn(3, 16, 20, generator=torch.Generator().manual_seed(1))
VALUES = torch.rand(16, 20, generator=torch.Generator().manual_seed(2))
MODEL = Small().eval()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def tiny():
    """Four pixels; score 0 is their weighted sum, score 1 is zero."""
    weights = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    return Sum(weights), torch.ones(1, 2, 2)


def test_by_hand():
    model, image = tiny()
    order = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # the last pixel first
    curves = deletion_insertion(model, image, order, 0, steps=4, baseline=0.0)
    assert curves.fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    deletion = [sigmoid(score) for score in (10, 6, 3, 1, 0)]
    insertion = [sigmoid(score) for score in (0, 4, 7, 9, 10)]
    np.testing.assert_allclose(curves.deletion, deletion, rtol=1e-6)
    np.testing.assert_allclose(curves.insertion, insertion, rtol=1e-6)
    # Trapezoids of width 1/4.
    assert curves.deletion_area == pytest.approx(
        sum(deletion) / 4 - (deletion[0] + deletion[-1]) / 8
    )
    assert curves.insertion_area == pytest.approx(
        sum(insertion) / 4 - (insertion[0] + insertion[-1]) / 8
    )


def test_equal_values_go_from_the_upper_left_on():
    model, image = tiny()
    curves = deletion_insertion(model, image, torch.zeros(2, 2), 0, steps=4, baseline=0.0)
    expected = [sigmoid(score) for score in (10, 9, 7, 4, 0)]
    np.testing.assert_allclose(curves.deletion, expected, rtol=1e-6)


def test_the_other_class():
    model, image = tiny()
    curves = deletion_insertion(model, image, torch.zeros(2, 2), 1, steps=2, baseline=2.0)
    # Deleted pixels become 2: the score of class 0 goes from 10 through 13 to 20.
    expected = [sigmoid(-score) for score in (10, 13, 20)]
    np.testing.assert_allclose(curves.deletion, expected, rtol=1e-4)
    np.testing.assert_allclose(
        curves.insertion, [expected[2], sigmoid(-17), expected[0]], rtol=1e-4
    )


@pytest.mark.parametrize("steps", [1, 3, 7, 320, 400])
def test_against_a_plain_loop(steps):
    flat = VALUES.flatten().numpy()
    order = np.argsort(-flat, kind="stable")
    expected = {"deletion": [], "insertion": []}
    for step in range(steps + 1):
        count = round(step * 320 / steps)
        mask = torch.zeros(320, dtype=torch.bool)
        mask[torch.from_numpy(order[:count])] = True
        mask = mask.reshape(16, 20)
        for name, picture in (
            ("deletion", torch.where(mask, torch.tensor(0.5), IMAGE)),
            ("insertion", torch.where(mask, IMAGE, torch.tensor(0.5))),
        ):
            with torch.no_grad():
                expected[name].append(MODEL(picture[None]).softmax(1)[0, 2].item())
    curves = deletion_insertion(MODEL, IMAGE, VALUES, 2, steps=steps, baseline=0.5, batch_size=9)
    np.testing.assert_allclose(curves.deletion, expected["deletion"], rtol=1e-4)
    np.testing.assert_allclose(curves.insertion, expected["insertion"], rtol=1e-4)
    assert curves.deletion_area == pytest.approx(
        scipy.integrate.trapezoid(expected["deletion"], curves.fractions), rel=1e-4
    )


def test_by_default_deletion_ends_at_zero_and_insertion_starts_blurred():
    curves = deletion_insertion(MODEL, IMAGE, VALUES, 2, steps=2)
    # σ = 5, 11×11 weights: SciPy cuts the Gaussian off at 1 σ.
    blurred = scipy.ndimage.gaussian_filter(IMAGE.numpy(), (0, 5, 5), truncate=1.0, mode="nearest")
    with torch.no_grad():
        ends = MODEL(torch.stack([IMAGE, torch.zeros_like(IMAGE), torch.from_numpy(blurred)]))
    whole, gray, blur = ends.softmax(1)[:, 2]
    torch.testing.assert_close(curves.deletion[[0, 2]], torch.stack([whole, gray]))
    torch.testing.assert_close(curves.insertion[[0, 2]], torch.stack([blur, whole]))


def test_only_the_order_counts():
    curves = deletion_insertion(MODEL, IMAGE, VALUES, 2, steps=5)
    other = deletion_insertion(MODEL, IMAGE, VALUES.exp() * 7 - 100, 2, steps=5)
    assert torch.equal(curves.deletion, other.deletion)
    opposite = deletion_insertion(MODEL, IMAGE, -VALUES, 2, steps=5)
    assert not torch.equal(curves.deletion, opposite.deletion)


def test_a_good_explanation_beats_its_opposite_on_a_photograph():
    image = photograph(128)
    explanation = occlusion(lite0(), image, window=48, stride=32)
    good = deletion_insertion(lite0(), image, explanation, steps=6)
    bad = deletion_insertion(lite0(), image, -explanation, steps=6)
    assert good.deletion_area < bad.deletion_area
    assert good.insertion_area > bad.insertion_area
    assert good.deletion[0] == pytest.approx(bad.insertion[-1].item(), abs=1e-4)


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        (VALUES[:8], {}, ValueError, r"size \(16, 20\), got \(8, 20\)"),
        (VALUES[None], {}, ValueError, r"size \(16, 20\), got \(1, 16, 20\)"),
        (VALUES / 0, {}, ValueError, "attribution with NaN or infinity"),
        (VALUES.int(), {}, TypeError, r"floating-point values, got torch\.int32"),
        (VALUES.numpy(), {}, TypeError, r"attribution as a torch\.Tensor, got ndarray"),
        (VALUES, {"steps": 0}, ValueError, "steps to be at least 1, got 0"),
        (VALUES, {"steps": 2.0}, TypeError, r"steps to be an integer, got 2\.0"),
        (VALUES, {"batch_size": -1}, ValueError, "batch_size to be at least 1, got -1"),
        (VALUES, {"baseline": "blur"}, TypeError, r"number or a tensor, got 'blur'"),
    ],
)
def test_bad_options(values, options, error, message):
    with pytest.raises(error, match=message):
        deletion_insertion(MODEL, IMAGE, values, **options)
