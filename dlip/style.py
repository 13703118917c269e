"""Style transfer by optimization: the pixels of a picture are what is learnt.

===================  ===========================================================
`features`           what a network computes on its way: one tensor for each layer
`random_features`    the same without training: random filters at several scales
`painting_features`  both together, with which the gallery paints
`gram`               which features occur together, one table for each picture
`content_loss`       how far features are from those of the content picture
`style_loss`         how far Gram matrices are from those of the style picture
`losses`             both, weighted over layers
`transfer`           change the pixels until both losses are small
`style_picture`      the style pictures of the gallery
===================  ===========================================================
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.feature_extraction import create_feature_extractor

from dlip._check import describe, integer, known
from dlip._model import layer_named
from dlip.data import sample_image
from dlip.zoo import Pretrained, pretrained

__all__ = [
    "BETA",
    "CONTENT_WEIGHTS",
    "FAST_BETA",
    "LAYERS",
    "STYLES",
    "STYLE_WEIGHTS",
    "Features",
    "Transfer",
    "content_loss",
    "features",
    "gram",
    "losses",
    "painting_features",
    "random_features",
    "style_loss",
    "style_picture",
    "transfer",
]

Features = Callable[[Tensor], list[Tensor]]
"""A function that turns pictures (N, 3, H, W) into feature maps, one (N, C, H', W') a layer."""

LAYERS = (
    "features.stem",
    "features.stage2.0.expand",
    "features.stage2.1.expand",
    "features.stage3.1.expand",
    "features.stage4.1.expand",
)
"""Layers of EfficientNet-Lite0 with many maps behind a ReLU, from fine to coarse."""

CONTENT_WEIGHTS = (0.0, 0.0, 0.5, 0.5, 0.0) + 3 * (0.0,)
"""Of the content loss, for each layer of `painting_features`."""

STYLE_WEIGHTS = (0.02, 0.06, 0.12, 0.34, 0.31) + 3 * (0.05,)
"""Of the style loss, for each layer of `painting_features`: most for the coarse layers."""

BETA = 30.0
"""Weight of the style loss against the content loss, for the optimization."""

FAST_BETA = 4.0
"""The same for `dlip.models.FastStyle`, which loses the content with a larger one."""


def features(network: Pretrained, layers: Sequence[str], *, enlarge: int = 1) -> Features:
    """Return a function that computes the outputs of some layers of a network.

    The gradient flows back to the pictures. The weights of the network receive none: they
    are frozen here, in `network.model` itself.

    Parameters
    ----------
    network
        What `dlip.zoo.pretrained` returned: EfficientNet-Lite0 or one of torchvision's.
    layers
        Names of layers, as in `network.model.named_modules()`.
    enlarge
        By how much the pictures are enlarged beforehand. A network that halves the size in
        its first layer sees fine texture only in enlarged pictures.

    Returns
    -------
    Features
        Takes pictures (N, 3, H, W) from 0 to 1 on the network's device.

    Raises
    ------
    TypeError, ValueError
        If there is no layer of such a name, there is no name at all, or `enlarge` is no
        integer from 1 on.

    Examples
    --------
    >>> import dlip
    >>> lite0 = dlip.zoo.pretrained("efficientnet_lite0")
    >>> f = dlip.style.features(lite0, ["features.stem", "features.stage2"])
    >>> [tuple(maps.shape) for maps in f(dlip.data.sample_image("cat", size=64)[None])]
    [(1, 32, 32, 32), (1, 24, 16, 16)]
    """
    integer(enlarge, "enlarge", least=1)
    if isinstance(layers, str) or not layers:
        raise ValueError(f"expected a list of one name or more, got {describe(layers)}")
    for layer in layers:
        layer_named(network.model, layer)
    network.model.requires_grad_(False)
    network.model.eval()
    part = create_feature_extractor(network.model, {layer: layer for layer in layers}).eval()
    mean = torch.tensor(network.preprocess.mean)[:, None, None]
    std = torch.tensor(network.preprocess.std)[:, None, None]

    def compute(images: Tensor) -> list[Tensor]:
        _check_pictures(images, "pictures")
        if enlarge > 1:
            images = F.interpolate(images, scale_factor=enlarge, mode="bilinear")
        found = part((images - mean.to(images)) / std.to(images))
        return [found[layer] for layer in layers]

    return compute


def random_features(
    filters: int = 32, *, kernel: int = 7, levels: int = 4, seed: int = 0
) -> Features:
    """Return a function that applies random filters at several scales: nothing is learnt.

    The picture is filtered, halved, filtered again, and so on, with its border repeated
    outwards. Each result passes a ReLU. The filters are drawn from a normal distribution and
    scaled to length 1.

    Parameters
    ----------
    filters
        How many, at least 1.
    kernel
        Side of a filter in pixels, at least 1.
    levels
        How many scales, at least 1.
    seed
        Of the random numbers.

    Returns
    -------
    Features
        Takes pictures (N, 3, H, W) from 0 to 1; gives one tensor for each scale.

    Raises
    ------
    TypeError, ValueError
        If one of the numbers is no integer in its range.

    References
    ----------
    I. Ustyuzhaninov, W. Brendel, L. Gatys and M. Bethge, "Texture synthesis using shallow
    convolutional networks with random filters", arXiv:1606.00021, 2016. They take filters of
    several sizes; here it is pictures of several sizes, which is quicker.

    Examples
    --------
    >>> import dlip
    >>> f = dlip.style.random_features(16, kernel=5, levels=2)
    >>> [tuple(maps.shape) for maps in f(dlip.data.sample_image("cat", size=64)[None])]
    [(1, 16, 64, 64), (1, 16, 32, 32)]
    """
    integer(filters, "filters", least=1)
    integer(kernel, "kernel", least=1)
    integer(levels, "levels", least=1)
    random = torch.Generator().manual_seed(integer(seed, "seed", least=0))
    weight = torch.randn(filters, 3, kernel, kernel, generator=random)
    weight /= weight.flatten(1).norm(dim=1)[:, None, None, None]

    def compute(images: Tensor) -> list[Tensor]:
        _check_pictures(images, "pictures")
        found = []
        x = 2 * images - 1
        for level in range(levels):
            if level > 0:
                x = F.avg_pool2d(x, 2)
            padded = F.pad(x, [kernel // 2] * 4, mode="replicate")
            found.append(F.conv2d(padded, weight.to(x)).relu())
        return found

    return compute


def painting_features(device: torch.device | str = "cpu") -> Features:
    """Return the features with which the gallery paints, of eight layers.

    The first five are the `LAYERS` of EfficientNet-Lite0. That network looks only at every
    second pixel; the other three, 24 random filters at full, half and quarter size, look at
    all.

    Parameters
    ----------
    device
        Where the pictures will be.

    Returns
    -------
    Features
        As `features` and `random_features` return it.

    Raises
    ------
    RuntimeError
        If there is no such device.

    Examples
    --------
    >>> import dlip
    >>> f = dlip.style.painting_features()
    >>> [maps.shape[1] for maps in f(dlip.data.sample_image("cat", size=64)[None])]
    [32, 96, 144, 240, 480, 24, 24, 24]
    """
    network = pretrained("efficientnet_lite0")
    network.model.to(device)
    learnt = features(network, LAYERS)
    drawn = random_features(24, kernel=5, levels=3)
    return lambda images: learnt(images) + drawn(images)


def gram(maps: Tensor) -> Tensor:
    """Return the Gram matrix of feature maps: the averages of all products of two maps.

    Parameters
    ----------
    maps
        Shape (N, C, H, W).

    Returns
    -------
    Tensor
        Shape (N, C, C), symmetric: entry (i, j) is the mean over all places of map i times
        map j. The paper sums instead; with the mean, pictures of different sizes compare.

    Raises
    ------
    TypeError, ValueError
        If `maps` is no such tensor.

    References
    ----------
    L. Gatys, A. Ecker and M. Bethge, "Image style transfer using convolutional neural
    networks", CVPR 2016, section 2.2.

    Examples
    --------
    >>> import torch, dlip
    >>> maps = torch.tensor([[[[1.0, 0.0]], [[2.0, 2.0]]]])  # two maps of two pixels
    >>> dlip.style.gram(maps)
    tensor([[[0.5000, 1.0000],
             [1.0000, 4.0000]]])
    """
    _check_maps(maps, "feature maps")
    rows = maps.flatten(2)  # one row for each map
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def content_loss(maps: Tensor, target: Tensor) -> Tensor:
    """Return how far feature maps are from those of the content picture.

    Parameters
    ----------
    maps
        Features F of the pictures, shape (N, C, H, W).
    target
        Features P of the content pictures, the same shape.

    Returns
    -------
    Tensor
        A number: Σ(F − P)² / ΣP² of each picture, averaged over the pictures. 0 if all
        features are the same, 1 if none is left.

    Raises
    ------
    TypeError, ValueError
        If the tensors have no such shape, or not the same.

    References
    ----------
    Gatys et al. 2016, equation 1; there it is ½ Σ(F − P)².

    Examples
    --------
    >>> import torch, dlip
    >>> dlip.style.content_loss(torch.full((1, 2, 4, 4), 3.0), torch.full((1, 2, 4, 4), 2.0))
    tensor(0.2500)
    """
    _check_maps(maps, "feature maps")
    return _apart(maps, target)


def style_loss(maps: Tensor, target: Tensor) -> Tensor:
    """Return how far the Gram matrices of feature maps are from those of the style picture.

    Parameters
    ----------
    maps
        Features of the pictures, shape (N, C, H, W).
    target
        Gram matrices A of the style pictures, shape (N, C, C).

    Returns
    -------
    Tensor
        A number: Σ(G − A)² / ΣA² of each picture with G = `gram(maps)`, averaged over the
        pictures. 0 if all features occur together as in the style.

    Raises
    ------
    TypeError, ValueError
        If the tensors have no such shapes.

    References
    ----------
    Gatys et al. 2016, equation 4; there it is Σ(G − A)² / (4 C² H² W²) with sums in G and A.

    Examples
    --------
    >>> import torch, dlip
    >>> dlip.style.style_loss(torch.ones(1, 2, 4, 4), torch.full((1, 2, 2), 2.0))
    tensor(0.2500)
    """
    return _apart(gram(maps), target)


def losses(
    maps: Sequence[Tensor],
    targets: Sequence[Tensor],
    grams: Sequence[Tensor],
    content_weights: Sequence[float] = CONTENT_WEIGHTS,
    style_weights: Sequence[float] = STYLE_WEIGHTS,
) -> tuple[Tensor, Tensor]:
    """Return the content loss and the style loss, each weighted over the layers.

    Parameters
    ----------
    maps
        Features of the pictures, one tensor (N, C, H, W) for each layer.
    targets
        Features of the content pictures, the same shapes.
    grams
        Gram matrices of the style pictures, one tensor (N, C, C) for each layer.
    content_weights, style_weights
        One weight for each layer; 0 leaves the layer out.

    Returns
    -------
    tuple of Tensor
        Two numbers, Σ weight · `content_loss` and Σ weight · `style_loss`.

    Raises
    ------
    TypeError, ValueError
        If the number of weights or targets is not that of the layers, a weight is negative,
        or a tensor does not fit.

    Examples
    --------
    >>> import torch, dlip
    >>> maps = [torch.full((1, 2, 4, 4), 3.0)]
    >>> target = [torch.full((1, 2, 4, 4), 2.0)]
    >>> dlip.style.losses(maps, target, [dlip.style.gram(maps[0])], [2.0], [1.0])
    (tensor(0.5000), tensor(0.))
    """
    _check_weights(content_weights, len(maps), "content_weights")
    _check_weights(style_weights, len(maps), "style_weights")
    content = style = maps[0].new_zeros(())
    rows = zip(maps, targets, grams, content_weights, style_weights, strict=True)
    for found, target, table, content_weight, style_weight in rows:
        if content_weight > 0:
            content = content + content_weight * content_loss(found, target)
        if style_weight > 0:
            style = style + style_weight * style_loss(found, table)
    return content, style


@dataclass(frozen=True)
class Transfer:
    """What `transfer` returns.

    Attributes
    ----------
    image
        The picture, shape (3, H, W), from 0 to 1.
    content, style
        Content and style loss, weighted over the layers, each time they were computed. The
        last are those of the last picture that was tried.
    """

    image: Tensor = field(repr=False)
    content: list[float] = field(repr=False)
    style: list[float] = field(repr=False)


def transfer(
    content: Tensor,
    style: Tensor,
    features: Features,
    *,
    content_weights: Sequence[float] = CONTENT_WEIGHTS,
    style_weights: Sequence[float] = STYLE_WEIGHTS,
    beta: float = BETA,
    steps: int = 100,
    start: Tensor | None = None,
) -> Transfer:
    """Change pixels until the features are those of one picture and the style of another.

    L-BFGS makes content loss + `beta` · style loss small. A further term keeps the pixels
    between 0 and 1.

    Parameters
    ----------
    content
        Picture that says what is where, shape (3, H, W), from 0 to 1.
    style
        Picture that says how it looks, shape (3, H', W'), from 0 to 1.
    features
        From `painting_features`, `features` or `random_features`, or any other function of
        this kind.
    content_weights, style_weights
        As for `losses`; those given are for `painting_features`.
    beta
        Weight of the style against the content, from 0 on.
    steps
        Steps of L-BFGS, at least 1. Each computes the losses once, seldom more often.
    start
        Picture to start from, shape (3, H, W); by default `content`.

    Returns
    -------
    Transfer
        The picture and both losses on the way.

    Raises
    ------
    TypeError, ValueError
        If a picture has no such shape or values, the number of weights is not that of the
        layers, or a weight is negative.

    References
    ----------
    L. Gatys, A. Ecker and M. Bethge, "Image style transfer using convolutional neural
    networks", CVPR 2016.

    Examples
    --------
    >>> import dlip
    >>> cat, brick = (dlip.data.sample_image(name, size=48) for name in ("cat", "brick"))
    >>> f = dlip.style.random_features(8, kernel=5, levels=2)
    >>> result = dlip.style.transfer(
    ...     cat, brick, f, content_weights=[0, 1], style_weights=[1, 1], steps=5
    ... )
    >>> result.image.shape, result.style[-1] < result.style[0]
    (torch.Size([3, 48, 48]), True)
    """
    integer(steps, "steps", least=1)
    start = content if start is None else start
    for picture, what in ((content, "content"), (style, "style"), (start, "start")):
        _check_picture(picture, what)
    if start.shape != content.shape:
        raise ValueError(
            f"expected start to have the content's shape {tuple(content.shape)}, "
            f"got {tuple(start.shape)}"
        )
    if not beta >= 0:
        raise ValueError(f"expected beta to be a number from 0 on, got {beta}")
    with torch.no_grad():
        targets = features(content[None])
        grams = [gram(maps) for maps in features(style[None])]
    image = start.detach().clone()[None].requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [image],
        max_iter=steps,
        max_eval=2 * steps,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    noted: dict[str, list[float]] = {"content": [], "style": []}

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = losses(features(image), targets, grams, content_weights, style_weights)
        wall = (image - image.clamp(0, 1)).square().mean()
        total = found[0] + beta * found[1] + WALL * wall
        total.backward()  # type: ignore[no-untyped-call]
        for name, value in zip(noted, found, strict=True):
            noted[name].append(value.item())
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return Transfer(image.detach()[0].clamp(0, 1), noted["content"], noted["style"])


WALL = 10.0
"""How strongly `transfer` pushes pixels back between 0 and 1."""


def _apart(values: Tensor, target: Tensor) -> Tensor:
    """Return Σ(values − target)² / Σ target² of each picture, averaged over the pictures."""
    if not isinstance(target, Tensor):
        raise TypeError(f"expected the target as a torch.Tensor, got {describe(target)}")
    if values.shape != target.shape:
        raise ValueError(
            f"expected a target of shape {tuple(values.shape)}, got {tuple(target.shape)}"
        )
    error = (values - target).square().flatten(1).sum(dim=1)
    return (error / target.square().flatten(1).sum(dim=1).clamp(min=1e-12)).mean()


def _check_maps(maps: Tensor, what: str) -> None:
    if not isinstance(maps, Tensor):
        raise TypeError(f"expected {what} as a torch.Tensor, got {describe(maps)}")
    if maps.ndim != 4 or maps.numel() == 0 or not maps.is_floating_point():
        raise ValueError(
            f"expected {what} of shape (N, C, H, W), floating-point, "
            f"got {tuple(maps.shape)}, {maps.dtype}"
        )


def _check_pictures(images: Tensor, what: str) -> None:
    _check_maps(images, what)
    if images.shape[1] != 3:
        raise ValueError(f"expected {what} of shape (N, 3, H, W), got {tuple(images.shape)}")


def _check_picture(image: Tensor, what: str) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(f"expected {what} as a torch.Tensor, got {describe(image)}")
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise ValueError(f"expected {what} of shape (3, H, W), got {tuple(image.shape)}")
    if not image.is_floating_point():
        raise TypeError(f"expected {what} as floating-point values, got {image.dtype}")
    least, most = image.min().item(), image.max().item()
    if not (least >= 0 and most <= 1):  # NaN fails this too
        raise ValueError(f"expected {what} from 0 to 1, got {least:.4g} to {most:.4g}")


def _check_weights(weights: Sequence[float], layers: int, what: str) -> None:
    if len(weights) != layers:
        raise ValueError(f"expected {what} for {layers} layers, got {len(weights)}")
    if not all(weight >= 0 for weight in weights):
        raise ValueError(f"expected {what} from 0 on, got {list(weights)}")


STYLES = {
    "tissue": ("immunohistochemistry", 256, 200, 100),
    "retina": ("retina", 960, 220, 220),
    "brick": ("brick", 320, 40, 100),
    "handwriting": ("text", 170, 0, 60),
    "gravel": ("gravel", 320, 100, 100),
    "galaxies": ("hubble", 300, 380, 120),
}
"""Style pictures: for each a photograph of scikit-image, and side, top and left of a square."""


def style_picture(name: str, size: int = 128) -> Tensor:
    """Return one of the style pictures of the gallery: a square out of a photograph.

    Parameters
    ----------
    name
        One of `STYLES`.
    size
        Side in pixels, at least 8.

    Returns
    -------
    Tensor
        Shape (3, size, size), from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If there is no style picture of that name, or `size` is no integer from 8 on.

    Examples
    --------
    >>> import dlip
    >>> dlip.style.style_picture("brick").shape
    torch.Size([3, 128, 128])
    """
    known(name, STYLES, "style picture")
    integer(size, "size", least=8)
    photograph, side, top, left = STYLES[name]
    if photograph == "immunohistochemistry":  # not among dlip's photographs
        pixels = skimage.data.immunohistochemistry()  # type: ignore[no-untyped-call]
        whole = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    else:
        whole = sample_image(photograph)
    square = whole[None, :, top : top + side, left : left + side]
    return F.interpolate(square, size=size, mode="bilinear", antialias=True)[0].clamp(0, 1)
