"""Words are counted as the same everywhere, and only their counts are kept."""

from __future__ import annotations

import hashlib
import json
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from trimtab.measure.words import term_counting, terms
from trimtab.measure.words.terms import BUCKETS, TermBins, TermProfile, freeze_terms, mean_tfidf
from trimtab.measure.words.tokens import LONGEST_TOKEN, tokenise

Texts = Sequence[str | None]
Counted = Callable[[ibis.Table], pa.Table]

ODD = [
    "", " ", "...", "word", "a_b-c/d\te\nf", "x" * 1000,
    "Don't <b>stop</b>, 99 %", "null NULL {a,b} \"q\" 'q' \\ %s :x $1",
    "İI ı ΟΔΟΣ ς Straße É É",
    "漢字かな交じり文 カタカナ abc", "Привет, Мир!", "नमस्ते दुनिया।",
    "عربي، نص؟", "❤️ 👍🏽 great👍", "１２ ²½ Ⅷ",
]


def _texts(rows: int, seed: int, words: int = 300) -> list[str | None]:
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, words + 1)
    drawn = rng.choice(words, (rows, 5), p=shares / shares.sum())
    texts: list[str | None] = [" ".join(f"W{chr(97 + w % 26)}{chr(97 + w // 26)}" for w in row) for row in drawn]
    for place in range(0, rows, 40):
        texts[place] = None
    return texts + list(ODD)


def _documents(texts: Texts) -> list[Counter[str]]:
    return [Counter(tokenise(text)) for text in texts if text is not None]


def _frozen(texts: Texts) -> TermBins:
    """Terms and vocabulary as a plain program finds them."""
    documents = _documents(texts)
    df, tf = Counter(word for one in documents for word in one), sum(documents, Counter[str]())
    tokens = sorted(df, key=lambda word: (-df[word], word))
    return freeze_terms(tokens, [df[word] for word in tokens], [tf[word] for word in tokens], len(documents))


def _profiled(texts: Texts, bins: TermBins) -> TermProfile:
    """The profile as a plain program finds it."""
    documents, vocabulary, shared = _documents(texts), set(bins.vocabulary), set(bins.vocabulary[:bins.recurring])
    having, buckets = Counter(word for one in documents for word in one), Counter[int]()
    for one in documents:
        digests = [hashlib.md5(word.encode()).hexdigest() for word in one]
        buckets.update({int(digest[3 * i:3 * i + 3], 16) + i * BUCKETS for digest in digests for i in (0, 1)})
    return TermProfile(
        bins, tuple(having[term] for term in bins.terms), tuple(buckets[place] for place in range(2 * BUCKETS)),
        documents=len(documents), nulls=len(texts) - len(documents), tokens=sum(sum(one.values()) for one in documents),
        mentions=sum(len(one) for one in documents),
        unseen_tokens=sum(n for one in documents for word, n in one.items() if word not in vocabulary),
        novel_documents=sum(any(word not in vocabulary for word in one) for one in documents),
        lone_tokens=sum(n for one in documents for word, n in one.items() if word not in shared),
        lone_documents=sum(any(word not in shared for word in one) for one in documents),
    )


def _in_duckdb(texts: Texts, by: Sequence[Any] = ()) -> tuple[ibis.Table, Counted]:
    connection = ibis.duckdb.connect()
    columns = {"text": pa.array(texts, pa.string())} | ({"by": list(by)} if by else {})
    return connection.create_table("records", pa.table(columns)), connection.to_pyarrow


def _reference(texts: Texts) -> TermProfile:
    table, counted = _in_duckdb(texts)
    bins = term_counting.read_tokens(counted(term_counting.token_counts(table, "text")))
    return term_counting.read_reference(bins, counted(term_counting.term_counts(table, "text", bins)))


def _window(texts: Texts, bins: TermBins) -> TermProfile:
    table, counted = _in_duckdb(texts)
    return term_counting.read_terms(bins, counted(term_counting.term_counts(table, "text", bins)))


Stored = Callable[[Texts], tuple[ibis.Table, Counted]]
LOCALES = {
    "postgresql": "", "postgresql-c": "LOCALE 'C'", "postgresql-turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
    "postgresql-english": "LOCALE_PROVIDER icu ICU_LOCALE 'en-GB'",
}


@pytest.fixture(params=["duckdb", *LOCALES])
def stored(request: pytest.FixtureRequest) -> Iterator[Stored]:
    """Puts texts into a database; PostgreSQL's disagree about small letters by their locale."""
    if request.param == "duckdb":
        yield _in_duckdb
        return
    server, name = request.getfixturevalue("postgres_server"), f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} {LOCALES[request.param]} TEMPLATE template0"))
    engine.dispose()
    url = server.format(name).replace("postgresql+psycopg", "postgresql")

    def _in_postgresql(texts: Texts) -> tuple[ibis.Table, Counted]:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE records (text text)")
            with cursor.copy("COPY records FROM STDIN") as copy:
                for text in texts:
                    copy.write_row([text])
        return opened.table("records"), opened.to_pyarrow

    opened = ibis.connect(url)
    yield _in_postgresql
    opened.disconnect()


