"""What this machine is, which device to compute on, and how to fix the random numbers."""

import os
import platform
import random
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from dlip._check import integer

__all__ = ["Report", "device", "report", "seed"]

PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "scikit-image", "dlip")
"""The packages whose versions a report lists."""


@dataclass(frozen=True)
class Report:
    """What `report` found. `print` shows it as a table.

    Attributes
    ----------
    os
        Operating system and its version.
    cpu
        Name of the processor.
    cores
        Number of logical cores.
    memory_gib
        Main memory in GiB (1 GiB = 2³⁰ bytes); NaN when it cannot be read.
    gpu
        Name of the first GPU, or "none".
    gpu_memory_gib
        Memory of that GPU in GiB; 0 without a GPU, NaN when it cannot be read.
    driver
        Version of the GPU's driver, or "none".
    cuda
        CUDA version that PyTorch was built for and can use here, or "none".
    python
        Version of Python.
    packages
        Version of each package of `PACKAGES`, or "not installed".
    """

    os: str
    cpu: str
    cores: int
    memory_gib: float
    gpu: str
    gpu_memory_gib: float
    driver: str
    cuda: str
    python: str
    packages: dict[str, str]

    def __str__(self) -> str:
        """Return the report as text, one fact a line, in two aligned columns."""
        gpu = f"{self.gpu} ({self.gpu_memory_gib:.1f} GiB)" if self.gpu_memory_gib else self.gpu
        rows = {
            "operating system": self.os,
            "CPU": self.cpu,
            "cores": str(self.cores),
            "memory": f"{self.memory_gib:.1f} GiB",
            "GPU": gpu,
            "GPU driver": self.driver,
            "CUDA": self.cuda,
            "Python": self.python,
            **self.packages,
        }
        width = max(len(label) for label in rows)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in rows.items())

    __repr__ = __str__  # so that the last line of a notebook cell shows the table too


def report() -> Report:
    """Find out what this machine is: processor, memory, GPU, driver, Python and packages.

    Never raises: what cannot be found out is "unknown" (or NaN for an amount of memory).

    Returns
    -------
    Report
        Plain data; `print` it to see a table.

    Examples
    --------
    >>> import dlip
    >>> machine = dlip.env.report()
    >>> machine.cores >= 1
    True
    >>> print(machine)  # doctest: +ELLIPSIS
    operating system  ...
    CPU               ...
    """
    gpu, gpu_memory, driver, cuda = _gpu()
    return Report(
        os=f"{platform.system()} {platform.release()}",
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gib=_memory_gib(),
        gpu=gpu,
        gpu_memory_gib=gpu_memory,
        driver=driver,
        cuda=cuda,
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
    )


def device() -> torch.device:
    """Return the fastest device PyTorch can use here: "cuda", else "mps" (Apple), else "cpu".

    Returns
    -------
    torch.device
        To be used as in `model.to(device)` and `images.to(device)`.

    Examples
    --------
    >>> import dlip
    >>> dlip.env.device().type in {"cuda", "mps", "cpu"}
    True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def seed(value: int = 0) -> torch.Generator:
    """Fix the random numbers of Python, NumPy and PyTorch, on every device.

    After the same seed the same program draws the same numbers. Some operations on a GPU
    still differ in the last digits; `torch.use_deterministic_algorithms(True)` forbids them.
    A `numpy.random.default_rng()` made elsewhere takes its own seed.

    Parameters
    ----------
    value
        The seed, from 0 to 2³² − 1.

    Returns
    -------
    torch.Generator
        A new generator on the CPU with the same seed, for `DataLoader(…, generator=…)`, so
        that the order of the samples does not depend on what else draws random numbers.

    Raises
    ------
    TypeError
        If `value` is no integer.
    ValueError
        If `value` is negative or too large for NumPy.

    Examples
    --------
    >>> import torch, dlip
    >>> _ = dlip.env.seed(1)
    >>> first = torch.rand(3)
    >>> _ = dlip.env.seed(1)
    >>> torch.equal(first, torch.rand(3))
    True
    """
    integer(value, "the seed", least=0)
    if value >= 2**32:
        raise ValueError(f"expected the seed to be below 2**32 (NumPy's limit), got {value}")
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
    return torch.Generator().manual_seed(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    """Return the processor's name; each operating system keeps it in a place of its own."""
    name = ""
    if platform.system() == "Linux":
        try:
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
        name = names[0].strip() if names else ""
    elif platform.system() == "Darwin":
        name = _output("sysctl", "-n", "machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine() or "unknown"


def _memory_gib() -> float:
    try:
        import psutil

        return float(psutil.virtual_memory().total) / 2**30
    except Exception:  # psutil reads files that a locked-down machine may hide
        return float("nan")


def _gpu() -> tuple[str, float, str, str]:
    """Return the GPU's name, its memory in GiB, its driver and the CUDA version."""
    try:
        if torch.cuda.is_available():
            gpu = torch.cuda.get_device_properties(0)
            driver = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
            cuda = torch.version.cuda or "none"  # None on AMD's ROCm
            return gpu.name, gpu.total_memory / 2**30, driver.split("\n")[0] or "unknown", cuda
        if torch.backends.mps.is_available():
            return f"{_cpu()} (Metal)", 0.0, "none", "none"  # shares the main memory
    except Exception:  # a broken driver must not keep anyone from seeing the rest
        return "unknown", 0.0, "unknown", "unknown"
    return "none", 0.0, "none", "none"


def _output(*command: str) -> str:
    """Return what a command prints, or nothing if it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
