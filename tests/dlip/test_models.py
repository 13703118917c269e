"""The book's networks, against other definitions of them, SciPy and hand-computed numbers."""

import inspect
import math
import re

import numpy as np
import pytest
import scipy.signal
import timm
import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet
from timm.layers import pad_same
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from dlip.data import digits, manifest, sample_image
from dlip.models import DigitCNN, EfficientNetLite0, GapCNN, UNet
from dlip.models.efficientnet_lite import STAGES, SamePad, rename_original


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def lite0_input(name, size=None):
    return (sample_image(name, size=size)[None] * 255 - 127) / 128


# EfficientNet-Lite0


@pytest.fixture(scope="module")
def weights():
    entry = next(e for e in manifest() if e.name == "efficientnet_lite0")
    return torch.load(entry.file, weights_only=True)


@pytest.fixture(scope="module")
def lite0(weights):
    model = EfficientNetLite0()
    model.load_state_dict(rename_original(weights))
    return model.eval()


@pytest.fixture(scope="module")
def original(weights):
    """The package's network; without `image_size` it pads for the size of its input."""
    model = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    model.load_state_dict(weights)
    return model.eval()


@pytest.fixture(scope="module")
def timm_lite0(weights):
    """timm's network with TensorFlow's padding; its weights come in the same order."""
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model.eval()


@pytest.mark.parametrize(
    ("name", "size"),
    [("cat", 224), ("coffee", 224), ("camera", 224), ("cat", 225), ("rocket", 97), ("cat", None)],
)
def test_scores_are_those_of_the_original_and_of_timm(lite0, original, timm_lite0, name, size):
    x = lite0_input(name, size)
    with torch.no_grad():
        scores = lite0(x)
        torch.testing.assert_close(scores, original(x), atol=1e-5, rtol=0)
        torch.testing.assert_close(scores, timm_lite0(x), atol=1e-5, rtol=0)
    assert scores.std() > 0.5  # they say something


def test_scores_are_those_of_the_original_as_it_is_meant_to_be_used(lite0, weights):
    for_224 = EfficientNet.from_name("efficientnet-lite0")
    for_224.load_state_dict(weights)
    x = lite0_input("astronaut", 224)
    with torch.no_grad():
        torch.testing.assert_close(lite0(x), for_224.eval()(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [224, 97])
def test_features_are_those_of_the_original(lite0, original, size):
    places = [(stage, i) for stage in range(1, 8) for i in range(STAGES[stage - 1][-1])]
    blocks = [f"features.stage{stage}.{i}" for stage, i in places]
    there = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: there.append(out))
        for block in original._blocks
    ]
    x = lite0_input("coffee", size)
    with torch.no_grad():
        there.append(original.extract_features(x))
        here = create_feature_extractor(lite0, [*blocks, "features.head"])(x)
    for hook in hooks:
        hook.remove()
    assert len(here) == len(there) == 17
    for ours, theirs in zip(here.values(), there, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_training_is_that_of_the_original(weights):
    original = EfficientNet.from_name(
        "efficientnet-lite0", image_size=None, drop_connect_rate=0, dropout_rate=0
    )
    original.load_state_dict(weights)
    model = EfficientNetLite0()
    model.load_state_dict(rename_original(weights))
    model.dropout.p = 0
    x = torch.cat([lite0_input("cat", 40), lite0_input("coffee", 40)])
    for network in (original, model):
        F.cross_entropy(network.train()(x), torch.tensor([281, 967])).backward()
    # Batch statistics, hence the momentum, and gradients agree.
    for name, value in rename_original(original.state_dict()).items():
        torch.testing.assert_close(model.state_dict()[name], value, atol=1e-5, rtol=1e-4)
    gradients = rename_original({n: p.grad for n, p in original.named_parameters()})
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-5, rtol=1e-3)


def test_counts_and_shapes_are_those_of_timm():
    model, reference = EfficientNetLite0(), timm.create_model("efficientnet_lite0")
    assert parameters(model) == parameters(reference) == 4_652_008
    assert [p.shape for p in model.parameters()] == [p.shape for p in reference.parameters()]
    assert parameters(EfficientNetLite0(classes=7)) == 4_652_008 - 993 * 1281


