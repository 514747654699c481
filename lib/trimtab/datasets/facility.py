"""Which bookings of rooms will clash, and which payments are fraud? Simulated, with changes on known days."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

FIRST: Final = date(2025, 1, 1)
LAST: Final = date(2025, 10, 31)
ANNEXE: Final = date(2025, 6, 2)
"""A building opens that nobody has booked before; the odds of a clash there are twenty times as high."""
SHIFT: Final = date(2025, 6, 16)
"""From this day on one tenant is paid in another currency, and fraud hides in small payments instead of large ones."""
RATE: Final = 4.3
"""What a payment of before is in that currency."""
TENANTS: Final = ("east", "north", "south")
DRIFTING: Final = "east"
_SEED: Final = 20250101
_BUILDINGS: Final = ("A", "B", "C", "D", "E")
_NEVER: Final = 0.15    # of the outcomes, nobody ever tells
_THERE: Final = 20    # times as high are the odds of a clash in the annexe
_FRAUDS: Final = 0.03    # of payments
_APART: Final = 2.0    # between the logarithms of amounts, of frauds and of others

Array = npt.NDArray[Any]


def conflicts(*, seed: int = _SEED, annexe: date = ANNEXE) -> pd.DataFrame:
    """Bookings of rooms, and whether two parties came.

    Parameters
    ----------
    seed : int
        Another one draws other bookings.
    annexe : date
        When it opens.

    Returns
    -------
    pd.DataFrame
        One row per booking, sorted by `booked_at`:

        - `booked_at`, `booking`: when, and its number
        - `building`: A to E, in time the annexe, too
        - `hours_ahead`, `duration`, `attendees`, `earlier_clashes`: of the booking and the room
        - `clash`: whether two parties came, about 8 in 100; the label, missing where nobody told
        - `told_at`: when that was known, a day to two weeks later; missing where nobody told

    Notes
    -----
    A generator and no real bookings. Numbers a day follow a Poisson distribution, fewer on weekends.
    """
    rng = np.random.default_rng(seed)
    at = _times(rng, 400)
    count = len(at)
    building = rng.choice(_BUILDINGS, count, p=[0.3, 0.25, 0.2, 0.15, 0.1]).astype(object)
    there = (at >= np.datetime64(annexe)) & (rng.random(count) < 0.25)
    building[there] = "annexe"
    frame = pd.DataFrame({
        "booked_at": at, "booking": np.arange(count), "building": building,
        "hours_ahead": rng.gamma(1.5, 40, count).round(1), "duration": rng.choice([0.5, 1, 1.5, 2, 4], count),
        "attendees": 1 + rng.poisson(6, count), "earlier_clashes": rng.poisson(0.6, count),
    })
    odds = (-7.8 + 4 * frame["earlier_clashes"] - 0.05 * frame["hours_ahead"] + 0.2 * frame["attendees"]
            + 0.5 * frame["duration"] + np.log(_THERE) * there)
    clash = rng.random(count) < 1 / (1 + np.exp(-odds.to_numpy()))
    return _told(rng, frame, "clash", clash, days=(1, 14))


def fraud(*, seed: int = _SEED + 1, shift: date = SHIFT, rate: float = RATE) -> pd.DataFrame:
    """Payments of three tenants, and whether they were fraud.

    Parameters
    ----------
    seed : int
        Another one draws other payments.
    shift : date
        From when on `DRIFTING` is paid in another currency.
    rate : float
        What a payment of before is in it.

    Returns
    -------
    pd.DataFrame
        One row per payment, sorted by `paid_at`:

        - `paid_at`, `payment`, `tenant`: when, its number, and whose; east, north or south
        - `amount`, `account_days`, `payments_before`, `channel`: of the payment and the account
        - `fraud`: 3 in 100; the label, missing where nobody told
        - `told_at`: when that was known, three days to six weeks later; missing where nobody told

    Notes
    -----
    A generator and no real payments. Frauds are drawn first, and amount, account, payments before and channel by them;
    so their share stays as it is. Only `DRIFTING` changes.
    """
    rng = np.random.default_rng(seed)
    moves = {DRIFTING: np.datetime64(shift)}
    return pd.concat([_payments(rng, tenant, moves.get(tenant), rate) for tenant in TENANTS]).sort_values(
        ["paid_at", "tenant"], ignore_index=True)


def by_tenant(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A file for each tenant."""
    return {f"{tenant}.parquet": frame[frame["tenant"] == tenant] for tenant in TENANTS}


def _payments(rng: np.random.Generator, tenant: str, moves: np.datetime64 | None, rate: float) -> pd.DataFrame:
    at = _times(rng, 300)
    count = len(at)
    moved = (at >= moves) if moves is not None else np.zeros(count, bool)
    fraud = rng.random(count) < _FRAUDS
    way = np.where(moved, -_APART, _APART)
    amount = np.where(fraud, rng.normal(3.5 + way, 0.6), rng.normal(3.5, 0.9, count))
    often = rng.gamma(2.0, np.where(fraud, 1.5, 6.0))
    frame = pd.DataFrame({
        "paid_at": at, "payment": [f"{tenant[0]}{number:06d}" for number in range(count)], "tenant": tenant,
        "amount": (np.exp(amount) * np.where(moved, rate, 1.0)).round(2),
        "account_days": np.where(fraud, rng.gamma(1.0, 90, count), rng.gamma(2.0, 300, count)).round(0),
        "payments_before": rng.poisson(often),
        "channel": np.where(fraud, _channels(rng, count, wallet=0.5), _channels(rng, count, wallet=0.1)),
    })
    return _told(rng, frame, "fraud", fraud, days=(3, 42))


def _channels(rng: np.random.Generator, count: int, *, wallet: float) -> Array:
    """How payments are made; two thirds of those that are not by wallet are by card."""
    return rng.choice(["card", "transfer", "wallet"], count, p=[(1 - wallet) * 2 / 3, (1 - wallet) / 3, wallet])


def _times(rng: np.random.Generator, a_day: int) -> Array:
    """When records came to be, fewer on weekends."""
    days = pd.date_range(FIRST, LAST, freq="D")
    counts = rng.poisson(a_day * np.where(days.day_of_week >= 5, 0.4, 1.0))
    seconds = np.repeat(np.arange(len(days)), counts) * 86_400 + rng.integers(7 * 3600, 20 * 3600, counts.sum())
    found: Array = np.datetime64(FIRST) + np.sort(seconds).astype("timedelta64[s]")
    return found


def _told(
    rng: np.random.Generator, frame: pd.DataFrame, label: str, happened: Array, *, days: tuple[int, int]
) -> pd.DataFrame:
    """With what came, and when that was known, if ever."""
    count = len(frame)
    came = pd.array(happened, dtype="boolean")
    late = pd.to_timedelta(rng.integers(days[0] * 86_400, days[1] * 86_400, count), unit="s")
    known = frame.iloc[:, 0] + late
    never = rng.random(count) < _NEVER
    came[never] = pd.NA
    frame[label], frame["told_at"] = came, known.where(~never)
    return frame
