"""Write the notebooks branch: the built notebooks, and what Binder needs to run them.

    BRANCH=… BOOK_BASE_URL=… GITHUB_REPOSITORY=… GITHUB_SHA=… write_branch.py

The branch is one commit without history: all of it can be made again from main, and the
repository stays small. Only ``colab.json`` is made elsewhere, and carried over.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

README = """\
# Notebooks

Every page of [the book]({book}) that runs code, as a notebook in each language: {languages}.
Written by a workflow from [this commit]({server}/{repository}/commit/{sha}): what is changed
here is lost at the next one. `colab.json` says when each last ran in Colab's own image.

[本書]({book})の実行可能なページを言語ごとにノートブックにしたものです。自動的に書き出されるため、
ここでの変更は次の公開時に失われます。
"""


def git(*arguments: str | Path, folder: str | Path = ".") -> subprocess.CompletedProcess[str]:
    """Run git; stop where it fails."""
    command = ["git", "-C", folder, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)


def kept(remote: str, branch: str) -> str | None:
    """Return the record of the Colab runs, if the branch has one already."""
    if not git("ls-remote", "--heads", remote, branch).stdout:
        return None  # the first time
    git("fetch", "--quiet", "--depth=1", remote, branch)
    if not git("ls-tree", "FETCH_HEAD", "colab.json").stdout:
        return None
    return git("show", "FETCH_HEAD:colab.json").stdout


def fill(tree: Path, main: Path, environment: dict[str, str]) -> None:
    """Put everything in its place: on the branch, Binder installs the published commit."""
    repository, sha = environment["GITHUB_REPOSITORY"], environment["GITHUB_SHA"]
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    languages = sorted(path.name for path in (main / "_build" / "notebooks").iterdir())
    for language in languages:
        shutil.copytree(main / "_build" / "notebooks" / language, tree / language)
    shutil.copytree(main / "binder", tree / "binder")
    for path in [main / "requirements.txt", main / "CITATION.cff", *main.glob("LICENSE*")]:
        shutil.copy(path, tree)
    requirements = tree / "binder" / "requirements.txt"
    lines = requirements.read_text(encoding="utf-8").splitlines()
    lines[lines.index(".")] = f"dlip @ git+{server}/{repository}@{sha}"
    requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = README.format(
        book=environment["BOOK_BASE_URL"],
        languages=", ".join(f"`{language}`" for language in languages),
        server=server,
        repository=repository,
        sha=sha,
    )
    (tree / "README.md").write_text(text, encoding="utf-8")


def main() -> int:
    """Write the branch, and push it in one piece."""
    branch, sha = os.environ["BRANCH"], os.environ["GITHUB_SHA"]
    remote = git("remote", "get-url", "origin").stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        fill(tree, Path.cwd(), dict(os.environ))
        if (record := kept(remote, branch)) is not None:
            (tree / "colab.json").write_text(record, encoding="utf-8")
        git("init", "--quiet", "--initial-branch", branch, folder=tree)
        git("config", "user.name", "github-actions[bot]", folder=tree)
        address = "41898282+github-actions[bot]@users.noreply.github.com"
        git("config", "user.email", address, folder=tree)
        git("add", "--all", folder=tree)
        git("commit", "--quiet", "--message", f"Notebooks of {sha}", folder=tree)
        git("push", "--quiet", "--force", remote, f"HEAD:refs/heads/{branch}", folder=tree)
    print(f"The branch {branch} has the notebooks of {sha}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
