"""What was journalled is read back: once, bit for bit, the moment it is journalled, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from facility.instants import HOUR_MS, from_iso
from facility.readings import Batch, Quality
from store.base import Chunk, History, Series
from store.history.reader import ParquetHistory
from store.journal.entries import Known
from store.journal.intake import Intake
from testing.builders import T0_MS, a_batch, a_point
from testing.store.histories import (
    ALL,
    KEY,
    OTHER,
    Site,
    a_draw,
    open_site,
    ramp,
    read,
    rows_in,
    rows_of,
    seal,
    sealed_seq,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of two racks that nothing was received from."""
    site = open_site(tmp_path)
    yield site
    site.close()


def test_sealed_readings_come_back_bit_for_bit(site: Site) -> None:
    """Values, qualities and the want of a value are the same before a seal, after it and after a restart."""
    values = [0.1 + 0.2, -0.0, 5e-324, -1.7e308, 90.5, np.nan, 91.0]
    quality = [0, 0, 0, 1, 3, Quality.NO_VALUE, Quality.SOURCE_DOUBTS]
    times = T0_MS + np.arange(7) * 7
    batch = Batch.of([np.zeros(7), times, times + 3, values, quality, np.arange(7)])
    site.append(batch)
    before = read(site.folder, lambda history: history.readings(KEY, *ALL))

    seal(site.folder, site.chunk(0))
    after = read(site.folder, lambda history: history.readings(KEY, *ALL))

    for series in (before, after):
        assert (series.name, series.unit) == (KEY, "kW")
        assert series.time_ms.tolist() == times.tolist()
        assert series.value.tobytes() == np.array(values).tobytes()
        assert series.quality.tolist() == quality
        assert [column.dtype for column in (series.time_ms, series.value, series.quality)] == [
            "i8",
            "f8",
            "i8",
        ]


def test_a_reading_is_found_the_moment_it_is_journalled(site: Site) -> None:
    """What was not sealed yet is read from the journal, after what was."""
    site.append(ramp(0, 3), ramp(0, 2, point=1))
    seal(site.folder, site.chunk(0))
    history = ParquetHistory(site.folder)

    for end in (5, 7):
        site.append(ramp(end - 2, end))

        assert history.readings(KEY, *ALL).value.tolist() == list(range(end))
        assert history.readings(OTHER, *ALL).value.tolist() == [0, 1]
    history.close()


def test_rows_of_doubt_are_no_readings(site: Site) -> None:
    """A row that only says that a value was refused is not in the history."""
    site.append(a_batch([(0, T0_MS, np.nan)], quality=Quality.REFUSED), ramp(1, 2))

    assert rows_of(site.folder) == [(T0_MS + 1_000, 1.0)]


def test_late_readings_go_to_their_own_hour(site: Site) -> None:
    """A reading lies in the hour in which it was measured, in UTC, whenever it came."""
    times = [from_iso(f"2026-05-{text}Z") for text in ("28T23:59:59.999", "29T00:00:00", "27T23:30:00")]
    site.append(a_batch([(0, at_ms, float(number)) for number, at_ms in enumerate(times)]))

    seal(site.folder, site.chunk(0))

    columns = "day::VARCHAR, hour, value"
    found = [("2026-05-27", "23", 2.0), ("2026-05-28", "23", 0.0), ("2026-05-29", "00", 1.0)]
    assert rows_in(site.folder, "reading", columns) == found
    assert [value for _, value in rows_of(site.folder)] == [2.0, 0.0, 1.0]


