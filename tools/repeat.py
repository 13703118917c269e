"""Execute every chapter once more, and compare with the last build: `make repeat`.

Everything random in the book is seeded, so a second execution on the same machine must print
the same text and compute the same numbers, digit by digit. Cells tagged `volatile`, which
measure times, may differ. Pictures are not compared, but what is computed for them is printed
or glued somewhere. Takes as long as executing the book.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import yaml
from build import environment
from execute import chapters, executed, read, run


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what each code cell printed, returned and glued; nothing for volatile cells."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if "volatile" in cell.metadata.get("tags", ()):
            found.append("")
            continue
        text = ""  # printed text arrives in pieces of any length
        for output in cell.outputs:
            if output.output_type == "stream":
                text += output.text
            elif "image/png" not in output.data:
                text += "\n".join(str(output.data[kind]) for kind in sorted(output.data)) + "\n"
        found.append(text)
    return found


def compare(root: Path, names: list[str]) -> list[str]:
    """Execute these chapters, or all; return what differs, with file and line."""
    timeout = yaml.safe_load((root / "_config.yml").read_text())["execute"]["timeout"]
    found = []
    kept = executed(root)
    for path in chapters(root):
        name = path.relative_to(root / "book").with_suffix("").as_posix()
        if names and name not in names:
            continue
        notebook = read(root, path)
        cells = zip(notebook.cells, notebook.metadata["source_map"], strict=True)
        lines = [line for cell, line in cells if cell.cell_type == "code"]
        if failure := run(notebook, name, timeout):
            found.append(str(failure))
            continue
        pairs = zip(texts(kept[name]), texts(notebook), lines, strict=True)
        different = [
            f"book/{name}.md:{line}:\n- {a.strip()}\n+ {b.strip()}"
            for a, b, line in pairs
            if a != b
        ]
        print(f"   {name}: {len(different) or 'no'} differences", flush=True)
        found += different
    return found


if __name__ == "__main__":
    environment()
    differences = compare(Path(__file__).resolve().parent.parent, sys.argv[1:])
    sys.exit("\n".join(differences) or 0)
