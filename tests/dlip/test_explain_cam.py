"""cam and grad_cam against the definition, torchvision's networks and grad-cam; overlay."""

import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from nets import Flat, Small, lite0, photograph
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from dlip.explain import cam, grad_cam, overlay
from dlip.inspect import feature_maps
from dlip.models import DigitCNN, GapCNN

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


IMAGE = torch.randn(3, 16, 20, generator=torch.Generator().manual_seed(1))


def enlarged(small, image):
    return F.interpolate(small[None, None], image.shape[1:], mode="bilinear")[0, 0]


# CAM


@pytest.mark.parametrize("target", [0, 3])
def test_cam_is_the_weighted_sum_of_the_maps(target):
    model = Small().eval()
    maps = feature_maps(model, IMAGE, "features.relu2")["features.relu2"]
    weights = model.classifier.weight[target].detach()
    expected = torch.einsum("k,khw->hw", weights, maps)
    torch.testing.assert_close(cam(model, IMAGE, target), enlarged(expected, IMAGE))
    # The definition: its mean and the bias are the score.
    score = model(IMAGE[None])[0, target]
    torch.testing.assert_close(expected.mean() + model.classifier.bias[target], score)


@pytest.mark.parametrize(
    ("model", "layer", "linear", "shape"),
    [
        (GapCNN(), "features", "classifier", (1, 28, 28)),
        (torchvision.models.resnet18(), "layer4", "fc", (3, 64, 96)),
        (torchvision.models.densenet121(), "features", "classifier", (3, 64, 64)),
        (torchvision.models.mobilenet_v2(), "features", "classifier.1", (3, 64, 64)),
        (lite0(), "features", "classifier", (3, 224, 224)),
    ],
    ids=["gap", "resnet18", "densenet121", "mobilenet_v2", "lite0"],
)
def test_cam_finds_maps_and_weights(model, layer, linear, shape):
    image = torch.randn(shape)
    maps = feature_maps(model, image, layer)[layer]
    maps = maps.relu()  # DenseNet's activation is no layer
    weights = model.get_submodule(linear).weight[7].detach()
    expected = torch.einsum("k,khw->hw", weights, maps)
    torch.testing.assert_close(
        cam(model, image, 7), enlarged(expected, image), rtol=1e-3, atol=1e-5
    )


def test_cam_of_maps_that_are_as_large_as_one_pixel():
    model = nn.Sequential(
        nn.Conv2d(1, 5, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)
    )
    image = torch.randn(1, 4, 4)
    expected = model(image[None])[0, 1] - model[3].bias[1]
    torch.testing.assert_close(cam(model, image, 1), expected.detach().expand(4, 4))


def test_cam_in_16_bits():
    model = Small().eval().bfloat16()
    result = cam(model, IMAGE, 1)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, cam(Small().eval(), IMAGE, 1), rtol=0.1, atol=0.05)


class Softmaxed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Small()

    def forward(self, x):
        return self.inner(x).softmax(1)


@pytest.mark.parametrize(
    ("model", "image", "message"),
    [
        (Flat(), torch.randn(1, 12, 12), r"into its last linear layer, \(16,\), are not the means"),
        (DigitCNN(), torch.randn(1, 28, 28), r"into its last linear layer, \(50,\), are not"),
        (Softmaxed(), IMAGE, "its last linear layer does not make the scores"),
        (
            nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
            IMAGE,
            "it has no torch.nn.Linear; grad_cam works",
        ),
    ],
)
def test_cam_needs_pooling_and_one_linear_layer(model, image, message):
    with pytest.raises(ValueError, match=rf"pooling and one linear layer, but .*{message}"):
        cam(model, image)


# Grad-CAM


def by_grad_cam_package(model, layer, image, target):
    """Our unit: the package divides its result by the maximum, so ours is divided as well."""
    with GradCAM(model, [model.get_submodule(layer)]) as explain:
        return torch.from_numpy(explain(image[None], [ClassifierOutputTarget(target)])[0])


def scaled(small):
    return (small - small.min()) / (small.max() - small.min())


