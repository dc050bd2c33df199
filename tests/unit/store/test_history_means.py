"""Means of a history: weighed by time, of what is sealed and what is not, and where readings were dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from facility.instants import HOUR_MS, MINUTE_MS
from facility.points import Cadence
from facility.readings import Quality
from facility.sitefile.tables import BrokerTable
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.means.means import QUARTER_MS, holds
from testing.builders import T0_MS, a_batch, a_point
from testing.store.histories import ALL, HOLD_MS, KEY, Site, a_draw, open_site, read, rows_in, rows_of, seal


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of two racks that nothing was received from."""
    site = open_site(tmp_path)
    yield site
    site.close()


def test_means_are_of_good_readings_only(site: Site) -> None:
    """What is not good ends what stood before it and is in no mean; a step without a good value has none."""
    site.append(a_batch([(0, T0_MS, 10.0), (0, T0_MS + 1_000, 20.0), (0, T0_MS + 5_000, 7.0)]))
    site.append(a_batch([(0, T0_MS + 1_500, 999.0)], quality=Quality.IMPLAUSIBLE))
    site.append(a_batch([(0, T0_MS + 3_000, np.nan)], quality=Quality.NO_VALUE))

    means = read(site.folder, lambda history: history.means(KEY, T0_MS, T0_MS + 6_000, 2_000))

    assert means.time_ms.tolist() == [T0_MS, T0_MS + 4_000]
    assert means.value.tolist() == pytest.approx([(10.0 * 1_000 + 20.0 * 500) / 1_500, 7.0])
    assert means.coverage is not None
    assert means.coverage.tolist() == [0.75, 0.5]
    assert (means.unit, means.quality.tolist()) == ("kW", [0, 0])


def test_a_value_stands_until_its_source_may_be_silent_no_longer(site: Site) -> None:
    """A point that publishes on change covers the minutes in which it said nothing, until it is too quiet."""
    start_ms = T0_MS // MINUTE_MS * MINUTE_MS
    site.append(a_batch([(0, start_ms + 30_000, 6.0)]))

    means = read(
        site.folder, lambda history: history.means(KEY, start_ms, start_ms + 5 * MINUTE_MS, MINUTE_MS)
    )

    assert means.value.tolist() == [6.0, 6.0, 6.0]
    assert means.coverage is not None
    assert means.coverage.tolist() == [0.5, 1.0, (HOLD_MS - 90_000) / MINUTE_MS]


