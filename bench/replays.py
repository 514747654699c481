"""What does a check say of a month, and what came of it? A champion is made once and then watched, never retrained.

A month is checked as it was, or with something done to its records: outcomes exchanged, classes thinned out, the most
important column shuffled. Each check runs in a dry session on the home in which the champion was made, so that none
leaves anything behind for the next.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import whole

import trimtab as tt
from trimtab.decide import signals as rules
from trimtab.decide.signals import FAMILIES, Measurement, Signal
from trimtab.measure.models.metrics import METRICS, evaluate
from trimtab.measure.models.outputs import Outputs
from trimtab.plain import plain
from trimtab.run import answered
from trimtab.run.session import Session

ROOT = Path(__file__).resolve().parents[1]
SEED = 11

EVERYTHING, UNLABELLED = "all signals", "without labels"
WITHOUT_LABELS = (
    "inputs", "outputs", "estimated performance", "joint distribution", "rates and confidences", "segments"
)
LEFT_OUT = {    # of the kinds of evidence, for it is none; what all signals together ask for has it
    "unusable_outputs": "answers that cannot be used are counted, whatever came of the others",
    "label_completeness": "outcomes that are missing say nothing about those that came",
    "growth": "more of the same is the same",
    "new_records": "there are more of them in every month",
    "model_age": "a champion that is never retrained grows older",
    "schedule": "the calendar knows nothing of the records",
}


@dataclass(frozen=True)
class Story:
    """A champion and the months in which it is watched.

    Attributes
    ----------
    name : str
        Of the data set.
    params : str
        File under params/.
    made : str
        As of when the champion is made.
    months : tuple of str
        As of when it is checked, each time on the 30 days before.
    """

    name: str
    params: str
    made: str
    months: tuple[str, ...]


def _months(first: str, count: int) -> tuple[str, ...]:
    return tuple(f"{day:%Y-%m-%d}" for day in pd.date_range(first, periods=count, freq="MS"))


STORIES = (
    Story("flights", "demo.yaml", "2013-04-01", _months("2013-05-01", 9)),
    Story("bikes", "bikes.yaml", "2012-01-01", _months("2012-02-01", 12)),
    Story("bikes-summer", "bikes.yaml", "2014-07-01", _months("2014-08-01", 24)),
    Story("retail", "retail.yaml", "2010-03-01", _months("2010-04-01", 12)),
)


class Watched:
    """A story's champion in a home of its own.

    Parameters
    ----------
    story : Story
    home : Path
        Made anew.
    """

    def __init__(self, story: Story, home: Path) -> None:
        self.story, self.home = story, home
        (home / "params").mkdir(parents=True)
        shutil.copy(ROOT / "params" / story.params, home / "params")
        (home / "data").symlink_to(ROOT / "data")
        with_own_rules = self._open(story.made, {})
        self.own_triggers = tuple(with_own_rules.params.triggers)
        with_own_rules.close()
        self.session = self._open(story.made)
        contest = tt.lifecycle.first_champion(self.session)
        tt.lifecycle.appoint(self.session, contest, tt.lifecycle.judge(self.session, contest))
        self.kept, self.records = contest.outputs, contest.records

    def _open(self, as_of: str, overrides: dict[str, Any] | None = None, *, dry_run: bool = False) -> Session:
        """A session with the default triggers, whatever the params file says; its own are held against them later."""
        chosen = {"triggers": []} if overrides is None else overrides
        return tt.open(self.home / "params" / self.story.params, as_of=as_of, overrides=chosen, dry_run=dry_run)

    def close(self) -> None:
        """Give back what the session in which the champion was made has opened."""
        self.session.close()

    def check(self, month: str, table: Path | None = None) -> tuple[dict[str, Any], pd.DataFrame]:
        """Check one month.

        Returns
        -------
        dict
            What was found: see `_told`.
        DataFrame
            The records with what the champion said of them, for the peers.
        """
        overrides: dict[str, Any] = {"triggers": []} | ({"data.table": str(table)} if table else {})
        session = self._open(month, overrides, dry_run=True)
        checked = whole.check(session)
        told, scored = _told(session, checked, self.own_triggers), checked.scored
        shutil.rmtree(session.scratch, ignore_errors=True)
        session.close()
        assert scored.records is not None
        assert scored.outputs is not None
        return told, for_peers(scored.records, scored.outputs, self.columns, self.session.params.data.label)

    @property
    def columns(self) -> tuple[str, ...]:
        """The features."""
        return tuple(self.session.params.data.features)

    def most_important(self, rows: int = 5000) -> str:
        """The feature whose shuffling costs the champion most of its primary metric on the holdout."""
        rng = np.random.default_rng(SEED)
        frame = self.records.iloc[np.sort(rng.permutation(len(self.records))[:rows])]
        name = tt.checking.primary_metric(self.session.params)
        model, sign = self.session.champion, 1.0 if METRICS[name].greater_is_better else -1.0

        def _left(column: str) -> float:
            shuffled = frame.assign(**{column: rng.permutation(frame[column].to_numpy())})
            return sign * float(evaluate(name, answered.outputs(self.session, [model], shuffled)[0]))

        return min(self.columns, key=_left)

    def write_reference(self, folder: Path) -> None:
        """All that the champion was made from, and its holdout with what it said there, for the peers."""
        everything = self.session.frame(self.session.reference_window(), labelled=True)[list(self.columns)]
        everything.to_parquet(folder / "reference.parquet")
        label = self.session.params.data.label
        for_peers(self.records, self.kept, self.columns, label).to_parquet(folder / "holdout.parquet")

    def write_about(self, folder: Path, files: list[str]) -> None:
        """What the peers must know to read them."""
        data = self.session.params.data
        told = {
            "numeric": data.numeric, "categorical": data.categorical, "text": data.text, "files": files,
            "labels": [str(one) for one in self.kept.labels],
            "positive": None if self.kept.positive is None else str(self.kept.labels[self.kept.positive]),
        }
        (folder / "about.json").write_text(json.dumps(told))

    def injected(self, month: str) -> Iterator[tuple[str, Path]]:
        """Files in which the records of the window before a time are changed, one after the other."""
        data = self.session.params.data
        everything = pd.read_parquet(ROOT / data.table)
        everything = everything[everything[data.time] < pd.Timestamp(month)].reset_index(drop=True)
        now = everything.index[everything[data.time] >= pd.Timestamp(month) - pd.Timedelta(days=30)]
        column = self.most_important()
        for name, change in injections(column, str(data.label), classes=bool(self.kept.labels)).items():
            changed = change(np.random.default_rng([SEED, int(month[:4]), int(month[5:7])]), everything, now)
            path = self.home / f"{month} {name}.parquet".replace(" ", "-").replace("%", "")
            changed.to_parquet(path)
            yield name, path
            path.unlink()


def _told(session: Session, checked: whole.Checked, own: tuple[Any, ...]) -> dict[str, Any]:
    """What is known of a check: severities by kind, whether retraining is asked for, what came, what was estimated."""
    found, scored, estimates = checked.signals, checked.scored, checked.estimates
    drop = next(one for one in found if one.name == "performance_drop")
    told: dict[str, Any] = plain({
        "rows": scored.rows,
        "severities": {one.name: one.severity for one in found},
        "asked": _asked(session, found),
        "asked by own triggers": _asked(session, [_regraded(one, own) for one in found]),
        "causes": list(checked.decision.root_causes[:3]),
        "metric": tt.checking.primary_metric(session.params),
        "baseline": scored.baseline.overall() if scored.baseline else {},
        "realised": tt.checking.overall(scored),
        "drop": drop.value,
        "beyond chance": drop.p_value <= 0.05,
        "estimates": {
            name: {"value": one.value, "low": one.low, "high": one.high, "doubtful": [a.name for a in one.doubtful]}
            for name, one in estimates.first.items()
        },
        "ways": {way: one.value for way, one in estimates.others.items()},
    })
    return told


def _asked(session: Session, found: list[Signal]) -> dict[str, bool]:
    """Whether retraining is asked for by all signals, by those that need no labels, and by each kind of evidence."""
    chosen: dict[str, set[str]] = {
        EVERYTHING: {one.name for one in found},
        UNLABELLED: {name for kind in WITHOUT_LABELS for name in FAMILIES[kind]},
        **{kind: set(names) for kind, names in FAMILIES.items()},
    }
    return {
        kind: tt.decide([one for one in found if one.name in names], session.params).needs_retrain
        for kind, names in chosen.items()
    }


def _regraded(signal: Signal, own: tuple[Any, ...]) -> Signal:
    """A signal by a params file's own triggers, whose thresholds are not below the default ones."""
    mine = [trigger for trigger in own if trigger.signal == signal.name]
    if not mine:
        return signal
    measured = Measurement(
        signal.name, signal.value, signal.message, columns=signal.columns, p_value=signal.p_value,
        significant=signal.severity != "none", evidence=signal.evidence,
    )
    return rules.grade(measured, mine)


