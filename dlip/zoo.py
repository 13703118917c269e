"""Networks that have learnt already.

`pretrained("efficientnet_lite0")` needs no network: its weights are installed with dlip.
torchvision's networks (`"resnet50"`, `"vgg19"`, `"vit_b_16"`, …) are downloaded when they
are first used. All of these sort photographs into the 1,000 classes of ImageNet. torchvision's
detectors, such as `"ssd300_vgg16"`, find things of COCO's 80 classes in photographs. And there
are the networks that this project trained itself: see `dlip.checkpoint`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal, get_args, overload

import torch
import torchvision
import torchvision.transforms.v2.functional as TF
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.transforms import InterpolationMode

from dlip._check import describe, integer, known
from dlip._imagenet_ja import JAPANESE
from dlip.checkpoint import Checkpoint, checkpoint_names, load_checkpoint
from dlip.data.download import check_sha256, download
from dlip.data.manifest import manifest, verify
from dlip.data.samples import _to_tensor
from dlip.models.efficientnet_lite import EfficientNetLite0, rename_original

__all__ = ["Preprocessing", "Pretrained", "PretrainedDetector", "Provenance", "pretrained"]


@dataclass(frozen=True)
class Preprocessing:
    """What a network wants done to a photograph, by the numbers it was trained with.

    The shorter side is resized to `resize` pixels, a square of `crop` pixels is cut out of
    the centre, and every value x of a channel becomes (x − mean) / std.

    Attributes
    ----------
    resize, crop
        In pixels.
    interpolation
        How to resize; always antialiased.
    mean, std
        One number for each of red, green and blue, for values from 0 to 1.
    """

    resize: int
    crop: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Tensor | Image.Image) -> Tensor:
        """Turn a photograph into the network's input.

        Parameters
        ----------
        image
            Floating-point tensor of shape (C, H, W) or (N, C, H, W) with C = 1 (gray) or 3,
            from 0 to 1; or a picture of Pillow. Any size.

        Returns
        -------
        Tensor
            Shape (3, crop, crop) or (N, 3, crop, crop), float32, on the image's device.

        Raises
        ------
        TypeError
            If `image` is neither, or holds integers.
        ValueError
            If its shape or its values are not as above.
        """
        if isinstance(image, Image.Image):
            image = _to_tensor(ImageOps.exif_transpose(image))
        _check_photograph(image)
        x: Tensor = TF.resize(
            image.float(), [self.resize], InterpolationMode(self.interpolation), antialias=True
        )
        x = TF.center_crop(x, [self.crop, self.crop])
        x = x.clamp(0, 1)  # bicubic interpolation overshoots at edges
        # A gray picture's one channel becomes three here, by broadcasting.
        return (x - _per_channel(self.mean, x)) / _per_channel(self.std, x)

    def undo(self, image: Tensor) -> Tensor:
        """Turn an input back into an image from 0 to 1, to look at it.

        Parameters
        ----------
        image
            Shape (3, H, W) or (N, 3, H, W), as `__call__` returns it, perhaps changed since.

        Returns
        -------
        Tensor
            Same shape, cut off at 0 and 1.

        Raises
        ------
        TypeError, ValueError
            If `image` is not such a tensor.
        """
        if not isinstance(image, Tensor):
            raise TypeError(f"expected an input as a torch.Tensor, got {describe(image)}")
        if image.ndim not in (3, 4) or image.shape[-3] != 3:
            raise ValueError(
                f"expected an input of shape (3, H, W) or (N, 3, H, W), got {tuple(image.shape)}"
            )
        x = image * _per_channel(self.std, image) + _per_channel(self.mean, image)
        return x.clamp(0, 1)


@dataclass(frozen=True)
class Provenance:
    """Where the weights of a network come from.

    Attributes
    ----------
    source
        Who made them, or where they were downloaded.
    paper
        The paper on the network.
    licence
        Under which terms they may be used.
    file
        Where they lie on this machine.
    sha256
        Hash of the file, 64 hexadecimal digits.
    bytes
        Size of the file.
    """

    source: str
    paper: str
    licence: str
    file: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Pretrained:
    """A network that has learnt, and what is needed to use it.

    Attributes
    ----------
    name
        What `pretrained` was asked for.
    model
        The network, in evaluation mode, on the CPU. Its parameters require gradients.
        (N, 3, crop, crop) → (N, 1000), scores (logits).
    preprocess
        Turns a photograph into the network's input.
    classes
        The names of the 1,000 classes, in the order of the scores.
    classes_ja
        Japanese for some of them: those among the first ten answers of EfficientNet-Lite0
        for the photographs of `dlip.data.sample_image`, those that the cut-outs of
        `dlip.data.cutouts` show, and a few more.
    input_size
        Shape of one input: channels, height, width.
    provenance
        Where the weights come from.
    """

    name: str
    model: nn.Module = field(repr=False)
    preprocess: Preprocessing
    classes: tuple[str, ...] = field(repr=False)
    classes_ja: dict[str, str] = field(repr=False)
    input_size: tuple[int, int, int]
    provenance: Provenance

    def top(self, image: Tensor | Image.Image, k: int = 5) -> list[tuple[str, float]]:
        """Return the `k` most probable classes of a photograph.

        Parameters
        ----------
        image
            One photograph, not preprocessed: shape (1, H, W) or (3, H, W), floating-point,
            from 0 to 1; or a picture of Pillow. It may lie on another device than the model.
        k
            How many classes, from 1 to all.

        Returns
        -------
        list of (str, float)
            Class and probability (softmax of the scores), the most probable first.

        Raises
        ------
        TypeError, ValueError
            If `image` is not such a photograph, `k` is out of range, or a part of the model
            is in training mode.
        """
        integer(k, "k", least=1)
        if k > len(self.classes):
            raise ValueError(f"expected k to be at most {len(self.classes)}, got {k}")
        if any(module.training for module in self.model.modules()):
            raise ValueError("the model is in training mode; call model.eval() before asking it")
        x = self.preprocess(image)
        if x.ndim != 3:
            raise ValueError(f"expected one photograph, got a batch of {len(x)}")
        x = x.to(next(self.model.parameters()))  # same device and dtype
        with torch.no_grad():
            probabilities = self.model(x[None])[0].softmax(dim=0)
        values, indices = probabilities.topk(k)
        names = [self.classes[index] for index in indices.tolist()]
        return list(zip(names, values.tolist(), strict=True))


@dataclass(frozen=True)
class PretrainedDetector:
    """A detector that has learnt from the photographs of COCO.

    Attributes
    ----------
    name
        What `pretrained` was asked for.
    model
        The network, in evaluation mode, on the CPU. It takes a list of photographs, each
        (3, H, W), from 0 to 1, of any size, and resizes and normalizes them itself. For each
        it returns a dictionary: "boxes" (K, 4), left, top, right and bottom in pixels of the
        photograph; "labels" (K,), numbers of `classes`; "scores" (K,), the highest first.
    classes
        The names that the labels stand for. Number 0 is the background, and some numbers are
        called "N/A": COCO has left them out.
    provenance
        Where the weights come from.
    """

    name: str
    model: nn.Module = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    provenance: Provenance


CheckpointName = Literal[
    "digit_ssd", "colorizer", "edges2clothes", "edges2clothes_l1", "fast_style"
]
"""Networks that this project trained, for the systems of the gallery."""

DetectorName = Literal[
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
]
"""torchvision's detectors that answer with boxes, labels and scores."""


