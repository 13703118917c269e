"""A small book to build and to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mini import MiniBook


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small book, executed once; tests work on copies of it."""
    root = tmp_path_factory.mktemp("mini")
    mini = MiniBook(root)
    done = mini.build()
    assert done.returncode == 0, done.stdout
    return root


@pytest.fixture
def mini(built: Path, tmp_path: Path) -> MiniBook:
    """A fresh copy of the small book, with what has been built."""
    target = tmp_path / "book"
    shutil.copytree(built, target, symlinks=True)
    return MiniBook.at(target)
