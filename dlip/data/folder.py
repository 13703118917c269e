"""Your own photographs: a folder with one subfolder per class becomes three data sets."""

import hashlib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from dlip._check import describe, integer
from dlip.data.archive import check_archive, unpack
from dlip.data.download import cache_dir, check_sha256, download
from dlip.data.samples import load_image

__all__ = ["PhotoFolder", "PhotoSplit", "Skipped", "image_folder"]

SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""What the folders of a data set that is already split are called, in lower case."""

LITTER = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"}
"""Files that operating systems leave behind, in lower case; ignored, like hidden files."""

LISTED = 20
"""So many skipped files a report lists; `PhotoFolder.skipped` has them all."""


@dataclass(frozen=True)
class Skipped:
    """A file or folder that `image_folder` left out.

    Attributes
    ----------
    file
        Where it lies.
    reason
        Why it was left out.
    """

    file: Path
    reason: str


@dataclass(frozen=True, repr=False)
class PhotoSplit(Dataset[tuple[Tensor, int]]):
    """The pictures of one split: a data set for `torch.utils.data.DataLoader`.

    `split[i]` reads picture i from its file and returns it with its label. Without a
    transform the picture is a float32 tensor (3, H, W) from 0 (black) to 1 (white), turned
    the way the camera was held. Pictures of different sizes do not fit into one batch: give
    a transform that makes them equal. It can be sent to the workers of a `DataLoader`.

    Attributes
    ----------
    files
        Where each picture lies; class by class, by name within a class.
    labels
        The number of each picture's class: `classes[labels[i]]` is its name.
    classes
        The names of the classes, the same in all splits.
    transform
        What is done to each picture after it is read, or None.
    """

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    transform: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Read a picture; return it and its label."""
        image = load_image(self.files[index])
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]

    def __repr__(self) -> str:
        """Say how many pictures of which classes these are."""
        return f"<{len(self)} pictures: {', '.join(self.classes)}>"


@dataclass(frozen=True, repr=False)
class PhotoFolder:
    """What `image_folder` found. `print` shows it as a table.

    Attributes
    ----------
    root
        The folder in which the class folders lie.
    classes
        The names of the classes in alphabetical order; a label is a place in this list.
    train, val, test
        The pictures to learn from, to compare settings with, and to measure the final
        result with.
    skipped
        What was left out, and why.
    notes
        How the pictures were split; whether a split lacks a class.
    """

    root: Path
    classes: tuple[str, ...]
    train: PhotoSplit
    val: PhotoSplit
    test: PhotoSplit
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def report(self) -> str:
        """Return a text: pictures per class and split, how they were split, what was skipped.

        Returns
        -------
        str
        """
        splits = (self.train, self.val, self.test)
        rows: list[tuple[str, ...]] = [("class", "train", "val", "test", "all")]
        by_split = [Counter(split.labels) for split in splits]
        for label, name in enumerate(self.classes):
            counts = [counter[label] for counter in by_split]
            rows.append((name, *map(str, counts), str(sum(counts))))
        sizes = [len(split) for split in splits]
        rows.append(("all", *map(str, sizes), str(sum(sizes))))
        lines = [*_table(rows), "", *self.notes]
        if self.skipped:
            lines += ["", *_skipped_lines(self.root, self.skipped)]
        return "\n".join(lines)

    __str__ = report
    __repr__ = report  # so that the last line of a notebook cell shows the table too