def test_parts_have_the_documented_shapes():
    table = re.findall(r"`features\.(\w+)` +(\d+)×(\d+)×(\d+)", EfficientNetLite0.__doc__)
    assert len(table) == 9
    model = EfficientNetLite0().eval()
    x = torch.zeros(1, 3, 224, 224)
    assert [name for name, _ in model.features.named_children()] == [name for name, *_ in table]
    for part, (_, *shape) in zip(model.features, table, strict=True):
        x = part(x)
        assert list(x.shape[1:]) == [int(number) for number in shape]
    assert model.pool(x).shape == (1, 1280, 1, 1)
    assert model.classifier.in_features == 1280


def test_dropout_only_while_training(lite0):
    x = lite0_input("cat", 64)
    with torch.no_grad():
        assert torch.equal(lite0(x), lite0(x))
    assert isinstance(lite0.dropout, nn.Dropout)
    assert lite0.dropout.p == 0.2


def test_rename_original(weights):
    renamed = rename_original(weights)
    assert renamed.keys() == EfficientNetLite0().state_dict().keys()
    assert renamed["classifier.bias"] is weights["_fc.bias"]
    with pytest.raises(ValueError, match=r"efficientnet_lite_pytorch, got 'fc\.weight'"):
        rename_original({"fc.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"got '_blocks\.16\._bn1\.bias'"):
        rename_original({"_blocks.16._bn1.bias": torch.zeros(1)})


@pytest.mark.parametrize(("kernel", "size", "border"), [(3, 6, (0, 1)), (3, 5, (1, 1))])
def test_same_padding_by_hand(kernel, size, border):
    padded = SamePad(kernel, stride=2)(torch.ones(1, 1, size, size))[0, 0]
    row = padded[padded.shape[0] // 2]
    assert row.tolist() == [0] * border[0] + [1] * size + [0] * border[1]


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_is_that_of_timm(kernel, stride):
    for height, width in [(7, 8), (8, 7), (9, 9), (14, 112), (1, 2)]:
        x = torch.rand(2, 3, height, width)
        padded = SamePad(kernel, stride)(x)
        assert torch.equal(padded, pad_same(x, [kernel] * 2, [stride] * 2))
        result = F.conv2d(padded, torch.ones(1, 3, kernel, kernel), stride=stride)
        assert result.shape[-2:] == (math.ceil(height / stride), math.ceil(width / stride))


# DigitCNN


def test_digit_cnn_has_the_shapes_and_counts_of_the_course():
    model = DigitCNN()
    shapes = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _m, _i, out, name=name: shapes.__setitem__(name, tuple(out.shape[1:]))
        )
    model(digits("val")[0][:2])
    assert shapes == {
        "features.conv1": (10, 26, 26),
        "features.relu1": (10, 26, 26),
        "features.pool1": (10, 13, 13),
        "features.conv2": (20, 11, 11),
        "features.relu2": (20, 11, 11),
        "features.pool2": (20, 5, 5),
        "features": (20, 5, 5),
        "classifier.flatten": (500,),
        "classifier.hidden": (50,),
        "classifier.relu": (50,),
        "classifier.output": (10,),
        "classifier": (10,),
        "": (10,),
    }
    counts = {n: parameters(m) for n, m in model.named_modules() if n.count(".") and parameters(m)}
    assert counts == {
        "features.conv1": 10 * 9 + 10,
        "features.conv2": 20 * 10 * 9 + 20,
        "classifier.hidden": 500 * 50 + 50,
        "classifier.output": 50 * 10 + 10,
    }


def test_digit_cnn_against_scipy():
    model = DigitCNN(classes=4)
    x = digits("val")[0][7]

    def convolution(maps, layer):
        result = np.stack([np.full((len(maps[0]) - 2,) * 2, bias.item()) for bias in layer.bias])
        for o, c in np.ndindex(layer.weight.shape[:2]):
            kernel = layer.weight[o, c].detach().numpy()
            result[o] += scipy.signal.correlate2d(maps[c], kernel, mode="valid")
        return result

    def relu_and_pool(maps):
        side = maps.shape[1] // 2
        maps = np.maximum(maps, 0)[:, : 2 * side, : 2 * side]
        return maps.reshape(len(maps), side, 2, side, 2).max(axis=(2, 4))

    maps = relu_and_pool(convolution(x.numpy(), model.features.conv1))
    maps = relu_and_pool(convolution(maps, model.features.conv2))
    hidden, output = model.classifier.hidden, model.classifier.output
    values = np.maximum(
        hidden.weight.detach().numpy() @ maps.flatten() + hidden.bias.detach().numpy(), 0
    )
    expected = output.weight.detach().numpy() @ values + output.bias.detach().numpy()
    with torch.no_grad():
        np.testing.assert_allclose(model(x[None])[0], expected, atol=1e-5)


def test_digit_cnn_with_dropout():
    model = DigitCNN(dropout=0.5)
    assert list(dict(model.classifier.named_children())) == [
        "flatten",
        "hidden",
        "relu",
        "dropout",
        "output",
    ]
    assert model.state_dict().keys() == DigitCNN().state_dict().keys()
    x = digits("val")[0][:4]
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


# GapCNN


def test_gap_cnn_has_about_50_thousand_parameters():
    by_hand = 9 * (1 * 16 + 16 * 32 + 32 * 48 + 48 * 64) + 2 * (16 + 32 + 48 + 64) + 64 * 10 + 10
    assert parameters(GapCNN()) == by_hand == 47_194
    documented = re.findall(r"^ +\S.+?  +\S+ +([\d,]+)$", GapCNN.__doc__, re.MULTILINE)
    assert sum(int(number.replace(",", "")) for number in documented) == by_hand


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (64, 48)), (3, (9, 30))])
def test_gap_cnn_scores_are_means_of_the_class_activation_maps(channels, size):
    model = GapCNN(classes=5, channels=channels).eval()
    x = sample_image("coffee", gray=channels == 1)[None, :, : size[0], : size[1]]
    with torch.no_grad():
        maps = torch.einsum("kc,nchw->nkhw", model.classifier.weight, model.features(x))
        expected = maps.mean(dim=(2, 3)) + model.classifier.bias
        torch.testing.assert_close(model(x), expected)
    assert maps.shape[2:] == (math.ceil(size[0] / 4), math.ceil(size[1] / 4))


