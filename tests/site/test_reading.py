"""What a reader does: unfold a solution, open the menu, copy code, change the colours."""

from __future__ import annotations

import pytest
from pages import Open, Watch


@pytest.mark.parametrize("language", ["en", "ja"])
def test_solution_folds(language: str, open_page: Open, watch: Watch) -> None:
    """Closed at first; the mouse opens it, the keyboard closes it."""
    page = open_page(f"{language}/part1/convolution.html")
    solution = page.locator("details.solution").first
    body = solution.locator("p").first
    assert not body.is_visible()
    solution.locator("summary").click()
    assert body.is_visible()
    page.keyboard.press("Enter")
    assert not body.is_visible()
    watch.assert_quiet()


def test_solution_folds_without_javascript(open_page: Open) -> None:
    """<details> is the browser's own."""
    page = open_page("en/part1/convolution.html", java_script_enabled=False)
    solution = page.locator("details.solution").first
    solution.locator("summary").click()
    assert solution.locator("p").first.is_visible()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_menu_at_phone_width(language: str, open_page: Open, watch: Watch) -> None:
    """The list of chapters opens, leads to a chapter, and closes with Escape."""
    page = open_page(f"{language}/part1/convolution.html", width=390, height=844)
    chapter = page.locator(".site-contents a[href*='environment']")
    assert not chapter.is_visible()
    page.click("#open-contents")
    assert chapter.is_visible()
    page.keyboard.press("Escape")
    assert not chapter.is_visible()
    page.click("#open-contents")
    chapter.click()
    assert page.url.endswith(f"/{language}/part1/environment.html")
    watch.assert_quiet()


def test_launch_buttons_at_phone_width(open_page: Open) -> None:
    """They fold into a menu where there is no room."""
    page = open_page("ja/part1/convolution.html", width=390, height=844)
    colab = page.locator("#launch-links a").first
    assert not colab.is_visible()
    page.click(".launch-opener")
    assert colab.is_visible()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_launch_buttons_open_this_page_in_this_language(language: str, open_page: Open) -> None:
    """Colab and Binder read the notebooks branch; the download is the exported file."""
    page = open_page(f"{language}/part1/convolution.html")
    colab, binder, download = page.eval_on_selector_all(
        "#launch-links a", "l => l.map(a => a.href)"
    )
    assert colab.startswith("https://colab.research.google.com/github/")
    assert colab.endswith(f"/blob/notebooks/{language}/part1/convolution.ipynb")
    assert binder.startswith("https://mybinder.org/v2/gh/")
    assert f"/notebooks?urlpath=lab/tree/{language}/part1/convolution.ipynb" in binder
    answer = page.request.get(download)
    assert answer.ok
    assert answer.json()["metadata"]["book"]["language"] == language


def test_copy_code(open_page: Open, watch: Watch) -> None:
    """The clipboard holds the cell's code and nothing else."""
    page = open_page("en/part1/convolution.html", permissions=["clipboard-read", "clipboard-write"])
    cell = page.locator("div.cell_input div.highlight").first
    cell.hover()
    cell.locator(".copy-button").click()
    assert (
        page.evaluate("navigator.clipboard.readText()") == cell.locator("pre").inner_text().rstrip()
    )
    watch.assert_quiet()


def test_colours_follow_the_reader(open_page: Open, base: str, watch: Watch) -> None:
    """The device decides until the reader does; the choice is kept from page to page."""
    page = open_page("en/index.html", colours="dark")
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.click("#switch-colours")
    assert page.evaluate(theme) == "light"
    page.goto(base + "ja/part1/convolution.html")
    assert page.evaluate(theme) == "light"
    watch.assert_quiet()


def test_keyboard_reaches_text_and_tools(open_page: Open) -> None:
    """The first stop leads past the frame; every stop shows where the focus is."""
    page = open_page("en/part1/convolution.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"open-search", "switch-colours"} <= seen
    assert any("language-switch" in name for name in seen)
