"""``{question}``: a self-check question that the page answers without script or server.

    :::{question}
    :answer: 2

    What is asked?

    - A choice.

      Why it is wrong.

    - Another choice.

      Why it is right.
    :::

Each choice is the browser's own ``<details>``: opening it says whether it is right, and
why. Only one choice of a question is open at a time.
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from interface import _
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator


class question_node(nodes.General, nodes.Element):
    """A question: paragraphs, then choices; ``number`` counts within the page."""


class choice_node(nodes.General, nodes.Element):
    """A choice: a paragraph, then the explanation; ``right`` says which it is."""

    @property
    def verdict(self) -> str:
        """What the reader is told on choosing it."""
        return _("Right.") if self["right"] else _("Not this one.")


class Question(SphinxDirective):
    """Read the question, and the list at its end as the choices."""

    has_content = True
    option_spec: ClassVar = {"answer": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        """Return the question, or an error that names the line."""
        question = question_node()
        self.set_source_info(question)
        self.state.nested_parse(self.content, self.content_offset, question)
        choices = question.children[-1] if question.children else None
        if not isinstance(choices, nodes.bullet_list) or len(question) < 2:
            raise self.error("a question is a text and then a list of choices")
        answer = self.options.get("answer")
        if answer is None or answer > len(choices):
            raise self.error(f":answer: must be a number from 1 to {len(choices)}")
        question.remove(choices)
        for number, item in enumerate(choices.children, start=1):
            if len(item) < 2 or not isinstance(item[0], nodes.paragraph):
                raise self.error(f"choice {number} needs a paragraph and then its explanation")
            question += choice_node("", *item.children, right=number == answer)
        return [question]


def _number(app: Sphinx, doctree: nodes.document) -> None:
    for number, question in enumerate(doctree.findall(question_node), start=1):
        question["number"] = number
        question["ids"] = [f"question-{number}"]
        for choice in question.findall(choice_node):
            choice["group"] = f"question-{number}"


def title(question: question_node) -> str:
    """The question's name in the page's language."""
    return _("Question {number}").format(number=question["number"])


def visit_question(self: HTML5Translator, node: question_node) -> None:
    """Open the group, named by its title."""
    label = f"{node['ids'][0]}-title"
    attributes = {"role": "group", "aria-labelledby": label}
    self.body.append(self.starttag(node, "div", CLASS="question", **attributes))
    self.body.append(f'<p class="question-title" id="{label}">{self.encode(title(node))}</p>\n')


def depart_question(self: HTML5Translator, node: question_node) -> None:
    """Close it."""
    self.body.append("</div>\n")


def visit_choice(self: HTML5Translator, node: choice_node) -> None:
    """Open the choice; its first paragraph is what the reader clicks."""
    kind = "right" if node["right"] else "wrong"
    text = node.children[0]
    self.body.append(f'<details class="choice {kind}" name="{node["group"]}"><summary>')
    for child in text.children:
        child.walkabout(self)
    node.remove(text)
    self.body.append(f'</summary>\n<p class="verdict">{self.encode(node.verdict)}</p>\n')


def depart_choice(self: HTML5Translator, node: choice_node) -> None:
    """Close it."""
    self.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("question", Question)
    app.add_node(question_node, html=(visit_question, depart_question))
    app.add_node(choice_node, html=(visit_choice, depart_choice))
    app.connect("doctree-read", _number)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
