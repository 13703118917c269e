"""dlip.plot: what is drawn, measured on the rendered picture and not on dlip's own code."""

import io
import itertools
import math
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import skimage.color
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import dlip
from dlip.data import digits, sample_image
from dlip.filters import KERNELS, correlate, kernel
from dlip.plot import (
    OKABE_ITO,
    SIGNED,
    confusion_matrix,
    curves,
    images,
    learning_curves,
    pixel_table,
    pixel_tables,
)
from dlip.train import History

DIGIT = digits("train")[0][7]
EDGES = correlate(DIGIT, kernel("sobel_x"))


@pytest.fixture(autouse=True)
def style(request):
    """Draw in the book's style, or in that of `both_styles`; no figure stays open."""
    plt.switch_backend("agg")
    with plt.style.context(getattr(request, "param", "dlip.book")):
        yield
    assert plt.get_fignums() == []


# Without the style, which a reader may forget, figures are to be readable too.
both_styles = pytest.mark.parametrize("style", ["dlip.book", "default"], indirect=True)


def rendered(figure: Figure) -> np.ndarray:
    """Return the figure as it is saved: (height, width, 3), 0 to 255, row 0 at the bottom."""
    figure.draw_without_rendering()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi)
    return np.asarray(Image.open(file).convert("RGB"))[::-1]


def texts(figure: Figure) -> list[Text]:
    """Return all text that is to be read: titles, labels, numbers, ticks inside the axes."""
    found = []
    for ax in figure.axes:
        found += [ax.title, *ax.texts]
        if not ax.axison:
            continue
        found += [ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    return [text for text in found if text.get_text().strip()]


def check_text(figure: Figure) -> None:
    """Every text is large enough, inside the figure, and overlaps no other."""
    figure.draw_without_rendering()
    boxes = []
    for text in texts(figure):
        assert text.get_fontsize() >= 9
        box = Text.get_window_extent(text)  # of an annotation: without its line
        boxes.append(box)
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y1 <= figure.bbox.height + 1, text
    x0, y0, x1, y1 = np.array([box.extents for box in boxes]).T
    width = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0)
    height = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    overlap = (width > 1) & (height > 1) & ~np.eye(len(boxes), dtype=bool)
    assert not overlap.any(), [texts(figure)[i].get_text() for i in overlap.any(0).nonzero()[0]]


def luminance(rgb) -> float:
    """Relative luminance of a colour with values 0 to 1 (W3C, WCAG 2.2)."""
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other) -> float:
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def cells(figure: Figure, ax=None) -> dict[tuple[int, int], tuple[Text, np.ndarray]]:
    """Return each cell's text and its background in the rendered picture, by row and column."""
    ax = ax or figure.axes[0]
    picture = rendered(figure) / 255
    found = {}
    for text in ax.texts:
        col, row = text.get_position()
        # a spot in the cell's upper left corner, away from number and lines
        x, y = ax.transData.transform((col - 0.38, row - 0.38))
        found[int(row), int(col)] = text, picture[int(y), int(x)]
    return found


# Tables of numbers


TABLES = {
    "digit": DIGIT,
    "edges": EDGES,
    "part": EDGES[0, 5:15, 5:15],
    "negative": -DIGIT[:, :9, 5:15],
    "tiny": torch.tensor([[1e-9, -1e-9, 0.0]]),
    "large": torch.tensor([[12345.6, -12345.6], [0.5, 99.25]]),
    "bytes": (DIGIT[0, 8:12, 8:20] * 255).byte(),
    "zeros": torch.zeros(2, 3),
    "one": torch.tensor([[0.5]]),
    "steps": torch.linspace(-1, 1, 81).reshape(9, 9),
} | {name: kernel(name) for name in KERNELS}


@both_styles
@pytest.mark.parametrize("name", ["edges", "part", "steps", "unsharp"])
def test_numbers_are_readable_in_both_styles(name, style):
    check_text(pixel_table(TABLES[name], title="Title"))


