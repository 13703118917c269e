"""Folding batch normalisation into convolutions: the same scores, and nobody's model changed."""

import sys
import threading
import warnings

import captum.attr
import pytest
import torch
import torch.nn.functional as F
import torchvision
from nets import Small, assert_same_traces, lite0, photograph, traces
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dlip.explain import occlusion
from dlip.explain._fold import folded
from dlip.explain._windows import find_front
from dlip.models import EfficientNetLite0

IMAGES = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Normalisations(TorchDispatchMode):
    """Count how often PyTorch normalises a batch."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "batch_norm" in func.__name__
        return func(*args, **(kwargs or {}))


def normalisations(model):
    with torch.no_grad(), Normalisations() as counter:
        model(IMAGES)
    return counter.count


def trained(model):
    """Give batch normalisation numbers as training leaves them, instead of 0 and 1."""
    torch.manual_seed(2)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0  # the means and variances of the images that follow
            if norm.affine:
                nn.init.uniform_(norm.weight, 0.7, 1.4)
                nn.init.uniform_(norm.bias, -0.3, 0.3)
    with torch.no_grad():
        model.train()(IMAGES)
    return model.eval()


def fold(model, images=IMAGES):
    with torch.no_grad():
        return folded(model.eval(), images)


# In DenseNet all but 59 normalisations come before a convolution, not after it.
@pytest.mark.parametrize(
    ("model", "before", "after"),
    [
        (Small(), 2, 0),
        (EfficientNetLite0(9), 49, 0),
        (torchvision.models.resnet18(num_classes=9), 20, 0),
        (torchvision.models.mobilenet_v3_small(num_classes=9), 34, 0),
        (torchvision.models.densenet121(num_classes=9), 121, 121 - 59),
    ],
    ids=["small", "lite0", "resnet18", "mobilenet", "densenet"],
)
def test_the_copy_computes_the_same_with_fewer_normalisations(model, before, after):
    model = trained(model)
    fast = fold(model)
    assert (normalisations(model), normalisations(fast)) == (before, after)
    others = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(others)
        difference = (fast(others) - expected).abs().max()
    assert difference <= 1e-4 * (expected[1] - expected[0]).abs().max()


def test_without_weights_of_its_own_and_with_a_bias_before():
    conv, norm = nn.Conv2d(3, 4, 3, groups=1, bias=True), nn.BatchNorm2d(4, affine=False)
    model = trained(nn.Sequential(conv, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    fast = fold(model)
    assert normalisations(fast) == 0
    torch.testing.assert_close(fast(IMAGES), model(IMAGES))


def test_the_model_is_left_and_shares_what_does_not_change():
    model = trained(Small())
    before = traces(model)
    fast = fold(model)
    assert_same_traces(before, traces(model))
    assert fast.features.conv1.weight is not model.features.conv1.weight
    assert model.features.conv2.bias is None
    assert fast.classifier.weight is model.classifier.weight
    assert fast.features.norm1.running_mean is model.features.norm1.running_mean
    assert normalisations(model) == 2


def test_relu_works_in_place_only_in_the_copy():
    model = trained(EfficientNetLite0(9))
    fast = fold(model)
    assert not any(m.inplace for m in model.modules() if isinstance(m, nn.ReLU6))
    assert all(m.inplace for m in fast.modules() if isinstance(m, nn.ReLU6))


class Net(nn.Module):
    """Convolution, normalisation, ReLU, and whatever a test puts between them."""

    def __init__(self, forward=None):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.relu = (
            nn.Conv2d(3, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.ReLU(),
        )
        self.change = forward or (lambda net, x: net.relu(net.norm(net.conv(x))))

    def forward(self, x):
        return self.change(self, x).mean((2, 3))


def both_used(net, x):
    return (y := net.conv(x)) + net.relu(net.norm(y))


def conv_twice(net, x):
    return net.relu(net.norm(net.conv(net.conv(x))))


def norm_twice(net, x):
    return net.relu(net.norm(net.conv(x)) + net.norm(x))


def changed_between(net, x):
    return net.relu(net.norm(net.conv(x).mul_(2)))


def moved_between(net, x):
    return net.relu(net.norm(net.conv(x) + 1))


def weight_used_elsewhere(net, x):
    return F.conv2d(net.relu(net.norm(net.conv(x))), net.conv.weight)


def called_by_name(net, x):
    return net.relu(net.norm(input=net.conv(x)))


class AlwaysTrains(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(True)


class Doubles(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


def parametrized(net):
    nn.utils.parametrizations.weight_norm(net.conv)


def old_weight_norm(net):
    with warnings.catch_warnings(action="ignore"):  # of deprecation
        nn.utils.weight_norm(net.conv)


UNFIT = {
    "its output is used twice": Net(both_used),
    "convolution called twice": Net(conv_twice),
    "normalisation called twice": Net(norm_twice),
    "changed in place between": Net(changed_between),
    "changed between": Net(moved_between),
    "weight used elsewhere": Net(weight_used_elsewhere),
    "called by name": Net(called_by_name),
}


def with_(change):
    net = Net()
    change(net)
    return net


@pytest.mark.parametrize(
    "model",
    [
        *UNFIT.values(),
        with_(parametrized),
        with_(old_weight_norm),
        with_(lambda net: setattr(net, "conv", Doubles(3, 3, 3))),
        with_(lambda net: setattr(net, "norm", AlwaysTrains(3))),
        with_(lambda net: setattr(net, "norm", nn.BatchNorm2d(3, track_running_stats=False))),
        with_(lambda net: setattr(net, "norm", nn.InstanceNorm2d(3))),
        with_(lambda net: net.conv.register_forward_hook(lambda *_: None)),
        with_(lambda net: net.norm.register_forward_pre_hook(lambda *_: None)),
        with_(lambda net: setattr(net, "lock", threading.Lock())),
        with_(lambda net: setattr(net, "tensor", net.conv.weight * 2)),
        torch.compile(Net(), backend="eager"),
        with_(lambda net: net.compile(backend="eager")),
    ],
    ids=[
        *UNFIT,
        "parametrized",
        "weight norm",
        "other convolution",
        "always trains",
        "no statistics",
        "other normalisation",
        "hook",
        "hook before",
        "lock",
        "tensor that is no leaf",
        "torch.compile",
        "compile",
    ],
)
def test_models_that_stay_as_they_are(model):
    assert fold(trained(model)) is model


def test_two_convolutions_with_the_same_weights():
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3),
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 3, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    model[2].weight = model[0].weight
    fast = fold(trained(model))
    assert normalisations(fast) == 0
    assert fast[2].weight is model[0].weight
    torch.testing.assert_close(fast(IMAGES), model(IMAGES))


def test_only_on_the_processor():
    class OnGraphicsCard:
        device = torch.device("cuda")

    model = trained(Small())
    assert folded(model, OnGraphicsCard()) is model


@pytest.mark.parametrize("inference", [False, True])
def test_occlusion_of_many_windows(inference, monkeypatch):
    module = sys.modules[occlusion.__module__]
    used = []
    for function in (folded, find_front):
        monkeypatch.setattr(
            module,
            function.__name__,
            lambda *args, function=function: used.append(function(*args)) or used[-1],
        )
    image = photograph(112)
    expected = captum.attr.Occlusion(lite0()).attribute(
        image[None], (3, 16, 16), (3, 16, 16), target=281
    )[0, 0]
    before = traces(lite0())
    with torch.inference_mode(inference):
        result = occlusion(lite0(), image.clone(), 281, window=16, stride=16)
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()
    # By the folded copy, and a part of it on crops only.
    fast, front = used
    assert normalisations(fast) == 0
    assert front.layer in list(fast.modules())
    assert_same_traces(before, traces(lite0()))


def test_a_model_that_takes_one_image_at_a_time():
    class Single(Small):
        def forward(self, x):
            return super().forward(x.reshape(1, 3, *x.shape[2:]))

    model, image = trained(Small()), IMAGES[0]
    single = Single().eval()
    single.load_state_dict(model.state_dict())
    expected = occlusion(model, image, 0, window=8, stride=8)
    result = occlusion(single, image, 0, window=8, stride=8, batch_size=1)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)
