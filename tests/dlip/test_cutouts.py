"""Cut-out photographs: what is in the file, pasting against Pillow, and the folders written."""

import importlib
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from dlip.data import (
    SCENES,
    cutouts,
    cutouts_folder,
    image_folder,
    load_image,
    manifest,
    paste,
    sample_image,
    scene,
)

CUTOUTS = cutouts()
ENTRY = next(entry for entry in manifest() if entry.name == "cutouts")
BLUE = (0.2, 0.4, 0.9)


# The data set


def test_shapes_types_and_ranges():
    assert CUTOUTS.images.shape == (128, 4, 160, 160)
    assert CUTOUTS.images.dtype == torch.float32
    assert CUTOUTS.images.min() == 0
    assert CUTOUTS.images.max() == 1
    assert CUTOUTS.labels.dtype == torch.int64
    assert CUTOUTS.classes == ("bird", "flower", "fruit", "mammal")
    assert torch.bincount(CUTOUTS.labels).tolist() == [29, 19, 24, 56]
    assert len(CUTOUTS) == len(CUTOUTS.names) == len(set(CUTOUTS.names)) == 128


def test_description_gives_the_real_counts():
    for text in ("128 photographs", "29 birds", "19 flowers", "24 fruits", "56 mammals"):
        assert text in ENTRY.description
    assert repr(CUTOUTS) == "<128 cut-outs: 29 bird, 19 flower, 24 fruit, 56 mammal>"


@pytest.mark.parametrize(
    ("name", "label"),
    [("crow", "bird"), ("vulture", "bird"), ("rose", "flower"), ("tomato", "fruit")]
    + [("lemon", "fruit"), ("zebra", "mammal"), ("badger", "mammal")],
)
def test_names_and_labels_belong_together(name, label):
    assert CUTOUTS.classes[CUTOUTS.labels[CUTOUTS.names.index(name)]] == label


def test_colours_are_where_they_should_be():
    # Mean colours of the opaque part: a lemon is yellow, a crow black, a rabbit white.
    def colour(name):
        image = CUTOUTS.images[CUTOUTS.names.index(name)]
        return image[:3, image[3] > 0.99].mean(dim=1)

    red, green, blue = colour("lemon")
    assert min(red, green) > blue + 0.3
    assert colour("crow").max() < 0.3
    assert colour("rabbit_2").min() > 0.5


def test_each_lies_in_the_middle_and_fills_the_longer_side():
    for image in CUTOUTS.images:
        rows = torch.nonzero(image[3].amax(dim=1)).flatten()
        columns = torch.nonzero(image[3].amax(dim=0)).flatten()
        height = rows[-1] - rows[0] + 1
        width = columns[-1] - columns[0] + 1
        # Lanczos can leave an edge whose alpha is rounded to 0.
        assert max(height, width) >= 157
        assert abs(rows[0] - (159 - rows[-1])) <= 3
        assert abs(columns[0] - (159 - columns[-1])) <= 3


def test_pixels_are_those_of_the_file():
    with zipfile.ZipFile(ENTRY.file) as archive, archive.open("bird/crow.webp") as file:
        expected = np.array(Image.open(file)).astype(np.float32) / 255
    image = CUTOUTS.images[CUTOUTS.names.index("crow")].permute(1, 2, 0).numpy()
    top = (160 - expected.shape[0]) // 2
    image = image[top : top + expected.shape[0]]
    np.testing.assert_array_equal(image[..., 3], expected[..., 3])
    opaque = expected[..., 3] > 0
    np.testing.assert_array_equal(image[opaque], expected[opaque])
    assert 0 < opaque.mean() < 1
    assert not image[~opaque].any()


def test_no_photograph_twice():
    small = torch.nn.functional.avg_pool2d(CUTOUTS.images, 8)
    for pictures in (small, small.flip(-1)):  # nor one that is another's mirror image
        distance = torch.cdist(small.flatten(1), pictures.flatten(1))
        distance.fill_diagonal_(torch.inf)
        assert distance.min() > 4


def test_a_changed_tensor_does_not_change_the_next():
    cutouts().images.fill_(0.5)
    assert torch.equal(cutouts().images, CUTOUTS.images)


