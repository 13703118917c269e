"""The figures that the chapters share: picture grids, tables of pixel values, curves.

Every function returns a `matplotlib.figure.Figure`. As the last line of a notebook cell it
is shown; elsewhere use `display(figure)` or `figure.savefig("name.png")`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from dlip._check import describe, integer

if TYPE_CHECKING:
    from dlip.train import History

__all__ = [
    "OKABE_ITO",
    "SHARE",
    "SIGNED",
    "confusion_matrix",
    "curves",
    "images",
    "learning_curves",
    "pixel_table",
    "pixel_tables",
]

Array = Tensor | NDArray[Any]

WIDTH = 7.0
"""Width of a figure in inches. The smaller the figure, the larger its text on a phone."""

TEXT = 12.0
"""Size of titles and labels in points."""

SMALLEST_TEXT = 9.0
"""No text of a figure is smaller, in points."""

MOST_CELLS = 32
"""So many cells side by side can hold numbers of the smallest text."""

PAD = 0.04
"""White space around each picture or table, in inches."""

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind readers can tell apart (M. Okabe and K. Ito, 2008)."""

SIGNED = LinearSegmentedColormap.from_list(
    "dlip.signed",
    ["#08407e", "#3f8ac5", "#a8d0e8", "#ffffff", "#f9bfa4", "#dc5f4b", "#930d21"],
    N=257,  # odd, so that 0 is exactly white
)
"""Colour map for signed values: blue is negative, white zero, red positive."""

SHARE = LinearSegmentedColormap.from_list(
    "dlip.share", ["#ffffff", "#a8d0e8", "#3f8ac5", "#08407e"]
)
"""Colour map for parts of a whole: white is none, the darker the more."""


def images(
    images: Array | Sequence[Array],
    titles: Sequence[object] | Tensor | None = None,
    *,
    cols: int | None = None,
    cmap: str | None = None,
    signed: bool | None = None,
    limit: float | None = None,
    size: float | None = None,
) -> Figure:
    """Show pictures side by side, or in a grid.

    Gray pictures are black at 0 and white at 1 (or at their largest value, if that is
    larger). Signed pictures, such as the output of an edge filter, are blue below 0, white
    at 0 and red above. In colour pictures values outside 0…1 are cut off.

    Parameters
    ----------
    images
        One picture, a batch (N, C, H, W), or a list of pictures of any sizes. A picture has
        shape (H, W), (1, H, W) or (3, H, W); floating-point values, or uint8 from 0 to 255.
    titles
        One for each picture: texts, or a batch of labels.
    cols
        Pictures in a row; by default up to 4 in one row, else the count nearest to square
        with at most 8 (10 for a multiple of 10, so that ten classes make a row).
    cmap
        A Matplotlib colour map for pictures of one channel, instead of gray.
    signed
        True: pictures of one channel are signed. False: none is. None: those with negative
        values are.
    limit
        The absolute value at which a signed picture has its darkest blue and red. By default
        97 % of each picture's non-zero pixels are below it, so that a few extreme ones, such
        as those at the border, do not make all others pale. Give it to compare pictures.
    size
        Side of one picture in inches; by default the grid is 7 inches wide.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError
        If a picture is neither a tensor nor an array.
    ValueError
        If a shape does not fit, a value is NaN or infinite, the number of titles differs
        from that of pictures, or a colour picture is to be signed.

    Examples
    --------
    >>> import dlip
    >>> cat = dlip.data.sample_image("cat")
    >>> edges = dlip.filters.correlate(cat.mean(0), dlip.filters.kernel("sobel_x"))
    >>> figure = dlip.plot.images([cat, edges], ["cat", "Sobel x"])
    """
    pictures = _pictures(images)
    names = _titles(titles, len(pictures))
    _check_positive(limit, "limit")
    _check_positive(size, "size")
    cols = _default_cols(len(pictures)) if cols is None else integer(cols, "cols", least=1)
    cols = min(cols, len(pictures))
    rows = math.ceil(len(pictures) / cols)

    side = size if size is not None else min(WIDTH / cols, 4.5) - 2 * PAD
    font_size = _title_size(side, names or [])
    # A row is as high as its highest picture and the titles above.
    shapes = [picture.shape[0] / picture.shape[1] for picture in pictures]
    above = _title_height(names, font_size) + 2 * PAD
    heights = [side * max(shapes[i * cols : (i + 1) * cols]) + above for i in range(rows)]
    figure, axes = _new_figure(
        rows, cols, (cols * (side + 2 * PAD), sum(heights)), height_ratios=heights
    )
    for ax in axes[len(pictures) :]:
        ax.remove()
    for i, picture in enumerate(pictures):
        _show(axes[i], picture, cmap, signed, limit)
        axes[i].set_anchor("N")  # keeps the titles of a row on one line
        if names is not None:
            axes[i].set_title(names[i], fontsize=font_size)
    return figure


