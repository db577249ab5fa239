"""The heat map of a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from setwise_engine.matching import Kernel
from setwise_evaluation.matchers import Matching
from setwise_evaluation.report import style
from setwise_evaluation.rsm._kernels import kernel_of
from setwise_evaluation.rsm._rsm import Rsm
from setwise_evaluation.rsm._summary import Picture, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat_map"]

_FEW = 30
"""Up to so many images their ids stand at the axes."""
_LETTERS = 22


def heat_map(
    matrix: Rsm, kernel: str | None = None, sigma: float | None = None, *, names: tuple[str, str] = ("", "")
) -> tuple[Figure, str]:
    """A figure of the matrix, and the caption that says all that the figure leaves out.

    kernel, sigma: as for `Rsm.read`; None takes the matrix's own. names: of the images in the rows and the columns.
    Colours run over the similarities of different images, so that a bright diagonal does not flatten the rest; above
    500 images a side each point is the mean of a square of pairs, and the caption says so.
    """
    wanted = matrix.kernel if kernel is None else kernel_of(kernel)
    width = matrix.sigma if kernel is None else sigma
    seen = picture(matrix, wanted, width)
    figure, axes = style.new_figure(width=6.5, height=5.6)
    panel = axes[0, 0]
    panel.grid(visible=False)
    rows, columns = matrix.shape
    image = panel.imshow(
        seen.values,
        cmap=style.HEAT,
        vmin=seen.low,
        vmax=seen.high,
        interpolation="nearest",
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),  # image i lies about i
        aspect="equal" if matrix.symmetric else "auto",
    )
    _name_axes(panel, matrix, names)
    bar = figure.colorbar(image, ax=panel, extend="max" if matrix.symmetric else "neither")
    bar.set_label(_measure(matrix, wanted, width), fontsize=10)
    bar.ax.tick_params(labelsize=9)
    return figure, _caption(matrix, seen, wanted, width)


def _name_axes(panel: Axes, matrix: Rsm, names: tuple[str, str]) -> None:
    """Ids where they fit; else the images' numbers, as an array has them."""
    from matplotlib.ticker import MaxNLocator

    sides = (
        (panel.set_ylabel, panel.yaxis, matrix.row_ids, matrix.shape[0], names[0]),
        (panel.set_xlabel, panel.xaxis, matrix.column_ids, matrix.shape[1], names[1]),
    )
    for label, axis, ids, count, name in sides:
        what = f"image of {name}" if name else "image"
        if ids is not None and count <= _FEW:
            label(what)
            axis.set_ticks(list(range(count)), labels=[_short(id) for id in ids], fontsize=7)
        else:
            label(f"{what} (number, from 0)")
            axis.set_major_locator(MaxNLocator(integer=True))
    if matrix.column_ids is not None and matrix.shape[1] <= _FEW:
        panel.tick_params(axis="x", labelrotation=90)


def _short(id: str) -> str:
    return id if len(id) <= _LETTERS else f"…{id[1 - _LETTERS :]}"


def _measure(matrix: Rsm, kernel: Kernel, sigma: float | None) -> str:
    if kernel is Kernel.RBF:
        width = matrix.median_sigma() if sigma is None else sigma
        return f"RBF similarity, sigma {width:.4g}"
    return "cosine similarity" if kernel is Kernel.COSINE else "matched inner product"


def _caption(matrix: Rsm, seen: Picture, kernel: Kernel, sigma: float | None) -> str:
    rows, columns = matrix.shape
    measure = _measure(matrix, kernel, sigma)
    what = (
        f"{rows:,} images with each other" if matrix.symmetric else f"{rows:,} images (down) with {columns:,} (across)"
    )
    how = {
        Matching.EXACT: "tokens matched one to one by the optimal assignment",
        Matching.NONE: "every token with the one at its own position",
    }
    parts = [f"{measure[0].upper()}{measure[1:]}, of {what}; {how.get(matrix.matching, _other(matrix))}."]
    if seen.side > 1:
        parts.append(f"Each point is the mean of {seen.side} x {seen.side} pairs.")
    if matrix.symmetric:
        parts.append("Colours span the points off the diagonal; the diagonal may lie above them.")
    return " ".join(parts)


def _other(matrix: Rsm) -> str:
    return f"matching: {matrix.matching}"
