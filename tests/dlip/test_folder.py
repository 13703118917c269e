"""image_folder against counts by hand, Pillow, scikit-learn, and folders as people have them."""

import functools
import hashlib
import http.server
import io
import os
import pickle
import shutil
import tarfile
import threading
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import StratifiedShuffleSplit
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import dlip.data.download
import dlip.data.folder as module
from dlip.data import image_folder, load_image, manifest

CAT = np.asarray(Image.open(next(entry.file for entry in manifest() if entry.name == "cat")))


def photo(path, number=0, size=(12, 8), **options):
    """Save a piece of the photograph of a cat, another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    top, left = 10 + 13 * (number // 30), 10 + 13 * (number % 30)
    piece = CAT[top : top + size[1], left : left + size[0]]
    Image.fromarray(piece).save(path, **options)
    return path


def pets(folder, cats=10, dogs=10):
    """Make a folder of two classes: cats/0.png, cats/1.png, …, dogs/0.png, …."""
    for i in range(cats):
        photo(folder / "cats" / f"{i}.png", i)
    for i in range(dogs):
        photo(folder / "dogs" / f"{i}.png", 100 + i)
    return folder


def names(photos, split):
    return [f.relative_to(photos.root).as_posix() for f in getattr(photos, split).files]


def reasons(photos):
    return {Path(os.path.relpath(s.file, photos.root)).as_posix(): s.reason for s in photos.skipped}


def sizes(photos):
    return len(photos.train), len(photos.val), len(photos.test)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DLIP_CACHE", str(tmp_path_factory.mktemp("cache")))


# What comes back


def test_pictures_and_labels(tmp_path):
    photos = image_folder(pets(tmp_path))
    assert photos.root == tmp_path
    assert photos.classes == ("cats", "dogs")
    assert photos.skipped == ()
    for split in (photos.train, photos.val, photos.test):
        assert split.classes == photos.classes
        assert len(split) == len(split.files) == len(split.labels)
        for i, (image, label) in enumerate(split):
            assert image.dtype == torch.float32
            expected = np.asarray(Image.open(split.files[i])).transpose(2, 0, 1) / 255
            np.testing.assert_allclose(image, expected, atol=1e-6)
            assert photos.classes[label] == split.files[i].parent.name
            assert split.labels[i] == label


def test_every_file_is_in_one_split_or_skipped(tmp_path):
    pets(tmp_path, 13, 7)
    (tmp_path / "dogs" / "notes.txt").write_text("wuff")
    photos = image_folder(tmp_path)
    found = [*photos.train.files, *photos.val.files, *photos.test.files]
    found += [skipped.file for skipped in photos.skipped]
    assert sorted(found) == sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_report(tmp_path):
    pets(tmp_path, cats=20, dogs=9)
    (tmp_path / "dogs" / "a.txt").write_text("no picture")
    (tmp_path / "dogs" / "b.jpg").touch()
    photos = image_folder(tmp_path, seed=3)
    expected = """\
class  train  val  test  all
cats      14    3     3   20
dogs       6    2     1    9
all       20    5     4   29

Split by class with seed 3: 70 % train, 15 % val, 15 % test.

