"""The built site on a plain static server, and a real Chromium that watches what happens."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator

import pytest
from browser import find
from pages import SITE, Open, Watch
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def base() -> Iterator[str]:
    """The address of the site, with a trailing slash."""
    assert (SITE / "index.html").exists(), "there is no book yet: run make book first"
    handler = functools.partial(_Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    executable = find()
    assert executable, "no Chromium: run `python tools/browser.py --install`"
    arguments = ["--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    """What the test's pages say and ask for."""
    return Watch()


@pytest.fixture
def open_page(chromium: Browser, base: str, watch: Watch) -> Iterator[Open]:
    """Open a page: ``open_page("en/index.html", width=320, colours="dark")``."""
    contexts: list[BrowserContext] = []

    def opener(
        path: str, *, width: int = 1280, height: int = 900, colours: str = "light", **options
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=colours, **options
        )
        contexts.append(context)
        page = context.new_page()
        watch.follow(page, base)
        page.goto(base + path)
        return page

    yield opener
    for context in contexts:
        context.close()