@pytest.mark.parametrize(
    ("name", "signed"),
    [(n, True) for n in TABLES] + [(n, False) for n in ("part", "bytes", "steps")],
)
def test_numbers_stand_in_their_cells_and_are_readable(name, signed):
    table = TABLES[name].reshape(TABLES[name].shape[-2:])
    figure = pixel_table(TABLES[name], title="Title", signed=signed)
    check_text(figure)
    drawn = cells(figure)
    assert len(drawn) == table.numel()
    ax = figure.axes[0]
    for (row, col), (text, background) in drawn.items():
        value = float(table[row, col])
        string = text.get_text()
        decimals = len(string.partition(".")[2])
        assert float(string) == pytest.approx(value, abs=0.51 * 10**-decimals)
        assert (string == "0") == (value == 0)
        assert not (string.startswith("-") and float(string) == 0)
        assert contrast(to_rgb(text.get_color()), background) >= 4.5
        box, (x, y) = text.get_window_extent(), ax.transData.transform([(col, row)])[0]
        cell = ax.get_window_extent().width / table.shape[1]
        if name != "large":
            assert box.width <= cell
        assert (box.x0 + box.x1) / 2 == pytest.approx(x, abs=0.1 * cell)
        assert (box.y0 + box.y1) / 2 == pytest.approx(y, abs=0.2 * cell)


@pytest.mark.parametrize("name", ["part", "sobel_y", "steps", "negative"])
def test_blue_is_negative_white_zero_red_positive(name):
    table = TABLES[name].reshape(TABLES[name].shape[-2:])
    brightness = {}
    for (row, col), (_, (r, g, b)) in cells(pixel_table(table)).items():
        value = float(table[row, col])
        if value == 0:
            assert (r, g, b) == (1, 1, 1)
        elif abs(value) > 0.05 * table.abs().max():
            assert (r > g and r > b) if value > 0 else (b > g and b > r)
        brightness[value] = luminance((r, g, b))
    # The further from zero, the darker.
    for side in (1, -1):
        values = sorted(v for v in brightness if side * v >= 0)
        lights = [brightness[v] for v in sorted(values, key=abs)]
        assert all(a >= b - 1e-9 for a, b in itertools.pairwise(lights))


def test_gray_cells_have_the_brightness_of_the_pixels():
    table = torch.tensor([[0.0, 0.25], [0.5, 1.0]])
    for (row, col), (_, color) in cells(pixel_table(table, signed=False)).items():
        np.testing.assert_allclose(color, float(table[row, col]), atol=1 / 255)


def test_limit_makes_tables_comparable():
    small, large = torch.tensor([[0.5]]), torch.tensor([[0.5, 1.0]])
    one = cells(pixel_table(small, limit=1.0))[0, 0][1]
    other = cells(pixel_table(large))[0, 0][1]
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, cells(pixel_table(small))[0, 0][1])


def test_digits_after_the_decimal_point():
    table = torch.tensor([[0.12345, 1.0]])
    for count, expected in [(0, ["0", "1"]), (1, ["0.1", "1.0"]), (4, ["0.1235", "1.0000"])]:
        drawn = cells(pixel_table(table, digits=count))
        assert [drawn[0, col][0].get_text() for col in (0, 1)] == expected
    with pytest.raises(ValueError, match="at least 0, got -1"):
        pixel_table(table, digits=-1)


def test_whole_numbers_have_no_decimals():
    drawn = cells(pixel_table(torch.tensor([[-4.0, 0, 1]])))
    assert [drawn[0, col][0].get_text() for col in range(3)] == ["-4", "0", "1"]


