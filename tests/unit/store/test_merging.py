"""Hours that are over become one part: when they do, what late readings do, and what may go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS, HOUR_MS
from store.base import Chunk
from store.history.compaction import QUIET_MS, worth_merging
from store.history.dataset import Disk, Fill
from store.history.integrity import damaged_files
from store.history.parquet import Table, hour_folder
from store.history.sealing import ParquetSink
from testing.builders import a_batch
from testing.store.disks import MortalDisk, refuse
from testing.store.histories import ALL, Site, a_draw, open_site, read, rows_in, rows_of, seal
from testing.store.merging import HOUR, make_due, merge, merge_due, merge_on, names_in, seal_hour

NEXT = HOUR + HOUR_MS


@pytest.fixture(autouse=True)
def _every_seal_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts stay parts, as large ones do."""
    monkeypatch.setattr("store.history.sealing.OPEN_BYTES", 0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of two racks that nothing was received from."""
    site = open_site(tmp_path)
    yield site
    site.close()


@pytest.mark.parametrize(
    ("sizes", "begin"),
    [
        ([], 0),
        ([1], 1),
        ([1, 1], 0),
        ([4, 1], 0),
        ([5, 1], 2),
        ([500, 5, 1], 3),
        ([500, 4, 1], 1),
        ([500, 100, 25], 0),
        ([501, 100, 25], 1),
        ([1] * 60, 0),
        ([10**9, 1, 1, 1], 1),
    ],
)
def test_what_is_worth_merging(sizes: list[int], begin: int) -> None:
    """A part is rewritten for what makes up a quarter of it, and never for less."""
    assert worth_merging(sizes) == begin


def test_an_hour_never_has_many_parts_and_is_not_rewritten_for_a_few() -> None:
    """Whatever comes late, part by part, an hour stays few parts, and what is written stays in proportion."""
    sizes, written = [1_000_000], 0
    for _ in range(20_000):
        sizes.append(100)
        begin = worth_merging(sizes)
        merged = sum(sizes[begin:])
        sizes = [*sizes[:begin], *([merged] if merged else [])]
        written += merged
        assert len(sizes) <= 8

    assert sum(sizes) == 3_000_000
    assert written < 20 * sum(sizes)


def test_an_hour_that_is_over_becomes_one_sorted_part_of_each_table(site: Site) -> None:
    """Whoever reads finds the same, and a program that does not know us every row once and in order."""
    rows = seal_hour(site, 12)
    site.draw([(HOUR + number, [a_draw("acme", number)]) for number in range(5)])
    seal(site.folder, site.chunk(site.journal.head_seq))
    site.draw([(HOUR + 5 + number, [a_draw("acme", 5 + number)]) for number in range(5)])
    seal(site.folder, site.chunk(site.journal.head_seq))
    minutes = sorted(rows_in(site.folder, "minute", "point, epoch_ms(time), mean, seq"))

    assert merge(site.folder) == 3

    assert names_in(site) == ["part-2-13.parquet"]
    assert names_in(site, table=Table.DRAW) == [f"part-{HOUR}-{HOUR + 9}.parquet"]
    assert len(names_in(site, table=Table.MINUTE)) == 1
    assert rows_of(site.folder) == rows
    found = rows_in(site.folder, "reading", "point, epoch_ms(time), value, asset, unit")
    assert [(at_ms, value) for _, at_ms, value, _, _ in found] == rows * 2
    assert found == sorted(found)
    assert rows_in(site.folder, "minute", "point, epoch_ms(time), mean, seq") == minutes
    draws = read(site.folder, lambda history: history.draw("acme", "best", *ALL))
    assert draws.time_ms.tolist() == list(range(HOUR, HOUR + 10))
    assert not (site.folder / "history" / "merging").exists()
    assert merge(site.folder) == 0


def test_an_hour_is_due_once_it_is_over_and_quiet(site: Site) -> None:
    """The moments at which readings were received tell, so an outage makes no hour older than it is."""

    async def run() -> list[tuple[bool, int]]:
        sink = ParquetSink(site.folder, merges=False)
        found = []
        for at_ms in (HOUR, NEXT - 10, NEXT, NEXT + QUIET_MS - 10, NEXT + QUIET_MS, NEXT + 2 * HOUR_MS):
            site.append(a_batch([(0, at_ms, 1.0)]))
            await sink.store(site.chunk(site.journal.head_seq - 1))
            found.append((await sink.merge(), len(names_in(site))))
        await sink.close()
        return found

    merged = asyncio.run(run())

    assert merged == [(False, 1), (False, 2), (False, 2), (False, 2), (True, 1), (True, 1)]


def test_late_readings_lie_beside_until_they_are_worth_it(site: Site) -> None:
    """A large part is not rewritten for a late reading, and late readings are merged among themselves."""
    many = [(number % 2, HOUR + number, float(number)) for number in range(50_000)]
    site.append(a_batch(many))
    seal(site.folder, site.chunk(0))
    for number in range(3):
        late = (0, HOUR + 100_000 + number, 1.0)
        site.append(a_batch([late], received_after_ms=DAY_MS), a_batch([(1, *late[1:])]))
        seal(site.folder, site.chunk(site.journal.head_seq - 2))
    rows = rows_of(site.folder)

    assert merge(site.folder) > 0

    assert names_in(site) == ["part-1-2.parquet", "part-3-8.parquet"]
    assert rows_of(site.folder) == rows
    site.append(a_batch([(0, HOUR + 200_000 + number, 2.0) for number in range(20_000)]))
    seal(site.folder, site.chunk(site.journal.head_seq - 1))
    assert merge(site.folder) > 0
    assert names_in(site) == ["part-1-9.parquet"]
    assert len(rows_of(site.folder)) == 25_000 + 3 + 20_000


def test_the_newest_hour_comes_first_and_others_follow(site: Site) -> None:
    """What people look at most is merged before what was there before us."""
    starts = (NEXT, HOUR, HOUR - DAY_MS)
    for start_ms in starts:
        seal_hour(site, 3, start_ms)

    async def run() -> list[list[int]]:
        sink = ParquetSink(site.folder, merges=False)
        make_due(sink)
        found = []
        while await sink.merge():
            found.append([len(names_in(site, start_ms)) for start_ms in starts])
        await sink.close()
        return found

    states = asyncio.run(run())

    assert [state for state, _ in groupby(states)] == [[1, 3, 3], [1, 1, 3], [1, 1, 1]]


class _BusyDisk(Disk):
    """A disk on which something is sealed while a draft is written."""

    def __init__(self) -> None:
        self.meanwhile: list[Chunk] = []
        self.sink: ParquetSink | None = None

    def write(self, path: Path, fill: Fill) -> None:
        """Write a file, and seal a chunk after a draft."""
        super().write(path, fill)
        if path.name == "draft" and self.meanwhile:
            assert self.sink is not None
            self.sink._guarded(lambda: self.sink._seal(self.meanwhile.pop()))  # type: ignore[union-attr]  # it is there


@pytest.mark.parametrize("is_small", [True, False], ids=["taken into the last part", "a part of its own"])
def test_what_is_sealed_meanwhile_is_not_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, is_small: bool
) -> None:
    """Late readings that come into an hour while it is merged are kept, be the draft of use or not."""
    rows = seal_hour(site, 5)
    site.append(a_batch([(0, HOUR + 1, 77.0)], received_after_ms=DAY_MS))
    if is_small:
        monkeypatch.setattr("store.history.sealing.OPEN_BYTES", 10**9)
    disk = _BusyDisk()

    async def run() -> None:
        disk.sink = ParquetSink(site.folder, disk, merges=False)
        make_due(disk.sink)
        disk.meanwhile = [site.chunk(site.journal.head_seq - 1)]
        await disk.sink.merge()
        assert rows_of(site.folder) == [(HOUR + 1, 77.0), *rows]
        assert not disk.meanwhile
        await merge_due(disk.sink)
        await disk.sink.close()

    asyncio.run(run())

    assert rows_of(site.folder) == [(HOUR + 1, 77.0), *rows]
    assert len(rows_in(site.folder, "reading", "value")) == 2 * len(rows) + 1
    assert len(names_in(site)) == 1


def test_an_hour_that_is_dropped_is_not_merged(site: Site) -> None:
    """Readings that count no more stay away, whatever is merged; their means are merged."""
    seal_hour(site, 3)
    rows = seal_hour(site, 3, NEXT)

    async def run() -> None:
        sink = ParquetSink(site.folder, merges=False)
        await sink.drop(NEXT)
        await merge_due(sink)
        await sink.close()

    asyncio.run(run())

    assert rows_of(site.folder) == rows
    assert len(names_in(site, NEXT)) == 1
    assert len(rows_in(site.folder, "reading", "value")) == 2 * len(rows)


@pytest.mark.parametrize("step", range(0, 12, 2))
def test_a_full_disk_is_waited_out(site: Site, step: int) -> None:
    """What the disk refuses is tried again later, and leaves nothing behind."""
    rows = seal_hour(site, 4)
    disk = MortalDisk(1_000, refuse)

    async def run() -> None:
        sink = ParquetSink(site.folder, disk, merges=False)
        make_due(sink)
        disk.left = step
        with pytest.raises(StoreUnavailable):
            await sink.merge()
        assert rows_of(site.folder) == rows
        assert not (site.folder / "history" / "merging").exists()
        await merge_due(sink)
        await sink.close()

    asyncio.run(run())

    assert len(names_in(site)) == 1
    assert rows_of(site.folder) == rows


class _SmallDisk(Disk):
    """A disk with little room."""

    def free(self, path: Path) -> int:
        """Return less than what alarms need."""
        return super().free(path) * 0 + 2**20


def test_no_room_no_merge(site: Site) -> None:
    """Merging leaves to alarms what is kept for them."""
    seal_hour(site, 4)

    with pytest.raises(StoreUnavailable, match="bytes free"):
        merge(site.folder, _SmallDisk())

    assert len(names_in(site)) == 4


def test_a_damaged_part_is_put_aside_made_anew_from_the_journal_and_merged(site: Site) -> None:
    """Nothing waits for it; what the journal still holds of its readings is in the merged part."""
    seal_hour(site, 3)
    rows = seal_hour(site, 3, NEXT)
    folder = site.folder / "history" / hour_folder(Table.READING, NEXT)
    (folder / names_in(site, NEXT)[1]).write_bytes(b"PAR1 no")

    async def run() -> None:
        sink = ParquetSink(site.folder, merges=False)
        make_due(sink)
        await merge_on(sink)
        make_due(sink)
        await merge_on(sink)
        await sink.close()

    asyncio.run(run())

    assert (len(names_in(site)), len(names_in(site, NEXT))) == (1, 1)
    assert [path.read_bytes() for path in damaged_files(site.folder)] == [b"PAR1 no"]
    assert [row for row in rows_of(site.folder) if row[0] >= NEXT] == rows
