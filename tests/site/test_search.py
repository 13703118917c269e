"""Search from the header of any page, in the page's language."""

from __future__ import annotations

import pytest
from pages import PAGES, Open, Watch

QUERIES = {
    "ja": ["畳み込み", "エッジ検出", "平均化", "Gaussian", "ガウシアン", "微分", "乱数", "画素値"],
    "en": ["Gaussian", "convolution", "edge", "averaging", "median", "stride", "seed", "gradient"],
}


def _search(page, query: str) -> list[str]:
    page.click("#open-search")
    page.fill("#search-input", query)
    page.wait_for_selector("#search-results li a", timeout=10_000)
    return page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")


@pytest.mark.parametrize(
    ("language", "query"), [(code, query) for code, queries in QUERIES.items() for query in queries]
)
def test_search_finds(language: str, query: str, open_page: Open, watch: Watch) -> None:
    """Results lead to pages of this language, and the page says where the words are."""
    page = open_page(f"{language}/index.html")
    links = _search(page, query)
    assert all(f"/{language}/" in link for link in links)
    marked = page.eval_on_selector_all("#search-results mark", "m => m.map(e => e.textContent)")
    assert marked, "no excerpt shows the words"
    page.click("#search-results li a")
    assert page.locator("article h1").is_visible()
    watch.assert_quiet()


@pytest.mark.parametrize("path", PAGES)
def test_search_opens_on_every_page(path: str, open_page: Open, watch: Watch) -> None:
    """Nothing of the search is loaded before it is asked for."""
    page = open_page(path)
    loaded = (
        "performance.getEntriesByType('resource').filter(e => e.name.includes('pagefind')).length"
    )
    assert page.evaluate(loaded) == 0
    query = QUERIES[path.split("/")[0]][0]
    assert _search(page, query)
    assert page.evaluate(loaded) > 0
    watch.assert_quiet()


def test_search_says_when_nothing_is_found(open_page: Open) -> None:
    """A word that is nowhere, not even its first letters, gives a sentence, not silence."""
    page = open_page("en/index.html")
    page.click("#open-search")
    page.fill("#search-input", "ðłħŋþß")
    page.wait_for_function(
        "document.getElementById('search-status').textContent.includes('ðłħŋþß')"
    )
    assert page.locator("#search-results li").count() == 0


def test_search_by_keyboard(open_page: Open) -> None:
    """Slash opens, Escape closes and gives the focus back."""
    page = open_page("en/part1/convolution.html")
    page.keyboard.press("/")
    assert page.locator("#search-input").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#search-input").is_visible()
