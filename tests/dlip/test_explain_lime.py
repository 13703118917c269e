"""dlip.explain.lime against scikit-learn, the formula, and models whose coefficients are known."""

import numpy as np
import pytest
import skimage.segmentation
import sklearn.linear_model
import torch
from nets import Small, Sum
from torch import Tensor

from dlip.data import sample_image
from dlip.explain import lime
from dlip.explain.lime import superpixels

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


IMAGE = torch.randn(3, 16, 20, generator=torch.Generator().manual_seed(1))
GRID = (torch.arange(16)[:, None] // 4) * 5 + torch.arange(20) // 4  # 20 squares of 4×4
MODEL = Small().eval()


def by_segment(values: Tensor, segments: Tensor = GRID) -> Tensor:
    """The value of each segment; all its pixels must have it."""
    found = []
    for number in segments.unique():
        of_one = values[segments == number]
        assert (of_one == of_one[0]).all()
        found.append(of_one[0])
    return torch.stack(found)


@pytest.mark.parametrize("target", [0, 2])
def test_linear_models_give_their_coefficients(target):
    model = Sum(torch.randn(3, 3, 16, 20, generator=torch.Generator().manual_seed(2)))
    gray = 0.5
    # Switching a square on changes the score by this much, whatever the others are.
    change = (model.weights[target].detach() * (IMAGE - gray)).sum(0)
    expected = torch.stack([change[number == GRID].sum() for number in range(20)])
    result = lime(model, IMAGE, target, segments=GRID, samples=100, baseline=gray, ridge=1e-9)
    torch.testing.assert_close(by_segment(result), expected, rtol=1e-3, atol=1e-3)
    # Twenty unknowns need more than twenty equations, but not many more.
    result = lime(model, IMAGE, target, segments=GRID, samples=40, baseline=gray, ridge=1e-9)
    torch.testing.assert_close(by_segment(result), expected, rtol=1e-2, atol=1e-2)
    # The usual penalty makes the coefficients a little smaller.
    shrunk = by_segment(lime(model, IMAGE, target, segments=GRID, baseline=gray))
    assert 0.9 < shrunk.norm() / expected.norm() < 1


def samples_of(model, image, segments, baseline, **options):
    """Run lime and note which segments it kept, from the images that the model got."""
    seen = []
    hook = model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    try:
        result = lime(model, image, 1, segments=segments, baseline=baseline, **options)
    finally:
        hook.remove()
    images = torch.cat(seen[1:])  # the first is the image itself
    with torch.no_grad():
        scores = model(images)[:, 1]
    kept = (images == image).all(dim=1)  # (samples, H, W)
    rows = torch.stack([kept[:, segments == n].all(dim=1) for n in segments.unique()], dim=1)
    for picture, row in zip(images, rows, strict=True):
        expected = torch.where(row[segments], image, torch.tensor(baseline))
        assert torch.equal(picture, expected)
    return result, rows.double().numpy(), scores.double().numpy()


@pytest.mark.parametrize("ridge", [1.0, 20.0])
def test_against_scikit_learn(ridge):
    options = {"samples": 60, "ridge": ridge, "seed": 3, "batch_size": 7}
    result, rows, scores = samples_of(MODEL, IMAGE, GRID, -9.0, **options)
    assert rows.shape == (60, 20)
    assert 0.4 < rows.mean() < 0.6
    # The cosine distance from (1, …, 1), and the kernel of the authors' code.
    cosines = rows.sum(1) / (np.sqrt((rows**2).sum(1)) * np.sqrt(20))
    weights = np.sqrt(np.exp(-((1 - cosines) ** 2) / 0.25**2))
    expected = sklearn.linear_model.Ridge(alpha=ridge).fit(rows, scores, sample_weight=weights)
    np.testing.assert_allclose(by_segment(result), expected.coef_, rtol=1e-3, atol=1e-5)


def test_seed():
    results = [lime(MODEL, IMAGE, 0, segments=GRID, samples=30, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_batch_size_does_not_matter():
    one, many = (
        lime(MODEL, IMAGE, 0, segments=GRID, samples=30, batch_size=size) for size in (1, 64)
    )
    torch.testing.assert_close(one, many, rtol=1e-3, atol=1e-5)


def test_the_baseline_is_the_mean_colour_of_each_segment():
    image = IMAGE.clone()
    image[:, GRID == 3] = torch.tensor([0.1, 0.2, 0.3])[:, None]  # is its own mean
    result = by_segment(lime(MODEL, image, 0, segments=GRID, samples=200))
    other = by_segment(lime(MODEL, image, 0, segments=GRID, samples=200, baseline=0.0))
    assert result[3].abs() < 0.2 * result.abs().max()  # nothing ever changes there
    mean = torch.stack([image[:, n == GRID].mean(1) for n in range(20)], dim=1)[:, GRID]
    same = lime(MODEL, image, 0, segments=GRID, samples=200, baseline=mean)
    torch.testing.assert_close(by_segment(same), result, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(result, other, atol=1e-2)


def test_numbers_of_segments_may_have_gaps():
    expected = lime(MODEL, IMAGE, 0, segments=GRID, samples=40)
    torch.testing.assert_close(lime(MODEL, IMAGE, 0, segments=GRID * 7 - 3, samples=40), expected)


@pytest.mark.parametrize("segments", [None, 12])
def test_superpixels_by_default(segments):
    image = sample_image("cat", size=48) * 4 - 2
    result = lime(MODEL, image, 0, segments=segments, samples=60)
    expected = superpixels(image, segments or 50)
    assert 0.5 < len(expected.unique()) / (segments or 50) <= 1.5
    by_segment(result, expected)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_superpixels_are_those_of_skimage(channels):
    image = sample_image("cat", size=64)[:channels]
    image = (image - image.min()) / (image.max() - image.min())
    expected = skimage.segmentation.slic(
        image.permute(1, 2, 0).double().numpy(), 30, start_label=0, convert2lab=channels == 3
    )
    for scale, shift in ((1.0, 0.0), (7.0, -3.0)):
        labels = superpixels(image * scale + shift, 30)
        assert labels.dtype == torch.int64
        # Rounding may move a pixel at a border.
        assert (labels.numpy() == expected).mean() > 0.999


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"segments": 1}, ValueError, "number of segments to be at least 2, got 1"),
        ({"segments": 2.5}, TypeError, r"number of segments to be an integer, got 2.5"),
        ({"segments": GRID.float()}, TypeError, "segments as integers, got torch.float32"),
        ({"segments": GRID[:8]}, ValueError, r"size \(16, 20\), got \(8, 20\)"),
        ({"segments": GRID * 0}, ValueError, "at least 2 segments, got 1"),
        ({"samples": 1}, ValueError, "samples to be at least 2, got 1"),
        ({"ridge": -1.0}, ValueError, r"ridge to be a finite number from 0 on, got -1.0"),
        ({"ridge": float("nan")}, ValueError, "ridge to be a finite number from 0 on, got nan"),
        ({"seed": -1}, ValueError, "seed to be at least 0, got -1"),
        ({"batch_size": 0}, ValueError, "batch_size to be at least 1, got 0"),
        ({"baseline": torch.zeros(5)}, ValueError, r"got shape \(5,\)"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        lime(MODEL, IMAGE, **{"segments": GRID} | options)
