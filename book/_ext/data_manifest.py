"""``{data-manifest}``: every data file of the book, from ``dlip/data/manifest.toml``."""

from __future__ import annotations

import tomllib
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from facts import ROOT
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MANIFEST = ROOT / "dlip" / "data" / "manifest.toml"


class DataManifest(SphinxDirective):
    """The directive: the files of one ``:kind:``, each with source, licence, hash and size."""

    option_spec: ClassVar = {"kind": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """List the files; descriptions, sources and licences are messages to translate."""
        self.env.note_dependency(str(MANIFEST))
        files = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["file"]
        items = [self._item(file) for file in files if file["kind"] == self.options.get("kind")]
        if not items:
            raise self.error(f"no file of kind {self.options.get('kind')!r} in {MANIFEST}")
        return [nodes.definition_list("", *items, classes=["data-manifest"])]

    def _item(self, file: dict) -> nodes.definition_list_item:
        licence = nodes.reference("", file["licence"], refuri=file["licence_url"])
        fields = {
            "Source": self._message(file["source"]),
            "Licence": nodes.paragraph("", "", licence),
            "File": nodes.paragraph("", f"{file['path']} ({file['bytes']:,} bytes)"),
            "SHA-256": nodes.paragraph("", "", nodes.literal("", file["sha256"])),
        }
        if file["made_by"]:
            made_by = nodes.literal("", file["made_by"])
            fields["Made by"] = nodes.paragraph("", "", made_by)
        field_list = nodes.field_list()
        for name, body in fields.items():
            field_list += nodes.field("", nodes.field_name("", name), nodes.field_body("", body))
        definition = nodes.definition("", self._message(file["description"]), field_list)
        term = nodes.term("", "", nodes.literal("", file["name"]))
        return nodes.definition_list_item("", term, definition)

    def _message(self, text: str) -> nodes.paragraph:
        """A paragraph of Markdown that Sphinx extracts and translates."""
        parsed, _messages = self.parse_inline(text)
        paragraph = nodes.paragraph(text, "", *parsed)
        paragraph.source, paragraph.line = self.get_source_info()
        return paragraph


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("data-manifest", DataManifest)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
