"""dlip.explain.occlusion against a plain loop and against Captum; what all methods share."""

import captum.attr
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Flat, Small, Sum, assert_same_traces, lite0, photograph, traces, worn
from torch import nn

from dlip.explain import cam, deletion_insertion, grad_cam, lime, occlusion
from dlip.explain._common import images_at_once

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


IMAGE = torch.randn(3, 16, 20, generator=torch.Generator().manual_seed(1))


def plain_loop(model, image, target, window, stride, gray):
    """The same as occlusion, as one would write it down first."""
    height, width = image.shape[1:]
    before = model(image[None])[0, target]
    drops = [[[] for _ in range(width)] for _ in range(height)]
    y = 0
    while True:
        x = 0
        while True:
            covered = image.clone()
            covered[:, y : y + window, x : x + window] = gray
            drop = (before - model(covered[None])[0, target]).item()
            for row in drops[y : y + window]:
                for cell in row[x : x + window]:
                    cell.append(drop)
            if x + window >= width:
                break
            x += stride
        if y + window >= height:
            break
        y += stride
    return torch.tensor([[sum(cell) / len(cell) for cell in row] for row in drops])


@pytest.mark.parametrize(
    ("window", "stride", "gray"), [(8, 4, 0.0), (5, 3, 0.5), (16, 16, -1.0), (3, 2, 0), (7, 7, 0)]
)
def test_against_a_plain_loop(window, stride, gray):
    model = Small().eval()
    with torch.no_grad():
        expected = plain_loop(model, IMAGE, 2, window, stride, gray)
    result = occlusion(model, IMAGE, 2, window=window, stride=stride, baseline=gray)
    assert result.shape == (16, 20)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


@given(
    st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), st.integers(1, 5)
)
@settings(max_examples=20)
def test_against_captum(height, width, window, stride, batch_size):
    window = min(window, height, width)
    stride = min(stride, window)
    generator = torch.Generator().manual_seed(height * width)
    model = Sum(torch.randn(3, 2, height, width, generator=generator).double())
    image = torch.randn(2, height, width, generator=generator).double()
    expected = captum.attr.Occlusion(model).attribute(
        image[None], (2, window, window), (2, stride, stride), baselines=0.25, target=1
    )
    result = occlusion(
        model, image, 1, window=window, stride=stride, baseline=0.25, batch_size=batch_size
    )
    torch.testing.assert_close(result.float(), expected[0, 0])


def test_against_captum_on_a_photograph():
    image = photograph()
    result = occlusion(lite0(), image, window=64, stride=60)
    with torch.no_grad():
        target = lite0()(image[None]).argmax().item()
        expected = captum.attr.Occlusion(lite0()).attribute(
            image[None], (3, 64, 64), (3, 60, 60), target=target
        )
    torch.testing.assert_close(result, expected[0, 0], rtol=1e-4, atol=1e-4)
    assert result.abs().max() > 1


def test_baseline_may_be_a_colour_or_an_image():
    model = Sum(torch.ones(1, 3, 4, 4))
    image = torch.ones(3, 4, 4)
    color = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1)
    # Covering a pixel takes away 1, a half and nothing from its three channels.
    expected = torch.full((4, 4), 1.5 * 4)
    torch.testing.assert_close(
        occlusion(model, image, window=2, stride=2, baseline=color), expected
    )
    whole = color.expand(3, 4, 4)
    torch.testing.assert_close(
        occlusion(model, image, window=2, stride=2, baseline=whole), expected
    )


def test_the_batch_size_does_not_matter():
    model = Small().eval()
    one, many = (
        occlusion(model, IMAGE, 0, window=4, stride=3, batch_size=size) for size in (1, 50)
    )
    torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-5)


