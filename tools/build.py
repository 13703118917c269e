"""Build the book: execute once, then write every language, the notebooks and the search.

    python tools/build.py [--root FOLDER] [--only STAGE ...]

Every stage prints what it does and how long it took; the times are kept in
``_build/timings.json``. Stages that do not need each other run together. A stage that fails
leaves nothing behind that would let the next run pass: Sphinx does not repeat the warnings of
pages that it has already read.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "book" / "_ext")]

import math_font  # noqa: E402
from execute import cache_folder, execute, executed  # noqa: E402
from interface import LANGUAGES  # noqa: E402
from pictures import as_webp  # noqa: E402


class BuildError(Exception):
    """A stage failed; the message says what to mend."""


class Build:
    """The stages, in order, over one checkout."""

    def __init__(self, root: Path) -> None:
        """Put everything that is made below ``root/_build``."""
        self.root = root
        self.made = root / "_build"
        self.html = self.made / "html"

    def rounds(self) -> list[dict[str, Callable[[], None]]]:
        """Return every stage by its name; those of one round may run at the same time."""
        return [
            {"settings": self.settings},
            {"execute": self.execute},
            {"pictures": self.pictures},
            {f"pages-{code}": partial(self.pages, code) for code in LANGUAGES},
            {f"notebooks-{code}": partial(self.notebooks, code) for code in LANGUAGES},
            {"front": self.front},
            {"search": self.search},
        ]

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

    def pictures(self) -> None:
        """Encode the pictures that the chapters made, which all languages share."""
        contents = {
            base64.b64decode(output.data["image/png"])
            for notebook in executed(self.root).values()
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", {})
        }
        folder = self.made / "cache" / "pictures"
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda content: as_webp(content, folder), contents))

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
    rounds = build.rounds()
    names = [name for stages in rounds for name in stages]
    if unknown := set(arguments.only or ()) - set(names):
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    times: dict[str, float] = {}
    started = time.perf_counter()
    for stages in rounds:
        chosen = [name for name in stages if not arguments.only or name in arguments.only]
        try:
            times |= together({name: stages[name] for name in chosen})
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1
    build.made.mkdir(exist_ok=True)
    (build.made / "timings.json").write_text(json.dumps(times, indent=1) + "\n")
    print(f"\nThe book is built in {time.perf_counter() - started:.0f} s.")
    return 0


def together(stages: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Run stages at the same time; return the seconds of each."""
    if len(stages) == 1:  # in this thread, so that Ctrl-C reaches it
        return {name: timed(name, stage) for name, stage in stages.items()}
    with ThreadPoolExecutor() as pool:
        running = {name: pool.submit(timed, name, stage) for name, stage in stages.items()}
    return {name: result.result() for name, result in running.items()}


def timed(name: str, stage: Callable[[], None]) -> float:
    """Run a stage and say so; return the seconds."""
    print(f"[{name}]", flush=True)
    started = time.perf_counter()
    try:
        stage()
    except BuildError as error:
        raise BuildError(f"\nThe build failed at stage {name}:\n{error}") from None
    seconds = round(time.perf_counter() - started, 2)
    print(f"   {name}: done in {seconds:.1f} s", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
