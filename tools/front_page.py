"""The page at the site's root: choose a language."""

from __future__ import annotations

from pathlib import Path

from facts import facts
from jinja2 import Environment, FileSystemLoader


def write(root: Path, html: Path, languages: dict[str, str]) -> None:
    """Write ``index.html``; it works without JavaScript, and with it remembers the choice."""
    templates = Environment(loader=FileSystemLoader(root / "book" / "_templates"), autoescape=True)
    page = templates.get_template("chooser.html").render(facts=facts(), languages=languages)
    (html / "index.html").write_text(page, encoding="utf-8")
