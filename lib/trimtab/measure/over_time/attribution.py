"""Is the error worse because other records come in, or because the same records now end differently?

A model may lose accuracy although nothing is wrong with what it learned: more hard records come in. Retraining then
helps little. Or outcomes no longer follow the inputs as they did, which is concept drift. The part of a realised change
that was to be expected from the inputs alone is set apart; what is left is due to the relation of outcome and inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from trimtab.measure.models.intervals import Interval

Verdict = Literal["inputs", "concept", "both", "neither", "unknown"]


@dataclass(frozen=True)
class Attribution:
    """A realised change of a metric in two parts, in units of the metric.

    Attributes
    ----------
    realised : float
        The whole change.
    explained : float
        The change that was expected from the inputs alone.
    left : float
        Realised minus explained: the part that is due to the relation of outcome and inputs.
    low, high : float
        Interval of what is left, both ends included; nan when an interval that it rests on is not known.
    confidence : float
        Of that interval.
    verdict : str
        ``inputs``: a change was expected from the inputs, and nothing else is shown. ``concept``: the inputs explain no
        change, and yet there is one. ``both``: each part is shown, perhaps one `against` the other. ``neither``: no
        change is shown. ``unknown``: the metric has changed, but neither part can be told from chance; or it went the
        other way than was expected from the inputs, by no more than chance; or an interval is nan.
    """

    realised: float
    explained: float
    left: float
    low: float
    high: float
    confidence: float
    verdict: Verdict

    @property
    def against(self) -> bool:
        """Whether both parts are shown and go opposite ways: the inputs alone explain none of the change, or too much.

        Examples
        --------
        >>> expected = Interval(-0.2, -0.25, -0.15, 0.95, 0.02)
        >>> [attribute(Interval(x, x, x, 0.95, 0.0), expected).against for x in (0.4, -0.1, -0.2, -0.4)]
        [True, True, False, False]
        """
        return self.verdict == "both" and self.explained * self.left < 0


def attribute(realised: Interval, expected: Interval, *, smallest: float = 0.0) -> Attribution:
    """Tell a change of the relation of outcome and inputs from a mere change of the inputs.

    Parameters
    ----------
    realised
        Change of a metric from a baseline to now, measured on known outcomes.
    expected
        The change from the same baseline that was to be expected if outcomes still followed the inputs as they did:
        a label-free estimate (probabilities of a calibrated model, or a re-weighted holdout) minus the baseline.
    smallest
        The smallest change that matters, 0 or more, in units of the metric: a part that is shown and smaller does not
        enter the verdict.

    Returns
    -------
    Attribution
        With verdict ``unknown`` when an end of either interval is nan.

    Raises
    ------
    ValueError
        When the two intervals differ in their confidence, or smallest is below 0 or nan.

    Notes
    -----
    The interval of what is left is made from the ends of the two (G. Zou and A. Donner, Construction of confidence
    limits about effect measures, Statistics in Medicine, 2008), taking them as independent. Where both share the noise
    of one baseline, as they mostly do, it is too wide rather than too narrow. It is too wide as well where `expected`
    already covers what is realised on these very records: then pass `realised` with both ends at its value.

    "Inputs" rests on the estimate's own assumptions: the relation must be known where the records now lie. Inputs that
    the model does not see change the relation as far as can be told from here.

    Examples
    --------
    >>> realised = Interval(0.10, 0.06, 0.14, 0.95, 0.02)
    >>> attribute(realised, Interval(0.09, 0.07, 0.11, 0.95, 0.01)).verdict
    'inputs'
    >>> found = attribute(realised, Interval(0.01, -0.01, 0.03, 0.95, 0.01))
    >>> found.verdict, round(found.left, 3), round(found.low, 3), round(found.high, 3)
    ('concept', 0.09, 0.045, 0.135)
    """
    if realised.confidence != expected.confidence:
        raise ValueError(f"intervals of different confidence: {realised.confidence} and {expected.confidence}")
    if not smallest >= 0:
        raise ValueError(f"smallest must be 0 or more, not {smallest}")
    left = realised.value - expected.value
    low = left - math.hypot(realised.value - realised.low, expected.high - expected.value)
    high = left + math.hypot(realised.high - realised.value, expected.value - expected.low)
    verdict = _verdict(
        changed=_shown(realised.value, realised.low, realised.high, smallest),
        inputs=_shown(expected.value, expected.low, expected.high, smallest),
        concept=_shown(left, low, high, smallest),
        alike=realised.value * expected.value > 0,
    )
    return Attribution(realised.value, expected.value, left, low, high, realised.confidence, verdict)


def _shown(value: float, low: float, high: float, smallest: float) -> bool | None:
    """Whether a change is told from chance and large enough to matter; None where its interval is not known."""
    if math.isnan(low) or math.isnan(high):
        return None
    return (low > 0 or high < 0) and abs(value) >= smallest


def _verdict(*, changed: bool | None, inputs: bool | None, concept: bool | None, alike: bool) -> Verdict:
    """From what is shown, and whether the change is of the sign that was expected from the inputs."""
    if changed is None or inputs is None or concept is None:
        return "unknown"
    if inputs and concept:
        return "both"
    if inputs:
        return "inputs" if alike else "unknown"
    if concept:
        return "concept"
    return "unknown" if changed else "neither"