def image_folder(
    source: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    transform: Callable[[Tensor], Tensor] | None = None,
    test_transform: Callable[[Tensor], Tensor] | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> PhotoFolder:
    """Read a folder of photographs, one subfolder per class, and split it in three.

    Every picture is decoded once to find damaged ones, which takes time: about 2 ms for a
    JPEG of 500 × 375 pixels and 50 ms for one of 12 megapixels. Subfolders of a class folder
    belong to the class. Hidden files and what operating systems leave behind (`.DS_Store`,
    `__MACOSX`, `Thumbs.db`) are ignored.

    These are left out, and listed with the reason: files that are empty, damaged or no
    pictures; files outside class folders; folders without pictures; and copies. Of files
    with the same bytes in one class the first is kept, because a picture in both the
    training and the test set would make the result look better than it is. If such files
    lie in different classes none is kept: one of the labels must be wrong, and nobody knows
    which. Copies that were saved anew, say in another size, are not found.

    The split is drawn class by class, so that all splits have the same mix of classes. It
    depends only on the seed and on the names of the pictures inside the folder: it is the
    same on every machine. A folder with subfolders `train` and `val` (or `valid`) and
    `test` is already split, and stays so. If only `train` and `val` are there, `val` becomes
    the test set, and a part of `train` the new `val`; likewise if only `train` and `test`
    are there. Of copies in two splits the one in `test` is kept, then the one in `val`.

    Parameters
    ----------
    source
        A folder; or a zip or tar archive (.tar, .tar.gz, .tar.bz2, .tar.xz) of one, which
        may lie in a single folder inside; or the http(s) address of such an archive.
    sha256
        The hash that the archive must have: 64 hexadecimal digits.
    fractions
        How large a part of each class goes to train, val and test. Together 1; train is
        greater than 0. Each class has at least one picture in each part that is greater
        than 0, as long as there are enough; train comes first, then val.
    seed
        Another seed draws another split.
    transform
        Is applied to each picture of train: a function from the tensor (3, H, W) to
        another, such as a `torchvision.transforms.v2.Compose`. For several workers it must
        be picklable, which a `lambda` is not.
    test_transform
        Is applied to each picture of val and test. Both are needed if the pictures differ in
        size; only that of train should draw random numbers.
    cache
        Where downloaded and unpacked archives are kept; by default the folder that the
        environment variable `DLIP_CACHE` names, else `~/.cache/dlip`. An address is fetched
        and an archive unpacked only once. To fetch it again, delete the file there.

    Returns
    -------
    PhotoFolder
        With `train`, `val` and `test`, each a data set of (image, label): image float32
        (3, H, W) from 0 to 1, label an integer. `print` it to see what is in it.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or archive.
    ConnectionError
        If the address cannot be fetched; says where the file would go and what to do.
    TypeError
        If an argument has the wrong type.
    ValueError
        If there are fewer than two classes with pictures, the archive is damaged or unsafe
        or has another hash, or `fractions` do not fit.

    Examples
    --------
    >>> import dlip, torchvision
    >>> from pathlib import Path
    >>> images, labels = dlip.data.fashion("test")
    >>> for i, (image, label) in enumerate(zip(images[:100], labels)):
    ...     name = dlip.data.FASHION_CLASSES[label]
    ...     if name in ("bag", "coat"):
    ...         Path("clothes", name).mkdir(parents=True, exist_ok=True)
    ...         torchvision.utils.save_image(image, f"clothes/{name}/{i}.png")
    >>> photos = dlip.data.image_folder("clothes")
    >>> print(photos)
    class  train  val  test  all
    bag        7    2     1   10
    coat       7    2     1   10
    all       14    4     2   20
    <BLANKLINE>
    Split by class with seed 0: 70 % train, 15 % val, 15 % test.
    >>> image, label = photos.train[0]
    >>> image.shape, photos.classes[label]
    (torch.Size([3, 28, 28]), 'bag')
    """
    _check_fractions(fractions)
    integer(seed, "the seed", least=0)
    for function in (transform, test_transform):
        if function is not None and not callable(function):
            raise TypeError(f"expected a transform to be a function, got {describe(function)}")

    root, beside = _find_root(source, sha256, cache)
    folders, outside = _class_folders(root)
    listed = [
        _Photo(file, _name(file, root), _name(folder, folder.parent), split)
        for split, folder in folders
        for file in _files(folder)
    ]
    readable, faulty = _without_faulty(listed)
    unique, copies = _without_copies(readable)
    photos, unknown = _without_unknown(unique)
    empty = _empty(folders, photos)
    skipped = (*beside, *outside, *faulty, *copies, *unknown, *empty)
    classes = tuple(sorted({photo.label for photo in photos}))
    if len(classes) < 2:
        raise ValueError(_too_few(root, classes, skipped))

    parts, note = _split(photos, fractions, seed)
    numbers = {name: number for number, name in enumerate(classes)}
    train, val, test = (
        PhotoSplit(
            files=tuple(photo.file for photo in part),
            labels=tuple(numbers[photo.label] for photo in part),
            classes=classes,
            transform=function,
        )
        for part, function in zip(parts, (transform, test_transform, test_transform), strict=True)
    )
    notes = (note, *_gaps({"train": train, "val": val, "test": test}))
    return PhotoFolder(root, classes, train, val, test, skipped, notes)


class _Photo(NamedTuple):
    file: Path
    name: str  # relative to the root
    label: str  # the name of its class
    split: str  # by the folder it lies in: train, val or test


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    wanted = "expected the fractions of train, val and test, three numbers that sum to 1"
    if isinstance(fractions, str) or not isinstance(fractions, Sequence) or len(fractions) != 3:
        raise ValueError(f"{wanted}, got {fractions!r}")
    if not all(isinstance(f, (int, float)) and 0 <= f <= 1 for f in fractions):
        raise ValueError(f"{wanted} and are not negative, got {fractions!r}")
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise ValueError(f"{wanted}, got {fractions!r} with the sum {sum(fractions):g}")
    if fractions[0] == 0:
        raise ValueError(f"expected the fraction of train to be greater than 0, got {fractions!r}")


# Finding the files


def _find_root(
    source: str | os.PathLike[str], sha256: str | None, cache: str | os.PathLike[str] | None
) -> tuple[Path, list[Skipped]]:
    """Return the folder with the class folders, fetched and unpacked if need be."""
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"expected a folder, an archive or an address, got {describe(source)}")
    store = cache_dir(cache)
    if isinstance(source, str) and re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE):
        archive = store / "downloads" / _download_name(source)
        try:
            download(source, archive, sha256=sha256, check=check_archive)
        except ConnectionError as error:
            raise ConnectionError(
                f"{error}, or give its path instead of the address. dlip.data.digits(), "
                "fashion() and sample_image() need no network."
            ) from error
    else:
        archive = Path(source).expanduser().absolute()
        if not archive.exists():
            raise FileNotFoundError(f"there is no folder or archive '{source}'")
    if archive.is_dir():
        if sha256 is not None:
            raise ValueError(f"a folder has no SHA-256, only an archive has: '{source}'")
        return archive, []

    folder = unpack(archive, store / "unpacked" / check_sha256(archive, sha256)[:32])
    # Many archives hold a single folder, and what one wants only in it.
    beside: list[Skipped] = []
    while len(inside := _subfolders(folder)) == 1 and _subfolders(inside[0]):
        beside += _loose(folder)
        folder = inside[0]
    return folder, beside


