"""``{chapter-facts}``: minutes to read and seconds to run, measured while building.

Reading time counts the page's prose in its own language; running time is what the
execution of this chapter's cells took when its outputs were made.
"""

from __future__ import annotations

import math
import re

from docutils import nodes
from interface import _
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WORDS_A_MINUTE = 200
"""English prose read with care (Brysbaert 2019 finds 238 for non-fiction at ease)."""
CHARACTERS_A_MINUTE = 500
"""Japanese prose read with care."""

JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


class chapter_facts(nodes.General, nodes.Element):
    """Stands for the line until the whole page is known."""


class ChapterFacts(SphinxDirective):
    """The directive: no options, no content."""

    def run(self) -> list[nodes.Node]:
        """Leave a placeholder."""
        return [chapter_facts()]


def reading_minutes(document: nodes.document) -> int:
    """Minutes to read the prose of a page, at least 1."""
    prose = " ".join(
        node.astext()
        for node in document.findall(nodes.TextElement)
        if isinstance(node, nodes.paragraph | nodes.title)
    )
    japanese = len(JAPANESE.findall(prose))
    words = len(JAPANESE.sub(" ", prose).split()) if not japanese else 0
    return max(1, math.ceil(words / WORDS_A_MINUTE + japanese / CHARACTERS_A_MINUTE))


def running_seconds(app: Sphinx, docname: str) -> float | None:
    """Seconds that the page's cells took, or None for a page without code."""
    data = getattr(app.env, "nb_metadata", {}).get(docname, {}).get("exec_data")
    return data["runtime"] if data else None


def _resolve(app: Sphinx, document: nodes.document, docname: str) -> None:
    for placeholder in list(document.findall(chapter_facts)):
        read = _("Reading: {minutes} min").format(minutes=reading_minutes(document))
        seconds = running_seconds(app, docname)
        run = (
            ""
            if seconds is None
            else " · " + _("Running all cells: {seconds} s").format(seconds=math.ceil(seconds))
        )
        placeholder.replace_self(nodes.paragraph("", read + run, classes=["chapter-facts"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_node(chapter_facts)
    app.add_directive("chapter-facts", ChapterFacts)
    app.connect("doctree-resolved", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
