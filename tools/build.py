"""Build the book: execute once, then write every language, the notebooks and the search.

    python tools/build.py [--root FOLDER] [--only STAGE ...]

Every stage prints what it does and how long it took; the times are kept in
``_build/timings.json``. A stage that fails leaves nothing behind that would let the next
run pass: Sphinx does not repeat the warnings of pages that it has already read.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "book" / "_ext")]

import math_font  # noqa: E402
from execute import cache_folder, execute  # noqa: E402
from interface import LANGUAGES  # noqa: E402


class BuildError(Exception):
    """A stage failed; the message says what to mend."""


class Build:
    """The stages, in order, over one checkout."""

    def __init__(self, root: Path) -> None:
        """Put everything that is made below ``root/_build``."""
        self.root = root
        self.made = root / "_build"
        self.html = self.made / "html"

    def stages(self) -> dict[str, Callable[[], None]]:
        """Return every stage by its name."""
        pages = {f"pages-{code}": lambda c=code: self.pages(c) for code in LANGUAGES}
        notebooks = {f"notebooks-{code}": lambda c=code: self.notebooks(c) for code in LANGUAGES}
        return {
            "settings": self.settings,
            "execute": self.execute,
            **pages,
            **notebooks,
            "front": self.front,
            "search": self.search,
        }

    def settings(self) -> None:
        """Turn _config.yml into Sphinx's conf.py, and touch it only when it changes."""
        target = self.root / "conf.py"
        before = target.read_text(encoding="utf-8") if target.exists() else None
        done = subprocess.run(
            [str(Path(sys.executable).with_name("jupyter-book")), "config", "sphinx", "."],
            cwd=self.root,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BuildError(done.stderr.strip())
        if target.read_text(encoding="utf-8") != before:
            print("   conf.py is new")

    def execute(self) -> None:
        """Run the chapters whose outputs are not in the cache."""
        failures, _seconds = execute(self.root)
        if failures:
            raise BuildError("\n".join(map(str, failures)))

    def sphinx(
        self, builder: str, language: str, target: Path, read_into: str | None = None
    ) -> None:
        """Run Sphinx with warnings as errors; forget what it has read when it fails."""
        doctrees = self.made / "doctrees" / (read_into or language)
        unfinished = doctrees.with_suffix(".unfinished")
        if unfinished.exists():
            shutil.rmtree(doctrees, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        settings = {
            "language": language,
            "external_toc_path": "../_toc.yml",
            "nb_execution_cache_path": str(cache_folder(self.root)),
        }
        command = [sys.executable, "-m", "sphinx", "-b", builder, "-c", ".", "-d", str(doctrees)]
        command += ["-W", "--keep-going", "--no-color", "-q"]
        for name, value in settings.items():
            command += ["-D", f"{name}={value}"]
        environment = os.environ | {"PYTHONPATH": str(self.root / "book" / "_ext")}
        done = subprocess.run([*command, "book", str(target)], cwd=self.root, env=environment)
        if done.returncode:
            shutil.rmtree(doctrees, ignore_errors=True)
            raise BuildError(f"the {language} pages have faults: see the warnings above")
        unfinished.unlink()

    def pages(self, language: str) -> None:
        """Write the pages of one language."""
        self.sphinx("html", language, self.html / language)
        # Sphinx copies the styles and scripts only when it has a page to write.
        static = self.html / language / "_static"
        shutil.copytree(self.root / "book" / "_static", static, dirs_exist_ok=True)
        math_font.write(self.root, self.html / language)

    def notebooks(self, language: str) -> None:
        """Write the notebooks of one language, and offer them for download."""
        target = self.made / "notebooks" / language
        self.sphinx("notebook", language, target)
        shutil.rmtree(target / "_static", ignore_errors=True)  # an extension's style sheet
        offered = self.html / "notebooks" / language
        shutil.rmtree(offered, ignore_errors=True)
        shutil.copytree(target, offered)

    def front(self) -> None:
        """Write the language chooser at the site's root."""
        from front_page import write

        write(self.root, self.html, LANGUAGES)

    def search(self) -> None:
        """Index the pages of every language."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pagefind", "--site", str(self.html)),
                *("--output-path", str(self.html / "pagefind")),
                *("--root-selector", "article.bd-article"),
                *("--exclude-selectors", ".headerlink, .cite-button, .translation-note, math"),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BuildError(done.stdout + done.stderr)


def environment() -> None:
    """Make the build the same everywhere, for this process and the ones it starts."""
    os.environ.update(
        TQDM_DISABLE="1",  # progress bars write to stderr, which fails the build
        PYTHONHASHSEED="0",
        JUPYTER_PREFER_ENV_PATH="1",  # this environment's kernel, not one in the home folder
        OMP_WAIT_POLICY="PASSIVE",  # threads that wait must not take the cores from others
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        JUPYTER_PLATFORM_DIRS="1",
    )


def main() -> int:
    """Run the stages; return the exit status."""
    parser = argparse.ArgumentParser(description="Build the book.")
    parser.add_argument("--root", type=Path, default=HERE.parent)
    parser.add_argument("--only", nargs="+", metavar="STAGE")
    arguments = parser.parse_args()
    environment()
    build = Build(arguments.root.resolve())
    stages = build.stages()
    if unknown := set(arguments.only or ()) - set(stages):
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(stages)}")
    chosen = [name for name in stages if not arguments.only or name in arguments.only]
    times: dict[str, float] = {}
    for number, name in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {name}", flush=True)
        started = time.perf_counter()
        try:
            stages[name]()
        except BuildError as error:
            print(f"\nThe build failed at stage {name}:\n{error}", file=sys.stderr)
            return 1
        times[name] = round(time.perf_counter() - started, 2)
        print(f"   done in {times[name]:.1f} s", flush=True)
    build.made.mkdir(exist_ok=True)
    (build.made / "timings.json").write_text(json.dumps(times, indent=1) + "\n")
    print(f"\nThe book is built in {sum(times.values()):.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
