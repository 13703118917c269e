"""What holds on every page that exists, in both languages."""

from __future__ import annotations

import json

import pytest
from pages import PAGES, ROOT, Open, Watch
from playwright.sync_api import Page

AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
SHIFTS = """
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def _scroll_through(page: Page) -> None:
    page.evaluate(
        """async () => {
             for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
               scrollTo(0, y);
               await new Promise((done) => setTimeout(done, 30));
             }
             for (const image of document.images) image.loading = "eager";  // those flown past
             await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
             scrollTo(0, 0);
           }"""
    )


@pytest.mark.parametrize("path", PAGES)
def test_page_is_quiet_complete_and_stays_in_place(
    path: str, open_page: Open, watch: Watch
) -> None:
    """No message, no request elsewhere, no missing picture, nothing that moves."""
    page = open_page(path)
    page.evaluate(SHIFTS)
    _scroll_through(page)
    watch.assert_quiet()
    pictures = page.evaluate(
        """() => [...document.querySelectorAll("article img")].map((i) =>
             [i.currentSrc, i.alt, i.getAttribute("width"), i.getAttribute("height"), i.naturalWidth])"""
    )
    for source, alt, width, height, natural in pictures:
        assert natural > 0, f"{source} does not load"
        assert alt.strip(), f"{source} has no alt text"
        assert width and height, f"{source} has no size"
    assert page.evaluate("window.layoutShift") < 0.01
    language = path.split("/")[0]
    assert page.evaluate("document.documentElement.lang") == language
    assert page.title().strip()
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("path", PAGES)
def test_formulas_are_there(path: str, open_page: Open) -> None:
    """Every formula is MathML with a size, and no TeX is left in the text."""
    page = open_page(path)
    heights = page.evaluate(
        "() => [...document.querySelectorAll('article math')].map((m) => m.getBoundingClientRect().height)"
    )
    assert all(height > 5 for height in heights)
    if path.endswith("part1/convolution.html"):
        assert len(heights) > 5
    prose = page.evaluate(
        """() => [...document.querySelectorAll("article p, article li, article figcaption")]
             .map((p) => { const c = p.cloneNode(true);
                           c.querySelectorAll("code, math, pre").forEach((n) => n.remove());
                           return c.textContent; }).join("\\n")"""
    )
    for rest in ("$", "\\(", "\\frac", "{ref}", "{glue", "{cite", "**"):
        assert rest not in prose, f"{rest!r} is left in the text"


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(path: str, open_page: Open) -> None:
    """WCAG 2.2 A and AA and axe's best practices; in the dark what depends on colours."""
    page = open_page(path)
    page.evaluate(AXE)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    report = _violations(page, {})
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("l => getComputedStyle(document.body).backgroundColor !== l", arg=light)
    report += _violations(page, {"runOnly": ["color-contrast", "link-in-text-block"]})
    assert report == [], json.dumps(report, indent=1, ensure_ascii=False)


def _violations(page: Page, options: dict[str, list[str]]) -> list[str]:
    found = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [
        f"{v['impact']}: {v['id']}: {v['help']}: {[n['html'][:120] for n in v['nodes'][:3]]}"
        for v in found
    ]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_overflows_on_a_small_phone(path: str, open_page: Open) -> None:
    """At 320 px the page does not scroll sideways."""
    page = open_page(path, width=320, height=640)
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth > innerWidth
             ? [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("pre, div.math"))
                 .slice(0, 5).map((e) => e.outerHTML.slice(0, 120)) : []"""
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("path", PAGES)
def test_page_reads_without_javascript(path: str, open_page: Open) -> None:
    """Text, pictures, formulas and folded solutions need no script."""
    page = open_page(path, java_script_enabled=False)
    assert page.locator("article h1").is_visible()
    assert page.locator("article p").first.is_visible()
    assert page.locator(".language-switch").is_visible()
