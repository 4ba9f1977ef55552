"""How genrl's pictures look: colours that colour-blind readers tell apart, quiet axes, sizes that fit a page."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe & Ito 2008, "Color Universal Design".
REAL = "#0072B2"
SYNTHETIC = "#D55E00"
PALETTE = (REAL, SYNTHETIC, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6F6F6F", "#B8A900")
INK, MUTED, FAINT, WALL = "#2B2B2B", "#777777", "#B9B9B9", "#DADADA"

PANEL = 3.1
"""Side of a square panel in inches."""


class Picture(Figure):
    """A figure that no window system or backend needs to know; notebooks show it as it is."""

    def __init__(self, width: float, height: float) -> None:
        layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07, wspace=0.03, hspace=0.04)
        super().__init__(figsize=(width, height), layout=layout)

    def _repr_png_(self) -> bytes:
        return self.png()

    def png(self, dpi: float = 110) -> bytes:
        """The picture as the bytes of a PNG file."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name; ``real`` and ``synthetic`` always have theirs."""
    fixed = {"real": REAL, "synthetic": SYNTHETIC}
    free = iter(PALETTE[2:] * 10)
    names = list(names)
    if not any(name in fixed for name in names):
        free = iter(PALETTE * 10)
    return {name: fixed.get(name) or next(free) for name in names}


def grid(count: int, columns: int, width: float, height: float) -> tuple[Picture, list[Axes]]:
    """A picture with ``count`` tidy panels of ``width`` x ``height`` inches, at most ``columns`` in a row."""
    columns = min(columns, count)
    rows = -(-count // columns)
    picture = Picture(columns * width, rows * height)
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    for panel in panels[:count]:
        tidy(panel)
    return picture, panels[:count]


def tidy(axes: Axes) -> None:
    """Only the left and lower spine, small grey ticks, a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, color=FAINT, length=3)
    axes.grid(True, color="#EDEDED", linewidth=0.7)
    axes.set_axisbelow(True)


def label(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> None:
    """Axis labels with units and a title, in the sizes that all pictures share."""
    text: dict[str, Any] = {"fontsize": 9, "color": INK}
    axes.set_xlabel(x, **text)
    axes.set_ylabel(y, **text)
    if title:
        axes.set_title(title, fontsize=9.5, color=INK, loc="left")


def legend(axes: Axes, **options: Any) -> None:
    """A frameless legend."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, **options)


def legend_below(picture: Picture, handles: Iterable[Artist]) -> None:
    """One legend for all panels below them, in as few rows as fit the picture's width."""
    handles = list(handles)
    picture.legend(
        handles=handles,
        loc="outside lower center",
        ncols=_abreast([str(handle.get_label()) for handle in handles], picture.get_figwidth()),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
    )


def _abreast(labels: list[str], width: float) -> int:
    """How many entries of a legend, as wide as the widest, lie side by side in ``width`` inches."""
    entries = [0.55 + 0.065 * len(label) for label in labels]  # mark and gap, and 8.5 points a letter at most
    return len(labels) if sum(entries) <= width else max(int(width / max(entries)), 1)
