"""How is a count written in a sentence?"""

from __future__ import annotations


def plural(number: int, thing: str, things: str = "") -> str:
    """So many of a thing.

    Parameters
    ----------
    number : int
    thing : str
        What one of them is called.
    things : str, optional
        What several are called; by default with an s.

    Examples
    --------
    >>> plural(1, "column"), plural(1200, "column")
    ('1 column', '1,200 columns')
    >>> plural(1, "criterion holds", "criteria hold"), plural(0, "criterion holds", "criteria hold")
    ('1 criterion holds', '0 criteria hold')
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
