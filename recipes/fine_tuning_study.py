"""Measure what takes longer than a page: the studies of the chapter on fine-tuning.

    python recipes/fine_tuning_study.py              # all of them
    python recipes/fine_tuning_study.py depth norm   # these; the records of the others stay
    python recipes/fine_tuning_study.py --confirm    # after a change of code: does it still hold?

Writes: `dlip/data/studies/fine_tuning.json`, which `dlip.data.study("fine_tuning")` reads: a
card (command, versions, machine, minutes, date, hashes of the code that ran) and one row for
each training, its settings first, then what was measured. Seconds are those of the processor,
on one core, for the fine-tuning. What the frozen parts make of the pictures is computed once
before, and does not count.

EfficientNet-Lite0 with its ImageNet weights is fine-tuned with pictures of clothes, 50 or 20
of each class, inverted and enlarged to 64 pixels. Seed s takes the training pictures from
number 500 s on. All choices are made with the 500 training pictures from number 5000 on, the
validation. The test pictures are looked at in `final` only, where nothing is chosen any more.

Needs: dlip and nothing else. Licence of the record: as the book's text, CC BY 4.0.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial

import torch
import torch.nn.functional as F
from _study import ROOT, Row, Run, Study, main
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

import dlip

SIDE = 64
PARTS = 9  # in front of the head: the stem, seven stages and the last convolution


@dataclass(frozen=True)
class Setting:
    """One training: first of the head alone, then of the head and `unfrozen` parts before it.

    The parts are counted from the end. Each is trained with the learning rate of the part
    behind it, divided by `factor`. `norm` says what batch normalization does in the trained
    parts: "frozen", or "train", which takes the statistics of the batch.
    """

    study: str
    name: str
    pictures: int = 500
    epochs: int = 4
    unfrozen: int = 4
    lr: float = 0.0001
    factor: float = 1.0
    schedule: str = "one-cycle"
    head_first: bool = True
    norm: str = "frozen"
    batch_size: int = 20
    augment: str = "none"
    seed: int = 0


# ---------------------------------------------------------------- pictures


def prepare(images: Tensor) -> Tensor:
    """Turn pictures (N, 1, 28, 28) from 0 to 1 into what EfficientNet-Lite0 expects."""
    recipe = dlip.zoo.pretrained("efficientnet_lite0").preprocess
    ready = replace(recipe, resize=SIDE, crop=SIDE)(1 - images)
    # Another order in memory, with which a processor takes little more than half the time.
    return ready.contiguous(memory_format=torch.channels_last)


@cache
def pictures(split: str, count: int = 500) -> tuple[Tensor, Tensor]:
    """Return pictures, not prepared, and labels: "0", "1", … of a seed, "val" or "test"."""
    if split == "test":
        return dlip.data.fashion("test")
    images, labels = dlip.data.fashion("train")
    first = 5000 if split == "val" else 500 * int(split)
    return images[first : first + count], labels[first : first + count]


def move(images: Tensor) -> Tensor:
    """Zoom and shift each picture by up to a tenth of its side; half of them are mirrored."""
    unit = 2 * torch.rand(4, len(images)) - 1
    zoom, none = 1 + 0.1 * unit[0], torch.zeros(len(images))
    rows = [zoom * unit[3].sign(), none, 0.2 * unit[1], none, zoom, 0.2 * unit[2]]
    matrices = torch.stack(rows, dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(matrices, images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


VERSIONS: dict[str, list[Callable[[Tensor], Tensor]]] = {
    "none": [lambda x: x],
    "mirrored": [lambda x: x, lambda x: x.flip(3)],
    "upside down": [lambda x: x, lambda x: x.flip(2)],
    "moved": [move] * 8,
    "moved once": [move],
    "blurred": [lambda x: F.avg_pool2d(x, 3, stride=1, padding=1)],
    "bright on dark": [lambda x: 1 - x],
}
"""What is made of each picture. The frozen parts have to see each version only once."""

AUGMENTATIONS = ("none", "mirrored", "upside down", "moved")
SHIFTS = ("none", "moved once", "blurred", "bright on dark")
"""The validation pictures as they are, and pictures of another kind."""


# ---------------------------------------------------------------- networks


@cache
def pretrained() -> nn.Module:
    """Return EfficientNet-Lite0 with its ImageNet weights."""
    model = dlip.zoo.pretrained("efficientnet_lite0").model
    return model.to(memory_format=torch.channels_last).requires_grad_(False)


@cache
@torch.no_grad()
def features(frozen: int, split: str, count: int = 500, version: str = "none") -> Tensor:
    """Return what the frozen parts make of the versions of the pictures."""
    dlip.env.seed(0)
    body = pretrained().features[:frozen]
    images = torch.cat([change(pictures(split, count)[0]) for change in VERSIONS[version]])
    return torch.cat([body(prepare(batch)) for batch in images.split(50)])


@cache
def trained_head(seed: int, count: int) -> dict[str, Tensor]:
    """Return the weights of a head that was trained with features of the frozen network."""
    means = features(PARTS, str(seed), count).mean(dim=(2, 3))
    dlip.env.seed(seed)
    head = nn.Linear(1280, 10)
    dlip.train.fit(
        head, (means, pictures(str(seed), count)[1]), epochs=3000 // count, batch_size=20,
        seed=seed, progress=False,
    )  # fmt: skip
    return head.state_dict()


def network(s: Setting) -> nn.Module:
    """Return the network with a head for ten classes, and frozen as the setting says."""
    model = dlip.zoo.pretrained("efficientnet_lite0").model
    dlip.env.seed(s.seed)
    model.classifier = nn.Linear(1280, 10)
    if s.head_first:
        model.classifier.load_state_dict(trained_head(s.seed, s.pictures))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(s.norm == "train")
            module.momentum = 0.1  # 0.01 is for thousands of steps
    model.features[: PARTS - s.unfrozen].requires_grad_(False)
    return model.to(memory_format=torch.channels_last)


def groups(model: nn.Module, lr: float, factor: float) -> list[Row]:
    """Return a group of parameters for the head and each trained part, with its rate."""
    found = []
    for number, part in enumerate([model.classifier, *reversed(model.features)]):
        if trainable := [p for p in part.parameters() if p.requires_grad]:
            found.append({"params": trainable, "lr": lr / factor**number})
    return found


def distances(model: nn.Module) -> list[float]:
    """Return how far the convolutions of each part have moved, relative to their length."""
    result = []
    for part, before in zip(model.features, pretrained().features, strict=True):
        pairs = list(zip(part.parameters(), before.parameters(), strict=True))
        pairs = [(new, old) for new, old in pairs if new.ndim == 4]
        moved = sum((new - old).square().sum().item() for new, old in pairs)
        length = sum(old.square().sum().item() for _, old in pairs)
        result.append(round((moved / length) ** 0.5, 5))
    return result


def train(setting: Setting) -> Row:
    """Train as the setting says, and return the setting and what came out."""
    s = setting
    frozen, split = PARTS - s.unfrozen, str(s.seed)
    model = network(s)
    tail = nn.Sequential(
        model.features[frozen:], model.pool, nn.Flatten(), model.dropout, model.classifier
    )
    versions = len(VERSIONS[s.augment])
    data = (
        features(frozen, split, s.pictures, s.augment),
        pictures(split, s.pictures)[1].repeat(versions),
    )
    val = features(frozen, "val"), pictures("val")[1]
    row: Row = asdict(s)
    measured: Row = {"before_accuracy": accuracy(tail, val)}
    if s.study == "head":
        measured["shifts_before"] = shifted(tail, frozen)
    if s.study == "final":
        measured |= tested(tail, frozen, "before")

    optimizer = torch.optim.Adam(groups(model, s.lr, s.factor))
    rates = [group["lr"] for group in optimizer.param_groups]
    epochs = s.epochs // versions
    steps = epochs * -(-len(data[1]) // s.batch_size)
    start = time.process_time()
    history = dlip.train.fit(
        tail, data, val if s.study == "stop" else None,
        epochs=epochs, batch_size=s.batch_size, optimizer=optimizer,
        schedule=partial(OneCycleLR, max_lr=rates, total_steps=steps)
        if s.schedule == "one-cycle" else None,
        schedule_every="step", seed=s.seed, progress=False,
    )  # fmt: skip
    row["seconds"] = round(time.process_time() - start, 2)

    result = dlip.train.evaluate(tail, val)
    measured |= {
        "train_accuracy": round(history.accuracy[-1], 4),
        "val_accuracy": round(result.accuracy, 4),
        "val_loss": round(result.loss, 4),
        "train_accuracies": [round(value, 3) for value in history.accuracy],
        "moved": distances(model),
    }
    if s.study == "head":
        measured["shifts_after"] = shifted(tail, frozen)
    if s.study == "stop":
        measured["train_losses"] = [round(value, 4) for value in history.loss]
        measured["val_losses"] = [round(value, 4) for value in history.val_loss]
        measured["val_accuracies"] = [round(value, 3) for value in history.val_accuracy]
    if s.study == "final":
        measured |= tested(tail, frozen, "after")
    return row | measured


def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Return the share of right answers."""
    return round(dlip.train.evaluate(model, data).accuracy, 4)


