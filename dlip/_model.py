"""Running somebody else's model without leaving a trace in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from dlip._check import describe


def check_model(model: nn.Module) -> None:
    """Raise a TypeError if `model` is no module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected the model as a torch.nn.Module, got {describe(model)}")


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode; afterwards make it what it was, whatever happened.

    Restored are the mode of every submodule by itself, the values of the buffers, and of
    every parameter `requires_grad` and `.grad`. Hooks are removed by who registers them:
    `with layer.register_forward_hook(hook): …`.

    Raises
    ------
    TypeError
        If `model` is no module.
    """
    check_model(model)
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
        for buffer, value in buffers:
            # A module may stay in training mode on purpose, and then change its statistics.
            if not torch.equal(buffer, value):
                with torch.no_grad():
                    buffer.copy_(value)
        for parameter, requires_grad, gradient in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = gradient


def is_compiled(model: nn.Module) -> bool:
    """Say whether a part of it is compiled: that takes no hooks, or is compiled anew for each."""
    return any(
        isinstance(m, torch.jit.ScriptModule)
        or hasattr(m, "_orig_mod")  # torch.compile(m)
        or getattr(m, "_compiled_call_impl", None) is not None  # m.compile()
        for m in model.modules()
    )


def layer_named(model: nn.Module, name: str) -> nn.Module:
    """Return the submodule that has this name in `model.named_modules()`.

    Raises
    ------
    TypeError
        If `name` is no string.
    ValueError
        If there is no such layer; the message suggests names.
    """
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a layer as a string, got {describe(name)}")
    layers: dict[str, nn.Module] = dict(model.named_modules())
    del layers[""]  # the model itself
    if name in layers:
        return layers[name]
    # Names are similar if they are misspelt, or if their last part is the same.
    last = name.rpartition(".")[2]
    near = get_close_matches(name, layers, n=3) + [n for n in layers if n.endswith(f".{last}")][:3]
    top = [n for n in layers if "." not in n]
    raise ValueError(
        f"the model has no layer {name!r}."
        + (f" Did you mean {' or '.join(map(repr, dict.fromkeys(near)))}?" if near else "")
        + f" Its outermost layers: {', '.join(top)}; all {len(layers)} names: "
        "[name for name, _ in model.named_modules()]"
    )


def input_batch(model: nn.Module, image: Tensor) -> Tensor:
    """Return one preprocessed image as a batch of one, as it suits the model.

    It has the device and the dtype of the model's parameters, and `channels_last`.

    Raises
    ------
    TypeError
        If `image` is no tensor of floating-point values.
    ValueError
        If its shape is not (C, H, W), or a value is NaN or infinite.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"expected the image as a torch.Tensor, got {type(image).__name__}")
    if not image.is_floating_point():
        raise TypeError(
            f"expected the model's preprocessed input, floating-point values, got {image.dtype}"
        )
    if image.ndim == 4:
        raise ValueError(
            f"expected one image of shape (C, H, W), got a batch of shape {tuple(image.shape)}; "
            "take one of it: batch[0]"
        )
    if image.ndim != 3 or image.numel() == 0:
        raise ValueError(f"expected an image of shape (C, H, W), got {tuple(image.shape)}")
    if not torch.isfinite(image).all():
        raise ValueError("expected finite values, got an image with NaN or infinity")
    batch = image.detach()[None]
    like = next(model.parameters(), batch)
    return channels_last(batch.to(device=like.device, dtype=like.dtype))


def channels_last(batch: Tensor) -> Tensor:
    """Lay out a batch pixel by pixel instead of channel by channel.

    The values stay the same, and the model need not change. Convolutions keep the layout of
    their input, and on a processor they are faster in this one.
    """
    return batch.contiguous(memory_format=torch.channels_last)


def run(model: nn.Module, batch: Tensor) -> Tensor:
    """Return what the model makes of a batch; where it cannot take it, say so.

    Raises
    ------
    ValueError
        If the model fails on a batch of this shape.
    """
    try:
        result: Tensor = model(batch)
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(
            f"the model cannot take an image of shape {tuple(batch.shape[1:])}: {error}"
        ) from error
    return result


def check_maps(output: object, layer: str) -> None:
    """Raise a ValueError if the output of the layer of this name is no batch of feature maps."""
    if not isinstance(output, Tensor) or output.ndim != 4:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"expected a layer that makes feature maps of shape (N, K, h, w), but {layer!r} "
            f"returns {got}"
        )
