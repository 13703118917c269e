"""Which learning rate? Try many in one short run."""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from dlip._check import integer
from dlip._model import check_model, run
from dlip.train._batches import Batches, Data, as_batches, generators_of
from dlip.train._loss import Loss, compare
from dlip.train._setup import (
    OptimizerLike,
    check_rate,
    join_processes,
    make_optimizer,
    on_device,
    own_random_numbers,
    seed_epoch,
    set_training_mode,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RangeTest", "lr_range_test"]


@dataclass(frozen=True)
class RangeTest:
    """What `lr_range_test` found.

    Attributes
    ----------
    lr
        The learning rate of each step, rising.
    loss
        The loss of each step's batch, before the step.
    """

    lr: list[float]
    loss: list[float]

    def plot(self) -> "Figure":
        """Draw the loss against the learning rate."""
        from dlip.plot import curves  # only here, because Matplotlib takes its time

        return curves(
            {"loss": self.loss},
            x=self.lr,
            xlabel="learning rate",
            ylabel="loss",
            ylim=(0, 1.5 * self.loss[0]),
            logx=True,
        )


def lr_range_test(
    model: nn.Module,
    train: Data,
    *,
    lowest: float = 1e-5,
    highest: float = 1.0,
    steps: int = 100,
    batch_size: int = 64,
    optimizer: OptimizerLike = torch.optim.Adam,
    loss: Loss = F.cross_entropy,
    seed: int = 0,
) -> RangeTest:
    """Train for some steps with a rising learning rate, and take down the loss.

    At first nothing happens, then the loss falls, then it rises: good learning rates lie
    where it falls, about a tenth of the one where it starts to rise. The learning rates are
    `steps` numbers from `lowest` to `highest`, each by the same factor larger than the one
    before. The test ends early when the loss is 4 times the lowest one, or NaN. A copy of the
    model is trained; the model itself stays as it is.

    Parameters
    ----------
    model, train, batch_size, loss, seed
        As for `fit`.
    lowest, highest
        The first and last learning rate.
    steps
        How many batches, at least 2.
    optimizer
        A class or function as for `fit`, called with the trainable parameters and `lr=`.

    Returns
    -------
    RangeTest

    Raises
    ------
    TypeError, ValueError
        As for `fit`; or if `lowest` is not below `highest`, or `optimizer` is already one.

    References
    ----------
    L. N. Smith, "Cyclical learning rates for training neural networks", IEEE Winter
    Conference on Applications of Computer Vision, 2017.

    Examples
    --------
    >>> import dlip
    >>> _ = dlip.env.seed(0)
    >>> model = dlip.models.DigitCNN()
    >>> test = dlip.train.lr_range_test(model, dlip.data.digits("train"), steps=20)
    >>> f"{test.lr[0]:.5f}", test.lr[1] > test.lr[0], min(test.loss) < test.loss[0]
    ('0.00001', True, True)
    """
    check_model(model)
    integer(steps, "steps", least=2)
    check_rate(lowest, "lowest")
    check_rate(highest, "highest")
    if lowest >= highest:
        raise ValueError(f"expected lowest < highest, got {lowest} and {highest}")
    if isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(
            "expected an optimizer's class or a function: one that exists would change"
        )
    device = join_processes().device
    batches = as_batches(train, "training", batch_size, Generator().manual_seed(seed))
    drawn = [(generator, generator.get_state()) for generator in generators_of(batches)]
    copy = deepcopy(model).to(device)
    trainer = make_optimizer(copy, optimizer, lowest)
    result = RangeTest([], [])
    with on_device(device, loss), own_random_numbers(device):
        seed_epoch(seed, 0)
        set_training_mode(copy)
        for step, (images, targets) in zip(range(steps), _endless(batches), strict=False):
            rate = lowest * (highest / lowest) ** (step / (steps - 1))
            for group in trainer.param_groups:
                group["lr"] = rate
            value, _ = compare(run(copy, images.to(device)), targets, loss)
            if not value.item() <= 4 * min(result.loss, default=math.inf):  # or it is NaN
                break
            result.lr.append(rate)
            result.loss.append(value.item())
            trainer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            trainer.step()
    for generator, state in drawn:
        generator.set_state(state)
    return result


def _endless(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch after the other."""
    while True:
        count = 0
        for images, targets, _ in batches:
            yield images, targets
            count += 1
        if count == 0:
            raise ValueError("expected data, got none: the loader made no batch")