def shifted(tail: nn.Module, frozen: int) -> list[float]:
    """Return the accuracy on the validation pictures, changed in each of the ways."""
    labels = pictures("val")[1]
    return [accuracy(tail, (features(frozen, "val", version=name), labels)) for name in SHIFTS]


@torch.no_grad()
def tested(tail: nn.Module, frozen: int, when: str) -> Row:
    """Return the answers to the test pictures, a digit for each, and how many are right."""
    answers = tail.eval()(features(frozen, "test")).argmax(dim=1)
    right = (answers == pictures("test")[1]).float().mean().item()
    return {
        f"test_{when}": round(right, 4),
        f"answers_{when}": "".join(str(answer) for answer in answers.tolist()),
    }


# ---------------------------------------------------------------- the parts


def depth(seeds: range = range(3)) -> Iterator[Setting]:
    """How many parts to train besides the head."""
    for unfrozen in (0, 1, 2, 4, 9):
        for lr in (0.0001, 0.0003):
            for seed in seeds:
                yield Setting("depth", f"{unfrozen}, {lr:g}", unfrozen=unfrozen, lr=lr, seed=seed)


def rate(seeds: range = range(3)) -> Iterator[Setting]:
    """Larger learning rates than those of `depth`."""
    for lr in (0.001, 0.003, 0.01):
        for seed in seeds:
            yield Setting("rate", f"{lr:g}", lr=lr, seed=seed)


