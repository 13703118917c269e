"""Make `dlip/data/files/fashion.npz`, the pictures of clothes that dlip ships.

    python recipes/make_fashion.py             # writes the file and its hash in manifest.toml
    python recipes/make_fashion.py OTHER.npz   # writes elsewhere, leaves the manifest alone

Needs: numpy and the four original files of Fashion-MNIST, which Debian and Ubuntu package
(`apt-get install dataset-fashion-mnist`). `--source FOLDER` takes them from elsewhere; the
same files are published at github.com/zalandoresearch/fashion-mnist. Takes about two seconds.

Writes: four uint8 arrays, `{train,test}_images` of shape (N, 28, 28) and `…_labels` of shape
(N,): the first 600 pictures of each class in the original training set, and the first 100 of
each class in the original test set. The originals are in random order already; "the first"
needs no random numbers, so every version of NumPy takes the same pictures. Within each part
the classes come in turn.

Licence of the data: Fashion-MNIST, by Zalando SE, MIT licence. Its text must accompany
copies: it stands in `dlip/data/LICENCES.txt`.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
from _npz import DATA, check_sha256, in_turn, record, write_npz
from numpy.typing import NDArray

SOURCE = Path("/usr/share/datasets/fashion-mnist")
SOURCE_SHA256 = {  # of each file NAME-ubyte.gz
    "train-images-idx3": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
PARTS = {"train": ("train", 600), "test": ("t10k", 100)}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file: two zero bytes, type 8 (uint8), dimensions, sizes, values."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=dimensions, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def make(path: Path, source: Path = SOURCE) -> None:
    """Write the pictures of clothes to `path`."""
    for name, digest in SOURCE_SHA256.items():
        file = source / f"{name}-ubyte.gz"
        if not file.is_file():
            raise SystemExit(f"{file} is missing: apt-get install dataset-fashion-mnist")
        check_sha256(file, digest)

    arrays = {}
    for part, (prefix, count) in PARTS.items():
        images = read_idx(source / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")
        taken = in_turn(images, labels, 0, count)
        arrays |= {f"{part}_images": taken["images"], f"{part}_labels": taken["labels"]}
    write_npz(path, arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, nargs="?", help="default: the file that dlip ships")
    parser.add_argument("--source", type=Path, default=SOURCE, help=f"default: {SOURCE}")
    options = parser.parse_args()
    make(options.path or DATA / "files" / "fashion.npz", options.source)
    if options.path is None:
        record(DATA / "files" / "fashion.npz")
