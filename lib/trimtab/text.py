"""How is text of others shown without doing anything? Terminals, mail and chat read some characters as commands."""

from __future__ import annotations

import re
from collections.abc import Collection

# What moves a cursor, colours, reorders or hides: controls (C0, C1), marks of writing direction, breaks of lines and
# paragraphs, what has no width, halves of characters, and tags. Joiners stay: some scripts cannot be written without.
_MARKS = "\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f"
_UNSEEN = re.compile(f"[\x00-\x1f{_MARKS}]")
_UNSEEN_IN_LINES = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f{_MARKS}]")
_SPACES = re.compile(r"\s+")
# An apostrophe within a word opens and closes nothing, and what is never closed goes on to the end.
_QUOTED = re.compile(
    r"(?<!\w)'((?:[^'\\]|\\(?:.|\Z)|'(?=\w))*+)(?:'|\Z)"
    r"|(?<!\w)\"((?:[^\"\\]|\\(?:.|\Z)|\"(?=\w))*+)(?:\"|\Z)|“([^”]*+)(?:”|\Z)", re.S)
_CLOSING = {"'": "'", '"': '"', "“": "”"}
_CALLS = re.compile(r"(?<=@)(?=\w)|(?<=<)(?=[!@#])")    # @everyone, <!channel>, <@user>: chats ring people up for these
LONGEST_LINE = 4000


def visible(text: str) -> str:
    """Text in which characters that a terminal would obey are written out, as JSON would write them.

    Newlines are written out, too: a line that somebody else wrote must not look like two of ours. What is longer than
    4,000 characters is cut.

    Examples
    --------
    >>> print(visible("a\\x1b[2Jb\\nc"))
    a\\u001b[2Jb\\u000ac
    """
    return cut(escaped(text[: LONGEST_LINE + 1]), LONGEST_LINE)


def escaped(text: str) -> str:
    """The same without a limit: of JSON it leaves JSON that says the same."""
    return _UNSEEN.sub(_code, text)


def escaped_lines(text: str) -> str:
    """The same of several lines, as a page is: their ends and tabs stay."""
    return _UNSEEN_IN_LINES.sub(_code, text)


def one_line(text: str, most: int) -> str:
    """Text in one line of at most so many characters, none of which does anything.

    Examples
    --------
    >>> one_line("two\\nlines", 40), one_line("abcdef", 4), one_line("\\x1b[31mred", 40)
    ('two lines', 'abc…', '[31mred')
    """
    return cut(_UNSEEN.sub("", _SPACES.sub(" ", text[: 8 * most])).strip(), most)


def shorten_quoted(text: str, most: int) -> str:
    """Text in which what is quoted has at most so many characters.

    Examples
    --------
    >>> shorten_quoted("the level 'abcdefgh' is new", 4)
    "the level 'abc…' is new"
    """
    return _QUOTED.sub(lambda match: _requoted(match, cut(_inside(match), most)), text)


def hide_quoted(text: str, known: Collection[str]) -> str:
    """Text in which what is quoted is left out, unless it is one of the known names.

    Examples
    --------
    >>> hide_quoted("column 'age' holds 'John Doe'", {"age"})
    "column 'age' holds '…'"
    """
    return _QUOTED.sub(lambda match: _requoted(match, _inside(match) if _inside(match) in known else "…"), text)


def calm(text: str) -> str:
    """Text that calls nobody by name where it is read in a chat.

    Examples
    --------
    >>> calm("@everyone <!channel>")
    '@ everyone < !channel>'
    """
    return _CALLS.sub(" ", text)


def cut(text: str, most: int) -> str:
    """Text of at most so many characters; where some were left out, the last is an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _code(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at: at + 2].hex()}" for at in range(0, len(units), 2))


def _inside(match: re.Match[str]) -> str:
    return next(part for part in match.groups() if part is not None)


def _requoted(match: re.Match[str], inside: str) -> str:
    return f"{match[0][0]}{inside}{_CLOSING[match[0][0]]}"
