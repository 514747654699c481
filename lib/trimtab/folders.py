"""What lies in a folder, byte for byte? Nothing that is found there is followed, and nothing is waited for."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path


def digest(path: Path) -> str:
    """SHA-256 of an ordinary file; of what is none, what it is instead.

    Raises
    ------
    OSError
        When there is nothing, or it may not be read.

    Examples
    --------
    >>> digest(Path("/dev/null")), digest(Path("/"))
    ('a special file', 'a folder')
    """
    kind = path.lstat().st_mode
    if stat.S_ISREG(kind):
        # Should it be exchanged for a pipe in this moment, reading finds nothing and goes on.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return "a link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "a special file"


def is_hash(told: str) -> bool:
    """Whether `digest` told the hash of an ordinary file.

    Examples
    --------
    >>> is_hash(digest(Path("/dev/null")))
    False
    """
    return " " not in told


def contents(folder: Path) -> dict[str, str]:
    """`digest` of everything beneath a folder, by its path in it, in order; of folders only those that are empty.

    What stands in the place of the folder and leads elsewhere is not followed.

    Examples
    --------
    >>> contents(Path("/dev/null"))
    {}
    """
    if folder.is_symlink():
        return {".": digest(folder)}
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        try:
            if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
                found[name] = digest(path)
        except OSError:
            found[name] = "a folder that cannot be read" if path.is_dir() else "a file that cannot be read"
    return dict(sorted(found.items()))


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is not as it was: changed, missing or inserted, and which file; by name, what was inserted last.

    Examples
    --------
    >>> list(differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"}))
    [('missing', 'a'), ('changed', 'b'), ('inserted', 'c')]
    """
    for name, sha256 in was.items():
        if now.get(name) != sha256:
            yield ("changed" if name in now else "missing"), name
    yield from (("inserted", name) for name in now if name not in was)
