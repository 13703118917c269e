"""The manifest against the real files."""

import hashlib
import importlib
import re
from pathlib import Path

import pytest

from dlip.data import manifest, sample_names

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
    assert entry.kind in {"dataset", "photograph"}
    assert len(entry.description) > 20
    assert len(entry.source) > 20
    assert entry.licence
    assert re.match(r"https://\S+$", entry.licence_url)
    assert (entry.made_by != "") == (entry.kind == "dataset")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_recipe_exists(entry):
    if entry.made_by:
        assert (ROOT / entry.made_by).is_file()


def test_every_shipped_file_stands_in_the_manifest():
    shipped = {path for path in (DATA_DIR / "files").rglob("*") if path.is_file()}
    assert shipped == {entry.file for entry in ENTRIES if entry.kind == "dataset"}


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
