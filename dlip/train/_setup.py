"""What surrounds a training: device and processes, random numbers, optimizer, modes."""

import math
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, broadcast, parse_flag_from_env
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

import dlip.env
from dlip._check import describe, known
from dlip.train.history import History

OptimizerLike = Optimizer | Callable[..., Optimizer]
ScheduleLike = LRScheduler | Callable[[Optimizer], LRScheduler]


def join_processes() -> PartialState:
    """Return which process of how many this is, and the device it computes on.

    Raises
    ------
    RuntimeError
        If there are several processes, but they do not know of each other.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    # Without GPU, and without being told so, Accelerate lets each process train on its own.
    alone = processes == 1 or torch.cuda.is_available()
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not alone)
    if state.num_processes != processes:
        raise RuntimeError(
            f"there are {processes} processes, but Accelerate was started as "
            f"{state.num_processes}: call dlip.train before anything else uses Accelerate"
        )
    return state


def make_accelerator(mixed_precision: str | None) -> Accelerator:
    """Return what prepares the model for the processes and the precision.

    Raises
    ------
    ValueError
        If the precision is not known, or does not work on this device.
    """
    if mixed_precision is not None:
        known(mixed_precision, ["bf16", "fp16"], "mixed precision")
    state = join_processes()
    if mixed_precision == "fp16" and state.device.type == "cpu":
        raise ValueError('mixed_precision="fp16" needs a GPU; on a processor use "bf16"')
    AcceleratorState._reset_state()  # or the precision of the program's first use would stay
    accelerator = Accelerator(mixed_precision=mixed_precision or "no")
    if accelerator.distributed_type not in (
        DistributedType.NO,
        DistributedType.MULTI_CPU,
        DistributedType.MULTI_GPU,
    ):
        raise ValueError(f"fit does not work with Accelerate's {accelerator.distributed_type}")
    return accelerator


@contextmanager
def prepared(accelerator: Accelerator, model: nn.Module) -> Iterator[nn.Module]:
    """Make of the model one that works with other processes and in mixed precision.

    It has the same parameters. What Accelerate adds to the model is taken away afterwards.
    """
    before = dict(vars(model))
    try:
        yield accelerator.prepare_model(model)
    finally:
        for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
            vars(model).pop(name, None)
            if name in before:
                vars(model)[name] = before[name]


@contextmanager
def on_device(device: torch.device, *parts: object) -> Iterator[None]:
    """Move what is a module to a device; afterwards back to where it was."""
    modules = [part for part in parts if isinstance(part, nn.Module)]
    tensors = [next(chain(m.parameters(), m.buffers()), torch.empty(0)) for m in modules]
    homes = [tensor.device for tensor in tensors]
    for module in modules:
        module.to(device)
    try:
        yield
    finally:
        for module, home in zip(modules, homes, strict=True):
            module.to(home)


def move_state(optimizer: Optimizer) -> None:
    """Let the optimizer's memory follow its parameters to the device that they are on."""
    optimizer.load_state_dict(optimizer.state_dict())


@contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave the random numbers of the program as they were, whatever is drawn meanwhile."""
    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)


def seed_epoch(seed: int, epoch: int) -> None:
    """Begin an epoch with random numbers that depend on seed, epoch and process alone.

    So an epoch has the same ones whether or not the training was interrupted before it.
    """
    numbers = [seed, epoch, PartialState().process_index]
    dlip.env.seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))


def set_training_mode(model: nn.Module) -> None:
    """Put a model into training mode, except for its frozen parts.

    A part with parameters of which none is trainable stays in evaluation mode: it is used as
    it is, so its batch normalization must not change its statistics either, and its dropout
    must not disturb what the rest learns from.
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def share_buffers(model: nn.Module) -> None:
    """Give all processes the first one's buffers: the statistics of batch normalization."""
    if PartialState().num_processes > 1:
        broadcast(list(model.buffers()))


def check_weights(model: nn.Module) -> None:
    """Raise a FloatingPointError if a trainable parameter is NaN or infinite."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not parameter.isfinite().all():
            raise FloatingPointError(f"the parameter {name} has become NaN or infinite")


def make_scaler(accelerator: Accelerator) -> GradScaler:
    """Return what scales the loss, lest small gradients vanish in fp16; else it does nothing."""
    return accelerator.scaler or GradScaler(enabled=False)


def check_rate(lr: float, what: str) -> float:
    """Return a learning rate that is a finite number greater than 0."""
    if isinstance(lr, bool) or not isinstance(lr, (int, float)):
        raise TypeError(f"expected {what} to be a number, got {describe(lr)}")
    if not (math.isfinite(lr) and lr > 0):
        raise ValueError(f"expected {what} to be a finite number greater than 0, got {lr}")
    return lr


def make_optimizer(model: nn.Module, optimizer: OptimizerLike, lr: float | None) -> Optimizer:
    """Return the optimizer of the model's trainable parameters.

    Raises
    ------
    TypeError
        If `optimizer` is none and makes none.
    ValueError
        If there is no trainable parameter, the optimizer belongs to another model, or the
        learning rate is no finite number greater than 0 or is given twice.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError(
            f"a {type(model).__name__} without trainable parameters cannot be trained: "
            "it has none, or requires_grad is False for all"
        )
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            raise ValueError("give the learning rate to the optimizer, or to fit, not to both")
        own = {id(parameter) for parameter in model.parameters()}
        if not all(id(p) in own for group in optimizer.param_groups for p in group["params"]):
            raise ValueError(
                "the optimizer has parameters that are not the model's: was the model made anew "
                "after the optimizer?"
            )
        return optimizer
    lr = 0.001 if lr is None else check_rate(lr, "lr")
    made = optimizer(trainable, lr=lr) if callable(optimizer) else optimizer
    if not isinstance(made, Optimizer):
        raise TypeError(
            "expected an optimizer, or a class or function that makes one from parameters and "
            f"lr, got {describe(made)}"
        )
    return made


def make_schedule(schedule: ScheduleLike | None, optimizer: Optimizer) -> LRScheduler | None:
    """Return the scheduler of this optimizer.

    Raises
    ------
    TypeError
        If `schedule` is none and makes none.
    ValueError
        If it belongs to another optimizer.
    """
    made = schedule(optimizer) if callable(schedule) else schedule
    if made is None:
        return None
    if not isinstance(made, LRScheduler):
        raise TypeError(
            "expected schedule to be a function that makes a scheduler from an optimizer, such "
            f"as lambda optimizer: StepLR(optimizer, 5), got {describe(made)}"
        )
    if made.optimizer is not optimizer:
        raise ValueError("the schedule belongs to another optimizer: give that one to fit, too")
    return made


def step_after_epoch(schedule: LRScheduler | None, history: History) -> None:
    """Let the schedule set the learning rate of the next epoch."""
    if isinstance(schedule, ReduceLROnPlateau):  # the only one that looks at the result
        schedule.step((history.val_loss or history.loss)[-1])
    elif schedule is not None:
        schedule.step()
