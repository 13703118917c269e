"""dlip.inspect against torchvision, hand-computed numbers and the gradient's footprint."""

import copy
from collections import OrderedDict

import pytest
import torch
import torchvision
from nets import Flat, Small, assert_same_traces, traces, worn
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from dlip.inspect import ReceptiveField, feature_maps, filters, receptive_field, summary
from dlip.models import DigitCNN, EfficientNetLite0, GapCNN, UNet

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def vgg(variant):
    """The convolutions of VGG-11 ("A") or VGG-16 ("D"), without the 120 million other weights."""
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs[variant])
    return nn.Sequential(OrderedDict(features=layers))


# Summary


def test_summary_by_hand():
    text = summary(DigitCNN(), (1, 28, 28))
    rows = {row.var_name: row for row in text.summary_list}
    assert rows["conv1"].input_size == [1, 1, 28, 28]
    assert rows["conv1"].output_size == [1, 10, 26, 26]
    assert rows["conv1"].num_params == 10 * 9 + 10
    assert rows["conv1"].macs == (10 * 9 + 10) * 26 * 26
    assert rows["conv2"].num_params == 20 * 10 * 9 + 20
    assert rows["hidden"].macs == rows["hidden"].num_params == 500 * 50 + 50
    assert text.total_params == 100 + 1820 + 25050 + 510
    shown = str(text)
    for word in ("Input Shape", "Output Shape", "Param #", "Mult-Adds", "conv2", "[1, 20, 11, 11]"):
        assert word in shown
    assert "Total params: 27,480" in shown
    assert f"Total mult-adds: {100 * 26 * 26 + 1820 * 11 * 11 + 25050 + 510:,}" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_summary_depth():
    flat, deep = (summary(EfficientNetLite0(), (3, 64, 64), depth=depth) for depth in (1, 4))
    assert "features" in str(flat)
    assert "stage3" not in str(flat)
    assert "depthwise" in str(deep)
    # Tan and Le's network with 1,000 classes, as counted by timm, too.
    assert flat.total_params == deep.total_params == 4_652_008


def test_summary_leaves_no_trace():
    model = worn(Small())
    before = traces(model)
    summary(model, (3, 16, 16))
    with pytest.raises(ValueError, match="cannot take"):
        summary(model, (1, 16, 16))
    assert_same_traces(before, traces(model))


def test_summary_of_a_batch():
    rows = summary(GapCNN(), (5, 1, 28, 28)).summary_list
    assert rows[0].output_size == [5, 10]
    assert summary(GapCNN().double(), (1, 28, 28)).total_params > 0


def test_summary_bad_input():
    model = DigitCNN()
    with pytest.raises(ValueError, match=r"\(C, H, W\) or \(N, C, H, W\), got \(28, 28\)"):
        summary(model, (28, 28))
    with pytest.raises(ValueError, match="input_size to be at least 1, got 0"):
        summary(model, (1, 0, 28))
    with pytest.raises(TypeError, match=r"integer, got 2.5"):
        summary(model, (1, 2.5, 28))
    with pytest.raises(ValueError, match="depth to be at least 1, got 0"):
        summary(model, (1, 28, 28), depth=0)
    with pytest.raises(ValueError, match=r"cannot take an input of shape \(3, 28, 28\).*channels"):
        summary(model, (3, 28, 28))
    with pytest.raises(TypeError, match=r"torch.nn.Module, got 'DigitCNN' \(str\)"):
        summary("DigitCNN", (1, 28, 28))


# Filters


def test_filters_are_a_copy_of_the_weights():
    model = torchvision.models.resnet18()
    weights = filters(model, "conv1")
    assert weights.shape == (64, 3, 7, 7)
    assert torch.equal(weights, model.conv1.weight)
    assert not weights.requires_grad
    weights.zero_()
    assert model.conv1.weight.abs().sum() > 0


def test_filters_of_an_unknown_layer_lists_the_convolutions():
    with pytest.raises(
        ValueError,
        match=r"layer 'features.conv3'.*mean 'features.conv[12]'.*Known: features.conv1, features.conv2$",
    ):
        filters(DigitCNN(), "features.conv3")
    with pytest.raises(ValueError, match=r"unknown convolutional layer 'features.pool1'"):
        filters(DigitCNN(), "features.pool1")
    with pytest.raises(ValueError, match="Linear has no convolutional layer"):
        filters(nn.Linear(2, 2), "weight")
    with pytest.raises(TypeError, match="Module, got 3"):
        filters(3, "conv")


# Feature maps


