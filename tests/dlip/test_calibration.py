"""dlip.calibration against torchmetrics, SciPy, and cases computed by hand."""

import math

import pytest
import scipy.optimize
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from dlip.calibration import expected_calibration_error, fit_temperature, reliability


def some(count=500, classes=7, spread=2.0, seed=0):
    """Scores at random, and labels that softmax(scores) would give."""
    random = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(count, classes, generator=random, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=random)[:, 0]
    return logits, labels


def two_classes(*confidences):
    """Rows in which class 0 has so much probability, all above one half."""
    p = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([p, 1 - p], dim=1)


# Reliability and its error


@pytest.mark.parametrize("bins", [1, 5, 10, 15, 100])
@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_error_against_torchmetrics(bins, factor):
    logits, labels = some()
    p = (factor * logits).softmax(dim=1)
    theirs = multiclass_calibration_error(p, labels, num_classes=7, n_bins=bins, norm="l1")
    assert expected_calibration_error(p, labels, bins) == pytest.approx(theirs.item(), abs=1e-6)


def test_by_hand():
    # Bins of 0.1: (0.5, 0.6] holds two answers, one right, mean 0.57; (0.6, 0.7] one, wrong;
    # (0.9, 1.0] three, all right, mean 0.95.
    p = two_classes(0.55, 0.59, 0.65, 0.92, 0.94, 0.99)
    labels = torch.tensor([0, 1, 1, 0, 0, 0])
    table = reliability(p, labels, bins=10)
    assert table.counts.tolist() == [0, 0, 0, 0, 0, 2, 1, 0, 0, 3]
    full = table.counts > 0
    assert table.confidence[full].tolist() == pytest.approx([0.57, 0.65, 0.95])
    assert table.accuracy[full].tolist() == [0.5, 0.0, 1.0]
    assert table.confidence[~full].isnan().all()
    assert table.accuracy[~full].isnan().all()
    by_hand = (2 * abs(0.5 - 0.57) + 1 * abs(0 - 0.65) + 3 * abs(1 - 0.95)) / 6
    assert table.error == pytest.approx(by_hand)
    assert expected_calibration_error(p, labels, bins=10) == pytest.approx(by_hand)
    assert table.edges.tolist() == pytest.approx([k / 10 for k in range(11)])


def test_one_bin_is_the_difference_of_the_means():
    logits, labels = some(seed=1)
    p = logits.softmax(dim=1)
    difference = (p.argmax(dim=1) == labels).double().mean() - p.max(dim=1).values.mean()
    assert expected_calibration_error(p, labels, bins=1) == pytest.approx(abs(difference.item()))


def test_an_edge_belongs_to_the_bin_below_it():
    table = reliability(two_classes(0.5, 0.75, 1.0), torch.tensor([0, 0, 0]), bins=4)
    assert table.counts.tolist() == [0, 1, 1, 1]


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not():
    p = two_classes(1.0, 1.0)
    assert expected_calibration_error(p, torch.tensor([0, 0])) == 0
    assert expected_calibration_error(p, torch.tensor([1, 1])) == 1


def test_under_and_overconfidence_in_different_bins_do_not_cancel():
    p = two_classes(0.6, 0.6, 0.9, 0.9)
    labels = torch.tensor([0, 0, 0, 1])  # 1.0 where it says 0.6, 0.5 where it says 0.9
    assert expected_calibration_error(p, labels, bins=10) == pytest.approx(0.4)


def test_many_calibrated_answers_have_a_small_error():
    logits, labels = some(count=200_000)
    assert expected_calibration_error(logits.softmax(dim=1), labels) < 0.01


