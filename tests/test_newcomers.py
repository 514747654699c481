"""One level that the reference never had: found among many rare ones, and none is made up where there is none."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from trimtab.decide import columns
from trimtab.measure.columns.bins import (
    BUCKETS,
    MAX_LEVELS,
    CategoricalBins,
    bucket,
    freeze_categorical,
    freeze_numeric,
)
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.drift import ColumnDrift, compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.novelty import crowded_by_chance, newcomer_by_chance
from trimtab.measure.columns.profile import BESIDE, ColumnProfile, Profile
from trimtab.measure.columns.variation import variation
from trimtab.measure.columns.watched import Watched
from trimtab.run import profiles
from trimtab.settings.drift import DriftSettings
from trimtab.tally import count_days, count_profile, freeze
from trimtab.windows import Window

RNG = np.random.default_rng
Floats = np.ndarray[Any, np.dtype[np.float64]]


def zipf(levels: int, exponent: float = 1.0) -> Floats:
    shares: Floats = np.arange(1, levels + 1) ** -exponent
    return shares / shares.sum()


LAWS = {
    "Zipf-50": zipf(50), "Zipf-1000": zipf(1000), "Zipf-1000, steep": zipf(1000, 2.0),
    "uniform-100": np.full(100, 0.01), "uniform-1000": np.full(1000, 0.001),
}


def drawn(rng: np.random.Generator, law: Floats, n: int, m: int, new: float = 0.0) -> tuple[Any, Any]:
    """Counts of the levels in a reference and a current window; the last of them is one that only the latter has."""
    arrived = rng.binomial(m, new) if new else 0
    return np.append(rng.multinomial(n, law), 0), np.append(rng.multinomial(m - arrived, law), arrived)


def found_by_chance(rng: np.random.Generator, law: Floats, n: int, m: int, new: float = 0.0) -> tuple[float, float]:
    a, b = drawn(rng, law, n, m, new)
    cells = rng.integers(0, BUCKETS, len(a))
    held = np.bincount(cells[a == 0], b[a == 0], minlength=BUCKETS)
    return newcomer_by_chance((a + b)[a > 0], n, held, m)


def compared(before: Any, now: Any, **more: Any) -> ColumnDrift:
    """Of counts by level, the levels named by their place; bins are frozen on the first."""
    names = [f"level {place}" for place in range(len(before))]
    bins = freeze_categorical([names[place] for place in np.argsort(-np.asarray(before), kind="stable")
                               if before[place]])
    sides = [profile_array(np.repeat(names, side), bins) for side in (before, now)]
    return compare(*(Profile({"kind": side}, side.rows) for side in sides), **more)["kind"]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("n", "m"), [(1000, 50), (1000, 1000), (1000, 50_000), (5000, 5000)])
def test_what_a_sample_misses_by_chance_is_no_newcomer(law: str, n: int, m: int) -> None:
    """300 pairs: at a true rate of 5 %, more than 26 p-values of 0.05 or less come once in 500 times; the p-value is a
    bound, so that there are far fewer."""
    rng = RNG([1, n, m])
    found = np.array([found_by_chance(rng, LAWS[law], n, m)[1] for _ in range(300)])
    assert ((found >= 0) & (found <= 1)).all()
    assert (found <= 0.05).sum() <= 26
    assert (found <= 1e-4).sum() <= 1


@pytest.mark.parametrize("law", ["Zipf-50", "Zipf-1000", "uniform-1000"])
def test_new_level_of_one_percent_is_found_in_five_thousand_records(law: str) -> None:
    """In 200 checks at the level that the first of 200 tests must reach; a rate of 95 % would find fewer than 180 once
    in 800 times. What it is said to make up is right on average, to three standard errors."""
    rng = RNG(2)
    shares, p_values = np.transpose([found_by_chance(rng, LAWS[law], 5000, 5000, 0.01) for _ in range(200)])
    assert (p_values <= 0.05 / 200).sum() >= 180
    assert abs(shares.mean() - 0.01) <= 3 * shares.std() / np.sqrt(200) + 0.0003    # the fullest bucket is chosen


def test_newcomer_among_a_thousand_levels_makes_the_column_drift_though_new_levels_together_do_not() -> None:
    found = compared(*drawn(RNG(3), LAWS["Zipf-1000"], 5000, 5000, 0.01))
    assert [aspect.name for aspect in found.moved()] == ["newcomer"]
    assert not found["unseen"].q_value <= 0.05 or found["unseen"].size < 0.005
    assert str(found.moved()[0]).startswith("one new level ")
    assert compared(*drawn(RNG(3), LAWS["Zipf-1000"], 5000, 5000)).moved() == ()


def test_many_new_levels_of_which_none_stands_out_are_not_one() -> None:
    before = np.append(np.full(20, 250), np.zeros(2000, dtype=int))
    now = np.append(np.full(20, 150), np.ones(2000, dtype=int))
    found = compared(before, now)
    assert found["unseen"].counts(alpha=0.05, large={"unseen": 0.005})
    assert found["newcomer"].p_value > 0.5


@pytest.mark.parametrize(("n", "arrived", "found"), [(1000, 9, False), (20_000, 9, True), (300, 10_000, False)])
def test_how_large_a_newcomer_must_be_depends_on_the_reference(n: int, arrived: int, found: bool) -> None:
    """A reference as large as the window lacks a level of nine records once in 2⁹ times, one twenty times as large not
    once in 21⁹; and three hundred records may well lack a level of one percent."""
    m = 1000 if arrived < 100 else 1_000_000
    p_value = newcomer_by_chance([(n + m) // 2, (n + m) // 2], n, [arrived, 0, 0, 0], m)[1]
    assert (p_value < 1e-4) is found


def test_p_value_is_that_of_a_single_level_where_there_are_no_rare_ones() -> None:
    share, p_value = newcomer_by_chance([1000, 1000], 1000, [20] + [0] * 126, 1000)
    assert share == pytest.approx(0.02)
    assert 0.5**20 <= p_value < 1.1 * 0.5**20    # twenty records that are all current ones


@pytest.mark.parametrize(("n", "held", "m"), [(0, [1, 0], 10), (10, [0, 0], 0)])
def test_newcomer_without_records_on_either_side_is_nan(n: int, held: list[int], m: int) -> None:
    assert all(map(math.isnan, newcomer_by_chance([n], n, held, m)))
    assert all(map(math.isnan, crowded_by_chance([0, 0], n, held, m)))


def test_no_unseen_record_is_no_newcomer_and_nothing_but_one_is() -> None:
    assert newcomer_by_chance([100], 50, [0, 0], 50) == (0.0, 1.0)
    share, p_value = newcomer_by_chance([5000], 5000, [5000, 0], 5000)
    assert share == 1.0
    assert p_value < 1e-300
    assert newcomer_by_chance([], 10, [10, 0], 10)[1] <= 1.0    # a reference whose levels are not kept


def test_buckets_that_nobody_counted_are_not_tested() -> None:
    bins = freeze_categorical(["a", "b"])
    before, now = ColumnProfile(bins, (500, 500)), ColumnProfile(bins, (450, 450), unseen=100)
    found = compare(Profile({"x": before}, 1000), Profile({"x": now}, 1000))["x"]
    assert math.isnan(found["newcomer"].p_value)
    assert found["unseen"].p_value < 1e-6
    measured = columns.unseen_levels(compare(Profile({"x": before}, 1000), Profile({"x": now}, 1000)), DriftSettings())
    assert measured.value == found["unseen"].size
    assert (before + now).buckets == ()
    assert (now + profile_array(np.array(["z"]), bins)).buckets == ()


def test_reference_that_is_another_window_has_new_levels_of_its_own() -> None:
    """As in a comparison of consecutive windows: what was new before already is no newcomer, what was not is one."""
    bins = freeze_categorical([f"level {place}" for place in range(5)])
    known, old, new = ([f"level {i % 5}" for i in range(980)], ["old"] * 20, ["new"] * 20)
    before = profile_array(np.array(known + old), bins)
    same, other = profile_array(np.array(known + old), bins), profile_array(np.array(known + old + new), bins)

    def _found(now: ColumnProfile) -> ColumnDrift:
        return compare(Profile({"x": before}, before.rows), Profile({"x": now}, now.rows))["x"]

    assert _found(same)["newcomer"].p_value == 1.0
    assert "newcomer" in [aspect.name for aspect in _found(other).moved()]
    assert _found(other)["newcomer"].size == pytest.approx(20 / 1020)


def test_reference_with_more_levels_than_are_kept_is_held_against_its_own_buckets() -> None:
    """12,000 levels alike, of which the 2,000 rarest count as unseen, and are found oftener in any other window."""
    rng, size = RNG(4), MAX_LEVELS + 2000
    law = np.full(size, 1 / size)
    names = np.array([f"level {place}" for place in range(size + 1)])
    before, now = drawn(rng, law, 60_000, 60_000)
    bins = freeze_categorical(names[np.argsort(-before, kind="stable")].tolist())
    counted = profile_array(np.repeat(names, before), bins)
    assert 0 < sum(counted.buckets) == counted.unseen

    def _found(side: Any) -> ColumnDrift:
        profile = profile_array(np.repeat(names, side), bins)
        return compare(Profile({"x": counted}, counted.rows), Profile({"x": profile}, profile.rows))["x"]

    assert _found(now)["newcomer"].p_value > 0.05
    crowded = _found(np.append(now[:-1], 600))
    assert crowded["newcomer"].p_value < 1e-6
    assert crowded["newcomer"].size == pytest.approx(0.01, abs=0.002)    # a bucket holds 70 ± 10 of the tail


def test_bucket_of_a_level_never_changes_and_any_is_as_likely() -> None:
    assert bucket("123456789") == 0xCBF43926 % 127    # what is published of CRC-32 to check it by
    assert [bucket(level) for level in ("", "a", "ß", "日本", "None")] == [0, 114, 106, 17, 102]
    for pattern in ("{}", "level {:05d}", "user_{}@example.org"):
        counts = np.bincount([bucket(pattern.format(i)) for i in range(12_700)], minlength=BUCKETS)
        assert len(counts) == BUCKETS
        assert ((counts - 100) ** 2 / 100).sum() < 195    # χ² with 126 degrees of freedom: beyond once in 10,000 times


def test_days_windows_and_values_in_memory_are_counted_into_the_same_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, start = RNG(5), datetime(2024, 3, 1)
    level = rng.choice(["a", "b", "neu", "日本", "x y", None], 600)    # type: ignore[arg-type]  # -- None is no str
    at = [start + timedelta(hours=int(hour)) for hour in rng.integers(0, 96, 600)]
    frame = pd.DataFrame({"at": at, "level": level, "x": rng.normal(size=600)})
    known = frame[frame["level"].isin(["a", "b"])]
    backend, watched = ibis.duckdb.connect(), Watched(("x",), ("level",))
    windows = [Window("w", start, start + timedelta(days=4), len(f), 0, ibis.memtable(f)) for f in (known, frame)]
    bins = freeze(backend, windows[0], watched)
    whole = count_profile(backend, windows[1], watched, bins).columns["level"]
    days = count_days(backend, windows[1], watched, bins, "at")
    present = frame["level"].dropna()
    expected = profile_array(present.to_numpy(), bins["level"])
    assert whole.buckets == expected.buckets
    assert days.buckets("level").sum(axis=0).tolist() == list(whole.buckets)
    assert days.buckets("x").shape == (len(days), 0)
    assert days.total().columns["level"] == whole
    parts = [profile_array(part.to_numpy(), bins["level"]) for part in (present[:200], present[200:])]
    assert parts[0] + parts[1] == expected
    assert ColumnProfile.from_json(whole.to_json()) == whole
    monkeypatch.setattr("trimtab.tally._native", lambda _: False)
    assert np.array_equal(count_days(backend, windows[1], watched, bins, "at").counts, days.counts)


def test_buckets_that_do_not_hold_what_is_unseen_are_refused() -> None:
    bins = freeze_categorical(["a"])
    with pytest.raises(ValueError, match="2 buckets of 3 records are not 127"):
        ColumnProfile(bins, (1,), unseen=3, buckets=(1, 2))
    with pytest.raises(ValueError, match="are not 127 of the 4 unseen ones"):
        ColumnProfile(bins, (1,), unseen=4, buckets=(3,) + (0,) * (BUCKETS - 1))


def test_profile_that_was_kept_without_buckets_is_read() -> None:
    plain = ColumnProfile(freeze_categorical(["a"]), (5,)).to_json()
    del plain["buckets"]
    assert ColumnProfile.from_json(plain).buckets == ()


def test_what_was_kept_by_another_layout_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: Any = profiles.Profiles(None, None, Watched(), ("here",))    # type: ignore[arg-type]  # -- neither is asked
    bins = {"x": freeze_categorical(["a"])}
    key = kept.key(bins)
    monkeypatch.setattr(profiles, "LAYOUT", profiles.LAYOUT - 1)
    assert kept.key(bins) != key


def by_day(rng: np.random.Generator, days: range, per_day: int, batch: int) -> dict[date, list[str]]:
    """A quarter of each day's records come in batches with a level of their own, the others are of ten levels."""
    found = {}
    for day in days:
        usual = [f"level {i}" for i in rng.integers(0, 10, per_day * 3 // 4)]
        batches = [f"batch {day} {i // batch}" for i in range(per_day // 4)]
        found[date(2024, 1, 1) + timedelta(days=day)] = usual + batches
    return found


def profiled(days: dict[date, list[str]], bins: Any) -> Profile:
    each = {day: Profile({"x": profile_array(np.array(values), bins)}, len(values)) for day, values in days.items()}
    counted = Days.of({"x": bins}, each)
    return replace(counted.total(), days=counted)


@pytest.mark.parametrize("batch", [5, 25])
def test_levels_that_always_come_in_batches_are_no_newcomers(batch: int) -> None:
    """Thirty days of a hundred records, and a day more: its levels are new, as each day's were. Five times as large a
    batch as any before is news."""
    rng = RNG(6)
    before, now = by_day(rng, range(30), 100, batch), by_day(rng, range(30, 31), 100, batch)
    values, counts = np.unique(np.concatenate(list(before.values())), return_counts=True)
    bins = freeze_categorical(values[np.argsort(-counts, kind="stable")].tolist())
    reference, current = profiled(before, bins), profiled(now, bins)
    known = variation(reference.days, current.rows, 1)["x"]    # type: ignore[arg-type]  # -- it has days
    assert known.thinned("newcomer")[0] == pytest.approx(batch, rel=0.1)
    assert known.floor["newcomer"] >= 0.9 * batch / 100
    drift = compare(reference, current)
    assert "newcomer" not in [aspect.name for aspect in drift["x"].moved()]
    more = {day: values + ["one"] * 5 * batch for day, values in now.items()}
    assert compare(reference, profiled(more, bins))["x"]["newcomer"].size > known.floor["newcomer"]


def test_records_that_do_not_come_in_batches_each_count() -> None:
    """The share of pairs beyond chance has a standard error of about 0.02 here."""
    rng = RNG(7)
    days = {date(2024, 1, 1) + timedelta(days=day): [f"level {i}" for i in rng.choice(200, 300)] for day in range(28)}
    bins = freeze_categorical([f"level {i}" for i in range(200)])
    reference = profiled(days, bins)
    known = variation(reference.days, 300, 1)["x"]    # type: ignore[arg-type]  # -- it has days
    assert known.thinned("newcomer")[0] < 1.1


def test_operator_reads_of_one_level_where_it_is_one_and_of_levels_where_they_are_many() -> None:
    bins = freeze_categorical([f"level {place}" for place in range(5)])
    usual = [f"level {i % 5}" for i in range(4950)]

    def _said(*new: str) -> str:
        sides = [profile_array(np.array(values), bins) for values in (usual, [*usual, *new])]
        drift = compare(*(Profile({"kind": side}, side.rows) for side in sides))
        measured = columns.unseen_levels(drift, DriftSettings())
        assert measured.columns == ("kind",)
        assert measured.significant
        return measured.message

    assert _said(*["new"] * 50) == (
        "kind has one level that the reference never had, which makes up about 1.0 % of the records.")
    assert _said(*(f"new {i}" for i in range(300))).startswith("kind has levels that the reference never had, ")


@pytest.mark.parametrize("had_buckets", [False, True], ids=["the first", "before far values were counted"])
def test_days_of_earlier_layouts_are_still_read(had_buckets: bool) -> None:
    bins = {"k": freeze_categorical(["a", "b"]), "x": freeze_numeric(np.arange(50.0)), "l": freeze_categorical(["c"])}
    today = {
        "k": profile_array(np.array(["a", "a", "b"]), bins["k"]), "x": profile_array(np.arange(3.0), bins["x"]),
        "l": profile_array(np.array(["c", "c", "c"]), bins["l"]),
    }
    days = Days.of(bins, {date(2024, 3, 1): Profile(today, 3), date(2024, 3, 2): Profile(today, 3)})
    kept, start = days.to_json(), 1
    dropped: list[int] = []
    for one in bins.values():
        width = one.size + len(BESIDE) + (BUCKETS if isinstance(one, CategoricalBins) else 0)
        far = start + one.size + BESIDE.index("far")
        dropped += [far] if had_buckets else range(far, start + width)
        start += width
    kept["counts"] = np.delete(np.array(kept["counts"]), dropped, axis=1).tolist()
    assert Days.from_json(kept, bins).counts.tolist() == days.counts.tolist()


@pytest.mark.parametrize("law", [np.full(15_000, 1 / 15_000), zipf(30_000, 1.3)], ids=["uniform", "Zipf"])
def test_more_levels_than_are_kept_are_no_news_by_themselves(law: Floats) -> None:
    """The kept levels were chosen for being frequent in the reference, and are rarer in any other sample."""
    for seed in range(3):
        rng = RNG([seed, 8])
        before, now = rng.multinomial(300_000, law), rng.multinomial(100_000, law)
        order = np.argsort(-before, kind="stable")[:MAX_LEVELS]
        bins = {"k": freeze_categorical([str(code) for code in order])}
        sides = [Profile({"k": ColumnProfile(bins["k"], tuple(side[order].tolist()),
                                             unseen=int(side.sum() - side[order].sum()))}, int(side.sum()))
                 for side in (before, now)]
        assert not compare(*sides).drifted()
