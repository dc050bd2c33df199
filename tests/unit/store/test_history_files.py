"""The files of a history: sealed once, few, readable by others, and never read where they are damaged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest

from facility.errors import StoreCorrupt, StoreForeign, StoreUnavailable
from facility.instants import MINUTE_MS
from facility.names import AssetId
from facility.points import Asset
from facility.readings import Quality
from store.base import Chunk
from store.history.integrity import damaged_files, is_whole
from store.history.parquet import Sealed
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.journal.entries import Known
from store.journal.intake import Intake
from testing.builders import T0_MS, a_batch, a_point, known_racks
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


def test_a_close_that_is_cancelled_lets_go_all_the_same(tmp_path: Path) -> None:
    """Who ends it asks again while it takes long; the next writer finds the history free."""

    async def story() -> None:
        closing = asyncio.create_task(ParquetSink(tmp_path).close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await ParquetSink(tmp_path).close()

    asyncio.run(story())


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


def test_a_statement_of_what_counts_that_is_damaged_is_found_again_from_the_parts(site: Site) -> None:
    """It was torn, emptied or changed: whoever reads goes on, and the writer writes it anew."""
    site.append(ramp(0, 3))
    site.append(ramp(3, 6))
    seal(site.folder, site.chunk(0, 2), site.chunk(2))
    expected = rows_of(site.folder)
    statement = site.folder / "history" / "sealed.json"
    good = statement.read_bytes()
    seq = site.journal.head_seq
    assert f'"seq":{seq}'.encode() in good

    for bad in (b"", b"{", b"[]", good[:-5], good.replace(f'"seq":{seq}'.encode(), b'"seq":9')):
        statement.write_bytes(bad)
        assert rows_of(site.folder) == expected
        sink = ParquetSink(site.folder)
        assert sealed_seq(site.folder) == seq
        asyncio.run(sink.close())
        assert rows_of(site.folder) == expected
        assert Sealed.decode(statement.read_bytes()).seq == seq
    assert len(damaged_files(site.folder)) == 5

    statement.write_bytes(msgspec.json.encode({"version": 2}))
    with pytest.raises(StoreForeign, match="expected version 1 or older, found version 2"):
        rows_of(site.folder)
    with pytest.raises(StoreForeign):
        ParquetSink(site.folder)


def flip(path: Path, place: int) -> None:
    """Flip the lowest bit of a byte."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0, 30, 200, -300, -20, -1])
def test_one_flipped_bit_of_a_part_is_found_and_read_from_the_journal_instead(site: Site, place: int) -> None:
    """Such a part may read as other numbers: the checksum beside it tells."""
    site.append(ramp(0, 3))
    site.append(ramp(3, 6))
    seal(site.folder, site.chunk(0))
    expected = rows_of(site.folder)
    (part,) = (site.folder / "history" / "reading").rglob("*.parquet")
    flip(part, place)

    assert rows_of(site.folder) == expected


def test_a_damaged_part_costs_only_what_the_journal_holds_no_longer(site: Site) -> None:
    """All other parts are read; the writer goes on, puts it aside and does not take it into the next part."""
    site.append(ramp(0, 3))
    seal(site.folder, site.chunk(0))
    (part,) = (site.folder / "history" / "reading").rglob("*.parquet")
    flip(part, 200)
    site.journal.set_reader("history", site.journal.head_seq)
    site.append(ramp(3, 6))
    site.journal.trim(T0_MS + 10**9, 10**9)
    kept = [(at_ms, value) for at_ms, value in rows_of(site.folder) if at_ms >= T0_MS + 3_000]

    assert len(kept) == 3
    assert rows_of(site.folder) == kept
    seal(site.folder, site.chunk(2))

    assert rows_of(site.folder) == kept
    assert [path.name for path in damaged_files(site.folder)] == [
        "reading-day=2026-05-28-hour=20-part-1-2.parquet.damaged"
    ]
    assert site.files() >= {"reading/day=2026-05-28/hour=20/part-3-3.parquet"}


def test_means_of_an_hour_of_which_a_part_is_damaged_are_made_of_its_readings(site: Site) -> None:
    """The means of other hours are as they were kept."""
    site.append(ramp(0, 200))
    seal(site.folder, site.chunk(0))
    span = T0_MS // 60_000 * 60_000, T0_MS // 60_000 * 60_000 + 240_000

    def means() -> list[tuple[int, float]]:
        found = read(site.folder, lambda history: history.means(KEY, *span, 60_000))
        return list(zip(found.time_ms.tolist(), found.value.round(9).tolist(), strict=True))

    expected = means()
    (part,) = (site.folder / "history" / "minute").rglob("*.parquet")
    flip(part, 100)

    assert len(expected) == 4
    assert means() == expected


def test_every_part_is_looked_at_once_a_day(site: Site) -> None:
    """One that nobody reads is found as well, and made anew while the journal has it."""
    site.append(ramp(0, 3))
    seal(site.folder, site.chunk(0))
    expected = rows_of(site.folder)
    (part,) = (site.folder / "history" / "reading").rglob("*.parquet")
    flip(part, 200)
    bad = part.read_bytes()

    sink = ParquetSink(site.folder, merges=False)
    while sink._merger.check():
        pass
    asyncio.run(sink.close())

    assert is_whole(part)
    assert rows_of(site.folder) == expected
    assert [path.read_bytes() for path in damaged_files(site.folder)] == [bad]


def test_no_journal_no_history(tmp_path: Path) -> None:
    """A folder without a journal is no data directory."""
    with pytest.raises(StoreUnavailable):
        ParquetHistory(tmp_path)


def test_a_value_is_labelled_with_the_unit_that_it_is_stored_in(tmp_path: Path) -> None:
    """Whatever unit the metadata says, before and after it changed: in files and in answers."""
    watts, kilowatts = (
        Known(0, a_point(unit=unit), Asset(id=AssetId("r1"), kind="Rack")) for unit in ("W", "kW")
    )
    site = open_site(tmp_path, (watts,))
    site.append(a_batch([(0, T0_MS, 120.0)]))
    seal(tmp_path, site.chunk(0))
    site.journal.append(Intake(known=[kilowatts]), T0_MS)
    site.append(a_batch([(0, T0_MS + 1, 121.0)]))
    site.close()

    series = read(tmp_path, lambda history: history.readings(KEY, *ALL))
    assert (series.unit, series.value.tolist()) == ("kW", [120.0, 121.0])
    assert rows_in(tmp_path, "reading", "unit, value") == [("kW", 120.0)]