@overload
def pretrained(name: CheckpointName) -> Checkpoint: ...  # type: ignore[overload-overlap]
@overload
def pretrained(name: DetectorName) -> PretrainedDetector: ...  # type: ignore[overload-overlap]
@overload
def pretrained(name: str) -> Pretrained: ...
def pretrained(name: str) -> Pretrained | PretrainedDetector | Checkpoint:
    """Return a network with the weights it has learnt.

    Parameters
    ----------
    name
        `"efficientnet_lite0"`, or one of torchvision's networks for classification, such as
        `"resnet50"`: those that `torchvision.models.list_models(module=torchvision.models)`
        lists, with their default weights. Or one of its detectors, such as `"ssd300_vgg16"`.
        Or one of the networks that this project trained: `dlip.checkpoint.checkpoint_names()`.

    Returns
    -------
    Pretrained
        With a model of its own: changing it does not change the next.
    PretrainedDetector
        For a detector, the same.
    Checkpoint
        For a network that this project trained: `.model` and its `.card`.

    Raises
    ------
    TypeError, ValueError
        If there is no network of that name, or its file is damaged: the SHA-256 is checked
        each time, and nothing but tensors is read from it.
    FileNotFoundError
        If the package that holds the weights of EfficientNet-Lite0 is not installed.
    ConnectionError
        If the weights have to be downloaded and cannot be; the message says which file is
        wanted, where it comes from, where to put it, and what to use instead.

    Notes
    -----
    Weights of torchvision lie in `torch.hub.get_dir()/checkpoints`, where torchvision itself
    looks for them too. A download arrives under another name and is renamed when it is
    complete and its hash is right.

    References
    ----------
    O. Russakovsky et al., "ImageNet large scale visual recognition challenge", International
    Journal of Computer Vision 115, 2015. Each network's own paper: `.provenance.paper`.

    Examples
    --------
    >>> import dlip
    >>> lite0 = dlip.zoo.pretrained("efficientnet_lite0")
    >>> [name for name, probability in lite0.top(dlip.data.sample_image("cat"), k=3)]
    ['tiger cat', 'Egyptian cat', 'tabby']
    """
    if name in checkpoint_names():
        return load_checkpoint(name)
    names = torchvision.models.list_models(module=torchvision.models)
    detectors = get_args(DetectorName)
    every = ["efficientnet_lite0", *checkpoint_names(), *names, *detectors]
    known(name, every, "pretrained network")
    if name in detectors:
        return _detector(name)
    return _efficientnet_lite0() if name == "efficientnet_lite0" else _from_torchvision(name)


