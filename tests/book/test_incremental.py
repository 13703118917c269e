"""What is executed and what is not: only code decides."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

from mini import MiniBook


def test_nothing_changed_executes_nothing(mini: MiniBook) -> None:
    """A second build takes everything from the cache."""
    done = mini.build()
    assert done.returncode == 0, done.stdout
    assert mini.executed(done.stdout) == []


def test_changed_paragraph_executes_nothing_and_is_shown(mini: MiniBook) -> None:
    """Prose is not code."""
    mini.edit("One sentence.", "Another sentence.")
    done = mini.build()
    assert done.returncode == 0, done.stdout
    assert mini.executed(done.stdout) == []
    for language in ("en", "ja"):
        page = mini.root / "_build" / "html" / language / "part1" / "chapter.html"
        assert "Another sentence." in page.read_text(encoding="utf-8")


def test_changed_code_executes_that_chapter_only(mini: MiniBook) -> None:
    """Another chapter's outputs stay."""
    text = (mini.root / "book" / "part1" / "chapter.md").read_text()
    other = text.replace("sec-chapter", "sec-other").replace("chapter.md::", "other.md::")
    mini.write("part1/other.md", other.replace("6 * 7", "6 * 9"))
    toc = mini.root / "_toc.yml"
    toc.write_text(toc.read_text() + "      - file: part1/other\n")
    assert mini.executed(mini.build().stdout) == ["part1/other"]
    mini.edit("6 * 7", "6 * 8")
    done = mini.build()
    assert done.returncode == 0, done.stdout
    assert mini.executed(done.stdout) == ["part1/chapter"]
    for language in ("en", "ja"):
        page = mini.root / "_build" / "html" / language / "part1" / "chapter.html"
        assert ">48<" in page.read_text(encoding="utf-8")


def test_notebooks_are_written_anew_where_needed(mini: MiniBook) -> None:
    """A page that was not read again keeps its notebook, unless its number has changed."""
    notebook = mini.root / "_build" / "notebooks" / "ja" / "part1" / "chapter.ipynb"
    mini.build()
    written = notebook.stat().st_mtime
    mini.write("index.md", (mini.root / "book" / "index.md").read_text() + "\nMore.\n")
    assert mini.build().returncode == 0
    assert notebook.stat().st_mtime == written
    assert "# 1. Chapter" in notebook.read_text(encoding="utf-8")
    mini.write("part1/first.md", "(sec-first)=\n# First\n\nA page before the chapter.\n")
    toc = mini.root / "_toc.yml"
    toc.write_text(toc.read_text().replace("chapters:\n", "chapters:\n      - file: part1/first\n"))
    assert mini.build().returncode == 0
    assert "# 2. Chapter" in notebook.read_text(encoding="utf-8")


def test_changed_library_executes_again(mini: MiniBook) -> None:
    """A chapter's outputs depend on dlip, its data and the requirements too."""
    for name in ("dlip/thing.py", "requirements.txt"):
        path = mini.root / name
        path.write_text(path.read_text() + "# changed\n")
        done = mini.build("settings", "execute")
        assert mini.executed(done.stdout) == ["part1/chapter"], name


def test_interrupted_build_picks_up_where_it_stopped(mini: MiniBook) -> None:
    """Chapters that were executed before the interruption are not executed again."""
    text = (mini.root / "book" / "part1" / "chapter.md").read_text()
    slow = text.replace("sec-chapter", "sec-slow").replace("chapter.md::", "slow.md::")
    mini.write("part1/slow.md", slow.replace("6 * 7", "6 * 7\nimport time; time.sleep(20)"))
    toc = mini.root / "_toc.yml"
    toc.write_text(toc.read_text() + "      - file: part1/slow\n")
    mini.edit("6 * 7", "7 * 6")
    command = [sys.executable, "tools/build.py", "--root", str(mini.root)]
    running = subprocess.Popen(command, cwd=mini.root, stdout=subprocess.PIPE, text=True)
    assert running.stdout
    for line in running.stdout:
        if line.strip().startswith("part1/chapter"):
            break
    time.sleep(2)  # the slow chapter is being executed now
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode != 0
    mini.edit("time.sleep(20)", "time.sleep(0)", "part1/slow.md")
    done = mini.build()
    assert done.returncode == 0, done.stdout
    assert mini.executed(done.stdout) == ["part1/slow"]


def test_fault_of_a_build_interrupted_while_writing_is_not_lost(mini: MiniBook) -> None:
    """Warnings of pages that were read before an interruption come again."""
    doctrees = mini.root / "_build" / "doctrees"
    mini.edit("The answer is", "See {ref}`sec-nowhere`. The answer is")
    assert mini.build("pages-en").returncode != 0
    mini.edit("See {ref}`sec-nowhere`. ", "")
    assert mini.build("pages-en").returncode == 0
    (doctrees / "en.unfinished").touch()  # as an interruption leaves it
    mini.build("pages-en")
    assert not (doctrees / "en.unfinished").exists()


def test_times_of_every_stage_are_kept(mini: MiniBook) -> None:
    """The measured times stand in a file."""
    mini.build()
    times = json.loads((mini.root / "_build" / "timings.json").read_text())
    assert set(times) >= {"execute", "pages-en", "pages-ja", "notebooks-ja", "search"}
