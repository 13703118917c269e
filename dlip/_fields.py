"""Receptive fields, followed through all operations that a model executes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Pair = tuple[int, int]


@dataclass(frozen=True)
class Field:
    """Which pixels a value depends on; by default, those of the input: each on itself.

    The value at row p depends on the rows from p·stride − padding on, `size` of them. Each
    attribute holds the number for the rows and the one for the columns. `adaptive` says that
    these numbers depend on the size of the input: there was a pooling to a given size.
    """

    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    adaptive: bool = False

    def windowed(
        self,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
    ) -> "Field":
        """Return the field after an operation on windows: a convolution or a pooling."""
        k, s, p, d = _pair(kernel), _pair(stride or kernel), _pair(padding), _pair(dilation)
        r, j, start = self.size, self.stride, self.padding
        return Field(
            size=(r[0] + (k[0] - 1) * d[0] * j[0], r[1] + (k[1] - 1) * d[1] * j[1]),
            stride=(j[0] * s[0], j[1] * s[1]),
            padding=(start[0] + p[0] * j[0], start[1] + p[1] * j[1]),
            adaptive=self.adaptive,
        )

    def joined(self, other: "Field") -> "Field":
        """Return the smallest field that holds both, as where branches come together."""
        if self.stride != other.stride:
            raise ValueError(
                "there is no receptive field of one size: maps come together of which one moves "
                f"by {self.stride} pixels and the other by {other.stride}"
            )
        first = [max(p, q) for p, q in zip(self.padding, other.padding, strict=True)]
        last = [
            max(r - p, t - q)
            for r, p, t, q in zip(self.size, self.padding, other.size, other.padding, strict=True)
        ]
        return Field(
            size=(first[0] + last[0], first[1] + last[1]),
            stride=self.stride,
            padding=(first[0], first[1]),
            adaptive=self.adaptive or other.adaptive,
        )


class FollowFields(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is active, note the field of the result of every operation of PyTorch.

    Begin by noting the input. `clock` counts the operations that followed from it.
    """

    def __init__(self) -> None:
        """Start without any tensor."""
        super().__init__()  # type: ignore[no-untyped-call]
        # The tensors are kept, or a new one could get the identity of one that is gone.
        self.noted: dict[int, tuple[Tensor, Field | str]] = {}
        self.clock = 0
        self.made: dict[int, int] = {}  # when each tensor was made first
        self.used: dict[int, int] = {}  # when it was used last

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say no, or PyTorch's first operation here imports its compiler, for two seconds."""
        return False

    def note(self, tensor: Tensor, field: Field | str) -> None:
        """Remember a tensor's field, or why it has none."""
        self.noted[id(tensor)] = (tensor, field)
        self.made.setdefault(id(tensor), self.clock)

    def of(self, tensor: object) -> Field | None:
        """Return a tensor's field, or None if it does not depend on the input.

        Raises
        ------
        ValueError
            If it depends on the input, but not by one field for all its values.
        """
        _, field = self.noted.get(id(tensor), (None, None))
        if isinstance(field, str):
            raise ValueError(field)
        return field

    def is_bottleneck(self, tensor: Tensor, time: int) -> bool:
        """Say whether all that was computed until `time` was used later only through `tensor`."""
        return all(
            self.used.get(other, 0) <= time
            for other, made in self.made.items()
            if made <= time and other != id(tensor)
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Execute one operation and note the field of its result."""
        result = func(*args, **(kwargs or {}))
        arguments = [t for a in args for t in (a if isinstance(a, (list, tuple)) else [a])]
        inputs = [t for t in arguments if id(t) in self.noted]
        if not inputs:
            return result
        self.clock += 1
        self.used.update({id(tensor): self.clock for tensor in inputs})
        field: Field | str
        try:
            field = _after(func, args, [f for t in inputs if (f := self.of(t)) is not None])
        except ValueError as error:  # matters only if the layer asked for depends on it
            field = str(error)
        for tensor in result if isinstance(result, (list, tuple)) else [result]:
            if isinstance(tensor, Tensor):
                self.note(tensor, field)
        return result


# Operations value by value that PyTorch does not mark as such.
_POINTWISE = {"alias", "_prelu_kernel", "detach", "hardswish", "hardswish_", "_to_copy"}


def _after(func: Any, args: Any, fields: list[Field]) -> Field:
    """Return the field of the result of `func`, one of PyTorch's basic operations (ATen)."""
    name = func.__name__.split(".")[0]
    field = fields[0]
    match name:
        case "convolution":
            _, weight, _, stride, padding, dilation, transposed, *_ = args
            if not transposed:
                return field.windowed(weight.shape[2:], stride, padding, dilation)
        case "max_pool2d_with_indices":
            return field.windowed(*args[1:5])  # kernel, stride, padding, dilation
        case "avg_pool2d":
            return field.windowed(*args[1:4])  # kernel, stride, padding
        case "_adaptive_avg_pool2d" | "adaptive_max_pool2d":
            (height, width), (rows, columns) = args[0].shape[2:], _pair(args[1])
            if height % rows == 0 and width % columns == 0:
                return replace(field.windowed((height // rows, width // columns)), adaptive=True)
        case "mean" | "amax":
            shape = args[0].shape
            if len(shape) == 4 and len(args) > 1 and sorted(d % 4 for d in args[1]) == [2, 3]:
                return replace(field.windowed(shape[2:]), adaptive=True)
        case "as_strided_" if list(args[1][2:]) == [1, 1]:
            return field  # global pooling arranges its result so in memory
        case "constant_pad_nd" | "reflection_pad2d" | "replication_pad2d" if len(args[1]) == 4:
            left, _, top, _ = args[1]
            return field.windowed((1, 1), (1, 1), (top, left))
        case "cat":
            if args[1:] == (1,):
                return reduce(Field.joined, fields)
        case _:
            # Batch normalisation that is training needs the mean of the whole map.
            normalises = "batch_norm" in name and not any(a is True for a in args)
            if torch.Tag.pointwise in func.tags or normalises or name in _POINTWISE:
                return reduce(Field.joined, fields)
    raise ValueError(
        f"there is no receptive field of one size: the operation {name!r} on the way is not local, "
        "or not the same everywhere, or not known here"
    )


def _pair(values: Sequence[int]) -> Pair:
    """Return two numbers, where PyTorch gives one for both directions."""
    return (values[0], values[-1])