def test_window_frames_exactly_its_cells():
    table = torch.zeros(6, 8)
    plain, framed = rendered(pixel_table(table)), rendered(pixel_table(table, window=(1, 2, 3, 4)))
    figure = pixel_table(table, window=(1, 2, 3, 4))
    figure.draw_without_rendering()
    dark = (framed < 60).all(-1) & ~(plain < 60).all(-1)
    rows, cols = np.nonzero(dark)
    (left, bottom), (right, top) = figure.axes[0].transData.transform([(1.5, 3.5), (5.5, 0.5)])
    wide = 5 * figure.dpi / 72
    assert cols.min() == pytest.approx(left, abs=wide)
    assert cols.max() == pytest.approx(right, abs=wide)
    assert rows.min() == pytest.approx(bottom, abs=wide)
    assert rows.max() == pytest.approx(top, abs=wide)
    middle = dark[int(bottom + wide) : int(top - wide), int(left + wide) : int(right - wide)]
    assert not middle.any()


@pytest.mark.parametrize("window", [(0, 0, 4, 1), (-1, 0, 1, 1), (0, 0, 0, 1), (0, 2, 1, 2)])
def test_window_outside(window):
    with pytest.raises(ValueError, match=r"inside 3×3 cells, got \("):
        pixel_table(torch.zeros(3, 3), window=window)


def test_table_in_axes_of_your_own():
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.5))
    assert pixel_table(kernel("sobel_x"), ax=axes[1], title="right") is figure
    assert axes[1].get_title() == "right"
    assert not axes[0].texts
    plt.close(figure)


@both_styles
def test_tables_side_by_side_have_cells_of_one_size(style):
    tables = [EDGES[0, 5:11, 5:12], kernel("sobel_x"), kernel("average5")]
    figure = pixel_tables(tables, ["image", "kernel", "mean"])
    check_text(figure)
    assert [ax.get_title() for ax in figure.axes] == ["image", "kernel", "mean"]
    sizes = []
    for ax, table in zip(figure.axes, tables, strict=True):
        drawn = cells(figure, ax)
        assert len(drawn) == table.numel()
        box = ax.get_window_extent()
        sizes += [box.width / table.shape[1], box.height / table.shape[0]]
        for text, background in drawn.values():
            assert contrast(to_rgb(text.get_color()), background) >= 4.5
    assert max(sizes) < 1.02 * min(sizes)


def test_all_kernels_side_by_side_are_readable():
    names = list(KERNELS)
    for part in (names[:4], names[4:8], names[8:]):
        check_text(pixel_tables([kernel(name) for name in part], part))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (torch.zeros(33, 5), ValueError, r"at most 32×32 pixels, got \(33, 5\); cut out"),
        (torch.zeros(3, 5, 5), ValueError, r"got \(3, 5, 5\)"),
        (torch.zeros(5), ValueError, r"got \(5,\)"),
        (torch.zeros(0, 5), ValueError, r"with pixels, got shape \(0, 5\)"),
        (torch.tensor([[math.nan]]), ValueError, "NaN"),
        ([[1.0]], TypeError, "tensor or an array, got"),
        (None, TypeError, "got None"),
    ],
)
def test_bad_tables(image, error, message):
    with pytest.raises(error, match=message):
        pixel_table(image)
    with pytest.raises(error, match=message):
        pixel_tables([torch.zeros(2, 2), image])


def test_bad_options():
    with pytest.raises(ValueError, match="expected 2 titles, one for each image, got 1"):
        pixel_tables([torch.zeros(2, 2)] * 2, ["one"])
    with pytest.raises(ValueError, match="at least one image"):
        pixel_tables([])
    with pytest.raises(ValueError, match=r"at most 32 cells, got \[20, 20\]"):
        pixel_tables([torch.zeros(20, 20)] * 2)
    with pytest.raises(ValueError, match=r"limit .* greater than 0, got 0"):
        pixel_table(torch.zeros(2, 2), limit=0)


# Pictures


def shown(figure: Figure) -> list[np.ndarray]:
    """Return each picture's pixels in the rendered figure, row 0 at the top."""
    picture = rendered(figure)
    parts = []
    for ax in figure.axes:
        box = ax.get_window_extent()
        x0, x1, y0, y1 = (round(v) for v in (box.x0, box.x1, box.y0, box.y1))
        parts.append(picture[y0:y1, x0:x1][::-1] / 255)
    return parts


