"""What has moved, as tables? Columns one by one and together, their words, in segments, and what the champion says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trimtab.cells import LONGEST_NAME, listed, number, p_value, percent, sentence, shorten, span, table
from trimtab.settings.drift import DriftSettings
from trimtab.wording import plural

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.decide.causes import Causes
    from trimtab.measure.columns.drift import ColumnDrift, Drift
    from trimtab.measure.columns.segments import SegmentDrift
    from trimtab.run.joint import Joint
    from trimtab.run.scored import Scored

_MOVED = {"drifted": {"yes": "warn"}}


def drift(result: Drift, settings: DriftSettings | None = None, *, remarks: str = "") -> Styler:
    """The columns ranked by drift, and what else a reader should know of them."""
    chosen = settings or DriftSettings()
    result = result.ranked(**chosen.bounds)
    moved = {c.name for c in result.drifted(**chosen.bounds)}
    rows = [
        {
            "column": c.name, "drifted": "not tested" if result.too_few else "yes" if c.name in moved else "no",
            "how": ", ".join(map(str, c.moved(**chosen.bounds))),
            "PSI": c.psi, "by chance": c.psi_by_chance, "natural": _natural(c), "JS": c.js,
            "JS by chance": c.js_by_chance, "KS": c.ks, "χ²": c.chi2, "p": c.shape.p_value, "q": _q(c, chosen),
            "missing": "" if c.missing_reference == c.missing_current == 0 else
            f"{percent(c.missing_reference)}\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}{percent(c.missing_current)}",
            "note": c.note,
        }
        for c in result.columns[: chosen.max_columns_reported]
    ]
    more = len(result.columns) - len(rows)
    every = plural(len(result.columns), "column")
    caption = f"None of {every} could be tested: {result.too_few}" if result.too_few else (
        f"{len(moved)} of {every} drifted: q ≤ {chosen.alpha:.2g}, far enough in some way, and beyond what is natural "
        f"({result.reference_rows:,} against {plural(result.current_rows, 'record')})"
    )
    caption += f"; {plural(more, 'column below these is', 'columns below these are')} not shown" if more > 0 else ""
    caption += f". {remarks}" if remarks else ""
    numbers = dict.fromkeys(("PSI", "by chance", "natural", "JS", "JS by chance", "KS", "χ²"), number)
    return table(rows, caption=caption, formats={**numbers, "p": p_value, "q": p_value}, marks=_MOVED,
                 optional=("how", "natural", "KS", "missing", "note"))


def _q(column: ColumnDrift, settings: DriftSettings) -> float:
    """Of the way in which it counts, the first where there are several; else that of its PSI."""
    return next((one.q_value for one in column.moved(**settings.bounds)), column.shape.q_value)


def _natural(column: ColumnDrift) -> float:
    """PSI beyond chance that stretches of the reference reach; nan where days are not known or are too few."""
    return column.shape.floor or math.nan


def words(result: Drift, settings: DriftSettings) -> Styler | None:
    """The words of each text column that tell most of how it moved, the farthest first; None without text columns."""
    texts = [column for column in result.columns if column.kind == "text"]
    if not texts:
        return None
    rows = [
        {"column": column.name, "word": one.term, "texts with it before": one.before, "now": one.now}
        for column in texts for one in column.terms
    ]
    told = [_of_words(column, settings) for column in texts]
    if not rows:
        return sentence(f"{'. '.join(told)}. There is no word to name.")
    more = f"; and {len(told) - 2} more" if len(told) > 2 else ""
    return table(rows, caption=". ".join(told[:2]) + more, formats={"texts with it before": percent, "now": percent},
                 longest=LONGEST_NAME)


def _of_words(column: ColumnDrift, settings: DriftSettings) -> str:
    moved = ", ".join(map(str, column.moved(**settings.bounds)))
    tested = moved or "no more than chance and natural variation explain" if column.aspects else "could not be tested"
    note = f" ({shorten(column.note, 2 * LONGEST_NAME)})" if column.note else ""
    return f"Words of {shorten(column.name, LONGEST_NAME)}: {tested}{note}"


def since_last(result: Drift | None, settings: DriftSettings) -> Styler | None:
    """What moved from the window before to this one: the columns that did, or that none has; None without records."""
    if result is None:
        return None
    if result.too_few:
        return sentence(f"Nothing could be compared with the window before: {result.too_few}.")
    moved = result.drifted(**settings.bounds)
    rows = [
        {"column": c.name, "how": ", ".join(map(str, c.moved(**settings.bounds))), "PSI": c.psi,
         "by chance": c.psi_by_chance, "q": _q(c, settings)}
        for c in moved[: settings.max_columns_reported]
    ]
    sizes = f"{result.reference_rows:,} against {plural(result.current_rows, 'record')}"
    told = f"{len(moved)} of {plural(len(result.columns), 'column')} drifted since the window before ({sizes})"
    return table(rows, caption=told, formats={"PSI": number, "by chance": number, "q": p_value}) if rows \
        else sentence(f"{told}.")


def joint(together: Joint) -> Styler:
    """All columns together: can current records be told from the reference's, and by what?"""
    apart, rebuilt = together.separation, together.reconstruction
    rows = [
        {"asked": "can a classifier tell them apart?", "measured": f"AUC {number(apart.auc)}",
         "interval": span(apart.low, apart.high), "natural": f"up to {number(together.floor)}",
         "p": apart.p_value, "note": apart.note},
        {"asked": "do columns hang together as before?",
         "measured": "–" if math.isnan(rebuilt.effect) else f"error {number(rebuilt.effect)} deviations larger",
         "interval": "–", "natural": "–",
         "p": rebuilt.p_value, "note": rebuilt.note},

    ]
    told_apart = apart.low > 0.5    # else there is no difference that anything could carry
    carried = "; ".join(
        " with ".join(one.columns) + (f" ({percent(one.share)})" if 0 <= one.share <= 1 else "")
        for one in apart.carriers[:5] if told_apart
    )
    sizes = f"{apart.reference_rows:,} against {plural(apart.current_rows, 'record')}"
    told = f"All columns together ({sizes})"
    return table(rows, caption=told + (f"; most of the difference: {carried}" if carried else ""),
                 formats={"p": p_value}, optional=("note",))