def _efficientnet_lite0() -> Pretrained:
    entry = next(e for e in manifest() if e.kind == "weights" and e.name == "efficientnet_lite0")
    verify(entry)
    model = EfficientNetLite0()
    model.load_state_dict(rename_original(_read_weights(entry.file)))
    # (255 x − 127) / 128, as in TensorFlow's efficientnet_lite_builder.py
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return Pretrained(
        name="efficientnet_lite0",
        model=model.eval(),
        preprocess=Preprocessing(256, 224, "bicubic", mean, std),
        classes=_imagenet_classes(),
        classes_ja=dict(JAPANESE),
        input_size=(3, 224, 224),
        provenance=Provenance(
            source=entry.source,
            paper="EfficientNet: rethinking model scaling for convolutional neural networks, "
            "https://arxiv.org/abs/1905.11946",
            licence=entry.licence,
            file=entry.file,
            sha256=entry.sha256,
            bytes=entry.bytes,
        ),
    )


def _from_torchvision(name: str) -> Pretrained:
    weights, provenance = _torchvision_weights(name)
    model = torchvision.models.get_model(name, weights=weights)
    wanted = weights.transforms()
    return Pretrained(
        name=name,
        model=model.eval(),
        preprocess=Preprocessing(
            resize=wanted.resize_size[0],
            crop=wanted.crop_size[0],
            interpolation=wanted.interpolation.value,
            mean=tuple(wanted.mean),
            std=tuple(wanted.std),
        ),
        classes=tuple(weights.meta["categories"]),
        classes_ja=dict(JAPANESE),
        input_size=(3, wanted.crop_size[0], wanted.crop_size[0]),
        provenance=provenance,
    )


