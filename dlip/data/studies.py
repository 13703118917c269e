"""Recorded trainings: what chapters draw that took too long to compute on the page."""

import json
from pathlib import Path
from typing import Any

from dlip._check import known

__all__ = ["study"]

FOLDER = Path(__file__).parent / "studies"


def study(name: str) -> dict[str, Any]:
    """Return the record of a study: how it was made, and a row for each training.

    Parameters
    ----------
    name
        `"digits_training"`: trainings with the digits, made by `recipes/train_study.py`;
        `"digits_gap"`: networks with and without global average pooling, and with a shortcut,
        made by `recipes/cam_study.py`;
        `"transfer"`: few pictures of clothes, learnt from scratch, with frozen features, or by
        fine-tuning, made by `recipes/transfer_study.py`;
        `"fine_tuning"`: ways to fine-tune, made by `recipes/fine_tuning_study.py`;
        `"background"`: networks that look at the object or at the background, made by
        `recipes/background_study.py`.

    Returns
    -------
    dict
        `"card"` says which command made it, when, on which machine, with which versions, in
        how many minutes, and the SHA-256 of the code that ran. `"runs"` is a list with a
        dictionary for each training: its settings, then what was measured.

    Raises
    ------
    ValueError
        If there is no such study.

    Examples
    --------
    >>> import dlip
    >>> record = dlip.data.study("digits_training")
    >>> record["card"]["command"]
    'python recipes/train_study.py'
    """
    known(name, sorted(file.stem for file in FOLDER.glob("*.json")), "study")
    record: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return record
