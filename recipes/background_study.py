"""Does a network look at the object or the background? The study of part 4's chapter on CAM.

    python recipes/background_study.py             # all of it
    python recipes/background_study.py cures       # this part; the records of the others stay
    python recipes/background_study.py --confirm   # after a change of code: does it still hold?

Writes: `dlip/data/studies/background.json`, which `dlip.data.study("background")` reads: a
card (command, seeds, versions, machine, minutes, date, hashes of the code that ran) and one
row for each training, its settings first, then what was measured. A seed divides the cut-outs
anew into 12 for training and 7 for testing in each class. Seconds are those of the processor,
on one core; the features of the frozen stages count for the training that needs them first.

The part `choice` compares learning rates. In it the 12 objects of a class are divided again, 8
to train and 4 to validate; the test objects play no part. The rates came out alike, and the
middle one was taken.

`--confirm` repeats the trainings that `quick` names. If they agree with the record within the
tolerance on the card, it writes the hashes of the present code there; else it fails. The
test `tests/book/test_studies.py` does the same and changes nothing.

Needs: dlip and nothing else. Licence of the record: as the book's text, CC BY 4.0.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F
from _study import Row, Run, Study, main
from torch import Tensor, nn

import dlip

SIZE = 192
"""Height and width of the photographs."""

HOME = {"bird": "stars", "flower": "gravel", "fruit": "brick", "mammal": "grass"}
"""The scene to which a class is tied."""


@dataclass(frozen=True)
class Setting:
    """One training: with which photographs, and whether the last stages learn as well."""

    study: str
    name: str
    tuned: bool = True
    seed: int = 0
    lr: float = 1e-4
    epochs: int = 6


@dataclass(frozen=True)
class Pictures:
    """Every cut-out on every scene: the number of a picture is 4 · cut-out + scene.

    `masks` says where the object is. `photos` are the photographs, `empty` the scenes before
    the object was pasted, `near` the photographs cropped to the object, with `near_masks`.
    """

    labels: Tensor
    home: Tensor
    photos: Tensor
    masks: Tensor
    empty: Tensor
    near: Tensor
    near_masks: Tensor


def in_parts(module: nn.Module, batch: Tensor) -> Tensor:
    """Run a module without gradients, eight pictures at a time."""
    with torch.no_grad():
        outputs: list[Tensor] = [module(part) for part in batch.split(8)]
        return torch.cat(outputs)


@cache
def network() -> tuple[nn.Sequential, nn.Sequential]:
    """Return the stages of EfficientNet-Lite0 that stay frozen, and those that may learn.

    They have ImageNet's weights and are in evaluation mode.
    """
    model = dlip.zoo.pretrained("efficientnet_lite0").model
    assert isinstance(model, dlip.models.EfficientNetLite0)
    return model.features[:6], model.features[6:]


@cache
def pictures() -> Pictures:
    """Compose all photographs."""
    cut = dlip.data.cutouts()
    scenes = {name: dlip.data.scene(name) for name in dlip.data.SCENES}
    random = torch.Generator().manual_seed(0)

    def draw(count: int) -> int:
        return int(torch.randint(count, (1,), generator=random))

    layers, near = [], []
    for cutout in cut.images:
        for ground in scenes.values():
            top, left = (draw(side - 319) for side in ground.shape[1:])
            ground = ground[:, top : top + 320, left : left + 320]
            top, left = draw(161), draw(161)
            picture = dlip.data.paste(cutout, ground, top=top, left=left)
            mask = torch.zeros(1, 320, 320)
            mask[0, top : top + 160, left : left + 160] = cutout[3]
            layers.append(shrink(torch.cat([picture, mask, ground])))
            near.append(shrink(cropped(torch.cat([picture, mask]))))
    every, close = torch.stack(layers), torch.stack(near)
    return Pictures(
        labels=cut.labels,
        home=torch.tensor([list(scenes).index(HOME[name]) for name in cut.classes]),
        photos=every[:, :3],
        masks=every[:, 3],
        empty=every[:, 4:],
        near=close[:, :3],
        near_masks=close[:, 3],
    )


STORE: dict[str, dict[int, Tensor]] = {"photos": {}, "empty": {}, "alone": {}, "near": {}}
"""Outputs of stage 5 by number: of `Pictures`, and "alone", the objects on gray."""


def stage5(kind: str, numbers: Tensor) -> Tensor:
    """Return the outputs of stage 5; each picture passes the frozen stages once."""
    p, store = pictures(), STORE[kind]
    missing = torch.tensor([n for n in numbers.tolist() if n not in store], dtype=torch.int64)
    if len(missing):
        if kind == "alone":
            inputs = as_input(p.photos[missing]) * p.masks[missing, None]
        else:
            inputs = as_input(getattr(p, kind)[missing])
        outputs = in_parts(network()[0], inputs)
        store |= dict(zip(missing.tolist(), outputs, strict=True))
    return torch.stack([store[n] for n in numbers.tolist()])


def shrink(layers: Tensor) -> Tensor:
    """Resize to `SIZE` pixels."""
    return F.interpolate(layers[None], size=SIZE, mode="bilinear", antialias=True)[0]


def as_input(photographs: Tensor) -> Tensor:
    """Bring pixels from 0 … 1 to the network's range."""
    return (photographs - 127 / 255) / (128 / 255)


