"""Segments: what moves in one of them alone is found and named, what all of them share is not, nor what is chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trimtab.decide.segments import segment_drift
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.columns.aspects import LARGE
from trimtab.measure.columns.beyond import Sides, beyond, without
from trimtab.measure.columns.bins import BinTable, freeze_categorical, freeze_numeric
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.segments import Part, Segment, SegmentDrift, choose, compare_parts, look
from trimtab.settings.drift import DriftSettings

RNG = np.random.default_rng
LEVELS = np.array(list("abcdefgh"))
Table = dict[str, np.ndarray[Any, Any]]
Move = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


# -- beyond the others -------------------------------------------------------------------------------------------------


def split(rng: np.random.Generator, places: list[float], moves: list[Move], n: int = 4000) -> tuple[Sides, Sides]:
    """The first part and all others; each draws normal values around its place and moves them in its way."""
    before = [rng.normal(place, size=n) for place in places]
    now = [move(rng.normal(place, size=n)) for place, move in zip(places, moves, strict=True)]
    bins = freeze_numeric(np.concatenate(before))
    mine, theirs = ([profile_array(np.concatenate(rows), bins) for rows in pair]
                    for pair in ((before[:1], now[:1]), (before[1:], now[1:])))
    return (mine[0], mine[1]), (theirs[0], theirs[1])


@pytest.mark.parametrize("places", [[0.0, 0.0, 0.0], [-1.0, 0.0, 1.0], [0.0, -1.0, 1.0]])
@pytest.mark.parametrize("move", [lambda x: x + 1.0, lambda x: x - 0.5, lambda x: 1.3 * x], ids=["up", "down", "wider"])
def test_one_movement_of_all_records_is_nobodys_own_wherever_they_lie(places: list[float], move: Move) -> None:
    found = beyond(*split(RNG(1), places, [move] * 3))
    assert all(found.get(name, 0.0) < LARGE[name] for name in ("psi", "wasserstein", "outliers"))


def test_a_movement_of_all_records_out_of_the_range_is_nobodys_own() -> None:
    """From one place; of parts that lay elsewhere counts do not tell how far beyond the range they are."""
    found = beyond(*split(RNG(1), [0.0, 0.0, 0.0], [lambda x: x + 5.0] * 3))
    assert all(found[name] < LARGE[name] for name in ("psi", "wasserstein", "outliers"))


@pytest.mark.parametrize("others", [lambda x: x, lambda x: x - 1.0], ids=["still", "the other way"])
def test_a_movement_that_the_others_do_not_share_is_its_own(others: Move) -> None:
    found = beyond(*split(RNG(2), [0.0, 0.0, 1.0], [lambda x: x + 1.0, others, others]))
    assert found["psi"] > 0.8    # PSI of a shift by one standard deviation is 1, in tenths somewhat less
    assert 0.5 < found["wasserstein"] <= 1.0


def test_who_stays_while_the_others_move_has_not_moved() -> None:
    found = beyond(*split(RNG(3), [0.0, 0.0], [lambda x: x, lambda x: x + 1.0]))
    assert max(found["psi"], found["wasserstein"]) < 0.05


def rare_levels(rng: np.random.Generator, *, moved: bool, new: bool = False) -> tuple[Sides, Sides]:
    """Four hundred levels, each in one record of four hundred; of the part now only every other one, or new ones."""
    names = np.array([f"level {i}" for i in range(400)])
    before, there, here = (rng.choice(names, n) for n in (3000, 9000, 9000))
    now = rng.choice(names[::2] if moved else names, 1500)
    if new:
        now = np.where(rng.random(1500) < 0.3, rng.choice([f"new {i}" for i in range(100)], 1500), now)
    bins = freeze_categorical(np.unique(np.concatenate([before, there])).tolist())
    part, others = columns(bins, before, now), columns(bins, there, here)
    return (part[0], part[1]), (others[0], others[1])


def test_a_part_whose_rare_levels_move_is_seen_to() -> None:
    """In one cell for all of them nothing would move; in cells of twenty records each it does."""
    assert beyond(*rare_levels(RNG(5), moved=True))["psi"] > LARGE["psi"]
    for seed in range(20):
        assert beyond(*rare_levels(RNG([5, seed]), moved=False))["psi"] < LARGE["psi"]


def test_new_levels_of_a_part_are_new_beside_the_others() -> None:
    part, others = rare_levels(RNG(6), moved=False, new=True)
    assert beyond(part, others)["psi"] > LARGE["psi"]
    assert others[1] == without(part[1] + others[1], part[1])
    blind = replace(part[1], buckets=())    # as days of an older layout are: one cell for all that is rare or new
    found = beyond((part[0], blind), others)
    assert found["psi"] == 0.0
    assert found["unseen"] > 0.2


def columns(bins: Any, *rows: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    return tuple(profile_array(one, bins) for one in rows)


def test_levels_that_became_more_frequent_everywhere_are_nobodys_own() -> None:
    """Everywhere b becomes three times as frequent beside a, starting from a tenth here and from a half there."""
    rng, bins = RNG(4), freeze_categorical(["a", "b"])

    def some(share: float) -> np.ndarray[Any, Any]:
        return np.where(rng.random(5000) < share, "b", "a")

    part = columns(bins, some(0.1), some(0.25))
    assert beyond(part, columns(bins, some(0.5), some(0.75)))["psi"] < 0.02    # type: ignore[arg-type]
    assert beyond(part, columns(bins, some(0.5), some(0.5)))["psi"] > 0.1    # type: ignore[arg-type]


def test_levels_that_only_the_part_has_are_not_excused_by_others() -> None:
    bins = freeze_categorical(["mine", "also mine", "theirs"])
    part = columns(bins, np.repeat(["mine", "also mine"], 500), np.repeat(["mine", "also mine"], [900, 100]))
    others = columns(bins, np.repeat("theirs", 1000), np.repeat("theirs", 1000))
    assert beyond(part, others)["psi"] > 0.5    # type: ignore[arg-type]


def test_missing_values_that_all_have_more_of_are_nobodys_own() -> None:
    rng = RNG(5)
    full, holed = rng.normal(size=2000), np.where(rng.random(2000) < 0.1, np.nan, rng.normal(size=2000))
    bins = freeze_numeric(full)
    before, now = columns(bins, full, holed)
    assert beyond((before, now), (before, before))["missing"] == pytest.approx(0.1, abs=0.02)
    shared = beyond((before, now), (before, now))
    assert shared["missing"] == 0.0
    assert shared["psi"] < 0.02
    assert "missing" not in beyond((before, before), (before, now))    # it has none, so nothing was tested


def test_a_level_that_is_new_everywhere_is_nobodys_own() -> None:
    bins = freeze_categorical(["a", "b"])
    before, now = columns(bins, np.repeat(["a", "b"], 1000), np.repeat(["a", "b", "new"], [900, 900, 200]))
    assert max(beyond((before, now), (before, now)).values()) < 0.01
    assert beyond((before, now), (before, before))["unseen"] == pytest.approx(0.1)


@pytest.mark.parametrize("few", [0, 1, 29])
def test_too_few_records_on_any_side_say_nothing(few: int) -> None:
    bins = freeze_numeric(RNG(6).normal(size=100))
    many, some = columns(bins, RNG(7).normal(size=30), RNG(8).normal(size=few))
    for part, others in (((some, many), (many, many)), ((many, some), (many, many)),
                         ((many, many), (some, many)), ((many, many), (many, some))):
        assert beyond(part, others) == {}
    assert beyond((many, many), (many, many))["psi"] == 0.0


@pytest.mark.parametrize("values", [np.zeros(40), np.full(40, np.nan), np.array([0.0, np.inf] * 20)])
def test_awkward_columns_are_no_error_and_have_not_moved(values: np.ndarray[Any, Any]) -> None:
    one = profile_array(values, freeze_numeric(values))
    assert all(size == 0 for size in beyond((one, one), (one, one)).values())


def test_a_part_and_the_rest_are_the_whole() -> None:
    bins = freeze_numeric(RNG(9).normal(size=500))
    part, rest = columns(bins, RNG(10).normal(2, size=90), np.append(RNG(11).normal(size=80), np.nan))
    assert without(part + rest, part) == rest
    assert without(part, part + rest).rows == 0    # counted later, it may have more than the whole


# -- many segments -----------------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator, n: int, place: float) -> Table:
    """Fifteen columns, of which every other one lies elsewhere in each segment."""
    normal = {f"n{i}": rng.normal(place * (i % 2), size=n) for i in range(9)}
    weights = 1 / np.arange(1, 9)
    return normal | {
        "lognormal": np.exp(rng.normal(size=n)), "elsewhere": np.exp(rng.normal(place, size=n)),
        "inflated": np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
        "binary": (rng.random(n) < 0.1).astype(float),
        "level": rng.choice(LEVELS, n, p=weights / weights.sum()),
        "own level": rng.choice(np.roll(LEVELS, round(2 * place)), n, p=weights / weights.sum()),
    }


def profile(table: Table, bins: BinTable) -> Profile:
    found = {name: profile_array(values, bins[name]) for name, values in table.items()}
    return Profile(found, len(table["n0"]))


def checked(
    rng: np.random.Generator, segments: int, rows: tuple[int, int], moves: dict[tuple[int, str], float] | None = None
) -> SegmentDrift:
    """A check of so many segments of so many records; `moves` adds to a column in a segment."""
    places = np.linspace(-1, 1, segments)
    before, now = ([draw(rng, n, place) for place in places] for n in rows)
    for (place, name), by in (moves or {}).items():
        now[place][name] = now[place][name] + by
    together = {name: np.concatenate([table[name] for table in before]) for name in before[0]}
    bins = {name: freeze_categorical(LEVELS.tolist()) if name.endswith("level") else freeze_numeric(values)
            for name, values in together.items()}
    pairs = [tuple(profile(side[place], bins) for side in (before, now)) for place in range(segments)]
    whole = [profile({name: np.concatenate([table[name] for table in side]) for name in bins}, bins)
             for side in (before, now)]
    return compare_parts([
        look(Segment("site", str(place)), a, b, among=(whole[0], whole[1])) for place, (a, b) in enumerate(pairs)
    ])


@pytest.mark.parametrize(
    ("segments", "rows", "checks"), [(3, (150, 100), 20), (3, (600, 300), 10), (12, (150, 100), 5)]
)
def test_undrifted_segments_raise_no_alarm(segments: int, rows: tuple[int, int], checks: int) -> None:
    """At 5 % over all segments and columns; with four hundred checks of each kind it was 1.5 % at most."""
    rng = RNG([12, segments, rows[0]])
    alarms = sum(bool(checked(rng, segments, rows).drifted()) for _ in range(checks))
    # With a true rate of 1.5 % more than two of twenty come up once in three hundred times.
    assert alarms <= 2


def test_a_column_that_moved_by_half_a_deviation_in_one_segment_is_found_there_alone() -> None:
    rng = RNG(13)
    for _ in range(10):
        found = checked(rng, 6, (1500, 500), {(2, "n1"): 0.5}).drifted(alpha=0.05 / 9)
        assert [str(one) for one in found] == ["n1 where site = 2"]


def test_what_all_segments_do_is_not_told_of_each() -> None:
    rng, moved = RNG(14), {(place, name): 1.0 for place in range(3) for name in ("n0", "n1")}
    for _ in range(10):
        assert checked(rng, 3, (3000, 1000), moved).drifted(alpha=0.05 / 9) == ()


def test_all_columns_count_in_the_correction_and_only_the_far_ones_are_tested() -> None:
    found = checked(RNG(15), 6, (1500, 500), {(2, "n1"): 0.5})
    assert found.looked_at == 6 * 15
    (one,) = found.drifted()
    least = min(aspect.p_value for aspect in one.drift.aspects)
    assert one.drift.q_value > 6 * 15 * least    # there are at least as many aspects as columns
    assert found.to_frame().iloc[0][["segment", "column"]].tolist() == ["site = 2", "n1"]


def days_of(rng: np.random.Generator, luck: float, *, days: int, shift: float = 0.0) -> Profile:
    """Forty records a day, whose mean is the day's luck."""
    rows = [rng.normal(shift + luck * rng.normal(), size=40) for _ in range(days)]
    counted = {(pd.Timestamp("2024-01-01") + pd.Timedelta(days=i)).date(): profile({"n0": one}, BINS)
               for i, one in enumerate(rows)}
    by_day = Days.of(BINS, counted)
    return Profile(by_day.total().columns, 40 * days, by_day)


