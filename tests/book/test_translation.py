"""Japanese is complete, and what is not would be seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages import pofile
from interface import LANGUAGES
from mini import MiniBook
from translate import counts, interface_messages

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_nothing_is_stale_or_missing(language: str) -> None:
    """Every message of every PO file is translated."""
    found = counts(ROOT, language)
    assert sum(entry.translated for entry in found) > 100
    left = [
        f"{e.name}: {e.stale} stale, {e.missing} missing" for e in found if e.stale or e.missing
    ]
    assert left == []


@pytest.mark.parametrize("path", sorted((SITE / "ja").rglob("*.html")), ids=lambda p: p.name)
def test_no_page_shows_english_for_want_of_a_translation(path: Path) -> None:
    """Also when somebody has forgotten make translate."""
    if "_static" in path.parts:
        return
    found = re.findall(
        r'class="[^"]*translation-(?:stale|missing)[^>]*>(.{0,100})', path.read_text()
    )
    assert found == [], "run make translate, then translate"


def test_stored_pages_hold_no_more_than_the_page() -> None:
    """Each translated page once held the whole environment, ten times its own size."""
    stored = ROOT / "_build" / "doctrees"
    pages = sorted((stored / "en" / "part1").glob("*.doctree"))
    assert pages
    for page in pages:
        translated = stored / "ja" / page.relative_to(stored / "en")
        assert translated.stat().st_size < 2 * page.stat().st_size, translated


def test_interface_catalog_is_complete() -> None:
    """Every word of templates and extensions is in the catalog and translated."""
    path = ROOT / "book" / "locale" / "ja" / "LC_MESSAGES" / "interface.po"
    with path.open("rb") as file:
        there = {m.id: m.string for m in pofile.read_po(file) if m.id and not m.fuzzy}
    wanted = {m.id for m in interface_messages(ROOT) if m.id}
    assert {w for w in wanted if not there.get(w)} == set()


def _translate(mini: MiniBook, translations: dict[str, str]) -> None:
    folder = mini.root / "book" / "locale" / "ja" / "LC_MESSAGES" / "part1"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ['msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n']
    for english, japanese in translations.items():
        flag = "#, fuzzy\n" if japanese.startswith("FUZZY") else ""
        lines.append(f'{flag}msgid "{english}"\nmsgstr "{japanese.removeprefix("FUZZY")}"\n')
    (folder / "chapter.po").write_text("\n".join(lines), encoding="utf-8")


def test_stale_and_missing_paragraphs_are_marked_for_the_reader(mini: MiniBook) -> None:
    """Translated ones are not."""
    mini.edit("One sentence.", "One sentence.\n\nTwo sentences.\n\nThree sentences.")
    _translate(
        mini,
        {"One sentence.": "一つの文です。", "Two sentences.": "FUZZY古い訳です。"},
    )
    done = mini.build("pages-ja")
    assert done.returncode == 0, done.stdout
    page = (mini.root / "_build/html/ja/part1/chapter.html").read_text(encoding="utf-8")
    assert re.search(r"<p>一つの文です。</p>", page)
    assert re.search(
        r'<p class="[^"]*translation-stale[^"]*"><span class="translation-note">.+?</span>Two', page
    )
    assert re.search(
        r'<p class="[^"]*translation-missing[^"]*"><span class="translation-note">.+?</span>Three',
        page,
    )
    assert "古い訳です。" not in page


def test_changed_paragraph_becomes_stale(mini: MiniBook) -> None:
    """make translate finds it."""
    import subprocess
    import sys

    run = [sys.executable, "tools/translate.py", "--root", str(mini.root)]
    subprocess.run(run, cwd=mini.root, check=True, capture_output=True)
    catalog = mini.root / "book/locale/ja/LC_MESSAGES/part1/chapter.po"
    text = catalog.read_text(encoding="utf-8")
    assert 'msgid "A line that rises."' in text, "alt texts are messages"
    before = 'msgid "One sentence."\nmsgstr ""'
    assert before in text
    catalog.write_text(text.replace(before, before[:-2] + '"一つの文です。"'), encoding="utf-8")
    mini.edit("One sentence.", "One short sentence.")
    said = subprocess.run(run, cwd=mini.root, check=True, capture_output=True, text=True).stdout
    assert re.search(r"part1/chapter\s+0 /\s+1 /", said), said
    ids = (mini.root / "book" / "section-ids.txt").read_text().split()
    assert "part1/chapter#sec-chapter-picture" in ids