def test_gap_cnn_sees_19_pixels():
    model = GapCNN().eval()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)  # all positive: nothing cancels, nothing is cut off
    x = torch.ones(1, 1, 64, 64, requires_grad=True)
    model.features(x)[0, 0, 8, 8].backward()
    touched = x.grad[0, 0] != 0
    assert touched.any(0).sum() == touched.any(1).sum() == 19
    assert "19×19" in inspect.getdoc(GapCNN)


@pytest.mark.parametrize("model", [DigitCNN, GapCNN])
def test_classifiers_learn(model):
    torch.manual_seed(0)
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), 4e-3)
    images, labels = digits("train")
    losses = []
    for _ in range(25):
        loss = F.cross_entropy(network(images[:64]), labels[:64])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(10), abs=0.3)  # it knows nothing …
    assert losses[-1] < 0.4 * losses[0]  # … and learns


# UNet


def test_unet_counts():
    # By hand: down 22, bottom 62, enlarge 9, up 31 (with one map handed over) or 22, output 2.
    assert parameters(UNet(1, 1, width=1, depth=1)) == 22 + 62 + 9 + 31 + 2
    assert parameters(UNet(1, 1, width=1, depth=1, skips=False)) == 22 + 62 + 9 + 22 + 2
    # The count of the widely used implementation milesial/Pytorch-UNet, 3 channels to 1.
    assert parameters(UNet(3, 1, width=64, depth=4)) == 31_037_633


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 24), (5, 7), (8, 9), (1, 1)])
def test_unet_keeps_the_size_by_repeating_the_last_row_and_column(height, width, skips):
    model = UNet(2, 3, width=2, depth=3, skips=skips).eval()
    x = torch.rand(2, 2, height, width)
    rows = [min(i, height - 1) for i in range(8 * math.ceil(height / 8))]
    cols = [min(i, width - 1) for i in range(8 * math.ceil(width / 8))]
    with torch.no_grad():
        result = model(x)
        expected = model(x[:, :, rows][:, :, :, cols])[:, :, :height, :width]
    assert result.shape == (2, 3, height, width)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("skips", [True, False])
