"""How is a value written in a table? Formats, marks and the one function that builds tables; all text stays text."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from trimtab.text import escaped

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler
    from pandas.io.formats.style_render import CSSDict

Format = Callable[[Any], str]
MARKS = {
    "bad": "background-color: #f8d7da; color: #58151c; font-weight: 600",
    "warn": "background-color: #fff3cd; color: #664d03",
    "good": "color: #0a5c2b",
}
_STYLES: list[CSSDict] = [
    {"selector": "caption", "props": "caption-side: top; text-align: left; font-weight: 600; padding: 0.4em 0"},
    {"selector": "th", "props": "text-align: left; vertical-align: bottom"},
    {"selector": "td", "props": "text-align: left; vertical-align: top; max-width: 44em; overflow-wrap: break-word"},
    {"selector": ".number", "props": "text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap"},
]
_LONGEST = 300
_SPACE = re.compile(r"[^\S\u00a0]+")    # but for the space that keeps an interval on one line
MOST_GROUPS = 30
LONGEST_NAME = 60


def nothing(value: Any) -> bool:
    """Whether there is nothing to write: None, NaN or not a time."""
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def number(value: Any) -> str:
    """About three significant digits, a dash for nothing.

    Examples
    --------
    >>> number(0.12345), number(91.0), number(438.95), number(12345.6), number(0.00004)
    ('0.123', '91', '439', '12,346', '4e-05')
    >>> number(float("nan"))
    '–'
    """
    if nothing(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if size >= 100 or (size >= 10 and value == round(value)):
        return f"{value:,.0f}"
    if 0 < size < 0.0005:
        return f"{value:.1g}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3f}"


def signed(value: Any) -> str:
    """A difference, with its sign.

    Examples
    --------
    >>> signed(0.0321), signed(-0.5), signed(None)
    ('+0.032', '-0.500', '–')
    """
    written = number(value)
    return written if nothing(value) or value < 0 else f"+{written}"


def percent(value: Any) -> str:
    """A share in percent, a dash for nothing."""
    return "–" if nothing(value) else f"{value:.1%}"


def p_value(value: Any) -> str:
    """A p-value; tiny ones as a bound.

    Examples
    --------
    >>> p_value(1e-9), p_value(0.0312)
    ('< 0.0001', '0.0312')
    """
    if nothing(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def count(value: Any) -> str:
    """A whole number with separators, a dash for nothing."""
    return "–" if nothing(value) else f"{int(value):,}"


def moment(value: Any) -> str:
    """A time to the minute, a dash for nothing."""
    return "–" if nothing(value) else f"{pd.Timestamp(value):%Y-%m-%d %H:%M}"


def span(low: float, high: float, write: Format = number) -> str:
    """An interval that is not broken over lines, a dash where there is none."""
    return "–" if nothing(low) or nothing(high) else f"{write(low)}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{write(high)}"


def shorten(text: str, most: int = _LONGEST) -> str:
    """One line of bounded length, in which what would act or hide is written out.

    Examples
    --------
    >>> shorten("two\\nlines"), shorten("abcdef", 4)
    ('two lines', 'abc…')
    """
    line = escaped(_SPACE.sub(" ", text).strip(" "))
    return line if len(line) <= most else line[: most - 1] + "…"


def table(
    rows: Iterable[Mapping[str, Any]] | pd.DataFrame,
    *,
    caption: str = "",
    formats: Mapping[str, Format] | None = None,
    marks: Mapping[str, Mapping[str, str]] | None = None,
    optional: Iterable[str] = (),
    longest: int = _LONGEST,
) -> Styler:
    """A table as a notebook shows it.

    Parameters
    ----------
    rows : mappings or DataFrame
    caption : str
        Shown as text, whatever it contains.
    formats : mapping, optional
        How a column's values are written; columns with a format are aligned as numbers.
    marks : mapping, optional
        By column, which of its values is marked good, warn or bad.
    optional : names of columns, optional
        Left out when no row has anything in them.
    longest : int
        Characters of a text; what is longer is cut.
    """
    frame = (rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))).copy()
    frame = frame.drop(columns=[n for n in optional if n in frame and all(map(_empty, frame[n]))])
    known = {name: write for name, write in (formats or {}).items() if name in frame.columns}
    plain: list[Any] = [name for name in frame.columns if name not in known]
    for name in plain:
        frame[name] = [shorten(value, longest) if isinstance(value, str) else value for value in frame[name]]
    right: list[CSSDict] = [
        {"selector": f"th.col{place}", "props": "text-align: right"}
        for place, name in enumerate(frame.columns) if name in known
    ]
    wide: list[CSSDict] = [    # beside many numbers a text would be squeezed to a word a line
        {"selector": f"td.col{place}", "props": "min-width: 12em"} for place, name in enumerate(frame.columns)
        if name in plain and any(len(str(text)) > 16 for text in frame[name])
    ]
    style = frame.style.hide(axis="index").set_table_styles([*_STYLES, *right, *wide])
    style = style.set_caption(html.escape(shorten(caption, 2 * _LONGEST)))
    for name, write in known.items():
        style = style.format(write, subset=[name])
    style = style.format(escape="html", na_rep="–", subset=plain)
    style = style.format_index(lambda name: html.escape(shorten(str(name), LONGEST_NAME)), axis=1)
    if known:
        style = style.set_td_classes(pd.DataFrame(dict.fromkeys(known, "number"), index=frame.index))
    for name, by_value in (marks or {}).items():
        if name in frame.columns:
            style = style.map(lambda value, m=by_value: MARKS.get(m.get(str(value), ""), ""), subset=[name])
    return style


def _empty(value: Any) -> bool:
    return nothing(value) or value == ""


def facts(values: Mapping[str, Any] | Iterable[tuple[str, Any]], caption: str = "") -> Styler:
    """Names and values, one pair a line."""
    pairs = values.items() if isinstance(values, Mapping) else values
    rows = [{"": name, " ": str(value)} for name, value in pairs]
    return table(rows, caption=caption).hide(axis="columns")


def sentence(text: str) -> Styler:
    """One sentence, set apart."""
    return table([{"": text}], longest=4 * _LONGEST).hide(axis="columns")


def grouped(
    rows: Sequence[Mapping[str, Any]], caption: str, marks: Mapping[str, Mapping[str, str]] | None = None
) -> Styler:
    """One line per group of records, the first ones where there are too many to read."""
    if not rows:
        return sentence("There are no classes and no segments to look at apart.")
    more = len(rows) - MOST_GROUPS
    told = caption + (f"; {more} more groups are not shown" if more > 0 else "")
    return table(rows[:MOST_GROUPS], caption=told, formats={"records": count}, marks=marks, longest=LONGEST_NAME)


def listed(names: Sequence[str], most: int = 8, longest: int = 40) -> str:
    """The first names of many.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(shorten(name, longest) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
