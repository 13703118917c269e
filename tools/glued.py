"""The numbers that chapters compute for their prose: read them, and record them.

A chapter puts a computed number into its text with `glue`. `tests/book/numbers.json` records
all of them, so that a change of code, data or a package that changes what the book says is
noticed. Run this after such a change, and look at the difference before you commit it:

    make numbers

The test allows what another processor or another number of threads may change: each number
may differ by a little, and a few in a chapter by any amount, since a tie between two classes
or the place of a largest value falls this way or that. On one machine nothing may differ at
all; `make repeat` finds out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
from execute import executed

RECORD = "tests/book/numbers.json"
RELATIVE, ABSOLUTE = 0.1, 0.02
FEW = 2, 0.05  # so many numbers of a chapter may differ by more, or this share of them


def numbers(notebook: nbformat.NotebookNode) -> dict[str, float | str]:
    """Return what a chapter glues by name; not from cells whose outputs vary, such as times."""
    found: dict[str, float | str] = {}
    for cell in notebook.cells:
        if "volatile" in cell.metadata.get("tags", ()):
            continue
        for output in cell.get("outputs", ()):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name is not None:
                found[name] = _value(output.data)
    return found


def _value(data: dict[str, str]) -> float | str:
    text = next(data[kind] for kind in data if kind.endswith("text/plain"))
    try:
        return float(text)
    except ValueError:
        return text


def differences(recorded: dict[str, float | str], now: dict[str, float | str]) -> list[str]:
    """Return, line by line, how the numbers of a chapter differ from the record by too much."""
    lines = [f"{name}: is not recorded" for name in now.keys() - recorded.keys()]
    lines += [f"{name}: is recorded, but not computed" for name in recorded.keys() - now.keys()]
    far = []
    for name in recorded.keys() & now.keys():
        old, new = recorded[name], now[name]
        if isinstance(old, float) and isinstance(new, float):
            same = abs(new - old) <= ABSOLUTE + RELATIVE * abs(old)
        else:
            same = new == old
        if not same:
            far.append(f"{name}: recorded {old}, now {new}")
    if len(far) > max(FEW[0], FEW[1] * len(recorded)):
        lines += far
    return sorted(lines)


def load(root: Path) -> dict:
    """Return the record."""
    return json.loads((root / RECORD).read_text(encoding="utf-8"))


def write(root: Path) -> None:
    """Record the numbers of the last build."""
    now = {name: numbers(notebook) for name, notebook in executed(root).items()}
    record = {
        "about": "The numbers in the book's prose, as one machine computed them: make numbers",
        "tolerance": {"relative": RELATIVE, "absolute": ABSOLUTE, "few": FEW},
        "numbers": {name: dict(sorted(found.items())) for name, found in now.items() if found},
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (root / RECORD).write_text(text + "\n", encoding="utf-8")
    print(f"{RECORD}: {sum(map(len, now.values()))} numbers")


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    try:
        write(root)
    except KeyError:
        sys.exit("A chapter has not been executed as it is now: run make book first.")
