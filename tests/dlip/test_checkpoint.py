"""The shipped checkpoints load, are what their cards say, and can be made again."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import dlip
from dlip import checkpoint
from dlip.data import manifest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes"))
import _train  # noqa: E402

SCRIPTS = [p.stem for p in sorted((ROOT / "recipes").glob("train_*.py")) if "study" not in p.stem]
RECIPES = [
    recipe
    for script in SCRIPTS
    for recipe in getattr(importlib.import_module(script), "RECIPES", None)
    or [importlib.import_module(script).RECIPE]
]
by_name = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
LARGEST_TOGETHER = 12_000_000


def test_every_checkpoint_has_a_recipe():
    assert {recipe.name for recipe in RECIPES} == set(checkpoint.checkpoint_names())


def test_all_together_are_small():
    entries = [entry for entry in manifest() if entry.kind == "checkpoint"]
    assert entries
    assert all(entry.bytes <= _train.LARGEST for entry in entries)
    assert sum(entry.bytes for entry in entries) <= LARGEST_TOGETHER


@by_name
def test_the_code_is_the_one_on_the_card(recipe):
    card = dlip.zoo.pretrained(recipe.name).card
    now = _train.hashes(recipe)
    assert now.keys() == card["code"].keys()
    changed = [name for name in now if now[name] != card["code"][name]]
    assert not changed, f"{changed} changed since {recipe.name} was trained: train it again"


@by_name
def test_the_card_says_what_the_file_is(recipe):
    loaded = dlip.zoo.pretrained(recipe.name)
    assert loaded.name == recipe.name
    assert not loaded.model.training
    assert type(loaded.model).__name__ == loaded.card["model"]["class"]
    assert sum(p.numel() for p in loaded.model.parameters()) == loaded.card["parameters"]
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    assert loaded.file.stat().st_size == loaded.card["bytes"]
    for key in ("about", "paper", "data", "limits", "seed", "minutes", "command", "licence"):
        assert loaded.card[key] not in ("", None), key
    assert set(recipe.tolerance) == set(loaded.card["figures"])


@by_name
def test_the_shipped_checkpoint_reaches_its_figures(recipe):
    loaded = dlip.zoo.pretrained(recipe.name)
    with torch.random.fork_rng():
        found = recipe.measure(loaded.model)
    for name, value in loaded.card["figures"].items():
        assert found[name] == pytest.approx(value, abs=recipe.tolerance[name]), name


@by_name
def test_a_quick_training_learns(recipe):
    with torch.random.fork_rng():
        losses = _train.quick(recipe)
    name = next(iter(losses[0]))
    values = torch.tensor([step[name] for step in losses])
    assert values.isfinite().all()
    tenth = max(len(values) // 10, 1)
    assert values[-tenth:].mean() < 0.9 * values[:tenth].mean()


@by_name
def test_a_training_goes_on_as_if_it_had_not_stopped(recipe):
    def some(training, numbers):
        return [training.step(number) for number in numbers]

    with torch.random.fork_rng():
        dlip.env.seed(recipe.seed)
        whole = recipe.start(True)
        whole.model.train()
        some(whole, range(2))
        kept, random = whole.state(), torch.get_rng_state()
        kept = torch.load(_saved(kept), weights_only=True)
        expected = some(whole, range(2, 4))

        dlip.env.seed(recipe.seed + 1)
        again = recipe.start(True)
        again.model.train()
        again.restore(kept)
        torch.set_rng_state(random)
        assert some(again, range(2, 4)) == expected


def _saved(state):
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def test_two_are_independent():
    name = checkpoint.checkpoint_names()[0]
    first, second = dlip.zoo.pretrained(name).model, dlip.zoo.pretrained(name).model
    with torch.no_grad():
        next(first.parameters()).add_(1)
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A checkpoint and its card in a folder of their own, which may be damaged."""
    entry = next(entry for entry in manifest() if entry.kind == "checkpoint")
    (tmp_path / "data").mkdir()
    (tmp_path / "weights").mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(entry.file.with_suffix(suffix), tmp_path / "weights")
    module = importlib.import_module("dlip.data.manifest")  # dlip.data.manifest is a function
    monkeypatch.setattr(module, "DATA_DIR", tmp_path / "data")
    assert entry.file.parent == tmp_path / "weights"
    return entry


def test_damaged_file_is_refused(copied):
    content = bytearray(copied.file.read_bytes())
    content[len(content) // 2] ^= 1
    copied.file.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged or another version.*SHA-256"):
        dlip.zoo.pretrained(copied.name)


def test_half_a_file_is_refused(copied):
    copied.file.write_bytes(copied.file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged or another version"):
        dlip.zoo.pretrained(copied.name)


def test_another_network_is_refused(copied, monkeypatch):
    save_file({"weight": torch.zeros(3)}, copied.file)
    monkeypatch.setattr("dlip.checkpoint.verify", lambda entry: None)
    with pytest.raises(RuntimeError, match="Missing key"):
        dlip.zoo.pretrained(copied.name)


def test_no_safetensors_at_all(copied, monkeypatch):
    copied.file.write_bytes(b"no tensors here")
    monkeypatch.setattr("dlip.checkpoint.verify", lambda entry: None)
    with pytest.raises(ValueError, match="no file of safetensors"):
        dlip.zoo.pretrained(copied.name)


@pytest.mark.parametrize(("suffix", "what"), [(".safetensors", "file"), (".json", "card")])
def test_missing_file_is_named(copied, suffix, what):
    copied.file.with_suffix(suffix).unlink()
    with pytest.raises(FileNotFoundError, match=f"the {what} of '{copied.name}' is missing"):
        dlip.zoo.pretrained(copied.name)


def test_unknown_name_lists_the_checkpoints():
    name = checkpoint.checkpoint_names()[0]
    with pytest.raises(ValueError, match=name):
        checkpoint.load_checkpoint("no such checkpoint")


def test_manifest_entry_is_replaced_and_not_repeated(tmp_path, monkeypatch):
    recipe, root = RECIPES[0], tmp_path
    (root / "dlip" / "data").mkdir(parents=True)
    path = root / "dlip" / "data" / "manifest.toml"
    shutil.copy(ROOT / "dlip" / "data" / "manifest.toml", path)
    monkeypatch.setattr(_train, "ROOT", root)
    card = json.loads(recipe.file.with_suffix(".json").read_text())
    before = path.read_text()
    _train.record(recipe, card)
    assert path.read_text() == before  # the same training gives the same entry
    _train.record(recipe, card | {"sha256": "0" * 64})
    assert path.read_text() == before.replace(card["sha256"], "0" * 64)