def at(part: np.ndarray, row: float, col: float) -> list[float]:
    """Return the colour at a place given as parts of height and width."""
    return list(part[int(row * part.shape[0]), int(col * part.shape[1])])


def test_gray_is_black_at_0_and_white_at_1_even_if_neither_occurs():
    (part,) = shown(images(torch.tensor([[0.25, 0.5], [0.75, 0.6]])))
    for row, col, value in [(0, 0, 0.25), (0, 1, 0.5), (1, 0, 0.75), (1, 1, 0.6)]:
        np.testing.assert_allclose(at(part, 0.25 + row / 2, 0.25 + col / 2), value, atol=1 / 255)


def test_values_above_1_are_not_cut_off_in_gray():
    (part,) = shown(images(torch.tensor([[1.0, 2.0]])))
    np.testing.assert_allclose(at(part, 0.5, 0.25), 0.5, atol=1 / 255)
    np.testing.assert_allclose(at(part, 0.5, 0.75), 1, atol=1 / 255)


def test_colors_and_cutting_off():
    image = torch.tensor([[[0.2, 1.5]], [[0.4, -1.0]], [[0.6, 0.5]]])
    (part,) = shown(images(image))
    np.testing.assert_allclose(at(part, 0.5, 0.25), [0.2, 0.4, 0.6], atol=1 / 255)
    np.testing.assert_allclose(at(part, 0.5, 0.75), [1, 0, 0.5], atol=1 / 255)


def test_bytes_are_scaled():
    image = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    for given in (image, image.numpy()):
        (part,) = shown(images(given))
        for col, value in enumerate([0, 0.2, 1]):
            np.testing.assert_allclose(at(part, 0.5, (col + 0.5) / 3), value, atol=1 / 255)


def test_pictures_with_negative_values_are_blue_and_red():
    step = torch.tensor([[-1.0, 0, 1]])
    (part,) = shown(images(step))
    left, middle, right = (at(part, 0.5, x) for x in (1 / 6, 1 / 2, 5 / 6))
    assert left[2] > left[0]
    assert middle == [1, 1, 1]
    assert right[0] > right[2]
    (part,) = shown(images(step, signed=False))
    assert at(part, 0.5, 1 / 6) == [0, 0, 0]
    (part,) = shown(images(step.abs(), signed=True))
    assert at(part, 0.5, 1 / 2) == [1, 1, 1]


def test_each_signed_picture_has_its_own_scale_unless_a_limit_is_given():
    pictures = [torch.tensor([[-1.0, 1.0]]), torch.tensor([[-0.1, 0.1]])]
    one, other = shown(images(pictures))
    assert at(one, 0.5, 0.75) == at(other, 0.5, 0.75)
    one, other = shown(images(pictures, limit=1.0))
    assert at(one, 0.5, 0.75) != at(other, 0.5, 0.75)


def test_a_few_extreme_pixels_do_not_make_the_others_pale():
    # More on the border than the 3 % that are allowed would be another picture.
    picture = torch.ones(60, 60) * torch.tensor([-1.0, 1.0]).repeat(30)
    extreme = picture.clone()
    extreme[0] = 50
    (part,), (other,) = shown(images(picture)), shown(images(extreme))
    np.testing.assert_allclose(at(part, 0.5, 0.01), at(other, 0.5, 0.01), atol=0.01)


def test_zeros_are_white_when_signed():
    (part,) = shown(images(torch.zeros(4, 4), signed=True))
    assert (part == 1).all()


def test_cmap():
    (part,) = shown(images(torch.tensor([[0.0, 1.0]]), cmap="viridis"))
    np.testing.assert_allclose(at(part, 0.5, 0.25), [0.267, 0.005, 0.329], atol=0.01)


