"""What is a word of a text? One definition, which gives the same words in Python and in every database.

A token is an unbroken run of letters, marks and digits. Letters are read as small ones, one by one; every digit is read
as 0, for most numbers are new and say little but how long they are; what is longer than 40 characters is cut there.
Chinese and Japanese are written without spaces, so there each character is a token. So is each emoji or dingbat, which
often say what a text is about; those of another skin colour are the same. Thai and its neighbours are not taken apart:
between two spaces they are one token.

Databases disagree about letters: `lower` follows the database's locale, `\\w` the Unicode of its regular expressions.
So separators are listed here, and what a database's `lower` has left is put right by a list of letters.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

TOKENS = 2
"""Which definition this is; what was counted by another one cannot be compared."""
LONGEST_TOKEN = 40
_BEYOND_CASED = 0x1F000    # no letter from here on has a small form

# All of ASCII but letters and digits; beyond it blocks of punctuation and symbols, and the marks of single scripts.
_SEPARATORS = (
    r"\x00-/:-@\[-`{-\x7f"
    "\u0080-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"    # Latin-1
    "\u02c2-\u02c5\u02d2-\u02df\u0375\u037e\u0384\u0385\u0387\u055a-\u055f\u0589\u058a\u058d-\u058f"    # to Armenian
    "\u05be\u05c0\u05c3\u05c6\u05f3\u05f4\u0600-\u060f\u061b-\u061f\u066a-\u066d\u06d4\u06dd\u06de\u06e9"    # Arabic
    "\u06fd\u06fe\u0700-\u070f\u0964\u0965\u0970\u0df4\u0e3f\u0e4f\u0e5a\u0e5b\u0f01-\u0f14"    # Syriac to Tibetan
    "\u104a-\u104f\u10fb\u1360-\u1368\u1400\u1680\u169b\u169c\u16eb-\u16ed\u17d4-\u17d6\u17d8-\u17db"
    "\u1800-\u180a\u180e\u1fbd\u1fbf-\u1fc1\u1fcd-\u1fcf\u1fdd-\u1fdf\u1fed-\u1fef\u1ffd\u1ffe"    # to Greek
    "\u2000-\u206f\u207a-\u207e\u208a-\u208e\u20a0-\u214f\u2190-\u25ff\u2768-\u2bff\u2e00-\u3004\u3008-\u3020\u3030"
    "\u3036\u3037\u303d-\u303f\u309b\u309c\u30a0\u30fb\u3190-\u319f\u31c0-\u31ef\u3200-\u33ff\u4dc0-\u4dff"
    "\ue000-\uf8ff\ufd3e\ufd3f\ufdfc-\ufe1f\ufe30-\ufe6f\ufeff-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffe0-\uffff"
    "\U0001d000-\U0001d24f\U0001f000-\U0001f2ff\U0001f3fb-\U0001f3ff\U0001fb00-\U0001fbef"    # music, tiles, flags
    "\U000e0000-\U0010ffff"    # private use
)
_SEPARATOR = f"[{_SEPARATORS}]+"
_WITHOUT_SPACES = (
    "([\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f"    # kana, Han
    "\u2600-\u2767\U0001f300-\U0001f3fa\U0001f400-\U0001faff])"    # emoji
)
_APART = r" \1 "
_EARLY, _EARLY_AS = "Iİ", "ii"    # a Turkish locale has other small letters for them
_LATE, _LATE_AS = "ς123456789", "σ000000000"


def tokenise(text: str) -> list[str]:
    """Tokens of a text, in its order.

    Parameters
    ----------
    text : str
        Of any length; it may be empty.

    Returns
    -------
    list of str
        Tokens of 1 to 40 characters; empty when the text has no letters, digits or emoji.

    Examples
    --------
    >>> tokenise("Straße 12, CAFÉ (n° 4711)")
    ['straße', '00', 'café', 'n', '0000']
    >>> tokenise("Great\U0001f600\U0001f600, thanks \u2764\ufe0f")
    ['great', '😀', '😀', 'thanks', '❤']
    """
    folded = text.translate(_small_letters())
    spaced = re.sub(_WITHOUT_SPACES, _APART, folded)
    return [token[:LONGEST_TOKEN] for token in re.split(_SEPARATOR, spaced) if token]


def tokens_of(text: ir.StringValue) -> ir.ArrayValue:
    """Expression for the raw tokens of a text: each becomes what `tokenise` finds by `completed`.

    Parameters
    ----------
    text : ibis string
        A column; the database's encoding must be UTF-8. Null gives null.

    Returns
    -------
    ibis array of string
        In the order of the text; empty strings among them are no tokens.
    """
    import ibis

    folded = text.translate(_EARLY, _EARLY_AS).lower().translate(_LATE, _LATE_AS)
    apart = folded.re_replace(_WITHOUT_SPACES, _APART)
    return ibis.ifelse(folded.re_search(_WITHOUT_SPACES), apart, folded).re_split(_SEPARATOR)


def completed(token: ir.StringValue) -> ir.StringValue:
    """Expression for a token, cut where it is too long, in small letters though the database's locale had none for it.

    Looking letters up costs much, so only the tokens pay for it that have a capital letter left, which most locales
    never leave.
    """
    import ibis

    capitals, small = _letters()
    short = token.left(LONGEST_TOKEN)
    return ibis.ifelse(short.re_search(f"[{capitals}]"), short.translate(capitals, small), short)


@functools.cache
def _letters() -> tuple[str, str]:
    """All letters with a small form of one character, and these forms."""
    cased = [c for c in map(chr, range(_BEYOND_CASED)) if len(c.lower()) == 1 and c.lower() != c]
    return "".join(cased), "".join(c.lower() for c in cased)


@functools.cache
def _small_letters() -> dict[int, int]:
    capitals, small = _letters()
    return str.maketrans(capitals + _EARLY + _LATE, small + _EARLY_AS + _LATE_AS)