BINS = {"n0": freeze_numeric(RNG(16).normal(size=5000))}


@pytest.mark.parametrize("known", ["own days", "days of all records"])
def test_days_that_differ_by_luck_are_no_news(known: str) -> None:
    """Ten days of a segment whose days differ by a whole deviation; as independent draws they would mostly alarm."""
    rng, alarms, naive = RNG(17), 0, 0
    for _ in range(20):
        reference, now = days_of(rng, 1.0, days=60), days_of(rng, 1.0, days=10)
        still = days_of(rng, 0.0, days=60)
        among = reference + still, now + still
        part = look(Segment("site", "a"), reference, now, among=among)
        bare = Part(part.segment, Profile(reference.columns, reference.rows), now, part.sizes)
        alarms += bool(compare_parts([part if known == "own days" else bare], days=reference.days).drifted())
        naive += bool(compare_parts([bare]).drifted())
    assert naive >= 10
    assert alarms <= 2    # at 5 %, more than three of twenty come up once in sixty times


def test_the_largest_segments_are_chosen_over_all_columns_and_the_others_are_told() -> None:
    rows = {"site": {"a": 300, "b": 99}, "kind": {"x": 400, "y": 100, "z": 1, "w": 100}}
    chosen, others = choose(rows, fewest=100, most=3)
    assert [str(one) for one in chosen] == ["kind = x", "site = a", "kind = w"]
    assert [(one.column, one.values, one.why[:9]) for one in others] == [
        ("kind", ("y",), "not among"), ("site", ("b",), "fewer tha"), ("kind", ("z",), "fewer tha")]
    assert choose({}, fewest=1, most=1) == ((), ())


