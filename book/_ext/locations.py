"""Where a node stands in the source, so that a warning names file and line."""

from __future__ import annotations

from docutils import nodes


def location(node: nodes.Node, docname: str) -> tuple[str, int] | str:
    """The page and the line of the nearest node that knows its line."""
    around: nodes.Node | None = node
    while around is not None:
        if line := getattr(around, "line", None):
            return docname, line
        around = around.parent
    return docname
