"""Photographs and reading picture files, against scikit-image, Pillow and torchvision."""

import importlib
import io

import numpy as np
import pytest
import skimage.data
import skimage.io
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from dlip.data import load_image, manifest, sample_image, sample_names

# What scikit-image calls the same photographs.
FUNCTIONS = {
    "cat": skimage.data.chelsea,
    "hubble": skimage.data.hubble_deep_field,
} | {name: getattr(skimage.data, name) for name in sample_names() if name not in ("cat", "hubble")}


@pytest.mark.parametrize("name", sample_names())
def test_photographs_are_those_of_skimage(name):
    expected = FUNCTIONS[name]()
    if expected.ndim == 2:
        expected = np.stack([expected] * 3, axis=-1)
    image = sample_image(name)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert image.shape == (3, *expected.shape[:2])
    np.testing.assert_allclose(image.permute(1, 2, 0), expected / 255, atol=1e-6)


@pytest.mark.parametrize("name", ["cat", "camera"])
def test_gray_has_one_channel_and_bt601_weights(name):
    color = sample_image(name)
    gray = sample_image(name, gray=True)
    assert gray.shape == (1, *color.shape[1:])
    # torchvision rounds the weight of red to 0.2989
    torch.testing.assert_close(gray, tv.rgb_to_grayscale(color), atol=2e-4, rtol=0)
    assert 0 <= gray.min() < gray.max() <= 1


@pytest.mark.parametrize(
    ("name", "size"), [("cat", 64), ("text", 100), ("cell", 224), ("cat", 500)]
)
def test_size_against_torchvision(name, size):
    image = sample_image(name)
    resized = tv.resize(image, [size], antialias=True)
    expected = tv.center_crop(resized, [size, size])
    result = sample_image(name, size=size)
    assert result.shape == (3, size, size)
    # torchvision rounds the longer side down, we to the nearest; and the centre to a pixel.
    assert (result - expected).abs().mean() < 0.02


def test_size_of_a_square_is_exactly_torchvision_s():
    expected = tv.resize(sample_image("astronaut"), [100, 100], antialias=True)
    torch.testing.assert_close(sample_image("astronaut", size=100), expected)


def test_size_one_is_the_mean_of_a_square_picture(tmp_path):
    pixels = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "four.png")
    assert load_image(tmp_path / "four.png", gray=True, size=1).item() == pytest.approx(0.5)


def test_the_crop_is_the_centre(tmp_path):
    pixels = np.zeros((3, 9), dtype=np.uint8)
    pixels[:, 3:6] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (load_image(tmp_path / "wide.png", size=3) == 1).all()


def test_changing_a_sample_does_not_change_the_next():
    sample_image("cat").zero_()
    assert sample_image("cat").sum() > 0


def test_unknown_names():
    with pytest.raises(
        ValueError, match=r"unknown sample image 'astronot'.*mean 'astronaut'.*cell"
    ):
        sample_image("astronot")
    with pytest.raises(TypeError, match="string, got 7"):
        sample_image(7)


def test_a_photograph_that_skimage_lacks(monkeypatch, tmp_path):
    module = importlib.import_module("dlip.data.manifest")
    monkeypatch.setattr(module, "_skimage_data_dir", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"lacks the photograph .*chelsea\.png"):
        sample_image("cat")


# Your own files


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(tmp_path, picture, name="picture.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def test_color_picture_as_path_and_as_string(tmp_path):
    path = saved(tmp_path, Image.fromarray(PIXELS))
    for given in (path, str(path)):
        image = load_image(given)
        assert image.dtype == torch.float32
        np.testing.assert_allclose(image.permute(1, 2, 0) * 255, PIXELS, atol=1e-4)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "gif", "webp", "ppm"])
def test_formats(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, Image.fromarray(PIXELS[..., 0]), f"gray.{suffix}", **options)
    np.testing.assert_allclose(load_image(path)[0] * 255, PIXELS[..., 0], atol=1e-4)


