"""The training loop."""

import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Generator, Tensor, nn

from dlip._check import describe, integer, known
from dlip._model import check_model, run
from dlip.train._batches import Data, as_batches
from dlip.train._checkpoint import begin, save
from dlip.train._loss import Loss, compare
from dlip.train._meter import Meter, Progress
from dlip.train._setup import (
    OptimizerLike,
    ScheduleLike,
    check_weights,
    make_accelerator,
    make_optimizer,
    make_scaler,
    make_schedule,
    move_state,
    on_device,
    own_random_numbers,
    prepared,
    seed_epoch,
    set_training_mode,
    share_buffers,
    step_after_epoch,
)
from dlip.train._training import Training
from dlip.train.early_stopping import EarlyStopping
from dlip.train.evaluate import measure
from dlip.train.history import History

__all__ = ["fit"]


def fit(
    model: nn.Module,
    train: Data,
    val: Data | None = None,
    *,
    epochs: int,
    batch_size: int = 64,
    optimizer: OptimizerLike = torch.optim.Adam,
    lr: float | None = None,
    loss: Loss = F.cross_entropy,
    schedule: ScheduleLike | None = None,
    schedule_every: Literal["epoch", "step"] = "epoch",
    augment: Callable[[Tensor], Tensor] | None = None,
    early_stopping: EarlyStopping | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    seed: int = 0,
    mixed_precision: Literal["bf16", "fp16"] | None = None,
    progress: bool = True,
) -> History:
    """Train a model: show it all pictures again and again, and improve it after each batch.

    The same call runs on a processor, on a GPU, and on several processes or machines. The
    weights of `model` change; afterwards it is in evaluation mode, ready to predict, and on
    the device where it was before. The environment variable `ACCELERATE_USE_CPU=1` keeps it off
    the GPU.

    *Frozen parts* stay as they are: parameters with `requires_grad=False` are not trained,
    and a part of the model of which no parameter is trainable runs in evaluation mode, so
    that its batch normalization keeps its statistics, and its dropout is off.

    *Random numbers*: the order of the pictures is `torch.randperm(N, generator=g)` once an
    epoch, where `g = torch.Generator().manual_seed(seed)`; a `DataLoader` draws its own. At the
    beginning of each epoch the random numbers of Python, NumPy and PyTorch are seeded, from
    the seed, the epoch and the process. Afterwards they are what they were before `fit`.

    *Several processes*: run the program by `torchrun --nproc-per-node 2 program.py`. Each
    process takes its share of every batch, so `batch_size` pictures are one step, however
    many processes there are, and the result is the same up to rounding. What differs is
    random (dropout, augmentation), and batch normalization: in training each process
    normalizes by its own share, and the running statistics are those of the first process.

    *A checkpoint* is written after every epoch. The same call, made again after a crash,
    goes on after the last finished epoch and gives the very result that it would have given
    without the crash. `epochs` may be larger then; other settings must be the same. The file
    is for `torch.load(checkpoint, weights_only=True)`, a dictionary in which `"model"` holds
    the weights.

    *Ctrl-C*, or a notebook's stop button, ends the training; the model keeps what it has
    learnt. With several processes it ends the program.

    Parameters
    ----------
    model
        Takes images (N, …). For classes it returns scores (N, classes); or, if each picture
        has many targets (N, H, W), scores (N, classes, H, W).
    train, val
        Data to train with, and to look at after each epoch: two tensors (images, targets), a
        `Dataset` of such pairs, or a `DataLoader`. Tensors are the fastest. Images are
        floating-point values; targets are classes 0, 1, … (int64), or what `loss` takes.
    epochs
        How many times each picture is shown.
    batch_size
        Pictures in a step, all processes together. A `DataLoader` has its own.
    optimizer
        A class such as `torch.optim.SGD`, or a function, called with the trainable parameters
        and `lr=`: `functools.partial(torch.optim.SGD, momentum=0.9)`. Or an optimizer, which
        may have parameter groups with learning rates of their own.
    lr
        The learning rate, by default 0.001; of an optimizer, its own.
    loss
        A function of scores and targets that returns the mean over the batch.
    schedule
        Makes a scheduler of `torch.optim.lr_scheduler` from the optimizer:
        `lambda optimizer: StepLR(optimizer, step_size=5)`. Or a scheduler of the optimizer
        that is given.
    schedule_every
        When it moves on: after each `"epoch"` or each `"step"`.
    augment
        Changes a batch of training images (N, …), on the model's device, before the model
        sees them.
    early_stopping
        When to stop; then the model has the weights of the best epoch in the end.
    checkpoint
        A file to write after each epoch.
    resume
        True: go on from the checkpoint, if there is one. False: train anew, overwrite it.
    seed
        Another seed, another order and other random numbers. The model's weights are there
        already: `dlip.env.seed` before making the model fixes those.
    mixed_precision
        `"bf16"` or, on a GPU, `"fp16"`: compute with 16 bits where it does little harm.
    progress
        Show a progress bar on standard error, and messages. The environment variable
        `TQDM_DISABLE=1` hides the bar.

    Returns
    -------
    History

    Raises
    ------
    TypeError
        If an argument has the wrong type, images are no floating-point values, or targets
        are no integers with the default loss.
    ValueError
        If data are empty, the model cannot take the images, targets do not fit the scores,
        nothing is trainable, the checkpoint is damaged or has other settings, ….
    FloatingPointError
        If the loss or a weight becomes NaN or infinite. The checkpoint of the last good
        epoch stays.

    Examples
    --------
    >>> import dlip
    >>> _ = dlip.env.seed(0)
    >>> images, labels = dlip.data.digits("train")
    >>> model = dlip.models.DigitCNN()
    >>> history = dlip.train.fit(
    ...     model, (images[:500], labels[:500]), dlip.data.digits("val"), epochs=2, progress=False
    ... )
    >>> history.epochs, history.loss[1] < history.loss[0]
    (2, True)
    """
    _check(model, val, epochs, loss, schedule_every, augment, early_stopping, seed)
    accelerator = make_accelerator(mixed_precision)
    device = accelerator.device
    with on_device(device, model, loss), own_random_numbers(device):
        optimizer = make_optimizer(model, optimizer, lr)
        training = Training(
            model=model,
            batches=as_batches(train, "training", batch_size, Generator().manual_seed(seed)),
            val_batches=None if val is None else as_batches(val, "validation", batch_size),
            loss=loss,
            augment=augment,
            optimizer=optimizer,
            scaler=make_scaler(accelerator),
            schedule=make_schedule(schedule, optimizer),
            schedule_every=schedule_every,
            early_stopping=early_stopping,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            precision=accelerator.mixed_precision,
            seed=seed,
            epochs=epochs,
        )
        begin(training, resume, progress)
        with prepared(accelerator, model) as net, Progress(training, progress) as bar:
            _train(training, net, bar)
    move_state(optimizer)  # back to where the model is
    model.eval()
    if training.history.interrupted and progress:
        print(f"Interrupted in epoch {training.history.epochs + 1}: {_what_is_kept(training)}.")
    return training.history


