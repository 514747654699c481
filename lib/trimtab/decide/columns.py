"""What do the columns tell: those that go into the model, those that come out of it, and the labels?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trimtab.decide.signals import Measurement
from trimtab.decide.words import words
from trimtab.measure.columns.aspects import SMALLEST_SAMPLE, Aspect
from trimtab.measure.columns.divergences import false_discovery
from trimtab.measure.columns.drift import ColumnDrift, Drift
from trimtab.measure.columns.means import Moved
from trimtab.measure.evidence import of_drift
from trimtab.settings.drift import DriftSettings

_NEW = ("unseen", "newcomer")

# What each aspect is called as a signal, and what it says of one column.
_MOSTLY = 0.8    # of the records with new levels: then these are as good as one level
_SIGNALS = {
    "wasserstein": ("feature_shift", "has moved by {}"),
    "missing": ("missing_values", "is missing more or less often than before, by {}"),
    "unseen": ("unseen_levels", "has levels that the reference never had, {} more than chance gives"),
    "newcomer": ("unseen_levels", "has one level that the reference never had, which makes up about {} of the records"),
    "outside": ("out_of_range", "has values outside the reference's range, {} more than chance gives"),
}
_TOO_FEW_VALUES = f"No {{}} could be compared: none has {SMALLEST_SAMPLE} values on both sides."


def inputs(drift: Drift, settings: DriftSettings) -> list[Measurement]:
    """One measurement for the distribution of the input columns, and one for each other way in which some can move."""
    looked_at = {aspect.name for column in drift.columns for aspect in column.aspects}
    found = [feature_drift(drift, settings)]
    found += [_aspect(name, drift, settings) for name in _SIGNALS if name in looked_at and name not in _NEW]
    found += [unseen_levels(drift, settings)] if "unseen" in looked_at else []
    found += words(drift, settings)
    return [*found, outliers(drift, settings)] if "outliers" in looked_at else found


def feature_drift(drift: Drift, settings: DriftSettings) -> Measurement:
    """The largest significant shift of an input column, and all columns that drifted."""
    return _drift("feature_drift", drift, settings, "input columns")


def outputs(drift: Drift, settings: DriftSettings) -> list[Measurement]:
    """One measurement for the distribution of what the champion says, and one for how far its numbers have moved."""
    shifts = any(not math.isnan(column["wasserstein"].q_value) for column in drift.columns)
    found = [prediction_drift(drift, settings)]
    return [*found, _aspect("wasserstein", drift, settings, signal="prediction_shift")] if shifts else found


def prediction_drift(drift: Drift, settings: DriftSettings) -> Measurement:
    """The largest significant shift of what the champion says."""
    return _drift("prediction_drift", drift, settings, "outputs of the champion")


def class_balance(drift: Drift, settings: DriftSettings) -> Measurement:
    """The shift of the labels themselves."""
    column = drift.columns[0]
    if drift.too_few:
        told = f"Whether the shares of the classes differ could not be tested: {drift.too_few}."
        return Measurement("class_balance", math.nan, told, evidence=math.nan)
    shift = column["psi"]
    significant = _certain(shift, settings)
    size = f"PSI {column.excess:.2f}"
    size += "" if significant and column.excess >= settings.psi_warn else ", less than counts" if significant else \
        ", which chance or natural variation explains"
    new = f"; {column.unseen:.1%} are of a class that the holdout did not have" if column.unseen else ""
    return Measurement(
        "class_balance", column.excess, significant=significant, p_value=shift.q_value, columns=(column.name,),
        message=f"The shares of the classes beside those of the champion's holdout: {size}{new}." if not significant
        else f"The shares of the classes differ from those of the champion's holdout ({size}{new}).",
        evidence=of_drift(drift.columns, settings.psi_alert),
    )


def unseen_levels(drift: Drift, settings: DriftSettings) -> Measurement:
    """The column with the largest share of levels that the reference never had: of all of them, or of a single one.

    Of a single one where only that is beyond chance, or where it is most of what is new.
    """
    every = _aspect("unseen", drift, settings)
    if all(math.isnan(column["newcomer"].q_value) for column in drift.columns):
        return every
    single = _aspect("newcomer", drift, settings)
    mostly_one = single.value >= _MOSTLY * every.value or not every.significant
    chosen, other = (single, every) if single.significant and mostly_one else (every, single)
    return replace(chosen, columns=tuple(dict.fromkeys((*chosen.columns, *other.columns))))


def outliers(drift: Drift, settings: DriftSettings) -> Measurement:
    """The column with the largest share of outliers, among those where it has risen beyond chance if there are any.

    A share is held against the reference's own, which a heavy tail makes large.
    """
    tested = [c for c in drift.columns if not math.isnan(c["outliers"].q_value)]
    if not tested:
        return Measurement("outliers", math.nan, "No numeric column has outliers.")
    risen = [c for c in tested if _certain(c["outliers"], settings)]
    worst = max(risen or tested, key=lambda c: c.outliers)
    large = [c for c in risen if c["outliers"].size >= settings.large["outliers"] and c is not worst]
    others = [c.name for c in sorted(large, key=lambda c: -c.outliers)]
    return Measurement(
        "outliers", worst.outliers, columns=(worst.name, *others), significant=bool(risen),
        p_value=worst["outliers"].q_value,
        message=f"{worst.outliers:.1%} of the values of {worst.name} lie beyond three standard deviations of the "
        f"reference{_less_far(others)}.",
    )


def rate_drop(rates: Sequence[Moved], *, alpha: float = 0.05) -> Measurement:
    """The rate that fell most, among those that did beyond chance and natural variation if there are any.

    Corrected for the number of rates.
    """
    worst, p_value = _farthest(rates, lambda moved: -moved.change, alpha)
    if worst is None:
        return Measurement("rate_drop", math.nan, _TOO_FEW_VALUES.format("rate"), evidence=math.nan)
    verb = "fell" if worst.change < 0 else "rose" if worst.change > 0 else "stayed, going"
    return Measurement(
        "rate_drop", -worst.change, significant=_beyond(worst, p_value, alpha), p_value=p_value, columns=(worst.name,),
        message=f"{worst.name} {verb} from {worst.before:.1%} to {worst.now:.1%}{_as_natural(worst, p_value, alpha)}.",
    )


def confidence_shift(means: Sequence[Moved], *, alpha: float = 0.05) -> Measurement:
    """The mean that moved farthest, among those that did beyond chance and natural variation if there are any.

    Corrected for the number of means.
    """
    worst, p_value = _farthest(means, lambda moved: abs(moved.deviations), alpha)
    if worst is None:
        return Measurement("confidence_shift", math.nan, _TOO_FEW_VALUES.format("confidence"), evidence=math.nan)
    return Measurement(
        "confidence_shift", abs(worst.deviations), significant=_beyond(worst, p_value, alpha), p_value=p_value,
        columns=(worst.name,),
        message=f"The mean of {worst.name} went from {worst.before:.3f} to {worst.now:.3f}{_distance(worst)}"
        f"{_as_natural(worst, p_value, alpha)}.",
    )


def _distance(moved: Moved) -> str:
    """How far a mean moved; empty where the reference's values do not vary."""
    if math.isnan(moved.deviations):
        return ""
    return f": {moved.deviations:+.2f} standard deviations of the reference, {moved.errors:+.1f} standard errors"


