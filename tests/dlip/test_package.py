"""The package as a whole: what it imports when, and what it offers."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import dlip


def modules_after(statement: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after a statement."""
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_quick():
    assert not modules_after("import dlip") & {"torch", "numpy", "matplotlib", "skimage", "PIL"}


def test_data_and_filters_do_without_matplotlib_and_skimage():
    loaded = modules_after("import dlip; dlip.filters, dlip.env; dlip.data.sample_image('cat')")
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "skimage"}


def test_training_does_without_matplotlib_and_torchmetrics():
    loaded = modules_after("import dlip; dlip.train")
    assert "accelerate" in loaded
    assert not loaded & {"matplotlib", "torchmetrics", "torchvision"}


def test_submodules():
    for name in ("data", "env", "filters", "models", "plot", "train", "zoo"):
        assert getattr(dlip, name).__name__ == f"dlip.{name}"
        assert name in dir(dlip)
    with pytest.raises(AttributeError, match=r"no attribute 'filtres'; it has .*filters"):
        dlip.filtres  # noqa: B018


def test_version_is_that_of_the_package():
    assert dlip.__version__ == importlib.metadata.version("dlip")


def test_type_information_is_shipped():
    assert (Path(dlip.__file__).parent / "py.typed").is_file()
