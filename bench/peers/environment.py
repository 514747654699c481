"""Where do the peers run? In an environment of their own, for they need an older pandas than Trimtab does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".trimtab-bench"
REQUIREMENTS = HERE / "requirements.txt"
# The peers report their use to their makers unless asked not to. What they share with Trimtab's side lies above.
SETTINGS = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PYTHONPATH": str(HERE.parent)}


def python() -> Path:
    """The peers' interpreter; the environment is made when it is missing or its requirements have changed."""
    interpreter, made_from = FOLDER / "venv" / "bin" / "python", FOLDER / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if interpreter.exists() and made_from.exists() and made_from.read_text() == wanted:
        return interpreter
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER / "venv"], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", interpreter, "--requirement", REQUIREMENTS]
    subprocess.run(install, check=True)
    made_from.write_text(wanted)
    return interpreter


class Asked:
    """A peer's script that works beside this process.

    Parameters
    ----------
    script : str
        In this folder.
    jobs : sequence
        What it is given, as JSON in a file.
    """

    def __init__(self, script: str, jobs: Sequence[Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        given, told = (Path(self._folder.name) / name for name in ("jobs.json", "errors"))
        given.write_text(json.dumps(list(jobs)))
        self._errors = told
        with told.open("w") as errors:
            self._process = subprocess.Popen(
                [python(), HERE / script, given], stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, **SETTINGS, "OMP_NUM_THREADS": "1"},
            )

    def answer(self) -> Any:
        """What it found, once it has."""
        printed, _ = self._process.communicate()
        errors = self._errors.read_text()
        self._folder.cleanup()
        if self._process.returncode:
            raise SystemExit(f"a peer's script ended with {self._process.returncode}:\n{errors[-2000:]}")
        return json.loads(printed)


def run(script: str, *words: str) -> Any:
    """Run a peer's script alone, without limits on its threads, and read what it prints."""
    command = [python(), "-W", "ignore", HERE / script, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **SETTINGS})
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)
