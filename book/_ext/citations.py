"""How to cite the book, a chapter or a section.

The facts come from ``CITATION.cff``. Each page carries ``citation_*`` meta tags for
reference managers and, as JSON, what ``cite.js`` needs to cite any of its sections.
``{book-citation}`` prints the citation of the whole book.
"""

from __future__ import annotations

import re

from docutils import nodes
from facts import facts
from interface import LANGUAGES, _
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class BookCitation(SphinxDirective):
    """The directive: the whole book in BibTeX and in plain text."""

    def run(self) -> list[nodes.Node]:
        """Write both forms."""
        book = facts()
        year, month, _day = book.released.split("-")
        language = {"en": "english", "ja": "japanese"}.get(self.config.language, "english")
        address = f"{book.base_url}/{self.config.language}/"
        bibtex = "\n".join(
            [
                "@book{dlip" + year + ",",
                f"  author    = {{{{{book.author}}}}},",
                f"  title     = {{{{{book.title}}}}},",
                f"  edition   = {{Version {book.version}}},",
                f"  year      = {{{year}}},",
                f"  month     = {int(month)},",
                f"  publisher = {{{book.author}}},",
                f"  language  = {{{language}}},",
                f"  url       = {{{address}}},",
                "}",
            ]
        )
        plain = f"{book.author} ({year}). {book.title}. Version {book.version}. {address}"
        blocks: list[nodes.Node] = []
        for text, lexer in ((plain, "text"), (bibtex, "bibtex")):
            block = nodes.literal_block(text, text, language=lexer, classes=["wraps"])
            blocks.append(nodes.container("", block, classes=["copy"]))
        return blocks


HEADING_END = re.compile(r'(<a class="headerlink" href="#sec-[^"]+"[^>]*>[^<]*</a>)(</h[1-4]>)')
QUOTATION_MARK = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 17.5c2.5-1 4-3 4-6H5v-6h6v6'
    'c0 4-2 7-5 8zM14 17.5c2.5-1 4-3 4-6h-4v-6h6v6c0 4-2 7-5 8z"/></svg>'
)


def _add_buttons(body: str) -> str:
    """Put a button after each heading's link; ``cite.js`` makes it work, nothing moves.

    The words of the link itself are missing in Sphinx's own catalogs of some languages.
    """
    label = _("Cite this section")
    button = (
        f'<button type="button" class="cite-button" title="{label}" aria-label="{label}">'
        f"{QUOTATION_MARK}</button>"
    )
    body = HEADING_END.sub(rf"\1{button}\2", body)
    return re.sub(r'title="Link to this [a-z]+"', f'title="{_("Permanent link")}"', body)


def _add_citation(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Give the page its meta tags and the facts for ``cite.js``."""
    book, language = facts(), app.config.language
    if pagename not in app.env.titles:
        return
    title = app.env.titles[pagename].astext()
    paragraphs = doctree.findall(nodes.paragraph) if doctree else iter(())
    context["first_paragraph"] = next((p.astext() for p in paragraphs), "")
    context["body"] = _add_buttons(context["body"])
    context["citation_meta"] = {
        "citation_title": title,
        "citation_author": book.author,
        "citation_publication_date": book.released.replace("-", "/"),
        "citation_inbook_title": book.title,
        "citation_publisher": book.author,
        "citation_language": language,
        "citation_version": book.version,
        "citation_public_url": facts().url(language, pagename),
        "citation_fulltext_html_url": facts().url(language, pagename),
    }
    context["citation_facts"] = {
        "author": book.author,
        "book": book.title,
        "version": book.version,
        "released": book.released,
        "language": language,
        "languageName": LANGUAGES[language],
        "url": facts().url(language, pagename),
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("book-citation", BookCitation)
    app.connect("html-page-context", _add_citation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
