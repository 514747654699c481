"""How much more likely is what was seen, had there been a change of a given size, than had there been none?

Such a ratio (a Bayes factor) turns into a probability once it is said how likely a change was before. It speaks both
ways: a window that is too small to show a change gives a ratio near one, however quiet it looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trimtab.measure.columns.aspects import Aspect
from trimtab.measure.columns.drift import ColumnDrift

_MOST = 700.0    # beyond, exp overflows, and nobody asks for such odds


def of_drift(columns: Sequence[ColumnDrift], size: float, *, aspect: str = "psi") -> float:
    """Logarithm of the ratio for: in one of these columns, unknown which, PSI is `size`.

    Parameters
    ----------
    columns : sequence of ColumnDrift
        Those that were looked at; the ones that could not be tested are left out.
    size : float
        PSI, more than 0.
    aspect : str
        The one that PSI belongs to: psi, or words.

    Returns
    -------
    float
        nan where no column could be tested.

    Notes
    -----
    PSI · nm/(n + m), in effective numbers of records, is close to χ² with as many degrees of freedom as there are cells
    but one, and to noncentral χ² around size · nm/(n + m) where the shares differ by that. The ratio of the densities
    is exp(−λ/2) · ₀F₁(; ν/2; λx/4). Over columns it is averaged: each is as likely as another to be the one. What does
    not exceed the column's natural variation never speaks for a change.
    """
    tested = [column for column in columns if not math.isnan(column[aspect].p_value)]
    return _mean([_beyond_nature(column[aspect], _of_column(column, size)) for column in tested])


def _beyond_nature(found: Aspect, ratio: float) -> float:
    return ratio if found.size > found.floor else min(ratio, 0.0)


def _of_column(column: ColumnDrift, size: float) -> float:
    from scipy import special

    freedom = column.cells - 1
    records = freedom / column.psi_by_chance if column.psi_by_chance else 0.0
    if freedom < 1 or not records:
        return 0.0
    shift, seen = size * records, max(column.psi, 0.0) * records
    root = math.sqrt(shift * seen)
    if not root:
        return -shift / 2
    order = freedom / 2 - 1
    scaled = float(special.ive(order, root))    # I(root) · exp(−root)
    if not scaled:    # a large order and a small root: the first term of the series
        return -shift / 2
    return -shift / 2 + float(special.gammaln(freedom / 2)) - order * math.log(root / 2) + math.log(scaled) + root


def of_difference(found: float, standard_error: float, size: float) -> float:
    """Logarithm of the ratio for: the true difference is `size` or, where more was found, what was found.

    Parameters
    ----------
    found, standard_error : float
        A difference and its standard error; nan where there is none.
    size : float
        In the same unit, more than 0.

    Examples
    --------
    >>> of_difference(0.0, 0.1, 0.3) < -4 < 4 < of_difference(0.3, 0.1, 0.3)
    True
    """
    if math.isnan(found) or not standard_error > 0:
        return math.nan
    true = max(size, found)
    return (true * found - true**2 / 2) / standard_error**2


def of_one_among(ratios: Sequence[float]) -> float:
    """Logarithm of the ratio for: there is a change in one of these, each as likely as another.

    Parameters
    ----------
    ratios : sequence of float
        Logarithms, one of each; those that are nan are left out.

    Returns
    -------
    float
        nan of none.

    Examples
    --------
    >>> round(of_one_among([math.log(5.0), math.log(1.0), math.nan]), 4) == round(math.log(3.0), 4)
    True
    """
    return _mean([ratio for ratio in ratios if not math.isnan(ratio)])


def probability(ratios: Sequence[float]) -> float:
    """Probability of a change in one of several respects, if that was as likely as none before anything was seen.

    Parameters
    ----------
    ratios : sequence of float
        Logarithms; nan where a respect could not be looked at, which then says nothing for either side.

    Returns
    -------
    float
        In [0, 1]; one half without any evidence.

    Examples
    --------
    >>> probability([math.nan]), round(probability([math.log(3.0)]), 2)
    (0.5, 0.75)
    """
    known = [ratio if not math.isnan(ratio) else 0.0 for ratio in ratios]
    joint = _mean(known)
    return 0.5 if math.isnan(joint) else float(1 / (1 + math.exp(-min(max(joint, -_MOST), _MOST))))


def _mean(logarithms: Sequence[float]) -> float:
    """Logarithm of the mean; nan of none."""
    if not logarithms:
        return math.nan
    largest = max(logarithms)
    return float(largest + math.log(np.mean(np.exp(np.array(logarithms) - largest))))


def of_p_value(p_value: float) -> float:
    """The largest probability that a p-value allows for a change, at even odds before: it could be less, not more.

    Returns
    -------
    float
        From 0.5 on, for p-values of 1/e and above and for nan, to 1.

    Notes
    -----
    No alternative makes a p-value more than 1 / (−e p ln p) times as likely as no change does (T. Sellke, M. Bayarri
    and J. Berger, 2001, Calibration of p values for testing precise null hypotheses).

    Examples
    --------
    >>> round(of_p_value(0.05), 2), round(of_p_value(0.005), 2), of_p_value(0.5)
    (0.71, 0.93, 0.5)
    """
    if math.isnan(p_value) or p_value >= 1 / math.e:
        return 0.5
    return 1.0 if p_value <= 0 else 1 / (1 - math.e * p_value * math.log(p_value))
