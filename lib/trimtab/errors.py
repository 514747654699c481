"""Everything that can go wrong, each with the exit code that the command line ends with.

The table of exit codes is part of Trimtab's contract: 2 bad usage, params or data, 3 another run is active, 4 a step
failed, 5 a time limit was hit, 130 and 143 interrupted.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path

# Full, over quota, over the size that a file may have, read-only: nothing that a step did wrong.
_PLACE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


class TrimtabError(Exception):
    """Root of all errors that Trimtab raises on purpose. Its message is one sentence for a person.

    Attributes
    ----------
    exit_code : int
    about : mapping
        What is known of the run that it kept from starting: model and tenant.
    """

    exit_code = 4
    about: Mapping[str, str | None] = {}


class UsageError(TrimtabError):
    """The command was typed wrongly, or asks for something that does not exist."""

    exit_code = 2


class ParamsError(TrimtabError):
    """The params file, an override or an environment variable is wrong; the message names the key and the file."""

    exit_code = 2


class DataError(TrimtabError):
    """The records cannot be used; the message names the table or column."""

    exit_code = 2


class NoRecordsError(DataError):
    """There are no records, or none yet."""


class StateError(TrimtabError):
    """`TRIMTAB_HOME` cannot be written or read."""

    exit_code = 2


def of_place(error: BaseException, place: Path) -> StateError | None:
    """The error of a disk that is full or cannot be written, however deep a library has wrapped it; else None.

    Parameters
    ----------
    error : BaseException
        With what caused it.
    place : Path
        Named where the system names no file.

    Examples
    --------
    >>> str(of_place(OSError(errno.ENOSPC, "No space left on device"), Path("runs")))
    'runs: No space left on device'
    >>> of_place(ValueError("no"), Path("runs")) is None
    True
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.errno in _PLACE_ERRORS:
            return StateError(f"{found.filename or place}: {found.strerror}")
        found = found.__cause__ or found.__context__
    return None


class BusyError(TrimtabError):
    """Another run of the same model is active; the message says which."""

    exit_code = 3


class StepError(TrimtabError):
    """A notebook failed; the message names it and its first error."""

    exit_code = 4


class NoAnswerError(StepError):
    """A process of its own ended without an answer, as one does whose native code crashes."""


class ModelFileError(TrimtabError):
    """A model file is missing, corrupt, altered, or holds types that nobody reviewed."""

    exit_code = 4


class ChampionError(TrimtabError):
    """The champion is not what the caller expected, so it was not changed."""

    exit_code = 4


class TimeLimitError(TrimtabError):
    """Training or a step took longer than it may; what it was doing was stopped."""

    exit_code = 5


class Interrupted(TrimtabError):  # noqa: N818 -- a stop that was asked for is no error of the program
    """Ctrl-C (exit 130) or SIGTERM (exit 143) ended the run."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by signal {signal_number}")
        self.exit_code = 128 + signal_number


def first_line(error: BaseException) -> str:
    """What an error says, in one line of text."""
    lines = str(error).strip().splitlines()
    return re.sub(r"[^\x20-\x7e\u00a0-\uffff]", "?", lines[0][:300]) if lines else type(error).__name__
