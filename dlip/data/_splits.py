"""Reading a shipped data set of small gray pictures; digits and fashion share it."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlip._check import known
from dlip.data.manifest import manifest, verify


def load_split(dataset: str, split: str, splits: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Return one split as images (N, 1, 28, 28), float32, 0…1, and labels (N,), int64."""
    known(split, splits, f"split of {dataset}")
    arrays = _arrays(dataset)
    images = torch.from_numpy(arrays[f"{split}_images"]).float() / 255
    return images.unsqueeze(1), torch.from_numpy(arrays[f"{split}_labels"]).long()


@cache
def _arrays(dataset: str) -> dict[str, NDArray[np.uint8]]:
    """Check a shipped file's hash and read it; only once, the arrays are kept."""
    entry = next(e for e in manifest() if e.kind == "dataset" and e.name == dataset)
    verify(entry)
    with np.load(entry.file, allow_pickle=False) as file:
        return dict(file)
