"""A section's explicit label is its permanent id.

``(sec-gaussian)=`` before a heading makes ``#sec-gaussian`` the heading's address, in
every language and whatever the title says. The slug of the title is dropped, so no
link can depend on the wording. A section without a label is reported.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
PREFIX = "sec-"


def is_titled(section: nodes.section) -> bool:
    """Whether the section is one that a reader sees (a solution's body is not)."""
    return bool(section.children) and isinstance(section[0], nodes.title)


class LabelAsId(SphinxTransform):
    """Put the label in place of the slug, before the table of contents is collected."""

    default_priority = 700  # after docutils' PropagateTargets and Sphinx's Locale

    def apply(self, **kwargs: object) -> None:
        """Rewrite every section of the document."""
        for section in self.document.findall(nodes.section):
            labels = [i for i in section["ids"] if i.startswith(PREFIX)]
            if labels:
                section["ids"] = labels
            elif is_titled(section):
                title = section[0].astext()
                logger.warning(
                    "section %r has no label: put (%s…)= on the line before it",
                    title,
                    PREFIX,
                    location=section,
                    type="book",
                    subtype="section_label",
                )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(LabelAsId)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