@pytest.mark.parametrize("target", [281, 282, 285, 0, 999])
def test_grad_cam_of_lite0_against_the_package(target):
    # It divides small maps and large ones by their maximum, and enlarges with OpenCV's
    # bilinear interpolation, whose grid is the same.
    image = photograph()
    expected = by_grad_cam_package(lite0(), "features", image, target)
    result = grad_cam(lite0(), image, target)
    assert result.max() > 0
    torch.testing.assert_close(scaled(result), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("target", [0, 1, 2, 3])
@pytest.mark.parametrize("layer", ["features.conv1", "features.relu2"])
def test_grad_cam_of_a_small_network_against_the_package(target, layer):
    # The package cannot look at the layer before a ReLU in place.
    model = Small().eval()
    for name in ("relu1", "relu2"):
        setattr(model.features, name, nn.ReLU())
    expected = by_grad_cam_package(model, layer, IMAGE, target)
    result = grad_cam(model, IMAGE, target, layer=layer)
    if expected.max() == 0:
        assert result.max() == 0
    else:
        torch.testing.assert_close(scaled(result), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_grad_cam_against_the_definition(count, relu):
    model = Flat().eval()
    names = ["conv", "relu", "pool"]
    image = torch.randn(1, 12, 12)
    for target in range(3):
        maps = image[None]
        for name in names[:count]:
            maps = getattr(model, name)(maps)
        maps = maps.detach().requires_grad_()
        x = maps
        for name in names[count:]:
            x = getattr(model, name)(x)
        model.output(model.hidden(x.flatten(1)).relu())[0, target].backward()
        small = torch.einsum("k,khw->hw", maps.grad[0].mean((1, 2)), maps[0].detach())
        small = small.relu() if relu else small
        result = grad_cam(model, image, target, layer=names[count - 1], relu=relu)
        torch.testing.assert_close(result, enlarged(small, image))


def test_grad_cam_by_hand():
    # Two maps of 2×2 pixels, x and −x; score 0 is 8·mean of the first. Its gradient is 2 each.
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        model[3].weight.copy_(torch.tensor([[8.0, 0.0], [0.0, 8.0]]))
    image = torch.tensor([[[1.0, -2.0], [3.0, 4.0]]])
    assert grad_cam(model, image, 0).tolist() == [[2, 0], [6, 8]]
    assert grad_cam(model, image, 0, relu=False).tolist() == [[2, -4], [6, 8]]
    assert grad_cam(model, image, 1, relu=False).tolist() == [[-2, 4], [-6, -8]]


@pytest.mark.parametrize(
    ("model", "shape", "layer"),
    [(GapCNN(), (1, 28, 28), "features"), (torchvision.models.resnet18(), (3, 64, 96), "layer4")],
    ids=["gap", "resnet18"],
)
def test_grad_cam_is_cam_where_cam_applies(model, shape, layer):
    image = torch.randn(shape)
    places = feature_maps(model, image, layer)[layer][0].numel()
    for target in (0, 9):
        torch.testing.assert_close(
            grad_cam(model, image, target, relu=False) * places,
            cam(model, image, target),
            rtol=1e-3,
            atol=1e-4,
        )


@pytest.mark.parametrize(
    ("model", "shape", "layer"),
    [
        (DigitCNN(), (1, 28, 28), "features.relu2"),
        (GapCNN(), (1, 28, 28), "features"),
        (lite0(), (3, 96, 96), "features"),
        (torchvision.models.resnet18(), (3, 64, 64), "layer4"),
        (torchvision.models.alexnet(), (3, 96, 96), "features.11"),
        (torchvision.models.googlenet(init_weights=False), (3, 64, 64), "inception5b"),
        (torchvision.models.squeezenet1_1(), (3, 64, 64), "classifier.2"),
    ],
    ids=["digit", "gap", "lite0", "resnet18", "alexnet", "googlenet", "squeezenet"],
)
def test_default_layer_is_the_last_before_pooling(model, shape, layer):
    image = torch.randn(shape)
    result = grad_cam(model, image, relu=False)
    assert result.abs().sum() > 0
    assert torch.equal(result, grad_cam(model, image, layer=layer, relu=False))


def test_grad_cam_before_a_relu_in_place_sees_what_the_layer_returned():
    in_place, apart = Small().eval(), Small().eval()
    apart.features.relu2 = nn.ReLU()
    for relu in (True, False):
        torch.testing.assert_close(
            grad_cam(in_place, IMAGE, 1, layer="features.norm2", relu=relu),
            grad_cam(apart, IMAGE, 1, layer="features.norm2", relu=relu),
        )


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("feature", ValueError, "no layer 'feature'. Did you mean 'features'"),
        (
            "features.relu3",
            ValueError,
            "mean 'features.relu[12]'.*outermost layers: features, drop",
        ),
        ("dropout", ValueError, r"feature maps .*but 'dropout' returns \(1, 8\)"),
        ("spare", ValueError, "a layer that the score depends on, got 'spare'"),
        (-1, TypeError, r"name of a layer as a string, got -1"),
    ],
)
def test_grad_cam_bad_layer(layer, error, message):
    model = Small()
    model.spare = nn.Conv2d(1, 1, 1)
    with pytest.raises(error, match=message):
        grad_cam(model, IMAGE, layer=layer)


def test_grad_cam_of_a_layer_whose_result_is_thrown_away():
    class Wasteful(Small):
        def forward(self, x):
            self.side(x)
            return super().forward(x)

    model = Wasteful()
    model.side = nn.Conv2d(3, 3, 1)
    for frozen in (False, True):
        with pytest.raises(ValueError, match="the score depends on, got 'side'"):
            grad_cam(model.requires_grad_(not frozen), IMAGE, layer="side")


