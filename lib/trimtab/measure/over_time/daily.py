"""What was the mean loss of each day?

A loss is one number per record of which less is better: absolute or squared error, 0 or 1, log loss. Records of one day
share their luck (a storm, an outage, a holiday), so what is said of an error over time rests on days, not on records,
and days are all that the questions "has it changed", "is it growing" and "when did it change" need to see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.outputs import Array

Floats = npt.NDArray[np.float64]

_RECORDS = 19.0    # as many together vary by their own as much as by the luck of their day


@dataclass(frozen=True, eq=False)
class Daily:
    """Mean loss and number of records of each day that has any, the oldest first.

    Parameters
    ----------
    days
        Shape (n,): datetime64, or whole numbers of days since 1 January 1970. Strictly increasing; days without
        records are left out.
    means
        Shape (n,): mean loss of the day, finite.
    counts
        Shape (n,): number of records of the day, 1 or more.

    Raises
    ------
    ValueError
        When shapes differ, days do not increase, a mean is not finite or a count below 1.

    Examples
    --------
    >>> daily = Daily(np.array(["2024-03-01", "2024-03-02"], dtype="datetime64"), [0.5, 0.2], [10, 20])
    >>> len(daily), daily.records, round(daily.mean, 2)
    (2, 30, 0.3)
    """

    days: Array
    means: Array
    counts: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", _days(self.days))
        object.__setattr__(self, "means", np.asarray(self.means, dtype=np.float64))
        object.__setattr__(self, "counts", np.asarray(self.counts, dtype=np.int64))
        shapes = {array.shape for array in (self.days, self.means, self.counts)}
        if len(shapes) > 1 or self.days.ndim != 1:
            raise ValueError(f"days, means and counts must have one shape (n,), not {sorted(shapes)}")
        if (np.diff(self.positions) <= 0).any():
            raise ValueError("days must increase, each of them once")
        if not np.isfinite(self.means).all():
            raise ValueError("means holds values that are not finite")
        if (self.counts < 1).any():
            raise ValueError("counts must be 1 or more; leave out days without records")

    def __len__(self) -> int:
        return len(self.days)

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Whole days since 1 January 1970, shape (n,)."""
        return self.days.astype(np.int64)

    @property
    def records(self) -> int:
        """Number of records over all days."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Mean loss over all records (not over days); nan without any."""
        return float(self.means @ self.counts / self.records) if len(self) else np.nan

    @property
    def own(self) -> Floats:
        """Variance that a day's mean has from its records, shape (n,), as a multiple of that from the day's luck.

        19 / count, which is right where records of one day correlate by 0.05. The mean of many records has the luck of
        its day no less than that of a few.
        """
        own: Floats = _RECORDS / self.counts
        return own

    def take(self, chosen: slice) -> Daily:
        """Return the days that a slice chooses, in their order."""
        return Daily(self.days[chosen], self.means[chosen], self.counts[chosen])


def by_day(losses: npt.ArrayLike, times: npt.ArrayLike) -> Daily:
    """Count the records of each day and take the mean of their losses.

    Parameters
    ----------
    losses
        Shape (n,), finite. Leave out records whose outcome is not known yet.
    times
        Shape (n,), in any order: datetime64, whose day is that of the time as written (no time zones), or numbers of
        days since 1 January 1970, of which the whole part counts.

    Returns
    -------
    Daily
        The oldest day first; empty without records.

    Raises
    ------
    ValueError
        When shapes differ, a loss is not finite, or a time is missing or neither datetime64 nor a number.

    Examples
    --------
    >>> times = np.array(["2024-03-02T09:00", "2024-03-01T10:00", "2024-03-01T23:59"], dtype="datetime64[m]")
    >>> daily = by_day([1.0, 2.0, 4.0], times)
    >>> daily.days.astype(str).tolist(), daily.means.tolist(), daily.counts.tolist()
    (['2024-03-01', '2024-03-02'], [3.0, 1.0], [2, 1])
    """
    values, days = as_losses("losses", losses), _days(times)
    if values.shape != days.shape:
        raise ValueError(f"losses have shape {values.shape}, times {days.shape}")
    found, where, counts = np.unique(days, return_inverse=True, return_counts=True)
    # From the first loss of the day on, so that the mean of equal losses is that loss and not its neighbour.
    first = values[np.unique(where, return_index=True)[1]]
    rest = np.bincount(where, weights=values - first[where], minlength=len(found))
    return Daily(found, first + rest / counts, counts)


def as_losses(name: str, losses: npt.ArrayLike) -> Floats:
    """Losses as float64 of shape (n,); ValueError, which names them, for another shape or when one is not finite."""
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds values that are not finite")
    return values


def _days(times: npt.ArrayLike) -> Array:
    values = np.asarray(times)
    if values.dtype.kind == "M":
        days = values.astype("datetime64[D]")
        if np.isnat(days).any():
            raise ValueError("times must not be missing")
        return days
    if values.dtype.kind not in "iuf":
        raise ValueError(f"times must be datetime64 or numbers of days, not {values.dtype}")
    if not np.isfinite(values).all():
        raise ValueError("times must not be missing")
    numbers: Array = np.floor(values).astype(np.int64)
    return numbers.astype("datetime64[D]")
