"""The files of a history: sealed once, few, readable by others, and never read where they are damaged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from facility.errors import StoreCorrupt, StoreUnavailable
from facility.instants import MINUTE_MS
from facility.readings import Quality
from store.base import Chunk
from store.history import ParquetHistory
from store.sealing import ParquetSink
from tests.builders import T0_MS, a_batch, known_racks
from tests.histories import (
    KEY,
    OTHER,
    Site,
    a_draw,
    open_site,
    ramp,
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


def test_the_same_chunk_again_changes_nothing(site: Site) -> None:
    """A chunk whose cursor was lost is stored again, with all that came since, and nothing is doubled."""
    site.append(ramp(0, 5), ramp(5, 9), ramp(0, 4, point=1))
    site.draw([(T0_MS, [a_draw("acme", 1)])])
    first = site.chunk(0, 2)
    seal(site.folder, first)
    files = site.files()
    seal(site.folder, first, site.chunk(0, 1))
    assert site.files() == files
    site.draw([(T0_MS + 1_000, [a_draw("acme", 2)])])

    seal(site.folder, site.chunk(1))

    assert sealed_seq(site.folder) == 4
    assert len(rows_in(site.folder, "reading", "value")) == 13
    assert rows_in(site.folder, "tenant_draw", "best_milliwatts") == [(1,), (2,)]


def test_a_chunk_of_another_journal_is_refused(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A history never drops readings of a journal that it does not belong to."""
    site.append(ramp(0, 5), ramp(5, 9))
    seal(site.folder, site.chunk(0))
    other = open_site(tmp_path_factory.mktemp("other"))
    other.append(ramp(20, 25))

    with pytest.raises(StoreCorrupt, match="another journal"):
        seal(site.folder, other.chunk(0))


def test_a_history_has_one_writer(site: Site) -> None:
    """Who would delete what another one is writing is not let in."""
    sink = ParquetSink(site.folder)

    with pytest.raises(StoreUnavailable):
        ParquetSink(site.folder)
    asyncio.run(sink.close())

    assert sealed_seq(site.folder) == 0


def test_many_small_seals_make_few_files(site: Site) -> None:
    """The last part of an hour is taken into the next one while it is small."""
    for number in range(10):
        site.append(ramp(number, number + 1))

    seal(site.folder, *(site.chunk(seq, seq + 1) for seq in range(1, 11)))

    hour = "day=2026-05-28/hour=20"
    assert site.files() == {f"reading/{hour}/part-2-11.parquet", "sealed.json", "lock"}
    assert rows_of(site.folder) == [(T0_MS + number * 1_000, float(number)) for number in range(10)]


@pytest.mark.parametrize("seals", [1, 2], ids=["one part", "a part taken into the next"])
def test_a_reader_that_does_not_know_us_finds_the_same(site: Site, seals: int) -> None:
    """Each row says what it is, when in UTC, and a file is in the order of points and times."""
    site.append(a_batch([(1, T0_MS + 123, 90.5), (1, T0_MS, np.nan)], quality=Quality.NO_VALUE))
    site.append(a_batch([(0, T0_MS + 1, 91.0)], flags=5))
    seal(site.folder, *([site.chunk(0)] if seals == 1 else [site.chunk(0, 2), site.chunk(2)]))

    columns = "point, asset, quantity, unit, feed, epoch_ms(time), epoch_ms(received), value, quality, flags"
    says = ("rack.power.active", "kW", "")
    assert rows_in(site.folder, "reading", columns) == [
        (KEY, "r1", *says, T0_MS + 1, T0_MS + 6, 91.0, 0, 5),
        (OTHER, "r2", *says, T0_MS, T0_MS + 5, None, 2, 0),
        (OTHER, "r2", *says, T0_MS + 123, T0_MS + 128, 90.5, 2, 0),
    ]
    kinds = "typeof(time), typeof(received), typeof(value), typeof(quality), typeof(flags)"
    instant = "TIMESTAMP WITH TIME ZONE"
    assert set(rows_in(site.folder, "reading", kinds)) == {
        (instant, instant, "DOUBLE", "UTINYINT", "UTINYINT")
    }


def test_a_reader_that_does_not_know_us_finds_means(site: Site) -> None:
    """Each mean says of what it is, and how much of its minute it is made of."""
    start_ms = T0_MS // MINUTE_MS * MINUTE_MS
    site.append(a_batch([(0, start_ms + 15_000, 91.0), (0, start_ms + 45_000, 92.0)]))
    site.append(a_batch([(0, start_ms + MINUTE_MS, 90.0)]))

    seal(site.folder, site.chunk(0))

    minute = "point, unit, epoch_ms(time), mean, min, max, last, count, covered_ms"
    mean = (91.0 * 30 + 92.0 * 15) / 45
    wanted = (KEY, "kW", start_ms, pytest.approx(mean), 91.0, 92.0, 92.0, 2, 45_000)
    assert rows_in(site.folder, "minute", minute) == [wanted]


def test_points_are_kept_in_a_dictionary_and_in_order(site: Site) -> None:
    """A part of many points and rows is sorted, and can be read by whoever reads the first Parquet."""
    known = known_racks([f"r{number}" for number in range(500)])
    rows = [(number * 7 % 500, T0_MS + number // 500 * 1_000, number / 7) for number in range(20_000)]
    chunk = Chunk(first_seq=2, last_seq=2, batch=a_batch(rows), points={k.id: k.point for k in known})

    seal(site.folder, chunk)

    found = rows_in(site.folder, "reading", "point, epoch_ms(time)")
    assert found == sorted(found)
    (path,) = (site.folder / "history" / "reading").rglob("*.parquet")
    query = "SELECT DISTINCT encodings FROM parquet_metadata(?) WHERE path_in_schema IN ('point', 'unit')"
    assert duckdb.execute(query, [str(path)]).fetchall() == [("PLAIN_DICTIONARY",)]
    newer = (
        "SELECT encodings FROM parquet_metadata(?) WHERE encodings LIKE '%DELTA%' OR encodings LIKE '%SPLIT%'"
    )
    assert duckdb.execute(newer, [str(path)]).fetchall() == []


def test_damage_is_told_and_never_read_as_nothing(site: Site) -> None:
    """A damaged or newer statement of what counts, a damaged part and a missing one are errors."""
    site.append(ramp(0, 3))
    seal(site.folder, site.chunk(0))
    statement = site.folder / "history" / "sealed.json"
    (part,) = (site.folder / "history" / "reading").rglob("*.parquet")
    good = statement.read_bytes()

    for bad in (b"", b"{", good.replace(b'"version":1', b'"version":2'), b"[]"):
        statement.write_bytes(bad)
        with pytest.raises(StoreCorrupt):
            rows_of(site.folder)
        with pytest.raises(StoreCorrupt):
            ParquetSink(site.folder)
    statement.write_bytes(good)
    part.write_bytes(b"PAR1" + part.read_bytes()[:-9])

    with pytest.raises(StoreCorrupt):
        rows_of(site.folder)


def test_no_journal_no_history(tmp_path: Path) -> None:
    """A folder without a journal is no data directory."""
    with pytest.raises(StoreUnavailable):
        ParquetHistory(tmp_path)
