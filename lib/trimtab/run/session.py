"""What can a notebook ask for? One object that binds params, records, ledger and registry as of a time."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab import contract
from trimtab import params as params_module
from trimtab.act import database, modelfile
from trimtab.act.ledger import Ledger
from trimtab.act.registry import DryRegistry, ModelRegistry, Registry, registered_name
from trimtab.decide.signals import FAMILIES
from trimtab.errors import DataError, ModelFileError, NoRecordsError, ParamsError, StateError, UsageError
from trimtab.measure.columns.bins import BinTable
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.watched import Watched
from trimtab.measure.models import scoring
from trimtab.measure.models.performance import segment_masks
from trimtab.params import Loaded
from trimtab.records import Records
from trimtab.run import homes
from trimtab.run.profiles import Profiles
from trimtab.run.versions import Model
from trimtab.settings import Params
from trimtab.settings.data import Data, WindowSpec
from trimtab.settings.drift import DriftSettings
from trimtab.settings.notation import parse_time
from trimtab.sources import watched_of
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd

    from trimtab.decide.signals import Signal
    from trimtab.measure.columns.drift import Drift
    from trimtab.measure.unlabelled.holdouts import Holdout


class Session:
    """One model as of one time.

    Parameters
    ----------
    loaded : Loaded
        From `trimtab.params.load`.
    as_of : datetime or str, optional
        In the place of the params file's.
    run_id : str, optional
        Of the pipeline run; without it the session is interactive and names itself.
    dry_run : bool
        Measure and decide everything, change nothing.
    overrides : sequence of str
        What was overridden, for the report.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        as_of: datetime | str | None = None,
        run_id: str | None = None,
        dry_run: bool = False,
        overrides: Sequence[str] = (),
    ) -> None:
        self.loaded = loaded
        self.overrides = tuple(loaded.redact(text) for text in overrides)
        self.params: Params = loaded.params
        self.home = homes.home_of(loaded.path)
        self.run_id = homes.checked_run_id(run_id) if run_id else f"interactive-{uuid.uuid4().hex[:12]}"
        self.interactive = run_id is None
        self.dry_run = dry_run
        self._as_of = _parse_as_of(as_of) if as_of is not None else self.params.as_of

    @property
    def run_dir(self) -> Path:
        """Where the run leaves what it made."""
        name = registered_name(self.params.model, self.params.tenant)
        return self.home / "runs" / name / self.run_id

    @property
    def scratch(self) -> Path:
        """Where a dry run keeps what would have been."""
        return self.home / ".trimtab" / "dry" / self.run_id

    @property
    def workshop(self) -> Path:
        """Where models come to be, until they are registered."""
        return homes.workshop(self.home, self.run_id)

    @cached_property
    def records(self) -> Records:
        """The records as they could be seen."""
        return self._opened(self.params.data, self._as_of)

    @cached_property
    def extractions(self) -> Records | None:
        """The table of extraction results as it could be seen; None where none is named."""
        data, asked = self.params.data, self.params.data.extractions
        if asked is None:
            return None
        confidences = (asked.confidence,) if asked.confidence else ()
        found = Data(connect=data.connect, table=asked.table, time=asked.time or data.time, categorical=(asked.field,),
                     confidences=confidences, rates=asked.rates)
        return self._opened(found, self.as_of)

    def _opened(self, data: Data, as_of: datetime | str) -> Records:
        folder = self.loaded.path.parent
        root = homes.root_of(self.loaded.path) or folder.parent
        return Records.open(data, as_of, [folder, folder.parent, root, homes.typed_in(), self.home])

    @property
    def as_of(self) -> datetime:
        """The time at which this session stands."""
        return self.records.as_of

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of this model; in a dry run a copy that is thrown away."""
        homes.prepare(self.home)
        url = homes.absolute_url(self.params.store.ledger, self.home)
        if self.dry_run:
            self.scratch.mkdir(parents=True, exist_ok=True)
        engine = database.copy(url, self.scratch / "ledger.db") if self.dry_run else database.connect(url)
        return Ledger(engine, self.params.model, self.params.tenant)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The registry of this model; in a dry run one in which nothing sticks."""
        homes.prepare(self.home)
        name = registered_name(self.params.model, self.params.tenant)
        url = homes.absolute_url(self.params.store.registry, self.home)
        real = Registry(url, name, self.home / ".trimtab" / "models")
        return DryRegistry(real, self.scratch) if self.dry_run else real

    def close(self) -> None:
        """Give back what was opened: connections to the records and to the ledger."""
        for name in ("records", "extractions", "ledger"):
            if self.__dict__.get(name) is not None:
                getattr(self, name).close()

    # -- records -------------------------------------------------------------------------------------------------

    def check(self) -> contract.Contract:
        """Check the records against what the params file says of them, and extraction results; see `contract.check`."""
        with contextlib.suppress(NoRecordsError):    # results may come later than records
            if self.extractions is not None:
                contract.check(self.extractions)
        return contract.check(self.records)

    def windows(self) -> tuple[Window, Window]:
        """The reference and the current window."""
        return self.reference_window(), self.records.window("current", self.params.windows.current)

    def outcomes_window(self, current: Window) -> Window:
        """The records whose outcomes are held to what the champion said: the current ones, or `windows.outcomes`.

        Parameters
        ----------
        current : Window
            Returned where the params file names no others.
        """
        spec = self.params.windows.outcomes
        return current if spec is None else self.records.stretch("outcomes", spec)

    @cache  # noqa: B019 -- a session lives as long as its notebook
    def reference_window(self, model: Model | None = None) -> Window:
        """What the current window is compared with: by default what the champion was made from, its holdout included.

        Parameters
        ----------
        model : Model, optional
            In the place of the champion.
        """
        spec = self.params.windows.reference
        if spec == "training":
            model = model or self.champion
            lineage = model.lineage
            if not lineage:
                raise DataError(
                    f"windows.reference: training: version {model.version} was not trained by Trimtab, so its "
                    "training window is unknown; name a window such as {last: 60d, until: 30d}"
                )
            model.refuse_before(self.as_of)
            spec = WindowSpec(from_=parse_time(lineage["trained_from"]), to=parse_time(lineage["holdout_until"]))
        return self.records.window("reference", spec)

    @cache  # noqa: B019 -- a session lives as long as its notebook
    def training_windows(self) -> tuple[Window, Window]:
        """The labelled records to learn from, and the newest share of them that is held out.

        Where several candidates are trained, the older half of that share chooses among them (`choice_window`) and
        only the newer half is the holdout: the best of several on the very records that judge it would be flattered.
        """
        settings = self.params.windows
        training, holdout = self.records.training(settings.training, settings.holdout)
        if self.params.task == "classification":
            classes = self.records.classes(training)
            if len(classes) < 2:
                only = next(iter(classes))
                raise DataError(
                    f"{self.records.source}: column {self.params.data.label!r} has only one class ({only}) in the "
                    f"{training}, so there is nothing to tell apart"
                )
        if len(self.params.estimator.named()) > 1:
            _, holdout = self.records.split(holdout, 0.5, "choice", "holdout")
        return training, holdout

    def choice_window(self) -> Window:
        """The records that choose among several candidates, between those they learn from and the holdout."""
        training, holdout = self.training_windows()
        return self.records.between("choice", training.end, holdout.start, labelled=True)

    def settled_positive(self, window: Window) -> str | None:
        """The positive label by a window's outcomes, to be kept: later windows with other shares would turn it round.

        Raises
        ------
        ParamsError
            When the label that the params file names does not occur.
        """
        if self.params.task == "regression":
            return None
        classes = self.records.classes(window)
        try:
            return scoring.choose_positive(tuple(classes), classes, self.params.data.positive)
        except ValueError as error:
            raise ParamsError(f"data.positive: {error} in the {window}") from None

    @property
    def watched(self) -> Watched:
        """The columns whose distribution is watched."""
        return watched_of(self.params.data)

    @property
    def thresholds(self) -> DriftSettings:
        """When a column counts as drifted, with that part of `alpha` which is due to one of the kinds of evidence."""
        settings = self.params.drift
        return settings.model_copy(update={"alpha": settings.alpha / len(FAMILIES)})

    @cache  # noqa: B019 -- a session lives as long as its notebook
    def profile(self, window: Window) -> Profile:
        """Profile a window by bins frozen on the reference; days are counted once and kept."""
        if window.name != "reference":
            return self.profiles.of(window, self.bins)
        base = self.frozen_on(window)
        return self.profiles.reference(window) if base is None else self.profiles.of(
            window, self.profiles.reference(base).bins)

    def frozen_on(self, window: Window) -> Window | None:
        """What the champion was made from, where the reference is another window; None where that is not known.

        Bins and words of its own for each window of a sliding reference would make every day one that nobody has
        counted yet.
        """
        if self.params.windows.reference == "training" or self.serving is None:
            return None
        lineage = self.champion.lineage
        if not lineage or self.as_of < parse_time(lineage["as_of"]):
            return None
        made_from = WindowSpec(from_=parse_time(lineage["trained_from"]), to=parse_time(lineage["holdout_until"]))
        return self.records.window(window.name, made_from)

    @property
    def bins(self) -> BinTable:
        """The bins of all watched columns, frozen on the reference."""
        return self.profile(self.reference_window()).bins

    @cached_property
    def profiles(self) -> Profiles:
        """What is counted of windows, and kept."""
        params = self.params
        place = (params.data.connect, params.data.table, params.model, params.tenant)
        return Profiles(self.records, self.ledger, self.watched, place)

    # -- models --------------------------------------------------------------------------------------------------

    @cached_property
    def champion(self) -> Model:
        """The model that serves.

        Raises
        ------
        UsageError
            When there is none yet.
        """
        version = self.serving
        if version is None:
            raise UsageError(f"{self.registry.name} has no champion yet; run the baseline first")
        return self.model(version)

    @property
    def serving(self) -> int | None:
        """The champion's version. A run asks the ledger, which the runner has just brought in line with the alias."""
        return self.registry.champion() if self.interactive else self.ledger.succession.champion()

    @cache  # noqa: B019 -- a session lives as long as its notebook
    def model(self, version: int) -> Model:
        """Load a version, checking its files."""
        known = self.ledger.version(version) or {}
        lineage = known.get("lineage", {})
        loaded = modelfile.load(self.folder_of(version), sha256=known.get("sha256"), package=lineage.get("package"),
                                files=known.get("files"))
        return Model(version, loaded, lineage)

    def folder_of(self, version: int) -> Path:
        """Where the files of a version are, on this machine."""
        known = self.ledger.version(version)
        return Path(known["source"]) if known and Path(known["source"]).is_dir() else self._fetched(version)

    def served_from(self, version: int) -> Path:
        """Where the registry says that they are, for that is where serving code takes them from; nowhere else."""
        if (told := self._fetched(version)).is_dir():
            return told
        raise ModelFileError(f"the registry has version {version} at {told}, where serving code finds no folder")

    @cache  # noqa: B019 -- a session lives as long as its notebook
    def holdout(self, version: int) -> Holdout | None:
        """Records that a version was evaluated on; None where none are kept."""
        return self.ledger.days.holdout(version)

    def _fetched(self, version: int) -> Path:
        try:
            return self.registry.fetch(version)
        except StateError as error:
            raise ModelFileError(f"version {version} cannot be fetched: {error}") from error

    def frame(self, window: Window, *, labelled: bool) -> pd.DataFrame:
        """Features, label, logged outputs, segments and times of a window, oldest first."""
        data = self.params.data
        named = [data.label, data.prediction, data.score, data.time]
        columns = dict.fromkeys([*data.features, *[n for n in named if n], *data.segments])
        if labelled and data.label:
            table = window.table.filter(window.table[data.label].notnull())
            window = replace(window, table=table)
        return self.records.frame(window, tuple(columns))

    def signals(self, drift: Drift) -> list[Signal]:
        """The signals of inputs, outputs and outcomes, for inputs that drifted like this; scores the current window.

        Notebook 02 adds what needs more than that: all columns together, segments, errors over time and estimates.
        """
        from trimtab.run import checking

        current = self.records.window("current", self.params.windows.current)
        scored, outcomes = checking.score(self, current), self.outcomes_window(current)
        judged = checking.judge(self, outcomes, scored)
        return checking.signals(self, drift, scored, current, outcomes=outcomes, judged=judged)

    def segments(self, frame: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
        """Masks of all segments, by their name."""
        return segment_masks({column: frame[column] for column in self.params.data.segments})

    def days(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """The day of each record of a frame."""
        days: np.ndarray[Any, Any] = frame[self.params.data.time].to_numpy().astype("datetime64[D]")
        return days

    def __repr__(self) -> str:
        mode = ", dry run" if self.dry_run else ""
        return f"<Session {registered_name(self.params.model, self.params.tenant)} as of {self.as_of}{mode}>"


def open_session(
    params: str | Path,
    as_of: datetime | str | None = None,
    overrides: Mapping[str, Any] | Sequence[str] | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
) -> Session:
    """Open a params file as of a time.

    Parameters
    ----------
    params : str or Path
        The params file.
    as_of : datetime, "now", "latest" or ISO text, optional
        In the place of the file's.
    overrides : mapping or sequence of "key=value", optional
        Such as `{"drift.psi_alert": 0.2}`.
    run_id : str, optional
        Given by the runner.
    dry_run : bool
        Measure and decide everything, change nothing.

    Raises
    ------
    ParamsError, DataError
        When the file, or what it asks for, is wrong.
    """
    overrides = overrides or ()
    loaded = params_module.load(params, overrides=overrides)
    shown = [f"{k}={v}" for k, v in overrides.items()] if isinstance(overrides, Mapping) else list(overrides)
    return Session(loaded, as_of=as_of, run_id=run_id, dry_run=dry_run, overrides=shown)


def _parse_as_of(as_of: datetime | str) -> datetime | str:
    if as_of in ("now", "latest"):
        return as_of
    try:
        return parse_time(as_of)
    except ValueError as error:
        raise UsageError(f"as_of: {error}, now or latest") from None