def _train(training: Training, net: nn.Module, bar: Progress) -> None:
    """Train epoch after epoch. After each one, try the validation data and save."""
    history, stopping = training.history, training.early_stopping
    try:
        for epoch in range(history.epochs + 1, training.epochs + 1):
            if stopping is not None and stopping.stops(history):
                history.stopped_early = True
                break
            seed_epoch(training.seed, epoch)
            meter = _train_epoch(training, net, bar)
            result = None
            if training.val_batches is not None:
                result = measure(training.model, training.val_batches, training.loss)
            _write_down(history, meter, result)
            if stopping is not None and stopping.best_epoch(history) == epoch:
                training.best = epoch, deepcopy(training.model.state_dict())
            if training.schedule_every == "epoch":
                step_after_epoch(training.schedule, history)
            if training.checkpoint is not None:
                save(training)
            bar.show(epoch, meter, result)
    except KeyboardInterrupt:
        if PartialState().num_processes > 1:  # the others are somewhere else
            raise
        history.interrupted = True
    except FloatingPointError as error:
        raise _advice(training, error) from None
    history.kept_epoch = history.epochs
    if training.best is not None:
        history.kept_epoch, weights = training.best
        training.model.load_state_dict(weights)


def _train_epoch(training: Training, net: nn.Module, bar: Progress) -> Meter:
    """Show the model every picture once, and improve it after each batch."""
    optimizer, scaler, schedule = training.optimizer, training.scaler, training.schedule
    device, processes = PartialState().device, PartialState().num_processes
    meter = Meter()
    set_training_mode(training.model)
    for images, targets, share in training.batches:
        images = images.to(device)
        if training.augment is not None:
            images = training.augment(images)
        scores = run(net, images)
        loss, hits = compare(scores, targets, training.loss)

        optimizer.zero_grad()
        # The processes' gradients are averaged: together they are that of the whole batch.
        scaler.scale(loss if processes == 1 else loss * share * processes).backward()
        scaler.step(optimizer)
        scaler.update()

        if share > 0:
            meter.add(loss, hits, len(targets), targets.numel(), optimizer.param_groups[0]["lr"])
        if schedule is not None and training.schedule_every == "step":
            schedule.step()
        bar.step(meter)
    meter.finish()
    share_buffers(training.model)
    check_weights(training.model)
    return meter