def for_peers(records: pd.DataFrame, outputs: Outputs, columns: tuple[str, ...], label: str | None) -> pd.DataFrame:
    """Records as other libraries take them: features, what was predicted, with which probabilities, and what came."""
    told = records[list(columns)].reset_index(drop=True)
    if not outputs.labels:
        return told.assign(predicted=outputs.predicted, actual=records[label].to_numpy())
    names = np.asarray([str(one) for one in outputs.labels], dtype=object)
    scores = {} if outputs.scores is None else {f"p_{one}": outputs.scores[:, i] for i, one in enumerate(names)}
    came = np.array([None if pd.isna(one) else str(one) for one in records[label]], dtype=object)
    return told.assign(predicted=names[outputs.predicted], actual=came, **scores)


Change = Callable[[np.random.Generator, pd.DataFrame, pd.Index], pd.DataFrame]


def injections(column: str, label: str, *, classes: bool) -> dict[str, Change]:
    """What is done to the records of a month, by name.

    Parameters
    ----------
    column : str
        The one that is shuffled.
    label : str
    classes : bool
        Whether outcomes are classes. Of numbers those above the median are the class that is thinned out.
    """
    changes: dict[str, Change] = {}
    for share in (0.1, 0.2, 0.3):
        changes[f"label noise {share:.0%}"] = _bind(_with_noise, label, share)
    for kept in (0.5, 0.25):
        changes[f"class prior, {kept:.0%} left"] = _bind(_thinned if classes else _low_only, label, kept)
    for share in (0.33, 0.67, 1.0):
        changes[f"permuted {share:.0%}"] = _bind(_shuffled, column, share)
    return changes


