"""Measure what takes longer than a page: the studies of the chapter on what a network looks at.

    python recipes/cam_study.py             # both of them
    python recipes/cam_study.py shortcut    # this one; the records of the other stay
    python recipes/cam_study.py --confirm   # after a change of code: does it still hold?

Writes: `dlip/data/studies/digits_gap.json`, which `dlip.data.study("digits_gap")` reads: a card
(command, versions, machine, minutes, date, hashes of the code that ran) and one row for each
training, its settings first, then what was measured. Seconds are those of the processor, on
one core, for the training.

`heads`: three networks, with and without global average pooling, on digits where they are and
on digits moved to the side. `shortcut`: GapCNN with a mark in the corner of some of the 8s.

`--confirm` repeats the trainings that `quick` names. If they agree with the record within the
tolerance on the card, it writes the hashes of the present code there; else it fails. The
test `tests/book/test_studies.py` does the same and changes nothing.

All networks are trained alike. Nothing is chosen with the test digits.

Needs: dlip and nothing else. Licence of the record: as the book's text, CC BY 4.0.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import torch
import torch.nn.functional as F
from _study import ROOT, Row, Study, main
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

import dlip

MARKED = 8
"""The digit that gets the mark."""


@dataclass(frozen=True)
class Setting:
    """One training. `share` of the training 8s carry the mark."""

    study: str
    name: str
    epochs: int
    share: float = 0.0
    seed: int = 0


def network(name: str) -> nn.Module:
    """Return a network of this name with random weights."""
    if name == "GapCNN, flattened":
        features = dlip.models.GapCNN().features
        return nn.Sequential(features, nn.Flatten(), nn.Linear(64 * 7 * 7, 10))
    made: nn.Module = getattr(dlip.models, name)()
    return made


def mark(images: Tensor) -> Tensor:
    """Return a copy with a square of 3 × 3 pixels of ink in the upper left corner."""
    marked = images.clone()
    marked[..., 2:5, 2:5] = 1.0
    return marked


def moved(images: Tensor, rows: int, cols: int) -> Tensor:
    """Move pictures down and to the right; empty paper comes in."""
    return F.pad(images, (cols, -cols, rows, -rows))


def train(setting: Setting) -> Row:
    """Train as the setting says, and return the setting and what came out."""
    s = setting
    images, labels = dlip.data.digits("train")
    if s.share:
        generator = torch.Generator().manual_seed(s.seed)
        chosen = (torch.rand(len(labels), generator=generator) < s.share) & (labels == MARKED)
        images = torch.where(chosen[:, None, None, None], mark(images), images)
    dlip.env.seed(s.seed)
    model = network(s.name)
    start = time.process_time()
    dlip.train.fit(
        model,
        (images, labels),
        epochs=s.epochs,
        schedule=partial(OneCycleLR, max_lr=0.01, total_steps=s.epochs * -(-len(labels) // 64)),
        schedule_every="step",
        seed=s.seed,
        progress=False,
    )
    seconds = time.process_time() - start
    row = asdict(setting) | {"seconds": round(seconds, 2)}
    return row | (heads_row(model) if s.study == "heads" else shortcut_row(model))


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of right answers."""
    found = dlip.train.evaluate(model, (images, labels)).accuracy
    assert found is not None
    return round(found, 4)


def heads_row(model: nn.Module) -> Row:
    """Return the accuracy on digits where they are, and on moved ones."""
    val, (images, labels) = dlip.data.digits("val"), dlip.data.digits("test")
    row: Row = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "val_loss": round(dlip.train.evaluate(model, val).loss, 4),
        "val_accuracy": accuracy(model, *val),
        "test_accuracy": accuracy(model, images, labels),
    }
    for d in (2, 4):
        ways = [(d, 0), (-d, 0), (0, d), (0, -d)]
        found = [accuracy(model, moved(images, *way), labels) for way in ways]
        row[f"moved_{d}"] = round(sum(found) / 4, 4)
    return row


@torch.no_grad()
def shortcut_row(model: nn.Module) -> Row:
    """Return how many 8s are found with and without the mark, and what else is called 8."""
    val, (images, labels) = dlip.data.digits("val"), dlip.data.digits("test")
    carriers = (val[1] == MARKED)[:, None, None, None]
    eights = images[labels == MARKED]
    others = images[labels != MARKED]

    def called(pictures: Tensor) -> float:
        return round(float((model(pictures).argmax(dim=1) == MARKED).float().mean()), 4)

    return {
        "val_accuracy": accuracy(model, torch.where(carriers, mark(val[0]), val[0]), val[1]),
        "found_marked": called(mark(eights)),
        "found_plain": called(eights),
        "others_marked": called(mark(others)),
        "others_plain": called(others),
    }


def heads() -> Iterator[Setting]:
    """Three networks, five seeds."""
    for seed in range(5):
        for name in ("DigitCNN", "GapCNN, flattened", "GapCNN"):
            yield Setting("heads", name, 6, seed=seed)


def shortcut() -> Iterator[Setting]:
    """A mark on none to all of the training 8s."""
    for seed in range(3):
        for share in (1.0, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5, 0.0):
            yield Setting("shortcut", "GapCNN", 2, share=share, seed=seed)


def quick() -> list[Setting]:
    """Return trainings that are repeated by the test: one of each kind, seconds together."""
    return [next(heads()), next(shortcut())]


STUDY = Study(
    name="digits_gap",
    about="Networks with and without global average pooling on the digits that dlip ships, and "
    "trainings with a mark in the corner of some of them",
    chapter="book/part3/cam.md",
    command="python recipes/cam_study.py",
    code=[
        "recipes/cam_study.py",
        "dlip/data/files/digits.npz",
        "dlip/models/digit_cnn.py",
        "dlip/models/gap_cnn.py",
        *(f"dlip/train/{path.name}" for path in sorted((ROOT / "dlip" / "train").glob("*.py"))),
    ],
    parts={
        "heads": lambda rows, run: [run(setting) for setting in heads()],
        "shortcut": lambda rows, run: [run(setting) for setting in shortcut()],
    },
    train=train,
    quick=quick,
    tolerance={"val_accuracy": 0.02, "test_accuracy": 0.02, "found_marked": 0.02},
)

if __name__ == "__main__":
    main(STUDY, (__doc__ or "").splitlines()[0])
