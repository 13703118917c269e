"""Where MyST-NB keeps what the cells have put out, and how a folded cell is opened."""

from __future__ import annotations

from pathlib import Path

from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def visit_folded(self: HTML5Translator, node: HideCodeCellNode) -> None:
    """As MyST-NB does, but screen readers hear the words that are shown."""
    classes = " ".join(node["classes"])
    self.body.append(f'<details class="admonition hide {classes}">\n<summary>\n')
    for state, text in (("collapsed", node["prompt_show"]), ("expanded", node["prompt_hide"])):
        self.body.append(f'<p class="{state} admonition-title">{self.encode(text)}</p>\n')
    self.body.append("</summary>\n")


def _keep_out_of_the_site(app: Sphinx) -> None:
    """Keep the outputs' files beside the doctrees: MyST-NB would publish them."""
    folder = Path(app.doctreedir) / "outputs"
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(folder))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("myst_nb")
    app.add_node(HideCodeCellNode, override=True, html=(visit_folded, depart_HideCellInput))
    app.connect("builder-inited", _keep_out_of_the_site, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
