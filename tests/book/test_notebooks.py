"""The exported notebooks: valid, readable anywhere, the same code in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "_build" / "notebooks"
NAMES = sorted(
    p.relative_to(NOTEBOOKS / "en").as_posix() for p in (NOTEBOOKS / "en").rglob("*.ipynb")
)
BOTH = [f"{language}/{name}" for language in ("en", "ja") for name in NAMES]

MYST = {
    "a role": r"\{[a-z]+(:[a-z]+)?\}`",
    "a directive": r"^\s*(```|:::+)\s*\{",
    "a colon fence": r"^\s*:::",
    "a label": r"^\([\w-]+\)=\s*$",
    "a glue key": r"\w+\.md::",
    "a placeholder of a citation": r"\[\?\]|cite:",
}


def _read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def _text(notebook: nbformat.NotebookNode) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def test_every_chapter_with_code_is_there() -> None:
    """A notebook a chapter, in both languages."""
    pages = {
        p.relative_to(ROOT / "book").with_suffix(".ipynb").as_posix()
        for p in (ROOT / "book").rglob("*.md")
        if "file_format: mystnb" in p.read_text(encoding="utf-8")
    }
    assert set(NAMES) == pages
    assert {
        p.relative_to(NOTEBOOKS / "ja").as_posix() for p in (NOTEBOOKS / "ja").rglob("*.ipynb")
    } == pages


@pytest.mark.parametrize("name", BOTH)
def test_valid_and_free_of_myst(name: str) -> None:
    """Jupyter reads it, and a reader finds no markup of the book's source."""
    notebook = _read(name)
    nbformat.validate(notebook)
    # code fences and code spans may show anything
    text = re.sub(r"```(?!\{).*?```", "", _text(notebook), flags=re.S)
    text = re.sub(r"(`+)[^`]+\1", "", text)
    for what, pattern in MYST.items():
        found = re.search(pattern, text, re.M)
        assert not found, f"{name}: {what}: {found and found[0]!r}"


@pytest.mark.parametrize("name", BOTH)
def test_links_and_images_are_absolute(name: str) -> None:
    """A notebook is read far away from the site."""
    links = re.findall(r"(?<!\\)\]\(([^)\s]+)", _text(_read(name)))
    assert links
    for link in links:
        assert re.match(r"https?://", link), f"{name}: {link}"


@pytest.mark.parametrize("name", BOTH)
def test_first_cell_installs_only_what_is_missing(name: str) -> None:
    """It looks for dlip first, and pins what is installed."""
    first = _read(name).cells[0]
    assert first.cell_type == "code"
    assert 'find_spec("dlip") is None' in first.source
    for kept in ("torch", "torchvision", "numpy"):
        assert f'"{kept}"' in first.source
    compile(first.source, name, "exec")


@pytest.mark.parametrize("name", NAMES)
def test_code_is_the_same_in_both_languages(name: str) -> None:
    """One source, one execution, one code."""
    english, japanese = (
        [c.source for c in _read(f"{language}/{name}").cells if c.cell_type == "code"]
        for language in ("en", "ja")
    )
    assert english == japanese
    assert len(english) > 1


@pytest.mark.parametrize("name", [n for n in BOTH if n.startswith("ja/")])
def test_text_is_japanese(name: str) -> None:
    """Every Markdown cell with a sentence in it has Japanese in it."""
    for cell in _read(name).cells:
        if cell.cell_type == "markdown" and len(cell.source.split()) > 12:
            assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", cell.source), cell.source[:200]


@pytest.mark.parametrize("name", BOTH)
def test_numbers_of_the_text_are_there(name: str) -> None:
    """Computed numbers and references are text, not holes."""
    text = _text(_read(name))
    assert "  ," not in text
    assert not re.search(r"\[\]\(", text), "a link without words"
