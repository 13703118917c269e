"""dlip.data.archive against archives that are wrong in every way we know."""

import gzip
import hashlib
import io
import stat
import subprocess
import tarfile
import threading
import zipfile

import pytest

import dlip.data.archive as module
from dlip.data.archive import check_archive, unpack

FILES = {"cats/mimi.jpg": b"meow" * 5000, "dogs/rex/1.jpg": b"wuff", "猫/é.jpg": b"nya"}


def zipped(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def noise(seed, size):
    """Return bytes that cannot be compressed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def holding(folder):
    """Return what lies in a folder: the content of each file, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def files_in(folder):
    return {name: content for name, content in holding(folder).items() if content is not None}


PACK = {
    "a.zip": zipped,
    "stored.zip": lambda path, files: zipped(path, files, zipfile.ZIP_STORED),
    "bzip2.zip": lambda path, files: zipped(path, files, zipfile.ZIP_BZIP2),
    "a.tar": tarred,
    "a.tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "a.tar.bz2": lambda path, files: tarred(path, files, "w:bz2"),
    "a.tar.xz": lambda path, files: tarred(path, files, "w:xz"),
}


def refused(path, why):
    """Check that an archive is refused, both ways, and that nothing has been written."""
    before = holding(path.parent)
    with pytest.raises(ValueError, match=why):
        check_archive(path)
    with pytest.raises(ValueError, match=why):
        unpack(path, path.parent / "out")
    assert holding(path.parent) == before


# All goes well


@pytest.mark.parametrize("name", PACK)
def test_formats(tmp_path, name):
    path = PACK[name](tmp_path / name, FILES)
    path = path.rename(tmp_path / "no-suffix")  # the content counts, not the name
    check_archive(path)
    assert unpack(path, tmp_path / "deep" / "out") == tmp_path / "deep" / "out"
    assert files_in(tmp_path / "deep" / "out") == FILES
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_a_tar_archive_made_by_another_program(tmp_path):
    for name, content in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "in" / "empty").mkdir()
    long = "x" * 120 + "/" + "y" * 120 + ".jpg"
    (tmp_path / "in" / long).parent.mkdir()
    (tmp_path / "in" / long).write_bytes(b"long")
    subprocess.run(["tar", "-czf", "../a.tgz", "."], cwd=tmp_path / "in", check=True)
    unpack(tmp_path / "a.tgz", tmp_path / "out")
    assert holding(tmp_path / "out") == holding(tmp_path / "in")


def test_a_tar_archive_that_ends_in_a_zip_archive(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"inner.jpg": b"meow"}).read_bytes()
    path = tarred(tmp_path / "a.tar", {"cats/1.jpg": b"nya", "cats/more.zip": inner})
    assert zipfile.is_zipfile(path)  # Python looks only at its end
    assert set(files_in(unpack(path, tmp_path / "out"))) == {"cats/1.jpg", "cats/more.zip"}


def test_an_archive_is_unpacked_once(tmp_path):
    path = zipped(tmp_path / "a.zip", FILES)
    unpack(path, tmp_path / "out")
    path.unlink()
    assert unpack(path, tmp_path / "out") == tmp_path / "out"


def test_several_at_once_do_no_harm(tmp_path):
    path = zipped(tmp_path / "a.zip", FILES | {str(i): b"x" for i in range(300)})
    failures = []

    def work():
        try:
            unpack(path, tmp_path / "out")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(files_in(tmp_path / "out")) == 303
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]


def test_a_folder_that_comes_up_meanwhile_is_taken(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", FILES)
    write = module._write

    def other_process_is_quicker(*args):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "theirs").write_bytes(b"")
        write(*args)

    monkeypatch.setattr(module, "_write", other_process_is_quicker)
    unpack(path, tmp_path / "out")
    assert holding(tmp_path / "out") == {"theirs": b""}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]


def test_an_unpacked_folder_has_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("cats/run.sh")
        info.mode = 0o6777  # would run as its owner
        archive.addfile(info)
    out = unpack(tmp_path / "a.tar", tmp_path / "out")
    assert out.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    assert stat.S_IMODE((out / "cats" / "run.sh").stat().st_mode) & 0o7111 == 0


def test_backslashes_separate_folders(tmp_path):
    path = zipped(tmp_path / "a.zip", {})
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = "cats\\mimi.jpg"  # ZipInfo itself would replace it on Windows
        archive.writestr(info, b"meow")
    assert files_in(unpack(path, tmp_path / "out")) == {"cats/mimi.jpg": b"meow"}


@pytest.mark.parametrize("name", ["猫/é.jpg", "Ωλ.jpg"])
def test_names_in_utf8_that_do_not_say_so(tmp_path, name):
    # macOS leaves flag 0x800 away. Write so many ASCII letters, then put the bytes in.
    content = name.encode()
    path = zipped(tmp_path / "a.zip", {"x" * len(content): b"nya"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(content), content))
    assert zipfile.ZipFile(path).namelist() != [name]
    assert files_in(unpack(path, tmp_path / "out")) == {name: b"nya"}


def test_folders_written_with_backslashes(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("cats\\", "cats\\mimi.jpg"):
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, b"")
    assert holding(unpack(tmp_path / "a.zip", tmp_path / "out")) == {
        "cats": None,
        "cats/mimi.jpg": b"",
    }