Skipped: 2
  dogs/a.txt: no picture
  dogs/b.jpg: an empty file"""
    assert photos.report() == str(photos) == repr(photos) == expected
    assert repr(photos.val) == "<5 pictures: cats, dogs>"


def test_a_report_of_japanese_names_is_aligned(tmp_path):
    for name in ("猫", "dog"):
        photo(tmp_path / name / "1.png", len(name))
    lines = str(image_folder(tmp_path)).split("\n")[:4]
    assert lines == [
        "class  train  val  test  all",
        "dog        1    0     0    1",
        "猫         1    0     0    1",  # the character is two columns wide
        "all        2    0     0    2",
    ]


def test_a_long_list_of_skipped_files_is_cut_in_the_report(tmp_path):
    pets(tmp_path)
    for i in range(25):
        (tmp_path / "cats" / f"{i:02}.txt").write_text("no picture")
    photos = image_folder(tmp_path)
    assert len(photos.skipped) == 25
    assert "cats/19.txt" in str(photos)
    assert "cats/20.txt" not in str(photos)
    assert str(photos).endswith("  … and 5 more")


def test_transforms(tmp_path):
    photos = image_folder(
        pets(tmp_path), transform=v2.Resize((4, 6)), test_transform=lambda image: 1 - image
    )
    assert photos.train[0][0].shape == (3, 4, 6)
    for split in (photos.val, photos.test):
        torch.testing.assert_close(split[0][0], 1 - load_image(split.files[0]))


def test_batches_by_workers(tmp_path):
    photos = image_folder(pets(tmp_path, 3, 3), transform=v2.Compose([v2.CenterCrop(8)]))
    # Where workers are new processes the data set is sent there by pickle.
    split = pickle.loads(pickle.dumps(photos.train))
    assert split.files == photos.train.files
    (images, labels), *rest = DataLoader(split, batch_size=2, num_workers=2)
    assert rest == []
    assert labels.tolist() == [0, 1]
    assert labels.dtype == torch.int64
    expected = torch.stack([load_image(file)[:, :, 2:10] for file in split.files])
    torch.testing.assert_close(images, expected)


def test_subfolders_of_a_class_folder_belong_to_the_class(tmp_path):
    pets(tmp_path, 0, 3)
    for i, name in enumerate(["a/1.png", "a/b/2.png", "3.png"]):
        photo(tmp_path / "cats" / name, i)
    photos = image_folder(tmp_path, fractions=(1, 0, 0))
    assert names(photos, "train")[:3] == ["cats/3.png", "cats/a/1.png", "cats/a/b/2.png"]
    assert photos.train.labels == (0, 0, 0, 1, 1, 1)


def test_a_folder_given_as_text_and_relative(tmp_path, monkeypatch):
    pets(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    photos = image_folder("pets")
    monkeypatch.chdir("/")
    assert photos.train[0][0].shape == (3, 8, 12)


# The split


@pytest.mark.parametrize(
    ("count", "fractions", "expected"),
    [
        (10, (0.7, 0.15, 0.15), (7, 2, 1)),  # 7, 1.5, 1.5
        (20, (0.7, 0.15, 0.15), (14, 3, 3)),
        (9, (0.7, 0.15, 0.15), (6, 2, 1)),  # 6.3, 1.35, 1.35
        (4, (0.7, 0.15, 0.15), (2, 1, 1)),  # 2.8, 0.6, 0.6, but none empty
        (3, (0.9, 0.05, 0.05), (1, 1, 1)),
        (2, (0.7, 0.15, 0.15), (1, 1, 0)),
        (1, (0.1, 0.1, 0.8), (1, 0, 0)),
        (7, (0.8, 0, 0.2), (6, 0, 1)),  # 5.6, 1.4
        (5, (1, 0, 0), (5, 0, 0)),
        (100, (0.29, 0.01, 0.7), (29, 1, 70)),  # 100 * 0.29 is below 29 for a computer
    ],
)
def test_sizes_by_hand(count, fractions, expected):
    assert tuple(module._sizes(count, fractions)) == expected


parts = st.tuples(st.integers(1, 20), st.integers(0, 20), st.integers(0, 20))


@given(count=st.integers(1, 500), parts=parts)
def test_sizes_are_near_the_fractions(count, parts):
    fractions = tuple(part / sum(parts) for part in parts)
    found = module._sizes(count, fractions)
    assert sum(found) == count
    wanted = [part for part in parts if part]
    for size, fraction in zip(found, fractions, strict=True):
        assert (size == 0) == (fraction == 0) or count < len(wanted)
        # Two parts may have been filled up to one picture, which a third has given.
        assert abs(size - count * fraction) < 1 or size == 1 or count * min(wanted) < sum(parts)


def test_the_mix_of_classes_is_that_of_scikit_learn(tmp_path):
    photos = image_folder(pets(tmp_path, 57, 23), fractions=(0.6, 0, 0.4))
    labels = np.array([0] * 57 + [1] * 23)
    train, test = next(StratifiedShuffleSplit(1, test_size=0.4).split(labels, labels))
    for split, theirs in [(photos.train, train), (photos.test, test)]:
        ours = np.bincount(split.labels)
        assert abs(ours - np.bincount(labels[theirs])).max() <= 1


def test_the_split_is_the_same_everywhere(tmp_path):
    # In the order of: printf 0/cats/4.png | sha256sum. Never to be changed: the numbers that
    # readers got from their photographs would not come again.
    cats = [4, 8, 9, 2, 0, 5, 3, 6, 7, 1]
    dogs = [1, 5, 4, 3, 7, 9, 8, 0, 6, 2]
    photos = image_folder(pets(tmp_path))
    for split, part in [("train", slice(0, 7)), ("val", slice(7, 9)), ("test", slice(9, 10))]:
        expected = [f"cats/{i}.png" for i in sorted(cats[part])]
        expected += [f"dogs/{i}.png" for i in sorted(dogs[part])]
        assert names(photos, split) == expected


def test_the_split_depends_on_names_and_seed_only(tmp_path):
    one = image_folder(pets(tmp_path / "one", 30, 20), seed=1)
    for i in reversed(range(30)):  # another place, another order, other pictures
        photo(tmp_path / "two" / "cats" / f"{i}.png", 200 + i)
    for i in reversed(range(20)):
        photo(tmp_path / "two" / "dogs" / f"{i}.png", 300 + i)
    two = image_folder(tmp_path / "two", seed=1)
    for split in ("train", "val", "test"):
        assert names(one, split) == names(two, split)
    other = image_folder(tmp_path / "one", seed=2)
    assert sizes(other) == sizes(one)
    assert names(other, "test") != names(one, "test")


def test_the_split_does_not_depend_on_how_accents_are_written(tmp_path):
    found = []
    for form in ("NFC", "NFD"):
        for i in range(12):
            name = unicodedata.normalize(form, f"élan ガ {i}.png")
            photo(tmp_path / form / unicodedata.normalize(form, "がく") / name, i)
            photo(tmp_path / form / "b" / name, 50 + i)
        photos = image_folder(tmp_path / form)
        assert photos.classes == ("b", "がく")
        found.append([unicodedata.normalize("NFC", n) for n in names(photos, "train")])
    assert found[0] == found[1]


def test_a_class_with_too_few_pictures_is_noted(tmp_path):
    photos = image_folder(pets(tmp_path, cats=2, dogs=10))
    assert sizes(photos) == (8, 3, 1)
    assert photos.notes[1:] == ("In test there is no picture of: cats.",)
    assert "In test there is no picture of: cats." in str(photos)


def test_splits_that_are_not_wanted(tmp_path):
    photos = image_folder(pets(tmp_path), fractions=(0.5, 0, 0.5))
    assert sizes(photos) == (10, 0, 10)
    assert photos.notes == (
        "Split by class with seed 0: 50 % train, 0 % val, 50 % test.",
        "There are no pictures in val.",
    )


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.7, 0.2, 0.2), r"sum to 1, got .* with the sum 1\.1"),
        ((0.7, 0.3), "three numbers"),
        (0.7, "three numbers"),
        ("abc", "three numbers"),
        (("a", "b", "c"), "three numbers"),
        ((1.2, -0.1, -0.1), "not negative"),
        ((float("nan"), 0, 1), "not negative"),
        ((0, 0.5, 0.5), "train to be greater than 0"),
    ],
)
def test_fractions_that_do_not_fit(tmp_path, fractions, message):
    with pytest.raises(ValueError, match=message):
        image_folder(tmp_path, fractions=fractions)


# What is skipped


def test_files_that_are_no_good_pictures(tmp_path):
    pets(tmp_path)
    cats = tmp_path / "cats"
    whole = photo(tmp_path / "whole.jpg", 400, (200, 150), quality=95).read_bytes()
    (tmp_path / "whole.jpg").unlink()
    (cats / "cut.jpg").write_bytes(whole[:-300])
    (cats / "cut.png").write_bytes((cats / "0.png").read_bytes()[:-40])
    (cats / "empty.jpg").touch()
    (cats / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" * 20)
    (cats / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" * 20)
    (cats / "notes.txt").write_text("meow")
    (cats / "page.jpg").write_text("<html>not found</html>")
    (cats / "lost.jpg").symlink_to("nowhere.jpg")
    (cats / "circle").symlink_to(tmp_path)
    Image.fromarray(np.full((4, 4), 3, np.float32)).save(cats / "bright.tiff")
    os.mkfifo(cats / "pipe.jpg")  # reading it would wait forever
    (tmp_path / "LICENSE.txt").write_text("free")
    photo(tmp_path / "loose.png", 401)
    (tmp_path / "birds").mkdir()
    (tmp_path / "fish").mkdir()
    (tmp_path / "fish" / "1.png").write_bytes(b"no picture")
    photos = image_folder(tmp_path)
    found = reasons(photos)
    assert found.pop("cats/cut.jpg").startswith("cannot be read: image file is truncated")
    assert found.pop("cats/cut.png").startswith("cannot be read: ")
    assert found.pop("cats/bright.tiff").endswith("real numbers from 0 to 1")
    assert found == {
        "cats/empty.jpg": "an empty file",
        "cats/film.mp4": "no picture",
        "cats/phone.HEIC": "HEIC, which Pillow cannot read: save it as JPEG",
        "cats/notes.txt": "no picture",
        "cats/page.jpg": "no picture",
        "cats/lost.jpg": "a link that leads nowhere, or no ordinary file",
        "cats/circle": "a link to a folder, which is not followed",
        "cats/pipe.jpg": "a link that leads nowhere, or no ordinary file",
        "LICENSE.txt": "lies in no class folder",
        "loose.png": "lies in no class folder",
        "birds": "a folder without a picture that can be used",
        "fish": "a folder without a picture that can be used",
        "fish/1.png": "no picture",
    }
    assert photos.classes == ("cats", "dogs")
    assert sum(sizes(photos)) == 20
    for split in (photos.train, photos.val, photos.test):
        assert len(list(split)) == len(split)  # all can be read


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_is_found(tmp_path, progressive):
    whole = photo(tmp_path / "a.jpg", 0, (150, 100), progressive=progressive).read_bytes()
    assert module._fault(tmp_path / "a.jpg") == ""
    for end in range(len(whole) - 2, 0, -97):
        (tmp_path / "a.jpg").write_bytes(whole[:end])
        assert module._fault(tmp_path / "a.jpg"), f"{end} of {len(whole)} bytes"
        with pytest.raises(ValueError, match="picture file"):
            load_image(tmp_path / "a.jpg")


def test_hidden_files_and_litter_are_ignored_in_silence(tmp_path):
    pets(tmp_path)
    for name in (
        ".DS_Store",
        "cats/.DS_Store",
        "cats/._1.png",
        "cats/Thumbs.db",
        "cats/desktop.ini",
        "cats/.ipynb_checkpoints/1-checkpoint.png",
        ".git/config",
        "__MACOSX/cats/._1.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"litter")
    photos = image_folder(tmp_path)
    assert photos.skipped == ()
    assert photos.classes == ("cats", "dogs")
    assert sum(sizes(photos)) == 20


def test_of_copies_the_first_is_kept(tmp_path):
    pets(tmp_path)
    shutil.copy(tmp_path / "cats" / "3.png", tmp_path / "cats" / "5 copy.png")
    shutil.copy(tmp_path / "cats" / "3.png", tmp_path / "cats" / "4 copy.png")
    photos = image_folder(tmp_path)
    assert reasons(photos) == {
        "cats/4 copy.png": "the same bytes as cats/3.png",
        "cats/5 copy.png": "the same bytes as cats/3.png",
    }
    assert sum(sizes(photos)) == 20


def test_of_copies_in_two_classes_none_is_kept(tmp_path):
    pets(tmp_path)
    shutil.copy(tmp_path / "cats" / "3.png", tmp_path / "dogs" / "a.png")
    shutil.copy(tmp_path / "cats" / "3.png", tmp_path / "cats" / "b.png")
    photos = image_folder(tmp_path)
    assert reasons(photos) == {
        "cats/3.png": "the same bytes as dogs/a.png, which is of another class",
        "cats/b.png": "the same bytes as dogs/a.png, which is of another class",
        "dogs/a.png": "the same bytes as cats/3.png, which is of another class",
    }
    assert sum(sizes(photos)) == 19


# Too little


def test_no_class_folder(tmp_path):
    for i in range(3):
        photo(tmp_path / f"{i}.png", i)
    with pytest.raises(ValueError) as caught:
        image_folder(tmp_path)
    text = str(caught.value)
    assert "expected a folder with one subfolder for each class, at least two" in text
    assert f"'{tmp_path}' holds 0 subfolders (none); classes with pictures: none" in text
    assert "  2.png: lies in no class folder" in text


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"holds 0 subfolders \(none\)"):
        image_folder(tmp_path)


def test_one_class(tmp_path):
    pets(tmp_path, dogs=0)
    with pytest.raises(ValueError, match=r"1 subfolders \(cats\); classes with pictures: cats$"):
        image_folder(tmp_path)


def test_one_class_with_pictures(tmp_path):
    pets(tmp_path, dogs=0)
    (tmp_path / "dogs").mkdir()
    with pytest.raises(ValueError, match=r"(?s)2 subfolders \(cats, dogs\).*: cats\n.*dogs: a fol"):
        image_folder(tmp_path)


def test_the_folder_above_the_right_one(tmp_path):
    pets(tmp_path / "pets")
    with pytest.raises(ValueError, match=r"classes are the folders in '.*pets', give that one"):
        image_folder(tmp_path)


def test_what_is_no_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder or archive '.*none'"):
        image_folder(tmp_path / "none")
    with pytest.raises(TypeError, match="a folder, an archive or an address, got 3"):
        image_folder(3)
    with pytest.raises(ValueError, match="expected an http or https address, got 'ftp:"):
        image_folder("ftp://example.org/a.zip")
    with pytest.raises(ValueError, match="neither a zip nor a tar archive"):
        image_folder(photo(tmp_path / "a.png"))
    with pytest.raises(ValueError, match="a folder has no SHA-256"):
        image_folder(pets(tmp_path), sha256="0" * 64)
    with pytest.raises(TypeError, match="seed to be an integer, got 'a'"):
        image_folder(tmp_path, seed="a")
    with pytest.raises(TypeError, match="transform to be a function, got 5"):
        image_folder(tmp_path, test_transform=5)


# Folders that are split already


def hymenoptera(folder, *splits, count=10):
    """Make folders like those of the ants and bees of PyTorch's tutorial."""
    for i, split in enumerate(splits):
        for j, name in enumerate(["ants", "bees"]):
            for k in range(count):
                photo(folder / split / name / f"{k}.jpg", 200 * j + 40 * i + k)
    return folder


