"""How is a figure made, lettered and shown? What `plots` and `timelines` stand on; all text stays text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from PIL import Image

from trimtab.measure.models.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DARK, LIGHT, ALARM = "#1f3b57", "#b9c6d3", "#c8553d"
_DOTS_PER_INCH = 100
_SHARPER = 1.5    # pixels drawn for each that is shown, for print; twice as many take a third longer to draw


class Picture(Figure):
    """A figure that shows itself in any notebook, whatever the backend; its title is its alternative text."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """More pixels than it is shown with, to be sharp in print, in few colours, to be small."""
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)    # a letter that the font lacks is drawn as a box: no news
            self.savefig(buffer, format="rgba", dpi=_SHARPER * _DOTS_PER_INCH)
        pixels = tuple(int(side) for side in self.get_size_inches() * _SHARPER * _DOTS_PER_INCH)
        drawn = Image.frombuffer("RGBA", (pixels[0], pixels[1]), buffer.getvalue()).convert("RGB")
        picture = drawn.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        picture.save(buffer := io.BytesIO(), format="png")
        width, height = (int(inches * _DOTS_PER_INCH) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height, "alt": self.answer}

    @property
    def answer(self) -> str:
        """Its title as plain text."""
        title = self.get_suptitle() or next((axes.get_title(loc="left") for axes in self.axes), "")
        return title.replace(r"\$", "$")


def one_pair_of_axes(width: float, height: float) -> tuple[Picture, Axes]:
    """A figure that belongs to no global list, so that it is shown once: by the cell that returns it."""
    figure = Picture(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    tidy(axes)
    return figure, axes


def empty(reason: str) -> Picture:
    """An empty figure that says why."""
    figure, axes = one_pair_of_axes(9, 0.7)
    axes.set_axis_off()
    entitle(axes, reason)
    return figure


def tidy(axes: Axes) -> None:
    """Take away what frames nothing."""
    axes.spines[["top", "right"]].set_visible(False)


def entitle(axes: Axes, text: str, size: int = 12) -> None:
    """Title a pair of axes, at its left."""
    axes.set_title(safe(text), loc="left", fontsize=size)


def short(text: str, most: int = 28) -> str:
    """Text for an axis: one line, not too long, and safe."""
    clean = " ".join(str(text).split())
    return safe(clean if len(clean) <= most else clean[: most - 1] + "…")


def safe(text: str) -> str:
    """Text without dollar signs that matplotlib would read as mathematics; already safe text stays as it is."""
    return text.replace(r"\$", "$").replace("$", r"\$")


def less_is_better(names: Iterable[str]) -> str:
    """Words for the label of an axis: which of these metrics are losses."""
    less = [name for name in names if name in METRICS and not METRICS[name].greater_is_better]
    return f" (less is better for {', '.join(less)})" if less else ""
