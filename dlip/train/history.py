"""What happened in each epoch of a training."""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

from dlip._check import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["History"]


@dataclass(repr=False)
class History:
    """Losses and accuracies, one for each epoch. `print` shows a table.

    Epochs are counted from 1: the values of epoch 1 stand in place 0 of the lists.

    Attributes
    ----------
    loss
        Mean loss over the epoch's batches, each computed before the step it led to. It is
        higher than that of the finished epoch would be, because the weights still change.
    accuracy
        Part of the right answers in the same batches, 0 to 1; empty if the targets are no
        classes.
    val_loss, val_accuracy
        The same for the validation data, with the weights at the end of the epoch; empty if
        there are none.
    lr
        Learning rate of the epoch's last step, of the optimizer's first parameter group.
    kept_epoch
        After which epoch the model had the weights that it has now: the last one, or with
        early stopping the best one; 0 before the first epoch has ended.
    stopped_early
        Whether early stopping ended the training.
    interrupted
        Whether Ctrl-C, or a notebook's stop button, ended it, in an epoch that is not in the
        lists. Without early stopping the weights are those of that moment.

    Examples
    --------
    >>> import dlip
    >>> history = dlip.train.History(
    ...     loss=[2.1, 0.7], val_loss=[1.0, 0.6], lr=[0.1, 0.1], kept_epoch=2
    ... )
    >>> history.best_epoch
    2
    >>> print(history)
    epoch    loss  val_loss   lr
        1  2.1000    1.0000  0.1
        2  0.7000    0.6000  0.1
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    kept_epoch: int = 0
    stopped_early: bool = False
    interrupted: bool = False

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.loss)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, or training loss if there is no other."""
        losses = self.val_loss or self.loss
        if not losses:
            raise ValueError("there is no best epoch: the history has no epoch yet")
        return losses.index(min(losses)) + 1

    def plot(self) -> "Figure":
        """Draw the learning curves: `dlip.plot.learning_curves(history)`."""
        from dlip.plot import learning_curves  # only here, because Matplotlib takes its time

        return learning_curves(self)

    def to_json(self) -> str:
        """Return the history as JSON text, from which `from_json` makes an equal one."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "History":
        """Return the history that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is no JSON, or not that of a history.
        """
        values = json.loads(text)
        known = {f.name: type(getattr(cls(), f.name)) for f in fields(cls)}
        if not isinstance(values, dict) or set(values) - set(known):
            raise ValueError(f"expected the JSON text of a History, got {describe(text)}")
        for name, value in values.items():
            numbers = not isinstance(value, list) or all(type(v) in (int, float) for v in value)
            if type(value) is not known[name] or not numbers:
                raise ValueError(f"{name} of a History cannot be {describe(value)}")
        return cls(**values)

    def __str__(self) -> str:
        """Return a table with one row for each epoch."""
        columns = {
            name: [f"{value:.4g}" if name == "lr" else f"{value:.4f}" for value in values]
            for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr")
            if (values := getattr(self, name))
        }
        columns = {"epoch": [str(epoch + 1) for epoch in range(self.epochs)]} | columns
        widths = {name: max(map(len, [name, *texts])) for name, texts in columns.items()}
        rows = [columns.keys(), *zip(*columns.values(), strict=False)]
        return "\n".join(
            "  ".join(text.rjust(width) for text, width in zip(row, widths.values(), strict=True))
            for row in rows
        )

    __repr__ = __str__  # so that the last line of a notebook cell shows the table too
