"""Bibliographic facts and addresses, read once and used everywhere.

The title, the author, the version, the date and the licence stand in ``CITATION.cff``
and nowhere else. The site's address and the repository's address come from the
environment of the workflow that publishes, so that a fork publishes its own links.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Facts:
    """What a citation, a launch button or a notebook needs to know about this book."""

    title: str
    author: str
    version: str
    released: str
    """Date of release, YYYY-MM-DD."""
    abstract: str
    base_url: str
    """Where the site is published, without a trailing slash."""
    repository: str
    """``owner/name`` on GitHub."""
    ref: str | None
    """The commit that is being published; None in a local build."""

    def url(self, language: str, docname: str, section: str | None = None) -> str:
        """The permanent address of a page or of one of its sections."""
        address = f"{self.base_url}/{language}/{docname}.html"
        return f"{address}#{section}" if section else address


def _repository(default: str) -> str:
    """``owner/name``: of the publishing workflow, else of the remote, else the default."""
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return name
    remote = subprocess.run(
        ["git", "-C", str(ROOT), "remote", "get-url", "origin"], capture_output=True, text=True
    ).stdout
    found = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?\s*$", remote or default)
    return found[1] if found else default.removeprefix("https://github.com/")


@lru_cache(maxsize=1)
def facts() -> Facts:
    """Read ``CITATION.cff`` and the environment."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return Facts(
        title=cff["title"],
        author=" and ".join(a["name"] for a in cff["authors"]),
        version=str(cff["version"]),
        released=str(cff["date-released"]),
        abstract=cff["abstract"],
        base_url=os.environ.get("BOOK_BASE_URL", "http://localhost:8000").rstrip("/"),
        repository=_repository(cff["repository-code"]),
        ref=os.environ.get("GITHUB_SHA"),
    )


def _put_in_place(app: Sphinx, config: Config) -> None:
    """Give Sphinx the facts under its own names."""
    book = facts()
    config.project = config.html_title = book.title  # type: ignore[attr-defined]
    config.author = book.author  # type: ignore[attr-defined]
    config.version = config.release = book.version  # type: ignore[attr-defined]
    config.copyright = f"{book.released[:4]}, {book.author}"  # type: ignore[attr-defined]
    config.html_baseurl = f"{book.base_url}/{config.language}/"  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", _put_in_place, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
