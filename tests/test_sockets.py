"""A run goes well wherever temporary files are, though the path of a socket may not be long."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import BINARY, binary_table


def test_a_long_path_of_temporary_files_keeps_no_run_from_going_well(
    project: Callable[..., Path], home: Path
) -> None:
    long = home / ("x" * 100)
    long.mkdir()
    ended = subprocess.run(
        [Path(sys.executable).with_name("trimtab"), "run", "baseline", "-p", project(BINARY, binary_table(2000)),
         "--as-of", "2024-03-10"],
        env=os.environ | {"TMPDIR": str(long)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "verdict: promote" in ended.stdout
