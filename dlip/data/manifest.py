"""The list of every file dlip offers: source, licence, hash, size (`manifest.toml`)."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from dlip.data.download import check_sha256

__all__ = ["Entry", "manifest", "verify"]

DATA_DIR = Path(__file__).parent
"""Where `manifest.toml` and the files shipped with dlip lie."""


@dataclass(frozen=True)
class Entry:
    """One file of the manifest.

    Attributes
    ----------
    name
        What it is called in dlip: `sample_image(name)`, `dlip.zoo.pretrained(name)`, or the
        function that loads it.
    kind
        "dataset": shipped with dlip. "photograph": shipped with scikit-image. "weights": of a
        network, shipped with a package of their own. "checkpoint": weights of a network that
        this project trained, shipped with dlip.
    path
        Where the file lies, relative to `dlip/data`, to `skimage/data` or, for a checkpoint, to
        `dlip`; for weights, it begins with the name of their package.
    description
        What it shows or does.
    source
        Who made it, and where it was taken from.
    licence, licence_url
        Under which terms it may be used.
    made_by
        The script in the project's repository that wrote the file; empty if there is none.
    sha256
        Hash of the file, 64 hexadecimal digits.
    bytes
        Size of the file.
    """

    name: str
    kind: Literal["dataset", "photograph", "weights", "checkpoint"]
    path: str
    description: str
    source: str
    licence: str
    licence_url: str
    made_by: str
    sha256: str
    bytes: int

    @property
    def file(self) -> Path:
        """The absolute path of the file on this machine."""
        match self.kind:
            case "dataset":
                return DATA_DIR / self.path
            case "photograph":
                return _skimage_data_dir() / self.path
            case "checkpoint":
                return DATA_DIR.parent / self.path
            case _:  # "weights", the only kind left
                package, _, rest = self.path.partition("/")
                return _package_dir(package, f"the weights of {self.name}") / rest

    @property
    def package(self) -> str:
        """The package that brings the file, by the name under which it is installed."""
        match self.kind:
            case "dataset" | "checkpoint":
                return "dlip"
            case "photograph":
                return "scikit-image"
            case _:
                return self.path.partition("/")[0].replace("_", "-")


@cache
def manifest() -> tuple[Entry, ...]:
    """Return every file dlip offers, in the order of `manifest.toml`.

    Returns
    -------
    tuple of Entry

    Examples
    --------
    >>> import dlip
    >>> cat = next(entry for entry in dlip.data.manifest() if entry.name == "cat")
    >>> cat.licence
    'CC0 1.0'
    """
    with (Path(__file__).parent / "manifest.toml").open("rb") as file:
        return tuple(Entry(**entry) for entry in tomllib.load(file)["file"])


def verify(entry: Entry) -> None:
    """Check that a file is there and has the hash of the manifest.

    Parameters
    ----------
    entry
        One entry of `manifest()`.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If its content is not what the manifest says: it is damaged, or another version.

    Examples
    --------
    >>> import dlip
    >>> for entry in dlip.data.manifest():
    ...     dlip.data.verify(entry)
    """
    if not entry.file.is_file():
        raise FileNotFoundError(f"the file of {entry.name!r} is missing: {entry.file}")
    found = check_sha256(entry.file)
    if found != entry.sha256:
        raise ValueError(
            f"{entry.file} is damaged or another version: expected {entry.bytes} bytes with "
            f"SHA-256 {entry.sha256}, got {entry.file.stat().st_size} bytes with {found}; "
            f"installing {entry.package} again restores it"
        )


def _skimage_data_dir() -> Path:
    """Return scikit-image's folder of photographs."""
    return _package_dir("skimage", "the photographs") / "data"


def _package_dir(package: str, what: str) -> Path:
    """Return the folder of an installed package without importing it, which may take long."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = "scikit-image" if package == "skimage" else package.replace("_", "-")
        raise FileNotFoundError(f"{what} come with {name}, which is not installed")
    return Path(spec.submodule_search_locations[0])
