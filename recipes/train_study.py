"""Measure what takes longer than a page: the studies of the chapter on training.

    python recipes/train_study.py                # all of them
    python recipes/train_study.py cures amount   # these; the records of the others stay
    python recipes/train_study.py --confirm      # after a change of code: does it still hold?

Writes: `dlip/data/studies/digits_training.json`, which `dlip.data.study("digits_training")`
reads: a card (command, seeds, versions, machine, minutes, date, hashes of the code that ran)
and one row for each training, its settings first, then what was measured. Seconds are those
of the processor, on one core, for the training; `cures` includes the validations.

`--confirm` repeats the trainings that `quick` names. If they agree with the record within the
tolerance on the card, it writes the hashes of the present code there; else it fails. The
test `tests/book/test_studies.py` does the same and changes nothing.

All choices are made with the validation digits. The test digits are looked at in `final`
only, where nothing is chosen any more.

Needs: dlip and nothing else. Licence of the record: as the book's text, CC BY 4.0.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from _study import ROOT, Row, Run, Study, main
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

import dlip


@dataclass(frozen=True)
class Setting:
    """One training. `digits` of the 3,500 are used: each seed takes others."""

    study: str
    name: str
    epochs: int
    digits: int = 3500
    batch_size: int = 64
    lr: float = 0.003
    schedule: str = "constant"
    weight_decay: float = 0.0
    dropout: float = 0.0
    augment: float = 0.0
    patience: int = 0
    seed: int = 0


def move(images: Tensor, strength: float = 1.0) -> Tensor:
    """Turn, shear, zoom and shift each picture by random amounts of its own."""

    def draw(limit: float) -> Tensor:
        unit = 2 * torch.rand(len(images), device=images.device) - 1
        return strength * limit * unit

    angle, slope, zoom = draw(0.2), draw(0.2), 1 + draw(0.1)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    upper = torch.stack([cos, slope * cos - sin, draw(0.14)], dim=1)
    lower = torch.stack([sin, slope * sin + cos, draw(0.14)], dim=1)
    grid = F.affine_grid(torch.stack([upper, lower], dim=1), images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def schedule_of(name: str, steps: int) -> Callable[[torch.optim.Optimizer], LRScheduler] | None:
    """Return what makes the schedule of this name; it moves on after each step."""
    return {
        "constant": None,
        "step": lambda o: MultiStepLR(o, [steps // 2, 3 * steps // 4], gamma=0.1),
        "cosine": lambda o: CosineAnnealingLR(o, steps),
        "one-cycle": lambda o: OneCycleLR(o, o.param_groups[0]["lr"], total_steps=steps),
    }[name]


def train(setting: Setting) -> Row:
    """Train as the setting says, and return the setting and what came out."""
    s = setting
    images, labels = dlip.data.digits("train")
    some = (s.seed * s.digits + torch.arange(s.digits)) % len(images)
    data = images[some], labels[some]
    dlip.env.seed(s.seed)
    model = dlip.models.DigitCNN(dropout=s.dropout)
    val = dlip.data.digits("val")
    start = time.process_time()
    history = dlip.train.fit(
        model,
        data,
        val if s.study == "cures" else None,
        epochs=s.epochs,
        batch_size=s.batch_size,
        optimizer=partial(torch.optim.AdamW, weight_decay=s.weight_decay),
        lr=s.lr,
        schedule=schedule_of(s.schedule, s.epochs * -(-s.digits // s.batch_size)),
        schedule_every="step",
        augment=partial(move, strength=s.augment) if s.augment else None,
        early_stopping=dlip.train.EarlyStopping(patience=s.patience) if s.patience else None,
        seed=s.seed,
        progress=False,
    )
    seconds = time.process_time() - start
    result = dlip.train.evaluate(model, val)
    row = asdict(setting) | {
        "seconds": round(seconds, 2),
        "trained_epochs": history.epochs,
        "kept_epoch": history.kept_epoch,
        "train_accuracy": round(dlip.train.evaluate(model, data).accuracy, 4),
        "val_loss": round(result.loss, 4),
        "val_accuracy": round(result.accuracy, 4),
    }
    if s.study == "cures":
        row["val_losses"] = [round(loss, 3) for loss in history.val_loss]
    if s.study == "final":
        row |= tested(model)
    return row


@torch.no_grad()
def tested(model: torch.nn.Module) -> Row:
    """Return what the test digits say, and each wrong one with its answer."""
    images, labels = dlip.data.digits("test")
    result = dlip.train.evaluate(model, (images, labels))
    logs = F.log_softmax(model(images), dim=1)
    wrong = (logs.argmax(dim=1) != labels).nonzero().flatten().tolist()
    return {
        "test_accuracy": round(result.accuracy, 4),
        "confusion": result.confusion.tolist(),
        "mistakes": [
            {"digit": i, "answer": int(logs[i].argmax()), "loss": round(-float(logs[i, y]), 3)}
            for i in wrong
            for y in [labels[i]]
        ],
    }


def cures(seeds: range = range(5)) -> Iterator[Setting]:
    """Overfitting on 200 digits, and what helps against it."""
    base = Setting("cures", "none", epochs=150, digits=200, batch_size=50)
    named = {
        "none": {},
        "early stopping": {"patience": 15},
        "weight decay": {"weight_decay": 1.0},
        "dropout": {"dropout": 0.5},
        "augmentation": {"augment": 1.0},
        "all but stopping": {"weight_decay": 1.0, "dropout": 0.3, "augment": 1.0},
    }
    for name, changes in named.items():
        for seed in seeds:
            yield replace(base, name=name, seed=seed, **changes)


def amount() -> Iterator[Setting]:
    """Fewer and more training digits, always with about 1,500 steps."""
    for digits in (100, 200, 500, 1000, 2000, 3500):
        for augment in (0.0, 1.0):
            for seed in range(3):
                epochs = round(1500 / -(-digits // 32))
                name = f"{digits}, {'augmented' if augment else 'plain'}"
                yield Setting("amount", name, epochs, digits, 32, schedule="one-cycle",
                              augment=augment, seed=seed)  # fmt: skip


def schedules() -> Iterator[Setting]:
    """Four schedules, each with three learning rates to start from, or to rise to."""
    for schedule in ("constant", "step", "cosine", "one-cycle"):
        for lr in (0.001, 0.003, 0.01):
            for seed in range(3):
                yield Setting("schedules", schedule, 12, lr=lr, schedule=schedule, augment=1.0,
                              seed=seed)  # fmt: skip


def batch() -> Iterator[Setting]:
    """Batch sizes, each with four learning rates, for the same number of epochs."""
    for size in (8, 32, 128, 512):
        for lr in (0.001, 0.003, 0.01, 0.03):
            for seed in range(3):
                yield Setting("batch", str(size), 8, batch_size=size, lr=lr, seed=seed)


def draws(count: int = 24) -> list[Setting]:
    """Return the random settings of the search."""
    generator = random.Random(0)
    return [
        Setting(
            "search",
            f"{number + 1}",
            epochs=3,
            batch_size=generator.choice([16, 32, 64, 128]),
            lr=round(10 ** generator.uniform(-3.5, -1.5), 5),
            schedule="one-cycle",
            weight_decay=round(10 ** generator.uniform(-3, 0), 4),
            dropout=round(generator.uniform(0, 0.5), 2),
            augment=round(generator.uniform(0, 2), 2),
        )
        for number in range(count)
    ]


def search(run: Callable[[Setting], Row]) -> list[Row]:
    """Train all for 3 epochs, the best third for 9, and the best third of these for 27."""
    rows = []
    settings = draws()
    while settings:
        results = [run(setting) for setting in settings]
        rows += results
        order = sorted(range(len(results)), key=lambda i: results[i]["val_loss"])
        keep = -(-len(results) // 3) if settings[0].epochs < 27 else 0
        settings = [replace(settings[i], epochs=3 * settings[i].epochs) for i in order[:keep]]
    return rows


def final(rows: list[Row]) -> Iterator[Setting]:
    """The winner of the search, longer, with three new seeds; and without augmentation."""
    longest = [row for row in rows if row["study"] == "search" and row["epochs"] == 27]
    best = min(longest, key=lambda row: row["val_loss"])
    winner = Setting(**{name: best[name] for name in Setting.__dataclass_fields__})
    for name, augment in {"augmented": winner.augment, "plain": 0.0}.items():
        for seed in (1, 2, 3):
            yield replace(winner, study="final", name=name, epochs=40, augment=augment, seed=seed)


SIMPLE = {"cures": cures, "amount": amount, "schedules": schedules, "batch": batch}


def quick() -> list[Setting]:
    """Return trainings that are repeated by the test: one of each kind, seconds together."""
    return [
        next(s for s in cures() if s.name == "early stopping"),
        next(s for s in amount() if s.name == "100, augmented"),
        next(s for s in batch() if s.name == "128" and s.lr == 0.003),
        draws()[0],
    ]


def simple(part: Callable[[], Iterator[Setting]], rows: list[Row], run: Run) -> list[Row]:
    """Run the settings of a part that does not depend on other results."""
    return [run(setting) for setting in part()]


STUDY = Study(
    name="digits_training",
    about="Trainings of dlip.models.DigitCNN with the digits that dlip ships",
    chapter="book/part3/train.md",
    command="python recipes/train_study.py",
    code=[
        "recipes/train_study.py",
        "dlip/data/files/digits.npz",
        "dlip/models/digit_cnn.py",
        *(f"dlip/train/{path.name}" for path in sorted((ROOT / "dlip" / "train").glob("*.py"))),
    ],
    parts={
        **{name: partial(simple, part) for name, part in SIMPLE.items()},
        "search": lambda rows, run: search(run),
        "final": lambda rows, run: [run(setting) for setting in final(rows)],
    },
    train=train,
    quick=quick,
    tolerance={"val_accuracy": 0.01},
)

if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
