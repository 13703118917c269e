"""Whether the probabilities of a classifier can be believed, and one number that mends them.

A classifier is *calibrated* if, of all the answers that it gives with probability 0.8, eight in
ten are right. `reliability` compares the two, `expected_calibration_error` puts the difference
into one number, `fit_temperature` finds the temperature by which the scores must be divided.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlip._check import describe, integer

__all__ = ["Reliability", "expected_calibration_error", "fit_temperature", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """What `reliability` returns: answers, sorted into bins by their confidence.

    Attributes
    ----------
    edges
        Shape (bins + 1,), from 0 to 1; bin m holds confidences above edge m and up to edge
        m + 1.
    counts
        Shape (bins,), int64: number of answers in each bin.
    confidence
        Shape (bins,), float64: mean confidence in each bin, NaN in an empty one.
    accuracy
        Shape (bins,), float64: part of right answers in each bin, NaN in an empty one.
    """

    edges: Tensor
    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error: mean of |accuracy − confidence| over all answers."""
        gaps = (self.accuracy - self.confidence).abs().nan_to_num()  # 0 where a bin is empty
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Compare how sure a classifier is with how often it is right.

    Its answer is the class of the highest probability, its confidence that probability. The
    answers are sorted into bins of equal width by their confidence.

    Parameters
    ----------
    probabilities
        Shape (N, classes), floating-point: rows from 0 to 1 that sum to 1.
    labels
        Shape (N,), integers: the true classes.
    bins
        Number of bins, at least 1.

    Returns
    -------
    Reliability

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If shapes or values are not as above.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
    ICML 2017, arXiv:1706.04599.

    Examples
    --------
    Four answers with confidences of 0.6 and 0.9, two each; one of the first is wrong.

    >>> import torch
    >>> from dlip.calibration import reliability
    >>> p = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.1, 0.9]])
    >>> table = reliability(p, torch.tensor([0, 1, 1, 1]), bins=2)
    >>> table.counts.tolist(), table.accuracy.tolist()
    ([0, 4], [nan, 0.75])
    """
    _check(probabilities, labels, "probabilities")
    _check_distributions(probabilities)
    integer(bins, "bins", least=1)
    confidence, answers = probabilities.double().max(dim=1)
    right = (answers == labels).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=confidence.device)
    # (edge m, edge m + 1], as in the paper; rounding may lift a confidence just above 1.
    member = (torch.bucketize(confidence, edges) - 1).clamp(max=bins - 1)
    counts = torch.bincount(member, minlength=bins)
    empty = torch.zeros(bins, dtype=torch.float64, device=confidence.device)
    return Reliability(
        edges=edges,
        counts=counts,
        confidence=empty.index_add(0, member, confidence) / counts,  # 0 / 0 is NaN
        accuracy=empty.index_add(0, member, right) / counts,
    )


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Say in one number how far confidence and accuracy are apart (ECE).

    In each bin of `reliability` stands the distance between mean confidence and accuracy;
    their mean over all answers is the expected calibration error.

    Parameters
    ----------
    probabilities
        Shape (N, classes), floating-point: rows from 0 to 1 that sum to 1.
    labels
        Shape (N,), integers: the true classes.
    bins
        Number of bins, at least 1.

    Returns
    -------
    float
        From 0 (calibrated, as far as these bins show) to 1.

    Raises
    ------
    TypeError, ValueError
        As `reliability`.

    Notes
    -----
    With few answers a bin it comes out above 0 even for a calibrated classifier, the higher
    the more bins there are.

    References
    ----------
    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI 2015. A. Kumar, P. Liang and T. Ma, "Verified uncertainty
    calibration", NeurIPS 2019, arXiv:1909.10155 (how many bins and answers it takes).

    Examples
    --------
    Two answers with a confidence of 0.75 of which one is right:

    >>> import torch
    >>> from dlip.calibration import expected_calibration_error
    >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
    >>> expected_calibration_error(p, torch.tensor([0, 1]))
    0.25
    """
    return reliability(probabilities, labels, bins).error


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the temperature T that makes softmax(logits / T) fit the labels best.

    Best is the T of the lowest mean cross-entropy. Dividing all scores by one number changes
    no answer, only how sure it is: T above 1 makes it less sure, T below 1 more.

    Parameters
    ----------
    logits
        Shape (N, classes), floating-point: scores before softmax. They should be of pictures
        that neither the network was trained with nor the result will be judged by.
    labels
        Shape (N,), integers: the true classes.

    Returns
    -------
    float
        T, above 0.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If shapes or values are not as above, or no temperature is best: if the true class
        always has the highest score (lower is always better), or if the true class has no
        higher score than the mean of all classes (higher is always better).

    Notes
    -----
    With b = 1 / T, the cross-entropy is convex in b. Its derivative is the mean over all
    pictures of (the score that softmax expects) − (the score of the true class), which rises
    with b; bisection finds where it is 0.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
    ICML 2017, arXiv:1706.04599.

    Examples
    --------
    The first class always leads by 2, but is right only three times of four. The best T turns
    the lead into ln 3, which is a probability of 3/4.

    >>> import torch
    >>> from dlip.calibration import fit_temperature
    >>> logits = torch.tensor([2.0, 0.0]).repeat(4, 1)
    >>> T = fit_temperature(logits, torch.tensor([0, 0, 0, 1]))
    >>> print(f"{T:.4f} {(logits / T).softmax(dim=1)[0, 0]:.4f}")
    1.8205 0.7500
    """
    _check(logits, labels, "logits")
    scores = logits.detach().double()
    if not scores.isfinite().all():
        raise ValueError("expected finite logits, got NaN or infinity among them")
    true = scores.gather(1, labels[:, None].long())[:, 0]

    def slope(b: float) -> float:
        expected = ((b * scores).softmax(dim=1) * scores).sum(dim=1)
        return float((expected - true).mean())

    low, high = 1e-4, 1e4
    if slope(low) >= 0 or slope(high) <= 0:
        raise ValueError(
            "no temperature fits best: expected the true class to have the highest score for "
            "some pictures, but not for all; its highest score was right for "
            f"{int((scores.argmax(dim=1) == labels).sum())} of {len(labels)}"
        )
    for _ in range(60):  # each halves the range of log b
        middle = math.sqrt(low * high)
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / math.sqrt(low * high)


def _check(scores: Tensor, labels: Tensor, what: str) -> None:
    for value, name in [(scores, what), (labels, "labels")]:
        if not isinstance(value, Tensor):
            raise TypeError(f"expected {name} as a torch.Tensor, got {describe(value)}")
    if not scores.is_floating_point():
        raise TypeError(f"expected floating-point {what}, got {scores.dtype}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"expected integers as labels, got {labels.dtype}")
    if scores.ndim != 2 or scores.shape[1] < 2 or len(scores) == 0:
        raise ValueError(
            f"expected {what} of shape (N, classes) with at least 2 classes, "
            f"got {tuple(scores.shape)}"
        )
    if labels.shape != scores.shape[:1]:
        raise ValueError(
            f"expected one label for each of {len(scores)} rows, got {tuple(labels.shape)}"
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= scores.shape[1]:
        raise ValueError(f"expected labels from 0 to {scores.shape[1] - 1}, got {least} to {most}")


def _check_distributions(probabilities: Tensor) -> None:
    least, most = probabilities.min().item(), probabilities.max().item()
    if not (least >= 0 and most <= 1.001):  # NaN fails this too; rounding may pass
        raise ValueError(
            f"expected probabilities from 0 to 1, got {least:.4g} to {most:.4g}; "
            "for logits use logits.softmax(dim=1)"
        )
    worst = (probabilities.double().sum(dim=1) - 1).abs().max().item()
    if worst > 0.01:
        raise ValueError(f"expected rows that sum to 1, got one that is {worst:.3g} off")
