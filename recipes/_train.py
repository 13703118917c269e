"""What the scripts that train checkpoints share: the command line, resuming, and the card.

A script says what it trains as a `Recipe`, and how as a `Training`, whose `step` makes one
step. `main` runs the steps with a progress bar, keeps the state every minute, measures the
finished network on data that the training has not seen, and writes the weights, the card
beside them, and the entry in dlip's manifest.

    python recipes/train_NAME.py            # the whole training; a run that was stopped goes on
    python recipes/train_NAME.py --fresh    # from the beginning, whatever is kept
    python recipes/train_NAME.py --quick    # a minute; says whether the loss falls, writes nothing
    python recipes/train_NAME.py --measure  # the figures of the shipped checkpoint once more
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

import dlip

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "dlip" / "weights"
LARGEST = 3_000_000
"""Bytes that a file of weights may have."""


class Training(ABC):
    """One training. It holds its networks, optimizers and data."""

    model: nn.Module
    """The network that is shipped in the end."""

    steps: int
    """How many steps the training has."""

    parts: tuple[str, ...] = ("model", "optimizer", "schedule")
    """The attributes that the next steps depend on, besides the random numbers."""

    @abstractmethod
    def step(self, number: int) -> dict[str, float]:
        """Make step `number`, counted from 0; return its losses, the one that matters first."""

    def state(self) -> dict[str, Any]:
        """Return everything that the next steps depend on, but the random numbers."""
        return {name: getattr(self, name).state_dict() for name in self.parts}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])


@dataclass(frozen=True)
class Recipe:
    """What a script says about its checkpoint.

    Attributes
    ----------
    name
        The files are `dlip/weights/NAME.safetensors` and `NAME.json`.
    about, paper, data, limits, licence
        What it is and whose idea, what it was trained with, what it cannot do; for the card.
    model_class, arguments
        The class in `dlip.models` and what it is built with.
    start
        Makes the training; with True a quick one, of about a minute on two cores.
    measure
        Returns the figures of a network in evaluation mode, on data not seen in training.
    seed
        Of everything random.
    code
        The files that decide about the result, relative to the project's root.
    half
        Whether the weights are stored in 16 bits.
    tolerance
        By how much each figure may differ when it is measured again.
    """

    name: str
    about: str
    paper: str
    data: str
    limits: str
    model_class: str
    start: Callable[[bool], Training]
    measure: Callable[[nn.Module], dict[str, float]]
    tolerance: dict[str, float]
    arguments: dict[str, Any] = field(default_factory=dict)
    licence: str = "BSD-3-Clause, as dlip"
    seed: int = 0
    code: tuple[str, ...] = ()
    half: bool = True

    @property
    def file(self) -> Path:
        """The file of weights."""
        return WEIGHTS / f"{self.name}.safetensors"


def quick(recipe: Recipe) -> list[dict[str, float]]:
    """Run a quick training; return the losses of each step."""
    dlip.env.seed(recipe.seed)
    training = recipe.start(True)
    training.model.train()
    return [training.step(number) for number in tqdm(range(training.steps), leave=False)]


def hashes(recipe: Recipe) -> dict[str, str]:
    """Return the SHA-256 of each file that decides about the result."""
    return {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in recipe.code}


def progress(recipe: Recipe) -> Path:
    """Return the file that keeps the state of a training that has not been written yet."""
    return ROOT / "recipes" / ".progress" / f"{recipe.name}.pt"


POINTS = 100
"""Of how many points the training curve on a card consists at most."""


def train(recipe: Recipe, fresh: bool) -> tuple[nn.Module, float, dict[str, list[float]]]:
    """Run the whole training, or the rest of it; return the network, minutes and curve."""
    kept = progress(recipe)
    kept.parent.mkdir(exist_ok=True)
    dlip.env.seed(recipe.seed)
    training = recipe.start(False)
    first, seconds = 0, 0.0
    every = -(-training.steps // POINTS)  # each point is the mean of so many steps
    curve: dict[str, list[float]] = {}
    part: list[dict[str, float]] = []
    if kept.exists() and not fresh:
        state = torch.load(kept, weights_only=True)
        training.restore(state["training"])
        torch.set_rng_state(state["random"])
        first, seconds = state["step"], state["seconds"]
        curve, part = state["curve"], state["part"]
    training.model.train()
    begin = saved = time.monotonic()
    bar = tqdm(range(first, training.steps), initial=first, total=training.steps)
    for number in bar:
        losses = training.step(number)
        part.append(losses)
        if len(part) == every or number == training.steps - 1:
            for name in losses:
                mean = sum(step[name] for step in part) / len(part)
                curve.setdefault(name, []).append(round(mean, 5))
            part = []
        if number % 20 == 0:
            bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()})
        if time.monotonic() - saved > 60 or number == training.steps - 1:
            saved = time.monotonic()
            state = {
                "training": training.state(),
                "random": torch.get_rng_state(),
                "step": number + 1,
                "seconds": seconds + saved - begin,
                "curve": curve,
                "part": part,
            }
            torch.save(state, kept.with_suffix(".new"))
            kept.with_suffix(".new").replace(kept)
    return training.model.eval(), (seconds + time.monotonic() - begin) / 60, curve


def write(recipe: Recipe, model: nn.Module, minutes: float, curve: dict[str, list[float]]) -> None:
    """Write the weights, the card with the figures, and the entry of the manifest."""
    WEIGHTS.mkdir(exist_ok=True)
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    if recipe.half:
        weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    save_file(weights, recipe.file)
    recipe.file.chmod(0o644)
    size = recipe.file.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{recipe.file} has {size:,} bytes, more than {LARGEST:,}")
    # The figures are those of the file: of weights that may have been rounded to 16 bits.
    model.load_state_dict({key: value.float() for key, value in weights.items()})
    report = dlip.env.report()
    card = {
        "about": recipe.about,
        "paper": recipe.paper,
        "data": recipe.data,
        "limits": recipe.limits,
        "licence": recipe.licence,
        "model": {"class": recipe.model_class, "arguments": recipe.arguments},
        "parameters": sum(p.numel() for p in model.parameters()),
        "command": f"python recipes/{Path(recipe.code[0]).name}",
        "seed": recipe.seed,
        "minutes": round(minutes, 1),
        "machine": f"{report.cpu}, {os.cpu_count()} cores, no GPU",
        "versions": {"python": report.python, "torch": version("torch")},
        "date": datetime.date.today().isoformat(),
        "figures": {k: round(v, 4) for k, v in recipe.measure(model.eval()).items()},
        "tolerance": recipe.tolerance,
        "curve": curve,
        "sha256": hashlib.sha256(recipe.file.read_bytes()).hexdigest(),
        "bytes": size,
        "code": hashes(recipe),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False)
    recipe.file.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    record(recipe, card)
    progress(recipe).unlink(missing_ok=True)
    print(json.dumps(card["figures"], indent=1), f"{size:,} bytes, {minutes:.1f} minutes")


def record(recipe: Recipe, card: dict[str, Any]) -> None:
    """Write the checkpoint's entry into dlip's manifest, in the place of an older one."""
    path = ROOT / "dlip" / "data" / "manifest.toml"
    entry = {
        "name": recipe.name,
        "kind": "checkpoint",
        "path": f"weights/{recipe.name}.safetensors",
        "description": recipe.about,
        "source": f"trained by this project: {recipe.data}",
        "licence": recipe.licence,
        "licence_url": "https://opensource.org/license/bsd-3-clause",
        "made_by": card["command"].removeprefix("python "),
        "sha256": card["sha256"],
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    block = "\n".join(["[[file]]", *lines, f"bytes = {card['bytes']}"])
    text = path.read_text(encoding="utf-8")
    older = re.search(
        rf'\[\[file\]\]\nname = "{recipe.name}"\nkind = "checkpoint"\n(?:\w+ = .*\n?)+', text
    )
    if older:
        text = text.replace(older[0], block + "\n")
    else:
        text = text.rstrip("\n") + "\n\n" + block + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def main(recipe: Recipe, description: str) -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a minute of training, no file")
    parser.add_argument("--fresh", action="store_true", help="forget a run that was stopped")
    parser.add_argument("--measure", action="store_true", help="figures of the shipped file")
    arguments = parser.parse_args()
    if arguments.quick:
        losses = quick(recipe)
        name = next(iter(losses[0]))
        tenth = max(len(losses) // 10, 1)
        before, after = (
            sum(step[name] for step in part) / tenth for part in (losses[:tenth], losses[-tenth:])
        )
        print(f"{name}: {before:.4f} in the first tenth of the steps, {after:.4f} in the last")
    elif arguments.measure:
        print(json.dumps(recipe.measure(dlip.checkpoint.load_checkpoint(recipe.name).model)))
    else:
        write(recipe, *train(recipe, arguments.fresh))