def _write_down(history: History, meter: Meter, result: Meter | None) -> None:
    """Add an epoch to the history."""
    history.loss.append(meter.loss)
    history.lr.append(meter.lr)
    if meter.accuracy is not None:
        history.accuracy.append(meter.accuracy)
    if result is not None:
        history.val_loss.append(result.loss)
        if result.accuracy is not None:
            history.val_accuracy.append(result.accuracy)


def _advice(training: Training, error: FloatingPointError) -> FloatingPointError:
    """Return the error with what one can do about it."""
    good = training.history.epochs
    kept = ""
    if training.checkpoint is not None and good:
        kept = f" '{training.checkpoint}' holds the training up to epoch {good}, the last good one."
    return FloatingPointError(
        f"training failed in epoch {good + 1}: {error}. Try a smaller learning rate, and look for "
        f"NaN, infinity and very large values in the images and targets.{kept}"
    )


def _what_is_kept(training: Training) -> str:
    """Say which weights the model has after an interruption."""
    if training.best is None:
        return "the model has the weights of this moment"
    return f"the model has the weights of the best epoch, {training.best[0]}"


def _check(
    model: nn.Module,
    val: Data | None,
    epochs: int,
    loss: Loss,
    schedule_every: str,
    augment: Callable[[Tensor], Tensor] | None,
    early_stopping: EarlyStopping | None,
    seed: int,
) -> None:
    """Check what can be checked before anything is made of the arguments."""
    check_model(model)
    integer(epochs, "epochs", least=1)
    integer(seed, "the seed", least=0)
    known(schedule_every, ["epoch", "step"], "schedule_every")
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(
            "expected loss to be a function of scores and targets, or an instance such as "
            f"torch.nn.CrossEntropyLoss(), got {describe(loss)}"
        )
    if augment is not None and not callable(augment):
        raise TypeError(f"expected augment to be a function of images, got {describe(augment)}")
    if early_stopping is not None:
        if not isinstance(early_stopping, EarlyStopping):
            raise TypeError(
                "expected early_stopping to be a dlip.train.EarlyStopping, got "
                f"{describe(early_stopping)}"
            )
        if val is None:
            raise ValueError("early stopping watches the validation: give val, too")
