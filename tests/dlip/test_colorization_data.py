"""The pictures for colorization: no part holds what another one holds."""

import pytest
import torch

from dlip.data import (
    colorization_crops,
    colorization_cutouts,
    colorization_photographs,
    cutouts,
    sample_image,
    scene,
)

PARTS = ("train", "val", "test")


def test_every_cutout_is_in_one_part():
    parts = [colorization_cutouts(part) for part in PARTS]
    names = [name for part in parts for name in part.names]
    assert sorted(names) == sorted(cutouts().names)
    shares = [len(part) / len(names) for part in parts]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.05)


def test_the_same_animal_is_in_one_part():
    first_words = [
        {name.partition("_")[0] for name in colorization_cutouts(part).names} for part in PARTS
    ]
    assert not first_words[0] & first_words[1]
    assert not first_words[0] & first_words[2]
    assert not first_words[1] & first_words[2]
    assert "gnu" in set.union(*first_words)


@pytest.mark.parametrize("part", PARTS)
def test_every_class_is_in_every_part_and_pictures_go_with_their_names(part):
    chosen, whole = colorization_cutouts(part), cutouts()
    assert set(chosen.labels.tolist()) == {0, 1, 2, 3}
    for i, name in enumerate(chosen.names):
        j = whole.names.index(name)
        assert chosen.labels[i] == whole.labels[j]
        assert torch.equal(chosen.images[i], whole.images[j])


def test_regions_cover_each_picture_once():
    parts = {part: colorization_photographs(part) for part in PARTS}
    assert set(parts["train"]) == set(parts["val"]) == set(parts["test"])
    for name in parts["train"]:
        left = torch.cat([parts["train"][name], parts["val"][name]], dim=1)
        again = torch.cat([left, parts["test"][name]], dim=2)
        scenes = ("brick", "grass", "gravel")
        assert torch.equal(again, scene(name) if name in scenes else sample_image(name))


def test_unseen_photographs_are_in_no_other_part():
    unseen = colorization_photographs("unseen")
    assert set(unseen) == {"cat", "coffee", "retina"}
    for part in PARTS:
        assert not set(unseen) & set(colorization_photographs(part))
    assert torch.equal(unseen["cat"], sample_image("cat"))


@pytest.fixture(scope="module")
def training():
    return colorization_photographs("train"), colorization_cutouts("train")


def test_crops(training):
    crops = colorization_crops(*training, 12, 40, torch.Generator().manual_seed(1))
    assert crops.shape == (12, 3, 40, 40)
    assert crops.dtype == torch.float32
    assert 0 <= crops.min() < crops.max() <= 1
    assert crops.isfinite().all()
    again = colorization_crops(*training, 12, 40, torch.Generator().manual_seed(1))
    assert torch.equal(crops, again)
    assert not torch.equal(crops, colorization_crops(*training, 12, 40))


def test_crops_hold_nothing_but_what_was_given():
    red = torch.zeros(3, 70, 90)
    red[0] = 1
    none = cutouts()
    invisible = type(none)(none.images[:1] * 0, none.labels[:1], none.classes, none.names[:1])
    crops = colorization_crops({"red": red}, invisible, 60, 32, torch.Generator().manual_seed(0))
    is_red = (crops[:, 0] > 0.99).flatten(1).all(1) & (crops[:, 1:] < 0.01).flatten(1).all(1)
    is_gray = ((crops[:, 0] - crops[:, 2]).abs() < 1e-6).flatten(1).all(1)
    assert (is_red | is_gray).all()
    assert 8 <= is_gray.sum() <= 34  # one in three is expected: a cut-out on gray


def test_pictures_smaller_than_a_crop_are_enlarged(training):
    small = {"small": torch.full((3, 10, 30), 0.25)}
    assert colorization_crops(small, training[1], 3, 32).shape == (3, 3, 32, 32)


def test_errors(training):
    with pytest.raises(ValueError, match=r"unknown part 'trian'\. Did you mean 'train'"):
        colorization_photographs("trian")
    with pytest.raises(ValueError, match="unknown part 'unseen'"):
        colorization_cutouts("unseen")
    with pytest.raises(ValueError, match="at least one photograph"):
        colorization_crops({}, training[1], 1)
    with pytest.raises(ValueError, match="count to be at least 1, got 0"):
        colorization_crops(*training, 0)
    with pytest.raises(ValueError, match="size to be at least 16, got 8"):
        colorization_crops(*training, 1, 8)
    with pytest.raises(TypeError, match="expected cut-outs as"):
        colorization_crops(training[0], training[0], 1)