@pytest.mark.parametrize(
    ("count", "cols", "expected"),
    [(1, None, 1), (3, None, 3), (4, None, 4), (9, None, 3), (10, None, 10), (40, None, 10)]
    + [(12, None, 4), (64, None, 8), (6, 3, 3), (2, 5, 2)],
)
def test_grid(count, cols, expected):
    figure = images(digits("val")[0][:count], cols=cols)
    assert len(figure.axes) == count
    assert figure.axes[0].get_subplotspec().get_gridspec().ncols == expected
    assert figure.get_figwidth() <= 7.01
    figure.draw_without_rendering()
    boxes = [ax.get_window_extent() for ax in figure.axes]
    # Square pictures of one size, with little white between them.
    assert max(b.width for b in boxes) < 1.03 * min(b.height for b in boxes)
    covered = sum(b.width * b.height for b in boxes)
    rows = math.ceil(count / expected)
    assert covered > 0.75 * figure.bbox.width * figure.bbox.height * count / (rows * expected)


@pytest.mark.parametrize(
    "given",
    [
        DIGIT,
        DIGIT[0],
        DIGIT[None],
        [DIGIT],
        (DIGIT[0],),
        DIGIT.numpy(),
        DIGIT.double(),
        DIGIT.clone().requires_grad_(),
        DIGIT.bfloat16(),
    ],
)
def test_kinds_of_input(given):
    figure = images(given)
    assert len(figure.axes) == 1
    assert figure.axes[0].images[0].get_array().shape == (28, 28)


@both_styles
def test_titles_are_readable_and_on_one_line(style):
    names = ["cat", "astronaut", "text", "cell"]
    figure = images([sample_image(name) for name in names], names)
    check_text(figure)
    assert [ax.get_title() for ax in figure.axes] == names
    heights = [ax.title.get_window_extent().y0 for ax in figure.axes]
    assert max(heights) - min(heights) < 8


@both_styles
def test_titles_of_ten_digits_from_their_labels(style):
    pictures, labels = digits("val")
    figure = images(pictures[:10], labels[:10])
    check_text(figure)
    assert [ax.get_title() for ax in figure.axes] == list("0123456789")


def test_long_and_two_line_titles():
    figure = images([DIGIT] * 8, ["one line\nand two"] * 8, cols=4)
    check_text(figure)


def test_size():
    figure = images([DIGIT] * 2, size=1.5)
    figure.draw_without_rendering()
    box = figure.axes[0].get_window_extent()
    assert box.width / figure.dpi == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        ([], {}, ValueError, "at least one picture"),
        (torch.zeros(5), {}, ValueError, r"got \(5,\)"),
        (torch.zeros(2, 5, 5), {}, ValueError, r"\(3, H, W\), got \(2, 5, 5\)"),
        (torch.zeros(3, 0, 5), {}, ValueError, "with pixels"),
        (torch.full((5, 5), math.nan), {}, ValueError, "NaN"),
        (["cat"], {}, TypeError, "tensor or an array, got 'cat'"),
        (7, {}, TypeError, "got 7"),
        (DIGIT, {"titles": ["a", "b"]}, ValueError, "expected 1 titles, one for each image, got 2"),
        (DIGIT, {"titles": "7"}, TypeError, "list of 1 titles, got one string '7'"),
        (DIGIT, {"cols": 0}, ValueError, "cols to be at least 1"),
        (DIGIT, {"limit": -1}, ValueError, "limit .* got -1"),
        (DIGIT, {"size": 0}, ValueError, "size .* got 0"),
        (torch.zeros(3, 4, 4), {"signed": True}, ValueError, "one of 3 channels"),
        (DIGIT, {"cmap": "grey-ish"}, ValueError, "grey-ish"),
    ],
)
def test_bad_pictures(given, options, error, message):
    with pytest.raises(error, match=message):
        images(given, **options)


# Curves


