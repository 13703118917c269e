"""Solutions that fold with the browser's own <details>: no script, keyboard included."""

from __future__ import annotations

from docutils import nodes
from interface import _
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node


class NameSolutions(SphinxPostTransform):
    """Name a solution after its exercise, in the words and the order of the language."""

    default_priority = 22  # right after sphinx-exercise has numbered the titles

    def run(self, **kwargs: object) -> None:
        """Replace every solution's title."""
        for solution in self.document.findall(solution_node):
            title = solution.children[0]
            number = title.astext().rsplit(" ", 1)[-1]
            exercise = self.config.numfig_format["exercise"] % number
            title.children = [nodes.Text(_("Solution to {exercise}").format(exercise=exercise))]


def visit_solution(self: HTML5Translator, node: solution_node) -> None:
    """Open the folded block; its title is what the reader clicks."""
    self.body.append(self.starttag(node, "details", CLASS="admonition"))
    title = node.children[0]
    if isinstance(title, nodes.title):
        node.remove(title)
        self.body.append(f'<summary class="admonition-title">{self.encode(title.astext())}')
        self.body.append("</summary>\n")


def depart_solution(self: HTML5Translator, node: solution_node) -> None:
    """Close it."""
    self.body.append("</details>\n")


def _unwrap_bodies(app: Sphinx, doctree: nodes.document) -> None:
    """Take the body of each exercise out of its section: all have the same id."""
    for section in list(doctree.findall(nodes.section)):
        if section["ids"] in (["solution-content"], ["exercise-content"]):
            section.replace_self(section.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinx_exercise")
    app.add_post_transform(NameSolutions)
    app.add_node(solution_node, override=True, html=(visit_solution, depart_solution))
    app.connect("doctree-read", _unwrap_bodies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
