"""Stop when the validation does not get better any more, and keep the best weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dlip._check import describe, integer, known
from dlip.train.history import History

__all__ = ["EarlyStopping"]


@dataclass(frozen=True)
class EarlyStopping:
    """End the training when the validation has not become better for some epochs.

    At the end the model gets the weights of its best epoch, also when training was not
    stopped early. A settings object: it remembers nothing, so it can be used again. What it
    decides follows from the history alone.

    Parameters
    ----------
    patience
        Stop after so many epochs in a row without improvement, at least 1.
    min_delta
        A smaller improvement than this does not count, for stopping. The best epoch is the
        best one, by however little.
    monitor
        What is watched: `"val_loss"`, the lower the better, or `"val_accuracy"`, the higher
        the better.

    Raises
    ------
    TypeError, ValueError
        If `patience` is no integer from 1 on, `min_delta` no finite number from 0 on, or
        `monitor` neither of the two.

    References
    ----------
    L. Prechelt, "Early stopping – but when?", in *Neural Networks: Tricks of the Trade*,
    Springer, 1998.

    Examples
    --------
    >>> import dlip
    >>> history = dlip.train.History(val_loss=[0.9, 0.5, 0.6, 0.5])
    >>> dlip.train.EarlyStopping(patience=2).stops(history)
    True
    >>> dlip.train.EarlyStopping(patience=2).best_epoch(history)
    2
    """

    patience: int = 5
    min_delta: float = 0.0
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"

    def __post_init__(self) -> None:
        """Check the settings."""
        integer(self.patience, "patience", least=1)
        if isinstance(self.min_delta, bool) or not isinstance(self.min_delta, (int, float)):
            raise TypeError(f"expected min_delta to be a number, got {describe(self.min_delta)}")
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise ValueError(f"expected min_delta to be at least 0, got {self.min_delta}")
        known(self.monitor, ["val_loss", "val_accuracy"], "value to monitor")

    def stops(self, history: History) -> bool:
        """Say whether training is to end after these epochs."""
        best, waited = math.inf, 0
        for value in self._values(history):
            if value < best - self.min_delta:
                best, waited = value, 0
            else:
                waited += 1
        return waited >= self.patience

    def best_epoch(self, history: History) -> int:
        """Return the best epoch, counted from 1; of equal ones the first."""
        values = self._values(history)
        return values.index(min(values)) + 1

    def _values(self, history: History) -> Sequence[float]:
        """Return what is watched, so that lower is better."""
        if self.monitor == "val_accuracy":
            if len(history.val_accuracy) != len(history.val_loss):
                raise ValueError("there is no val_accuracy to monitor: the targets are no classes")
            return [-accuracy for accuracy in history.val_accuracy]
        return history.val_loss
