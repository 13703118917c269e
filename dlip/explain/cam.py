"""CAM, class activation maps: which places of the last feature maps speak for a class."""

import torch
from torch import Tensor, nn

from dlip._model import input_batch, undisturbed
from dlip.explain._common import class_scores, enlarge, target_class

__all__ = ["cam"]


def cam(model: nn.Module, image: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Weigh the last feature maps as the linear layer weighs their means.

    In a network that ends in global average pooling (GAP) and one linear layer, the score of
    class c is Σₖ w꜀ₖ · mean(Aₖ) + b꜀, with feature maps Aₖ. Exchanging sum and mean makes it
    the mean of *one* map, Σₖ w꜀ₖ Aₖ, plus b꜀. This map is the CAM: it says what each
    place adds to the score. It is enlarged to the image's size bilinearly.

    Parameters
    ----------
    model
        A classifier, (N, C, H, W) → scores (N, classes), that ends in GAP and one
        `torch.nn.Linear`, such as GapCNN, EfficientNet and ResNet. Dropout between the two
        is nothing when evaluating.
    image
        The model's preprocessed input, shape (C, H, W), floating-point, finite.
    target
        The class; None: the one that the model predicts.

    Returns
    -------
    Tensor
        Shape (H, W), dtype and device of `image`, in units of the score; signed.

    Raises
    ------
    TypeError
        If `model` is no module, `image` no floating-point tensor, or `target` no integer.
    ValueError
        If the image is no single finite image that the model can take, the model no
        classifier that ends in GAP and one linear layer, or there is no class `target`.

    References
    ----------
    B. Zhou et al., "Learning deep features for discriminative localization", CVPR 2016,
    arXiv:1512.04150.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.GapCNN()
    >>> images, labels = dlip.data.digits("test")
    >>> dlip.explain.cam(model, images[0], target=3).shape
    torch.Size([28, 28])
    """
    with undisturbed(model), torch.no_grad():
        batch = input_batch(model, image)
        scores, maps, linear = _run_and_find(model, batch)
        weights = linear.weight[target_class(scores, target)]
        activation = (weights[:, None, None] * maps).sum(dim=0)
        return enlarge(activation, image)


def _run_and_find(model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor, nn.Linear]:
    """Return the scores, the last feature maps (K, h, w) and the linear layer behind them.

    Whether the pooling is a layer or written out as `x.mean((2, 3))` cannot be seen from
    the layers there are. It can be seen from the values: those that go into the last linear
    layer are the means of the maps.
    """
    maps: list[Tensor] = []
    linears: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Linear):
            linears.append((module, inputs[0], output))
        elif isinstance(output, Tensor) and output.ndim == 4:
            maps.append(output)

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        scores = class_scores(model, batch)
    finally:
        for handle in handles:
            handle.remove()

    problem = "it has no torch.nn.Linear"
    if linears:
        linear, means, output = linears[-1]
        problem = "its last linear layer does not make the scores"
        if output.shape == scores.shape and torch.equal(output, scores):
            problem = (
                f"what goes into its last linear layer, {tuple(means.shape[1:])}, are not the "
                "means of feature maps"
            )
            # After pooling, maps of one pixel have the same means: prefer the largest ones.
            for candidate in sorted(reversed(maps), key=_places, reverse=True):
                if candidate.shape[1] == means.shape[1] and _close(candidate.mean((2, 3)), means):
                    return scores, candidate[0], linear
    raise ValueError(
        "expected a model that ends in global average pooling and one linear layer, but "
        f"{problem}; grad_cam works for every convolutional network"
    )


def _places(maps: Tensor) -> int:
    return maps.shape[2] * maps.shape[3]


def _close(values: Tensor, others: Tensor) -> bool:
    """Say whether two tensors are equal but for rounding, be it that of 16-bit numbers."""
    return bool((values - others).abs().max() <= 0.01 * others.abs().max())
