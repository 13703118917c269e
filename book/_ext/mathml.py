"""Formulas as MathML, made while the book is built.

A page needs no script, no style sheet and no third party to show a formula, screen
readers can read it, and nothing moves once the page is there. Temml does the work.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache, lru_cache
from html import escape
from pathlib import Path

from docutils import nodes
from locations import location
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
SCRIPT = Path(__file__).with_suffix(".mjs")


@lru_cache(maxsize=1)
def _converter() -> subprocess.Popen[str]:
    """Start the converter; it lives as long as the build."""
    beside_python = Path(sys.executable).with_name("node")
    node = str(beside_python) if beside_python.exists() else shutil.which("node")
    if node is None:
        raise RuntimeError("formulas need Node.js: `make book` installs it into .venv")
    return subprocess.Popen(
        [node, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@cache
def to_mathml(tex: str, *, display: bool) -> str:
    """Return the MathML of a TeX formula; raise ValueError where the TeX is wrong."""
    converter = _converter()
    assert converter.stdin and converter.stdout
    converter.stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
    converter.stdin.flush()
    line = converter.stdout.readline()
    if not line:
        raise RuntimeError("the formula converter stopped: run `make book` to reinstall it")
    answer = json.loads(line)
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["mathml"]


def _convert(writer: HTML5Translator, node: nodes.Node, *, display: bool) -> str:
    tex = node.astext()
    try:
        return to_mathml(tex, display=display)
    except ValueError as error:
        where = location(node, writer.builder.current_docname)
        reason = str(error).strip().splitlines()[0]
        logger.warning("formula %r: %s", tex, reason, location=where, type="book", subtype="math")
        return f'<code class="math-error">{escape(tex)}</code>'


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write an inline formula."""
    self.body.append(_convert(self, node, display=False))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula, with its number where it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight", tabindex="0"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})</span>')
    self.body.append(_convert(self, node, display=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


class FormulasNeedNoTranslation(SphinxTransform):
    """Keep displayed formulas out of the PO files: a formula has no language."""

    default_priority = 5  # before Sphinx looks for messages

    def apply(self, **kwargs: object) -> None:
        """Without a source, a block is no message; its paragraph's stands in for warnings."""
        for block in self.document.findall(nodes.math_block):
            block.source = None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(FormulasNeedNoTranslation)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
