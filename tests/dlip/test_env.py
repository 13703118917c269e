"""dlip.env against the standard library, psutil, and machines that are not here."""

import math
import os
import platform
import random
import subprocess
import types
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import torchvision

import dlip
from dlip import env


def test_plain_facts():
    report = env.report()
    assert report.cores == os.cpu_count()
    assert report.memory_gib == pytest.approx(psutil.virtual_memory().total / 1024**3)
    assert report.python == platform.python_version()
    assert platform.system() in report.os
    assert report.packages["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert report.packages["torchvision"].split("+")[0] == torchvision.__version__.split("+")[0]
    assert report.packages["numpy"] == np.__version__
    assert report.packages["dlip"] == dlip.__version__
    assert set(report.packages) == {
        "torch", "torchvision", "numpy", "matplotlib", "scikit-image", "dlip",
    }  # fmt: skip


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux only")
def test_cpu_is_named_in_proc_cpuinfo():
    assert env.report().cpu in Path("/proc/cpuinfo").read_text() + platform.machine()


def test_the_table_is_aligned_and_complete():
    report = env.report()
    lines = str(report).splitlines()
    assert repr(report) == str(report)
    values = [report.os, report.cpu, str(report.cores), f"{report.memory_gib:.1f} GiB"]
    values += [report.gpu, report.driver, report.cuda, report.python, *report.packages.values()]
    assert len(lines) == len(values)
    starts = {line.rindex(value) for line, value in zip(lines, values, strict=True)}
    if report.gpu == "none":
        assert len(starts) == 1  # one column
    assert all(line == line.rstrip() for line in lines)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def cuda_machine(monkeypatch):
    """A machine with an NVIDIA T4, as PyTorch and nvidia-smi describe it."""
    gpu = types.SimpleNamespace(name="Tesla T4", total_memory=15 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(torch.version, "cuda", "12.8")

    def run(command, **options):
        assert command[0] == "nvidia-smi"
        return subprocess.CompletedProcess(command, 0, stdout="550.54.15\n", stderr="")

    monkeypatch.setattr(subprocess, "run", run)


def test_without_a_gpu(no_gpu):
    report = env.report()
    assert (report.gpu, report.gpu_memory_gib, report.driver, report.cuda) == (
        "none",
        0,
        *["none"] * 2,
    )
    assert env.device() == torch.device("cpu")


def test_with_cuda(cuda_machine):
    report = env.report()
    assert report.gpu == "Tesla T4"
    assert report.gpu_memory_gib == 15
    assert report.driver == "550.54.15"
    assert report.cuda == "12.8"
    assert "Tesla T4 (15.0 GiB)" in str(report)
    assert env.device() == torch.device("cuda")


def test_two_gpus_have_one_driver(cuda_machine, monkeypatch):
    done = subprocess.CompletedProcess([], 0, stdout="550.54.15\n550.54.15\n", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)
    assert env.report().driver == "550.54.15"


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("nvidia-smi"),
        PermissionError("nvidia-smi"),
        subprocess.CalledProcessError(9, "nvidia-smi"),
        subprocess.TimeoutExpired("nvidia-smi", 10),
    ],
)
def test_cuda_without_nvidia_smi(cuda_machine, monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    report = env.report()
    assert report.gpu == "Tesla T4"
    assert report.driver == "unknown"


def test_broken_driver(cuda_machine, monkeypatch):
    def fail(device):
        raise RuntimeError("CUDA driver initialization failed")

    monkeypatch.setattr(torch.cuda, "get_device_properties", fail)
    report = env.report()
    assert report.gpu == report.driver == "unknown"
    assert report.cores == os.cpu_count()


def test_apple(no_gpu, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    done = subprocess.CompletedProcess([], 0, stdout="Apple M2\n", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)
    report = env.report()
    assert report.cpu == "Apple M2"
    assert report.gpu == "Apple M2 (Metal)"
    assert env.device() == torch.device("mps")


def test_odd_machine(no_gpu, monkeypatch):
    def fail(*args, **options):
        raise OSError("not here")

    monkeypatch.setattr(psutil, "virtual_memory", fail)
    monkeypatch.setattr(Path, "read_text", fail)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "")

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(env, "version", missing)
    report = env.report()
    assert report.cpu == "unknown"
    assert report.cores == 1
    assert math.isnan(report.memory_gib)
    assert set(report.packages.values()) == {"not installed"}
    assert "nan GiB" in str(report)


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_seed_fixes_python_numpy_and_torch():
    env.seed(3)
    first = draw()
    assert draw() != first
    env.seed(3)
    assert draw() == first
    env.seed(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_seed_is_that_of_each_library():
    env.seed(7)
    python, numpy, pytorch = draw()
    assert python == random.Random(7).random()
    assert numpy == np.random.RandomState(7).rand()
    assert pytorch == torch.rand(1, generator=torch.Generator().manual_seed(7)).item()


def test_the_generator_shuffles_the_same_way_whatever_else_is_drawn():
    data = torch.utils.data.TensorDataset(torch.arange(100))
    orders = []
    for extra in (0, 5):
        loader = torch.utils.data.DataLoader(
            data, batch_size=100, shuffle=True, generator=env.seed(1)
        )
        torch.rand(extra)
        orders.append(next(iter(loader))[0].tolist())
    assert orders[0] == orders[1] != list(range(100))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1, ValueError, "at least 0, got -1"),
        (2**32, ValueError, "got 4294967296"),
        (1.0, TypeError, "integer, got 1.0"),
        (True, TypeError, "integer, got True"),
        (None, TypeError, "integer, got None"),
    ],
)
def test_bad_seed(value, error, message):
    with pytest.raises(error, match=message):
        env.seed(value)