def test_damaged_file(monkeypatch, tmp_path):
    module = importlib.import_module("dlip.data.manifest")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "cutouts.zip").write_bytes(b"nothing")
    monkeypatch.setattr(module, "DATA_DIR", tmp_path)
    importlib.import_module("dlip.data.cutouts")._read.cache_clear()
    with pytest.raises(ValueError, match=r"expected 1079995 bytes.*got 7 bytes"):
        cutouts()


def test_licence_travels_with_the_file():
    with zipfile.ZipFile(ENTRY.file) as archive:
        comment = archive.comment.decode()
    assert "GNU General Public License, version 2" in comment
    text = (ENTRY.file.parents[1] / "LICENCES.txt").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 2, June 1991" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "mere aggregation" in text
    assert "mere aggregation" in ENTRY.licence


# Scenes and pasting


@pytest.mark.parametrize("name", SCENES)
def test_scenes_are_tinted_photographs(name):
    image = scene(name)
    assert image.ndim == 3
    assert min(image.shape[1:]) >= 512
    assert 0 <= image.min() < image.max() <= 1


def test_grass_is_green_and_stars_are_the_photograph():
    red, green, blue = scene("grass").mean(dim=(1, 2))
    assert green > red > blue
    assert torch.equal(scene("grass")[1], sample_image("grass")[1])
    assert torch.equal(scene("stars"), sample_image("hubble"))


def test_unknown_scene():
    with pytest.raises(ValueError, match=r"unknown scene 'gras'. Did you mean 'grass'.*brick"):
        scene("gras")


@pytest.mark.parametrize(("top", "left"), [(None, None), (0, 0), (64, 3)])
def test_paste_against_pillow(top, left):
    image = CUTOUTS.images[CUTOUTS.names.index("squirrel")]
    background = sample_image("cat", size=224)
    layer = Image.new("RGBA", (224, 224))
    corner = (32, 32) if top is None else (left, top)
    layer.paste(Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy()), corner)
    below = (background.permute(1, 2, 0) * 255).round().byte().numpy()
    below = Image.fromarray(below).convert("RGBA")
    expected = np.array(Image.alpha_composite(below, layer).convert("RGB")) / 255
    result = paste(image, background, top=top, left=left)
    np.testing.assert_allclose(result.permute(1, 2, 0), expected, atol=1.01 / 255)


def test_paste_by_hand_and_without_changing_its_arguments():
    cutout = torch.tensor([1.0, 0.5, 0.0, 0.25]).reshape(4, 1, 1)
    background = torch.full((3, 2, 2), 0.6)
    result = paste(cutout, background, top=1, left=0)
    torch.testing.assert_close(result[:, 1, 0], torch.tensor([0.7, 0.575, 0.45]))
    assert torch.equal(background, torch.full((3, 2, 2), 0.6))
    result[:, 1, 0] = 0.6
    assert torch.equal(result, background)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("crow", torch.ones(3, 200, 200)), TypeError, r"the cut-out to be a tensor \(4, H, W\)"),
        ((torch.ones(3, 9, 9), torch.ones(3, 9, 9)), ValueError, r"\(4, H, W\).*got.*\(3, 9, 9\)"),
        ((torch.ones(4, 9, 9), torch.ones(1, 9, 9)), ValueError, r"background.*\(3, H, W\)"),
        ((torch.ones(4, 9, 9).int(), torch.ones(3, 9, 9)), ValueError, "a float tensor.*int32"),
        ((torch.ones(4, 9, 9), torch.ones(3, 9, 8)), ValueError, "smaller than.*9×9.*got 9×8"),
    ],
)
def test_paste_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        paste(*arguments)


def test_paste_refuses_places_outside():
    cutout, background = torch.ones(4, 9, 9), torch.ones(3, 10, 12)
    with pytest.raises(ValueError, match="at most 1 and 3, got 2 and 0"):
        paste(cutout, background, top=2, left=0)
    with pytest.raises(ValueError, match="expected left to be at least 0, got -1"):
        paste(cutout, background, left=-1)
    with pytest.raises(TypeError, match=r"expected top to be an integer, got 0\.5"):
        paste(cutout, background, top=0.5)


