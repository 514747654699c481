"""What do Evidently and NannyML say of the same months? Runs in the peers' environment, which has pandas below 3.

`python performance.py FOLDER OUT` reads FOLDER/about.json (columns, task, names of the months' files),
reference.parquet (what the champion was made from), holdout.parquet (with what it predicted, and what came) and one
Parquet file per check, and writes JSON: by file, alarms and estimates. All settings are the
libraries' defaults; NannyML cuts reference and month into ten chunks each, and estimates of the whole month come from
a second fit with a single chunk.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ |= {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
warnings.filterwarnings("ignore")    # of the libraries, about each other

import nannyml  # noqa: E402 -- reads the environment when imported
import pandas as pd  # noqa: E402
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

CLASSES, NUMBERS = ["roc_auc", "accuracy"], ["mae", "rmse"]


def main(folder: Path, out: Path) -> None:
    """Look at every file with every method."""
    about = json.loads((folder / "about.json").read_text())
    reference = _prepared(pd.read_parquet(folder / "reference.parquet"), about)
    holdout = _prepared(pd.read_parquet(folder / "holdout.parquet"), about)
    evidently = _evidently(reference, about)
    univariate = _univariate(reference, about)
    estimated = _estimates(holdout, about)
    found = {"seconds": {"evidently": 0.0, "univariate": 0.0, "estimates": 0.0}, "files": {}}
    for name in about["files"]:
        month = _prepared(pd.read_parquet(folder / name), about)
        said = {}
        for part, look in (("evidently", evidently), ("univariate", univariate), ("estimates", estimated)):
            start = time.perf_counter()
            said[part] = look(month)
            found["seconds"][part] += time.perf_counter() - start
        found["files"][name] = said
    found["versions"] = {"nannyml": nannyml.__version__, "evidently": __import__("evidently").__version__}
    out.write_text(json.dumps(found))


def _prepared(table: pd.DataFrame, about: dict) -> pd.DataFrame:
    """Categories as text, and of prose its length: NannyML makes no more of it, and Evidently takes minutes to."""
    lengths = {f"length of {name}": table[name].str.len().astype(float) for name in about["text"]}
    as_text = {name: table[name].astype(str) for name in about["categorical"]}
    return table.assign(**lengths, **as_text)


def _evidently(reference: pd.DataFrame, about: dict):
    numeric = [*about["numeric"], *[f"length of {name}" for name in about["text"]]]
    definition = DataDefinition(
        numerical_columns=numeric or None, categorical_columns=about["categorical"] or None
    )
    columns = [*numeric, *about["categorical"]]
    before = Dataset.from_pandas(reference[columns], definition)

    def look(month: pd.DataFrame) -> dict:
        ran = Report([DataDriftPreset()]).run(Dataset.from_pandas(month[columns], definition), before)
        counted = next(one for one in ran.dict()["metrics"] if one["metric_name"].startswith("DriftedColumnsCount"))
        share = float(counted["value"]["share"])
        return {"dataset drift": share >= 0.5, "some column": share > 0}

    return look


def _univariate(reference: pd.DataFrame, about: dict):
    columns = [*about["numeric"], *about["categorical"], *[f"length of {name}" for name in about["text"]]]
    calculator = nannyml.UnivariateDriftCalculator(column_names=columns).fit(reference[columns])

    def look(month: pd.DataFrame) -> dict:
        found = calculator.calculate(month[columns]).filter(period="analysis").to_df()
        alerts = found.loc[:, (slice(None), slice(None), "alert")]
        return {"any": bool(alerts.to_numpy().any()), "half": bool((alerts.mean() >= 0.5).any())}

    return look


def _estimates(holdout: pd.DataFrame, about: dict):
    metrics = CLASSES if about["labels"] else NUMBERS
    watched, whole = _estimator(about, metrics).fit(holdout), _estimator(about, metrics, chunk_number=1).fit(holdout)

    def look(month: pd.DataFrame) -> dict:
        month = month.drop(columns="actual")
        alerts = watched.estimate(month).filter(period="analysis").to_df()
        month_as_one = whole.estimate(month).filter(period="analysis").to_df()
        return {
            "values": {name: float(month_as_one[(name, "value")].mean()) for name in metrics},
            "any": {name: bool(alerts[(name, "alert")].any()) for name in metrics},
            "half": {name: bool(alerts[(name, "alert")].mean() >= 0.5) for name in metrics},
        }

    return look


def _estimator(about: dict, metrics: list[str], **chunks: int):
    labels = about["labels"]
    if not labels:
        features = [*about["numeric"], *about["categorical"], *[f"length of {name}" for name in about["text"]]]
        return nannyml.DLE(
            feature_column_names=features, y_pred="predicted", y_true="actual", metrics=metrics, **chunks
        )
    if len(labels) == 2:
        return _Binary(about, metrics, chunks)
    return nannyml.CBPE(
        problem_type="classification_multiclass", y_pred="predicted", y_true="actual", metrics=metrics,
        y_pred_proba={label: f"p_{label}" for label in labels}, **chunks,
    )


class _Binary:
    """CBPE of two classes, which it wants as 0 and 1."""

    def __init__(self, about: dict, metrics: list[str], chunks: dict) -> None:
        self.positive = about["positive"]
        self.inner = nannyml.CBPE(
            problem_type="classification_binary", y_pred="predicted", y_true="actual", metrics=metrics,
            y_pred_proba=f"p_{self.positive}", **chunks,
        )

    def fit(self, table: pd.DataFrame) -> _Binary:
        self.inner.fit(self._coded(table))
        return self

    def estimate(self, table: pd.DataFrame):
        return self.inner.estimate(self._coded(table))

    def _coded(self, table: pd.DataFrame) -> pd.DataFrame:
        named = [name for name in ("predicted", "actual") if name in table]
        return table.assign(**{name: (table[name] == self.positive).astype(int) for name in named})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