def test_a_minute_that_is_split_over_seals_has_one_mean(site: Site) -> None:
    """Sealed means and the tail go together at any cut, for steps of seconds, minutes and quarters."""
    start_ms = T0_MS // QUARTER_MS * QUARTER_MS
    rows = [(0, start_ms + number * 4_000, float(number**2 % 997)) for number in range(600)]
    for begin, end in ((0, 50), (50, 61), (61, 390), (390, 600)):
        site.append(a_batch(rows[begin:end]))
    seal(site.folder, *(site.chunk(seq, seq + 1) for seq in (1, 2, 3)))

    for end_s, step_ms in ((2_400, MINUTE_MS), (185, MINUTE_MS), (1_900, QUARTER_MS), (300, 10_000)):
        end_ms = start_ms + end_s * 1_000
        with_history = ParquetHistory(site.folder)
        means = with_history.means(KEY, start_ms, end_ms, step_ms)
        with_history.close()
        stands = np.repeat([value for _, _, value in rows], 4)[:end_s]
        steps = [stands[at : at + step_ms // 1_000] for at in range(0, end_s, step_ms // 1_000)]
        assert means.time_ms.tolist() == list(range(start_ms, end_ms, step_ms))
        assert means.value.tolist() == pytest.approx([step.mean() for step in steps], rel=1e-12)


def test_a_late_reading_is_in_the_mean_of_the_newest_step_only(site: Site) -> None:
    """A minute that is sealed is sealed, but for what came in order afterwards."""
    start_ms = T0_MS // MINUTE_MS * MINUTE_MS
    site.append(a_batch([(0, start_ms + number * 20_000, 1.0) for number in range(10)]))
    seal(site.folder, site.chunk(0))
    site.append(a_batch([(0, start_ms + 30_000, 99.0), (0, start_ms + 190_000, 3.0)]))
    seal(site.folder, site.chunk(2))

    means = read(
        site.folder, lambda history: history.means(KEY, start_ms, start_ms + 4 * MINUTE_MS, MINUTE_MS)
    )

    assert means.value[:3].tolist() == [1.0, 1.0, 1.0]
    assert means.value[3] == pytest.approx((1.0 * 10_000 + 3.0 * 50_000) / MINUTE_MS)


def test_a_step_that_became_fuller_is_read_once(site: Site) -> None:
    """A point that fell silent and went on has the mean of all of it."""
    start_ms = T0_MS // MINUTE_MS * MINUTE_MS
    site.append(a_batch([(0, start_ms, 1.0)]))
    site.append(a_batch([(1, start_ms + HOUR_MS, 1.0)]))
    site.append(a_batch([(0, start_ms + 15_000, 5.0)], received_after_ms=HOUR_MS))
    site.append(a_batch([(0, start_ms + 15_000 + number * MINUTE_MS, 5.0) for number in range(1, 5)]))
    seal(site.folder, *(site.chunk(seq, seq + 1) for seq in (1, 2, 3, 4)))

    means = read(
        site.folder, lambda history: history.means(KEY, start_ms, start_ms + 3 * MINUTE_MS, MINUTE_MS)
    )

    assert len(rows_in(site.folder, "minute", "point")) > 5
    assert means.value.tolist() == [4.0, 5.0, 5.0]


def test_dropped_hours_leave_their_means_and_draws(site: Site) -> None:
    """Readings of whole hours go, also late ones; all else stays, and stays right."""
    start_ms = T0_MS // HOUR_MS * HOUR_MS
    rows = [(0, start_ms + number * MINUTE_MS, float(number // 60)) for number in range(190)]
    site.append(a_batch(rows))
    site.draw([(start_ms, [a_draw("acme", 10**9)])])

    async def run() -> None:
        sink = ParquetSink(site.folder)
        await sink.store(site.chunk(0))
        await sink.drop(start_ms + HOUR_MS)
        await sink.drop(start_ms + 2 * HOUR_MS - 1)
        site.append(a_batch([(0, start_ms + 1, 9.0), (0, start_ms + HOUR_MS + 1, 10.0)]))
        await sink.store(site.chunk(2))
        await sink.close()

    asyncio.run(run())
    means = read(site.folder, lambda history: history.means(KEY, start_ms, start_ms + 3 * HOUR_MS, HOUR_MS))

    left = [1.0, 10.0, *[1.0] * 59, *[2.0] * 60, *[3.0] * 10]
    assert [value for _, value in rows_of(site.folder)] == left
    assert [value for (value,) in rows_in(site.folder, "reading", "value")] == left
    assert means.value.tolist() == [0.0, 1.0, 2.0]
    assert means.coverage is not None
    assert means.coverage.tolist() == [1.0, 1.0, 1.0]
    assert len(read(site.folder, lambda history: history.draw("acme", "best", *ALL)).value) == 1


def test_how_long_a_value_stands_follows_the_broker() -> None:
    """A slow bus has long silences that are no gaps; what no broker is known of has the usual ones."""
    broker = BrokerTable.model_validate(
        {"url": "mqtt://127.0.0.1", "name": "slow", "repeat_s": 600, "period_s": 10}
    )
    hold = holds([broker])

    assert hold(a_point(stream="slow:PUB")) == 660_000
    assert hold(a_point(stream="slow:x", cadence=Cadence.PERIODIC)) == 30_000
    assert hold(a_point(stream="bus:PUB")) == HOLD_MS
    assert hold(a_point(stream="bus:x", cadence=Cadence.PERIODIC)) == 5_000
