"""The numbers in the prose are the recorded ones, and executing twice gives the same."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import glued  # noqa: E402
import repeat  # noqa: E402

RECORD = glued.load(ROOT)


@pytest.fixture(scope="module")
def notebooks():
    """The chapters with the outputs of the last build."""
    return glued.executed(ROOT)


@pytest.mark.parametrize("chapter", sorted(RECORD["numbers"]))
def test_numbers_are_as_recorded(chapter, notebooks):
    now = glued.numbers(notebooks[chapter])
    lines = glued.differences(RECORD["numbers"][chapter], now)
    assert not lines, "\n".join([*lines, "If this is intended: make numbers"])


def test_every_chapter_with_numbers_is_recorded(notebooks):
    assert {name for name in notebooks if glued.numbers(notebooks[name])} == set(RECORD["numbers"])


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        (1.0, 1.119, 0),  # 0.02 + 0.1 · 1 may differ
        (1.0, 1.121, 1),
        (-1.0, -0.87, 1),
        (0.0, 0.019, 0),
        (0.0, 0.021, 1),
        ("left", "left", 0),
        ("left", "right", 1),
    ],
)
def test_tolerance(old, new, count):
    recorded, now = ({name: value for name in "abc"} for value in (old, new))
    assert len(glued.differences(recorded, now)) == 3 * count


def test_a_few_numbers_of_a_chapter_may_differ():
    recorded = {f"n{i}": 1.0 for i in range(60)}
    for far, reported in ((3, 0), (4, 4)):  # 5 % of 60 are 3
        now = recorded | {f"n{i}": 2.0 for i in range(far)}
        assert len(glued.differences(recorded, now)) == reported
    few = {"a": 1.0, "b": 1.0, "c": 1.0}
    assert glued.differences(few, few | {"a": 2.0, "b": 2.0}) == []
    assert len(glued.differences(few, dict.fromkeys(few, 2.0))) == 3


def test_new_and_lost_numbers_are_reported():
    lines = glued.differences({"lost": 1.0}, {"new": 1.0})
    assert lines == ["lost: is recorded, but not computed", "new: is not recorded"]


QUESTION = "\n:::{question}"


def add_cell(mini, code, tags=""):
    """Add a cell to the small book's chapter, and execute it."""
    mini.edit(QUESTION, f"\n```{{code-cell}} python3\n{tags}{code}\n```\n{QUESTION}")
    assert mini.build("settings", "execute").returncode == 0


def test_executing_again_gives_the_same(mini):
    assert repeat.compare(mini.root, []) == []


def test_a_volatile_cell_may_differ(mini):
    add_cell(mini, "import time\nprint(time.time_ns())", ":tags: [volatile]\n")
    assert repeat.compare(mini.root, []) == []


def test_the_command_says_what_differs(mini):
    add_cell(mini, "import time\nprint(time.time_ns())")
    text = (mini.root / "book/part1/chapter.md").read_text(encoding="utf-8")
    line = text[: text.index("import time")].count("\n")
    done = subprocess.run(
        [sys.executable, mini.root / "tools" / "repeat.py"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"book/part1/chapter.md:{line}:\n- " in done.stderr
    assert done.stderr.count("book/") == 1


def test_the_numbers_of_a_chapter_are_read(mini):
    assert glued.numbers(glued.executed(mini.root)["part1/chapter"]) == {"answer": 42.0}
    mini.edit("answer = 6 * 7", "answer = 6 * 8")
    assert mini.build("settings", "execute").returncode == 0
    assert glued.numbers(glued.executed(mini.root)["part1/chapter"]) == {"answer": 48.0}
