"""Have the words of text columns changed? Each day's words are counted once, by a vocabulary frozen as bins are."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from trimtab import tally
from trimtab.measure.columns.drift import ColumnDrift
from trimtab.measure.words.terms import TermBins, TermProfile
from trimtab.measure.words.tokens import TOKENS
from trimtab.measure.words.word_days import WordDays
from trimtab.measure.words.word_variation import word_variation
from trimtab.run.profiles import counted_once, digest, whole_days
from trimtab.windows import Window

if TYPE_CHECKING:
    from trimtab.run.session import Session


def words(session: Session, window: Window) -> tuple[ColumnDrift, ...]:
    """How the words of each text column moved from the reference to a window; `compare` takes it as `beside`."""
    return tuple(_column(session, name, session.reference_window(), window) for name in session.params.data.text)


def words_since(session: Session, before: Window, window: Window) -> tuple[ColumnDrift, ...]:
    """The same from another window than the reference, by its vocabulary; how far days differ is told by its days."""
    return tuple(_lately(session, name, before, window) for name in session.params.data.text)


def _column(session: Session, name: str, before: Window, now: Window) -> ColumnDrift:
    reference = _reference(session, name, before)
    current = _summed(session, name, now, reference.bins)
    return tally.moved_words((before, now), name, (reference, current), session.records.arrow)


def _lately(session: Session, name: str, before: Window, now: Window) -> ColumnDrift:
    reference = _reference(session, name, session.reference_window())
    earlier, current = (_summed(session, name, one, reference.bins) for one in (before, now))
    natural = word_variation(reference.days, current.days) if reference.days and current.days else None
    return tally.moved_words((before, now), name, (earlier, current), session.records.arrow, natural)


def _reference(session: Session, name: str, window: Window) -> TermProfile:
    """The profile of the reference, by the vocabulary of what the champion was made from, if that is another window."""
    base = session.frozen_on(window)
    if base is None:
        return _frozen(session, name, window)
    return _summed(session, name, window, _frozen(session, name, base).bins)


@lru_cache(maxsize=8)    # a check asks several times
def _frozen(session: Session, name: str, window: Window) -> TermProfile:
    """The profile that the vocabulary is frozen on; made once, and never counted again."""
    records, ledger, time = session.records, session.ledger, session.params.data.time
    most = session.params.drift.terms
    key = digest(["words", TOKENS, *session.profiles.place, name, most, window.start, window.end, window.rows])
    content = ledger.profile(key)
    if content is not None:
        kept = TermProfile.from_json(content)
        days = ledger.days.kept(_key(session, name, kept.bins), WordDays.of(kept.bins, {}), *whole_days(window))
        return replace(kept, days=days)
    found = tally.freeze_word_days(window, name, time, records.arrow, most=most)
    first, last = whole_days(window)
    whole = found.only([day for day in found.dates.tolist() if first <= day <= last])
    ledger.days.keep(_key(session, name, found.bins), whole)
    title = f"words {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"
    ledger.save_profile(key, title, found.total().to_json())
    return replace(found.total(), days=whole)


@lru_cache(maxsize=8)
def _summed(session: Session, name: str, window: Window, bins: TermBins) -> TermProfile:
    """A window's profile: the sum of its days, of which only those that are new or have changed are counted."""
    records, time = session.records, session.params.data.time
    found, whole = counted_once(
        records, session.ledger, window, _key(session, name, bins), WordDays.of(bins, {}),
        lambda part: tally.count_word_days(part, name, bins, time, records.arrow),
    )
    return replace(found.total(), days=whole)


def _key(session: Session, name: str, bins: TermBins) -> str:
    return digest([TOKENS, *session.profiles.place, name, bins.digest])
