"""Counting while training, and showing it."""

import math
import os
import time

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor
from tqdm import tqdm

from dlip.train._batches import length_of
from dlip.train._training import Training

REFRESH = 0.5
"""After so many seconds the numbers are read and the progress bar is drawn again."""


class Meter:
    """Mean loss and accuracy over batches of different sizes.

    What is added stays on the device until `read`: to read a number, the program has to wait
    until a GPU has computed all that it was told. So `add` is called in each step, and `read`
    now and then.
    """

    def __init__(self, unit: str = "step") -> None:
        self.unit = unit  # what an error calls what was added
        self.lr = self.last = math.nan  # learning rate and loss of the last step
        self.pending: list[tuple[Tensor, Tensor | None, int, int, float]] = []
        self.steps = 0  # that have been read
        self.loss_sum, self.samples = 0.0, 0
        self.hits, self.answers = 0, 0

    def add(
        self, loss: Tensor, hits: Tensor | None, samples: int, answers: int, lr: float = math.nan
    ) -> None:
        """Take down one step: the mean loss of its samples, how many of its answers are right."""
        self.pending.append((loss.detach(), hits, samples, answers, lr))

    def read(self) -> None:
        """Fetch the numbers of the last steps from the device.

        Raises
        ------
        FloatingPointError
            If a loss is NaN or infinite.
        """
        if not self.pending:
            return
        losses, hits, samples, answers, lrs = zip(*self.pending, strict=True)
        self.pending = []
        loss_values = torch.stack(losses).tolist()
        for step, (loss, number, lr) in enumerate(zip(loss_values, samples, lrs, strict=True)):
            if not math.isfinite(loss):
                before = "" if math.isnan(self.last) else f", after {self.last:.4g} before that"
                rate = "" if math.isnan(lr) else f" (learning rate {lr:.3g})"
                raise FloatingPointError(
                    f"the loss is {loss} in {self.unit} {self.steps + step + 1}{before}{rate}"
                )
            self.last = loss
            self.loss_sum += loss * number
        self.steps += len(losses)
        self.lr = lrs[-1]
        self.samples += sum(samples)
        if hits[0] is not None:
            self.hits += int(torch.stack(hits).sum())
            self.answers += sum(answers)

    @property
    def loss(self) -> float:
        """Mean loss of what has been read."""
        return self.loss_sum / self.samples if self.samples else math.nan

    @property
    def accuracy(self) -> float | None:
        """Part of right answers in what has been read; None if targets are no classes."""
        return self.hits / self.answers if self.answers else None

    def finish(self) -> None:
        """Read the last steps, and add up the numbers of all processes.

        Raises
        ------
        FloatingPointError
            If a loss is NaN or infinite.
        ValueError
            If there was no step.
        """
        self.read()
        state = PartialState()
        if state.num_processes > 1:
            own = [self.loss_sum, self.samples, self.hits, self.answers]
            total = reduce(torch.tensor(own, dtype=torch.float64, device=state.device), "sum")
            self.loss_sum = total[0].item()
            self.samples, self.hits, self.answers = (int(number) for number in total[1:])
        if not self.samples:
            raise ValueError("expected data, got none: the loader made no batch")


class Progress:
    """A bar with the numbers of the epoch, on the main process's standard error.

    The environment variable TQDM_DISABLE turns it off.
    """

    def __init__(self, training: Training, show: bool) -> None:
        self.training = training
        steps, done = length_of(training.batches) or 0, training.history.epochs
        self.bar = tqdm(
            desc=f"epoch {done + 1}/{training.epochs}",
            total=training.epochs * steps or None,
            initial=done * steps,
            unit="step",
            disable=not (show and PartialState().is_main_process)
            or bool(os.environ.get("TQDM_DISABLE")),
        )
        self.next = time.monotonic() + REFRESH

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def step(self, meter: Meter) -> None:
        """Move on by one step; now and then read the numbers and show them."""
        self.bar.update()
        if time.monotonic() >= self.next:
            meter.read()
            self.show(self.training.history.epochs + 1, meter)
            self.next = time.monotonic() + REFRESH

    def show(self, epoch: int, meter: Meter, val: Meter | None = None) -> None:
        """Show the numbers of an epoch behind the bar."""
        values = {"loss": meter.loss, "accuracy": meter.accuracy}
        if val is not None:
            values |= {"val_loss": val.loss, "val_accuracy": val.accuracy}
        self.bar.set_description(f"epoch {epoch}/{self.training.epochs}", refresh=False)
        self.bar.set_postfix_str(
            ", ".join(f"{name} {value:.4f}" for name, value in values.items() if value is not None)
        )
