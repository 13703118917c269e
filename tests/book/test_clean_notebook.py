"""An exported notebook of each language runs where only a kernel is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("dlip-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Python, pip and a kernel, and nothing else until the first notebook has run."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "ipykernel"], check=True)
    yield folder
    shutil.rmtree(folder)


def test_notebooks_run_in_a_clean_environment(
    environment: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first cell installs all that the others need; none of them fails."""
    python = environment / "bin" / "python"
    before = _packages(python)
    assert not {"dlip", "torch", "numpy", "matplotlib"} & before.keys()

    kernel = tmp_path / "jupyter" / "kernels" / "clean"
    kernel.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    command.append("--log-level=ERROR")
    spec = {"argv": command, "display_name": "clean", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("DLIP_SOURCE", str(wheel))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")

    assert _run("en/part1/convolution", tmp_path) > 5
    after = _packages(python)
    assert {"dlip", "torch", "torchvision"} <= after.keys()
    before.pop("setuptools", None)  # the one that venv brings is older than torch needs
    assert {name: after[name] for name in before} == before, "the first cell changed something"

    assert _run("ja/part1/gallery", tmp_path) > 5
    assert _packages(python) == after, "the first cell changed something, with dlip there"


def _run(name: str, folder: Path) -> int:
    """Run a notebook in an empty folder and return how many pictures it has made."""
    notebook = nbformat.read(ROOT / "_build" / "notebooks" / f"{name}.ipynb", as_version=4)
    work = folder / name.replace("/", "-")
    work.mkdir()
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="clean",
        resources={"metadata": {"path": str(work)}},
    )
    client.execute()
    return sum(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


def test_first_cell_keeps_what_is_installed(tmp_path: Path) -> None:
    """With dlip missing and numpy there, pip is told to keep exactly this numpy."""
    path = ROOT / "_build" / "notebooks" / "en" / "part1" / "convolution.ipynb"
    source = nbformat.read(path, as_version=4).cells[0].source
    script = tmp_path / "first.py"
    script.write_text(
        "import importlib.util, subprocess\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'dlip' else real(name)\n"
        "def run(command, check):\n"
        "    print(command[-1]); print(open(command[command.index('-c') + 1]).read())\n"
        "subprocess.run = run\n" + source
    )
    environment = os.environ | {"DLIP_SOURCE": "here.whl"}
    said = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    installed = _packages(Path(sys.executable))
    assert said[0] == "here.whl"
    assert set(said[1:]) == {f"{n}=={installed[n]}" for n in ("torch", "torchvision", "numpy")}


def _packages(python: Path) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    return json.loads(
        subprocess.run([str(python), "-c", code], capture_output=True, check=True).stdout
    )