def test_unet_hands_over_what_it_saw_only_with_skips(skips):
    model = UNet(1, 1, width=4, depth=2, skips=skips).eval()
    model.bottom.register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
    with torch.no_grad():
        results = [model(sample_image(n, gray=True, size=32)[None]) for n in ("cat", "coffee")]
    assert torch.equal(*results) == (not skips)


def test_unet_levels_have_the_documented_shapes():
    model = UNet(3, 1).eval()
    shapes = {}
    for name in ("down.0", "down.1", "down.2", "bottom", "up.2", "up.1", "up.0"):
        module = model.get_submodule(name)
        module.register_forward_hook(
            lambda _m, _i, out, name=name: shapes.__setitem__(name, tuple(out.shape[1:]))
        )
    model(torch.rand(1, 3, 64, 48))
    full, half, quarter, eighth = (16, 64, 48), (32, 32, 24), (64, 16, 12), (128, 8, 6)
    assert list(shapes.values()) == [full, half, quarter, eighth, quarter, half, full]


@pytest.mark.parametrize("skips", [True, False])
def test_unet_trains_every_parameter_and_normalises(skips):
    model = UNet(1, 2, width=4, depth=2, skips=skips)
    model(sample_image("cat", gray=True, size=32).repeat(2, 1, 1, 1)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == 10


# All of them


@pytest.mark.parametrize(
    ("model", "shape", "layers"),
    [
        (DigitCNN(), (1, 28, 28), ["features.conv2", "classifier.hidden"]),
        (GapCNN(channels=3), (3, 40, 30), ["features.block4.conv", "pool"]),
        (UNet(1, 1, width=4), (1, 21, 33), ["down.1.relu2", "bottom", "up.0"]),
        (EfficientNetLite0(3), (3, 65, 64), ["features.stage5.2.project.conv", "features.head"]),
    ],
)
def test_layers_can_be_named_and_devices_changed(model, shape, layers):
    model.eval()
    x = torch.rand(2, *shape)
    with torch.no_grad():
        features = create_feature_extractor(model, layers)(x)
        assert list(features) == layers
        result = model(x)
        other = "cuda" if torch.cuda.is_available() else "meta"
        moved = model.to(other)(x.to(other))
    assert moved.device.type == other
    assert moved.shape == result.shape


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EfficientNetLite0(0), ValueError, "classes to be at least 1, got 0"),
        (lambda: EfficientNetLite0(True), TypeError, "classes to be an integer, got True"),
        (lambda: DigitCNN(classes=-1), ValueError, "classes to be at least 1, got -1"),
        (lambda: DigitCNN(classes="10"), TypeError, "classes to be an integer, got '10'"),
        (lambda: DigitCNN(dropout=1.0), ValueError, r"at least 0 and below 1, got 1\.0"),
        (lambda: DigitCNN(dropout=-0.1), ValueError, r"at least 0 and below 1, got -0\.1"),
        (lambda: DigitCNN(dropout=math.nan), ValueError, "at least 0 and below 1, got nan"),
        (lambda: DigitCNN(dropout="0.5"), TypeError, "dropout to be a number, got '0.5'"),
        (lambda: GapCNN(channels=0), ValueError, "channels to be at least 1, got 0"),
        (lambda: GapCNN(1.5), TypeError, r"classes to be an integer, got 1\.5"),
        (lambda: UNet(0, 1), ValueError, "channels_in to be at least 1, got 0"),
        (lambda: UNet(1, 0), ValueError, "channels_out to be at least 1, got 0"),
        (lambda: UNet(1, 1, width=0), ValueError, "width to be at least 1, got 0"),
        (lambda: UNet(1, 1, depth=0), ValueError, "depth to be at least 1, got 0"),
        (lambda: UNet(1, 1, skips="no"), TypeError, "skips to be True or False, got 'no'"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
