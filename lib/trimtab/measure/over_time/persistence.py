"""How much does one day take after the day before, and how uncertain does that leave a mean or a slope?

Days are no independent draws: bad weather stays, a broken feed is mended the day after. Tests that forget this see
drift where there is none: with a correlation of 0.4 from one day to the next a mean's variance is (1 + 0.4) / (1 - 0.4)
= 2.3 times as large, so that a test at 5 % gives 20 % false alarms. Here the correlation is phi to the power of the
number of days between (autoregression of first order). phi is not estimated once but averaged over, each weighted by
how well it explains the days: with few days little is known about it, and the answer is the wider for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

# Days that take turns (a negative phi) would only make results surer; that is not claimed.
PHI = np.linspace(0.0, 0.95, 20)

# Of what a day's records are supposed to add for themselves: nothing, a tenth, all of it.
_SHARES = (0.0, 0.1, 1.0)
_SLIGHT = 0.02      # own variance that is not worth asking how large it is
_FORGOTTEN = 500    # days: 0.95 to the power of so many is nothing


@dataclass(frozen=True, eq=False)
class Persistence:
    """A regression on days whose errors persist, once for each phi and share of own variance of a grid.

    Attributes
    ----------
    phis, shares
        Shape (grid,): correlation from one day to the next of what persists, and how much of the days' supposed own
        variance they have.
    weights
        Shape (grid,): how credible each pair is, of sum 1.
    estimates, errors
        Shape (grid,): coefficient of the design's last column under each pair, and its standard error.
    freedom
        Degrees of freedom: days less columns.
    """

    phis: Floats
    shares: Floats
    weights: Floats
    estimates: Floats
    errors: Floats
    freedom: int

    @property
    def phi(self) -> float:
        """Expected correlation from one day to the next, from 0 to 0.95 inclusive."""
        return float(self.weights @ self.phis)

    @property
    def share(self) -> float:
        """Expected share of the days' supposed own variance, from 0 to 1 inclusive."""
        return float(self.weights @ self.shares)


@dataclass(frozen=True, eq=False)
class Mixture:
    """What is known of a quantity: shifted and scaled Student distributions, one for each phi, by their weights.

    Parameters
    ----------
    weights, centres, errors, freedom
        Shape (grid,); errors 0 or more.
    """

    weights: Floats
    centres: Floats
    errors: Floats
    freedom: Floats

    def below(self, at: float) -> float:
        """Share of the distribution below a value."""
        from scipy import special

        with np.errstate(divide="ignore", invalid="ignore"):    # a quantity that is known exactly has no error
            distances = (at - self.centres) / self.errors
        distances[np.isnan(distances)] = 0.0
        return float(self.weights @ special.stdtr(self.freedom, distances))

    def p_value(self) -> float:
        """Two-sided p-value of zero; below 1 - confidence exactly when the bounds leave out zero."""
        share = self.below(0.0)
        return min(1.0, 2 * min(share, 1 - share))

    def bounds(self, confidence: float) -> tuple[float, float]:
        """Range with equal shares of the distribution left out below and above."""
        from scipy import optimize, special

        tail = (1 - confidence) / 2
        # A mixture's quantile lies between those of its parts.
        reach = special.stdtrit(self.freedom, 1 - tail) * self.errors
        found = []
        for share, ends in ((tail, self.centres - reach), (1 - tail, self.centres + reach)):
            low, high = float(ends.min()), float(ends.max())
            pad = 1e-9 * float(reach.max())

            def _missing(at: float, share: float = share) -> float:
                return self.below(at) - share

            found.append(float(optimize.brentq(_missing, low - pad, high + pad)))
        return found[0], found[1]


def regress(positions: Positions, values: Floats, design: Floats, own: Floats) -> Persistence:
    """Generalised least squares of values on a design, with errors that persist from day to day.

    Parameters
    ----------
    positions
        Shape (n,): day numbers, strictly increasing.
    values
        Shape (n,), not an exact function of the design.
    design
        Shape (n, k) of rank k below n.
    own
        Shape (n,): variance that each day is supposed to have for itself, 0 or more, as a multiple of that which
        persists. Unless it is slight everywhere, the days say how much of it they have: nothing, a tenth or all.

    Notes
    -----
    Credible is what makes the restricted likelihood large, all of the grid being equally likely beforehand: A. Zellner
    and G. Tiao, Bayesian analysis of the regression model with autocorrelated errors, J. Am. Stat. Assoc. 59 (1964).

    Examples
    --------
    >>> days = np.arange(100)
    >>> values = np.sin(days / 3.0)    # goes on for days as it began
    >>> found = regress(days, values, np.ones((100, 1)), np.zeros(100))
    >>> found.phi > 0.8
    True
    """
    shares = _SHARES if own.max() > _SLIGHT else _SHARES[-1:]
    phis, had = (side.ravel() for side in np.meshgrid(PHI, shares, indexing="ij"))
    likelihood, estimates, errors = _fits(np.column_stack([design, values]), np.diff(positions), phis, had, own)
    weights = np.exp(likelihood - likelihood.max())
    return Persistence(phis, had, weights / weights.sum(), estimates, errors, len(values) - design.shape[1])