def test_curves_show_their_values_and_names():
    series = {"training": [3.0, 2, 1], "validation": torch.tensor([3.0, 2.5, 2.4])}
    figure = curves(series, xlabel="epoch", ylabel="loss", title="Learning")
    check_text(figure)
    ax = figure.axes[0]
    for line, values in zip(ax.get_lines(), series.values(), strict=True):
        assert line.get_xdata().tolist() == [0, 1, 2]
        np.testing.assert_allclose(line.get_ydata(), values)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("epoch", "loss", "Learning")
    assert {text.get_text() for text in ax.texts} == set(series)


@both_styles
def test_names_are_right_of_the_axes_and_in_the_order_of_the_ends(style):
    series = {
        name: [0.0, end] for name, end in zip("abcdefg", [5, 1, 1, 1.01, 3, 0, 4.99], strict=True)
    }
    figure = curves(series, xlabel="x", ylabel="y")
    check_text(figure)
    ax = figure.axes[0]
    boxes = {text.get_text(): Text.get_window_extent(text) for text in ax.texts}
    assert all(box.x0 > ax.get_window_extent().x1 for box in boxes.values())
    order = sorted(boxes, key=lambda name: boxes[name].y0)
    ends = [series[name][-1] for name in order]
    assert ends == sorted(ends)


def test_ticks_of_whole_numbers_are_whole():
    def ticks(x):
        low, high = min(x), max(x)
        ax = curves({"a": [1.0, 2, 3, 2]}, x=x).axes[0]
        return [float(t) for t in ax.get_xticks() if low <= t <= high]

    assert ticks([0, 1, 2, 3]) == [0, 1, 2, 3]
    assert any(t != round(t) for t in ticks([0, 0.1, 0.2, 0.3]))


def test_lines_differ_in_more_than_colour():
    figure = curves({str(i): [i, i + 1.0] for i in range(7)})
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 7
    assert len({line.get_linestyle() for line in figure.axes[0].get_lines()}) >= 4


def test_x_gaps_limits_and_logarithm():
    figure = curves(
        {"a": [10.0, math.nan, 0.1, math.nan]}, x=[1, 2, 4, 8], ylim=(0.01, 100), log=True
    )
    check_text(figure)
    ax = figure.axes[0]
    assert ax.get_lines()[0].get_xdata().tolist() == [1, 2, 4, 8]
    assert ax.get_ylim() == (0.01, 100)
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        ({}, {}, "1 to 7 lines, got 0"),
        ({str(i): [1.0] for i in range(8)}, {}, "1 to 7 lines, got 8"),
        ({"a": []}, {}, "values for 'a', got none"),
        ({"a": [math.nan]}, {}, "values for 'a', got none"),
        ({"a": [1.0, 2]}, {"x": [1]}, "expected 1 values for 'a', as many as x, got 2"),
        ({"a": [[1.0, 2]]}, {}, r"sequence of numbers, got shape \(1, 2\)"),
    ],
)
def test_bad_curves(series, options, message):
    with pytest.raises(ValueError, match=message):
        curves(series, **options)


def test_horizontal_logarithm():
    figure = curves({"a": [3.0, 1, 2]}, x=[0.001, 0.01, 0.1], logx=True, xlabel="learning rate")
    check_text(figure)
    assert figure.axes[0].get_xscale() == "log"


# Training


def trained(epochs: int, shift: float = 0.0, **more) -> History:
    falling = [2 * 0.7**epoch + 0.1 + shift for epoch in range(epochs)]
    options = {"val_loss": [1.1 * loss for loss in falling], "lr": [0.1] * epochs}
    options |= {"accuracy": [1 - loss / 3 for loss in falling]}
    options |= {"val_accuracy": [1 - loss / 2.5 for loss in falling], "kept_epoch": epochs}
    return History(loss=falling, **(options | more))


