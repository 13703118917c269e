"""Data in the forms a student has them, as batches; with several processes, shares of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Generator, Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    Sampler,
)

from dlip._check import describe, integer

Data = tuple[Tensor, Tensor] | Dataset[Any] | DataLoader[Any]
"""Images and targets; a data set of such pairs; or a loader of batches of them."""


class TensorBatches:
    """Batches of tensors that are in memory: much quicker than picture by picture.

    With a generator the pictures come in another order every time.
    """

    def __init__(
        self, images: Tensor, targets: Tensor, batch_size: int, generator: Generator | None
    ) -> None:
        self.images, self.targets = images, targets
        self.batch_size, self.generator = batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, float]]:
        state, count = PartialState(), len(self.images)
        if self.generator is None:
            order = torch.arange(count)
        else:
            order = torch.randperm(count, generator=self.generator)
        for batch in torch.split(order, self.batch_size):
            if state.num_processes == 1:
                yield self.images[batch], self.targets[batch], 1.0
                continue
            own = batch[state.process_index :: state.num_processes]
            if len(own):
                images, targets = self.images[own], self.targets[own]
            yield images, targets, len(own) / len(batch)


class LoaderBatches:
    """The batches of a `DataLoader`."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, float]]:
        state = PartialState()
        if state.num_processes == 1:
            for batch in self.loader:
                yield *_pair(batch), 1.0
            return
        # Each process takes its share of every batch of the main process's plan. A loader draws
        # one number before it makes the batches; so it is done here, too.
        torch.empty((), dtype=torch.int64).random_(generator=self.loader.generator)
        (plan,) = broadcast_object_list([list(self.loader.batch_sampler or [])])
        shares = [batch[state.process_index :: state.num_processes] for batch in plan]
        own = iter(_loader_like(self.loader, [share for share in shares if share]))
        for batch, share in zip(plan, shares, strict=True):
            if share:
                images, targets = _pair(next(own))
            yield images, targets, len(share) / len(batch)


Batches = TensorBatches | LoaderBatches
"""What yields (images, targets, share) for each batch of an epoch.

Of a batch, each of n processes has about 1/n, its share; a single one has all, 1. Where the
last batch has fewer pictures than there are processes, some have the share 0. They are given
their previous pictures again, to go along with the others, and must not count them.
"""


def as_batches(
    data: Data, what: str, batch_size: int, generator: Generator | None = None
) -> Batches:
    """Return the batches of `data`, shuffled if there is a generator.

    A loader has its own order and batch size.

    Raises
    ------
    TypeError
        If `data` is nothing of `Data`, or the images are no floating-point values.
    ValueError
        If `data` is empty, images and targets differ in number, or there are too few
        pictures for the processes.
    """
    integer(batch_size, "batch_size", least=1)
    if isinstance(data, (tuple, list)):
        images, targets = _pair(data, what)
        _check_enough(len(images), batch_size, what)
        return TensorBatches(images, targets, batch_size, generator)
    if isinstance(data, DataLoader):
        _check_loader(data, what)
        return LoaderBatches(data)
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset):
        raise TypeError(
            f"expected {what} data as tensors (images, targets), a Dataset or a DataLoader, "
            f"got {describe(data)}"
        )
    count = len(data)  # type: ignore[arg-type]
    _check_enough(count, batch_size, what)
    sampler = None if generator is None else Shuffled(count, generator)
    return LoaderBatches(DataLoader(data, batch_size, sampler=sampler))


class Shuffled(Sampler[int]):
    """The order that `TensorBatches` has; PyTorch's RandomSampler draws more than it needs."""

    def __init__(self, count: int, generator: Generator) -> None:
        self.count, self.generator = count, generator

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count, generator=self.generator).tolist())


def count_of(batches: Batches) -> int | None:
    """Return the number of pictures, None if that is not known."""
    if isinstance(batches, TensorBatches):
        return len(batches.images)
    try:
        return len(batches.loader.dataset)  # type: ignore[arg-type]
    except TypeError:
        return None


def length_of(batches: Batches) -> int | None:
    """Return the number of batches, None if that is not known."""
    try:
        return len(batches)
    except TypeError:
        return None


def generators_of(batches: Batches) -> list[Generator]:
    """Return what draws the order of the pictures, apart from PyTorch's own generator."""
    if isinstance(batches, TensorBatches):
        found: list[Any] = [batches.generator]
    else:
        loader = batches.loader
        inner = getattr(loader.batch_sampler, "sampler", None)
        found = [getattr(part, "generator", None) for part in (loader, loader.sampler, inner)]
    return list({id(g): g for g in found if isinstance(g, Generator)}.values())


def check_repeatable(batches: Batches) -> None:
    """Raise a ValueError if an epoch cannot be repeated exactly after an interruption."""
    if isinstance(batches, LoaderBatches) and batches.loader.persistent_workers:
        raise ValueError(
            "the random numbers of a DataLoader's persistent workers cannot be restored from a "
            "checkpoint: use persistent_workers=False"
        )


def _pair(batch: Any, what: str = "a batch of") -> tuple[Tensor, Tensor]:
    """Return the two tensors of a batch, after a check."""
    if not (
        isinstance(batch, (tuple, list))
        and len(batch) == 2
        and isinstance(batch[0], Tensor)
        and isinstance(batch[1], Tensor)
    ):
        got = [type(part).__name__ for part in batch] if isinstance(batch, Sequence) else batch
        raise TypeError(f"expected {what} data as two tensors (images, targets), got {got}")
    images, targets = batch
    if not images.is_floating_point():
        raise TypeError(
            f"expected images of floating-point values, got {images.dtype}; "
            "for 8-bit values use images.float() / 255"
        )
    if images.ndim == 0 or targets.ndim == 0 or len(images) != len(targets):
        raise ValueError(
            "expected as many targets as images, got images of shape "
            f"{tuple(images.shape)} and targets of shape {tuple(targets.shape)}"
        )
    return images, targets


def _check_enough(count: int, batch_size: int, what: str) -> None:
    processes = PartialState().num_processes
    if count == 0:
        raise ValueError(f"expected {what} data, got none: it is empty")
    if min(count, batch_size) < processes:
        raise ValueError(
            f"expected at least one picture of each batch for each of {processes} processes, got "
            f"{count} pictures of {what} data in batches of {batch_size}"
        )


def _check_loader(loader: DataLoader[Any], what: str) -> None:
    streamed = isinstance(loader.dataset, IterableDataset)
    if PartialState().num_processes > 1:
        if streamed or loader.batch_sampler is None:
            raise ValueError(
                f"several processes can share {what} data only if it can be indexed and the "
                "loader makes the batches: give a Dataset, or a DataLoader of one with batch_size"
            )
        if isinstance(loader.sampler, DistributedSampler):
            raise ValueError(
                f"the DataLoader of {what} data has a DistributedSampler, but the processes "
                "share the batches by themselves: leave it out"
            )
    if not streamed and loader.batch_sampler is not None:
        _check_enough(len(loader.dataset), loader.batch_size or 1, what)  # type: ignore[arg-type]


def _loader_like(loader: DataLoader[Any], batches: Iterable[list[int]]) -> DataLoader[Any]:
    """Return a loader that works like `loader`, but makes these batches."""
    return DataLoader(
        loader.dataset,
        batch_sampler=batches,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
    )