def _fits(
    rows: Floats, gaps: Positions, phis: Floats, shares: Floats, own: Floats
) -> tuple[Floats, Floats, Floats]:
    """Restricted log likelihood, coefficient of the last column and its standard error, by phi and share."""
    white, log_determinant = _whitened(rows, gaps, phis, np.outer(shares, own))
    design, values = white[:, :, :-1], white[:, :, -1:]
    information = design.transpose(0, 2, 1) @ design
    inverse = np.linalg.inv(information)
    coefficients = inverse @ (design.transpose(0, 2, 1) @ values)
    squares = ((values - design @ coefficients) ** 2).sum(axis=(1, 2))
    freedom = rows.shape[0] - rows.shape[1] + 1
    likelihood = -0.5 * (log_determinant + np.linalg.slogdet(information)[1] + freedom * np.log(squares))
    return likelihood, coefficients[:, -1, 0], np.sqrt(squares / freedom * inverse[:, -1, -1])


def _whitened(rows: Floats, gaps: Positions, phis: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """What `innovations` gives, for several phis at once: day by day, since only the day before says anything.

    Parameters
    ----------
    rows
        Shape (n, columns).
    gaps
        Shape (n - 1,): days from each to the next.
    phis
        Shape (grid,).
    noise
        Shape (grid, n): variance that each day has for itself.

    Returns
    -------
    innovations
        Shape (grid, n, columns).
    log_determinant
        Shape (grid,), of the covariances.

    Notes
    -----
    The filter of R. E. Kalman, A new approach to linear filtering and prediction problems (1960).
    """
    steps = phis[:, None] ** gaps
    foretold, unsure = np.zeros((len(phis), rows.shape[1])), np.ones(len(phis))
    white, variances = np.empty((len(phis), *rows.shape)), np.empty_like(noise)
    for day, row in enumerate(rows):
        if day:
            step = steps[:, day - 1]
            foretold *= step[:, None]
            unsure = 1 - step**2 * (1 - unsure)
        variance = unsure + noise[:, day]
        surprise = row - foretold
        white[:, day], variances[:, day] = surprise / np.sqrt(variance)[:, None], variance
        foretold += (unsure / variance)[:, None] * surprise
        unsure = unsure * noise[:, day] / variance
    return white, np.log(variances).sum(axis=1)


def innovations(rows: Floats, covariance: Floats) -> tuple[Floats, float]:
    """Take from each row what those before it foretell, and scale what is left to variance 1.

    Parameters
    ----------
    rows
        Shape (n, columns).
    covariance
        Shape (n, n), of the rows, positive definite.

    Returns
    -------
    innovations
        Shape (n, columns): independent where the rows have this covariance.
    log_determinant
        Of the covariance.

    Examples
    --------
    >>> values, _ = innovations(np.array([[1.0], [0.6], [0.36]]), powers(0.6)[distances(np.arange(3), np.arange(3))])
    >>> (values + 0.0).round(12).tolist()
    [[1.0], [0.0], [0.0]]
    """
    from scipy import linalg

    root = np.linalg.cholesky(covariance)
    white: Floats = linalg.solve_triangular(root, rows, lower=True)
    return white, 2 * float(np.log(np.diag(root)).sum())


def distances(rows: Positions, columns: Positions) -> Positions:
    """Days between each of some and each of others, shape (rows, columns), as indices for `powers`."""
    apart: Positions = np.minimum(np.abs(np.subtract.outer(rows, columns)), _FORGOTTEN)
    return apart


def powers(phi: float) -> Floats:
    """Correlation of two days by the number of days between them."""
    correlations: Floats = np.power(phi, np.arange(_FORGOTTEN + 1))
    return correlations


def check_confidence(confidence: float) -> None:
    """ValueError unless between 0 and 1, both excluded."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, both excluded, not {confidence}")
