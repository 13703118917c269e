"""Every fault that must not reach a reader fails the build: at once, and again."""

from __future__ import annotations

import re

import pytest
from mini import CHAPTER, MiniBook

PICTURE_ALT = """---
mystnb:
  image:
    alt: A line that rises.
---
"""

FAULTS = {
    "a cell that raises": (
        "answer = 6 * 7",
        "answer = 6 * 7\nraise ValueError('broken on purpose')",
        r"book/part1/chapter\.md:12: cell 1: ValueError: broken on purpose",
    ),
    "a cell that writes to stderr": (
        "print(answer)",
        "print(answer)\nimport warnings; warnings.warn('careful')",
        r"book/part1/chapter\.md:12: cell 1: wrote to stderr: .*careful",
    ),
    "an unknown glue key": (
        "chapter.md::answer:d",
        "chapter.md::anser:d",
        r"book/part1/chapter\.md:26: WARNING: .*anser",
    ),
    "a broken cross-reference": (
        "The answer is",
        "See {ref}`sec-nowhere`. The answer is",
        r"book/part1/chapter\.md:26: WARNING: .*sec-nowhere",
    ),
    "a broken link to a page": (
        "The answer is",
        "See [there](nowhere.md). The answer is",
        r"book/part1/chapter\.md:26: WARNING: .*nowhere",
    ),
    "a figure without alt text": (
        PICTURE_ALT,
        "",
        r"book/part1/chapter\.md:30: WARNING: picture without alt text",
    ),
    "a section without label": (
        "(sec-chapter-picture)=\n",
        "",
        r"book/part1/chapter\.md:2\d: WARNING: section 'Picture' has no label",
    ),
    "a formula that is wrong": (
        "{math}`x^2`",
        "{math}`\\nosuchcommand{x}`",
        r"book/part1/chapter\.md:26: WARNING: formula .*nosuchcommand",
    ),
    "a question without an answer": (
        ":answer: 1",
        ":answer: 3",
        r"book/part1/chapter\.md:4\d: .*:answer: must be a number from 1 to 2",
    ),
    "a choice without a reason": (
        "\n  Look again.\n",
        "",
        r"book/part1/chapter\.md:4\d: .*choice 2 needs a paragraph and then its explanation",
    ),
    "a citation that is not in the bibliography": (
        "The answer is",
        "As {cite:t}`nobody1900` says. The answer is",
        r"book/part1/chapter\.md:26: WARNING: .*nobody1900",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_fails_on_every_run_until_mended(mini: MiniBook, fault: str) -> None:
    """The first run and the second name file and line; mended, the third passes."""
    good, bad, message = FAULTS[fault]
    stages = ("execute", "pages-en")
    mini.edit(good, bad)
    for run in ("first", "second"):
        done = mini.build(*stages)
        assert done.returncode != 0, f"the {run} run passes with {fault}:\n{done.stdout}"
        assert re.search(message, done.stdout), f"the {run} run says:\n{done.stdout}"
        assert "Traceback" not in done.stdout, done.stdout
    mini.write("part1/chapter.md", CHAPTER)
    done = mini.build(*stages)
    assert done.returncode == 0, done.stdout


def test_chapter_missing_from_the_contents(mini: MiniBook) -> None:
    """A page that nobody can reach is a fault."""
    mini.write("part1/lost.md", "(sec-lost)=\n# Lost\n\nNobody finds this page.\n")
    for _run in range(2):
        done = mini.build("pages-en")
        assert done.returncode != 0
        assert re.search(r"book/part1/lost\.md.*WARNING: .*toctree", done.stdout), done.stdout


def test_chapter_in_the_contents_but_not_there(mini: MiniBook) -> None:
    """A line of the table of contents without a page is a fault."""
    toc = mini.root / "_toc.yml"
    toc.write_text(toc.read_text() + "      - file: part1/absent\n")
    for _run in range(2):
        done = mini.build("pages-en")
        assert done.returncode != 0
        assert "part1/absent" in done.stdout
