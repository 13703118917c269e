"""The recorded studies: made by the code that is there, and still true."""

import ast
import importlib
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import dlip

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes"))

import _study  # noqa: E402
import train_study  # noqa: E402

RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*_study.py") if path.stem[0] != "_")
STUDIES = {recipe: importlib.import_module(recipe).STUDY for recipe in RECIPES}


@pytest.fixture
def one_thread():
    """The studies were made on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_record_has_a_recipe():
    records = {path.stem for path in (ROOT / "dlip/data/studies").glob("*.json")}
    assert records == {study.name for study in STUDIES.values()}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_code_is_the_one_on_the_card(recipe):
    study = STUDIES[recipe]
    recorded = dlip.data.study(study.name)["card"]["code"]
    now = _study.hashes(study)
    assert now.keys() == recorded.keys()
    assert f"recipes/{recipe}.py" in now
    changed = [name for name in now if now[name] != recorded[name]]
    assert not changed, (
        f"{changed} changed since the study was recorded: run "
        f"`python recipes/{recipe}.py --confirm`, or the study again"
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_repeated_trainings_agree_with_the_record(recipe, one_thread):
    study = STUDIES[recipe]
    assert study.quick()
    assert _study.differences(study, dlip.data.study(study.name)["runs"]) == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_training_is_recorded_once(recipe):
    study = STUDIES[recipe]
    runs = dlip.data.study(study.name)["runs"]
    asked = []

    def look_up(setting):
        asked.append(setting)
        return _study.find(runs, setting)

    rows = []
    for part in study.parts.values():  # also the choices that a part makes are made again
        rows += part(rows, look_up)
    assert len(set(asked)) == len(asked) == len(runs)
    assert sorted(map(str, rows)) == sorted(map(str, runs))


def test_a_record_that_is_wrong_is_noticed():
    setting = train_study.draws()[0]
    row = _study.find(dlip.data.study("digits_training")["runs"], setting)
    fields = vars(train_study.STUDY) | {"quick": lambda: [setting], "train": lambda s: row}
    assert _study.differences(_study.Study(**fields), [row]) == []
    wrong = row | {"val_accuracy": row["val_accuracy"] - 0.02}
    (line,) = _study.differences(_study.Study(**fields), [wrong])
    assert f"val_accuracy {row['val_accuracy']}, recorded {wrong['val_accuracy']}" in line


def test_the_record_can_be_written_and_read_again(tmp_path):
    study = train_study.STUDY
    record = dlip.data.study(study.name)
    parts = list(study.parts)[::-1]  # the order of the rows is put right
    rows = sorted(record["runs"], key=lambda row: parts.index(row["study"]))
    _study.write(tmp_path / "again.json", study, record["card"], rows)
    assert (tmp_path / "again.json").read_bytes() == study.record.read_bytes()


def test_the_result_that_the_chapter_on_training_reports():
    """At least 98 % with augmentation, as the mean of three seeds; less without."""
    runs = dlip.data.study("digits_training")["runs"]
    final = [run for run in runs if run["study"] == "final"]
    mean = {
        name: sum(run["test_accuracy"] for run in final if run["name"] == name) / 3
        for name in ("augmented", "plain")
    }
    assert mean["augmented"] >= 0.98 > mean["plain"]
    for run in final:
        confusion = torch.tensor(run["confusion"])
        assert confusion.sum() == 1000
        assert confusion.trace() == round(1000 * run["test_accuracy"])
        assert len(run["mistakes"]) == 1000 - confusion.trace()


def test_only_the_final_trainings_have_seen_the_test_digits():
    runs = dlip.data.study("digits_training")["runs"]
    assert {run["study"] for run in runs if "test_accuracy" in run} == {"final"}


def test_the_winner_is_the_one_with_the_lowest_validation_loss():
    runs = dlip.data.study("digits_training")["runs"]
    longest = [run for run in runs if run["study"] == "search" and run["epochs"] == 27]
    best = min(longest, key=lambda run: run["val_loss"])
    for setting in train_study.final(runs):
        assert asdict(setting)["lr"] == best["lr"]


def test_the_chapter_shows_the_augmentation_that_was_used():
    text = (ROOT / "book/part3/train.md").read_text(encoding="utf-8")
    cells = re.findall(r"```\{code-cell\} python3\n(.*?)```", text, re.DOTALL)
    (cell,) = [cell for cell in cells if "def move(" in cell]
    tree = ast.parse(cell)
    function = ast.unparse(next(n for n in tree.body if isinstance(n, ast.FunctionDef)))
    names = {"torch": torch, "F": torch.nn.functional}
    exec(function, names)
    images = dlip.data.digits("val")[0][:50]
    for strength in (1.0, 1.7):
        dlip.env.seed(0)
        shown = names["move"](images, strength)
        dlip.env.seed(0)
        assert torch.equal(shown, train_study.move(images, strength))


def test_move_without_strength_changes_nothing():
    images = dlip.data.digits("val")[0][:50]
    torch.testing.assert_close(train_study.move(images, 0.0), images)


def test_unknown_study():
    with pytest.raises(ValueError, match=r"digits_training"):
        dlip.data.study("nothing")