def pixel_table(
    image: Array,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    digits: int | None = None,
    signed: bool = True,
    limit: float | None = None,
    window: tuple[int, int, int, int] | None = None,
) -> Figure:
    """Show the numbers of a small image in coloured cells.

    Blue cells are negative, white ones zero, red ones positive: the stronger the colour, the
    larger the number. With `signed=False` the cells have the brightness of the pixels.

    Parameters
    ----------
    image
        Shape (H, W) or (1, H, W), at most 32 × 32; a picture, a kernel, a filter's output.
    ax
        Where to draw; by default in a new figure.
    title
        Text above the table.
    digits
        Digits after the decimal point; by default 0 for whole numbers, else 2, or 1 where
        cells are narrow. Where 0.25 does not fit, .25 is written. An exact zero is always "0".
    signed
        True: blue, white and red. False: black at 0, white at 1 or the largest value.
    limit
        The absolute value that has the strongest colour; by default the image's largest.
    window
        (row, column, height, width) of cells to frame, such as those under a kernel.

    Returns
    -------
    Figure
        The new figure, or the one that `ax` belongs to.

    Raises
    ------
    TypeError
        If `image` is neither a tensor nor an array.
    ValueError
        If its shape does not fit or is too large, a value is NaN or infinite, or the window
        does not lie in the image.

    Examples
    --------
    >>> import dlip
    >>> figure = dlip.plot.pixel_table(dlip.filters.kernel("sobel_x"), title="Sobel x")
    """
    values = _table(image)
    if ax is None:
        _, axes = _new_figure(1, 1, _table_size([values], [title] if title else None))
        ax = axes[0]
    cells = _draw_cells(ax, values, title, signed, limit)
    if window is not None:
        _frame(ax, window, values.shape)
    _write_numbers(cells, values, digits)
    return _figure_of(ax)


def pixel_tables(
    images: Sequence[Array],
    titles: Sequence[object] | Tensor | None = None,
    *,
    digits: int | None = None,
    signed: bool = True,
    limit: float | None = None,
) -> Figure:
    """Show several small images as tables of numbers side by side, with cells of one size.

    Parameters
    ----------
    images
        Each as for `pixel_table`; together at most 32 cells wide.
    titles
        One for each table, as for `images`.
    digits, signed, limit
        As for `pixel_table`.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError, ValueError
        As for `pixel_table`; and if the number of titles differs from that of images.

    Examples
    --------
    >>> import dlip
    >>> names = ["sobel_x", "sobel_y", "laplacian"]
    >>> figure = dlip.plot.pixel_tables([dlip.filters.kernel(n) for n in names], names)
    """
    tables = [_table(image) for image in images]
    if not tables:
        raise ValueError("expected at least one image, got none")
    names = _titles(titles, len(tables))
    widths = [table.shape[1] for table in tables]
    if sum(widths) > MOST_CELLS:
        raise ValueError(f"expected tables of together at most {MOST_CELLS} cells, got {widths}")
    figure, axes = _new_figure(1, len(tables), _table_size(tables, names), width_ratios=widths)
    cells = [
        _draw_cells(axes[i], table, names[i] if names else None, signed, limit)
        for i, table in enumerate(tables)
    ]
    # Only when all tables are drawn is it settled how wide each cell will be.
    for drawn, table in zip(cells, tables, strict=True):
        _write_numbers(drawn, table, digits)
    return figure