def test_train_val_and_test_are_kept(tmp_path):
    photos = image_folder(hymenoptera(tmp_path, "train", "val", "test"))
    assert photos.classes == ("ants", "bees")
    assert sizes(photos) == (20, 20, 20)
    for split in ("train", "val", "test"):
        assert all(name.startswith(f"{split}/") for name in names(photos, split))
    assert photos.notes == ("The folders' own split: train, val, test.",)


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "test"])
def test_of_train_and_val_the_latter_is_test(tmp_path, name):
    photos = image_folder(
        hymenoptera(tmp_path, "Train", name), fractions=(0.6, 0.2, 0.2), transform=v2.Resize(4)
    )
    assert sizes(photos) == (16, 4, 20)  # 0.2 / (0.6 + 0.2) of 10 is 2.5: two of each class
    assert all(n.startswith(f"{name}/") for n in names(photos, "test"))
    assert all(n.startswith("Train/") for n in names(photos, "train") + names(photos, "val"))
    assert photos.val.labels == (0, 0, 1, 1)
    assert photos.train[0][0].shape == (3, 4, 6)
    assert photos.val[0][0].shape == (3, 8, 12)
    assert photos.notes[0] == (
        f"The folders' own split: {'test' if name == 'test' else 'val'} serves as test. "
        "25 % of train are set aside as val, by class with seed 0."
    )


