"""Write a resolved page as the Markdown that Jupyter, Colab and GitHub all show alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from docutils import nodes
from facts import facts
from interface import _
from questions import choice_node, question_node, title
from sphinx import addnodes
from sphinx.util import logging
from sphinx_exercise.nodes import is_exercise_node, solution_node

if TYPE_CHECKING:
    from sphinx.builders import Builder

logger = logging.getLogger(__name__)

Piece = "str | nodes.container"
"""A block of Markdown, or a code cell that interrupts the text."""

SKIPPED = (
    nodes.comment,
    nodes.target,
    nodes.substitution_definition,
    addnodes.index,
    addnodes.toctree,
)


def is_cell(node: nodes.Node) -> bool:
    """Whether the node is one of the page's code cells."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


class TextWriter:
    """Turns block nodes into pieces and inline nodes into Markdown."""

    def __init__(self, builder: Builder, docname: str) -> None:
        """Write for one page."""
        self.builder = builder
        self.docname = docname
        self.depth = 0

    # ---- blocks ---------------------------------------------------------------

    def pieces(self, parent: nodes.Node) -> Iterator[Piece]:
        """Yield the children of a node as blocks of Markdown and as code cells."""
        for node in parent.children:
            if isinstance(node, SKIPPED):
                continue
            if is_cell(node):
                yield node
            elif isinstance(node, nodes.section):
                yield from self._section(node)
            elif isinstance(node, solution_node) or is_exercise_node(node):
                yield from self._exercise(node)
            elif isinstance(node, question_node):
                yield from self._question(node)
            elif isinstance(node, nodes.Admonition):
                yield self._quote(self._admonition_title(node), self._texts(node))
            elif isinstance(node, nodes.block_quote):
                yield self._quote(None, self._texts(node))
            elif isinstance(node, nodes.container | nodes.compound | nodes.topic):
                yield from self.pieces(node)
            else:
                yield self._block(node)

    def _texts(self, parent: nodes.Node) -> list[str]:
        """The children as blocks; a code cell in them becomes a code block."""
        return [
            piece if isinstance(piece, str) else f"```python\n{piece.astext()}\n```"
            for piece in self.pieces(parent)
        ]

    def _section(self, section: nodes.section) -> Iterator[Piece]:
        self.depth += 1
        yield from self.pieces(section)
        self.depth -= 1

    def _block(self, node: nodes.Node) -> str:
        """One block node as Markdown."""
        match node:
            case nodes.title():
                number = self._section_number(node.parent)
                return f"{'#' * max(self.depth, 1)} {number}{self.inline(node)}"
            case nodes.paragraph() | nodes.caption() | nodes.attribution():
                return self.inline(node)
            case nodes.rubric():
                return f"**{self.inline(node)}**"
            case nodes.literal_block():
                language = node.get("language", "")
                fence = "~~~~" if "```" in node.astext() else "```"
                language = "" if language in ("none", "default", "text") else language
                return f"{fence}{language}\n{node.astext()}\n{fence}"
            case nodes.math_block():
                number = self._equation_number(node)
                return f"$$\n{node.astext().strip()}{number}\n$$"
            case nodes.bullet_list():
                return self._list(node, lambda index: "- ")
            case nodes.enumerated_list():
                first = node.get("start", 1)
                return self._list(node, lambda index: f"{first + index}. ")
            case nodes.definition_list():
                return "\n\n".join(self._definition(item) for item in node.children)
            case nodes.table():
                return self._table(node)
            case nodes.figure():
                return self._figure(node)
            case nodes.image():
                return self._image(node)
            case nodes.transition():
                return "---"
            case nodes.citation():
                label, *rest = node.children
                text = " ".join(self._block(child) for child in rest)
                return f"**[{label.astext()}]** {text}"
            case nodes.raw():
                return node.astext() if "html" in node.get("format", "") else ""
            case nodes.TextElement():
                return self.inline(node)
            case _:
                logger.warning(
                    "no way to write a %s in a notebook",
                    type(node).__name__,
                    location=node,
                    type="book",
                    subtype="notebook",
                )
                return node.astext()

    def _list(self, node: nodes.Element, mark) -> str:
        items = []
        for index, item in enumerate(node.children):
            lead = mark(index)
            body = "\n\n".join(self._texts(item))
            items.append(lead + body.replace("\n", "\n" + " " * len(lead)))
        return "\n".join(items)

    def _definition(self, item: nodes.Element) -> str:
        terms = [self.inline(t) for t in item.children if isinstance(t, nodes.term)]
        bodies = [d for d in item.children if isinstance(d, nodes.definition)]
        text = "\n\n".join(block for body in bodies for block in self._texts(body))
        return f"**{', '.join(terms)}**: {text}"

    def _table(self, table: nodes.table) -> str:
        rows = [
            [" ".join(self._texts(entry)).replace("\n", " ").replace("|", "\\|") for entry in row]
            for row in table.findall(nodes.row)
        ]
        head, *body = rows
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(row) + " |" for row in body]
        caption = next(iter(table.findall(nodes.title)), None)
        return (f"*{self.inline(caption)}*\n\n" if caption else "") + "\n".join(lines)

    def _figure(self, figure: nodes.figure) -> str:
        blocks = [self._image(image) for image in figure.findall(nodes.image)]
        return "\n\n".join([*blocks, *self.captions(figure.parent)])

    def captions(self, parent: nodes.Node) -> list[str]:
        """The captions of the figures below a node, each with its number."""
        return [
            f"*{self._figure_number(figure)}{self.inline(caption)}*"
            for figure in parent.findall(nodes.figure)
            for caption in figure.children
            if isinstance(caption, nodes.caption)
        ]

    def _image(self, image: nodes.image) -> str:
        uri = image["uri"]
        if "://" not in uri:
            name = re.sub(r"\.(png|jpe?g)$", ".webp", self.builder.env.images[uri][1])
            uri = f"{facts().base_url}/{self.builder.config.language}/_images/{name}"
        return f"![{image.get('alt', '')}]({uri})"

    def _quote(self, title: str | None, blocks: list[str]) -> str:
        parts = ([f"**{title}**"] if title else []) + [b for b in blocks if b.strip()]
        return "\n".join(f"> {line}".rstrip() for line in "\n\n".join(parts).split("\n"))

    def _admonition_title(self, node: nodes.Element) -> str:
        first = node.children[0] if node.children else None
        if isinstance(first, nodes.title):
            node.remove(first)
            return self.inline(first)
        from sphinx.locale import admonitionlabels

        return admonitionlabels.get(type(node).__name__, type(node).__name__.capitalize())

    def _exercise(self, node: nodes.Element) -> Iterator[Piece]:
        """An exercise as a quote; a solution folded where it is text, open where it runs."""
        title_node = node.children[0]
        title = self.inline(title_node)
        if is_exercise_node(node):
            title = self._number_of("exercise", node) or title
        node.remove(title_node)
        pieces = list(self.pieces(node))
        if any(not isinstance(piece, str) for piece in pieces):
            yield f"**{title}**"
            yield from pieces
        elif isinstance(node, solution_node):
            body = "\n\n".join(pieces)
            yield f"<details><summary>{title_node.astext()}</summary>\n\n{body}\n\n</details>"
        else:
            yield self._quote(title, pieces)

    def _question(self, node: question_node) -> Iterator[str]:
        """A question as a quote with lettered choices, and its answers folded."""
        choices = list(node.findall(choice_node))
        lines, answers = [], []
        for letter, choice in zip("abcdefgh", choices, strict=False):
            text, *why = choice.children
            lines.append(f"- **{letter}** {self.inline(text)}")
            reasons = " ".join(self._block(part) for part in why)
            answers.append(f"- **{letter}** {choice.verdict} {reasons}")
            node.remove(choice)
        yield self._quote(title(node), [*self._texts(node), "\n".join(lines)])
        heading = _("Answers")
        yield f"<details><summary>{heading}</summary>\n\n{chr(10).join(answers)}\n\n</details>"

    # ---- numbers --------------------------------------------------------------

    def _section_number(self, section: nodes.Node) -> str:
        numbers = self.builder.env.toc_secnumbers.get(self.docname, {})
        for anchor in [f"#{i}" for i in section.get("ids", [])] + ([""] if self.depth == 1 else []):
            if number := numbers.get(anchor):
                return ".".join(map(str, number)) + ". "
        return ""

    def _number_of(self, kind: str, node: nodes.Element) -> str:
        numbers = self.builder.env.toc_fignumbers.get(self.docname, {}).get(kind, {})
        for identity in node.get("ids", []):
            if number := numbers.get(identity):
                template = self.builder.config.numfig_format[kind]
                return template % ".".join(map(str, number))
        return ""

    def _figure_number(self, figure: nodes.figure) -> str:
        number = self._number_of("figure", figure)
        return f"{number}: " if number else ""

    def _equation_number(self, node: nodes.math_block) -> str:
        number = node.get("number")
        return f" \\tag{{{number}}}" if number else ""

    # ---- inline ---------------------------------------------------------------

    def inline(self, parent: nodes.Node) -> str:
        """The children of a node as one line of Markdown."""
        return "".join(self._inline(node) for node in parent.children)

    def _inline(self, node: nodes.Node) -> str:
        match node:
            case nodes.Text():
                return escape(node.astext().replace("\n", " "))
            case nodes.strong():
                return f"**{self.inline(node)}**"
            case nodes.emphasis() | nodes.title_reference():
                return f"*{self.inline(node)}*"
            case nodes.literal():
                return code(node.astext())
            case nodes.math():
                return f"${node.astext()}$"
            case nodes.reference():
                return f"[{self.inline(node)}]({self._address(node)})"
            case nodes.image():
                return self._image(node)
            case nodes.superscript():
                return f"<sup>{self.inline(node)}</sup>"
            case nodes.subscript():
                return f"<sub>{self.inline(node)}</sub>"
            case nodes.raw():
                return node.astext() if "html" in node.get("format", "") else ""
            case nodes.comment() | nodes.target():
                return ""
            case addnodes.pending_xref():
                return self.inline(node)
            case nodes.Element():
                return self.inline(node)
        return ""

    def _address(self, reference: nodes.reference) -> str:
        if "refid" in reference:
            return facts().url(self.builder.config.language, self.docname, reference["refid"])
        return reference.get("refuri", "")


def escape(text: str) -> str:
    """Protect what Markdown would read as its own marks."""
    return re.sub(r"([\\`*_$<\[\]])", r"\\\1", text)


def code(text: str) -> str:
    """Inline code, fenced with as many backquotes as it needs."""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