@pytest.mark.parametrize(
    ("model", "shape", "layers"),
    [
        (DigitCNN(), (1, 28, 28), ["features.conv1", "features.pool2", "classifier.hidden"]),
        (torchvision.models.resnet18(), (3, 64, 64), ["conv1", "bn1", "layer2", "layer4.0.bn2"]),
        (vgg("A"), (3, 64, 64), ["features.0", "features.1", "features.20"]),
        (EfficientNetLite0(), (3, 65, 64), ["features.stem", "features.stage3.1.depthwise"]),
        (UNet(1, 1), (1, 20, 20), ["down.1", "bottom", "up.0.relu2"]),
    ],
    ids=["digit", "resnet18", "vgg11", "lite0", "unet"],
)
def test_feature_maps_against_torchvision(model, shape, layers):
    image = torch.randn(shape)
    expected = create_feature_extractor(copy.deepcopy(model).eval(), layers)(image[None])
    maps = feature_maps(model, image, layers)
    assert list(maps) == layers
    for layer in layers:
        # torchvision's tensors are written over by ReLU(inplace=True); ours are copies.
        value = expected[layer][0]
        ours = maps[layer].relu() if (value >= 0).all() else maps[layer]
        torch.testing.assert_close(ours, value)
        assert not maps[layer].requires_grad


def test_feature_maps_before_a_relu_in_place():
    model = Small().eval()
    image = torch.randn(3, 8, 8)
    maps = feature_maps(model, image, ["features.norm1", "features.relu1"])
    assert (maps["features.norm1"] < 0).any()
    assert torch.equal(maps["features.norm1"].relu(), maps["features.relu1"])


def test_feature_maps_where_nothing_can_be_traced():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            return self.conv(x) if x.sum() > 0 else self.conv(-x)

    model = Branching()
    image = torch.ones(1, 5, 5)
    maps = feature_maps(model, image, "conv")
    torch.testing.assert_close(maps["conv"], model.conv(image[None])[0].detach())


def test_feature_maps_evaluate_and_leave_no_trace():
    model = worn(Small())
    before = traces(model)
    image = torch.randn(3, 8, 8)
    first = feature_maps(model, image, "dropout")["dropout"]
    assert torch.equal(first, feature_maps(model, image, "dropout")["dropout"])  # no dropout
    with pytest.raises(ValueError, match=r"cannot take an image of shape \(1, 8, 8\)"):
        feature_maps(model, image[:1], "features.conv2")
    with pytest.raises(ValueError, match="no layer"):
        feature_maps(model, image, "features.conv9")
    assert_same_traces(before, traces(model))


def test_feature_maps_bad_input():
    model, image = Flat(), torch.zeros(1, 12, 12)
    model.spare = nn.Conv2d(1, 1, 1)
    model.pair = nn.LSTM(2, 2)
    with pytest.raises(
        ValueError,
        match=r"no layer 'conf'. Did you mean 'conv'\? Its outermost layers: conv, relu, pool, hidden",
    ):
        feature_maps(model, image, ["conf"])
    with pytest.raises(ValueError, match="does not use its layer 'spare'"):
        feature_maps(model, image, ["conv", "spare"])
    with pytest.raises(TypeError, match="layer as a string, got 1"):
        feature_maps(model, image, [1])
    with pytest.raises(ValueError, match=r"got a batch of shape \(2, 1, 12, 12\).*batch\[0\]"):
        feature_maps(model, torch.zeros(2, 1, 12, 12), "conv")
    with pytest.raises(TypeError, match=r"floating-point values, got torch.uint8"):
        feature_maps(model, image.byte(), "conv")
    with pytest.raises(TypeError, match=r"Module, got None \(NoneType\)"):
        feature_maps(None, image, "conv")

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 4)

        def forward(self, x):
            return self.lstm(x[0])[0]

    with pytest.raises(TypeError, match="'lstm' returns a tuple"):
        feature_maps(Pair(), torch.zeros(1, 4, 4), "lstm")


# Receptive fields


def footprint_model(model):
    """The same network with positive weights, where each pixel has a positive gradient.

    Maxima become means (a maximum has a gradient at one place only) and ReLU6 becomes nothing
    (it has none above 6).
    """
    model = copy.deepcopy(model).eval().double()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, mean)
            elif isinstance(child, nn.ReLU6):
                setattr(module, name, nn.Identity())
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1 if parameter.ndim == 1 else 1 / parameter[0].numel())
    return model


def footprint(model, layer, shape, place):
    """(row, column, height, width) of the pixels with a gradient of one value of a map."""
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    image = torch.ones(1, *shape, dtype=torch.double, requires_grad=True)
    try:
        model(image)
    except RuntimeError:
        assert kept  # the linear layers may want another size: they come later
    hook.remove()
    kept[0][0, :, place[0], place[1]].sum().backward()
    rows, columns = image.grad[0].abs().sum(0).nonzero().T
    top, left = rows.min().item(), columns.min().item()
    return top, left, rows.max().item() - top + 1, columns.max().item() - left + 1


CASES = [
    (DigitCNN(), (1, 28, 28), ["features.conv1", "features.conv2", "features.pool2"]),
    (GapCNN(), (1, 28, 32), ["features.block2", "features"]),
    (vgg("A"), (3, 48, 32), ["features.0", "features.5", "features.11"]),
    (torchvision.models.resnet18(), (3, 64, 80), ["conv1", "layer1", "layer2.0.conv1", "layer2"]),
    (EfficientNetLite0(), (3, 64, 96), ["features.stem", "features.stage2", "features.stage3"]),
    (EfficientNetLite0(), (3, 65, 63), ["features.stem", "features.stage3.0"]),
]