# What a token is


@pytest.mark.parametrize(("text", "tokens"), [
    ("", []),
    (" \t\n -- !", []),
    ("Don't stop", ["don", "t", "stop"]),
    ("a_b/c", ["a", "b", "c"]),
    ("invoice 4711 of 12/2024", ["invoice", "0000", "of", "00", "0000"]),
    ("ΟΔΟΣ οδος", ["οδοσ", "οδοσ"]),
    ("İstanbul ISTANBUL", ["istanbul", "istanbul"]),
    ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),
    ("漢字です abc", ["漢", "字", "で", "す", "abc"]),
    ("great👍🏽👍 ❤️ a☺b", ["great", "👍", "👍", "❤", "a", "☺", "b"]),
    ("from 🇬🇧 → here ➊ ★", ["from", "here", "★"]),
    ("x" * 1_000_000, ["x" * LONGEST_TOKEN]),
    ("one two " * 100_000, ["one", "two"] * 100_000),
])
def test_text_is_split_into_tokens(text: str, tokens: list[str]) -> None:
    assert tokenise(text) == tokens


def test_letters_marks_and_digits_are_kept_and_punctuation_separates() -> None:
    separating = {code for code in range(0x10000) if tokenise(f"a{chr(code)}b") == ["a", "b"]}
    kinds = {code: unicodedata.category(chr(code)) for code in range(0x10000)}
    signs = {*range(0x2100, 0x2150), *range(0x2460, 0x2500), *range(0x2776, 0x2794), *range(0x3190, 0x3400), 0x2E2F}
    assert {code for code in separating if kinds[code][0] in "LN"} <= signs    # kelvin, circled digits, units
    tokens = {0x218A, 0x218B, *range(0x2600, 0x2768)}    # two digits; suns, hearts, stars are tokens
    assert {code for code in range(0x2000, 0x2C00) if kinds[code][0] in "PSZ"} <= separating | tokens
    assert all(tokenise(f"a{chr(code)}b") == ["a", chr(code), "b"] for code in range(0x2600, 0x2768))
    scripts = [range(0x250), range(0x370, 0x482), range(0x530, 0x6F0), range(0x900, 0x980), range(0x3000, 0x3400)]
    for script in scripts:    # Latin, Greek and Cyrillic, Armenian to Arabic, Devanagari, Japanese and Chinese
        assert {code for code in script if kinds[code][0] in "PSZ"} - separating <= {0x3F6}, script


def test_every_character_means_the_same_in_python_and_in_duckdb() -> None:
    texts = [f"A{chr(code)}b" for code in range(0x2E00)]
    texts += [f"A{chr(code)}b" for code in (*range(0xA640, 0xABC0), *range(0x10400, 0x10500), *range(0x1E900, 0x1E960))]
    texts += [f"A{chr(code)}b" for code in range(0x1F000, 0x1FC00)]
    profile = _window(texts, TermBins((), ()))
    assert profile == _profiled(texts, TermBins((), ()))


def test_odd_texts_are_counted_alike_in_every_database(stored: Stored) -> None:
    texts: list[str | None] = [*ODD, *_texts(200, 0), "word " * 100_000 + "ÄÖÜ", "y" * 1_000_000]
    table, counted = stored(texts)
    bins = term_counting.read_tokens(counted(term_counting.token_counts(table, "text")))
    assert bins == _frozen(texts)
    few = freeze_terms(bins.vocabulary[:100], range(200, 100, -1), range(200, 100, -1), 500)
    result = counted(term_counting.term_counts(table, "text", few))
    assert term_counting.read_terms(few, result) == _profiled(texts, few)


# What is counted


def test_reference_and_window_are_counted_as_by_a_plain_program() -> None:
    before, after = _texts(1500, 1), _texts(700, 2, words=500)
    reference = _reference(before)
    assert replace(reference.bins, documents=0, tokens=0, singleton_documents=0, singleton_tokens=0,
                   doubleton_documents=0) == _frozen(before)
    assert reference == _profiled(before, reference.bins)
    assert _window(after, reference.bins) == _profiled(after, reference.bins)
    assert (reference.novel_documents, reference.unseen_tokens) == (0, 0)


def test_singleton_documents_are_those_that_the_others_would_find_novel() -> None:
    texts = [text for text in _texts(100, 3) if text is not None]
    bins = _reference(texts).bins
    found = []
    for place, text in enumerate(texts):
        vocabulary = {word for other in texts[:place] + texts[place + 1:] for word in tokenise(other)}
        found.append([word not in vocabulary for word in tokenise(text)])
    assert bins.singleton_documents == sum(any(one) for one in found) > 0
    assert bins.singleton_tokens == sum(sum(one) for one in found)


def test_doubleton_documents_have_a_rarest_token_that_is_in_two() -> None:
    bins = _reference(["a b", "a b", "a c", "c c d", "c a", "e", "e", None]).bins
    # b b in two documents and nothing rarer beside; d is alone; a and c are in more; e and e
    assert (bins.singleton_documents, bins.doubleton_documents, bins.documents) == (1, 4, 7)


