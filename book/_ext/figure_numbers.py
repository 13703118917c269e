"""Make references to numbered figures quick: read each page for them once, not each time.

Sphinx unpickles a whole page for every ``{numref}`` into it, only to look at one title.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment

_pages: dict[str, nodes.document] = {}
"""Every page that a reference has led to, in this process."""


class QuickStandardDomain(StandardDomain):
    """Sphinx's own domain, with a memory while it resolves ``{numref}``."""

    def _resolve_numref_xref(
        self, env: BuildEnvironment, *arguments: object
    ) -> nodes.Element | None:
        def read(docname: str) -> nodes.document:
            if docname not in _pages:
                _pages[docname] = BuildEnvironment.get_doctree(env, docname)
            return _pages[docname]

        env.get_doctree = read  # type: ignore[method-assign]
        try:
            return super()._resolve_numref_xref(env, *arguments)  # type: ignore[arg-type]
        finally:
            del env.get_doctree


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_domain(QuickStandardDomain, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
