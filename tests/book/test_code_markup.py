"""Code keeps its colours, but for operators, with fewer elements."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from code_markup import FewSpans
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

CODE = (Path(__file__).parents[2] / "dlip" / "filters.py").read_text(encoding="utf-8") + (
    '@torch.no_grad()\nraise ValueError(f"{x:.2f}\\n", 1.5e-3, 0x1F, None, not self)\n'
)


def _characters(html: str, colours: dict[str, str]) -> list[tuple[str, str]]:
    """Every character that can be seen, with its colour."""
    found = []
    code = html.split("<pre>")[1].rsplit("</pre>")[0]
    for css, inside, outside in re.findall(
        r'<span class="([^"]+)">([^<]*)</span>|([^<]+|<span></span>)', code
    ):
        colour = next((colours[c] for c in css.split() if c in colours), "plain")
        text = "" if outside.startswith("<") else unescape(inside or outside)
        found += [(character, colour) for character in text if not character.isspace()]
    return found


@pytest.mark.parametrize("style", ["a11y-high-contrast-light", "a11y-high-contrast-dark"])
def test_colours_are_those_of_the_full_markup(style: str) -> None:
    css = HtmlFormatter(style=style).get_style_defs()
    colours = dict(re.findall(r"\.(\w+) \{ color: #(\w+)", css))
    colours = {c: v for c, v in colours.items() if v != colours["n"] and c != "o"}

    full = _characters(highlight(CODE, PythonLexer(), HtmlFormatter()), colours)
    few = _characters(highlight(CODE, PythonLexer(), FewSpans()), colours)
    assert full == few
    assert len({colour for _, colour in few}) > 4


def test_half_of_the_bytes_are_gone() -> None:
    full = highlight(CODE, PythonLexer(), HtmlFormatter())
    assert len(highlight(CODE, PythonLexer(), FewSpans())) < 0.6 * len(full)