# -- the signal --------------------------------------------------------------------------------------------------------


def test_a_signal_names_segments_and_columns_and_is_graded_one_lower_than_for_all_records() -> None:
    rules, found = DriftSettings(), checked(RNG(18), 3, (1500, 500), {(0, "n2"): 0.5, (2, "binary"): 1.0})
    signal = grade(segment_drift(found, rules), default_triggers(rules))
    assert signal.severity == "medium"
    assert signal.columns == ("binary", "n2")
    assert "binary where site = 2 (PSI " in signal.message
    assert "n2 where site = 0 (" in signal.message
    low = grade(segment_drift(checked(RNG(19), 3, (6000, 2000), {(0, "n2"): 0.4}), rules), default_triggers(rules))
    assert (low.severity, low.columns) == ("low", ("n2",))


def test_a_quiet_check_and_one_without_segments_say_so() -> None:
    rules = DriftSettings()
    quiet = segment_drift(checked(RNG(20), 3, (3000, 1000)), rules)
    assert grade(quiet, default_triggers(rules)).severity == "none"
    assert "No column moved in 3 segments" in quiet.message
    _, others = choose({"site": {"a": 10}}, fewest=100, most=3)
    nothing = segment_drift(SegmentDrift((), (), 0, others, ("site",)), rules)
    assert np.isnan(nothing.value)
    assert "fewer than 100 records in the reference" in nothing.message
