"""Which Ibis expressions count the words of a text column, and how are their results read?

A reference takes two queries: `token_counts` for its tokens, then `term_counts` against the bins that follow from them.
A window takes `term_counts` alone, by the day if wanted. The texts are taken apart where they lie; what comes back are
tokens with their counts, and never which of them stood together.

The vocabulary goes into the query as one text that the database splits, for Ibis makes an object of every literal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from trimtab.measure.words import word_days
from trimtab.measure.words.terms import BUCKETS, MAX_VOCABULARY, TOP_TERMS, TermBins, TermProfile, freeze_terms
from trimtab.measure.words.tokens import completed, tokens_of
from trimtab.measure.words.word_days import WordDays

if TYPE_CHECKING:
    import pyarrow as pa

_NONE = ibis.literal(0, "int64")
_EPOCH = date(1970, 1, 1)
_Counted = dict[tuple[str, str], tuple[int, int, int]]    # by what and key: documents, tokens, mentions
_COUNTS = ("documents", "tokens", "mentions")
_TOGETHER = {    # what is counted of all tokens of a kind, or of all records, and what a profile calls it
    "all": {"tokens": "tokens", "mentions": "mentions"},
    "unseen": {"novel_documents": "documents", "unseen_tokens": "tokens"},
    "lone": {"lone_documents": "documents", "lone_tokens": "tokens"},
    "text": {"documents": "documents"}, "null": {"nulls": "documents"},
}
_HASHES = {"a": 0, "b": 3}    # where in a digest the three hexadecimal digits of each hash begin
_BUCKET_KEYS = tuple(f"{name}{place:03x}" for name in _HASHES for place in range(BUCKETS))
_FIRM, _BORDERLINE, _LONE = "fbl"    # how many documents of the reference have a token; a capital letter for a top term


@ibis.udf.scalar.builtin(name="md5")  # type: ignore[untyped-decorator]  # -- Ibis has no annotations here
def _md5(text: str) -> str:
    """Hexadecimal digits: Ibis has it for DuckDB alone, though PostgreSQL knows it under the same name."""
    raise NotImplementedError    # the database has the body


def token_counts(table: ir.Table, column: str, by: str | None = None) -> ir.Table:
    """Expression for the tokens of a reference, those in most documents first.

    Parameters
    ----------
    table : ibis Table
        The reference.
    column : str
        Its text column.
    by : str, optional
        A column of days.

    Returns
    -------
    ibis Table
        `token`, `documents` with it, its `occurrences` in them, its `first` and `last` day and the number of its
        `days`, and the `size` of the reference in documents; one token more than a vocabulary may hold, so that one
        knows.
    """
    pairs = _pairs(_documents(table, column, by))
    group = pairs.group
    counted = pairs.group_by("token").aggregate(
        documents=pairs.count(), occurrences=pairs.n.sum(), first=group.min(), last=group.max(), days=group.nunique()
    )
    first = counted.order_by(ibis.desc("documents")).limit(MAX_VOCABULARY + 1)
    return first.mutate(size=table[column].count().as_scalar())


def read_tokens(counted: pa.Table, *, most: int = TOP_TERMS) -> TermBins:
    """Freeze bins on the result of `token_counts`, with `most` top terms.

    `read_reference` or `read_reference_days` adds what is to be expected of new documents.
    """
    rows = sorted(counted.to_pylist(), key=lambda row: (-row["documents"], row["token"]))
    tokens, documents, occurrences = ([row[name] for row in rows] for name in ("token", "documents", "occurrences"))
    dated = bool(rows) and isinstance(rows[0]["first"], date)
    first, last = ([(row[name] - _EPOCH).days for row in rows] if dated else [] for name in ("first", "last"))
    days = [row["days"] for row in rows] if dated else []
    size = rows[0]["size"] if rows else 0
    return freeze_terms(tokens, documents, occurrences, size, first=first, last=last, days=days, most=most)


def term_counts(table: ir.Table, column: str, bins: TermBins, by: str | None = None) -> ir.Table:
    """Expression for everything that a profile counts of a text column.

    Parameters
    ----------
    table : ibis Table
        The window.
    column : str
        Its text column.
    bins : TermBins
        Frozen on the reference.
    by : str, optional
        A column, such as a day, for each value of which there is to be a profile of its own.

    Returns
    -------
    ibis Table
        One row for each thing that was counted (at most 8,298), and for each value of `by`.
    """
    documents = _documents(table, column, by)
    tokens = _labelled(_pairs(documents), bins)
    unseen = tokens.kind.isnull()
    lone = unseen | tokens.kind.isin([_LONE, _LONE.upper()])
    few = lone | tokens.kind.isin([_BORDERLINE, _BORDERLINE.upper()])
    return ibis.union(
        _terms(tokens),
        _buckets(tokens),
        _together(tokens, "all"),
        _together(tokens.filter(unseen), "unseen"),
        _together(tokens.filter(lone), "lone"),
        _together(tokens.filter(few), "few"),
        _records(documents.filter(documents.text.notnull()), "text"),
        _records(documents.filter(documents.text.isnull()), "null"),
    )


def bucket_tokens(table: ir.Table, column: str, buckets: Sequence[int], *, most: int = TOP_TERMS) -> ir.Table:
    """Expression for the tokens in some buckets, with the documents that they are in: which one filled a bucket?

    Parameters
    ----------
    table : ibis Table
        The window.
    column : str
        Its text column.
    buckets : sequence of int
        Places in `TermProfile.buckets`.
    most : int
        Rows of the result at most.

    Returns
    -------
    ibis Table
        `bucket`, `token` and `documents`; the token in most documents first.
    """
    keys = {_BUCKET_KEYS[bucket]: bucket for bucket in buckets}
    counted = _pairs(_documents(table, column, None)).group_by("token").aggregate(documents=lambda pairs: pairs.count())
    placed = _in_buckets(counted, "token", "documents")
    wanted = placed.filter(placed.key.isin(list(keys)))
    named = wanted.select("token", "documents", bucket=wanted.key.cases(*keys.items()))
    return named.order_by(ibis.desc("documents"), "token", "bucket").limit(most)


def bucket_places(token: str) -> tuple[int, ...]:
    """The places in `TermProfile.buckets` of a token, by either hash.

    Examples
    --------
    >>> bucket_places("red")
    (3034, 6500)
    """
    digest = hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()
    digits = enumerate(_HASHES.values())
    return tuple(BUCKETS * which + int(digest[start : start + 3], 16) for which, start in digits)


def read_terms(bins: TermBins, counted: pa.Table) -> TermProfile:
    """Read what `term_counts` gives; where it was counted by something, the profile of all its values together."""
    return sum(read_terms_by(bins, counted).values(), TermProfile.nothing(bins))


def read_terms_by(bins: TermBins, counted: pa.Table) -> dict[Any, TermProfile]:
    """Read what `term_counts` gives: a profile for each value of `by`, of which null is one, too."""
    found: dict[Any, _Counted] = {}
    columns = (counted[name].to_pylist() for name in ("group", "what", "key", *_COUNTS))
    for group, what, key, *numbers in zip(*columns, strict=True):
        found.setdefault(group, {})[what, key] = (numbers[0], numbers[1], numbers[2])
    return {group: _profile(bins, counts) for group, counts in found.items()}


def read_reference(bins: TermBins, counted: pa.Table) -> TermProfile:
    """Read what `term_counts` gives of the reference itself; its bins then know what to expect of new documents.

    Parameters
    ----------
    bins : TermBins
        As `read_tokens` made them from the same records.
    counted : Arrow table
        The result of `term_counts` with these bins.
    """
    profile = read_terms(bins, counted)
    few = sum(row["documents"] for row in counted.to_pylist() if row["what"] == "few")
    return replace(profile, bins=_complete(profile, few - profile.lone_documents))


def read_reference_days(bins: TermBins, counted: pa.Table) -> WordDays:
    """Read what `term_counts` gives of the reference itself, by day; as `read_reference`, with days left out in turn.

    Parameters
    ----------
    bins : TermBins
        As `read_tokens` made them from the same records, by day.
    counted : Arrow table
        The result of `term_counts` with these bins, by day.
    """
    import pyarrow.compute as pc

    days = read_days(bins, counted)
    few: int = pc.sum(counted.filter(pc.equal(counted["what"], "few"))["documents"]).as_py() or 0
    total = days.total()
    return WordDays(_complete(total, few - total.lone_documents), days.dates, days.counts)


def _complete(profile: TermProfile, doubletons: int) -> TermBins:
    return replace(
        profile.bins, documents=profile.documents, tokens=profile.tokens, singleton_documents=profile.lone_documents,
        singleton_tokens=profile.lone_tokens, doubleton_documents=doubletons,
    )


def read_days(bins: TermBins, counted: pa.Table) -> WordDays:
    """Read what `term_counts` gives by day: a row for each day with records."""
    groups = counted["group"].combine_chunks().dictionary_encode()
    dates = np.array(groups.dictionary.to_pylist(), dtype="datetime64[D]")
    order = np.argsort(dates)
    row = np.argsort(order)[groups.indices.to_numpy()]
    what = counted["what"].to_numpy(zero_copy_only=False)
    numbers = {name: counted[name].to_numpy() for name in _COUNTS}
    counts = np.zeros((len(dates), word_days.cells(bins)), dtype=np.int64)
    for kind, keys, start in _keyed(bins):
        here = what == kind
        place = _places(counted["key"].filter(here), keys)
        counts[row[here], start + place] = numbers["documents"][here]
    for kind, counts_of in _TOGETHER.items():
        here = what == kind
        for name, number in counts_of.items():
            counts[row[here], word_days.place(name)] = numbers[number][here]
    counts[:, 0] = counts[:, word_days.place("documents")] + counts[:, word_days.place("nulls")]
    return WordDays(bins, dates[order], counts)


def _keyed(bins: TermBins) -> list[tuple[str, Sequence[str], int]]:
    """What is counted by a key, with the keys in order and the place of the first one in a day's row."""
    start = word_days.cells(bins) - len(bins.terms) - len(_BUCKET_KEYS)
    return [("term", bins.terms, start), ("bucket", _BUCKET_KEYS, start + len(bins.terms))]


