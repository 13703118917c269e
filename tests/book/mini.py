"""A book of one small chapter, built with this book's own machinery, to break on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CHAPTER = """\
---
file_format: mystnb
kernelspec:
  name: python3
---

(sec-chapter)=
# Chapter

One sentence.

```{code-cell} python3
answer = 6 * 7
print(answer)
```

```{code-cell} python3
:tags: [remove-cell]
from myst_nb import glue
glue("answer", answer, display=False)
```

(sec-chapter-picture)=
## Picture

The answer is {glue:text}`chapter.md::answer:d`, with {math}`x^2`.

```{code-cell} python3
---
mystnb:
  image:
    alt: A line that rises.
---
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(2, 1))
ax.plot([0, 1]);
```

:::{question}
:answer: 1

Does it rise?

- Yes.

  It does.

- No.

  Look again.
:::
"""

INDEX = """\
(sec-index)=
# Small book

(sec-contents)=
## Contents

See {ref}`sec-chapter`.
"""

TOC = """\
format: jb-book
root: index
parts:
  - caption: Part
    numbered: true
    chapters:
      - file: part1/chapter
"""


class MiniBook:
    """A checkout in miniature."""

    def __init__(self, root: Path) -> None:
        """Copy the machinery and write the chapter."""
        self.root = root
        for name in ("_config.yml", "CITATION.cff", "requirements.txt"):
            shutil.copy(ROOT / name, root / name)
        for folder in ("_ext", "_static", "_templates"):
            shutil.copytree(
                ROOT / "book" / folder,
                root / "book" / folder,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        shutil.copytree(ROOT / "tools", root / "tools")
        (root / "node_modules").symlink_to(ROOT / "node_modules")
        (root / "dlip").mkdir()
        (root / "dlip" / "thing.py").write_text("x = 1\n")
        (root / "book" / "part1").mkdir()
        (root / "book" / "references.bib").write_text("")
        self.write("index.md", INDEX)
        self.write("part1/chapter.md", CHAPTER)
        (root / "_toc.yml").write_text(TOC)

    @classmethod
    def at(cls, root: Path) -> MiniBook:
        """A small book that is there already."""
        mini = cls.__new__(cls)
        mini.root = root
        return mini

    def write(self, name: str, text: str) -> None:
        """Write a page of the book."""
        (self.root / "book" / name).write_text(text, encoding="utf-8")

    def edit(self, old: str, new: str, name: str = "part1/chapter.md") -> None:
        """Replace a text that must be there."""
        path = self.root / "book" / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def build(self, *stages: str) -> subprocess.CompletedProcess[str]:
        """Run the build; all stages, or those named."""
        command = [sys.executable, str(self.root / "tools" / "build.py"), "--root", str(self.root)]
        if stages:
            command += ["--only", *stages]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
        return subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def executed(self, output: str) -> list[str]:
        """The chapters that a build says it has executed."""
        lines = output.splitlines()
        return [line.split(":")[0].strip() for line in lines if line.strip().startswith("part1/")]
