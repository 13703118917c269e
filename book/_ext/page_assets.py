"""Which styles and scripts a page loads.

The theme and the extensions bring scripts that this book does not use (an icon font's
1.5 MB, a search index on every page). A page loads the theme's styles, this book's
styles and this book's own small scripts, each deferred.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx

STYLES = (
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "styles/sphinx-book-theme.css",
    "pygments.css",
    "mystnb",  # MyST-NB adds a hash to the name
    "sphinx-design",
    "book.css",
)
SCRIPTS = ("page.js", "language.js", "copy.js", "cite.js", "search.js")


def _choose(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Keep what the page uses."""
    context["css_files"] = [
        style
        for style in context["css_files"]
        if any(wanted in str(getattr(style, "filename", style)) for wanted in STYLES)
    ]
    context["script_files"] = []
    context["book_scripts"] = SCRIPTS
    context["has_math"] = doctree is not None and any(
        isinstance(node, nodes.math | nodes.math_block) for node in doctree.findall()
    )


def _no_second_search(app: Sphinx) -> None:
    """Pagefind indexes the site: Sphinx's own index and search page are not made."""
    if app.builder.format == "html":
        app.builder.search = False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_css_file("book.css", priority=900)
    app.connect("builder-inited", _no_second_search)
    app.connect("html-page-context", _choose, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