def test_jpeg_and_cmyk(tmp_path):
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    for mode in ("RGB", "CMYK"):
        image = load_image(saved(tmp_path, flat.convert(mode), f"{mode}.jpg", quality=95))
        expected = torch.tensor([200, 100, 50]) / 255
        torch.testing.assert_close(image[:, 8, 8], expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    # Row 0 and column 0 of the file, where they are to be shown (EXIF 2.3, tag 0x0112).
    shown = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: a.transpose(1, 0, 2)[::-1],
    }[orientation](PIXELS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(PIXELS), exif=exif)
    np.testing.assert_allclose(load_image(path).permute(1, 2, 0) * 255, shown, atol=1e-4)


def test_transparency_becomes_white(tmp_path):
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)  # black …
    rgba[0, :, 3] = [0, 51, 255]  # … clear, a fifth opaque, opaque
    image = load_image(saved(tmp_path, Image.fromarray(rgba)))
    torch.testing.assert_close(image[:, 0], torch.tensor([[1, 0.8, 0]]).expand(3, 3))


def test_transparent_palette_and_gray(tmp_path):
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    path = saved(tmp_path, palette, "palette.png", transparency=0)
    assert load_image(path)[:, 0].T.tolist() == [[1, 1, 1], [1, 0, 0]]
    path = saved(tmp_path, Image.new("LA", (1, 1), (0, 0)), "la.png")
    assert load_image(path).flatten().tolist() == [1, 1, 1]


def test_black_and_white_bits(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[True, False]])))
    assert load_image(path, gray=True).flatten().tolist() == pytest.approx([1, 0])


def test_16_bit_gray_keeps_its_precision(tmp_path):
    values = np.array([[0, 1, 257, 30000, 65535]], dtype=np.uint16)
    skimage.io.imsave(tmp_path / "deep.png", values, check_contrast=False)
    image = load_image(tmp_path / "deep.png")
    assert image.shape == (3, 1, 5)
    np.testing.assert_allclose(image[1] * 65535, values, rtol=1e-6)


def test_real_numbers(tmp_path):
    values = np.array([[0, 0.25, 1]], dtype=np.float32)
    assert load_image(saved(tmp_path, Image.fromarray(values), "r.tiff"))[0, 0].tolist() == [
        0,
        0.25,
        1,
    ]
    for bad in (values * 255, values - 1, values * np.nan):
        path = saved(tmp_path, Image.fromarray(bad), "r.tiff")
        with pytest.raises(ValueError, match=r"r\.tiff' cannot be read.*from 0 to 1"):
            load_image(path)


def test_animation_gives_its_first_picture(tmp_path):
    first, second = (Image.new("L", (2, 2), value) for value in (255, 0))
    path = saved(tmp_path, first, "a.gif", save_all=True, append_images=[second])
    assert (load_image(path) == 1).all()


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no picture file '.*none\.png'"):
        load_image(tmp_path / "none.png")


def test_folder(tmp_path):
    with pytest.raises(ValueError, match="got a folder"):
        load_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"This is no picture.", b"\x89PNG\r\n\x1a\n"])
def test_file_that_is_no_picture(tmp_path, content):
    (tmp_path / "notes.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.png"):
        load_image(tmp_path / "notes.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "gif"])
def test_damaged_files(tmp_path, suffix):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, {"jpg": "jpeg"}.get(suffix, suffix))
    path = tmp_path / f"half.{suffix}"
    path.write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    with pytest.raises(ValueError, match="half"):
        load_image(path)


def test_bad_arguments():
    with pytest.raises(TypeError, match="path of a picture file, got None"):
        load_image(None)
    cat = next(entry for entry in manifest() if entry.name == "cat")
    with pytest.raises(ValueError, match="size to be at least 1, got 0"):
        load_image(cat.file, size=0)
    with pytest.raises(TypeError, match=r"size to be an integer, got \(2, 2\)"):
        sample_image("cat", size=(2, 2))
