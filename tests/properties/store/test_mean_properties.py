"""Means that are made as readings come are those that one would work out by hand, however they come."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.instants import HOUR_MS, MINUTE_MS
from facility.readings import Batch, Quality
from store.means.accumulator import Meaner
from store.means.means import QUARTER_MS, STEPS_MS, Means
from testing.builders import T0_MS
from testing.store.oracle import means_by_hand

HOUR = T0_MS // HOUR_MS * HOUR_MS
HOLDS_MS = (110_000, 5_000, 1_000_000)
FAR_MS = HOUR + 1_000 * HOUR_MS

gaps = st.one_of(st.integers(1, 5_000), st.integers(1, 400_000), st.just(MINUTE_MS), st.just(QUARTER_MS))
values = st.floats(-1e9, 1e9) | st.sampled_from([np.nan, np.inf, 0.1])
qualities = st.sampled_from([*[Quality.GOOD] * 4, *Quality])
rows = st.tuples(st.integers(0, 2), gaps, values, qualities)


def batch_of(drawn: list[tuple[int, int, float, Quality]]) -> Batch:
    """Return readings of three points, each of them later than the one before of its point."""
    clock = dict.fromkeys(range(3), HOUR + 12_345)
    found = []
    for point, gap, value, quality in drawn:
        clock[point] += gap
        found.append((point, clock[point], max(clock.values()), value, quality, 0))
    return Batch.of(list(zip(*found, strict=True))) if found else Batch.empty()


def a_meaner() -> Meaner:
    """Return one that knows the points."""
    meaner = Meaner()
    for number, hold in enumerate(HOLDS_MS):
        meaner.learn(number, hold)
    return meaner


def last_said(tables: list[Means]) -> dict[tuple[int, int, int], tuple[float, float]]:
    """Return mean and coverage by step, point and start, as they were said last; where anything stood."""
    found = {
        (means.step_ms, int(point), int(start)): (float(mean), float(coverage))
        for means in tables
        for point, start, mean, coverage in zip(
            means.point, means.start_ms, means.mean, means.coverage, strict=True
        )
    }
    return {place: figures for place, figures in found.items() if figures[1] > 0}


def taken(meaner: Meaner, batches: list[Batch]) -> list[Means]:
    """Return all means that come of batches, and of silence after them."""
    found = [means for batch in batches for means in meaner.take(batch)]
    meaner.now_ms = FAR_MS
    return found + meaner.take(Batch.empty())


@settings(max_examples=400)
@given(st.lists(rows, max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_chunks_make_no_difference(drawn: list[tuple[int, int, float, Quality]], cuts: list[int]) -> None:
    """Wherever readings are cut, each step's mean and coverage are exact, for both lengths of steps."""
    batch = batch_of(drawn)
    ends = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]

    found = last_said(taken(a_meaner(), [batch.take(np.arange(a, b)) for a, b in pairwise(ends)]))

    wanted = {
        (step_ms, point, start): figures
        for step_ms in STEPS_MS
        for point in range(3)
        for start, figures in means_by_hand(
            readings_of(batch, point), HOLDS_MS[point], (HOUR, FAR_MS), step_ms
        ).items()
    }
    assert found.keys() == wanted.keys()
    finite = np.abs(batch.value[np.isfinite(batch.value)])
    for place, (mean, coverage) in found.items():
        assert abs(mean - float(wanted[place][0])) <= 1e-9 * finite.max()
        assert coverage == float(wanted[place][1])


def readings_of(batch: Batch, point: int) -> Batch:
    """Return what counts of one point: what is not finite is no value."""
    mine = batch.take((batch.point == point) & (batch.quality != Quality.REFUSED))
    quality = np.where(np.isfinite(mine.value), mine.quality, Quality.NO_VALUE)
    return Batch.of([mine.point, mine.source_ms, mine.received_ms, mine.value, quality, mine.flags])


@settings(max_examples=50)
@given(st.lists(rows, min_size=1, max_size=30), st.integers(0, 30))
def test_what_is_kept_is_all_that_is_known(drawn: list[tuple[int, int, float, Quality]], cut: int) -> None:
    """One that goes on from what another knew says the same as the other."""
    batch = batch_of(drawn)
    first, rest = batch.take(np.arange(min(cut, len(batch)))), batch.take(np.arange(cut, len(batch)))
    one, other = a_meaner(), Meaner()
    one.take(first)
    other.restore({name: column.copy() for name, column in one.state().items()})

    assert last_said(taken(one, [rest])) == last_said(taken(other, [rest]))


@settings(max_examples=50)
@given(st.lists(rows, min_size=2, max_size=30), st.data())
def test_a_late_reading_changes_nothing_and_is_counted(
    drawn: list[tuple[int, int, float, Quality]], data: st.DataObject
) -> None:
    """What is older than what was taken of its point before is in no mean."""
    batch = batch_of(drawn)
    batch = batch.take(batch.quality != Quality.REFUSED)
    late = data.draw(st.lists(st.integers(0, max(0, len(batch) - 1)), max_size=5)) if len(batch) else []
    again = batch.take(np.array(late, np.int64))
    newest = {int(point): int(at) for point, at in zip(batch.point, batch.source_ms, strict=True)}
    meaner = a_meaner()

    found = taken(meaner, [batch, again])

    assert last_said(found) == last_said(taken(a_meaner(), [batch]))
    assert meaner.late == sum(newest[int(p)] > at for p, at in zip(again.point, again.source_ms, strict=True))