def test_a_class_that_is_called_test_is_a_class(tmp_path):
    for i, name in enumerate(["test", "val"]):
        photo(tmp_path / name / "1.png", i)
    assert image_folder(tmp_path).classes == ("test", "val")


def test_a_test_folder_without_labels(tmp_path):
    hymenoptera(tmp_path, "train")
    photo(tmp_path / "test" / "1.jpg", 399)
    photo(tmp_path / "extra" / "ants" / "1.jpg", 398)
    photos = image_folder(tmp_path)
    assert sizes(photos) == (14, 4, 2)
    assert reasons(photos) == {
        "test/1.jpg": "lies in no class folder",
        "extra": "lies beside the folders of the splits",
    }


def test_a_class_that_is_not_in_train(tmp_path):
    hymenoptera(tmp_path, "train", "test")
    photo(tmp_path / "test" / "wasps" / "1.jpg", 399)
    photos = image_folder(tmp_path)
    assert photos.classes == ("ants", "bees")
    assert reasons(photos) == {
        "test/wasps/1.jpg": "its class has no picture in train",
        "test/wasps": "a folder without a picture that can be used",
    }


def test_copies_across_splits_leave_the_test_set_whole(tmp_path):
    hymenoptera(tmp_path, "train", "val", "test")
    shutil.copy(tmp_path / "test" / "ants" / "1.jpg", tmp_path / "train" / "ants" / "a.jpg")
    shutil.copy(tmp_path / "test" / "ants" / "1.jpg", tmp_path / "val" / "ants" / "b.jpg")
    shutil.copy(tmp_path / "train" / "bees" / "2.jpg", tmp_path / "val" / "bees" / "c.jpg")
    photos = image_folder(tmp_path)
    assert reasons(photos) == {
        "train/ants/a.jpg": "the same bytes as test/ants/1.jpg",
        "val/ants/b.jpg": "the same bytes as test/ants/1.jpg",
        "train/bees/2.jpg": "the same bytes as val/bees/c.jpg",
    }
    assert sizes(photos) == (19, 21, 20)


