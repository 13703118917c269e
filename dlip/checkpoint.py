"""Checkpoints: the networks that this project trained, with a card that says how.

`dlip.zoo.pretrained` returns them. The scripts `recipes/train_*.py` make them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dlip import models
from dlip._check import known
from dlip.data.manifest import Entry, manifest, verify

__all__ = ["Checkpoint", "checkpoint_names", "load_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """A network that this project trained.

    Attributes
    ----------
    name
        What `dlip.zoo.pretrained` was asked for.
    model
        The network, in evaluation mode, on the CPU, float32. Its parameters require gradients.
    card
        What the network is and how it came about: `"about"`, `"paper"`, `"data"`, `"seed"`,
        `"minutes"` on two cores, `"figures"` on data that the training has not seen,
        `"limits"`, `"sha256"` of the file, the command, the versions, and the hashes of the
        code that ran.
    file
        Where the weights lie.
    """

    name: str
    model: nn.Module = field(repr=False)
    card: dict[str, Any] = field(repr=False)
    file: Path


def checkpoint_names() -> list[str]:
    """Return the names of all checkpoints, in the order of the manifest.

    Returns
    -------
    list of str
        What `load_checkpoint` and `dlip.zoo.pretrained` can be asked for.

    Examples
    --------
    >>> import dlip
    >>> dlip.checkpoint.checkpoint_names()
    ['digit_ssd', 'colorizer', 'edges2clothes', 'edges2clothes_l1', 'fast_style']
    """
    return [entry.name for entry in manifest() if entry.kind == "checkpoint"]


def load_checkpoint(name: str) -> Checkpoint:
    """Return a network that this project trained.

    Parameters
    ----------
    name
        One of `checkpoint_names()`.

    Returns
    -------
    Checkpoint
        With a model of its own: changing it does not change the next.

    Raises
    ------
    ValueError
        If there is no checkpoint of that name, or its file is damaged: the SHA-256 is checked
        each time.
    FileNotFoundError
        If the file or its card is missing.

    Examples
    --------
    >>> import dlip
    >>> dlip.checkpoint.load_checkpoint("edges2clothes").card["parameters"]
    117073
    """
    known(name, checkpoint_names(), "checkpoint")
    entry = next(e for e in manifest() if e.kind == "checkpoint" and e.name == name)
    verify(entry)
    card = _card(entry)
    network = getattr(models, card["model"]["class"])(**card["model"]["arguments"])
    try:
        weights = load_file(entry.file)
    except SafetensorError as error:
        raise ValueError(f"{entry.file} is no file of safetensors: {error}") from error
    network.load_state_dict({key: value.float() for key, value in weights.items()})
    return Checkpoint(name=name, model=network.eval(), card=card, file=entry.file)


def _card(entry: Entry) -> dict[str, Any]:
    """Return the card that lies beside a file of weights."""
    path = entry.file.with_suffix(".json")
    if not path.is_file():
        raise FileNotFoundError(
            f"the card of {entry.name!r} is missing: {path}; installing dlip again restores it"
        )
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return card
