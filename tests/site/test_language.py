"""The language switch: same page, same section, remembered."""

from __future__ import annotations

import re

import pytest
from pages import PAGES, SITE, Open, Watch

OTHER = {"en": "ja", "ja": "en"}


@pytest.mark.parametrize("path", PAGES)
def test_switch_leads_to_the_same_page(path: str, open_page: Open) -> None:
    """On every page, in both directions."""
    language, page_name = path.split("/", 1)
    page = open_page(path)
    page.click(".language-switch")
    assert page.url.split("#")[0].endswith(f"/{OTHER[language]}/{page_name}")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("section", ["sec-conv-gaussian", "sec-conv-sobel", "sec-conv-learning"])
def test_switch_lands_on_the_section_being_read(
    language: str, section: str, open_page: Open, watch: Watch
) -> None:
    """Scrolled to a section by hand, without any fragment in the address."""
    page = open_page(f"{language}/part1/convolution.html")
    page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
    box = page.locator(".language-switch").bounding_box()
    assert box
    page.mouse.click(box["x"] + 5, box["y"] + 5)  # as a hand does: click() would scroll first
    page.wait_for_url(f"**/{OTHER[language]}/**")
    assert page.url.endswith(f"/{OTHER[language]}/part1/convolution.html#{section}")
    page.wait_for_timeout(200)
    top = page.evaluate(f"document.getElementById('{section}').getBoundingClientRect().top")
    assert -5 < top < 300, "the section is not in view"
    watch.assert_quiet()


def test_choice_is_remembered(open_page: Open, base: str) -> None:
    """The chooser leads on to the language that the reader chose last."""
    page = open_page("en/index.html")
    page.click(".language-switch")
    page.wait_for_url("**/ja/index.html")
    page.goto(base)
    page.wait_for_url("**/ja/index.html")


def test_chooser_offers_both_languages_without_javascript(open_page: Open) -> None:
    """A plain page with two links."""
    page = open_page("", java_script_enabled=False)
    assert page.locator("main a").all_inner_texts() == ["English", "日本語"]
    page.click("text=日本語")
    assert page.url.endswith("/ja/index.html")


@pytest.mark.parametrize("path", PAGES)
def test_alternates_name_this_page_in_every_language(path: str) -> None:
    """hreflang and canonical addresses are absolute and right."""
    html = (SITE / path).read_text(encoding="utf-8")
    language, name = path.split("/", 1)
    found = dict(re.findall(r'<link rel="alternate" hreflang="([\w-]+)" href="([^"]+)"', html))
    assert set(found) == {"en", "ja", "x-default"}
    for code in ("en", "ja"):
        assert re.fullmatch(rf"https?://.+/{code}/{re.escape(name)}", found[code])
    canonical = re.findall(r'<link rel="canonical" href="([^"]+)"', html)
    assert canonical == [found[language]]


ENGLISH = re.compile(r"[A-Za-z]{3,}")
NAMES = {
    *("Colab", "Binder", "English", "ipynb", "BibTeX", "Google", "dlip", "contributors", "BSD"),
    *("Colaboratory", "Conv", "Sobel", "Clause", "Python", "PyTorch", "Jupyter", "NumPy", "SciPy"),
    *("CNN", "CAM", "Grad", "LIME", "ONNX"),
}


@pytest.mark.parametrize("path", [p for p in PAGES if p.startswith("ja/")])
def test_interface_is_japanese(path: str, open_page: Open) -> None:
    """Buttons, labels, tooltips and headings of the frame: no English is left."""
    page = open_page(path)
    texts = page.evaluate(
        """() => {
             const out = [];
             const frame = "button, nav, header, footer, summary, dialog, .tool, .headerlink, .admonition-title";
             for (const e of document.querySelectorAll(frame)) {
               const heading = e.closest("section")?.querySelector("h1, h2, h3, h4, h5")?.cloneNode(true);
               for (const part of heading?.querySelectorAll("a, button, .section-number") ?? []) part.remove();
               const title = heading?.textContent.trim();
               for (const n of ["aria-label", "title", "placeholder"]) {
                 // A label may name the section it belongs to; the name is text, not interface.
                 if (e.getAttribute(n)) out.push(e.getAttribute(n).replace(title, ""));
               }
               if (e.matches("button, summary:not(.choice > summary), .tool, .prev-next span, .admonition-title, footer p")) out.push(e.textContent);
             }
             for (const e of document.querySelectorAll(".prev-next span, nav .caption-text, .eqno, .caption-number")) out.push(e.textContent);
             return out;
           }"""
    )
    for text in texts:
        left = [w for w in ENGLISH.findall(text) if w not in NAMES]
        assert not left, f"English in the interface: {text!r}"