def _farthest(moved: Sequence[Moved], size: Callable[[Moved], float], alpha: float) -> tuple[Moved | None, float]:
    tested = [one for one in moved if not math.isnan(one.p_value)]
    if not tested:
        return None, math.nan
    adjusted = dict(zip((one.name for one in tested), false_discovery([one.p_value for one in tested]), strict=True))
    certain = [one for one in tested if _beyond(one, adjusted[one.name], alpha)]
    worst = max(certain or tested, key=lambda one: float(np.nan_to_num(size(one), nan=-math.inf)))
    return worst, float(adjusted[worst.name])


def _beyond(moved: Moved, p_value: float, alpha: float) -> bool:
    return p_value <= alpha and not moved.natural


def _as_natural(moved: Moved, p_value: float, alpha: float) -> str:
    """What to add where a change is no chance, and yet no news."""
    return "; stretches of the reference differ as far" if p_value <= alpha and moved.natural else ""


def _drift(name: str, drift: Drift, settings: DriftSettings, words: str) -> Measurement:
    moved = drift.drifted(**settings.bounds)
    tested = [c for c in drift.columns if not math.isnan(c["psi"].q_value)]
    if not tested:
        why = drift.too_few or next((c.note for c in drift.columns if c.note), "nothing in them can differ")
        return Measurement(name, math.nan, f"None of the {words} could be tested: {why}.", evidence=math.nan)
    # Significance alone: how large is large enough is for the triggers to say, which may ask for less than psi_warn.
    significant = [c for c in tested if _certain(c["psi"], settings)]
    worst = max(significant or tested, key=lambda c: c.excess)
    message = f"{len(moved)} of {len(drift.columns)} {words} drifted"
    largest = f"the largest that chance and natural variation do not explain is {worst.name}" if significant else \
        f"chance and natural variation explain the largest shift, {worst.name}"
    by_psi = any("psi" in (one.name for one in c.moved(**settings.bounds)) for c in moved)
    size = f", which is {worst.excess:.2f} at most" if significant else \
        f": chance and natural variation explain the largest, {worst.excess:.2f}"
    otherwise = "" if by_psi else f", none of them by the PSI of its values{size}"
    message += f": {_listed(moved, settings)}{otherwise}." if moved else f"; {largest} (PSI {worst.excess:.2f})."
    concerned = moved or ((worst,) if significant else ())
    return Measurement(
        name, worst.excess, message, significant=bool(significant), p_value=worst["psi"].q_value,
        columns=tuple(c.name for c in concerned), evidence=of_drift(drift.columns, settings.psi_alert),
    )