def causes(found: Causes) -> Styler:
    """The columns that moved by how much the champion relies on them, and apart from these what it never sees."""
    every = (*found.ranked, *found.apart)
    if not every:
        return sentence("No column moved, so there is nothing to look for causes in.")
    rows = [
        {"column": c.column, "how": c.how, "distance": c.distance, "relied on": c.share, "weight": c.weight,
         "in words": c.message}
        for c in every
    ]
    apart = f"; {len(found.apart)} more are watched but are not the champion's" if found.apart else ""
    return table(
        rows, caption=f"{len(found.ranked)} of the champion's columns moved{apart}. {found.note}".rstrip(),
        formats={"distance": number, "relied on": percent, "weight": number}, optional=("relied on", "weight"),
    )


def segments(apart: SegmentDrift, settings: DriftSettings) -> Styler | None:
    """What moved in a segment beyond what the other records did, or that nothing has; and what was not looked at.

    None where no column of segments is named.
    """
    if not apart.named:
        return None
    moved = apart.drifted(**settings.bounds)
    rows = [
        {"segment": str(one.segment), "column": one.drift.name,
         "how, beyond the other records": ", ".join(map(str, one.moved(**settings.bounds))),
         "PSI": one.drift.psi, "by chance": one.drift.psi_by_chance, "q": one.moved(**settings.bounds)[0].q_value,
         "records": f"{one.reference_rows:,} → {one.current_rows:,}"}
        for one in moved[: settings.max_columns_reported]
    ]
    told = f"{len(moved)} of {apart.looked_at} pairs of column and segment drifted of their own"
    more = f"; {len(moved) - len(rows)} below these are not shown" if len(moved) > len(rows) else ""
    skipped = [f"{plural(len(one.values), 'value')} of {one.column}, {one.why} ({listed(one.values)})"
               for one in apart.left_out if one.values]
    caption = f"{told}{more}. Values not looked at: {'; '.join(skipped) or 'none'}"
    nameless = [one.why for one in apart.left_out if not one.values]
    caption += f". Of no segment, and not looked at: {'; '.join(nameless)}" if nameless else ""
    return table(rows, caption=caption, formats={"PSI": number, "by chance": number, "q": p_value}) if rows \
        else sentence(f"{caption}.")


def outputs(scored: Scored, settings: DriftSettings) -> Styler:
    """What the model says now against what it said on its holdout."""
    if scored.drift is None:
        return sentence(scored.incomparable)
    return drift(scored.drift, settings, remarks=scored.remarks)