# Kinds of pictures


def test_kinds_of_pictures(tmp_path):
    red = Image.new("RGB", (16, 16), (200, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° to the right
    turned = Image.fromarray(CAT[:8, :12])
    folder = tmp_path / "a"
    folder.mkdir()
    red.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.png")
    red.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    red.putalpha(51)  # a fifth opaque
    red.save(folder / "rgba.png")
    Image.fromarray(np.full((16, 16), 30000, np.uint16)).save(folder / "deep.png")
    turned.save(folder / "turned.png", exif=exif)
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    for i in range(2):
        photo(tmp_path / "b" / f"{i}.png", i)
    photos = image_folder(tmp_path, fractions=(1, 0, 0))
    assert photos.skipped == ()
    images = {f.name: image for f, (image, _) in zip(photos.train.files, photos.train, strict=True)}
    assert all(image.dtype == torch.float32 and len(image) == 3 for image in images.values())
    solid = torch.tensor([200, 30, 40]) / 255
    expected = {
        "palette.png": solid,
        "cmyk.jpg": solid,
        "rgba.png": 0.8 + 0.2 * solid,
        "deep.png": torch.full((3,), 30000 / 65535),
    }
    for name, color in expected.items():
        torch.testing.assert_close(images[name][:, 8, 8], color, atol=0.03, rtol=0)
    upright = torch.from_numpy(np.rot90(CAT[:8, :12], -1).copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close(images["turned.png"], upright)
    torch.testing.assert_close(images["turned.jpg"], upright, atol=0.15, rtol=0)


def test_file_names_that_are_not_utf8(tmp_path):
    pets(tmp_path)
    shutil.move(tmp_path / "cats" / "1.png", os.fsencode(tmp_path / "cats") + b"/\x94L.png")
    (tmp_path / "cats" / os.fsdecode(b"\x8c\xa2.txt")).write_text("wuff")  # Shift JIS
    photos = image_folder(tmp_path)
    assert sum(sizes(photos)) == 20
    assert "no picture" in str(photos).encode().decode()  # can be printed


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.skipif("TQDM_DISABLE" in os.environ, reason="progress bars are switched off")
def test_progress_is_shown_in_a_terminal_only(tmp_path, capsys, monkeypatch):
    image_folder(pets(tmp_path))
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    image_folder(tmp_path)
    assert "checking pictures: 100%" in terminal.getvalue()
    assert "20/20" in terminal.getvalue()


# Archives


def packed(folder, archive):
    shutil.make_archive(
        str(archive).removesuffix(".zip").removesuffix(".tar.gz"),
        "zip" if archive.suffix == ".zip" else "gztar",
        folder,
    )
    return archive


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_archives(tmp_path, suffix, wrapped):
    pets(tmp_path / "in" / "my" / "pets" if wrapped else tmp_path / "in")
    if wrapped:
        (tmp_path / "in" / "__MACOSX").mkdir()
        (tmp_path / "in" / "__MACOSX" / "._pets").write_bytes(b"litter")
        (tmp_path / "in" / "README.txt").write_text("My pets.")
    archive = packed(tmp_path / "in", tmp_path / f"pets{suffix}")
    photos = image_folder(archive, cache=tmp_path / "cache")
    assert photos.classes == ("cats", "dogs")
    assert sizes(photos) == (14, 4, 2)
    assert photos.root.is_relative_to(tmp_path / "cache" / "unpacked")
    assert list(reasons(photos).values()) == ["lies in no class folder"] * wrapped
    # The split is that of the folder itself.
    folder = image_folder(tmp_path / "in" / "my" / "pets" if wrapped else tmp_path / "in")
    assert names(photos, "test") == names(folder, "test")


def test_an_archive_of_split_folders(tmp_path):
    hymenoptera(tmp_path / "in" / "hymenoptera_data", "train", "val")
    photos = image_folder(packed(tmp_path / "in", tmp_path / "hymenoptera_data.zip"))
    assert photos.root.name == "hymenoptera_data"
    assert photos.classes == ("ants", "bees")
    assert len(photos.test) == 20


def test_an_archive_is_unpacked_once_and_known_by_its_content(tmp_path):
    archive = packed(pets(tmp_path / "in"), tmp_path / "pets.zip")
    first = image_folder(archive, cache=tmp_path / "cache")
    (first.root / "cats" / "new.png").write_bytes(photo(tmp_path / "n.png", 99).read_bytes())
    again = image_folder(archive.rename(tmp_path / "b.zip"), cache=tmp_path / "cache")
    assert sum(sizes(again)) == 21
    photo(tmp_path / "in" / "cats" / "more.png", 98)
    other = packed(tmp_path / "in", tmp_path / "b.zip")
    assert image_folder(other, cache=tmp_path / "cache").root != first.root


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("DLIP_CACHE", str(tmp_path / "mine"))
    photos = image_folder(packed(pets(tmp_path / "in"), tmp_path / "pets.zip"))
    assert photos.root.is_relative_to(tmp_path / "mine")


def test_the_hash_of_an_archive(tmp_path):
    archive = packed(pets(tmp_path / "in"), tmp_path / "pets.zip")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert sum(sizes(image_folder(archive, sha256=found))) == 20
    with pytest.raises(ValueError, match=f"SHA-256 {'0' * 64}, got {found}"):
        image_folder(archive, sha256="0" * 64)


def test_an_unsafe_archive(tmp_path):
    archive = packed(pets(tmp_path / "in"), tmp_path / "pets.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("../evil.png", b"")
    with pytest.raises(ValueError, match=r"'\.\./evil\.png' would be written outside"):
        image_folder(archive, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_tar_archive_with_a_link(tmp_path):
    pets(tmp_path / "in")
    (tmp_path / "in" / "cats" / "link.png").symlink_to("/etc/passwd")
    with tarfile.open(tmp_path / "pets.tar", "w") as file:
        file.add(tmp_path / "in", "pets")
    with pytest.raises(ValueError, match=r"'pets/cats/link\.png' is a link"):
        image_folder(tmp_path / "pets.tar")


# Addresses


@pytest.fixture
def serve(monkeypatch):
    """Serve a folder on this machine; return its address and the list of requests."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(dlip.data.download, "PAUSE", 0.001)
    stops = []

    def start(folder):
        requests = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_request(self, *args):
                requests.append(self.path)

            def log_error(self, *args):
                pass

        handler = functools.partial(Handler, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        stops.append(lambda: (server.shutdown(), server.server_close()))
        return f"http://127.0.0.1:{server.server_port}", requests

    yield start
    for stop in stops:
        stop()


def test_an_address(tmp_path, serve):
    archive = packed(pets(tmp_path / "in"), tmp_path / "my pets.zip")
    url, requests = serve(tmp_path)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    for sha256 in (None, found):
        photos = image_folder(f"{url}/my pets.zip", sha256=sha256, cache=tmp_path / "cache")
        assert sizes(photos) == (14, 4, 2)
    assert requests == ["/my%20pets.zip"]
    (kept,) = (tmp_path / "cache" / "downloads").glob("*/*.zip")
    assert kept.name == "my_pets.zip"
    assert kept.read_bytes() == archive.read_bytes()
    with pytest.raises(ValueError, match=f"SHA-256 {'0' * 64}, got {found}"):
        image_folder(f"{url}/my pets.zip", sha256="0" * 64, cache=tmp_path / "cache")
    assert not kept.exists()


def test_an_address_of_something_else(tmp_path, serve):
    (tmp_path / "pets.zip").write_text("<html>Please log in.</html>")
    url, _ = serve(tmp_path)
    with pytest.raises(ValueError, match=r"sent a wrong file.*neither a zip nor a tar"):
        image_folder(f"{url}/pets.zip", cache=tmp_path / "cache")
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [path.suffix for path in kept] == [".lock"]
    packed(pets(tmp_path / "in"), tmp_path / "pets.zip")  # the next call can succeed
    assert sum(sizes(image_folder(f"{url}/pets.zip", cache=tmp_path / "cache"))) == 20


def test_an_address_without_a_network(tmp_path, serve, monkeypatch):
    monkeypatch.setattr(dlip.data.download, "ATTEMPTS", 1)
    with pytest.raises(
        ConnectionError, match=r"(?s)pets\.zip: .*/cache/downloads/.*give its path.*digits"
    ):
        image_folder("http://127.0.0.1:9/pets.zip", cache=tmp_path / "cache")


@pytest.mark.parametrize("end", ["", "/", "/..", "/%2e%2e", "/?a=/../../b", "/..%2F..%2Fa"])
def test_odd_addresses_are_kept_in_the_cache(end):
    name = module._download_name(f"https://example.org{end}")
    folder, file = name.split("/")
    assert len(folder) == 32
    assert set(file) - set(".")
    assert not file.startswith(".")


def test_two_addresses_of_one_name_are_kept_apart():
    one, two = (module._download_name(f"https://{host}.org/pets.zip") for host in "ab")
    assert one != two
    assert one.endswith("/pets.zip")
