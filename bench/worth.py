"""What was a loop of retrainings worth, beside the first model and one that is made anew each month?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plays import Story
from show import bar

import trimtab as tt
from trimtab.act import estimators


def worth(story: Story, params: Path, until: str) -> dict[str, Any]:
    """By month, the metric of what served, of the first model, and of one made anew each month from all there is.

    And what a third of the latter come to, each for some months, when the months are chosen by hindsight.
    """
    session = tt.open(params, as_of=until)
    served = [(change["as_of"], change["to_version"]) for change in session.ledger.succession.changes()]
    models = {version: session.model(version).estimator for _, version in served}
    first = served[0][1]
    months = [pd.Timestamp(story.made), *pd.date_range(story.made, until, freq="MS", inclusive="neither")]
    rows, every, by_month = [], [], []
    for start, end in pairwise([*months, pd.Timestamp(until)]):
        window = session.records.between("month", start.to_pydatetime(), end.to_pydatetime())
        frame = session.frame(window, labelled=True)
        if frame.empty:
            continue
        every.append(_anew(params, start))
        time, features = frame[session.params.data.time], _features(session, frame)
        who = np.array([max((one for one in served if one[0] <= at), default=served[0])[1] for at in time])
        said = {version: models[version].predict(features) for version in {first, *who}}
        loop = np.choose(np.searchsorted(sorted(said), who), [said[version] for version in sorted(said)])
        truth = frame[session.params.data.label].to_numpy()
        by_month.append([_value(story.metric, truth, model.predict(features)) for model in every])
        rows.append({
            "month": f"{start:%Y-%m}", "records": len(frame), "loop": _value(story.metric, truth, loop),
            "static": _value(story.metric, truth, said[first]), "monthly": by_month[-1][-1]})
    session.close()
    monthly = len(rows) - 1
    hindsight = by_hindsight(by_month, [row["records"] for row in rows], monthly // 3, least=story.metric == "mae")
    return {"metric": story.metric, "months": rows, "monthly": monthly, "hindsight": hindsight}


def by_hindsight(values: Sequence[Sequence[float]], records: Sequence[int], changes: int, *, least: bool) -> float:
    """The best mean that so many changes of model can come to, when all that comes is known.

    Parameters
    ----------
    values : sequence of sequence of float
        By month, the metric of each model that has been made by then; the month's own is the last.
    records : sequence of int
        By month.
    least : bool
        Whether less is better.

    Examples
    --------
    >>> by_hindsight([[0.9], [0.8, 0.9], [0.5, 0.8, 0.9]], [1, 1, 1], 1, least=False)
    0.8666666666666667
    """
    better, months = (min if least else max), len(values)
    worst = np.inf if least else -np.inf
    rest = np.full((changes + 1, months + 1), worst)    # by changes left: the best total from a month on, by its model
    rest[:, months] = 0.0
    for left in range(changes + 1):
        for made in reversed(range(months)):
            total = 0.0
            for month in range(made, months):
                total += values[month][made] * records[month]
                after = 0.0 if month + 1 == months else rest[left - 1, month + 1] if left else worst
                rest[left, made] = better(rest[left, made], total + after)
    return float(rest[changes, 0] / sum(records))


def _anew(params: Path, month: pd.Timestamp) -> Any:
    """A model from all labelled records of the training window, as of the beginning of a month."""
    session = tt.open(params, as_of=f"{month:%F}")
    settings = session.params
    training, holdout = session.training_windows()
    whole = session.records.between("all", training.start, holdout.end, labelled=True)
    frame = session.frame(whole, labelled=True)
    model = estimators.build(next(iter(settings.estimator.named().values())), settings.data, settings.task)
    fitted = model.fit(_features(session, frame), frame[settings.data.label].to_numpy())
    session.close()
    return fitted


def _features(session: Any, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[list(session.params.data.features)]


def _value(metric: str, truth: np.ndarray[Any, Any], said: np.ndarray[Any, Any]) -> float:
    return float(np.mean(np.abs(truth - said)) if metric == "mae" else np.mean(truth == said))


def is_share(worth: Mapping[str, Any]) -> bool:
    """Whether the metric is a share of right answers, not an error."""
    return bool(worth["metric"] == "accuracy")


def mean_of(worth: Mapping[str, Any], arm: str) -> float:
    """Of an arm over all records."""
    months = worth["months"]
    return float(np.average([one[arm] for one in months], weights=[one["records"] for one in months]))


def bars_of(name: str, worth: Mapping[str, Any], trained: int) -> list[dict[str, str]]:
    """What was promised of it, and what came, with so many challengers trained."""
    loop, static, monthly = (mean_of(worth, arm) for arm in ("loop", "static", "monthly"))
    last, most = worth["months"][-1], worth["monthly"] / 3
    fewer = bar(f"{name}: retrainings, beside one each month", f"at most {most:.1f}", str(trained),
                met=trained <= most)
    if not is_share(worth):
        return [
            bar(f"{name}: mean error below that of the first model", "50 %", f"{1 - loop / static:.0%}",
                met=loop <= static / 2),
            bar(f"{name}: mean error beside one made anew each month", "at most 10 % more",
                f"{loop / monthly - 1:+.1%}", met=loop <= 1.1 * monthly),
            fewer,
        ]
    gain = last["loop"] - last["static"]
    return [
        bar(f"{name}: accuracy above that of the first model, at the end", "15 pp", f"{100 * gain:.1f} pp",
            met=gain >= 0.15),
        bar(f"{name}: mean accuracy beside one made anew each month", "at most 10 % less",
            f"{loop / monthly - 1:+.1%}", met=loop >= 0.9 * monthly),
        fewer,
    ]


def rows_of(worth: Mapping[str, Any], trained: int, promoted: int) -> list[list[str]]:
    """Rows of a story's table."""
    last = worth["months"][-1]
    words = {"loop": "with Trimtab", "static": "the first model", "monthly": "made anew each month"}
    mean = ", ".join(f"{words[arm]} {mean_of(worth, arm):.3g}" for arm in words)
    end = ", ".join(f"{words[arm]} {last[arm]:.3g}" for arm in words)
    if is_share(worth):
        wrong, least = (1 - mean_of(worth, arm) for arm in ("loop", "monthly"))
        mean += f"; that is {wrong / least - 1:+.0%} wrong answers beside the last"
    third = worth["monthly"] // 3
    return [["in the mean", mean],
            [f"{third} of the {worth['monthly']} made anew, their months chosen by hindsight",
             f"{worth['hindsight']:.3g}, than which no others do better"],
            [f"at the end ({last['month']})", end],
            ["models trained",
             f"{trained} with Trimtab, of which {promoted} were promoted; {worth['monthly']} anew each month"]]
