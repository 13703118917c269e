"""Measure what transfer is worth: the study of the chapter on transfer learning.

    python recipes/transfer_study.py                 # all parts
    python recipes/transfer_study.py size digits     # these; the records of the others stay
    python recipes/transfer_study.py --confirm       # after a change of code: does it hold?

Writes: `dlip/data/studies/transfer.json`, which `dlip.data.study("transfer")` reads: a card
(command, versions, machine, minutes, date, hashes of the code that ran) and one row for each
training, its settings first, then what was measured. Seconds are those of the processor, on
one core; those of the row that needs features first include computing them.

Pictures: of the 6,000 clothes of `dlip.data.fashion("train")` the first 5,000 are those from
which each seed draws its few training pictures, and the last 1,000 are for validation. The
1,000 clothes of "test" are looked at in `compare` and `digits` only. All choices (size of the
enlarged pictures, layer, learning rates, weight decay) are made with validation pictures.

Needs: dlip and nothing else. Licence of the record: as the book's text, CC BY 4.0.
"""

import copy
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F
from _study import ROOT, Row, Run, Study, main
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

import dlip

FEW = (5, 10, 20, 50)
MORE = (100, 200, 500)
LAYERS = ("stem", *(f"stage{n}" for n in range(1, 8)), "head")
DECAYS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
LAST = {"layer": "head", "places": 1}


@dataclass(frozen=True)
class Setting:
    """One training: how, with how many pictures of each class, and with which of them.

    `way` is "pixels", "small", "lite0", "frozen", "tuned", "random" or "scratch"; where
    `source` is given, it speaks of the small network and of what that learned before.
    """

    study: str
    way: str
    per_class: int
    seed: int = 0
    layer: str = ""
    places: int = 1
    size: int = 96
    inverted: bool = True
    lr: float = 0.0
    norm: str = ""
    source: str = ""
    target: str = "fashion"


# ---------------------------------------------------------------- pictures


@cache
def pool(name: str) -> tuple[Tensor, Tensor]:
    """Return the pictures from which the training pictures are drawn."""
    if name == "digits":
        return dlip.data.digits("train")
    images, labels = dlip.data.fashion("train")
    return images[:5000], labels[:5000]


