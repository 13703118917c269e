"""Mark what is not, or no longer, translated, so that the reader knows.

Sphinx leaves a paragraph in English when its message is missing or *fuzzy* (the English
has changed since it was translated). This tells the two apart: ``data-translation`` is
``missing`` or ``stale``, with a sentence that says so above the paragraph.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from babel.messages import pofile
from docutils import nodes
from interface import _
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

SKIPPED = (nodes.image, nodes.math_block)
"""Sphinx counts these as untranslated even where they are translated or need no words."""


@cache
def stale_messages(catalog: Path) -> frozenset[str]:
    """Return the messages of a PO file whose translation is fuzzy."""
    if not catalog.exists():
        return frozenset()
    with catalog.open("rb") as file:
        return frozenset(m.id for m in pofile.read_po(file) if m.id and m.fuzzy)


class MarkUntranslated(SphinxTransform):
    """Turn Sphinx's class ``untranslated`` into a mark that a reader sees."""

    default_priority = 960  # right after Sphinx has set the class

    def apply(self, **kwargs: object) -> None:
        """Mark every untranslated element of the page."""
        if self.config.language == "en" or self.app.builder.name == "gettext":
            return
        catalog = (
            Path(self.app.srcdir)
            / "locale"
            / self.config.language
            / "LC_MESSAGES"
            / f"{self.env.docname}.po"
        )
        stale = {_squeeze(m) for m in stale_messages(catalog)}
        for node in list(self.document.findall(nodes.Element)):
            if "untranslated" not in node.get("classes", ()):
                continue
            if isinstance(node, SKIPPED):
                node["classes"].remove("untranslated")
                continue
            source = _squeeze(node.rawsource or node.astext())
            kind = "stale" if source in stale else "missing"
            node["classes"].append(f"translation-{kind}")
            note = {
                "stale": _(
                    "The translation of this paragraph is out of date: here is the English."
                ),
                "missing": _("This paragraph is not translated yet: here is the English."),
            }[kind]
            if isinstance(node, nodes.paragraph):
                node.insert(0, nodes.inline("", note + " ", classes=["translation-note"]))


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(MarkUntranslated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
