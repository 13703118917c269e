"""Run every notebook in Colab's own image, and record the day on which each last passed.

    run_in_colab.py NOTEBOOKS

Each notebook has a container of its own, as each reader has: the first cell installs dlip
every time. ``colab.json`` in the folder of the notebooks says, for each, the day and the
published commit. A notebook that fails keeps the entry of its last pass.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

IMAGE = "us-docker.pkg.dev/colab-images/public/runtime"

# A copy in /content, since that is where a reader of Colab starts.
COMMAND = (
    'cp "/notebooks/$1" /content/page.ipynb && cd /content && '
    "jupyter nbconvert --to notebook --execute --output-dir /tmp/executed "
    "--ExecutePreprocessor.timeout=1200 page.ipynb"
)


def run(folder: Path, name: str) -> bool:
    """Run one notebook; show the end of what it says when it fails."""
    volume = f"{folder.resolve()}:/notebooks:ro"
    command = ["docker", "run", "--rm", "--volume", volume, "--entrypoint", "bash", IMAGE]
    done = subprocess.run(
        [*command, "-c", COMMAND, "bash", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(f"::group::{name}", *done.stdout.splitlines()[-60:], "::endgroup::", sep="\n")
    return done.returncode == 0


def main() -> int:
    """Run them all, and fail with the list of those that failed."""
    folder = Path(sys.argv[1])
    record = folder / "colab.json"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb"))
    if not names:
        print(f"There is no notebook in {folder}.")
        return 1
    before = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    passes = {name: before[name] for name in names if name in before}
    subprocess.run(["docker", "pull", "--quiet", IMAGE], check=True)
    failed = []
    for name in names:
        passed = run(folder, name)
        print("passed" if passed else "FAILED", name, flush=True)
        if passed:
            book = json.loads((folder / name).read_text(encoding="utf-8"))["metadata"]["book"]
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            passes[name] = {"passed": today, "ref": book["ref"]}
            # Now, so that a run that is cut short has recorded what it did.
            record.write_text(json.dumps(passes, indent=1, sort_keys=True) + "\n")
        else:
            failed.append(name)
    summary = [f"{len(names) - len(failed)} of {len(names)} notebooks run in Colab's image."]
    summary += ["", "Failed:", "", *(f"- `{name}`" for name in failed)] if failed else []
    print(*summary, sep="\n")
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        Path(page).write_text("\n".join(summary) + "\n", encoding="utf-8")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
