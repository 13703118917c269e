"""The language switch: the same page, and the same section, in every language.

Also the names of the parts: sphinx-external-toc inserts them after Sphinx has translated
the page, so they are translated here, from the same catalog.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from facts import facts
from interface import LANGUAGES
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.locale import init as load_catalog
from sphinx.transforms import SphinxTransform


def _add_languages(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Tell the templates where this page stands in each language."""
    to_site_root = "../" * (pagename.count("/") + 1)
    context["languages"] = [
        {
            "code": code,
            "name": name,
            "current": code == app.config.language,
            "href": f"{to_site_root}{code}/{pagename}.html",
            "url": facts().url(code, pagename),
        }
        for code, name in LANGUAGES.items()
    ]
    context["site_root"] = to_site_root
    context["page_url"] = facts().url(app.config.language, pagename)


class TranslateParts(SphinxTransform):
    """Give the parts of the table of contents their names in the page's language."""

    default_priority = 110  # right after sphinx-external-toc's InsertToctrees

    def apply(self, **kwargs: object) -> None:
        """Translate the captions of the page's toctrees."""
        if self.app.builder.name == "gettext":
            return
        folder = str(Path(self.app.srcdir) / "locale")
        catalog, _found = load_catalog([folder], self.config.language, self.env.docname)
        for toctree in self.document.findall(addnodes.toctree):
            if toctree.get("caption"):
                toctree["caption"] = catalog.gettext(toctree["caption"])


def _mark_latin_emphasis(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Emphasis on Latin letters is italic in a Japanese text too; dots are for Japanese."""
    for node in doctree.findall(nodes.emphasis):
        if node.astext().isascii():
            node["classes"].append("latin")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(TranslateParts)
    app.connect("doctree-resolved", _mark_latin_emphasis)
    app.connect("html-page-context", _add_languages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
