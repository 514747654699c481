"""Do current records still fit the pattern that the reference's columns make together?

Principal components are fitted on the reference, and records are rebuilt from the first few of them. A record that does
not follow the reference's pattern is rebuilt badly. Where columns are related, this sees relations that broke, of
however many columns; where they are not, there is no pattern to break, and the test has little power. So it is a second
view beside `domain`, not in its place. A smaller error is news too: the pattern is followed more closely than before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.aspects import SMALLEST_SAMPLE
from trimtab.measure.together import discriminant
from trimtab.measure.together.discriminant import MOST_RECORDS, TOO_FEW
from trimtab.measure.together.features import features
from trimtab.measure.together.samples import Sample

Floats = npt.NDArray[np.float64]

_DIGITS = 9
_STREAM = 4    # of random numbers, apart from those that draw records by the same seed


@dataclass(frozen=True)
class Reconstruction:
    """How well current records are rebuilt from the reference's principal components.

    Attributes
    ----------
    reference_error, current_error : float
        Mean Euclidean distance between a record and what is rebuilt of it, 0 or more, in standard deviations of a
        column; of records that the components were not fitted on. nan when not tested.
    effect : float
        Their difference, current minus reference, in standard deviations of the reference's errors. nan when not
        tested, and when the reference's errors are all equal.
    p_value : float
        Two-sided, of equal errors; nan when not tested.
    components : int
        Components that were used; 0 when not tested.
    reference_rows, current_rows : int
        Records that were used. Half of the reference's are those that the components were fitted on.
    note : str
        Why there is nothing, or no effect; else empty.
    """

    reference_error: float
    current_error: float
    effect: float
    p_value: float
    components: int
    reference_rows: int
    current_rows: int
    note: str = ""


def reconstruct(
    reference: Sample, current: Sample, *, seed: int = 0, most: int = MOST_RECORDS, explained: float = 0.7
) -> Reconstruction:
    """Compare how well both samples are rebuilt from components that were fitted on half of the reference.

    Parameters
    ----------
    reference, current : Sample
        By the same bins, which were frozen on the reference. Below 30 records on either side nothing is tested.
    seed : int
        Of the half, and of the records that are drawn where a side has more than `most`.
    most : int
        Records used per side, at least 30.
    explained : float
        Share of the variance that the components must explain, in (0, 1). At least one direction is left out.

    Raises
    ------
    ValueError
        When the samples have different columns or bins, or a setting is out of range.

    Notes
    -----
    The other half of the reference and the current sample are then both new to the components, so without drift their
    errors are of one distribution, and the Mann-Whitney test of them is exact up to its normal approximation. Fitting
    on each half in turn would reject too often: where the halves happen to differ, the errors of both rise.

    Source of the error as a measure: J. E. Jackson and G. S. Mudholkar, Control procedures for residuals associated
    with principal component analysis, Technometrics 21 (1979).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def sample(codes):
    ...     return Sample(("x", "y", "z"), ("numeric",) * 3, (10,) * 3, codes)
    >>> together = sample(np.repeat(rng.integers(0, 10, (300, 1)), 3, axis=1))
    >>> found = reconstruct(together, sample(rng.integers(0, 10, (300, 3))))
    >>> found.p_value < 0.001, found.current_error > found.reference_error
    (True, True)
    """
    if most < SMALLEST_SAMPLE or not 0 < explained < 1:
        raise ValueError(f"most must be at least {SMALLEST_SAMPLE}, explained in (0, 1)")
    made = features(reference.thinned(most, seed=seed), current.thinned(most, seed=seed), seed=seed)
    rows = int((~made.current).sum()), int(made.current.sum())
    note = TOO_FEW if min(rows) < SMALLEST_SAMPLE else "fewer than two features vary" if len(made.values) < 2 else ""
    if note:
        return Reconstruction(math.nan, math.nan, math.nan, math.nan, 0, *rows, note=note)
    fitted_on = np.zeros(sum(rows), dtype=bool)
    fitted_on[np.random.default_rng([seed, _STREAM]).choice(rows[0], rows[0] // 2, replace=False)] = True
    train = made.values[:, fitted_on].astype(np.float64)
    centre = train.mean(axis=1, keepdims=True)
    basis = _components(train - centre, explained)
    errors, side = _errors(made.values[:, ~fitted_on] - centre, basis), made.current[~fitted_on]
    before, after = errors[~side], errors[side]
    spread, gap = float(before.std(ddof=1)), float(after.mean() - before.mean())
    return Reconstruction(
        reference_error=float(before.mean()), current_error=float(after.mean()),
        effect=gap / spread if spread > 0 else math.nan,
        p_value=math.erfc(abs(discriminant.beyond_chance(errors, side)) / math.sqrt(2)),
        components=basis.shape[1], reference_rows=rows[0], current_rows=rows[1],
        note="" if spread > 0 else "the reference's records are all rebuilt alike",
    )


def _components(centred: Floats, explained: float) -> Floats:
    """The fewest leading directions that explain enough of the variance, shape (features, components)."""
    variances, directions = np.linalg.eigh(centred @ centred.T)
    shares = np.cumsum(np.clip(variances[::-1], 0, None))
    fewest = int(np.searchsorted(shares, explained * shares[-1])) + 1
    return directions[:, ::-1][:, : min(fewest, len(directions) - 1)]


def _errors(centred: Floats, basis: Floats) -> Floats:
    """Distance of each record from what is rebuilt of it, shape (n,).

    Rounded, for the rounding of a matrix product depends on where a record stands, and equal records must tie.
    """
    distances: Floats = np.linalg.norm(centred - basis @ (basis.T @ centred), axis=0)
    return distances.round(_DIGITS)
