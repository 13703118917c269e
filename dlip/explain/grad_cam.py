"""Grad-CAM: class activation maps of any convolutional network, by means of gradients."""

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from dlip._model import check_maps, input_batch, layer_named, undisturbed
from dlip.explain._common import class_scores, enlarge, target_class

__all__ = ["grad_cam"]


def grad_cam(
    model: nn.Module,
    image: Tensor,
    target: int | Tensor | None = None,
    *,
    layer: str | None = None,
    relu: bool = True,
) -> Tensor:
    """Weigh a layer's feature maps by how strongly the score depends on each of them.

    The weight of map Aₖ is the mean, over its places, of the gradient of the class's score
    with respect to Aₖ. The result is Σₖ weightₖ Aₖ without its negative values (ReLU),
    enlarged to the image's size bilinearly. For a network that ends in global average
    pooling and one linear layer this is `cam` divided by the number of places of a map.

    Parameters
    ----------
    model
        A classifier: (N, C, H, W) → scores (N, classes).
    image
        The model's preprocessed input, shape (C, H, W), floating-point, finite.
    target
        The class; None: the one that the model predicts.
    layer
        Name of the layer, one of `model.named_modules()`, that makes the feature maps. By
        default the last one whose output has as many places as that of the last
        convolution: its activation, or the block that it stands in, but not the pooling
        that follows. Earlier layers show finer detail that says less of the class. Of a
        layer that is used several times, the last result counts.
    relu
        False: keep negative values, which speak against the class.

    Returns
    -------
    Tensor
        Shape (H, W), dtype and device of `image`; from 0 on, or signed if not `relu`.

    Raises
    ------
    TypeError
        If `model` is no module, `image` no floating-point tensor, `target` no integer, or
        `layer` no string.
    ValueError
        If the image is no single finite image that the model can take, the model no
        classifier, there is no class `target` or no such layer, its output is no feature
        map, or the score does not depend on it.

    References
    ----------
    R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", ICCV 2017, arXiv:1610.02391.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.DigitCNN()
    >>> images, labels = dlip.data.digits("test")
    >>> dlip.explain.grad_cam(model, images[0], target=3).shape
    torch.Size([28, 28])
    >>> dlip.explain.grad_cam(model, images[0], target=3, layer="features.relu1").shape
    torch.Size([28, 28])
    """
    with undisturbed(model), torch.inference_mode(False):
        batch = input_batch(model, image).clone()
        if layer is None:
            layer = _last_feature_layer(model, batch)
        module = layer_named(model, layer)

        def begin(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            check_maps(output, layer)
            return output.detach()  # gradients are wanted from here on only

        def score(batch: Tensor) -> Tensor:
            scores = class_scores(model, batch)
            return scores[:, target_class(scores, target)]

        with module.register_forward_hook(begin):
            try:
                maps = LayerGradCam(score, module).attribute(batch, relu_attributions=relu)
            except (AssertionError, RuntimeError) as error:  # the layer not used, its maps not used
                raise ValueError(
                    f"expected a layer that the score depends on, got {layer!r}: {error}"
                ) from error
        return enlarge(maps[0, 0].detach(), image)


def _last_feature_layer(model: nn.Module, batch: Tensor) -> str:
    """Return the name of the last layer with as many places as the last convolution's output.

    That is how far the features go: what follows pools, flattens and decides.
    """
    outputs: list[tuple[str, bool, torch.Size]] = []
    handles = []
    for name, module in model.named_modules():

        def note(
            module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, name: str = name
        ) -> None:
            if name and isinstance(output, Tensor) and output.ndim == 4:
                outputs.append((name, isinstance(module, nn.Conv2d), output.shape[2:]))

        handles.append(module.register_forward_hook(note))
    try:
        with torch.no_grad():
            class_scores(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    sizes = [size for _, is_convolution, size in outputs if is_convolution]
    if not sizes:
        raise ValueError("expected a model with convolutions (torch.nn.Conv2d), found none")
    return [name for name, _, size in outputs if size == sizes[-1]][-1]