def test_images_at_once(monkeypatch):
    assert images_at_once(None, torch.zeros(3, 224, 224)) == 4
    assert images_at_once(None, torch.zeros(1, 28, 28)) == 256
    assert images_at_once(None, torch.zeros(3, 2000, 2000)) == 1
    assert images_at_once(7, torch.zeros(3, 2000, 2000)) == 7
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 2**33))

    class OnGraphicsCard:
        device = torch.device("cuda")
        numel = torch.zeros(3, 224, 224).numel
        element_size = torch.zeros(1).element_size

    assert images_at_once(None, OnGraphicsCard()) == 2**30 // (100 * 4 * 3 * 224 * 224)


def test_progress(capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    occlusion(Small(), IMAGE, 0, window=8, stride=8)
    assert capsys.readouterr().err == ""
    occlusion(Small(), IMAGE, 0, window=8, stride=8, progress=True)
    assert "occlusion: 100%" in capsys.readouterr().err


# What all methods share


ATTRIBUTION = torch.rand(16, 20)
SEGMENTS = torch.arange(320).reshape(16, 20) // 40

METHODS = {
    "occlusion": lambda model, image, target=None: occlusion(
        model, image, target, window=8, stride=8
    ),
    "cam": cam,
    "grad_cam": grad_cam,
    "lime": lambda model, image, target=None: lime(
        model, image, target, segments=SEGMENTS, samples=12
    ),
    "deletion_insertion": lambda model, image, target=None: (
        deletion_insertion(model, image, ATTRIBUTION, target, steps=3).deletion
    ),
}


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


def test_the_model_is_left_as_it_was(method):
    model = worn(Small())
    before = traces(model)
    method(model, IMAGE)
    assert_same_traces(before, traces(model))


def test_the_model_is_left_as_it_was_after_an_error(method):
    model = worn(Small())
    before = traces(model)
    with pytest.raises(ValueError):
        method(model, IMAGE, 99)
    with pytest.raises(ValueError):
        method(model, IMAGE[:2])

    class Interrupted(Exception):
        pass

    def interrupt(module, inputs, output):
        raise Interrupted

    with pytest.raises(Interrupted), model.classifier.register_forward_hook(interrupt):
        method(model, IMAGE)
    assert_same_traces(before, traces(model))


def test_buffers_are_left_even_by_a_layer_that_always_trains(method):
    class Stubborn(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(True)

    model = Small()
    model.features.norm1 = Stubborn(6)
    before = traces(model)
    method(model, IMAGE)
    assert_same_traces(before, traces(model))


def test_the_model_is_evaluated_without_dropout(method):
    model = Small()
    trained = method(model.train(), IMAGE, 1)
    assert torch.equal(trained, method(model.eval(), IMAGE, 1))


def test_global_random_state_is_left(method):
    state = torch.get_rng_state()
    method(MODEL, IMAGE)
    assert torch.equal(state, torch.get_rng_state())


MODEL = Small().eval()


def test_works_without_and_with_gradients_switched_off(method):
    expected = method(MODEL, IMAGE, 1)
    assert not expected.requires_grad
    with torch.no_grad():
        assert torch.equal(method(MODEL, IMAGE, 1), expected)
    with torch.inference_mode():
        assert torch.equal(method(MODEL, IMAGE.clone(), 1), expected)
    image = IMAGE.clone().requires_grad_()
    assert torch.equal(method(MODEL, image, 1), expected)
    assert image.grad is None
    frozen = Small().eval().requires_grad_(False)
    assert torch.equal(method(frozen, IMAGE, 1), expected)


def test_target(method):
    predicted = MODEL(IMAGE[None]).argmax().item()
    assert torch.equal(method(MODEL, IMAGE), method(MODEL, IMAGE, predicted))
    assert torch.equal(method(MODEL, IMAGE, 1), method(MODEL, IMAGE, torch.tensor(1)))
    assert not torch.equal(method(MODEL, IMAGE, 1), method(MODEL, IMAGE, 2))


def test_dtype_of_the_image(method):
    assert method(MODEL, IMAGE).dtype == torch.float32
    double = method(MODEL, IMAGE.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), method(MODEL, IMAGE))


def test_an_image_laid_out_otherwise(method):
    turned = IMAGE.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    torch.testing.assert_close(method(MODEL, turned), method(MODEL, IMAGE), rtol=1e-4, atol=1e-5)
    copy = turned.clone()
    method(MODEL, turned)
    assert torch.equal(turned, copy)  # the image is left, too


@pytest.mark.parametrize(
    ("image", "target", "error", "message"),
    [
        (IMAGE.numpy(), None, TypeError, "torch.Tensor, got ndarray"),
        (IMAGE.byte(), None, TypeError, "floating-point values, got torch.uint8"),
        (IMAGE[None], None, ValueError, r"got a batch of shape \(1, 3, 16, 20\).*batch\[0\]"),
        (IMAGE[0], None, ValueError, r"shape \(C, H, W\), got \(16, 20\)"),
        (IMAGE[:, :0], None, ValueError, r"shape \(C, H, W\), got \(3, 0, 20\)"),
        (IMAGE / 0, None, ValueError, "image with NaN or infinity"),
        (IMAGE * torch.nan, None, ValueError, "image with NaN or infinity"),
        (IMAGE[:1], None, ValueError, r"cannot take an image of shape \(1, 16, 20\).*3 channels"),
        (IMAGE, 4, ValueError, "a target from 0 to 3.*4 classes, got 4"),
        (IMAGE, -1, ValueError, "a target from 0 to 3.*got -1"),
        (IMAGE, 1.0, TypeError, r"as an integer, got 1.0 \(float\)"),
        (IMAGE, True, TypeError, r"as an integer, got True \(bool\)"),
        (IMAGE, "cat", TypeError, "as an integer, got 'cat'"),
        (IMAGE, torch.tensor([1, 2]), TypeError, "as an integer, got tensor"),
    ],
)
def test_bad_input(method, image, target, error, message):
    with pytest.raises(error, match=message):
        method(MODEL, image, target)


class Otherwise(nn.Module):
    """A model whose output is what a function makes of the input's mean colour."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("resnet", TypeError, r"torch.nn.Module, got 'resnet' \(str\)"),
        (Otherwise(lambda x: {"scores": x}), TypeError, "that returns a dict"),
        (Otherwise(lambda x: x[:, 0]), ValueError, r"makes \(1,\) of \(1, 3, 16, 20\)"),
        (Otherwise(lambda x: x / 0), ValueError, "the model returns NaN or infinity"),
    ],
)
def test_bad_model(method, model, error, message):
    with pytest.raises(error, match=message):
        method(model, IMAGE)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"window": 17}, ValueError, "at most 16 pixels, the shorter side.*16×20, got 17"),
        ({"window": 0}, ValueError, "window to be at least 1, got 0"),
        ({"window": 2.0}, TypeError, r"window to be an integer, got 2.0"),
        ({"window": 4, "stride": 5}, ValueError, "stride of at most 4.*got 5"),
        ({"window": 4, "stride": 0}, ValueError, "stride to be at least 1, got 0"),
        ({"window": 4, "batch_size": 0}, ValueError, "batch_size to be at least 1, got 0"),
        ({"window": 4, "baseline": "gray"}, TypeError, "number or a tensor, got 'gray'"),
        ({"window": 4, "baseline": torch.nan}, ValueError, "finite baseline"),
        (
            {"window": 4, "baseline": torch.zeros(2, 1, 1)},
            ValueError,
            r"shape \(3, 16, 20\), got shape \(2, 1, 1\)",
        ),
    ],
)
def test_occlusion_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        occlusion(MODEL, IMAGE, **{"stride": 2} | options)


def test_a_network_of_one_channel_and_linear_layers():
    image = torch.randn(1, 12, 12)
    with torch.no_grad():
        expected = plain_loop(Flat(), image, 0, 6, 3, 0.0)
    torch.testing.assert_close(
        occlusion(Flat(), image, 0, window=6, stride=3), expected, rtol=1e-4, atol=1e-5
    )