@cache
def others(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Return the pictures for validation ("val") or for the test."""
    if name == "digits":
        return dlip.data.digits(split)
    if split == "test":
        return dlip.data.fashion("test")
    images, labels = dlip.data.fashion("train")
    return images[5000:], labels[5000:]


def draw(labels: Tensor, per_class: int, seed: int) -> Tensor:
    """Return the numbers of the drawn pictures, the same count of each class."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in range(10):
        members = (labels == label).nonzero().flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
    return torch.cat(chosen)


def prepare(images: Tensor, size: int, inverted: bool) -> Tensor:
    """Turn small gray pictures into what EfficientNet-Lite0 takes."""
    images = 1 - images if inverted else images
    large = F.interpolate(images, (size, size), mode="bilinear", align_corners=False)
    ready = ((255 * large - 127) / 128).expand(-1, 3, -1, -1)
    return ready.contiguous(memory_format=torch.channels_last)


# ---------------------------------------------------------------- frozen features


@cache
def backbone(seed: int | None = None) -> nn.Module:
    """EfficientNet-Lite0 with the weights from ImageNet, or as a control with random ones."""
    if seed is None:
        model = dlip.zoo.pretrained("efficientnet_lite0").model.requires_grad_(False)
        return model.to(memory_format=torch.channels_last)
    dlip.env.seed(seed)
    model = dlip.models.EfficientNetLite0().requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean of the batches that it sees
    for batch in pool("fashion")[0][:200].split(50):
        model(prepare(batch, 96, True))  # in training mode: batch normalization takes notes
    return model.eval()


STORE: dict[tuple, dict[int, list[Tensor]]] = {}


def wanted(s: Setting) -> list[tuple[str, int]]:
    """Return which layers are computed together, each with its places along a side."""
    if s.study != "layer":
        return [(s.layer, s.places)]
    return [(layer, places) for layer in LAYERS for places in (1, 6)]


def at_places(maps: Tensor, places: int) -> Tensor:
    """Average maps over a grid of places, and make one row of numbers for each picture."""
    places = min(places, maps.shape[-1])
    return F.adaptive_avg_pool2d(maps, places).flatten(1).contiguous()


@torch.no_grad()
def features(s: Setting, split: str, numbers: Tensor | None = None) -> Tensor:
    """Return the features of pictures; each picture passes the network once."""
    images = (pool("fashion") if split == "pool" else others("fashion", split))[0]
    numbers = torch.arange(len(images)) if numbers is None else numbers
    if s.way == "pixels":
        return images[numbers].flatten(1)
    layers = wanted(s)
    random = s.seed if s.way == "random" else None
    store = STORE.setdefault((split, s.size, s.inverted, random, tuple(layers)), {})
    missing = torch.tensor([i for i in numbers.tolist() if i not in store], dtype=torch.int64)
    for batch in missing.split(50):
        x, rows = prepare(images[batch], s.size, s.inverted), {}
        for name, part in backbone(random).features.named_children():
            x = part(x)
            rows |= {(n, p): at_places(x, p) for n, p in layers if n == name}
            if len(rows) == len(layers):
                break
        for j, i in enumerate(batch.tolist()):
            store[i] = [rows[which][j].clone() for which in layers]
    column = layers.index((s.layer, s.places))
    return torch.stack([store[i][column] for i in numbers.tolist()])


def fit_linear(x: Tensor, labels: Tensor, decay: float) -> nn.Linear:
    """Return the linear classifier with the smallest loss; its weights decay.

    The features are moved and scaled so that their mean is 0 and their mean square length 1.
    The classifier that is returned takes the features as they are.
    """
    mean = x.mean(dim=0)
    length = (x - mean).square().sum(dim=1).mean().sqrt()
    scaled = (x - mean) / length
    linear = nn.Linear(x.shape[1], 10)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(linear(scaled), labels)
        loss = loss + decay / 2 * linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        linear.weight /= length
        linear.bias -= linear.weight @ mean
    return linear.requires_grad_(False)


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """Return the share of right answers."""
    return round((scores.argmax(dim=1) == labels).float().mean().item(), 4)


def best_linear(s: Setting) -> tuple[nn.Linear, Row]:
    """Train with each weight decay, and keep the one that is best on the validation."""
    labels = pool("fashion")[1]
    few = draw(labels, s.per_class, s.seed)
    x, val_x, val_y = features(s, "pool", few), features(s, "val"), others("fashion", "val")[1]
    best: tuple[float, float, nn.Linear] | None = None
    for decay in DECAYS:
        linear = fit_linear(x, labels[few], decay)
        right = accuracy(linear(val_x), val_y)
        if best is None or right > best[0]:
            best = right, decay, linear
    row = {
        "weight_decay": best[1],
        "val_accuracy": best[0],
        "train_accuracy": accuracy(best[2](x), labels[few]),
    }
    if s.study == "compare":
        row["test_accuracy"] = accuracy(best[2](features(s, "test")), others("fashion", "test")[1])
    return best[2], row


# ---------------------------------------------------------------- networks


def one_cycle(steps: int, lr: float):
    """Return what makes the schedule: up for a fifth of the steps, then down to 0."""
    return lambda optimizer: OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.2)