@pytest.mark.parametrize(
    ("model", "shape", "layers"), CASES, ids=["digit", "gap", "vgg11", "resnet18", "lite0", "odd"]
)
def test_receptive_field_is_the_gradient_s_footprint(model, shape, layers):
    positive = footprint_model(model)
    for layer in layers:
        field = receptive_field(model, layer, shape)
        height, width = field.output_size
        for place in [(0, 0), (height // 2, width // 2), (height - 1, width // 3)]:
            assert field.window(*place) == footprint(positive, layer, shape, place), (layer, place)


@pytest.mark.parametrize(
    ("model", "layer", "size", "stride", "padding"),
    [
        # Computed by hand: r + (k − 1)·j for each layer, from the first on.
        (DigitCNN(), "features.conv1", 3, 1, 0),
        (DigitCNN(), "features.pool1", 4, 2, 0),
        (DigitCNN(), "features.conv2", 8, 2, 0),
        (DigitCNN(), "features.pool2", 10, 4, 0),
        (Small(), "features.relu2", 8, 2, 3),
        (torchvision.models.resnet18(), "layer4", 435, 32, 217),
        # Araujo, Norris and Sim (2019) give the same.
        (vgg("D"), "features", 212, 32, 90),
    ],
)
def test_receptive_field_by_hand_and_by_the_literature(model, layer, size, stride, padding):
    channels = next(model.parameters()).shape[1]
    field = receptive_field(model, layer, (channels, 64, 64))
    assert (field.size, field.stride) == ((size, size), (stride, stride))
    assert field.padding == (padding, padding)


def test_receptive_field_of_other_operations():
    block = nn.Sequential(
        nn.Conv2d(1, 2, (1, 7), padding=(0, 3), dilation=(1, 2)), nn.AvgPool2d(3), nn.SiLU()
    )
    field = receptive_field(block, "2", (1, 32, 32))
    # 1×13 pixels, then 3×3 means of neighbours that are one pixel apart
    assert (field.size, field.stride, field.padding) == ((3, 15), (3, 3), (0, 3))
    branches = torchvision.models.googlenet(init_weights=False, aux_logits=False)
    field = receptive_field(branches, "inception3a")
    assert field.size[0] == receptive_field(branches, "inception3a.branch3.1").size[0]
    pooled = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 2, 1))
    assert receptive_field(pooled, "2", (1, 9, 11)).window(0, 0) == (0, 0, 9, 11)
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d((2, 1)))
    field = receptive_field(pooled, "1", (3, 10, 7))
    assert (field.size, field.stride) == ((6, 7), (4, 5))


def test_receptive_field_window_is_cut_off_at_the_edge():
    field = ReceptiveField((5, 7), (2, 2), (2, 3), (10, 10), (5, 5))
    assert field.window(0, 0) == (0, 0, 3, 4)
    assert field.window(2, 2) == (2, 1, 5, 7)
    assert field.window(4, 4) == (6, 5, 4, 5)
    with pytest.raises(ValueError, match=r"a row below 5.*got 5"):
        field.window(5, 0)
    with pytest.raises(ValueError, match="the column to be at least 0, got -1"):
        field.window(0, -1)


def test_receptive_field_leaves_no_trace():
    model = worn(Small())
    before = traces(model)
    receptive_field(model, "features.relu2")
    with pytest.raises(ValueError):
        receptive_field(model, "features.relu2", (1, 8, 8))
    assert_same_traces(before, traces(model))


def test_receptive_field_bad_input():
    with pytest.raises(ValueError, match=r"no layer 'features.conv9'. Did you mean"):
        receptive_field(DigitCNN(), "features.conv9")
    with pytest.raises(ValueError, match=r"'classifier.hidden' returns \(1, 50\)"):
        receptive_field(DigitCNN(), "classifier.hidden", (1, 28, 28))
    with pytest.raises(ValueError, match=r"cannot take an image of shape \(3, 28, 28\)"):
        receptive_field(DigitCNN(), "features.conv1", (3, 28, 28))
    with pytest.raises(ValueError, match=r"shape \(C, H, W\), got \(28, 28\)"):
        receptive_field(DigitCNN(), "features.conv1", (28, 28))
    with pytest.raises(ValueError, match=r"with convolutions, or input_size"):
        receptive_field(nn.Sequential(nn.ReLU()), "0")
    with pytest.raises(ValueError, match="operation 'convolution' on the way is not local"):
        receptive_field(nn.Sequential(nn.ConvTranspose2d(1, 1, 2, 2), nn.ReLU()), "1", (1, 8, 8))
    stubborn = nn.BatchNorm2d(3)
    stubborn.train = lambda mode: stubborn
    with pytest.raises(ValueError, match=r"operation '\w*batch_norm\w*' on the way is not local"):
        receptive_field(nn.Sequential(nn.Conv2d(3, 3, 3), stubborn), "1", (3, 8, 8))
    squeeze = torchvision.models.mobilenet_v3_small()
    with pytest.raises(ValueError, match=r"maps come together.*by \(\d+, \d+\) pixels.*"):
        receptive_field(squeeze, "features.1")
    with pytest.raises(TypeError, match="Module, got 5"):
        receptive_field(5, "conv")