def _aspect(name: str, drift: Drift, settings: DriftSettings, *, signal: str | None = None) -> Measurement:
    """The column that moved farthest in one aspect, among those where it is not chance if there are any."""
    usual, words = _SIGNALS[name]
    tested = [c for c in drift.columns if not math.isnan(c[name].q_value)]
    significant = [c for c in tested if _certain(c[name], settings)]
    worst = max(significant or tested, key=lambda c: c[name].size)
    large = sorted((c for c in significant if c[name].size >= settings.large[name]), key=lambda c: -c[name].size)
    others = _less_far([c.name for c in large[1:]])
    chance = "" if significant else ", which chance or natural variation explains"
    subject = worst.name if signal is None else f"The champion's {worst.name}"
    message = f"{subject} {words.format(worst[name].told)}{others}{chance}."
    return Measurement(
        signal or usual, worst[name].size, message, significant=bool(significant), p_value=worst[name].q_value,
        columns=tuple(c.name for c in large) or (worst.name,) * bool(significant),
    )


def _less_far(names: Sequence[str], most: int = 5) -> str:
    """The columns beside the worst, by name as far as a sentence takes them: behind a season stands a broken sensor."""
    if not names:
        return ""
    return f"; less far: {_first(names, most)}"


def _first(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _certain(aspect: Aspect, settings: DriftSettings) -> bool:
    return aspect.certain(settings.alpha)


def _listed(columns: Sequence[ColumnDrift], settings: DriftSettings, most: int = 3) -> str:
    return _first([f"{c.name} ({c.moved(**settings.bounds)[0]})" for c in columns], most)
