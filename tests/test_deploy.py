"""The files in deploy/: systemd can read them, and they ask for commands that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from trimtab.run.cli import app

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
PROGRAM = "/opt/trimtab/.venv/bin/trimtab"


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for unit in UNITS:    # it looks whether the program and the user exist
        text = unit.read_text().replace(PROGRAM, "/bin/true").replace("User=trimtab", "User=root")
        (tmp_path / unit.name).write_text(text)
    named = [str(tmp_path / unit.name).replace("@.", "@prod.") for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *named], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".timer"], ids=lambda unit: unit.name)
def test_each_timer_has_its_service(unit: Path) -> None:
    assert unit.with_suffix(".service") in UNITS


def test_every_command_of_units_and_crontab_exists() -> None:
    texts = [unit.read_text() for unit in UNITS] + [(DEPLOY / "crontab").read_text()]
    asked = [words.split() for text in texts for words in re.findall(rf"(?:{PROGRAM}|\$TRIMTAB) (.+)", text)]
    assert len(asked) == 11    # six units, five lines
    commands = get_command(app).commands    # type: ignore[attr-defined]  # a group has them
    for words in asked:
        options = {option for one in commands[words[0]].params for option in one.opts}
        assert {word for word in words if word.startswith("-")} <= options


def test_f12_daily_schedule_is_that_of_the_facility() -> None:
    crontab = (DEPLOY / "crontab").read_text()
    for when, command in (
        ("0 1,2 * * *", "backfill"), ("0 3 * * *", "run drift"), ("0 4 * * *", "run retrain"),
        ("30 */6 * * *", "run rollback --check"), ("0 5 1 * *", "run baseline"),
    ):
        assert re.search(rf"^{re.escape(when)} +\$TRIMTAB {command} ", crontab, re.M)
    timers = {unit.name.partition("@")[0]: unit.read_text() for unit in UNITS if unit.suffix == ".timer"}
    assert "OnCalendar=*-*-01 05:00:00 UTC" in timers["trimtab-baseline"]
    assert "OnCalendar=*-*-* 00/6:30:00 UTC" in timers["trimtab-check"]
    for name, times in {"backfill": ("01", "02"), "drift": ("03",), "retrain": ("04",)}.items():
        assert re.findall(r"OnCalendar=\*-\*-\* (\d\d):00:00 UTC", timers[f"trimtab-{name}"]) == list(times)