def cropped(layers: Tensor) -> Tensor:
    """Cut out the smallest square around the object, a tenth larger, that fits the picture."""
    rows, cols = (layers[3].amax(dim=d).gt(0.5).nonzero().flatten() for d in (1, 0))
    lows, highs = (rows[0], cols[0]), (rows[-1] + 1, cols[-1] + 1)
    side = int(1.1 * max(int(high - low) for low, high in zip(lows, highs, strict=True)))
    starts = [
        min(max(int(low + high - side) // 2, 0), layers.shape[1] - side)
        for low, high in zip(lows, highs, strict=True)
    ]
    return layers[:, starts[0] : starts[0] + side, starts[1] : starts[1] + side]


def divided(seed: int, validate: bool) -> tuple[Tensor, Tensor]:
    """Return the cut-outs for training and for testing, 12 and 7 in each class.

    To validate, those for training are divided into 8 and 4.
    """
    random = torch.Generator().manual_seed(seed)
    labels = pictures().labels
    train, test = [], []
    for label in range(4):
        members = (labels == label).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=random)]
        train.append(members[:8] if validate else members[:12])
        test.append(members[8:12] if validate else members[12:19])
    return torch.cat(train), torch.cat(test)


def on_all_scenes(objects: Tensor) -> Tensor:
    """Return the numbers of the photographs of some cut-outs, four for each."""
    return (4 * objects[:, None] + torch.arange(4)).flatten()


def new_head(features: Tensor, targets: Tensor) -> nn.Linear:
    """Fit a linear layer of four classes to features, with a small penalty on its weights."""
    features, targets = features.double(), targets.double()  # so that roundings do not add up
    head = nn.Linear(features.shape[1], 4).double()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = 0.005 * head.weight.square().sum()
        loss = F.cross_entropy(head(features), targets) + penalty
        loss.backward()
        return loss

    optimizer.step(closure)
    return head.float()


