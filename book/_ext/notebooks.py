"""The builder ``notebook``: each page as a Jupyter notebook in the page's language.

It walks the resolved, translated page. References are already numbers, citations are
already readable, and links lead to the published site, so no MyST syntax is left. The
writing of the text is in ``notebook_text``; this file makes cells of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Set
from pathlib import Path
from typing import ClassVar

import nbformat
from docutils import nodes
from facts import facts
from interface import _
from launch import has_code
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_text import TextWriter
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.util import logging

logger = logging.getLogger(__name__)


def install_cell() -> str:
    """The first cell: install dlip where it is missing, and change nothing else."""
    book = facts()
    address = f"dlip @ git+https://github.com/{book.repository}@{book.ref}" if book.ref else None
    return f"""# @title Run this cell first: it installs dlip where it is missing
import importlib.metadata, importlib.util, os, pathlib, subprocess, sys, tempfile

if importlib.util.find_spec("dlip") is None:
    source = os.environ.get("DLIP_SOURCE") or {address!r}
    if source is None:
        raise SystemExit("dlip is missing: run `pip install .` in the book's repository")
    keep = pathlib.Path(tempfile.mkdtemp()) / "keep.txt"  # what is installed stays as it is
    for name in ("torch", "torchvision", "numpy"):
        if importlib.util.find_spec(name):
            with keep.open("a") as file:
                file.write(f"{{name}}=={{importlib.metadata.version(name)}}\\n")
    keep.touch()
    command = [sys.executable, "-m", "pip", "install", "-q", "-c", str(keep), source]
    subprocess.run(command, check=True)
    importlib.invalidate_caches()"""


class NotebookWriter(TextWriter):
    """Collects the cells of one page."""

    def __init__(self, builder: NotebookBuilder, docname: str) -> None:
        """Start an empty notebook."""
        super().__init__(builder, docname)
        self.cells: list[nbformat.NotebookNode] = []

    def _id(self) -> str:
        return f"{self.docname.rsplit('/', 1)[-1][:40]}-{len(self.cells)}"

    def add_text(self, blocks: list[str]) -> None:
        """Add a Markdown cell."""
        if text := "\n\n".join(block for block in blocks if block.strip()):
            self.cells.append(new_markdown_cell(text, id=self._id()))

    def add_code(self, source: str, tags: list[str]) -> None:
        """Add a code cell; hidden input stays hidden where the reader's program can."""
        metadata: dict = {}
        if tags:
            metadata["tags"] = tags
        if "hide-input" in tags:
            metadata["jupyter"] = {"source_hidden": True}
        self.cells.append(new_code_cell(source, metadata=metadata, id=self._id()))

    def write(self, document: nodes.document) -> nbformat.NotebookNode:
        """Make the notebook."""
        book = facts()
        self.add_code(install_cell(), [])
        text: list[str] = []
        for piece in self.pieces(document):
            if isinstance(piece, str):
                text.append(piece)
                continue
            self.add_text(text)
            text = []
            source = piece.children[0].children[0].astext() if piece.children else ""
            metadata = piece.get("cell_metadata", {})
            self.add_code(source, list(metadata.get("tags", [])))
            text.extend(self.captions(piece))
        self.add_text(text)
        page = book.url(self.builder.config.language, self.docname)
        note = _("This notebook is a page of *{title}*: [{page}]({page})").format(
            title=_(book.title), page=page
        )
        self.cells.insert(1, new_markdown_cell(f"> {note}", id="where-this-comes-from"))
        return new_notebook(
            cells=self.cells,
            metadata={
                "kernelspec": {
                    "name": "python3",
                    "display_name": "Python 3",
                    "language": "python",
                },
                "language_info": {"name": "python"},
                "colab": {"provenance": []},
                "book": {
                    "version": book.version,
                    "ref": book.ref,
                    "page": page,
                    "language": self.builder.config.language,
                },
            },
        )


class NotebookBuilder(Builder):
    """Writes every page that has code."""

    name = "notebook"
    format = "notebook"
    epilog = "The notebooks are in %(outdir)s."
    allow_parallel = False
    supported_image_types: ClassVar = ["image/png", "image/jpeg", "image/svg+xml", "image/webp"]

    def init(self) -> None:
        """Name the file that says what the notebooks were made from."""
        self.stamp = Path(self.doctreedir, "notebooks.made-from")

    def made_from(self) -> str:
        """Return a hash of what every notebook depends on besides its own page."""
        env = self.env
        parts = [
            # numbers and titles of what other pages refer to
            json.dumps(
                [env.toc_secnumbers, env.toc_fignumbers, env.domaindata["std"]["labels"]],
                sort_keys=True,
                default=str,
            ),
            repr(facts()),
            *(file.read_text("utf-8") for file in sorted(Path(__file__).parent.glob("*.py"))),
            *(file.read_text("utf-8") for file in sorted(Path(self.srcdir).glob("*.bib"))),
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def get_outdated_docs(self) -> Iterator[str]:
        """Pages that were read again after their notebook was written."""
        if not self.stamp.exists() or self.stamp.read_text() != self.made_from():
            yield from self.env.found_docs
            return
        for docname in self.env.found_docs & self.env.all_docs.keys():
            target = self.target(docname)
            read = Path(self.doctreedir, f"{docname}.doctree").stat().st_mtime
            if has_code(self.app, docname) and not (
                target.exists() and target.stat().st_mtime > read
            ):
                yield docname

    def target(self, docname: str) -> Path:
        """Where a page's notebook goes."""
        return Path(self.outdir, f"{docname}.ipynb")

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        """Links lead to the published page."""
        return facts().url(self.config.language, docname)

    def get_relative_uri(self, from_: str, to: str, typ: str | None = None) -> str:
        """Absolute, since a notebook is read anywhere."""
        return self.get_target_uri(to, typ)

    def prepare_writing(self, docnames: Set[str]) -> None:
        """Nothing to prepare."""

    def write_doc(self, docname: str, doctree: nodes.document) -> None:
        """Write one notebook, and refuse to write an invalid one."""
        if not has_code(self.app, docname):
            return
        notebook = NotebookWriter(self, docname).write(doctree)
        nbformat.validate(notebook)
        target = self.target(docname)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)

    def finish(self) -> None:
        """Remove the notebooks of pages that are gone."""
        kept = {self.target(name) for name in self.env.found_docs if has_code(self.app, name)}
        for file in set(Path(self.outdir).rglob("*.ipynb")) - kept:
            file.unlink()
        self.stamp.write_text(self.made_from())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_builder(NotebookBuilder)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
