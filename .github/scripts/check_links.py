"""Ask every external link of the book, and write down those that are broken.

    check_links.py REPORT

The report is empty when nothing is broken. Some sites turn away programs: their links are
listed below the broken ones, to be looked at by hand, and call for no report of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60_000  # characters that an issue can hold

SETTINGS = {
    "external_toc_path": "../_toc.yml",
    "nb_execution_mode": "off",  # the outputs hold no links
    "linkcheck_retries": "3",
    "linkcheck_timeout": "30",
    # Scripts put these anchors in place, so that they are not in the page that is sent.
    "linkcheck_anchors_ignore_for_url": "https://github.com/.*",
    "linkcheck_ignore": "http://localhost.*",
}


def ask(language: str) -> list[dict]:
    """Run Sphinx's own checker over the pages of one language."""
    target = ROOT / "_build" / "links" / language
    doctrees = ROOT / "_build" / "doctrees" / f"links-{language}"
    command = [sys.executable, "-m", "sphinx", "-b", "linkcheck", "-c", ".", "-d", str(doctrees)]
    for name, value in (SETTINGS | {"language": language}).items():
        command += ["-D", f"{name}={value}"]
    answers = target / "output.json"
    answers.unlink(missing_ok=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "book" / "_ext")}
    # The exit status only tells that a link is broken: the answers tell more.
    subprocess.run([*command, "-q", "book", str(target)], cwd=ROOT, env=environment)
    return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]


def turned_away(answer: dict) -> bool:
    """Whether a site answered, but said neither "here" nor "gone" (404, 410)."""
    code = answer["info"][:3]
    return answer["status"] == "timeout" or (code.isdigit() and code not in ("404", "410"))


def report(answers: Iterable[dict]) -> str:
    """Write the list, each link once with all its places; empty when nothing is broken."""
    broken: dict[str, list[str]] = {}
    unclear: dict[str, list[str]] = {}
    for answer in answers:
        if answer["status"] in ("broken", "timeout"):
            group = unclear if turned_away(answer) else broken
            places = group.setdefault(f"<{answer['uri']}>: {answer['info'][:200]}", [])
            place = f"`book/{answer['filename']}:{answer['lineno']}`"
            if place not in places:
                places.append(place)
    if not broken:
        return ""
    lines = ["These links of the book are broken:", ""]
    lines += [f"- {link} ({', '.join(places)})" for link, places in sorted(broken.items())]
    if unclear:
        lines += ["", "These sites did not answer a program; look at them in a browser:", ""]
        lines += [f"- {link} ({', '.join(places)})" for link, places in sorted(unclear.items())]
    text = "\n".join(lines) + "\n"
    return text if len(text) <= LIMIT else text[:LIMIT].rsplit("\n", 1)[0] + "\n- …\n"


def main() -> int:
    """Ask for every language, since a translation may link elsewhere."""
    sys.path[:0] = [str(ROOT / "book" / "_ext")]
    from interface import LANGUAGES

    build = [sys.executable, str(ROOT / "tools" / "build.py"), "--only", "settings"]
    subprocess.run(build, check=True)
    answers = [answer for language in LANGUAGES for answer in ask(language)]
    if not answers:
        print("Not one link was asked: the check itself is broken.")
        return 1
    text = report(answers)
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    print(text or f"All of {len(answers)} links answer.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
