"""Unpacking zip and tar archives without trusting them."""

import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

__all__ = ["check_archive", "unpack"]

MOST_BYTES = 20 * 2**30
"""An archive that unpacks to more bytes is refused; set `dlip.data.archive.MOST_BYTES` for more."""

MOST_ENTRIES = 1_000_000
"""An archive of more files and folders is refused."""

CHUNK = 2**20
"""So many bytes are read at a time."""

OUTSIDE = PurePosixPath("..")
"""Stands for any path that leaves the folder."""

Archive = zipfile.ZipFile | tarfile.TarFile
Member = zipfile.ZipInfo | tarfile.TarInfo


def check_archive(file: Path) -> None:
    """Check that a file is a zip or tar archive that is whole and safe to unpack.

    An archive can name any path, so a bad one might write anywhere; and a few kilobytes can
    unpack to terabytes. Nothing is written here: the list of entries is read, and each
    entry of a zip archive is compared with its checksum (a tar archive has none).

    Parameters
    ----------
    file
        A zip archive or a tar archive, also one compressed by gzip, bzip2 or xz.

    Raises
    ------
    ValueError
        If the file is no such archive, or damaged, empty or encrypted; if an entry has an
        absolute path, a "..", is a link or a device, or appears twice; or if all together
        have more than `MOST_BYTES` or are more than `MOST_ENTRIES`.

    Examples
    --------
    >>> import dlip
    >>> cat = next(entry for entry in dlip.data.manifest() if entry.name == "cat")
    >>> check_archive(cat.file)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: '...chelsea.png' is neither a zip nor a tar archive, or it is damaged
    """
    with _open(file) as archive:
        _entries(archive, file)
        if isinstance(archive, zipfile.ZipFile) and (damaged := archive.testzip()):
            raise ValueError(f"the archive '{file}' is damaged: wrong checksum of {damaged!r}")


def unpack(file: Path, folder: Path) -> Path:
    """Unpack a zip or tar archive into a new folder, if that is not there yet.

    All entries are checked before the first is written. They go into a temporary folder
    beside `folder`, which gets its name when it is complete.

    Parameters
    ----------
    file
        A zip archive or a tar archive, also one compressed by gzip, bzip2 or xz.
    folder
        The folder to make. If it exists, nothing is done.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ValueError
        As for `check_archive`.

    Examples
    --------
    >>> import zipfile
    >>> with zipfile.ZipFile("pets.zip", "w") as archive:
    ...     archive.writestr("cats/mimi.txt", "meow")
    >>> folder = unpack(Path("pets.zip"), Path("pets"))
    >>> (folder / "cats" / "mimi.txt").read_text()
    'meow'
    """
    if folder.is_dir():
        return folder
    with _open(file) as archive:
        entries = _entries(archive, file)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as name:
            temporary = Path(name) / "content"
            temporary.mkdir()
            for entry in entries:
                _write(archive, entry, temporary / entry.path)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():  # it is there if another process was quicker
                    raise
    return folder


class _Entry(NamedTuple):
    path: PurePosixPath
    is_folder: bool
    member: Member


@contextmanager
def _open(file: Path) -> Iterator[Archive]:
    """Open an archive; turn the many errors of damaged ones into ValueError."""
    try:
        # A tar archive may end in a zip archive, which would pass for one; not the reverse.
        if tarfile.is_tarfile(file):
            with tarfile.open(file) as tar:
                yield tar
        elif zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield archive
        else:
            raise ValueError(f"'{file}' is neither a zip nor a tar archive, or it is damaged")
    except OSError as error:
        if error.errno is not None:  # trouble with the disk, not with the archive
            raise
        raise ValueError(f"the archive '{file}' is damaged: {error}") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"the archive '{file}' is damaged: {error}") from error
    except NotImplementedError as error:  # a way of compressing that Python does not know
        raise ValueError(f"the archive '{file}' cannot be read: {error}") from error


def _entries(archive: Archive, file: Path) -> list[_Entry]:
    """Return what an archive holds; refuse it if one entry is unsafe."""
    entries: dict[PurePosixPath, _Entry] = {}
    total = 0
    for count, (name, kind, size, member) in enumerate(_members(archive), start=1):
        total += size
        if total > MOST_BYTES or count > MOST_ENTRIES:
            raise ValueError(
                f"the archive '{file}' is refused: it would unpack to more than {MOST_BYTES:,} "
                f"bytes or {MOST_ENTRIES:,} entries"
            )
        path = _path(name)
        twin = entries.get(path)
        if kind not in ("file", "folder"):
            fault = f"is {kind}"
        elif path == OUTSIDE:
            fault = "would be written outside the folder"
        elif kind == "file" and not path.parts:
            fault = "has no name"
        elif twin is not None and not (twin.is_folder and kind == "folder"):
            fault = "is in it twice"
        else:
            entries[path] = _Entry(path, kind == "folder", member)
            continue
        raise ValueError(f"the archive '{file}' is refused: its entry {name!r} {fault}")
    if not entries:
        raise ValueError(f"the archive '{file}' is empty")
    for path in entries:
        for parent in path.parents:
            if parent in entries and not entries[parent].is_folder:
                raise ValueError(
                    f"the archive '{file}' is refused: '{parent}' is both a file and a folder"
                )
    return list(entries.values())


def _members(archive: Archive) -> Iterator[tuple[str, str, int, Member]]:
    """Return for each member its name, what it is, and its size in bytes when unpacked."""
    if isinstance(archive, zipfile.ZipFile):
        for info in archive.infolist():
            yield _zip_name(info), _zip_kind(info), info.file_size, info
        return
    for member in archive:
        yield member.name, _tar_kind(member), member.size, member
    # Python takes a damaged header for the end; the real end is a block of zeros.
    stream = archive.fileobj
    assert stream is not None  # it is open
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("its end is missing, or an entry cannot be read")
    for _ in range(MOST_BYTES // CHUNK):  # compressed files have a checksum at their end
        if not stream.read(CHUNK):
            break


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return an entry's name. macOS writes UTF-8 without saying so: Python reads it as cp437."""
    says_utf8 = info.flag_bits & 0x800
    if says_utf8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _zip_kind(info: zipfile.ZipInfo) -> str:
    unix = stat.S_IFMT(info.external_attr >> 16)  # 0 if not packed on Unix
    if unix not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a device"
    if info.flag_bits & 0x1:
        return "encrypted"
    return "folder" if info.filename.endswith(("/", "\\")) else "file"


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "folder"
    return "file" if member.isreg() else "a link or a device"


def _path(name: str) -> PurePosixPath:
    """Return an entry's path inside the folder, or `OUTSIDE`."""
    name = name.replace("\\", "/")  # some programs on Windows write it so
    # Windows ignores dots and spaces at the end of a name, so "... " is ".." there.
    climbs = any(part.strip(" .") == "" for part in name.split("/") if part not in ("", "."))
    if climbs or name.startswith("/") or PureWindowsPath(name).drive:
        return OUTSIDE
    return PurePosixPath(name)


def _write(archive: Archive, entry: _Entry, file: Path) -> None:
    if entry.is_folder:
        file.mkdir(parents=True, exist_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with _content(archive, entry.member) as content, file.open("xb") as out:
        shutil.copyfileobj(content, out)


def _content(archive: Archive, member: Member) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        assert isinstance(member, zipfile.ZipInfo)
        return archive.open(member)
    assert isinstance(member, tarfile.TarInfo)
    content = archive.extractfile(member)
    assert content is not None  # it is a file
    return content
