"""All that takes part in a training."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlip.train._batches import Batches
from dlip.train._loss import Loss
from dlip.train.early_stopping import EarlyStopping
from dlip.train.history import History


@dataclass
class Training:
    """What `fit` was given, made ready for use; and what has become of it so far."""

    model: nn.Module
    batches: Batches
    val_batches: Batches | None
    loss: Loss
    augment: Callable[[Tensor], Tensor] | None
    optimizer: Optimizer
    scaler: GradScaler
    schedule: LRScheduler | None
    schedule_every: Literal["epoch", "step"]
    early_stopping: EarlyStopping | None
    checkpoint: Path | None
    precision: str
    seed: int
    epochs: int

    settings: dict[str, str] = field(default_factory=dict)  # of which a checkpoint tells
    history: History = field(default_factory=History)
    best: tuple[int, dict[str, Any]] | None = None  # the best epoch and its weights