def test_grad_cam_of_a_layer_that_is_used_twice_takes_the_last_maps():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 4)

        def forward(self, x):
            return self.linear(self.conv(self.conv(x).relu()).mean((2, 3)))

    model = Twice().eval()
    first = model.conv(IMAGE[None]).relu()
    result = grad_cam(model, IMAGE, 1, layer="conv", relu=False)
    # After the last convolution the network is global average pooling and a linear layer.
    weights = model.linear.weight[1].detach() / (16 * 20)
    expected = torch.einsum("k,khw->hw", weights, model.conv(first)[0].detach())
    torch.testing.assert_close(result, expected)


def test_grad_cam_needs_convolutions():
    model = nn.Sequential(nn.Flatten(), nn.Linear(960, 2))
    with pytest.raises(ValueError, match=r"a model with convolutions .*found none"):
        grad_cam(model, IMAGE)


# Overlay


def test_overlay_of_signed_values():
    values = torch.tensor([[-2.0, 0.0, 1.0, 2.0]])
    image = torch.zeros(3, 1, 4)
    colors = overlay(image, values, alpha=1.0)[:, 0]
    assert colors[2, 0] > colors[0, 0]  # negative: blue
    assert colors[:, 1].tolist() == [1, 1, 1]  # zero: white
    assert colors[0, 3] > colors[2, 3]  # positive: red
    assert 1 > colors[1, 2] > colors[1, 3]  # the stronger, the larger
    torch.testing.assert_close(overlay(image, values), colors[:, None] / 2)


def test_overlay_without_negative_values():
    values = torch.tensor([[0.0, 2.5, 5.0]])
    colors = overlay(torch.zeros(1, 1, 3), values, alpha=1.0)
    expected = matplotlib.colormaps["inferno"](np.array([0, 0.5, 1.0]))[:, :3]
    np.testing.assert_allclose(colors[:, 0].T, expected, atol=1e-6)


def test_overlay_mixes():
    image = torch.rand(3, 5, 6)
    values = torch.randn(5, 6)
    torch.testing.assert_close(overlay(image, values, alpha=0.0), image)
    mixed = overlay(image, values, alpha=0.25)
    torch.testing.assert_close(mixed, 0.75 * image + 0.25 * overlay(image, values, alpha=1.0))
    assert mixed.min() >= 0 and mixed.max() <= 1
    gray = overlay(image[:1], values, alpha=0.25)
    torch.testing.assert_close(gray, overlay(image[:1].expand(3, -1, -1), values, alpha=0.25))
    assert gray.shape == (3, 5, 6)
    assert overlay(image.double(), values).dtype == torch.float64


def test_overlay_of_nothing_is_even():
    colors = overlay(torch.zeros(1, 2, 2), torch.zeros(2, 2), alpha=1.0)
    expected = torch.tensor(matplotlib.colormaps["inferno"](0.0)[:3])
    torch.testing.assert_close(colors[:, 0, 0], expected.float())
    assert (colors == colors[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("image", "values", "alpha", "error", "message"),
    [
        (
            np.zeros((3, 4, 4)),
            torch.zeros(4, 4),
            0.5,
            TypeError,
            "image as a torch.Tensor, got nda",
        ),
        (torch.zeros(3, 4, 4), [[0.0]], 0.5, TypeError, "attribution as a torch.Tensor, got list"),
        (torch.zeros(3, 4, 4).byte(), torch.zeros(4, 4), 0.5, TypeError, "got torch.uint8"),
        (torch.zeros(4, 4), torch.zeros(4, 4), 0.5, ValueError, r"or \(1, H, W\), got \(4, 4\)"),
        (torch.zeros(2, 4, 4), torch.zeros(4, 4), 0.5, ValueError, r"got \(2, 4, 4\)"),
        (torch.zeros(3, 4, 4), torch.zeros(4, 5), 0.5, ValueError, r"size \(4, 4\), got \(4, 5\)"),
        (torch.zeros(3, 4, 4), torch.zeros(1, 4, 4), 0.5, ValueError, r"got \(1, 4, 4\)"),
        (torch.zeros(3, 4, 4), torch.zeros(4, 4) / 0, 0.5, ValueError, "attribution with NaN"),
        (torch.full((3, 4, 4), 1.5), torch.zeros(4, 4), 0.5, ValueError, "from 1.5 to 1.5; undo"),
        (torch.zeros(3, 4, 4) / 0, torch.zeros(4, 4), 0.5, ValueError, "from 0 to 1, got .* nan"),
        (torch.zeros(3, 4, 4), torch.zeros(4, 4), 1.5, ValueError, "alpha from 0 to 1, got 1.5"),
    ],
)
def test_overlay_bad_input(image, values, alpha, error, message):
    with pytest.raises(error, match=message):
        overlay(image, values, alpha=alpha)