def head(seeds: range = range(3)) -> Iterator[Setting]:
    """The head first, or all at once with a head that starts at random."""
    for pictures, epochs in ((500, 4), (200, 8)):
        for first in (True, False):
            name = f"{pictures}, {'head first' if first else 'at once'}"
            for seed in seeds:
                yield Setting("head", name, pictures, epochs, lr=0.0003, head_first=first,
                              seed=seed)  # fmt: skip


def factor(seeds: range = range(3)) -> Iterator[Setting]:
    """All parts are trained, the early ones with smaller rates."""
    for seed in seeds:
        yield Setting("factor", "2", unfrozen=9, lr=0.001, factor=2.0, seed=seed)


def norm(seeds: range = range(3)) -> Iterator[Setting]:
    """Batch normalization in small batches. The rate grows with the root of their size."""
    for size in (2, 4, 8, 32):
        lr = round(0.0005 * (size / 32) ** 0.5, 6)
        for kind in ("frozen", "train"):
            for seed in seeds:
                yield Setting("norm", f"{size}, {kind}", epochs=2, unfrozen=2, lr=lr, norm=kind,
                              batch_size=size, seed=seed)  # fmt: skip


def augment(seeds: range = range(3)) -> Iterator[Setting]:
    """Versions of 20 pictures a class; every training makes 80 steps."""
    for name in AUGMENTATIONS:
        for seed in seeds:
            yield Setting("augment", name, pictures=200, epochs=8, augment=name, seed=seed)


def stop(seeds: range = range(3)) -> Iterator[Setting]:
    """A long training with a constant rate, for early stopping."""
    for seed in seeds:
        yield Setting("stop", "long", pictures=200, epochs=12, lr=0.0003, schedule="constant",
                      seed=seed)  # fmt: skip


def final(rows: list[Row]) -> Iterator[Setting]:
    """The best of `depth`, `rate` and `factor` on the validation, with three new seeds."""
    results: dict[Setting, list[float]] = {}
    for row in rows:
        if row["study"] in ("depth", "rate", "factor"):
            setting = Setting(**{name: row[name] for name in Setting.__dataclass_fields__})
            results.setdefault(replace(setting, seed=0), []).append(row["val_accuracy"])
    best = max(results, key=lambda setting: sum(results[setting]))
    for seed in (3, 4, 5):
        yield replace(best, study="final", seed=seed)


SIMPLE = {
    "depth": depth,
    "rate": rate,
    "head": head,
    "factor": factor,
    "norm": norm,
    "augment": augment,
    "stop": stop,
}


def quick() -> list[Setting]:
    """Return trainings that are repeated by the test: half a minute together."""
    return [
        next(s for s in depth() if s.name == "2, 0.0003"),
        next(s for s in norm() if s.name == "32, train"),
        next(s for s in augment() if s.name == "mirrored"),
    ]


def simple(part: Callable[[], Iterator[Setting]], rows: list[Row], run: Run) -> list[Row]:
    """Run the settings of a part that does not depend on other results."""
    return [run(setting) for setting in part()]


STUDY = Study(
    name="fine_tuning",
    about="Fine-tunings of EfficientNet-Lite0 with the clothes that dlip ships",
    chapter="book/part4/fine-tuning.md",
    command="python recipes/fine_tuning_study.py",
    code=[
        "recipes/fine_tuning_study.py",
        "dlip/data/files/fashion.npz",
        "dlip/models/efficientnet_lite.py",
        "dlip/zoo.py",
        *(f"dlip/train/{path.name}" for path in sorted((ROOT / "dlip" / "train").glob("*.py"))),
    ],
    parts={
        **{name: partial(simple, part) for name, part in SIMPLE.items()},
        "final": lambda rows, run: [run(setting) for setting in final(rows)],
    },
    train=train,
    quick=quick,
    tolerance={"val_accuracy": 0.02},
)

if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
