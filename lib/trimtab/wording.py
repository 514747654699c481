"""How are a count and a probability written in a sentence?"""

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


def probability(value: float) -> str:
    """A probability to two digits; what is nearly certain, or nearly excluded, as a bound.

    Examples
    --------
    >>> probability(0.914), probability(0.9991), probability(0.0004), probability(1.0)
    ('0.91', '> 0.99', '< 0.01', '1')
    """
    if value in (0.0, 1.0):
        return f"{value:.0f}"
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else f"{value:.2f}"
