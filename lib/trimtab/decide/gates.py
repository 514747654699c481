"""What must hold of a challenger whatever its figures are? That they are fair, and that it can serve."""

from __future__ import annotations

from datetime import datetime

from trimtab.decide.guardrails import Check
from trimtab.settings.promotion import SmokeLimits
from trimtab.wording import plural


def leakage(*, trained_until: datetime, holdout_from: datetime, shared: int | None) -> Check:
    """Whether no record of the holdout was trained on.

    Parameters
    ----------
    trained_until, holdout_from : datetime
        Training ends before, the holdout begins at.
    shared : int or None
        Records of the holdout whose id is among those of the training; None where records have no id. Equal values
        are no sign by themselves: many records may rightly look alike.

    Examples
    --------
    >>> leakage(trained_until=datetime(2013, 5, 1), holdout_from=datetime(2013, 5, 1), shared=3).passed
    False
    """
    if holdout_from < trained_until:
        told = f"the holdout begins at {holdout_from:%Y-%m-%d %H:%M}, before training ended"
        return Check("no_leakage", False, f"{told} ({trained_until:%Y-%m-%d %H:%M})")
    if shared is None:
        return Check("no_leakage", True, "the holdout begins where training ended; copies under "
                     "another time cannot be told without data.id")
    if shared:
        told = plural(shared, "record of the holdout was", "records of the holdout were")
        return Check("no_leakage", False, f"{told} trained on as well")
    return Check("no_leakage", True, "the holdout begins where training ended, and shares no record with it")


def can_serve(limits: SmokeLimits, *, load_seconds: float, latency: float, megabytes: float, rows: int) -> Check:
    """Whether a model that was tried out keeps to the limits.

    Parameters
    ----------
    limits : SmokeLimits
        The params file's section.
    load_seconds, latency : float
        Until it was loaded, and for one record, in seconds.
    megabytes : float
        Of its files.
    rows : int
        Records that it predicted.

    Examples
    --------
    >>> can_serve(SmokeLimits(max_megabytes=1), load_seconds=0.1, latency=0.01, megabytes=3.2, rows=100).evidence
    'its files have 3.2 MB, at most 1 MB are allowed'
    """
    measured = (
        ("loading took", load_seconds, limits.max_load.total_seconds(), "s"),
        ("one record took", latency * 1000, limits.max_latency.total_seconds() * 1000, "ms"),
        ("its files have", megabytes, limits.max_megabytes, "MB"),
    )
    broken = [f"{words} {value:.3g} {unit}, at most {most:g} {unit} are allowed"
              for words, value, most, unit in measured if value > most]
    told = (f"loaded in a fresh process in {load_seconds:.2g} s, predicted {plural(rows, 'record')}, "
            f"{latency * 1000:.3g} ms for one alone, {megabytes:.3g} MB")
    return Check("can_serve", not broken, "; ".join(broken) or told)
