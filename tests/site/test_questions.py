"""Self-check questions: every chapter has them, and the page answers them by itself."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from pages import ROOT, SITE, Open, Watch

CHAPTERS = sorted(
    path.relative_to(SITE / "en").as_posix()
    for part in ("part1", "part2", "part3", "part4", "gallery")
    for path in (SITE / "en" / part).glob("*.html")
)
BOTH = [f"{language}/{name}" for language in ("en", "ja") for name in CHAPTERS]


OPEN_EVERY_CHOICE = """() => [...document.querySelectorAll(".question")].map((question) =>
  [...question.querySelectorAll("details.choice")].map((choice) => {
    if (!choice.open) choice.querySelector("summary").click();
    const verdicts = [...question.querySelectorAll(".verdict")].filter((v) => v.checkVisibility());
    const reasons = [...choice.children].filter((e) => !e.matches("summary, .verdict"));
    return {
      right: choice.classList.contains("right"),
      alone: verdicts.length === 1 && choice.contains(verdicts[0]),
      reason: reasons.map((e) => e.innerText).join("").length,
    };
  }))"""


def source(name: str) -> str:
    """The Markdown of a page."""
    return (ROOT / "book" / name).with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BOTH)
def test_every_question_is_answered(path: str, open_page: Open, watch: Watch) -> None:
    """Without JavaScript: one right choice, where the source says, and a reason for each."""
    answers = [int(n) for n in re.findall(r"^:answer: (\d+)$", source(path[3:]), re.M)]
    assert len(answers) >= 3
    page = open_page(path, java_script_enabled=False)
    page.locator(".question summary").first.click()
    assert page.locator(".question .verdict").first.is_visible()
    questions = page.evaluate(OPEN_EVERY_CHOICE)
    assert [[c["right"] for c in choices].index(True) + 1 for choices in questions] == answers
    for choices in questions:
        assert sum(choice["right"] for choice in choices) == 1
        for choice in choices:
            assert choice["reason"] > 5
            assert choice["alone"]  # its own verdict: opening one closes the others
    watch.assert_quiet()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_keyboard_answers(language: str, open_page: Open) -> None:
    """Tab reaches the choices one after another, Enter opens one."""
    page = open_page(f"{language}/part1/convolution.html")
    choices = page.locator("#question-1 details.choice")
    choices.first.locator("summary").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert choices.nth(1).locator(".verdict").is_visible()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    name = page.locator("#question-1").evaluate(
        "q => document.getElementById(q.getAttribute('aria-labelledby')).textContent"
    )
    assert name == {"en": "Question 1", "ja": "問題1"}[language]


@pytest.mark.parametrize("path", BOTH)
def test_notebook_has_questions_and_answers(path: str) -> None:
    """Lettered choices in a quote, the answers folded below, one of them right."""
    count = source(path[3:]).count(":::{question}")
    file = Path(ROOT / "_build" / "notebooks" / path).with_suffix(".ipynb")
    text = "\n".join(
        cell.source for cell in nbformat.read(file, 4).cells if cell.cell_type == "markdown"
    )
    title, right = {"en": ("Question", "Right."), "ja": ("問題", "正解です。")}[path[:2]]
    folded = re.findall(r"<details><summary>(?:Answers|回答)</summary>(.*?)</details>", text, re.S)
    assert len(re.findall(rf"^> \*\*{title} ?\d+\*\*$", text, re.M)) == count
    assert [answers.count(f" {right}") for answers in folded] == [1] * count
