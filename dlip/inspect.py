"""Looking into a network: its layers, its filters, its feature maps, its receptive fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn
from torchinfo.enums import Units

from dlip._check import integer, known
from dlip._fields import Field, FollowFields
from dlip._model import check_maps, check_model, input_batch, layer_named, run, undisturbed

__all__ = ["ReceptiveField", "feature_maps", "filters", "receptive_field", "summary"]


def summary(
    model: nn.Module, input_size: Sequence[int], *, depth: int = 3
) -> torchinfo.ModelStatistics:
    """Say for every layer what goes in, what comes out, and what it costs.

    The mult-adds are multiplications that are added up, for one pass of such a batch.

    Parameters
    ----------
    model
        Any model with one input.
    input_size
        Shape of the input: (C, H, W), or (N, C, H, W) with the number of images.
    depth
        How many levels of layers within layers to show. All are counted.

    Returns
    -------
    torchinfo.ModelStatistics
        Shown or printed, it is a table. It has the attributes `total_params`,
        `trainable_params`, `total_mult_adds` and `summary_list`, among others.

    Raises
    ------
    TypeError
        If `model` is no module, or a number no integer.
    ValueError
        If `input_size` has not 3 or 4 sizes from 1 on, or the model cannot take such an input.

    References
    ----------
    T. Yep, "torchinfo", 2020: https://github.com/TylerYep/torchinfo

    Examples
    --------
    >>> import dlip
    >>> dlip.inspect.summary(dlip.models.DigitCNN(), (1, 28, 28)).total_params
    27480
    """
    if len(input_size) not in (3, 4):
        raise ValueError(f"expected a shape (C, H, W) or (N, C, H, W), got {tuple(input_size)}")
    sizes = [integer(size, "each number of input_size", least=1) for size in input_size]
    integer(depth, "depth", least=1)
    with undisturbed(model):
        like = next(model.parameters(), torch.empty(0))
        try:
            table = torchinfo.summary(
                model,
                sizes if len(sizes) == 4 else [1, *sizes],
                dtypes=[like.dtype],
                device=like.device,
                depth=depth,
                col_names=("input_size", "output_size", "num_params", "mult_adds"),
                col_width=18,
                row_settings=("var_names",),
                verbose=0,
            )
        except RuntimeError as error:
            cause = error.__cause__ or error
            raise ValueError(
                f"the model cannot take an input of shape {tuple(input_size)}: {cause}"
            ) from error
    table.formatting.macs_units = Units.NONE  # the total to the last digit, like the rest
    return table


def filters(model: nn.Module, layer: str) -> Tensor:
    """Return the weights of a convolutional layer.

    Parameters
    ----------
    model
        A model with convolutional layers.
    layer
        Name of a `torch.nn.Conv2d` in `model.named_modules()`.

    Returns
    -------
    Tensor
        Shape (out, in, kh, kw): out kernels over so many input channels (divided by the
        number of groups, if the layer has any). A copy, on the layer's device, of its dtype.

    Raises
    ------
    TypeError
        If `model` is no module or `layer` no string.
    ValueError
        If there is no convolutional layer of that name; the message lists those there are.

    Examples
    --------
    >>> import dlip
    >>> dlip.inspect.filters(dlip.models.DigitCNN(), "features.conv2").shape
    torch.Size([20, 10, 3, 3])
    """
    check_model(model)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    if not layers:
        raise ValueError(f"a {type(model).__name__} has no convolutional layer (torch.nn.Conv2d)")
    return layers[known(layer, layers, "convolutional layer")].weight.detach().clone()


def feature_maps(model: nn.Module, image: Tensor, layers: str | Iterable[str]) -> dict[str, Tensor]:
    """Return what layers make of an image.

    Parameters
    ----------
    model
        Any model with one input.
    image
        The model's preprocessed input, shape (C, H, W), floating-point, finite.
    layers
        One or more names from `model.named_modules()`. Of a layer that is used several
        times, the last result counts.

    Returns
    -------
    dict
        For each layer, in the order asked for, its output without the dimension of the batch:
        feature maps of shape (K, h, w), or (K,) for a linear layer. Copies, on the model's
        device.

    Raises
    ------
    TypeError
        If `model` is no module, `image` no floating-point tensor, a name no string, or a
        layer's output no tensor.
    ValueError
        If there is no such layer, the model does not use it, or the image is no single
        finite image that the model can take.

    Examples
    --------
    >>> import dlip
    >>> images, labels = dlip.data.digits("test")
    >>> names = ["features.conv1", "features.pool1"]
    >>> maps = dlip.inspect.feature_maps(dlip.models.DigitCNN(), images[0], names)
    >>> {name: tuple(m.shape) for name, m in maps.items()}
    {'features.conv1': (10, 26, 26), 'features.pool1': (10, 13, 13)}
    """
    check_model(model)
    names = [layers] if isinstance(layers, str) else list(layers)
    found: dict[str, Tensor] = {}
    handles = []
    with undisturbed(model), torch.no_grad():
        batch = input_batch(model, image)
        modules = {name: layer_named(model, name) for name in names}
        for name, module in modules.items():

            def note(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
                if not isinstance(output, Tensor):
                    raise TypeError(
                        f"expected a layer that returns a tensor, but {name!r} returns a "
                        f"{type(output).__name__}"
                    )
                # A copy: the next layer may write over it, such as ReLU(inplace=True).
                found[name] = output[0].clone(memory_format=torch.contiguous_format)

            handles.append(module.register_forward_hook(note))
        try:
            run(model, batch)
        finally:
            for handle in handles:
                handle.remove()
    unused = [name for name in names if name not in found]
    if unused:
        raise ValueError(f"the model does not use its layer {unused[0]!r}")
    return {name: found[name] for name in names}


@dataclass(frozen=True)
class ReceptiveField:
    """Which pixels of the input a value of a feature map depends on.

    The value at row p depends on `size` rows of the input, of which the first is
    p · `stride` − `padding`. Where this is outside the image, it is padding. The same holds
    for columns. Each attribute is a pair: vertically, horizontally.

    Attributes
    ----------
    size : tuple of int
        Height and width of the field in pixels.
    stride : tuple of int
        By how many pixels the field moves from one value of the map to the next.
    padding : tuple of int
        How many pixels the field of the first value reaches beyond the upper and left edge.
    input_size : tuple of int
        The input's height and width.
    output_size : tuple of int
        The feature map's height and width.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    input_size: tuple[int, int]
    output_size: tuple[int, int]

    def window(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return the pixels that the value at (row, column) depends on.

        Returns
        -------
        tuple of int
            (row, column, height, width) in the input, without what lies outside it; as
            `dlip.plot.pixel_table` takes it for its `window`.

        Raises
        ------
        TypeError, ValueError
            If `row` or `column` is no integer, or not in the feature map.
        """
        first, length = [0, 0], [0, 0]
        for axis, (place, name) in enumerate(((row, "row"), (column, "column"))):
            if integer(place, f"the {name}", least=0) >= self.output_size[axis]:
                raise ValueError(
                    f"expected a {name} below {self.output_size[axis]}, the side of the feature "
                    f"map, got {place}"
                )
            start = place * self.stride[axis] - self.padding[axis]
            first[axis] = max(start, 0)
            length[axis] = min(start + self.size[axis], self.input_size[axis]) - first[axis]
        return (first[0], first[1], length[0], length[1])


def receptive_field(
    model: nn.Module, layer: str, input_size: Sequence[int] | None = None
) -> ReceptiveField:
    """Compute which pixels of the input a value of a layer's feature maps depends on.

    A convolution or pooling with kernel k, stride s, dilation d and padding p enlarges the
    size r of the field by (k − 1)·d·j, where j is how far apart in the input the neighbours
    of its own input are; it moves the start by −p·j; then j becomes j·s. Where branches
    come together, as in a residual block, the field is the smallest that holds them all. The
    operations are those that the model executes, up to the layer, on an input of zeros.

    Parameters
    ----------
    model
        A model with one input.
    layer
        Name from `model.named_modules()` of a layer whose output is a feature map.
    input_size
        Shape of the input: (C, H, W). By default H = W = 224, and C as the first
        convolution has it. It matters where the padding depends on the size.

    Returns
    -------
    ReceptiveField

    Raises
    ------
    TypeError
        If `model` is no module, `layer` no string, or a size no integer.
    ValueError
        If there is no such layer, its output is no feature map, the model does not use it
        or cannot take such an input, or an operation on the way is not local, or not the
        same everywhere: global pooling whose result is combined with the map
        (squeeze-and-excitation), enlarging, attention.

    References
    ----------
    A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural
    networks", Distill, 2019, doi:10.23915/distill.00021.

    Examples
    --------
    >>> import dlip
    >>> field = dlip.inspect.receptive_field(dlip.models.DigitCNN(), "features.conv2")
    >>> field.size, field.stride
    ((8, 8), (2, 2))
    """
    check_model(model)
    module = layer_named(model, layer)
    if input_size is None:
        convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
        if not convolutions:
            raise ValueError("expected a model with convolutions, or input_size=(C, H, W)")
        input_size = (convolutions[0].in_channels, 224, 224)
    if len(input_size) != 3:
        raise ValueError(f"expected a shape (C, H, W), got {tuple(input_size)}")
    sizes = [integer(size, "each number of input_size", least=1) for size in input_size]

    results: list[Any] = []

    def stop(module: nn.Module, inputs: Any, output: Any) -> None:
        results.append(output)
        raise _LayerReached

    fields = FollowFields()
    with undisturbed(model), torch.no_grad():
        batch = input_batch(model, torch.zeros(sizes))
        fields.note(batch, Field())
        try:
            with module.register_forward_hook(stop), fields:
                run(model, batch)
        except _LayerReached:
            pass
    if not results:
        raise ValueError(f"the model does not use its layer {layer!r}")
    check_maps(results[0], layer)
    field = fields.of(results[0])
    if field is None:
        raise ValueError(f"the output of layer {layer!r} does not depend on the input")
    height, width = results[0].shape[2:]
    return ReceptiveField(
        size=field.size,
        stride=field.stride,
        padding=field.padding,
        input_size=(sizes[1], sizes[2]),
        output_size=(height, width),
    )


class _LayerReached(Exception):
    """Ends a run at the layer that was asked for; the rest of the model does not matter."""