def _places(keys: Any, known: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of each key among those that are known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: npt.NDArray[np.int64] = pc.index_in(keys, pa.array(known, pa.string())).to_numpy().astype(np.int64)
    return found


def _documents(table: ir.Table, column: str, by: str | None) -> ir.Table:
    group = ibis.literal(0) if by is None else table[by]
    return table.select(group=group, doc=ibis.row_number(), text=table[column].cast("string"))


def _pairs(documents: ir.Table) -> ir.Table:
    """Each document with each of its tokens once, and how often it occurs in it."""
    known = documents.filter(documents.text.notnull())
    split = known.select("group", "doc", token=tokens_of(known.text).unnest())
    tokens = split.filter(split.token != "").mutate(token=completed(split.token))
    return tokens.group_by("group", "doc", "token").aggregate(n=tokens.count())


def _labelled(pairs: ir.Table, bins: TermBins) -> ir.Table:
    """With each token: what it is to the reference; null where it is nothing."""
    words = _words(bins)
    return pairs.left_join(words, pairs.token == words.word).select("group", "doc", "token", "n", "kind")


def _words(bins: TermBins) -> ir.Table:
    """The vocabulary as a table: word, and what it is to the reference."""
    terms = set(bins.terms)
    pairs = zip(_kinds(bins), bins.vocabulary, strict=True)
    marked = " ".join((kind.upper() if word in terms else kind) + word for kind, word in pairs)
    entries = ibis.literal(marked).split(" ").unnest().name("entry").as_table()
    return entries.select(kind=entries.entry.left(1), word=entries.entry.substr(1))


def _kinds(bins: TermBins) -> str:
    """One letter for each token of the vocabulary."""
    if bins.days:
        return "".join(_LONE if days == 1 else _BORDERLINE if days == 2 else _FIRM for days in bins.days)
    left = len(bins.vocabulary) - bins.recurring
    return _FIRM * bins.firm + _BORDERLINE * (bins.recurring - bins.firm) + _LONE * left


def _in_buckets(tokens: ir.Table, *names: str) -> ir.Table:
    """Each row twice, with its token's bucket by either hash: different digits of one digest."""
    hashed = tokens.select(*names, digest=_md5(tokens.token))
    keys = [ibis.literal(name) + hashed.digest.substr(start, 3) for name, start in _HASHES.items()]
    return ibis.union(*(hashed.select(*names, key=key) for key in keys))


def _terms(tokens: ir.Table) -> ir.Table:
    """Documents with each top term."""
    terms = tokens.filter(tokens.kind != tokens.kind.lower())
    counted = terms.group_by("group", key=terms.token).aggregate(documents=terms.count())
    return _row(counted.mutate(tokens=_NONE, mentions=_NONE), "term")


def _buckets(tokens: ir.Table) -> ir.Table:
    """Documents with a token in each bucket: two tokens of one bucket in a document are one document."""
    cells = _in_buckets(tokens, "group", "doc").distinct()
    counted = cells.group_by("group", "key").aggregate(documents=cells.count())
    return _row(counted.mutate(tokens=_NONE, mentions=_NONE), "bucket")


def _together(tokens: ir.Table, what: str) -> ir.Table:
    """Documents with any of these tokens."""
    counted = tokens.group_by("group").aggregate(
        documents=tokens.doc.nunique(), tokens=tokens.n.sum(), mentions=tokens.count()
    )
    return _row(counted, what)


def _records(documents: ir.Table, what: str) -> ir.Table:
    counted = documents.group_by("group").aggregate(documents=documents.count())
    return _row(counted.mutate(tokens=_NONE, mentions=_NONE), what)


def _row(counted: ir.Table, what: str) -> ir.Table:
    """In the shape that all parts of the result have."""
    key = counted.key if "key" in counted.columns else ibis.literal("")
    return counted.select("group", "documents", "tokens", "mentions", what=ibis.literal(what), key=key)


def _profile(bins: TermBins, counted: _Counted) -> TermProfile:
    none = (0, 0, 0)
    together: dict[str, Any] = {
        name: counted.get((kind, ""), none)[_COUNTS.index(number)]
        for kind, counts_of in _TOGETHER.items() for name, number in counts_of.items()
    }
    return TermProfile(
        bins,
        tuple(counted.get(("term", term), none)[0] for term in bins.terms),
        tuple(counted.get(("bucket", key), none)[0] for key in _BUCKET_KEYS),
        **together,
    )
