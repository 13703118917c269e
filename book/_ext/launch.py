"""Colab, Binder and download buttons that open this page's notebook in its language.

The notebooks live on the ``notebooks`` branch of the repository that published the
site; the publishing workflow writes that branch.
"""

from __future__ import annotations

from urllib.parse import quote

from facts import facts
from sphinx.application import Sphinx

BRANCH = "notebooks"


def launch_links(language: str, docname: str) -> dict[str, str]:
    """Addresses that open a page's notebook in Colab and in Binder."""
    repository, path = facts().repository, f"{language}/{docname}.ipynb"
    return {
        "colab": f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}/{path}",
        "binder": f"https://mybinder.org/v2/gh/{repository}/{BRANCH}"
        f"?urlpath=lab/tree/{quote(path)}",
    }


def has_code(app: Sphinx, docname: str) -> bool:
    """Whether the page has executed cells, and so a notebook."""
    return "kernelspec" in app.env.metadata.get(docname, {})


def _add_links(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Give the header its buttons, on pages that have code."""
    if not has_code(app, pagename):
        context["launch"] = None
        return
    language = app.config.language
    context["launch"] = launch_links(language, pagename) | {
        "download": f"{'../' * (pagename.count('/') + 1)}notebooks/{language}/{pagename}.ipynb",
        "filename": f"{pagename.rsplit('/', 1)[-1]}.{language}.ipynb",
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", _add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