def test_rounded_probabilities_just_above_one():
    p = torch.tensor([[1.0000001, 0.0]])
    assert reliability(p, torch.tensor([0]), bins=3).counts.tolist() == [0, 0, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_other_dtypes(dtype):
    logits, labels = some()
    p = logits.softmax(dim=1)
    low = expected_calibration_error(p.to(dtype), labels.int(), bins=5)
    assert low == pytest.approx(expected_calibration_error(p, labels, bins=5), abs=0.01)


# Temperature


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_temperature_against_scipy(seed, factor):
    logits, labels = some(seed=seed)
    logits = factor * logits

    def loss(log_t):
        return torch.nn.functional.cross_entropy(logits / math.exp(log_t), labels).item()

    theirs = scipy.optimize.minimize_scalar(loss, bounds=(-5, 5), options={"xatol": 1e-9})
    assert fit_temperature(logits, labels) == pytest.approx(math.exp(theirs.x), rel=1e-5)


@pytest.mark.parametrize(("lead", "right", "count"), [(2.0, 3, 4), (0.1, 9, 10), (50.0, 51, 100)])
def test_temperature_by_hand(lead, right, count):
    # The best T makes sigmoid(lead / T) = right / count.
    logits = torch.tensor([lead, 0.0]).repeat(count, 1)
    labels = (torch.arange(count) >= right).long()
    q = right / count
    assert fit_temperature(logits, labels) == pytest.approx(lead / math.log(q / (1 - q)), rel=1e-5)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(true):
    logits, labels = some(count=100_000)
    assert fit_temperature(true * logits, labels) == pytest.approx(true, rel=0.03)


def test_a_shift_of_all_scores_of_a_picture_changes_nothing():
    logits, labels = some()
    shift = torch.linspace(-30, 30, len(logits), dtype=torch.float64)[:, None]
    assert fit_temperature(logits + shift, labels) == pytest.approx(fit_temperature(logits, labels))


def test_temperature_of_scores_with_gradients_and_in_float32():
    logits, labels = some()
    wanted = fit_temperature(logits, labels)
    assert fit_temperature(logits.float().requires_grad_(), labels) == pytest.approx(wanted, 1e-5)


# Clear errors


@pytest.mark.parametrize(
    ("labels", "right"),
    [
        ([0, 0, 0], "was right for 3 of 3"),  # the smaller T, the better
        ([1, 1, 1], "was right for 0 of 3"),  # the larger T, the better
    ],
)
def test_no_temperature(labels, right):
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    with pytest.raises(ValueError, match=f"no temperature fits best.*{right}"):
        fit_temperature(logits, torch.tensor(labels))


P = two_classes(0.6, 0.7)
Y = torch.tensor([0, 1])


@pytest.mark.parametrize("function", [reliability, expected_calibration_error, fit_temperature])
@pytest.mark.parametrize(
    ("scores", "labels", "error", "message"),
    [
        (P.tolist(), Y, TypeError, r"expected \w+ as a torch.Tensor, got .*list"),
        (P, [0, 1], TypeError, r"expected labels as a torch.Tensor, got \[0, 1\] \(list\)"),
        (P.long(), Y, TypeError, r"expected floating-point \w+, got torch.int64"),
        (P, Y.float(), TypeError, "expected integers as labels, got torch.float32"),
        (P, Y.bool(), TypeError, "expected integers as labels, got torch.bool"),
        (P[0], Y, ValueError, r"of shape \(N, classes\) with at least 2 classes, got \(2,\)"),
        (P[:, :1], Y, ValueError, r"at least 2 classes, got \(2, 1\)"),
        (P[:0], Y[:0], ValueError, r"at least 2 classes, got \(0, 2\)"),
        (P, Y[:1], ValueError, r"one label for each of 2 rows, got \(1,\)"),
        (P, torch.tensor([0, 2]), ValueError, "labels from 0 to 1, got 0 to 2"),
        (P, torch.tensor([-1, 1]), ValueError, "labels from 0 to 1, got -1 to 1"),
    ],
)
def test_bad_input(function, scores, labels, error, message):
    with pytest.raises(error, match=message):
        function(scores, labels)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (torch.tensor([[3.0, -1.0], [0.0, 1.0]]), r"from 0 to 1, got -1 to 3; for logits use"),
        (torch.tensor([[math.nan, 0.5], [0.5, 0.5]]), "from 0 to 1, got nan"),
        (torch.tensor([[0.5, 0.4], [0.5, 0.5]]), r"sum to 1, got one that is 0\.1 off"),
    ],
)
def test_no_probabilities(probabilities, message):
    with pytest.raises(ValueError, match=message):
        reliability(probabilities, Y)


@pytest.mark.parametrize(("bins", "error"), [(0, ValueError), (2.0, TypeError)])
def test_bad_bins(bins, error):
    with pytest.raises(error, match="expected bins to be"):
        expected_calibration_error(P, Y, bins=bins)


def test_logits_that_are_not_finite():
    with pytest.raises(ValueError, match="expected finite logits"):
        fit_temperature(torch.tensor([[math.inf, 0.0], [0.0, 1.0]]), Y)
