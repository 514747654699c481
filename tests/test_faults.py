"""A few of the faults that `make faults` tries many times: whatever happens, the champion serves and runs go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import trials

SAMPLE = {"kill": 2, "disk": 2, "read-only": 1, "clock": 1, "lock": 1, "registry": 1, "race": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them are tried, one after the other."""
    return tmp_path_factory.mktemp("faults")


def test_there_is_a_sample_of_every_fault() -> None:
    assert set(SAMPLE) == set(trials.FAULTS)


@pytest.mark.parametrize("fault", list(trials.FAULTS))
def test_nothing_is_wrong_after(fault: str, folder: Path) -> None:
    tried = list(trials.carry_out(fault, folder, times=SAMPLE[fault], seed=11))
    assert len(tried) == SAMPLE[fault]
    assert {trial.what: trial.problems for trial in tried} == {trial.what: [] for trial in tried}