def _download_name(address: str) -> str:
    """Return where a download is kept: a folder for the address, in it the file's own name."""
    name = re.sub(r"[^\w.-]", "_", urlsplit(address).path.rpartition("/")[2])[-80:]
    return f"{hashlib.sha256(address.encode()).hexdigest()[:32]}/{name.strip('.') or 'archive'}"


def _class_folders(root: Path) -> tuple[list[tuple[str, Path]], list[Skipped]]:
    """Return each class folder with its split (train, if none is named), and what is outside."""
    folders = [(SPLIT_NAMES.get(folder.name.lower(), ""), folder) for folder in _subfolders(root)]
    outside = _loose(root)
    names = {split for split, _ in folders}
    if "train" not in names or not names & {"val", "test"}:
        return [("train", folder) for _, folder in folders], outside
    found = []
    for split, folder in folders:
        if split:
            found += [(split, class_folder) for class_folder in _subfolders(folder)]
            outside += _loose(folder)
        else:
            outside.append(Skipped(folder, "lies beside the folders of the splits"))
    return found, outside


def _visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name, without hidden files and litter."""
    paths = sorted(folder.iterdir(), key=lambda path: _name(path, folder))
    return [p for p in paths if not p.name.startswith(".") and p.name.lower() not in LITTER]


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _loose(folder: Path) -> list[Skipped]:
    return [Skipped(f, "lies in no class folder") for f in _visible(folder) if not f.is_dir()]


def _files(folder: Path) -> Iterator[Path]:
    """Return the files in a folder and its subfolders; links to folders might lead in a circle."""
    for path in _visible(folder):
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path


def _name(path: Path, folder: Path) -> str:
    """Return a path relative to a folder as text that is the same on every machine.

    macOS writes é as e and an accent, others as one character: NFC makes them equal.
    """
    relative = Path(os.path.relpath(path, folder)).as_posix()
    text = relative.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text)


# Leaving out what cannot be used


def _without_faulty(photos: list[_Photo]) -> tuple[list[_Photo], list[Skipped]]:
    """Leave out files that are no pictures or damaged."""
    good, skipped = [], []
    for photo in tqdm(photos, desc="checking pictures", disable=None):  # only in a terminal
        if fault := _fault(photo.file):
            skipped.append(Skipped(photo.file, fault))
        else:
            good.append(photo)
    return good, skipped


def _fault(file: Path) -> str:
    """Return why a picture cannot be read, or "" if it can."""
    if file.is_dir():
        return "a link to a folder, which is not followed"
    if not file.is_file():
        return "a link that leads nowhere, or no ordinary file"
    if file.stat().st_size == 0:
        return "an empty file"
    try:
        with Image.open(file) as picture:
            # A JPEG may be decoded at an eighth of its size, which reads all bytes but is quick.
            picture.draft(picture.mode, (1, 1))
            ImageOps.exif_transpose(picture)
            simple = picture.mode in ("L", "RGB")
        if not simple:
            load_image(file)
    except UnidentifiedImageError:
        heic = file.suffix.lower() in (".heic", ".heif")
        return "HEIC, which Pillow cannot read: save it as JPEG" if heic else "no picture"
    except Exception as error:  # damaged files make Pillow raise errors of many kinds
        cause = error.__cause__ or error
        return f"cannot be read: {cause or type(cause).__name__}"
    return ""


def _without_copies(photos: list[_Photo]) -> tuple[list[_Photo], list[Skipped]]:
    """Leave out copies: all but the first, or all if they lie in folders of several classes."""
    order = ("test", "val", "train")  # a given test set stays whole
    groups: dict[str, list[_Photo]] = {}
    for photo in sorted(photos, key=lambda photo: order.index(photo.split)):
        groups.setdefault(check_sha256(photo.file), []).append(photo)
    kept, skipped = [], []
    for first, *others in groups.values():
        strangers = [photo for photo in others if photo.label != first.label]
        if not strangers:
            kept.append(first)
            skipped += [Skipped(p.file, f"the same bytes as {first.name}") for p in others]
            continue
        for photo in (first, *others):
            twin = first if photo.label != first.label else strangers[0]
            skipped.append(
                Skipped(photo.file, f"the same bytes as {twin.name}, which is of another class")
            )
    return kept, skipped


def _without_unknown(photos: list[_Photo]) -> tuple[list[_Photo], list[Skipped]]:
    """Leave out pictures of val and test whose class has no picture in train."""
    known = {photo.label for photo in photos if photo.split == "train"}
    reason = "its class has no picture in train"
    skipped = [Skipped(photo.file, reason) for photo in photos if photo.label not in known]
    return [photo for photo in photos if photo.label in known], skipped


def _empty(folders: list[tuple[str, Path]], photos: list[_Photo]) -> list[Skipped]:
    """List the class folders of which no picture is left."""
    used = {(photo.split, photo.label) for photo in photos}
    reason = "a folder without a picture that can be used"
    return [
        Skipped(folder, reason)
        for split, folder in folders
        if (split, _name(folder, folder.parent)) not in used
    ]


def _too_few(root: Path, classes: tuple[str, ...], skipped: tuple[Skipped, ...]) -> str:
    """Return an error message: what a folder should hold and what it holds."""
    folders = _subfolders(root)
    names = ", ".join(folder.name for folder in folders[:LISTED])
    lines = [
        "expected a folder with one subfolder for each class, at least two of them with "
        f"pictures; '{root}' holds {len(folders)} subfolders ({names or 'none'}); "
        f"classes with pictures: {', '.join(classes) or 'none'}"
    ]
    if len(folders) == 1 and len(_subfolders(folders[0])) > 1:
        lines.append(f"If the classes are the folders in '{folders[0]}', give that one")
    lines += _skipped_lines(root, skipped)
    return "\n".join(lines)


# Splitting


def _split(
    photos: list[_Photo], fractions: tuple[float, float, float], seed: int
) -> tuple[Sequence[list[_Photo]], str]:
    """Return the pictures of train, val and test, and a sentence on how they were split."""
    photos = sorted(photos, key=lambda photo: (photo.label, photo.name))
    train, val, test = (
        [photo for photo in photos if photo.split == split] for split in ("train", "val", "test")
    )
    if val and test:
        return (train, val, test), "The folders' own split: train, val, test."
    if val or test:
        part = fractions[1] / (fractions[0] + fractions[1])
        name = "val" if val else "test"
        note = (
            f"The folders' own split: {name} serves as test. {_percent(part)} of train are set "
            f"aside as val, by class with seed {seed}."
        )
        rest, chosen, _ = _draw(train, (1 - part, part, 0), seed)
        return (rest, chosen, val or test), note
    shares = zip(fractions, ("train", "val", "test"), strict=True)
    listed = ", ".join(f"{_percent(fraction)} {name}" for fraction, name in shares)
    return _draw(train, fractions, seed), f"Split by class with seed {seed}: {listed}."


def _draw(
    photos: list[_Photo], fractions: tuple[float, float, float], seed: int
) -> tuple[list[_Photo], list[_Photo], list[_Photo]]:
    """Draw train, val and test class by class.

    The pictures of a class are put into the order of a hash of seed and name: as good as
    shuffled, but the same on every machine and in every version of Python.
    """
    members: dict[str, list[_Photo]] = {}
    for photo in photos:
        members.setdefault(photo.label, []).append(photo)
    parts: tuple[list[_Photo], list[_Photo], list[_Photo]] = ([], [], [])
    for group in members.values():
        group = sorted(group, key=lambda p: hashlib.sha256(f"{seed}/{p.name}".encode()).digest())
        for part, size in zip(parts, _sizes(len(group), fractions), strict=True):
            part += sorted(group[:size], key=lambda photo: photo.name)
            group = group[size:]
    return parts


def _sizes(count: int, fractions: tuple[float, float, float]) -> list[int]:
    """Divide a class: as near to the fractions as whole pictures allow, none empty if possible."""
    wanted = [i for i, fraction in enumerate(fractions) if fraction > 0]
    if count < len(wanted):
        return [1 if i in wanted[:count] else 0 for i in range(3)]
    exact = [count * fraction for fraction in fractions]
    sizes = [max(1, math.floor(exact[i])) if i in wanted else 0 for i in range(3)]
    while sum(sizes) < count:  # rounding down has left some over
        neediest = max(wanted, key=lambda i: exact[i] - sizes[i])
        sizes[neediest] += 1
    while sum(sizes) > count:  # small parts got one picture more than their share
        richest = max((i for i in wanted if sizes[i] > 1), key=lambda i: sizes[i] - exact[i])
        sizes[richest] -= 1
    return sizes


def _gaps(splits: dict[str, PhotoSplit]) -> list[str]:
    """Say which split has no pictures, or none of some class."""
    notes = []
    for name, split in splits.items():
        present = set(split.labels)
        missing = [c for label, c in enumerate(split.classes) if label not in present]
        if not present:
            notes.append(f"There are no pictures in {name}.")
        elif missing:
            notes.append(f"In {name} there is no picture of: {', '.join(missing)}.")
    return notes


# Writing the report


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return lines with aligned columns: names to the left, numbers to the right."""
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for name, *numbers in rows:
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([name + " " * (widths[0] - _width(name)), *cells]))
    return lines


def _width(text: str) -> int:
    """Return how many columns a text takes; a Chinese or Japanese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _skipped_lines(root: Path, skipped: tuple[Skipped, ...]) -> list[str]:
    if not skipped:
        return []
    lines = [f"Skipped: {len(skipped)}"]
    lines += [f"  {_name(entry.file, root)}: {entry.reason}" for entry in skipped[:LISTED]]
    if len(skipped) > LISTED:
        lines.append(f"  … and {len(skipped) - LISTED} more")
    return lines


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"
