"""Permanent links and citations of every section."""

from __future__ import annotations

import re

import pytest
import yaml
from pages import PAGES, ROOT, SITE, Open, Watch
from pybtex.database import parse_string

CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
IDS = [line.split("#") for line in (ROOT / "book" / "section-ids.txt").read_text().split()]


def _section_ids(path: str) -> list[str]:
    return re.findall(r'<section[^>]* id="([^"]+)"', (SITE / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("page", "section"), IDS, ids=[i[1] for i in IDS])
def test_recorded_id_is_there_in_both_languages(page: str, section: str) -> None:
    """An address that has been published once stays."""
    for language in ("en", "ja"):
        assert section in _section_ids(f"{language}/{page}.html")


@pytest.mark.parametrize("path", [p for p in PAGES if p.startswith("en/")])
def test_ids_agree_and_are_recorded(path: str) -> None:
    """Both languages have the same ids in the same order, all of them on record."""
    english, japanese = _section_ids(path), _section_ids("ja" + path[2:])
    assert english == japanese
    recorded = {section for page, section in IDS if f"en/{page}.html" == path}
    assert set(english) <= recorded, "new ids are not on record: run make translate"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_copy_a_citation(language: str, open_page: Open, watch: Watch) -> None:
    """The BibTeX on the clipboard is read by another program and names the section."""
    page = open_page(
        f"{language}/part1/convolution.html", permissions=["clipboard-read", "clipboard-write"]
    )
    heading = page.locator("#sec-conv-gaussian > h2")
    heading.hover()
    heading.locator(".cite-button").click()
    dialog = page.locator("#cite-dialog")
    assert dialog.is_visible()
    dialog.locator("h3:text('BibTeX') + pre + button").click()
    bibtex = page.evaluate("navigator.clipboard.readText()")
    (entry,) = parse_string(bibtex, "bibtex").entries.values()
    title = page.evaluate(
        "document.querySelector('#sec-conv-gaussian > h2').childNodes[1].textContent.trim()"
    )
    assert entry.fields["title"].strip("{}") == title
    assert entry.fields["booktitle"].strip("{}") == CFF["title"]
    assert (
        entry.fields["author" if "author" in entry.fields else "title"] or entry.persons["author"]
    )
    assert str(entry.persons["author"][0]).strip("{}") == CFF["authors"][0]["name"]
    assert CFF["version"] in entry.fields["edition"]
    assert entry.fields["year"] == str(CFF["date-released"])[:4]
    assert entry.fields["url"].endswith(f"/{language}/part1/convolution.html#sec-conv-gaussian")
    assert entry.fields["language"] == {"en": "english", "ja": "japanese"}[language]
    plain = dialog.locator("pre").nth(2).inner_text()
    for fact in (
        title,
        CFF["title"],
        CFF["version"],
        str(CFF["date-released"]),
        entry.fields["url"],
    ):
        assert fact in plain
    watch.assert_quiet()


@pytest.mark.parametrize("path", PAGES)
def test_every_heading_has_link_and_citation(path: str, open_page: Open) -> None:
    """The permanent link of a heading is its own section's label."""
    page = open_page(path)
    headings = page.evaluate(
        """() => [...document.querySelectorAll("article section[id] > :is(h1,h2,h3,h4)")].map((h) => [
             h.parentElement.id, h.querySelector("a.headerlink")?.getAttribute("href"),
             h.querySelectorAll(".cite-button").length])"""
    )
    assert headings
    for identity, link, buttons in headings:
        assert identity.startswith("sec-")
        assert link == f"#{identity}"
        assert buttons == 1


@pytest.mark.parametrize("path", PAGES)
def test_meta_tags_state_the_facts_of_citation_cff(path: str) -> None:
    """What a reference manager reads."""
    html = (SITE / path).read_text(encoding="utf-8")
    meta = dict(re.findall(r'<meta name="(citation_\w+)" content="([^"]*)"', html))
    assert meta["citation_author"] == CFF["authors"][0]["name"]
    assert meta["citation_inbook_title"] == CFF["title"]
    assert meta["citation_version"] == CFF["version"]
    assert meta["citation_publication_date"] == str(CFF["date-released"]).replace("-", "/")
    assert meta["citation_language"] == path.split("/")[0]
    assert meta["citation_public_url"].endswith("/" + path)
