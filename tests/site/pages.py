"""The built site: where it is, its pages, and what a page says and asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for language in ("en", "ja")
    for path in (SITE / language).rglob("*.html")
    if "_static" not in path.parts
)


@dataclass
class Watch:
    """What a page has said and asked for."""

    console: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def follow(self, page: Page, base: str) -> None:
        """Listen to a page."""
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("requestfailed", lambda request: self.failed.append(request.url))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((base, "data:", "blob:"))
                else self.elsewhere.append(request.url)
            ),
        )
        page.on(
            "response",
            lambda answer: (
                self.failed.append(f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )

    def assert_quiet(self) -> None:
        """Nothing on the console, nothing from elsewhere, nothing missing."""
        assert self.console == []
        assert self.elsewhere == []
        assert self.failed == []


Open = Callable[..., Page]
