"""Recomputing only what a window touches gives the same scores as recomputing everything."""

import warnings

import pytest
import torch
import torch.nn.functional as F
import torchvision
from nets import Small, assert_same_traces, lite0, traces, worn
from torch import nn

from dlip.explain import occlusion
from dlip.explain._windows import find_front, scores_local, scores_plain
from dlip.models import EfficientNetLite0, GapCNN

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Classifier(nn.Module):
    """Features with one or another peculiarity, then pooling and a linear layer."""

    def __init__(self, features=None, forward=None):
        super().__init__()
        torch.manual_seed(0)
        self.features = features or nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)
        )
        self.change = forward
        self.linear = nn.Linear(8, 3)
        nn.init.normal_(self.linear.weight, std=10)

    def forward(self, x):
        maps = self.features(x)
        if self.change:
            maps = self.change(self, x, maps)
        return self.linear(maps.mean((2, 3)))


def skip(model, x, maps):
    return maps + F.avg_pool2d(x, 2).mean(1, keepdim=True)


def divide_by_size(model, x, maps):
    return maps * (1000 / x.shape[2] / x.shape[3])


def whole_brightness(model, x, maps):
    return maps * x.mean((2, 3))[:, :1, None, None]


def front_of(model, image, window):
    model.eval()
    with torch.no_grad():
        return find_front(model, image[None], torch.zeros_like(image), window)


def name_of(model, module):
    return next((name for name, m in model.named_modules() if m is module), None)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (Small(), (48, 64)),
        (GapCNN(channels=3), (64, 64)),
        (torchvision.models.resnet18(num_classes=9), (96, 128)),
        (torchvision.models.mobilenet_v3_small(num_classes=9), (64, 64)),
        (lite0(), (96, 128)),
        (EfficientNetLite0(9), (128, 96)),
        (Classifier(), (64, 64)),
    ],
    ids=["small", "gap", "resnet18", "mobilenet", "lite0", "lite0-random", "sequential"],
)
def test_all_windows(model, size):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    window, stride = 9, 13
    front = front_of(model, image, window)
    assert front is not None
    corners = [
        (y, x)
        for y in range(0, size[0] - window + stride, stride)
        for x in range(0, size[1] - window + stride, stride)
    ]
    gray = torch.full_like(image, 0.5)
    with torch.no_grad():
        plain = scores_plain(model, image[None], gray, corners, window)
        local = scores_local(model, front, image[None], gray, corners, window)
        base = model(image[None])
    # Compare what the windows change, which is little in networks with random weights.
    change = (plain - base).abs().max().item()
    assert change > 0
    torch.testing.assert_close(local, plain, rtol=0, atol=1e-2 * change)


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_every_position(window):
    model = Classifier(
        nn.Sequential(nn.Conv2d(3, 4, 5, stride=2, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 8, 2))
    )
    image = torch.randn(3, 40, 44)
    front = front_of(model, image, window)
    corners = [(y, x) for y in range(0, 40) for x in range(0, 44, 3)]
    with torch.no_grad():
        plain = scores_plain(model, image[None], image * 0, corners, window)
        local = scores_local(model, front, image[None], image * 0, corners, window)
    torch.testing.assert_close(local, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "allowed"),
    [
        (Classifier(forward=skip), []),
        (Classifier(forward=divide_by_size), []),
        (Classifier(forward=whole_brightness), []),
        # Its maps are as large for a crop as for the whole image.
        (Classifier(nn.Sequential(nn.AdaptiveAvgPool2d(32), nn.Conv2d(3, 8, 3))), []),
        # The mean of a crop is not that of the image.
        (Classifier(nn.Sequential(nn.InstanceNorm2d(3), nn.Conv2d(3, 8, 3))), []),
        (Classifier(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Upsample(scale_factor=2))),
         ["features.0", "features.1"]),
        # Of a side that is not divisible by the stride, crops do not line up.
        (Classifier(nn.Sequential(nn.Conv2d(3, 8, 7, stride=5), nn.ReLU())), []),
    ],
    ids=["skip", "size", "brightness", "adaptive", "instancenorm", "upsample", "stride5"],
)  # fmt: skip
def test_models_that_cannot_be_divided(model, allowed):
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3))
    front = front_of(model, image, 8)
    assert (name_of(model, front.layer) if front else None) in [*allowed, None]
    assert bool(front) == bool(allowed)
    # 64 windows: enough for `occlusion` to try.
    result = occlusion(model, image, 0, window=8, stride=8)
    with torch.no_grad():
        base = model(image[None])[0, 0]
        for y, x in [(0, 0), (8, 48), (56, 56), (24, 24)]:
            covered = image.clone()
            covered[:, y : y + 8, x : x + 8] = 0
            drop = base - model(covered[None])[0, 0]
            torch.testing.assert_close(result[y, x], drop, rtol=1e-4, atol=1e-4)


def test_a_model_that_always_trains_is_computed_plainly():
    class Stubborn(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(True)

    model = Classifier(nn.Sequential(nn.Conv2d(3, 8, 3), Stubborn(8), nn.ReLU()))
    image = torch.rand(3, 64, 64)
    assert front_of(model, image, 8) is None


def test_compiled_models_are_computed_plainly():
    model = Small().eval()
    image = torch.rand(3, 64, 64)
    with warnings.catch_warnings(action="ignore"):  # of deprecation
        scripted = torch.jit.trace(model, image[None])
    assert front_of(scripted, image, 8) is None
    expected = occlusion(model, image, 0, window=8, stride=8)
    result = occlusion(scripted, image, 0, window=8, stride=8)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)


def test_the_model_is_left_as_it_was():
    model = worn(Small())
    before = traces(model)
    occlusion(model, torch.rand(3, 64, 64), window=8, stride=8)
    with pytest.raises(KeyboardInterrupt), model.classifier.register_forward_hook(interrupt()):
        occlusion(model, torch.rand(3, 64, 64), window=8, stride=8, batch_size=8)
    assert_same_traces(before, traces(model))


def interrupt():
    calls = []

    def hook(module, inputs, output):
        calls.append(module)
        if len(calls) > 5:
            raise KeyboardInterrupt

    return hook
