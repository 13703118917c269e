"""The language switch: the same page, and the same section, in every language."""

from __future__ import annotations

from facts import facts
from interface import LANGUAGES
from sphinx.application import Sphinx


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


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", _add_languages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
