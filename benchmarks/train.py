"""What dlip.train costs on top of a loop by hand, against skorch and Lightning: `make bench`.

A network so small that the loop around it shows: one linear layer, batches of 64 digits. All
contestants do the same steps; those of dlip also count right answers and look for NaN. They
take turns, so that other work of the machine slows all of them. A step is what a long training
takes longer than one of a single epoch, divided by the steps; the rest is setting up. Each
number is the median of the rounds: "time" on the clock; "CPU" time of this process, which other
work disturbs less; and "best", the shortest CPU time. Overhead is what is left after
subtracting the loop by hand, of the same round for a median. The results are compared, too:
fast and different would not count.
"""

import argparse
import contextlib
import logging
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytorch_lightning as lightning
import skorch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import dlip

BATCH_SIZE, LR = 64, 0.1
IMAGES, LABELS = dlip.data.digits("train")
STEPS = -(-len(IMAGES) // BATCH_SIZE)  # in an epoch

Train = Callable[[nn.Module, int], None]


def main() -> None:
    """Run the comparisons and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--rounds", type=int, default=15, help="rounds, of which the median counts"
    )
    options.add_argument("--epochs", type=int, default=5, help=f"epochs of {STEPS} steps")
    settings = options.parse_args()

    torch.set_num_threads(1)  # more would only wait for one another
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    print(f"PyTorch {torch.__version__}, 1 thread, {settings.rounds} rounds")
    compare(
        "tensors in memory, against indexing them by hand",
        {
            "by hand": hand_tensors,
            "dlip": dlip_tensors,
            "dlip, progress bar": dlip_tensors_bar,
        },
        settings.rounds,
        settings.epochs,
    )
    compare(
        "the same DataLoader for all",
        {
            "by hand": hand_loader,
            "dlip": dlip_loader,
            "dlip, progress bar": dlip_loader_bar,
            "skorch": by_skorch,
            "lightning": by_lightning,
        },
        settings.rounds,
        settings.epochs,
    )


def network() -> nn.Module:
    """Return the network, with the same weights every time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))


def loader() -> DataLoader[tuple[Tensor, ...]]:
    """Return the loader, with the same order of pictures every time."""
    order = torch.Generator().manual_seed(0)
    data = TensorDataset(IMAGES, LABELS)
    return DataLoader(data, batch_size=BATCH_SIZE, shuffle=True, generator=order)


def hand_tensors(model: nn.Module, epochs: int) -> None:
    """Do no more than is needed."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(len(IMAGES), generator=order).split(BATCH_SIZE):
            loss = F.cross_entropy(model(IMAGES[batch]), LABELS[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def hand_loader(model: nn.Module, epochs: int) -> None:
    """Do no more than is needed, with batches from a loader."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    batches = loader()
    for _ in range(epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def by_dlip(model: nn.Module, data: Any, epochs: int, progress: bool) -> None:
    """Train by dlip."""
    optimizer = torch.optim.SGD
    dlip.train.fit(model, data, epochs=epochs, optimizer=optimizer, lr=LR, progress=progress)


def dlip_tensors(model: nn.Module, epochs: int) -> None:
    """Train by dlip on tensors."""
    by_dlip(model, (IMAGES, LABELS), epochs, progress=False)


def dlip_tensors_bar(model: nn.Module, epochs: int) -> None:
    """The same, with a progress bar."""
    with shown_to_nobody():
        by_dlip(model, (IMAGES, LABELS), epochs, progress=True)


def dlip_loader(model: nn.Module, epochs: int) -> None:
    """Train by dlip on a loader."""
    by_dlip(model, loader(), epochs, progress=False)


def dlip_loader_bar(model: nn.Module, epochs: int) -> None:
    """The same, with a progress bar."""
    with shown_to_nobody():
        by_dlip(model, loader(), epochs, progress=True)


def by_skorch(model: nn.Module, epochs: int) -> None:
    """Train by skorch, which makes the loader itself; without bar and validation."""
    net = skorch.NeuralNet(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=LR,
        max_epochs=epochs,
        batch_size=BATCH_SIZE,
        train_split=None,
        iterator_train__shuffle=True,
        iterator_train__generator=torch.Generator().manual_seed(0),
        verbose=0,
    )
    net.fit(IMAGES, LABELS)


class Lightning(lightning.LightningModule):
    """The network as Lightning wants it; nothing is logged."""

    def __init__(self, model: nn.Module) -> None:
        """Keep the network."""
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        return F.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.SGD(self.model.parameters(), lr=LR)


def by_lightning(model: nn.Module, epochs: int) -> None:
    """Train by Lightning, without bar, log and checkpoint."""
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Lightning(model), loader())


@contextlib.contextmanager
def shown_to_nobody() -> contextlib.AbstractContextManager[None]:
    """Send standard error to nowhere: drawing on a terminal is not what is to be measured."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def compare(title: str, contestants: dict[str, Train], rounds: int, epochs: int) -> None:
    """Time the contestants in turns, after one round to warm up; check and print."""
    trained = {name: network() for name in contestants}
    for name, train in contestants.items():
        train(trained[name], 2)
    short: dict[str, list[Time]] = {name: [] for name in contestants}
    long: dict[str, list[Time]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, train in contestants.items():
            short[name].append(timed(train, 1))
            long[name].append(timed(train, 1 + epochs))

    print(f"\n{title}: {epochs} epochs of {STEPS} steps, batches of {BATCH_SIZE}")
    more = epochs * STEPS
    steps = {
        name: [
            Time((b.clock - a.clock) / more, (b.cpu - a.cpu) / more)
            for a, b in zip(short[name], long[name], strict=True)
        ]
        for name in contestants
    }
    best = {
        name: (min(t.cpu for t in long[name]) - min(t.cpu for t in short[name])) / more
        for name in contestants
    }
    for name, model in trained.items():
        difference = (model[1].weight - trained["by hand"][1].weight).abs().max().item()
        if difference > 1e-5:
            raise SystemExit(f"{name} gives other weights: they differ by {difference:.1e}")
        pairs = list(zip(steps[name], steps["by hand"], strict=True))
        numbers = {
            "time": (
                median(t.clock for t, _ in pairs),
                median(t.clock - h.clock for t, h in pairs),
            ),
            "CPU": (median(t.cpu for t, _ in pairs), median(t.cpu - h.cpu for t, h in pairs)),
            "best": (best[name], best[name] - best["by hand"]),
        }
        setup = median(t.clock for t in short[name]) - STEPS * numbers["time"][0]
        texts = [f"{k} {1e6 * t:5.0f} µs, overhead {1e6 * o:5.0f}" for k, (t, o) in numbers.items()]
        print(f"  {name:20}{'     '.join(texts)}     set up {1000 * setup:4.0f} ms")


class Time(NamedTuple):
    """Seconds on the clock, and those of the processor in this process."""

    clock: float
    cpu: float


def timed(train: Train, epochs: int) -> Time:
    """Train a new network."""
    model = network()
    start, start_cpu = time.perf_counter(), time.process_time()
    train(model, epochs)
    return Time(time.perf_counter() - start, time.process_time() - start_cpu)


if __name__ == "__main__":
    main()