def test_a_change_of_the_clock_is_no_event(site: Site) -> None:
    """Over the night on which clocks go back every hour has its readings and its mean, once."""
    start_ms = from_iso("2026-11-01T00:00:00", ZoneInfo("America/Chicago"))
    rows = [(0, start_ms + number * HOUR_MS // 4, float(number // 4)) for number in range(16)]
    site.append(a_batch(rows))
    seal(site.folder, site.chunk(0))

    means = read(site.folder, lambda h: h.means(KEY, start_ms, start_ms + 4 * HOUR_MS, HOUR_MS))

    assert [(at_ms, value) for _, at_ms, value in rows] == rows_of(site.folder)
    assert means.time_ms.tolist() == [start_ms + hour * HOUR_MS for hour in range(4)]
    assert means.value.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_span_has_its_start_and_not_its_end(site: Site, *, is_sealed: bool) -> None:
    """What is asked for is what is answered, for empty, inverted and endless spans as well."""
    site.append(ramp(0, 10))
    if is_sealed:
        seal(site.folder, site.chunk(0))
    history = ParquetHistory(site.folder)
    spans = {(2, 5): [2, 3, 4], (5, 5): [], (5, 2): [], (10, 99): [], (-9, 1): [0]}

    for (start, end), expected in spans.items():
        span = (T0_MS + start * 1_000, T0_MS + end * 1_000)
        assert history.readings(KEY, *span).value.tolist() == expected
        means = history.means(KEY, *span, 1_000).value.tolist()
        assert means[: len(expected)] == expected
        # The last value stands beyond its second.
        assert set(means[len(expected) :]) <= {9.0}
        assert len(means) == max(0, min(end, 119) - max(start, 0))
    for span in ((-(2**62), 2**62), (2**62, -(2**62)), (0, 0)):
        assert len(history.readings(KEY, *span).time_ms) == (10 if span[0] < span[1] else 0)
        assert len(history.means(KEY, *span, HOUR_MS).time_ms) == (1 if span[0] < span[1] else 0)
        assert len(history.draw("acme", "best", *span).time_ms) == 0
    history.close()


def test_every_allowed_name_is_a_name(tmp_path: Path) -> None:
    """Keys are found by themselves only, whatever they are made of, in a folder of any name."""
    keys = ["A.Z_a-z.0/9", "_", "-", ".", "../..", "a/b", "a/B", "123", "NULL", "x" * 512, "null/true/1e5"]
    folder = tmp_path / "a [1]* 'x'=y;"
    known = tuple(Known(number, a_point(key, asset=key, feed="a")) for number, key in enumerate(keys))
    site = open_site(folder, known)
    site.append(a_batch([(number, T0_MS, float(number)) for number in range(len(keys))]))

    seal(folder, site.chunk(0))

    assert [rows_of(folder, key) for key in keys] == [[(T0_MS, float(number))] for number in range(len(keys))]
    assert {row[0] for row in rows_in(folder, "reading", "asset")} == set(keys)


def test_identical_readings_fall_together(site: Site) -> None:
    """What two collectors journal both is one reading; the one received first is it."""
    one, other = ramp(0, 3), a_batch([(0, T0_MS + 1_000, 9.0)], received_after_ms=9)
    chunks = [
        Chunk(first_seq=seq, last_seq=seq, batch=batch, points=site.chunk(0).points)
        for seq, batch in ((2, Batch.concatenate([one, one])), (3, other), (4, one))
    ]

    seal(site.folder, *chunks)

    assert [value for _, value in rows_of(site.folder)] == [0.0, 1.0, 2.0]


def test_a_draw_is_read_from_seals_and_from_the_ledger(site: Site) -> None:
    """A tenant's figures are there once, before a seal, after it, and when the ledger has let go of them."""
    ticks = [T0_MS + HOUR_MS // 4 * number for number in range(8)]
    draws = [
        (at_ms, [a_draw("acme", number * 10**9, demand_kw=number * 10.0), a_draw("zeta", 7)])
        for number, at_ms in enumerate(ticks)
    ]
    site.draw(draws[:5])
    history = ParquetHistory(site.folder)

    def figures(name: str) -> tuple[list[int], list[float], str]:
        series = history.draw("acme", name, *ALL)
        return series.time_ms.tolist(), series.value.tolist(), series.unit

    assert figures("best") == (ticks[:5], [0.0, 1.0, 2.0, 3.0, 4.0], "MW")
    seal(site.folder, site.chunk(0))
    assert figures("best") == (ticks[:5], [0.0, 1.0, 2.0, 3.0, 4.0], "MW")
    site.ledger.set_cursors({}, trimmed_seq=3)
    site.draw(draws[5:])
    assert figures("demand") == (ticks, [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07], "MW")
    seal(site.folder, site.chunk(sealed_seq(site.folder)))
    site.ledger.set_cursors({}, trimmed_seq=8)

    assert figures("low") == (ticks, [(number * 10**9 - 1) / 10**9 for number in range(8)], "MW")
    assert figures("coverage") == (ticks, [0.25] * 8, "1")
    assert np.isnan(history.draw("acme", "high", *ALL).value).tolist() == [True] * 8
    assert len(history.draw("nobody", "best", *ALL).time_ms) == 0
    history.close()


@pytest.mark.parametrize(
    "text", ["", "' OR 1=1 --", 'x"; DROP TABLE rows; --', "$files", "\x00", "*", "é" * 9_999]
)
def test_nothing_gets_into_a_question(site: Site, text: str) -> None:
    """What is no known point, no possible tenant and no figure is a KeyError, whatever it says."""
    site.append(ramp(0, 3))
    seal(site.folder, site.chunk(0))
    history: History = ParquetHistory(site.folder)
    asks: list[Callable[[], Series]] = [
        lambda: history.readings(text, *ALL),
        lambda: history.means(KEY + text if text else text, *ALL, 1_000),
        lambda: history.draw(text, "best", *ALL),
        lambda: history.draw("acme", text, *ALL),
    ]

    for ask in asks:
        with pytest.raises(KeyError):
            ask()


def test_an_unknown_point_names_the_nearest(site: Site) -> None:
    """Who mistypes is told what exists, and a point that becomes known later is found then."""
    history = ParquetHistory(site.folder)

    with pytest.raises(KeyError, match=f"did you mean '{KEY}'"):
        history.readings("Rack/RackPower/R1", *ALL)
    with pytest.raises(KeyError, match="did you mean 'forecast'"):
        history.draw("acme", "forcast", *ALL)
    site.journal.append(Intake(known=[Known(7, a_point("Rack/RackPower/R1"))]), T0_MS)

    assert len(history.readings("Rack/RackPower/R1", *ALL).time_ms) == 0
    history.close()
