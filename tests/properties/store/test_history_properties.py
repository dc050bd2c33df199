"""Nothing is lost and nothing doubled: whatever was received, wherever it is cut, whoever reads meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from threading import Event

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.instants import HOUR_MS, MINUTE_MS
from facility.readings import Batch, Quality
from store.base import Series
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.journal.intake import Intake
from testing.builders import T0_MS, a_batch
from testing.store.histories import (
    ALL,
    HOLD_MS,
    KEY,
    Site,
    a_draw,
    open_site,
    ramp,
    read,
    rows_of,
    seal,
    sealed_seq,
)
from testing.store.oracle import means_by_hand

HOUR = T0_MS // HOUR_MS * HOUR_MS

Row = tuple[int, int, float, Quality]


def check_means(means: Series) -> None:
    """Make sure that each minute has its mean, but the last ones, into which the last value stands."""
    for start_ms, value in list(zip(means.time_ms.tolist(), means.value.tolist(), strict=True))[:-3]:
        numbers = [n for n in range(200) if start_ms <= T0_MS + n * 1_000 < start_ms + MINUTE_MS]
        assert abs(value - sum(numbers) / len(numbers)) < 1e-9


def test_reading_while_sealing_misses_nothing_and_sees_nothing_twice(tmp_path: Path) -> None:
    """Whenever one reads, one finds all that was journalled before, once, though the journal is trimmed.

    Hours before make listing the files so slow that they change meanwhile.
    """
    site = open_site(tmp_path)
    site.append(a_batch([(0, T0_MS - hour * HOUR_MS, float(-hour)) for hour in range(60, 0, -1)]))
    done, count = Event(), [0]

    def look() -> int:
        looks = 0
        with closing(ParquetHistory(tmp_path)) as history:
            while not done.is_set() or looks == 0:
                least = count[0]
                readings = history.readings(KEY, *ALL)
                means = history.means(KEY, T0_MS // MINUTE_MS * MINUTE_MS, HOUR + HOUR_MS, MINUTE_MS)
                draws = history.draw("acme", "best", *ALL)
                most = count[0] + 5
                assert readings.value.tolist() == list(range(-60, len(readings.value) - 60))
                assert draws.value.tolist() == list(range(len(draws.value)))
                assert least <= len(readings.value) - 60 <= most
                check_means(means)
                assert least <= len(draws.value) <= most
                looks += 1
        return looks

    async def write() -> None:
        sink = ParquetSink(tmp_path)
        for start in range(0, 200, 5):
            numbers = range(start, start + 5)
            site.draw([(T0_MS + number, [a_draw("acme", number * 10**9)]) for number in numbers])
            site.append(ramp(start, start + 5))
            count[0] = start + 5
            chunk = site.chunk(sealed_seq(tmp_path))
            await sink.store(chunk)
            site.journal.set_reader(sink.name, chunk.last_seq)
            site.journal.trim(T0_MS + 1, 0)
            site.ledger.set_cursors({}, trimmed_seq=10**6)
        await sink.close()

    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        try:
            asyncio.run(write())
        finally:
            done.set()

    assert all(look.result() > 0 for look in looks)
    assert len(rows_of(tmp_path)) == 260


# Any readings, cut anywhere ------------------------------------------------------------

times = st.one_of(
    st.integers(HOUR - 2 * MINUTE_MS, HOUR + 2 * MINUTE_MS),
    st.integers(HOUR - 30 * HOUR_MS, HOUR + 30 * HOUR_MS),
)
values = st.floats(-1e9, 1e9, allow_subnormal=True)
qualities = st.sampled_from([*[Quality.GOOD] * 4, *Quality])
readings = st.tuples(st.integers(0, 1), times, values, qualities)
cut_anywhere = st.sets(st.integers(1, 6))


def batch_of(rows: list[Row]) -> Batch:
    """Return a batch of any readings, with no value where there can be none."""
    point, time, value, quality = zip(*rows, strict=True)
    source = np.array(time, np.int64)
    gone = np.isin(quality, [Quality.NO_VALUE, Quality.REFUSED])
    return Batch.of([point, source, source + 7, np.where(gone, np.nan, value), quality, np.zeros(len(rows))])


def journalled(site: Site, batches: list[list[Row]]) -> Batch:
    """Journal batches; return what the journal kept of the first point, in order of time."""
    for rows in batches:
        site.journal.append(Intake(batch=batch_of(rows)), T0_MS)
    kept = [entry.content for entry in site.journal.read(0) if isinstance(entry.content, Batch)]
    batch = Batch.concatenate(kept)
    batch = batch.take((batch.point == 0) & (batch.quality != Quality.REFUSED))
    return batch.take(np.argsort(batch.source_ms, kind="stable"))


def sealed(site: Site, cuts: set[int], goes_back: int) -> int:
    """Seal what was journalled in chunks that end after some entries; return the last one of them."""
    ends = [0, *(cut for cut in sorted(cuts) if cut <= site.journal.head_seq)]
    seal(site.folder, *(site.chunk(max(0, start - goes_back), end) for start, end in pairwise(ends)))
    return ends[-1]


@settings(max_examples=25)
@given(
    batches=st.lists(st.lists(readings, min_size=1, max_size=12), min_size=1, max_size=6),
    cuts=cut_anywhere,
    goes_back=st.integers(0, 2),
    is_trimmed=st.booleans(),
    span=st.tuples(times, times),
)
def test_the_history_says_what_was_journalled(
    batches: list[list[Row]], cuts: set[int], goes_back: int, span: tuple[int, int], *, is_trimmed: bool
) -> None:
    """Any chunks, some begun too early and some not sealed, give the readings that were journalled."""
    with tempfile.TemporaryDirectory() as name:
        site = open_site(Path(name))
        batch = journalled(site, batches)
        last = sealed(site, cuts, goes_back)
        if is_trimmed:
            site.journal.set_reader("history", last)
            site.journal.trim(T0_MS + 1, 0)
        found = read(site.folder, lambda history: history.readings(KEY, *sorted(span)))
        site.close()

    inside = batch.take((batch.source_ms >= min(span)) & (batch.source_ms < max(span)))
    assert found.time_ms.tolist() == inside.source_ms.tolist()
    assert found.value.tobytes() == inside.value.tobytes()
    assert found.quality.tolist() == inside.quality.tolist()


@settings(max_examples=25)
@given(
    gaps=st.lists(
        st.lists(st.tuples(st.integers(1, 150_000), values, qualities), min_size=1, max_size=12),
        min_size=1,
        max_size=6,
    ),
    cuts=cut_anywhere,
    goes_back=st.integers(0, 2),
    steps=st.tuples(st.integers(-3, 9), st.integers(0, 12)),
    step_ms=st.sampled_from([1_000, 7_000, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS]),
)
def test_means_are_those_of_what_was_journalled(
    gaps: list[list[tuple[int, float, Quality]]],
    cuts: set[int],
    goes_back: int,
    steps: tuple[int, int],
    step_ms: int,
) -> None:
    """Readings in order give the same means wherever they were cut, sealed or not."""
    at_ms, batches = HOUR, []
    for rows in gaps:
        batches.append(list[Row]())
        for gap, value, quality in rows:
            at_ms += gap
            batches[-1].append((0, at_ms, value, quality))
    start = (HOUR // step_ms + steps[0]) * step_ms
    span = (start, start + steps[1] * step_ms + 500)
    with tempfile.TemporaryDirectory() as name:
        site = open_site(Path(name))
        batch = journalled(site, batches)
        sealed(site, cuts, goes_back)
        means = read(site.folder, lambda history: history.means(KEY, *span, step_ms))
        site.close()

    wanted = means_by_hand(batch, HOLD_MS, span, step_ms)
    assert means.coverage is not None
    assert means.time_ms.tolist() == list(wanted)
    for mean, coverage, (exact, share) in zip(means.value, means.coverage, wanted.values(), strict=True):
        assert abs(mean - float(exact)) <= 1e-9 * max(
            1e-300, np.abs(batch.value[np.isfinite(batch.value)]).max()
        )
        assert coverage == float(share)
