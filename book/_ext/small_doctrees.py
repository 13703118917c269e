"""Keep what Sphinx stores of a translated page as small as the page itself.

Each translated paragraph is parsed as a document of its own, and its nodes go on pointing
to that document, which knows the whole environment. Stored with the page it makes every
page of a translation ten times as large, and as slow to read.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def _belong_to_the_page(app: Sphinx, doctree: nodes.document) -> None:
    for node in doctree.findall():
        node.document = doctree


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", _belong_to_the_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
