"""Every link inside the site leads somewhere."""

from __future__ import annotations

import functools
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import PAGES, SITE


class _Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if values.get("id"):
            self.ids.add(values["id"] or "")
        names = ("href",) if tag == "link" else ("href", "src")
        self.links += [link for name in names if (link := values.get(name))]


_page = functools.lru_cache(_Page)


@pytest.mark.parametrize("path", ["index.html", *PAGES])
def test_links_inside_the_site(path: str) -> None:
    """Files are there, and so are the places in them."""
    here = SITE / path
    for link in _page(here).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if target.is_dir():
            target /= "index.html"
        assert target.exists(), f"{path} links to {link}"
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in _page(target).ids, f"{path} links to {link}"