@both_styles
@pytest.mark.parametrize("epochs", [1, 2, 14, 100])
def test_learning_curves(epochs, style):
    history = trained(epochs)
    figure = learning_curves(history)
    check_text(figure)
    loss, accuracy = figure.axes
    drawn = {line.get_label(): line for line in loss.get_lines()}
    assert list(drawn) == ["training", "validation"]
    assert drawn["training"].get_ydata().tolist() == history.loss
    assert drawn["validation"].get_ydata().tolist() == history.val_loss
    assert drawn["training"].get_xdata().tolist() == list(range(1, epochs + 1))
    assert [line.get_ydata().tolist() for line in accuracy.get_lines()] == [
        history.accuracy,
        history.val_accuracy,
    ]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    ticks = [t for t in loss.get_xticks() if 1 <= t <= epochs]
    assert ticks == [round(t) for t in ticks]


def test_learning_curves_without_validation_or_accuracy():
    figure = learning_curves(trained(5, val_loss=[], val_accuracy=[]))
    assert [[line.get_label() for line in ax.get_lines()] for ax in figure.axes] == [
        ["training"]
    ] * 2
    assert len(learning_curves(trained(5, accuracy=[], val_accuracy=[])).axes) == 1


def test_learning_curves_mark_the_kept_epoch():
    figure = learning_curves(trained(9, kept_epoch=6))
    check_text(figure)
    for ax in figure.axes:
        assert list(ax.get_lines()[-1].get_xdata()) == [6, 6]
    assert figure.axes[0].get_title() == "weights kept: those of epoch 6"


def test_learning_curves_side_by_side():
    histories = {"SGD": trained(5), "Adam": trained(9, shift=0.1)}
    figure = learning_curves(histories)
    check_text(figure)
    assert [ax.get_ylabel() for ax in figure.axes] == ["validation loss", "validation accuracy"]
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["SGD", "Adam"]
    assert [line.get_ydata().tolist() for line in lines] == [h.val_loss for h in histories.values()]
    without = {name: trained(5, val_loss=[], val_accuracy=[]) for name in "ab"}
    assert [ax.get_ylabel() for ax in learning_curves(without).axes] == [
        "training loss",
        "training accuracy",
    ]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({}, "1 to 7 histories, got 0"),
        ({str(i): trained(2) for i in range(8)}, "1 to 7 histories, got 8"),
        (History(), "values for 'training', got none"),
        ({"a": trained(2), "b": trained(2, val_loss=[])}, "must have a validation, or none"),
    ],
)
def test_bad_histories(history, message):
    with pytest.raises(ValueError, match=message):
        learning_curves(history)


COUNTS = np.random.default_rng(0).integers(0, 9, (10, 10)) * (np.arange(100).reshape(10, 10) % 3)
COUNTS = COUNTS + 180 * np.eye(10, dtype=int)
COUNTS[4] = 0  # a class without pictures


@both_styles
@pytest.mark.parametrize("names", [None, dlip.data.FASHION_CLASSES, list("abcdefghij")])
def test_confusion_matrix(names, style):
    figure = confusion_matrix(torch.from_numpy(COUNTS), names, title="Test")
    check_text(figure)
    assert figure.get_size_inches()[0] <= 7.01
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    labels = [str(name) for name in (names or range(10))]
    assert [t.get_text() for t in ax.get_yticklabels()] == labels
    assert [t.get_text() for t in ax.get_xticklabels()] == labels
    drawn = cells(figure)
    assert set(drawn) == set(zip(*COUNTS.nonzero(), strict=True))
    for (row, col), (text, background) in drawn.items():
        assert text.get_text() == str(COUNTS[row, col])
        assert contrast(to_rgb(text.get_color()), background) >= 4.5


def test_confusion_matrix_is_darker_where_the_part_of_the_row_is_larger():
    drawn = cells(confusion_matrix(np.array([[90, 10], [1, 9]])))
    bright = {where: luminance(background) for where, (_, background) in drawn.items()}
    assert bright[0, 0] == pytest.approx(bright[1, 1], abs=0.01)  # both 90 %
    assert bright[0, 1] == pytest.approx(bright[1, 0], abs=0.01)  # both 10 %
    assert bright[0, 0] < bright[0, 1]


