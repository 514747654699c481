"""What is kept of the records that a version was evaluated on, so that later windows can be judged by them?

A few thousand of them, as the bins that they fall into, with what the version said and what came: enough to learn how
honest its probabilities are, which holdout records resemble the current ones, and how large its errors are for whom.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import bins as binning
from trimtab.measure.columns.bins import Bins, freeze_categorical, freeze_numeric
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.together.samples import MISSING, Sample, distinct, encode

if TYPE_CHECKING:
    import pandas as pd

MOST = 5000


@dataclass(frozen=True, eq=False)
class Holdout:
    """Records with their outcomes.

    Attributes
    ----------
    bins : mapping
        By which the features are encoded, frozen on these records.
    sample : Sample
        The features, n records.
    outputs : Outputs
        What the version said of them, and what came, in the same order.
    """

    bins: Mapping[str, Bins]
    sample: Sample
    outputs: Outputs

    def encode(self, values: Mapping[str, npt.ArrayLike]) -> Sample:
        """Other records by the same bins."""
        return encode(values, self.bins)

    def to_bytes(self) -> bytes:
        """As bytes, without pickle; `from_bytes` reads them back."""
        plain = {name: binning.to_json(one) for name, one in self.bins.items()}
        header = {"bins": plain, "labels": self.outputs.labels, "positive": self.outputs.positive}
        arrays: dict[str, Array] = {
            "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            "sample": np.frombuffer(self.sample.to_bytes(), dtype=np.uint8),
            "actual": self.outputs.actual, "predicted": self.outputs.predicted,
        }
        if self.outputs.scores is not None:
            arrays["scores"] = self.outputs.scores
        np.savez_compressed(buffer := BytesIO(), **arrays)    # type: ignore[arg-type]  # -- its stub has a flag among them
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Holdout:
        """Read back what `to_bytes` wrote.

        Raises
        ------
        ValueError
            When the bytes are damaged.
        """
        try:
            with np.load(BytesIO(stored), allow_pickle=False) as read:
                arrays = {name: read[name] for name in read.files}
            header = json.loads(arrays["header"].tobytes())
            sample = Sample.from_bytes(arrays["sample"].tobytes())
        except Exception as error:
            raise ValueError(f"the records of a holdout are damaged: {error}") from error
        outputs = Outputs(
            tuple(header["labels"]), arrays["actual"], arrays["predicted"], arrays.get("scores"), header["positive"]
        )
        return cls({name: binning.from_json(one) for name, one in header["bins"].items()}, sample, outputs)


def keep(values: Mapping[str, npt.ArrayLike], outputs: Outputs, *, seed: int = 0) -> Holdout:
    """Keep at most `MOST` records.

    Parameters
    ----------
    values : mapping
        Features by column, n values each: floats, or text with None for null.
    outputs : Outputs
        Of the same n records in the same order.
    seed : int
        Of the choice.
    """
    if len(outputs) > MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(len(outputs), MOST, replace=False))
        values = {name: np.asarray(column)[chosen] for name, column in values.items()}
        outputs = outputs.take(chosen)
    bins = {name: _frozen(np.asarray(column)) for name, column in values.items()}
    return Holdout(bins, encode(values, bins), outputs)


def _frozen(values: Array) -> Bins:
    if values.dtype.kind == "f":
        return freeze_numeric(values)
    known = np.array([str(value) for value in values if value is not None])
    levels, counts = np.unique(known, return_counts=True)
    return freeze_categorical([str(level) for level in levels[np.argsort(-counts, kind="stable")]])


def as_numbers(sample: Sample) -> npt.NDArray[np.float64]:
    """Codes as features for a model of trees: ranks of numbers, positions of levels, nan for missing; (n, columns)."""
    codes = sample.codes.astype(np.float64)
    return np.where(sample.codes == MISSING, np.nan, codes)


def values_of(
    frame: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str], text: Sequence[str]
) -> dict[str, Array]:
    """Features of a data frame as `keep` and `Holdout.encode` take them; of text its length."""
    found: dict[str, Array] = {name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in numeric}
    found |= {name: _texts(frame[name].to_numpy(dtype=object)) for name in categorical}
    return found | {name: frame[name].str.len().to_numpy(dtype=np.float64, na_value=np.nan) for name in text}


def _texts(values: Array) -> Array:
    """Values as text, None where they are missing."""
    place, found = distinct(values)
    return np.array([*map(str, found), None], dtype=object)[place]