# Folders


def content(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.jpg")}


def test_folder_is_read_by_image_folder(tmp_path):
    folder = cutouts_folder(tmp_path / "new" / "photos")
    assert folder == tmp_path / "new" / "photos"
    photos = image_folder(folder, fractions=(1, 0, 0))
    assert photos.classes == CUTOUTS.classes
    assert photos.skipped == ()
    assert list(photos.train.labels) == CUTOUTS.labels.tolist()
    assert [file.stem for file in photos.train.files] == list(CUTOUTS.names)
    assert photos.train[0][0].shape == (3, 224, 224)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["photos"]


def test_same_seed_same_bytes(tmp_path):
    first, again, other = (
        content(cutouts_folder(tmp_path / name, size=160, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert len(first) == 128
    assert first == again
    assert sum(first[file] != other[file] for file in first) > 64


def test_colour_and_place(tmp_path):
    folder = cutouts_folder(tmp_path / "x", BLUE)
    corners, places = [], set()
    for file in sorted(folder.rglob("*.jpg")):
        image = load_image(file)
        corners.append(image[:, 0, 0])
        differs = (image - torch.tensor(BLUE)[:, None, None]).abs().amax(dim=0) > 0.2
        places.add(int(torch.nonzero(differs.any(dim=1))[0]))
    corners = torch.stack(corners)
    assert ((corners - torch.tensor(BLUE)).abs() < 0.05).all(dim=1).float().mean() > 0.9
    assert len(places) > 30


def test_a_background_for_each_class(tmp_path):
    red, green = torch.zeros(3, 300, 400), torch.zeros(3, 224, 224)
    red[0], green[1] = 1, 1
    background = {"bird": red, "mammal": [green], "flower": BLUE, "fruit": [red, green]}
    folder = cutouts_folder(tmp_path / "x", background)

    def colours(name):  # red, green or blue, by the brightest channel at the left edge
        return {
            int(load_image(file)[:, :, 0].mean(dim=1).argmax())
            for file in (folder / name).iterdir()
        }

    assert colours("bird") == {0}
    assert colours("mammal") == {1}
    assert colours("flower") == {2}
    assert colours("fruit") == {0, 1}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"background": "grass"}, TypeError, r"a background: a photograph.*got 'grass' \(str\)"),
        ({"background": []}, TypeError, r"a background: a photograph"),
        ({"background": (1, 0)}, TypeError, r"a colour \(R, G, B\); got \(1, 0\)"),
        ({"background": (255, 0, 0)}, ValueError, "three numbers from 0 to 1, got .255, 0, 0"),
        ({"background": torch.ones(3, 200, 500)}, ValueError, "least 224×224 pixels, got 200×500"),
        ({"background": torch.ones(1, 300, 300)}, ValueError, r"\(3, H, W\)"),
        ({"background": {"birds": BLUE}}, ValueError, "unknown class 'birds'. Did you mean 'bird'"),
        ({"background": {"bird": BLUE}}, ValueError, "got none for flower, fruit, mammal"),
        ({"size": 159}, ValueError, "expected size to be at least 160, got 159"),
        ({"seed": -1}, ValueError, "expected the seed to be at least 0, got -1"),
    ],
)
def test_folder_refuses_and_leaves_nothing(options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        cutouts_folder(tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_stays_as_it_is(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already: give another path, or remove it"):
        cutouts_folder(tmp_path / "x")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["mine.txt"]
    with pytest.raises(TypeError, match=r"expected the path of a folder, got 3 \(int\)"):
        cutouts_folder(3)


def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch):
    module = importlib.import_module("dlip.data.cutouts")
    monkeypatch.setattr(module, "_save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        cutouts_folder(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_the_archive_itself_is_a_folder_of_photographs(tmp_path):
    photos = image_folder(ENTRY.file, cache=tmp_path, fractions=(1, 0, 0))
    assert len(photos.train) == 128
    image, _ = photos.train[0]
    assert (image[:, 0, 0] == 1).all()  # transparency becomes white