def curves(
    series: Mapping[str, Sequence[float] | Array],
    *,
    x: Sequence[float] | Array | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str | None = None,
    ylim: tuple[float, float] | None = None,
    log: bool = False,
    logx: bool = False,
) -> Figure:
    """Draw lines, each with its name at its right end.

    Parameters
    ----------
    series
        Name and values of each line, up to 7 lines; NaN leaves a gap.
    x
        Where the values stand, the same for all lines; by default 0, 1, 2, ….
    xlabel, ylabel
        What the axes show, with the unit.
    title
        Text above the figure.
    ylim
        Lowest and highest value of the vertical axis.
    log, logx
        True: the vertical, or the horizontal, axis is logarithmic.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no line or more than 7, a line is empty or holds only NaN, or its length
        differs from that of `x`.

    Examples
    --------
    >>> import dlip
    >>> figure = dlip.plot.curves(
    ...     {"training": [2.3, 0.9, 0.4], "validation": [2.3, 1.0, 0.6]},
    ...     xlabel="epoch", ylabel="loss",
    ... )
    """
    lines = _lines(series, x)
    figure, (ax,) = _new_figure(1, 1, (WIDTH, 3.5))
    if log:
        ax.set_yscale("log")
    if logx:
        ax.set_xscale("log")
    _draw_lines(ax, lines, xlabel, ylabel)
    if title is not None:
        ax.set_title(title, fontsize=TEXT)
    if ylim is not None:
        ax.set_ylim(*ylim)
    _label_ends(ax)
    return figure


def learning_curves(history: "History | Mapping[str, History]") -> Figure:
    """Draw the loss, and below it the accuracy, of each epoch of a training.

    Of one training, both curves are drawn, training and validation. If the model has the
    weights of another epoch than the last, a dotted line marks it. To compare several
    trainings, give their names, too; then only the curves of the validation are drawn, or
    those of the training if none of them has a validation.

    Parameters
    ----------
    history
        What `dlip.train.fit` returned, or up to 7 of them with their names.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no history, there are more than 7, one has no epoch, or only some have a
        validation.

    Examples
    --------
    >>> import dlip
    >>> short = dlip.train.History(loss=[2.1, 0.7], val_loss=[1.0, 0.6], kept_epoch=2)
    >>> figure = dlip.plot.learning_curves(short)
    >>> figure = dlip.plot.learning_curves({"one": short, "another": short})
    """
    if not isinstance(history, Mapping):
        panels = _both(history)
    elif 1 <= len(history) <= len(OKABE_ITO):
        panels = _compared(history)
    else:
        raise ValueError(f"expected 1 to {len(OKABE_ITO)} histories, got {len(history)}")
    figure, axes = _new_figure(len(panels), 1, (WIDTH, 0.4 + 2.6 * len(panels)))
    for ax, (ylabel, series) in zip(axes, panels.items(), strict=True):
        lines: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
        for name, values in series.items():  # trainings may differ in length
            lines |= _lines({name: values}, np.arange(1, len(values) + 1))
        _draw_lines(ax, lines, "epoch", ylabel)
        if all(len(xs) == 1 for xs, _ in lines.values()):
            ax.set_xlim(0.5, 1.5)
            ax.set_xticks([1])
        _label_ends(ax)
        if not isinstance(history, Mapping) and 0 < history.kept_epoch < history.epochs:
            ax.axvline(history.kept_epoch, color="#666666", linestyle=":", linewidth=1.5)
            axes[0].set_title(f"weights kept: those of epoch {history.kept_epoch}", fontsize=TEXT)
    return figure