def fit(
    model: nn.Module, data: tuple[Tensor, Tensor], epochs: int, batch: int, s: Setting
) -> float:
    """Train with one cycle of the learning rate; return the last training accuracy."""
    history = dlip.train.fit(
        model,
        data,
        epochs=epochs,
        batch_size=batch,
        lr=s.lr,
        schedule=one_cycle(epochs * -(-len(data[1]) // batch), s.lr),
        schedule_every="step",
        seed=s.seed,
        progress=False,
    )
    return round(history.accuracy[-1], 4)


def train_lite0(s: Setting) -> Row:
    """Train EfficientNet-Lite0, from random weights or from those of ImageNet."""
    images, labels = pool("fashion")
    few = draw(labels, s.per_class, s.seed)
    data = prepare(images[few], s.size, s.inverted), labels[few]
    dlip.env.seed(s.seed)
    if s.way == "tuned":
        model = copy.deepcopy(backbone()).requires_grad_(True)
        model.classifier, _ = best_linear(replace(s, way="frozen", study="rates", **LAST))
        model.classifier.requires_grad_(True)
        epochs = {5: 13, 10: 8, 20: 5, 50: 4}[s.per_class]
    else:
        model = dlip.models.EfficientNetLite0(classes=10).to(memory_format=torch.channels_last)
        epochs = {5: 27, 10: 16, 20: 8, 50: 5}[s.per_class]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # 0.01 is for thousands of steps
            if s.norm == "fixed":
                module.requires_grad_(False)  # dlip.train.fit leaves it in evaluation mode
    row = {"train_accuracy": fit(model, data, epochs, 20, s)}
    split, count = ("test", 1000) if s.study == "compare" else ("val", 500)
    images, labels = others("fashion", split)
    with torch.no_grad():
        parts = images[:count].split(50)
        scores = torch.cat([model(prepare(part, s.size, s.inverted)) for part in parts])
    row[f"{split}_accuracy"] = accuracy(scores, labels[:count])
    return row


@cache
def pretrained_small(source: str, seed: int) -> nn.Module:
    """Return the small network, trained with all pictures of the source."""
    dlip.env.seed(seed)
    model = dlip.models.DigitCNN()
    fit(model, pool(source), 6, 50, Setting("", "", 0, seed, lr=0.003))
    return model


def train_small(s: Setting) -> Row:
    """Train the course's small network: all of it, or what follows its convolutions."""
    images, labels = pool(s.target)
    few = draw(labels, s.per_class, s.seed)
    x, y = images[few], labels[few]
    before = pretrained_small(s.source, s.seed) if s.way in ("frozen", "tuned") else None
    dlip.env.seed(s.seed)
    model = dlip.models.DigitCNN()
    if before is not None:
        model.features.load_state_dict(before.features.state_dict())
    epochs = max(300 // -(-len(y) // 50), 10)
    if s.way in ("frozen", "random"):
        with torch.no_grad():
            x = model.features(x)
        train_accuracy = fit(model.classifier, (x, y), epochs, 50, s)
    else:
        train_accuracy = fit(model, (x, y), epochs, 50, s)
    row = {"train_accuracy": train_accuracy}
    for split in ["val"] + ["test"] * (s.study in ("compare", "digits")):
        with torch.no_grad():
            row[f"{split}_accuracy"] = accuracy(
                model(others(s.target, split)[0]), others(s.target, split)[1]
            )
    return row


def train(setting: Setting) -> Row:
    """Train as the setting says, and return the setting and what came out."""
    start = time.process_time()
    if setting.source or setting.way == "small":
        row = train_small(setting)
    elif setting.way in ("lite0", "tuned"):
        row = train_lite0(setting)
    else:
        row = best_linear(setting)[1]
    seconds = round(time.process_time() - start, 2)
    return asdict(setting) | {"seconds": seconds} | row


# ---------------------------------------------------------------- parts


def size() -> Iterator[Setting]:
    """How large the pictures are made, and dark on bright or bright on dark."""
    for pixels in (64, 96, 128):
        for inverted in (False, True):
            for seed in range(5):
                yield Setting("size", "frozen", 20, seed, size=pixels, inverted=inverted, **LAST)


def layer() -> Iterator[Setting]:
    """After which layer to stop, and whether to keep the places or to average over them."""
    for name in LAYERS:
        for places in (1, 6):
            for per_class in (10, 50):
                for seed in range(5):
                    yield Setting("layer", "frozen", per_class, seed, name, places)


def rates() -> Iterator[Setting]:
    """Learning rates, with other draws than those of the comparison."""
    for per_class in (10, 50):
        for lr in (0.0001, 0.0003, 0.001, 0.003):
            yield Setting("rates", "tuned", per_class, 5, lr=lr, norm="fixed")
        yield Setting("rates", "tuned", per_class, 5, lr=0.0003, norm="free")
        for lr in (0.001, 0.003, 0.01):
            yield Setting("rates", "lite0", per_class, 5, lr=lr)
        for lr in (0.001, 0.003, 0.01, 0.03):
            for seed in (5, 6):
                yield Setting("rates", "small", per_class, seed, lr=lr)
                for way in ("frozen", "tuned", "random"):
                    yield Setting("rates", way, per_class, seed, lr=lr, source="digits")


def best_rate(rows: list[Row], **which: object) -> float:
    """Return the learning rate with the best mean accuracy on the validation pictures."""
    results: dict[float, list[float]] = {}
    for row in rows:
        if row["study"] == "rates" and all(row[key] == value for key, value in which.items()):
            results.setdefault(row["lr"], []).append(row["val_accuracy"])
    return max(results, key=lambda lr: sum(results[lr]) / len(results[lr]))


def best_layer(rows: list[Row]) -> tuple[str, int]:
    """Return the layer and the places with the best mean accuracy on the validation pictures."""
    results: dict[tuple[str, int], float] = {}
    for row in rows:
        if row["study"] == "layer":
            which = row["layer"], row["places"]
            results[which] = results.get(which, 0) + row["val_accuracy"]
    return max(results, key=lambda which: results[which])


def compare(rows: list[Row]) -> Iterator[Setting]:
    """All ways, with few pictures; the cheap ones also with more."""
    name, places = best_layer(rows)
    small = best_rate(rows, way="small")
    lite0 = best_rate(rows, way="lite0")
    tuned = best_rate(rows, way="tuned", norm="fixed", source="")
    for per_class in FEW + MORE:
        for seed in range(5):
            common = {"study": "compare", "per_class": per_class, "seed": seed}
            yield Setting(way="pixels", **common)
            yield Setting(way="small", lr=small, **common)
            yield Setting(way="frozen", **LAST, **common)
            yield Setting(way="frozen", layer=name, places=places, **common)
            if per_class in FEW:
                yield Setting(way="random", layer=name, places=places, **common)
                yield Setting(way="tuned", lr=tuned, norm="fixed", **common)
                yield Setting(way="lite0", lr=lite0, **common)


def digits(rows: list[Row]) -> Iterator[Setting]:
    """The small network, from digits to clothes and from clothes to digits."""
    for source, target in (("digits", "fashion"), ("fashion", "digits")):
        for way in ("scratch", "frozen", "tuned", "random"):
            trained = {"way": way, "source": "digits"}
            lr = best_rate(rows, **({"way": "small"} if way == "scratch" else trained))
            for per_class in FEW:
                for seed in range(5):
                    yield Setting("digits", way, per_class, seed, lr=lr, source=source,
                                  target=target)  # fmt: skip


def quick() -> list[Setting]:
    """Return trainings that are repeated by the test: seconds together."""
    return [
        Setting("compare", "pixels", 10),
        Setting("size", "frozen", 20, size=64, inverted=True, **LAST),
        Setting("rates", "small", 10, 5, lr=0.003),
        Setting("rates", "frozen", 10, 5, lr=0.003, source="digits"),
        Setting("rates", "random", 10, 5, lr=0.003, source="digits"),
    ]


def run_all(settings: Iterator[Setting], run: Run) -> list[Row]:
    """Run the settings of a part, with features that no other part has left in the memory."""
    STORE.clear()
    return [run(setting) for setting in settings]


STUDY = Study(
    name="transfer",
    about="Few pictures of clothes: EfficientNet-Lite0 and dlip.models.DigitCNN, "
    "from scratch, with frozen features, and fine-tuned",
    chapter="book/part4/transfer-learning.md",
    command="python recipes/transfer_study.py",
    code=[
        "recipes/transfer_study.py",
        "dlip/data/files/digits.npz",
        "dlip/data/files/fashion.npz",
        "dlip/models/digit_cnn.py",
        "dlip/models/efficientnet_lite.py",
        *(f"dlip/train/{path.name}" for path in sorted((ROOT / "dlip" / "train").glob("*.py"))),
    ],
    parts={
        "size": lambda rows, run: run_all(size(), run),
        "layer": lambda rows, run: run_all(layer(), run),
        "rates": lambda rows, run: run_all(rates(), run),
        "compare": lambda rows, run: run_all(compare(rows), run),
        "digits": lambda rows, run: run_all(digits(rows), run),
    },
    train=train,
    quick=quick,
    tolerance={"val_accuracy": 0.02, "test_accuracy": 0.02},
)

if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
