"""Execute every chapter once and keep the outputs in a cache that all languages share.

Several chapters run at a time, one on each core: a chapter computes with one core most of
the time. A chapter whose code, dlip, data and requirements are unchanged is not executed again.
A cell that raises, or writes to stderr, is reported with its file, line and error, and
nothing of that chapter is kept: the next run reports it again until it is mended.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

AT_ONCE = min(os.cpu_count() or 1, 4)
"""Chapters that run at a time. More than four would need much memory."""

CLIENTS: set[NotebookClient] = set()
"""Those that are executing a chapter now."""


@dataclass(frozen=True)
class Failure:
    """A cell that must be mended."""

    file: str
    line: int
    cell: int
    error: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: cell {self.cell}: {self.error}"


def cache_folder(root: Path) -> Path:
    """Where the outputs are kept: another folder for another dlip, data or requirements."""
    digest = hashlib.sha256()
    for path in [*sorted((root / "dlip").rglob("*")), root / "requirements.txt"]:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(root)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return root / "_build" / "cache" / "execution" / digest.hexdigest()[:16]


def chapters(root: Path) -> list[Path]:
    """Return every executable chapter of the book, in the order of the files' names."""
    return [
        path
        for path in sorted((root / "book").rglob("*.md"))
        if is_myst_markdown_notebook(path.read_text(encoding="utf-8"))
    ]


def read(root: Path, path: Path) -> nbformat.NotebookNode:
    """Read a chapter exactly as MyST-NB does, so that the cache knows it again."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    extensions = {"colon_fence", "dollarmath", "linkify", "substitution", "tasklist"}
    extensions |= set(config["parse"]["myst_enable_extensions"])
    return read_myst_markdown_notebook(
        path.read_text(encoding="utf-8"),
        config=MdParserConfig(enable_extensions=extensions - {"linkify"}),
        add_source_map=True,
        path=path,
    )


def run(notebook: nbformat.NotebookNode, name: str, timeout: int) -> Failure | None:
    """Execute the cells in place; return the first one that fails."""
    lines = notebook.metadata["source_map"]
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    current = code[0] if code else 0

    def starting(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal current
        current = cell_index

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],  # no word about loopback connections
            allow_errors=True,
            record_timing=False,  # times in the metadata would change the cache key
            resources={"metadata": {"path": folder}},
            on_cell_start=starting,
        )
        stopped = None
        CLIENTS.add(client)
        try:
            # allow_errors keeps the outputs; the loop below stops at the first error.
            client.on_cell_executed = lambda cell, cell_index, execute_reply: _stop_at_error(
                execute_reply
            )
            client.execute()
        except _CellFailed as failed:
            stopped = str(failed)
        except (CellTimeoutError, DeadKernelError) as error:
            stopped = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        finally:
            CLIENTS.discard(client)
    if stopped:
        return Failure(f"book/{name}.md", lines[current], code.index(current) + 1, stopped)
    for number, index in enumerate(code, start=1):
        for output in notebook.cells[index].get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                first = output.text.strip().splitlines()[0] if output.text.strip() else "(blank)"
                return Failure(f"book/{name}.md", lines[index], number, f"wrote to stderr: {first}")
    return None


class _CellFailed(Exception):
    """A cell raised."""


def _stop_at_error(reply: dict) -> None:
    content = reply["content"]
    if content["status"] == "error":
        raise _CellFailed(f"{content['ename']}: {content['evalue']}")


def execute(root: Path) -> tuple[list[Failure], dict[str, float]]:
    """Execute what is not in the cache; return the failures and the seconds taken."""
    folder = cache_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    cache = get_cache(str(folder))
    timeout = yaml.safe_load((root / "_config.yml").read_text())["execute"]["timeout"]
    waiting: dict[Path, nbformat.NotebookNode] = {}
    for path in chapters(root):
        notebook = read(root, path)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            waiting[path] = notebook

    def timed(path: Path) -> tuple[Failure | None, float]:
        started = time.perf_counter()
        failure = run(waiting[path], _name(root, path), timeout)
        return failure, round(time.perf_counter() - started, 2)

    failures: list[Failure] = []
    seconds: dict[str, float] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(timed, path): path for path in waiting}
        try:
            for done in as_completed(running):
                path = running[done]
                name = _name(root, path)
                failure, seconds[name] = done.result()
                if failure:
                    failures.append(failure)
                    print(f"   {name}: failed after {seconds[name]:.1f} s", flush=True)
                    continue
                cache.cache_notebook_bundle(
                    CacheBundleIn(
                        waiting[path], str(path), data={"execution_seconds": seconds[name]}
                    ),
                    check_validity=False,
                    overwrite=True,
                )
                print(f"   {name}: {seconds[name]:.1f} s", flush=True)
        except BaseException:  # Ctrl-C, above all
            pool.shutdown(wait=False, cancel_futures=True)
            for client in CLIENTS:
                if client.km and client.km.has_kernel:
                    client.km.provisioner.process.kill()
            raise
    failures.sort(key=lambda failure: failure.file)
    if not failures:
        for other in folder.parent.iterdir():  # outputs of an older dlip, data or requirements
            if other != folder:
                shutil.rmtree(other)
    return failures, seconds


def executed(root: Path) -> dict[str, nbformat.NotebookNode]:
    """Return every chapter with the outputs that the build has kept."""
    cache = get_cache(str(cache_folder(root)))
    notebooks = {}
    for path in chapters(root):
        name = _name(root, path)
        found = cache.match_cache_notebook(read(root, path))
        notebooks[name] = cache.get_cache_bundle(found.pk).nb
    return notebooks


def _name(root: Path, path: Path) -> str:
    """Return what a chapter is called: its path below book/, without the ending."""
    return path.relative_to(root / "book").with_suffix("").as_posix()
