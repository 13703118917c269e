"""What the sources of the book must keep to."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from babel.messages import pofile
from facts import facts
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
PAGES = sorted(BOOK.rglob("*.md"))
CHAPTERS = [p for p in PAGES if p.parent.name.startswith(("part", "gallery"))]
CATALOGS = sorted((BOOK / "locale" / "ja").rglob("*.po"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _prose(path: Path) -> str:
    """The page without code, and with as many lines."""
    text = path.read_text(encoding="utf-8")
    blank = lambda found: "\n" * found[0].count("\n")  # noqa: E731
    text = re.sub(r"\A---\n.*?\n---\n", blank, text, flags=re.S)
    return re.sub(
        r"^(`{3,})\{(?:code-cell|data-manifest|bibliography)\}.*?^\1\s*$",
        blank,
        text,
        flags=re.S | re.M,
    )


@pytest.mark.parametrize("path", CHAPTERS, ids=_name)
def test_chapter_has_every_part(path: Path) -> None:
    """What a reader and an instructor count on finding."""
    text = path.read_text(encoding="utf-8")
    for part in (
        ":::{chapter-facts}",
        ":class: prerequisites",
        ":class: objectives",
        "## Try it",
        "{exercise}",
        "## Recap",
        "## Where this comes from",
        "## Read on",
    ):
        assert part in text, f"{_name(path)} has no {part}"
    exercises = set(re.findall(r"\{exercise(?:-start)?\}.*?\n:label: (\S+)", text))
    solved = set(re.findall(r"\{solution(?:-start)?\} (\S+)", text))
    assert exercises
    assert exercises == solved, "an exercise without a solution"


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_no_percentage_is_typed(path: Path) -> None:
    """A number in prose that a cell should produce."""
    for number, line in enumerate(_prose(path).splitlines(), start=1):
        assert not re.search(r"\d\s?%", line.replace("{glue", "")) or "glue" in line, (
            f"{_name(path)}:{number}: {line}"
        )


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_markup_that_translations_cannot_carry(path: Path) -> None:
    """Footnotes, titles of exercises and HTML get lost on the way."""
    for number, line in enumerate(_prose(path).splitlines(), start=1):
        where = f"{_name(path)}:{number}: {line}"
        assert "[^" not in line, where
        assert not re.match(r":::+\{exercise\}\s+\S", line), where
        assert not re.match(r"\s*</?[a-z]+[ >]", line), where


@pytest.mark.parametrize("path", CATALOGS, ids=_name)
def test_japanese_emphasis_renders(path: Path) -> None:
    """CommonMark does not close ** between a full-width bracket and a letter."""
    markdown = MarkdownIt("commonmark")
    with path.open("rb") as file:
        for message in pofile.read_po(file):
            if not message.id or not message.string:
                continue
            text = re.sub(r"\$[^$]*\$", "", str(message.string))
            html = re.sub(r"<code>.*?</code>", "", markdown.renderInline(text))
            assert "**" not in html, f"{_name(path)}: {message.string}"
            wanted = len(re.findall(r"\*\*", re.sub(r"`[^`]*`", "", text))) // 2
            assert html.count("<strong>") == wanted, f"{_name(path)}: {message.string}"


@pytest.mark.parametrize("path", CATALOGS, ids=_name)
def test_translation_keeps_what_is_computed(path: Path) -> None:
    """Roles, code and formulas of a message are those of its English."""
    with path.open("rb") as file:
        for message in pofile.read_po(file):
            if not message.id or not message.string:
                continue
            english, japanese = str(message.id), str(message.string)
            for what in (r"(?:\{[a-z:]+\})?`[^`]+`", r"\]\(https?://[^)]+\)"):
                wanted = sorted(re.findall(what, english))
                found = sorted(re.findall(what, japanese))
                assert found == wanted, f"{_name(path)}:\n{english}\n{japanese}"


@pytest.mark.parametrize("path", CATALOGS, ids=_name)
def test_japanese_punctuation(path: Path) -> None:
    """「、」 and 「。」, and no comma or full stop of the other kinds."""
    with path.open("rb") as file:
        for message in pofile.read_po(file):
            text = str(message.string or "")
            assert "，" not in text and "．" not in text, text
            assert not re.search(r"[\u3040-\u9fff][,.](\s|$)", text), text


def test_bibliographic_facts_stand_in_one_place() -> None:
    """The version, the date and the author are in CITATION.cff only."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert "version" not in project
    assert "authors" not in project
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert not {"title", "author", "copyright"} & set(config)
    assert facts().title == cff["title"]
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "book", "dlip", "tools"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".html", ".js", ".yml", ".toml"} and path.exists():
            text = path.read_text(encoding="utf-8")
            assert str(cff["date-released"]) not in text, name
            assert cff["authors"][0]["name"] not in text, name


def test_requirements_pin_exactly() -> None:
    """The environment is the same tomorrow."""
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            assert re.fullmatch(r"[\w.-]+==[\w.+!-]+", line), line


def test_library_never_pins() -> None:
    """dlip takes the torch, torchvision and numpy that are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", line), line


def test_library_and_tools_are_clean() -> None:
    """Types and style."""
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        done = subprocess.run(
            [str(ROOT / ".venv" / "bin" / command[0]), *command[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
