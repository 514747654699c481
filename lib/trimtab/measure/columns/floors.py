"""How far is each stretch of days from all others, so that one more that is as far is no news?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences

MOST_STRETCHES = 60

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches of a reference, all of one length, that begin at regular distances.

    Attributes
    ----------
    starts : array of int, shape (stretches,)
        The place of each one's first day.
    length : int
        Days of each.
    """

    starts: npt.NDArray[np.intp]
    length: int

    @classmethod
    def of(cls, days: int, length: int) -> Stretches:
        """At most `MOST_STRETCHES` stretches of so many days; `length` is at most `days`."""
        return cls(np.unique(np.linspace(0, days - length, MOST_STRETCHES).astype(np.intp)), length)

    def sums(self, matrix: npt.NDArray[np.generic]) -> tuple[Floats, Floats]:
        """Counts of each stretch, and of all days outside of it.

        Parameters
        ----------
        matrix : array, shape (days, …)
            Counts of each day.

        Returns
        -------
        inside, outside : array of float, shape (stretches, …)

        Examples
        --------
        >>> inside, outside = Stretches.of(3, 2).sums(np.array([[1], [10], [100]]))
        >>> inside.ravel().tolist(), outside.ravel().tolist()
        ([11.0, 110.0], [100.0, 1.0])
        """
        whole = np.concatenate([np.zeros((1, *matrix.shape[1:])), np.cumsum(matrix, axis=0, dtype=float)])
        inside = whole[self.starts + self.length] - whole[self.starts]
        return inside, whole[-1] - inside


def psi_beyond_chance(inside: Floats, outside: Floats) -> Floats:
    """PSI of each stretch against the rest, less what two samples of their sizes would show by chance.

    Parameters
    ----------
    inside, outside : array of float, shape (stretches, cells)
        Cells without any record in all of them do not count.

    Returns
    -------
    array of float, shape (stretches,)
        Below 0 where chance alone gives more; all 0 without records.

    Examples
    --------
    >>> inside, outside = np.array([[50.0, 50.0], [90.0, 10.0]]), np.array([[500.0, 500.0], [460.0, 540.0]])
    >>> psi_beyond_chance(inside, outside).round(2).tolist()
    [-0.01, 1.0]
    """
    used = (inside + outside).sum(axis=0) > 0
    if not used.any():
        return np.zeros(len(inside))
    p, q = (side[:, used] + divergences.SMOOTHING for side in (outside, inside))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    n, m = (np.maximum(side.sum(axis=1), 1) for side in (outside, inside))
    found: Floats = ((q - p) * np.log(q / p)).sum(axis=1) - (used.sum() - 1) * (1 / n + 1 / m)
    return found


def divergence_beyond_chance(inside: Floats, outside: Floats) -> Floats:
    """`sparse.divergence` of each stretch from the rest, less what chance gives; parameters as above.

    Examples
    --------
    >>> inside, outside = np.array([[50.0, 50.0], [90.0, 10.0]]), np.array([[500.0, 500.0], [460.0, 540.0]])
    >>> divergence_beyond_chance(inside, outside).round(2).tolist()
    [-0.01, 0.76]
    """
    both = (inside + outside).sum(axis=0)
    used = both > 0
    if not used.any():
        return np.zeros(len(inside))
    n, m = (np.maximum(side.sum(axis=1), 1) for side in (outside, inside))
    apart = inside[:, used] / m[:, None] - outside[:, used] / n[:, None]
    held = (inside + outside)[:, used] / (n + m)[:, None]
    found: Floats = (apart**2 / held).sum(axis=1) - (used.sum() - 1) * (1 / n + 1 / m)
    return found