@pytest.mark.parametrize("classes", [1, 2, 20, 32, 100])
def test_confusion_matrices_of_any_size(classes):
    figure = confusion_matrix(50 * np.eye(classes))
    check_text(figure)
    assert len(figure.axes[0].texts) == (classes if classes <= 32 else 0)


@pytest.mark.parametrize(
    ("matrix", "names", "error", "message"),
    [
        (np.ones((2, 3)), None, ValueError, r"shape \(K, K\), got \(2, 3\)"),
        (np.ones(4), None, ValueError, r"got \(4,\)"),
        (-np.eye(2), None, ValueError, "whole numbers from 0 on"),
        (np.eye(2) / 2, None, ValueError, "whole numbers from 0 on"),
        (np.eye(2), ["cat"], ValueError, "expected 2 names, one for each class, got 1"),
        ([[1, 0], [0, 1]], None, TypeError, "tensor or an array"),
    ],
)
def test_bad_confusion_matrices(matrix, names, error, message):
    with pytest.raises(error, match=message):
        confusion_matrix(matrix, names)


# Colours, files, notebooks


def seen_by_colour_blind(rgb, kind: str) -> np.ndarray:
    """Simulate full colour blindness of one kind (Machado, Oliveira and Fernandes, 2009)."""
    matrix = {
        "none": np.eye(3),
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }[kind]
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(np.asarray(matrix) @ linear, 0, 1)
    return np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)


def difference(one, other, kind: str) -> float:
    """Return the CIEDE2000 difference; 2 is just noticeable."""
    labs = [skimage.color.rgb2lab(seen_by_colour_blind(rgb, kind)) for rgb in (one, other)]
    return float(skimage.color.deltaE_ciede2000(*labs))


@pytest.mark.parametrize("kind", ["none", "protanopia", "deuteranopia"])
def test_colours_survive_colour_blindness(kind):
    for strength in (0.2, 0.5, 1.0):
        blue, red = SIGNED(0.5 - strength / 2)[:3], SIGNED(0.5 + strength / 2)[:3]
        assert difference(blue, red, kind) > 10
    for one, other in itertools.combinations(OKABE_ITO, 2):
        assert difference(to_rgb(one), to_rgb(other), kind) > 10


def test_lines_stand_out_from_the_page():
    # WCAG asks for 3 : 1; the lighter colours come last and have patterns of their own.
    assert all(contrast(to_rgb(color), (1, 1, 1)) >= 3 for color in OKABE_ITO[:3])
    assert all(contrast(to_rgb(color), (1, 1, 1)) >= 2 for color in OKABE_ITO)


@pytest.mark.parametrize(
    ("draw", "most"),
    [
        (lambda: images(digits("val")[0][:40]), 50),
        (lambda: pixel_table(EDGES[0, 6:16, 6:16]), 150),
        (lambda: pixel_tables([kernel(n) for n in ("sobel_x", "gaussian5", "laplacian")]), 60),
        (lambda: curves({"a": torch.rand(100).tolist()}), 100),
    ],
)
def test_files_are_lean(draw, most, tmp_path):
    draw().savefig(tmp_path / "figure.png", dpi=144)
    assert (tmp_path / "figure.png").stat().st_size < most * 1024


def test_style_is_found_in_the_package_from_anywhere(tmp_path):
    code = (
        "import matplotlib.pyplot as plt; plt.style.use('dlip.book');"
        "print(plt.rcParams['font.size'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) >= 11
    assert done.stderr == ""


def test_a_notebook_shows_each_figure_once():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    sources = [
        "import dlip, torch",
        "dlip.plot.images(torch.eye(8))",
        "figure = dlip.plot.pixel_table(torch.eye(3))",
        "display(figure, dlip.plot.curves({'a': [1, 2]}))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    pictures = [sum("image/png" in o.get("data", {}) for o in c.outputs) for c in notebook.cells]
    assert pictures == [0, 1, 0, 2]
    assert all(o.output_type != "stream" for c in notebook.cells for o in c.outputs)