def _detector(name: str) -> PretrainedDetector:
    weights, provenance = _torchvision_weights(name)
    # The weights of the whole network come with the detector: the backbone's are not wanted.
    model = torchvision.models.get_model(name, weights=weights, weights_backbone=None)
    classes = tuple(weights.meta["categories"])
    return PretrainedDetector(name, model.eval(), classes, provenance)


def _torchvision_weights(name: str) -> tuple[WeightsEnum, Provenance]:
    """Return a network's default weights, whose file is there when this returns."""
    weights = torchvision.models.get_model_weights(name).DEFAULT
    file = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    if not file.exists():
        _download(name, weights.url, file)
    sha256 = _check_hash(file)
    # torchvision unpickles whatever the file holds. Reading it here first, which allows
    # nothing but tensors, makes that harmless.
    _read_weights(file)
    return weights, Provenance(
        source=weights.url,
        paper=_paper(name),
        licence=weights.meta.get(
            "license", "BSD-3-Clause, as torchvision; the terms of the photographs may apply"
        ),
        file=file,
        sha256=sha256,
        bytes=file.stat().st_size,
    )


def _imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's classes, the same for all networks."""
    return tuple(torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"])


def _paper(name: str) -> str:
    """Return title and address of the paper that torchvision's documentation names first."""
    text = torchvision.models.get_model_builder(name).__doc__ or ""
    link = re.search(r"`([^`<]+)<(https?://[^>]+)>`", text)
    if link is None:
        return f"see the documentation of torchvision.models.{name}"
    return f"{' '.join(link[1].split())}, {link[2]}"


def _download(name: str, url: str, file: Path) -> None:
    """Fetch a file; it gets its name only when its hash is right."""
    try:
        download(url, file, check=_check_hash)
    except ConnectionError as error:
        raise ConnectionError(
            f"the weights of {name!r} are not on this machine: {error}, or use "
            "pretrained('efficientnet_lite0'), whose weights are installed with dlip"
        ) from error


def _check_hash(file: Path) -> str:
    """Return a file's SHA-256, which must start as the file's name says."""
    found = check_sha256(file)
    if not found.startswith(_hash_start(file)):
        raise ValueError(
            f"{file} is damaged: expected a SHA-256 that starts with {_hash_start(file)}, got "
            f"{found}; delete the file to download it again"
        )
    return found


def _hash_start(file: Path) -> str:
    """Return the digits that PyTorch puts into names, as in resnet50-11ad3fa6.pth."""
    digits = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if digits is None:
        raise ValueError(f"expected a file name with a hash, as name-0123abcd.pth: {file.name}")
    return digits[1]


def _read_weights(file: Path) -> dict[str, Tensor]:
    """Read a state dict and refuse a file that holds anything but tensors."""
    try:
        weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(f"{file} holds more than weights and was not loaded: {error}") from error
    return weights


def _check_photograph(image: Tensor) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(
            f"expected a photograph as a torch.Tensor or a picture of Pillow, got {describe(image)}"
        )
    if not image.is_floating_point():
        raise TypeError(
            f"expected floating-point values from 0 to 1, got {image.dtype}; "
            "for 0 to 255 use image.float() / 255"
        )
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or image.numel() == 0:
        raise ValueError(
            "expected a photograph of shape (C, H, W) or (N, C, H, W) with 1 or 3 channels, "
            f"got {tuple(image.shape)}"
        )
    least, most = image.min().item(), image.max().item()
    if not (least >= -0.001 and most <= 1.001):  # NaN fails this too; rounding may pass
        raise ValueError(f"expected values from 0 to 1, got {least:.4g} to {most:.4g}")


def _per_channel(values: tuple[float, float, float], image: Tensor) -> Tensor:
    """Return a (3, 1, 1) tensor of the image's kind, so that it fits (3, H, W) and batches."""
    return torch.tensor(values, device=image.device, dtype=image.dtype)[:, None, None]
