"""Writing .npz files whose bytes depend on nothing but their content."""

import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parents[1] / "dlip" / "data"
"""The folder of the files that dlip ships."""


def write_npz(path: Path, arrays: dict[str, NDArray[np.uint8]]) -> None:
    """Write arrays to a compressed .npz file, with the same bytes every time.

    `numpy.savez_compressed` writes the time of day into the file, and its compressor (zlib)
    has several implementations that give different bytes. Here the time is fixed and the
    compressor is bzip2, which has one implementation and makes these pictures 10 % smaller
    than zlib. `numpy.load` reads such a file like any other.

    Parameters
    ----------
    path
        The file to write; its folder must exist.
    arrays
        Name and values of each array, in the order in which they are to stand in the file.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_BZIP2
            member.create_system = 3  # Unix; otherwise it names the system that wrote it
            member.external_attr = 0o644 << 16
            with archive.open(member, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def check_sha256(path: Path, expected: str) -> None:
    """Stop if an input file is not the one this recipe was written for.

    Raises
    ------
    ValueError
        If the hash differs.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(f"{path}: expected SHA-256 {expected}, got {found}")


def record(path: Path) -> None:
    """Write the hash and size of a shipped file into dlip's manifest."""
    content = path.read_bytes()
    manifest = DATA / "manifest.toml"
    before, after = manifest.read_text(encoding="utf-8").split(f'path = "files/{path.name}"')
    digest = hashlib.sha256(content).hexdigest()
    after = re.sub(r'sha256 = "\w*"', f'sha256 = "{digest}"', after, count=1)
    after = re.sub(r"bytes = \d+", f"bytes = {len(content)}", after, count=1)
    text = f'{before}path = "files/{path.name}"{after}'
    manifest.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(content):,} bytes, SHA-256 {digest}")


def in_turn(images: NDArray[np.uint8], labels: NDArray[np.uint8], start: int, stop: int) -> dict:
    """Take pictures number `start` to `stop` of each of the ten classes, the classes in turn.

    Parameters
    ----------
    images, labels
        Shapes (N, 28, 28) and (N,), labels from 0 to 9.
    start, stop
        Which pictures of each class to take, counted within the class from 0.

    Returns
    -------
    dict
        "images" and "labels", ordered by class 0, 1, 2, …, 9, 0, 1, ….
    """
    chosen = np.stack([np.flatnonzero(labels == c)[start:stop] for c in range(10)], axis=1).ravel()
    return {"images": images[chosen], "labels": labels[chosen]}