# Unsafe


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "cats/../../evil.jpg",
        "cats/../evil.jpg",
        "/tmp/evil.jpg",
        "//server/evil.jpg",
        "..\\evil.jpg",
        "\\evil.jpg",
        "C:\\evil.jpg",
        "c:evil.jpg",
        "cats/.. /evil.jpg",
        ".../evil.jpg",
        "..",
    ],
)
def test_paths_that_leave_the_folder(tmp_path, name):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    refused(zipped(folder / "a.zip", FILES | {name: b"evil"}), "would be written outside")
    refused(tarred(folder / "a.tar", FILES | {name: b"evil"}), "would be written outside")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["", "."])
def test_files_without_a_name(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"evil")
    refused(tmp_path / "a.zip", "has no name")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices_in_a_tar_archive(tmp_path, kind):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("cats/link.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    refused(path, "'cats/link.jpg' is a link or a device")


def test_a_link_to_a_folder_and_a_file_through_it(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("cats")
        info.type, info.linkname = tarfile.SYMTYPE, ".."
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("cats/evil.jpg"))
    refused(tmp_path / "a.tar", "'cats' is a link")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_archive(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("cats/link.jpg")
        info.create_system = 3  # Unix
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "'cats/link.jpg' is a link or a device")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_too_many_bytes(tmp_path, monkeypatch, name):
    path = PACK[name](tmp_path / name, {"1": b"0" * 600, "2": b"0" * 401})
    monkeypatch.setattr(module, "MOST_BYTES", 1001)
    check_archive(path)
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    refused(path, "more than 1,000 bytes")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_too_many_entries(tmp_path, monkeypatch, name):
    path = PACK[name](tmp_path / name, {str(i): b"" for i in range(11)})
    monkeypatch.setattr(module, "MOST_ENTRIES", 11)
    check_archive(path)
    monkeypatch.setattr(module, "MOST_ENTRIES", 10)
    refused(path, "or 10 entries")


def test_a_bomb_is_refused_at_once(tmp_path):
    # 10 TB of zeros, of which only the head is there: reading on would find the end missing.
    info = tarfile.TarInfo("zeros")
    info.size = 10**13
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(10**6))
    refused(tmp_path / "bomb.tar.gz", "more than 21,474,836,480 bytes")


def test_a_zip_archive_that_lies_about_a_size(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cats/zeros": bytes(10**6)})
    true, lie = (n.to_bytes(4, "little") for n in (10**6, 10))
    content = path.read_bytes()
    assert content.count(true) == 2  # before the content, and in the list at the end
    path.write_bytes(content.replace(true, lie))
    refused(path, "damaged")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_two_entries_of_one_name(tmp_path, name):
    path = tmp_path / name
    with pytest.warns(UserWarning) if name == "a.zip" else io.BytesIO():
        if name == "a.zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("cats/1.jpg", b"one")
                archive.writestr("cats/1.jpg", b"two")
        else:
            tarred(path, {"cats/1.jpg": b"one"})
            with tarfile.open(path, "a") as archive:
                archive.addfile(tarfile.TarInfo("./cats/1.jpg"))
    refused(path, r"cats/1\.jpg' is in it twice")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_a_file_that_is_also_a_folder(tmp_path, name):
    path = PACK[name](tmp_path / name, {"cats/1.jpg": b"one", "cats": b"two"})
    refused(path, "'cats' is both a file and a folder")


def test_an_encrypted_archive(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cats/1.jpg": b"meow"})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flags in the local head …
    content[content.index(b"PK\x01\x02") + 8] |= 1  # … and in the list at the end
    path.write_bytes(content)
    refused(path, "'cats/1.jpg' is encrypted")


# Damaged


@pytest.mark.parametrize("content", [b"", b"hello", b"<html>Please log in</html>" * 99, bytes(999)])
def test_no_archive(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "neither a zip nor a tar archive|is empty")


@pytest.mark.parametrize("name", PACK)
def test_empty_archives(tmp_path, name):
    refused(PACK[name](tmp_path / name, {}), "is empty")


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.85])  # a tar archive ends in zeros
def test_archives_cut_short(tmp_path, name, part):
    files = {f"cats/{i}.jpg": noise(i, 5000) for i in range(8)}
    path = PACK[name](tmp_path / name, files)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    refused(path, "damaged")


def test_a_tar_archive_cut_between_two_entries(tmp_path):
    # Python would take this for the end, and three of four pictures would be lost in silence.
    path = tarred(tmp_path / "a.tar", {f"{i}.jpg": bytes(512) for i in range(4)})
    path.write_bytes(path.read_bytes()[:1024])
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["0.jpg"]
    refused(path, "its end is missing")


def test_a_tar_archive_with_a_damaged_head_in_the_middle(tmp_path):
    path = tarred(tmp_path / "a.tar", {f"{i}.jpg": bytes(512) for i in range(4)})
    content = bytearray(path.read_bytes())
    content[1024 + 3] ^= 0xFF
    path.write_bytes(content)
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["0.jpg"]
    refused(path, "cannot be read")


@pytest.mark.parametrize(
    "name", ["a.zip", "stored.zip", "bzip2.zip", "a.tar.gz", "a.tar.bz2", "a.tar.xz"]
)
def test_a_wrong_byte_in_the_content(tmp_path, name):
    path = PACK[name](tmp_path / name, {"cats/1.jpg": noise(0, 50_000)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    refused(path, "damaged")


def test_an_unknown_way_of_compressing(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cats/1.jpg": b"meow"}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 97  # WavPack
    path.write_bytes(content)
    refused(path, "cannot be read")


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", FILES)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