def batches_of(s: Setting, objects: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what makes a batch (inputs, targets) of the objects at some places."""
    p = pictures()
    labels = p.labels[objects]
    numbers = torch.arange(len(objects))
    fair, tied = 4 * objects + numbers % 4, 4 * objects + p.home[labels]
    targets = F.one_hot(labels, 4).float()

    def batch(some: Tensor) -> tuple[Tensor, Tensor]:
        if s.name == "mixed":
            random = 4 * objects[some] + torch.randint(4, (len(some),))
            return stage5("photos", random), targets[some]
        if s.name == "empty scenes":
            x = torch.cat([stage5("photos", tied[some]), stage5("empty", tied[some])])
            return x, torch.cat([targets[some], torch.full((len(some), 4), 0.25)])
        kind = {"gray": "alone", "cropped": "near"}.get(s.name, "photos")
        return stage5(kind, (fair if s.name == "fair" else tied)[some]), targets[some]

    return batch


def train(setting: Setting) -> Row:
    """Train as the setting says, and return the setting and what came out."""
    s = setting
    start = time.process_time()
    p = pictures()
    validate = s.study == "choice"
    objects, others = divided(s.seed, validate)
    batch = batches_of(s, objects)
    everything = torch.arange(len(objects))
    dlip.env.seed(s.seed)
    back = copy.deepcopy(network()[1])
    x, targets = batch(everything)
    if s.name == "mixed":  # the head on frozen features sees every object on every scene
        x, targets = stage5("photos", on_all_scenes(objects)), targets.repeat_interleave(4, dim=0)
    head = new_head(in_parts(back, x).mean(dim=(2, 3)), targets)
    val = on_all_scenes(others)
    accuracies = []
    if s.tuned:
        optimizer = torch.optim.Adam([*back.parameters(), *head.parameters()], lr=s.lr)
        for _ in range(s.epochs):
            for some in everything[torch.randperm(len(objects))].split(12):
                x, targets = batch(some)
                optimizer.zero_grad()
                F.cross_entropy(head(back(x).mean(dim=(2, 3))), targets).backward()
                optimizer.step()
            if validate:
                scores = head(in_parts(back, stage5("photos", val)).mean(dim=(2, 3)))
                right = scores.argmax(dim=1) == p.labels[others].repeat_interleave(4)
                accuracies.append(round(right.float().mean().item(), 4))
    head.weight.data -= head.weight.data.mean(dim=0)
    head.bias.data -= head.bias.data.mean()
    measured = look(s, back, head, others)
    if validate:
        measured["val_accuracies"] = accuracies
    seconds = time.process_time() - start
    return asdict(s) | {"seconds": round(seconds, 2)} | measured


@torch.no_grad()
def look(s: Setting, back: nn.Module, head: nn.Linear, objects: Tensor) -> Row:
    """Return accuracies, how the maps lie, and the answers without object or scene."""
    p = pictures()
    numbers = on_all_scenes(objects)
    labels = p.labels[objects].repeat_interleave(4)
    home = numbers % 4 == p.home[labels]
    near = s.name == "cropped"
    masks = (p.near_masks if near else p.masks)[numbers]

    def class_maps(x: Tensor) -> Tensor:
        return torch.einsum("ck,nkij->ncij", head.weight, in_parts(back, x))

    def scores(maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3)) + head.bias

    maps = class_maps(stage5("near" if near else "photos", numbers))
    answers = scores(maps).argmax(dim=1)
    lured = answers == p.home.argsort()[numbers % 4]
    right = (answers == labels).float()
    row = {
        "own": right[home].mean(),
        "other": right[~home].mean(),
        "scenes_class": lured[~home].float().mean(),
        "area": masks.mean(),
    }
    every = torch.arange(len(numbers))
    for asked, classes in (("answer", answers), ("true", labels)):
        share, hit = on_object(maps[every, classes], masks)
        for name, some in (("own", home), ("other", ~home)):
            row[f"share_{asked}_{name}"] = share[some].mean()
            row[f"hit_{asked}_{name}"] = hit[some].mean()
    if not near:
        own, label = numbers[home], labels[home]
        places = torch.arange(len(own))
        heats = enlarged(maps[home][places, label])
        row["claimed"] = (heats * masks[home]).mean()
        row["whole"] = scores(maps[home])[places, label].mean()
        for name, kind in (("scene", "empty"), ("object", "alone")):
            left = scores(class_maps(stage5(kind, own)))
            row[f"{name}_only"] = left[places, label].mean()
            row[f"{name}_only_right"] = (left.argmax(dim=1) == label).float().mean()
    return {name: round(float(value), 4) for name, value in row.items()}


def enlarged(heats: Tensor) -> Tensor:
    """Enlarge maps (N, h, w) to the size of the photographs."""
    return F.interpolate(heats[:, None], size=SIZE, mode="bilinear")[:, 0]


def on_object(heats: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of the positive evidence on the object, and whether the maximum is."""
    large = enlarged(heats).relu().flatten(1)
    inside = masks.flatten(1)
    share = (large * inside).sum(dim=1) / large.sum(dim=1).clamp(min=1e-9)
    highest = large.argmax(dim=1, keepdim=True)
    return share, inside.gather(1, highest)[:, 0].gt(0.5).float()


def choice() -> Iterator[Setting]:
    """Learning rates, and the validation accuracy after each epoch."""
    for lr in (3e-5, 1e-4, 3e-4):
        for seed in range(3):
            yield Setting("choice", "fair", seed=seed, lr=lr, epochs=12)


def nets(seeds: range = range(8)) -> Iterator[Setting]:
    """Fair and tied photographs, before and after fine-tuning."""
    for name in ("fair", "tied"):
        for tuned in (False, True):
            for seed in seeds:
                yield Setting("nets", name, tuned, seed)


def cures(seeds: range = range(8)) -> Iterator[Setting]:
    """What helps if the class and the scene are tied."""
    for name in ("mixed", "gray", "empty scenes", "cropped"):
        for seed in seeds:
            yield Setting("cures", name, True, seed)


SIMPLE = {"choice": choice, "nets": nets, "cures": cures}


def part(settings: Callable[[], Iterator[Setting]]) -> Callable[[list[Row], Run], list[Row]]:
    """Make a part of the study from a list of settings."""
    return lambda rows, run: [run(setting) for setting in settings()]


def quick() -> list[Setting]:
    """Return trainings that a test repeats."""
    return [Setting("nets", name, False, seed=3) for name in ("fair", "tied")] + [
        replace(Setting("nets", "tied"), seed=1)
    ]


STUDY = Study(
    name="background",
    about="Networks that look at the object or at the background, and cures.",
    chapter="book/part4/cam.md",
    command="python recipes/background_study.py",
    code=[
        "recipes/background_study.py",
        "recipes/_study.py",
        "dlip/data/cutouts.py",
        "dlip/data/files/cutouts.zip",
        "dlip/models/efficientnet_lite.py",
    ],
    parts={name: part(settings) for name, settings in SIMPLE.items()},
    train=train,
    quick=quick,
    tolerance={"own": 0.08, "other": 0.05, "share_answer_own": 0.02, "share_answer_other": 0.02},
)


if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