def confusion_matrix(
    matrix: Array, names: Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Show which class is taken for which: true classes in rows, predicted ones in columns.

    The numbers count pictures; a cell without a number counts none. The colour shows the
    part of its row, so that a rare class has a dark diagonal, too, if it is recognized.

    Parameters
    ----------
    matrix
        Shape (K, K), counts: row i, column j how often class i was taken for class j.
        `dlip.train.evaluate` makes one. Numbers are left out where cells are too small.
    names
        One for each class; by default 0, 1, 2, ….
    title
        Text above the figure.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError
        If `matrix` is neither a tensor nor an array.
    ValueError
        If it is not square, a value is no count, or the number of names differs.

    Examples
    --------
    >>> import torch, dlip
    >>> counts = torch.tensor([[48, 2], [5, 45]])
    >>> figure = dlip.plot.confusion_matrix(counts, ["cat", "dog"])
    """
    counts = _values(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"expected counts of shape (K, K), got {tuple(matrix.shape)}")
    if (counts < 0).any() or (counts != counts.round()).any():
        raise ValueError("expected counts, whole numbers from 0 on, got other values")
    classes = len(counts)
    labels = _titles(names, classes, "class") or [str(i) for i in range(classes)]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)

    longest = max(map(len, labels)) * 0.6 * 11 / 72  # inches of the longest name
    side = min(WIDTH - longest - 0.6, max(2.5, 0.6 * classes))
    slanted = longest > 0.9 * side / classes
    figure, (ax,) = _new_figure(
        1, 1, (side + longest + 0.6, side + (longest if slanted else 0.2) + (0.9 if title else 0.6))
    )
    cells = ax.imshow(shares, cmap=SHARE, norm=Normalize(0, 1), interpolation="nearest")
    if classes <= MOST_CELLS:
        ax.set_xticks(range(classes), labels, rotation=90 if slanted else 0)
        ax.set_yticks(range(classes), labels)
    ax.set_xlabel("predicted class", fontsize=TEXT)
    ax.set_ylabel("true class", fontsize=TEXT)
    ax.tick_params(labelsize=11, length=0)
    ax.grid(False)
    ax.spines[:].set(visible=True, color="#bbbbbb", linewidth=0.5)
    if title is not None:
        ax.set_title(title, fontsize=TEXT)
    _write_counts(cells, counts, shares)
    return figure


def _new_figure(
    rows: int, cols: int, size: tuple[float, float], **grid: Any
) -> tuple[Figure, list[Axes]]:
    layout = ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD, wspace=0, hspace=0)
    figure, axes = plt.subplots(
        rows, cols, figsize=size, layout=layout, squeeze=False, gridspec_kw=grid
    )
    # Take it from pyplot's list of open figures, or a notebook would show it twice: at the
    # end of the cell, and as the value of the cell's last line.
    plt.close(figure)
    return figure, list(axes.flat)


def _figure_of(ax: Axes) -> Figure:
    figure = ax.figure
    return figure if isinstance(figure, Figure) else figure.figure


def _check_positive(value: float | None, what: str) -> None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise ValueError(f"expected {what} to be a finite number greater than 0, got {value}")


def _titles(
    titles: Sequence[object] | Tensor | None, count: int, each: str = "image"
) -> list[str] | None:
    if titles is None:
        return None
    what = "titles" if each == "image" else "names"
    if isinstance(titles, str):
        raise TypeError(f"expected a list of {count} {what}, got one string {titles!r}")
    names = [str(title) for title in (titles.tolist() if isinstance(titles, Tensor) else titles)]
    if len(names) != count:
        raise ValueError(f"expected {count} {what}, one for each {each}, got {len(names)}")
    return names


def _values(image: Array) -> NDArray[Any]:
    """Return the values of an image as a NumPy array of float64."""
    if isinstance(image, Tensor):
        values = image.detach().cpu().double().numpy()
    elif isinstance(image, np.ndarray):
        values = image.astype(np.float64)
    else:
        raise TypeError(f"expected an image as a tensor or an array, got {describe(image)}")
    if values.size == 0:
        raise ValueError(f"expected an image with pixels, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("expected finite values, got an image with NaN or infinity")
    return values


def _pictures(images: Array | Sequence[Array]) -> list[NDArray[Any]]:
    """Return each picture as (H, W) or (H, W, 3), the layouts of Matplotlib."""
    if isinstance(images, Tensor | np.ndarray):
        images = list(images) if images.ndim == 4 else [images]
    if isinstance(images, str) or not isinstance(images, Sequence):
        raise TypeError(f"expected a picture, a batch or a list, got {describe(images)}")
    pictures = []
    for image in images:
        picture = _values(image)
        if "uint8" in str(image.dtype):
            picture = picture / 255
        if picture.ndim == 3 and picture.shape[0] == 1:
            picture = picture[0]
        elif picture.ndim == 3 and picture.shape[0] == 3:
            picture = picture.transpose(1, 2, 0)
        if not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[-1] == 3)):
            raise ValueError(
                "expected a picture of shape (H, W), (1, H, W) or (3, H, W), "
                f"got {tuple(image.shape)}"
            )
        pictures.append(picture)
    if not pictures:
        raise ValueError("expected at least one picture, got none")
    return pictures


def _default_cols(count: int) -> int:
    if count <= 4:
        return count
    if count % 10 == 0:
        return 10
    return min(8, math.ceil(math.sqrt(count)))


def _show(
    ax: Axes, picture: NDArray[Any], cmap: str | None, signed: bool | None, limit: float | None
) -> None:
    ax.set_axis_off()
    if picture.ndim == 3:
        if signed:
            raise ValueError("only pictures of one channel can be signed, got one of 3 channels")
        ax.imshow(picture.clip(0, 1), interpolation=_interpolation(picture))
        return
    if signed is None:
        signed = bool(picture.min() < 0)
    if signed:
        norm = _signed_norm(limit or _usual_size(picture))
    else:
        norm = Normalize(0, max(1.0, picture.max()))
    ax.imshow(
        picture,
        cmap=cmap or (SIGNED if signed else "gray"),
        norm=norm,
        interpolation=_interpolation(picture),
        # Made smaller, neighbouring +1 and −1 become 0, not the mixture of red and blue.
        interpolation_stage="data" if signed else None,
    )


def _interpolation(picture: NDArray[Any]) -> str:
    """Small pictures show their pixels as sharp squares; large ones are scaled smoothly."""
    return "nearest" if max(picture.shape[:2]) <= 64 else "antialiased"


def _usual_size(picture: NDArray[Any]) -> float:
    """Return the absolute value that 97 % of the non-zero pixels do not exceed."""
    sizes = np.abs(picture[picture != 0])
    return float(np.quantile(sizes, 0.97)) if sizes.size else 1.0


def _signed_norm(limit: float) -> Normalize:
    """Put 0 in the middle of the colour map."""
    return Normalize(-limit, limit)


def _title_size(width: float, titles: Sequence[str]) -> float:
    """Make the longest title fit into `width` inches, if 9 points allow it."""
    longest = max((len(line) for title in titles for line in title.split("\n")), default=1)
    fitting = width * 72 / (0.58 * max(longest, 1))  # a letter is about 0.58 of its size wide
    return min(TEXT, max(SMALLEST_TEXT, fitting))


def _title_height(titles: Sequence[str] | None, font_size: float) -> float:
    """Return the inches that titles need: 1.2 of their size for each line, 6 points below."""
    if titles is None:
        return 0.0
    return (max(title.count("\n") + 1 for title in titles) * 1.2 * font_size + 6) / 72


def _table(image: Array) -> NDArray[Any]:
    values = _values(image)
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2 or max(values.shape) > MOST_CELLS:
        raise ValueError(
            "expected an image of shape (H, W) or (1, H, W) with at most 32×32 pixels, got "
            f"{tuple(image.shape)}; cut out a part, such as image[0, 5:15, 5:15]"
        )
    return values


def _table_size(tables: list[NDArray[Any]], titles: Sequence[str] | None) -> tuple[float, float]:
    """Return width and height in inches: cells are square, and 0.6 inches wide at most."""
    pads = 2 * PAD * len(tables)
    cell = min(0.6, (WIDTH - pads) / sum(table.shape[1] for table in tables))
    width = sum(table.shape[1] for table in tables) * cell + pads
    height = max(table.shape[0] for table in tables) * cell + 2 * PAD
    return width, height + _title_height(titles, TEXT)


def _draw_cells(
    ax: Axes, values: NDArray[Any], title: str | None, signed: bool, limit: float | None
) -> AxesImage:
    """Draw the coloured cells with lines between them, still without numbers."""
    _check_positive(limit, "limit")
    limit = limit or float(np.abs(values).max()) or 1.0  # an image of zeros is all white
    rows, cols = values.shape
    cells = ax.imshow(
        values,
        cmap=SIGNED if signed else "gray",
        norm=_signed_norm(limit) if signed else Normalize(0, max(1.0, limit)),
        interpolation="nearest",
    )
    ax.set_xticks(np.arange(cols + 1) - 0.5, labels=[])
    ax.set_yticks(np.arange(rows + 1) - 0.5, labels=[])
    ax.grid(color="#bbbbbb", linewidth=0.5)
    ax.set_axisbelow(False)  # the lines lie on the cells
    ax.tick_params(length=0)
    ax.spines[:].set(visible=True, color="#bbbbbb", linewidth=0.5)
    if title is not None:
        ax.set_title(title, fontsize=TEXT)
    return cells


def _write_counts(cells: AxesImage, counts: NDArray[Any], shares: NDArray[Any]) -> None:
    """Write the counts that are not 0 into the cells, if they fit."""
    ax, figure = cells.axes, _figure_of(cells.axes)
    figure.draw_without_rendering()  # settles the layout, so that the cells have their size
    cell = ax.get_window_extent().width / figure.dpi * 72 / len(counts)  # in points
    widest = _width(f"{counts.max():.0f}")
    if widest * SMALLEST_TEXT > 0.98 * cell:
        return
    size = min(TEXT, 0.85 * cell / widest, 0.6 * cell)
    for row, col in np.argwhere(counts > 0):
        color = _text_color(cells.cmap(cells.norm(shares[row, col])))
        ax.text(
            col,
            row,
            f"{counts[row, col]:.0f}",
            ha="center",
            va="center_baseline",
            fontsize=max(SMALLEST_TEXT, size),
            color=color,
        )


def _write_numbers(cells: AxesImage, values: NDArray[Any], digits: int | None) -> None:
    if digits is not None:
        integer(digits, "digits", least=0)
    ax = cells.axes
    figure = _figure_of(ax)
    figure.draw_without_rendering()  # settles the layout, so that the cells have their size
    width = ax.get_window_extent().width / figure.dpi  # in inches
    ax.title.set_fontsize(_title_size(width, [ax.get_title()]))
    texts, font_size = _cell_texts(values, digits, width * 72 / values.shape[1])
    for (row, col), text in np.ndenumerate(texts):
        color = _text_color(cells.cmap(cells.norm(values[row, col])))
        ax.text(col, row, text, ha="center", va="center_baseline", fontsize=font_size, color=color)


def _cell_texts(
    values: NDArray[Any], digits: int | None, cell: float
) -> tuple[NDArray[np.str_], float]:
    """Return the numbers as text, and the font size that fits them into `cell` points."""
    whole = bool((values == values.round()).all())
    if digits is not None:
        choices = [(digits, True), (digits, False)]
    elif whole:
        choices = [(0, True)]
    else:
        choices = [(2, True), (2, False), (1, True), (1, False)]
    for decimals, leading_zero in choices:
        texts = np.vectorize(_number)(values, decimals, leading_zero)
        widest = max(_width(text) for text in texts.flat)
        if widest * SMALLEST_TEXT <= 0.98 * cell:
            break
    return texts, min(14.0, max(SMALLEST_TEXT, 0.85 * cell / widest))


def _number(value: float, decimals: int, leading_zero: bool) -> str:
    """Write a number: an exact zero as "0", what rounds to zero as "0.00", never "-0.00"."""
    if value == 0:
        return "0"
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"
    return text if leading_zero else text.replace("0.", ".", 1) if abs(value) < 1 else text


def _width(text: str) -> float:
    """Return the width of a number in units of its font size (of DejaVu Sans)."""
    return sum({".": 0.32, "-": 0.36}.get(character, 0.64) for character in text)


def _text_color(background: Iterable[float]) -> str:
    """Return black or white, whichever contrasts more with the background (W3C's WCAG 2.2).

    The better of both has a contrast ratio of at least 4.58, whatever the background.
    """
    red, green, blue, _ = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"


def _frame(ax: Axes, window: tuple[int, int, int, int], shape: tuple[int, ...]) -> None:
    row, col, height, width = window
    rows, cols = shape
    if not (0 <= row < row + height <= rows and 0 <= col < col + width <= cols):
        raise ValueError(
            f"expected a window (row, column, height, width) inside {rows}×{cols} cells, "
            f"got {window}"
        )
    frame = Rectangle((col - 0.5, row - 0.5), width, height, fill=False, linewidth=3, zorder=4)
    frame.set_edgecolor("black")
    frame.set_path_effects([withStroke(linewidth=6, foreground="white")])  # seen on dark cells too
    frame.set_clip_on(False)
    ax.add_patch(frame)


def _lines(
    series: Mapping[str, Sequence[float] | Array], x: Sequence[float] | Array | None
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    if not 1 <= len(series) <= len(OKABE_ITO):
        raise ValueError(f"expected 1 to {len(OKABE_ITO)} lines, got {len(series)}")
    lines = {}
    for name, values in series.items():
        ys = _vector(values)
        xs = np.arange(len(ys)) if x is None else _vector(x)
        if len(xs) != len(ys):
            raise ValueError(f"expected {len(xs)} values for {name!r}, as many as x, got {len(ys)}")
        if not np.isfinite(ys).any():
            raise ValueError(f"expected values for {name!r}, got none that is a finite number")
        lines[name] = (xs, ys)
    return lines


def _both(history: "History") -> dict[str, dict[str, Sequence[float]]]:
    """Return the curves of one training, by the panel they belong to."""
    panels: dict[str, dict[str, Sequence[float]]] = {"loss": {"training": history.loss}}
    if history.val_loss:
        panels["loss"]["validation"] = history.val_loss
    if history.accuracy:
        panels["accuracy"] = {"training": history.accuracy}
    if history.val_accuracy:
        panels.setdefault("accuracy", {})["validation"] = history.val_accuracy
    return panels


def _compared(histories: "Mapping[str, History]") -> dict[str, dict[str, Sequence[float]]]:
    """Return one curve for each training, by the panel it belongs to."""
    validated = sum(bool(history.val_loss) for history in histories.values())
    if validated not in (0, len(histories)):
        raise ValueError("to be compared, all histories must have a validation, or none")
    what, prefix = ("validation ", "val_") if validated else ("training ", "")
    panels = {
        what + name: {key: getattr(h, prefix + name) for key, h in histories.items()}
        for name in ("loss", "accuracy")
    }
    if not all(panels[what + "accuracy"].values()):
        del panels[what + "accuracy"]
    return panels


def _draw_lines(
    ax: Axes,
    lines: dict[str, tuple[NDArray[Any], NDArray[Any]]],
    xlabel: str,
    ylabel: str,
) -> None:
    """Draw the lines, still without their names."""
    styles = ["-", "--", "-.", ":", "-", "--", "-."]  # so that colour is not all that differs
    for (name, (xs, ys)), color, style in zip(lines.items(), OKABE_ITO, styles, strict=False):
        marker = "o" if len(xs) == 1 else ""  # a line of one point would not be seen
        ax.plot(xs, ys, style, color=color, linewidth=2, marker=marker, label=name)
    if ax.get_xscale() == "linear" and all((xs == xs.round()).all() for xs, _ in lines.values()):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no epoch 0.5
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(xlabel, fontsize=TEXT)
    ax.set_ylabel(ylabel, fontsize=TEXT)
    ax.tick_params(labelsize=11)


def _vector(values: Sequence[float] | Array) -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"expected a sequence of numbers, got shape {vector.shape}")
    return vector


def _label_ends(ax: Axes) -> None:
    """Write each line's name right of its end, and move apart names that would overlap."""
    ax.autoscale_view()  # settles the limits, which Matplotlib puts off until it draws
    ends = []
    for line in ax.get_lines():
        xs, ys = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        last = np.flatnonzero(np.isfinite(ys))[-1]
        height = ax.transAxes.inverted().transform(ax.transData.transform((xs[last], ys[last])))[1]
        ends.append((min(max(height, 0.0), 1.0), xs[last], ys[last], line))
    ends.sort(key=lambda end: end[0])
    gap = 0.09  # height of a line of text, as a part of the axes
    heights = [end[0] for end in ends]
    for i in range(1, len(heights)):  # upwards …
        heights[i] = max(heights[i], heights[i - 1] + gap)
    heights[-1] = min(heights[-1], 1.0)
    for i in reversed(range(len(heights) - 1)):  # … and, where that left the axes, down again
        heights[i] = min(heights[i], heights[i + 1] - gap)
    right = max(end[1] for end in ends)
    for height, (_, x, y, line) in zip(heights, ends, strict=True):
        ax.annotate(
            str(line.get_label()),
            xy=(x, y),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=TEXT,
            arrowprops={
                "arrowstyle": "-",
                "color": line.get_color(),
                "linewidth": 1,
                # Lest the way to the name look like the line itself.
                "linestyle": "-" if x == right else (0, (1, 4)),
            },
        )