def test_vocabulary_that_is_too_large_is_cut_between_frequencies(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (terms, term_counting):
        monkeypatch.setattr(module, "MAX_VOCABULARY", 40)
    texts = _texts(500, 4)
    reference = _reference(texts)
    df = Counter(word for one in _documents(texts) for word in one)
    least = reference.bins.least
    assert least > 1
    assert set(reference.bins.vocabulary) == {word for word, n in df.items() if n >= least}
    assert len(reference.bins.vocabulary) <= 40 < sum(n >= least - 1 for n in df.values())
    alone = sum(any(df[word] <= least for word in one) for one in _documents(texts))
    assert reference.bins.singleton_documents == alone
    assert reference.novel_documents == sum(any(df[word] < least for word in one) for one in _documents(texts))


def test_days_are_counted_in_one_query_and_add_up_to_the_window() -> None:
    texts = _texts(900, 5)
    bins = _frozen(_texts(300, 6))
    days = [None if place % 11 == 0 else place % 5 for place in range(len(texts))]
    table, counted = _in_duckdb(texts, days)
    result = counted(term_counting.term_counts(table, "text", bins, "by"))
    by_day = term_counting.read_terms_by(bins, result)
    assert set(by_day) == {None, 0, 1, 2, 3, 4}
    for day, profile in by_day.items():
        assert profile == _profiled([text for text, of in zip(texts, days, strict=True) if of == day], bins)
    assert term_counting.read_terms(bins, result) == _profiled(texts, bins)


def test_profile_of_a_union_is_the_sum_and_order_does_not_matter() -> None:
    bins, one, other = _frozen(_texts(300, 7)), _texts(200, 8), _texts(300, 9, words=600)
    union = _window([*other, *one], bins)
    assert _window(one, bins) + _window(other, bins) == union == _window(other, bins) + _window(one, bins)


def test_profiles_with_other_terms_are_not_added() -> None:
    bins = _frozen(_texts(100, 1))
    with pytest.raises(ValueError, match="different terms"):
        TermProfile.nothing(bins) + TermProfile.nothing(replace(bins, least=2))
    with pytest.raises(ValueError, match="but 0 and 3 counts"):
        TermProfile(bins, (), (0, 0, 0))


def test_profile_comes_back_from_json_as_it_was() -> None:
    reference = _reference(_texts(300, 10))
    assert TermProfile.from_json(json.loads(json.dumps(reference.to_json()))) == reference


@pytest.mark.parametrize(("texts", "documents", "nulls"), [([], 0, 0), ([None, None], 0, 2), (["", "?!"], 2, 0)])
def test_reference_without_words_has_no_terms(texts: Texts, documents: int, nulls: int) -> None:
    reference = _reference(texts)
    assert (reference.documents, reference.nulls, reference.rows) == (documents, nulls, documents + nulls)
    assert (reference.bins.terms, reference.tokens, sum(reference.buckets)) == ((), 0, 0)
    window = _window(["some words", None], reference.bins)
    assert (window.novel_documents, window.unseen_tokens, window.nulls) == (1, 2, 1)


def test_words_of_a_bucket_are_named() -> None:
    texts = _texts(300, 11)
    table, counted = _in_duckdb(texts)
    digest = hashlib.md5(b"wba").hexdigest()
    places = [int(digest[:3], 16), int(digest[3:6], 16) + BUCKETS]
    rows = counted(term_counting.bucket_tokens(table, "text", places)).to_pylist()
    documents = sum("wba" in one for one in _documents(texts))
    assert [row for row in rows if row["token"] == "wba"] == [
        {"token": "wba", "documents": documents, "bucket": place} for place in sorted(places)
    ]
    assert max(row["documents"] for row in rows) == rows[0]["documents"]


# Which terms are the top ones


def test_weights_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [text for text in _texts(400, 12) if text is not None]
    vectors = TfidfVectorizer(tokenizer=tokenise, token_pattern=None, lowercase=False, norm=None)
    means = np.asarray(vectors.fit_transform(texts).mean(axis=0)).ravel()
    counts = sum(_documents(texts), Counter[str]())
    having = Counter(word for one in _documents(texts) for word in one)
    names = vectors.get_feature_names_out().tolist()
    found = mean_tfidf([having[name] for name in names], [counts[name] for name in names], len(texts))
    assert found == pytest.approx(means, rel=1e-12)
    first = np.array([dict(zip(names, means, strict=True))[term] for term in _frozen(texts).terms])
    assert first == pytest.approx(np.sort(means)[::-1][:len(first)], rel=1e-12)


def test_bins_tell_how_large_they_are() -> None:
    bins = _frozen(_texts(50, 1))
    assert repr(bins) == f"<TermBins of {len(bins.terms)} terms and {len(bins.vocabulary)} tokens>"
    assert repr(TermProfile.nothing(bins)) == f"<TermProfile of 0 documents, {len(bins.terms)} terms>"