def _bind(change: Callable[..., pd.DataFrame], *settings: Any) -> Change:
    return lambda rng, table, now: change(rng, table, now, *settings)


def _some(rng: np.random.Generator, now: pd.Index, share: float) -> pd.Index:
    return now[np.sort(rng.permutation(len(now))[: round(share * len(now))])]


def _with_noise(
    rng: np.random.Generator, table: pd.DataFrame, now: pd.Index, label: str, share: float
) -> pd.DataFrame:
    """Give a share of the records another known outcome: another class, or the number of another of them."""
    changed = table.copy()
    known = now[table.loc[now, label].notna()]
    chosen = _some(rng, known, share)
    values = table.loc[chosen, label].to_numpy()
    if table[label].dtype.kind in "if":
        changed.loc[chosen, label] = rng.permutation(values)
        return changed
    levels = np.array(sorted(table.loc[known, label].unique().tolist()), dtype=object)
    codes = np.searchsorted(levels.astype(str), values.astype(str))
    moved = (codes + rng.integers(1, len(levels), len(codes))) % len(levels)
    changed.loc[chosen, label] = levels[moved]
    return changed


def _thinned(rng: np.random.Generator, table: pd.DataFrame, now: pd.Index, label: str, kept: float) -> pd.DataFrame:
    """Drop records of the commonest class of the month until so much of it is left."""
    commonest = table.loc[now, label].value_counts().index[0]
    common = (table.loc[now, label] == commonest).fillna(False).to_numpy(dtype=bool)    # unknown outcomes stay
    return table.drop(_some(rng, now[common], 1 - kept))


def _low_only(rng: np.random.Generator, table: pd.DataFrame, now: pd.Index, label: str, kept: float) -> pd.DataFrame:
    """Drop records below the month's median until so much of them is left."""
    low = (table.loc[now, label] < table.loc[now, label].median()).to_numpy()
    return table.drop(_some(rng, now[low], 1 - kept))


def _shuffled(rng: np.random.Generator, table: pd.DataFrame, now: pd.Index, column: str, share: float) -> pd.DataFrame:
    """Exchange the values of a column among a share of the records."""
    chosen = _some(rng, now, share)
    changed = table.copy()
    changed.loc[chosen, column] = rng.permutation(table.loc[chosen, column].to_numpy())
    return changed


def harmed(told: dict[str, Any], least: float) -> bool:
    """Whether the primary metric fell by such a share of its baseline or more, beyond chance."""
    drop = told["drop"]
    return drop is not None and drop >= least and told["beyond chance"]
