"""Colour the words of code that have a colour of their own, and leave the rest bare.

Pygments wraps every name, dot and bracket into an element, most of them in the colour of plain
text. That was half of the bytes of a chapter.
"""

from __future__ import annotations

from pygments.formatters import HtmlFormatter
from pygments.token import Comment, Generic, Keyword, Literal, Name, Operator, _TokenType
from sphinx.application import Sphinx
from sphinx.highlighting import PygmentsBridge

COLOURED = (Comment, Generic, Keyword, Literal, Operator.Word)
COLOURED_NAMES = (
    Name.Builtin,
    Name.Class,
    Name.Decorator,
    Name.Exception,
    Name.Function,
    Name.Variable,
)
MERGED = (Keyword, Literal.Number, Literal.String)  # their kinds have one colour in the styles


class FewSpans(HtmlFormatter):  # type: ignore[type-arg]
    """Pygments' formatter, with elements only where the styles have a colour."""

    def _get_css_classes(self, ttype: _TokenType) -> str:
        for kind in MERGED:
            if ttype in kind:
                ttype = kind
        bare = not any(ttype in kind for kind in COLOURED + COLOURED_NAMES)
        return "" if bare else super()._get_css_classes(ttype)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    PygmentsBridge.html_formatter = FewSpans
    return {"parallel_read_safe": True, "parallel_write_safe": True}
