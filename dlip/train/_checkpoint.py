"""All that a training needs to go on, in one file."""

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Generator, Tensor

from dlip.train._batches import check_repeatable, count_of, generators_of, length_of
from dlip.train._training import Training
from dlip.train.history import History

FORMAT = "dlip.train 1"


def begin(training: Training, resume: bool, tell: bool) -> None:
    """Go on where the checkpoint ends, if there is one that is to be used.

    Raises
    ------
    ValueError
        If the file is damaged, no checkpoint, or that of a training with other settings, or
        if a training with a checkpoint could not be repeated exactly.
    """
    file = training.checkpoint
    if file is None:
        return
    check_repeatable(training.batches)
    training.settings = _settings(training)
    if file.is_dir():
        raise ValueError(f"expected checkpoint to be a file, but '{file}' is a folder")
    file.parent.mkdir(parents=True, exist_ok=True)
    main = PartialState().is_main_process
    state = _read(file) if resume and main and file.exists() else None
    (state,) = broadcast_object_list([state])
    if state is None:
        return
    _check_same(training, state)
    _load(training, state)
    if tell and main:
        done = training.history.epochs
        what = f"goes on after epoch {done} of" if done < training.epochs else "has all"
        print(f"'{file}' {what} {training.epochs} epochs; resume=False would train anew.")


def save(training: Training) -> None:
    """Write the file: completely, or not at all, whenever the program or the machine stops."""
    if training.checkpoint is None or not PartialState().is_main_process:
        return
    part = training.checkpoint.with_name(training.checkpoint.name + ".part")
    try:
        with part.open("wb") as file:
            torch.save(_state(training), file)
            file.flush()
            os.fsync(file.fileno())  # a power cut after the renaming must not leave holes
        part.replace(training.checkpoint)
    finally:
        part.unlink(missing_ok=True)


def _state(training: Training) -> dict[str, Any]:
    """Return what goes into the file: tensors, and what JSON knows."""
    schedule = training.schedule
    return {
        "format": FORMAT,
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "scaler": training.scaler.state_dict(),
        "schedule": None if schedule is None else schedule.state_dict(),
        "generators": [generator.get_state() for generator in _generators(training)],
        "history": asdict(training.history),
        "best": training.best,
        "settings": training.settings,
    }


def _load(training: Training, state: dict[str, Any]) -> None:
    training.model.load_state_dict(state["model"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.scaler.load_state_dict(state["scaler"])
    if training.schedule is not None:
        training.schedule.load_state_dict(state["schedule"])
    for generator, value in zip(_generators(training), state["generators"], strict=True):
        generator.set_state(value)
    training.history = History(**state["history"])
    training.best = state["best"]


def _generators(training: Training) -> list[Generator]:
    """Return what draws the order of the pictures."""
    found = generators_of(training.batches)
    return found if training.val_batches is None else found + generators_of(training.val_batches)


def _settings(training: Training) -> dict[str, str]:
    """Return, as texts, the settings that must be the same when the training goes on."""
    model, optimizer, schedule = training.model, training.optimizer, training.schedule
    settings: dict[str, object] = {
        "number of trainable parameters": sum(p.requires_grad for p in model.parameters()),
        "optimizer": type(optimizer).__name__,
    }
    for number, group in enumerate(optimizer.param_groups):
        values = group | {"params": len(group["params"])}
        settings |= {f"{name} of parameter group {number}": v for name, v in values.items()}
    settings["schedule"] = None if schedule is None else type(schedule).__name__
    if schedule is not None:
        settings |= {f"{name} of the schedule": v for name, v in schedule.state_dict().items()}
    settings |= {
        name: getattr(training, name)
        for name in ("schedule_every", "loss", "augment", "early_stopping", "precision", "seed")
    }
    for what, batches in (("training", training.batches), ("validation", training.val_batches)):
        settings[f"number of {what} pictures"] = batches and count_of(batches)
        settings[f"number of {what} batches"] = batches and length_of(batches)
    return {name: _text(value) for name, value in settings.items()}


def _text(value: object) -> str:
    """Describe a setting by a text that is the same in every process."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if hasattr(value, "__qualname__"):  # a function or class
        return str(value.__qualname__)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch.load raises for a damaged file is not said anywhere
        raise ValueError(
            f"cannot read the checkpoint '{path}', it is damaged or something else: {error}. "
            "Delete it, or give resume=False, to train anew"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"'{path}' is no checkpoint of dlip.train; give another path")
    return state


def _check_same(training: Training, state: dict[str, Any]) -> None:
    """Raise a ValueError if the file is that of another training."""
    old = _shapes(state["model"]) | state["settings"]
    new = _shapes(training.model.state_dict()) | training.settings
    different = [
        f"{name} was {old.get(name, 'absent')} and is {new.get(name, 'absent')}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    done = len(state["history"]["loss"])
    if done > training.epochs:
        different.append(f"epochs is {training.epochs}, but {done} are done")
    if different:
        more = f"; and {len(different) - 3} more" if len(different) > 3 else ""
        raise ValueError(
            f"the checkpoint '{training.checkpoint}' is from a training with other settings: "
            f"{'; '.join(different[:3])}{more}. Set them as they were, delete the file, or give "
            "resume=False to train anew"
        )


def _shapes(weights: dict[str, Any]) -> dict[str, str]:
    return {name: str(tuple(v.shape)) for name, v in weights.items() if isinstance(v, Tensor)}
