"""What did a reader of documents read, and was it right? Simulated, with three changes on known days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

FIRST: Final = date(2009, 12, 1)    # as long as the sales of the shop in `retail`
LAST: Final = date(2011, 12, 9)
_SEED: Final = 20091201
_DOCUMENTS_A_DAY: Final = 200       # in the mean
_FIELDS: Final = {    # mean confidence, share of documents in which it is found, share of those in which it is right
    "date": (0.93, 0.99, 0.98), "merchant": (0.86, 0.97, 0.93), "tax": (0.84, 0.95, 0.95), "total": (0.91, 0.99, 0.97),
}
Change = tuple[str, str, float]
"""A field, one of its three numbers, and what it becomes."""
CHANGES: Final[Mapping[date, Change]] = MappingProxyType({
    date(2011, 3, 15): ("total", "confidence", 0.84),    # another scanner: the print is paler
    date(2011, 8, 1): ("tax", "extracted", 0.85),        # suppliers write it in another place
    date(2011, 10, 3): ("merchant", "matched", 0.85),    # names in the register were spelled anew
})
"""By the day from which on it is so."""


def make(*, seed: int = _SEED, changes: Mapping[date, Change] = CHANGES) -> pd.DataFrame:
    """Results of reading the fields of documents.

    Parameters
    ----------
    seed : int
        Another one draws other documents.
    changes : mapping of date to Change
        What changes, and when.

    Returns
    -------
    pd.DataFrame
        One row per document and field, sorted by `read_at`:

        - `read_at`: when the document was read, between 6 and 22 o'clock
        - `document`: its number
        - `field`: date, merchant, tax or total
        - `confidence`: how sure the reader was, between 0 and 1
        - `extracted`: whether it found anything
        - `matched`: whether what it found was right; missing where it found nothing

    Notes
    -----
    A generator and no real documents: no public data tell of a reader over years. The number of documents a day is
    drawn from a Poisson distribution, fewer by two thirds on Sundays; confidences from Beta distributions with
    their field's mean, a little lower for a document as a whole where its print is bad; the others are coins. Each day
    has luck of its own, of half a percent or so. What changes, and when, is in `changes`; nothing else does.

    Examples
    --------
    >>> frame = make()
    >>> sorted(frame["field"].unique())
    ['date', 'merchant', 'tax', 'total']
    """
    rng = np.random.default_rng(seed)
    days = pd.date_range(FIRST, LAST, freq="D")
    documents = rng.poisson(_DOCUMENTS_A_DAY * np.where(days.day_of_week == 6, 1 / 3, 1.0))
    day = np.repeat(np.arange(len(days)), documents)
    at = np.sort(day * 86_400 + rng.integers(6 * 3600, 22 * 3600, len(day)))
    print_quality = rng.normal(0.0, 0.4, len(day))
    return pd.concat(
        [_field(rng, name, changes, days, day, at, print_quality) for name in _FIELDS]
    ).sort_values(["read_at", "document", "field"], ignore_index=True)


def _field(
    rng: np.random.Generator, name: str, changes: Mapping[date, Change], days: pd.DatetimeIndex, day: np.ndarray,
    at: np.ndarray, quality: np.ndarray,
) -> pd.DataFrame:
    """One field of every document."""
    confidence, extracted, matched = (
        _level(rng, value, days, {
            since: to for since, (field, changed, to) in changes.items() if (field, changed) == (name, which)})[day]
        for which, value in zip(("confidence", "extracted", "matched"), _FIELDS[name], strict=True)
    )
    mean = 1 / (1 + np.exp(-(np.log(confidence / (1 - confidence)) + quality)))
    found = rng.random(len(day)) < extracted
    right = pd.array(rng.random(len(day)) < matched, dtype="boolean")
    right[~found] = pd.NA
    return pd.DataFrame({
        "read_at": pd.Timestamp(FIRST) + pd.to_timedelta(at, unit="s"), "document": np.arange(len(day)), "field": name,
        "confidence": rng.beta(20 * mean, 20 * (1 - mean)).round(4), "extracted": found, "matched": right,
    })


def _level(rng: np.random.Generator, value: float, days: pd.DatetimeIndex, becomes: Mapping[date, float]) -> np.ndarray:
    """A number by day: what it is, what it becomes, and the day's luck."""
    level = np.full(len(days), value)
    for since, to in becomes.items():
        level[days >= pd.Timestamp(since)] = to
    return np.clip(level + rng.normal(0, 0.005, len(days)), 0.01, 0.995)
