"""A seal that is cut off loses nothing and doubles nothing: by a kill, a power cut, or a full disk."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS, HOUR_MS, MINUTE_MS
from store.base import Chunk
from store.history.dataset import Disk
from store.history.parquet import Table, hour_folder
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from testing.builders import T0_MS, a_batch
from testing.store import histories
from testing.store.disks import ForgetfulDisk, KilledError, MortalDisk, die, refuse
from testing.store.histories import ALL, KEY, OTHER, a_draw, open_site, rows_in, rows_of, seal

HOUR = T0_MS // HOUR_MS * HOUR_MS


@dataclass(frozen=True)
class Prepared:
    """A data directory of which a chunk is sealed and two more entries are not.

    Attributes:
        folder: The directory.
        rows: All readings, in order.
        minutes: How many means over minutes there are, by how many readings are sealed.
        part: A chunk of the first of the two entries.
        chunk: A chunk of both. They are of the hours that are sealed, and of another day as well.
    """

    folder: Path
    rows: list[tuple[int, float]]
    minutes: dict[int, set[int]]
    part: Chunk
    chunk: Chunk

    def is_whole(self) -> bool:
        """Tell whether the history says exactly what was received, in each of the three forms."""
        with closing(ParquetHistory(self.folder)) as history:
            readings = history.readings(KEY, *ALL)
            means = history.means(OTHER, HOUR, HOUR + 2 * HOUR_MS, HOUR_MS)
            draws = history.draw("acme", "best", *ALL)
        return (
            list(zip(readings.time_ms.tolist(), readings.value.tolist(), strict=True)) == self.rows
            and means.value.tolist() == pytest.approx([1.5, 5.5])
            and draws.time_ms.tolist() == [self.rows[number][0] for number in (0, 2, 4, 6, 7)]
        )


def count_minutes(chunks: Sequence[Chunk]) -> int:
    """Return how many means over minutes chunks bring."""
    return sum(len(means) for chunk in chunks for means in chunk.means if means.step_ms == MINUTE_MS)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """What the tests of cut-off seals begin with."""
    site = open_site(tmp_path_factory.mktemp("original"))
    rows = [(0, HOUR + number * HOUR_MS // 4, float(number)) for number in range(8)]
    rows.append((0, HOUR + 2 * DAY_MS, 8.0))
    # The first point's readings come in disorder, hour by hour; the second one's in order, for its means.
    other = [(1, at_ms, value) for _, at_ms, value in rows[:8]]
    site.append(a_batch(rows[0:8:2] + other[:4]))
    site.draw([(at_ms, [a_draw("acme", 10**9)]) for _, at_ms, _ in rows[0:8:2]])
    seal(site.folder, site.chunk(0))
    site.append(a_batch([*rows[1:7:2], rows[8], *other[4:7]]), a_batch([rows[7], other[7]]))
    site.draw([(rows[7][1], [a_draw("acme", 10**9)])])
    readings = [(at_ms, value) for _, at_ms, value in rows]
    chunks = [site.chunk(0, 2), site.chunk(2, 3), site.chunk(2)]
    minutes = {8: {count_minutes(chunks[:1])}, 15: {count_minutes(chunks[:2])}}
    # A chunk that begins too early brings means again that were sealed: the newer ones are read.
    minutes[17] = {count_minutes(chunks[::2]), count_minutes(chunks)}
    prepared = Prepared(site.folder, readings, minutes, *chunks[1:])
    site.close()
    return prepared


@pytest.fixture
def prepared(original: Prepared, tmp_path: Path) -> Prepared:
    """A copy of it."""
    shutil.copytree(original.folder, tmp_path, dirs_exist_ok=True)
    return replace(original, folder=tmp_path)


def is_tidy(prepared: Prepared) -> bool:
    """Tell whether the files hold what is sealed, and nothing else: another program reads them all."""
    folder = prepared.folder
    readings = len(rows_in(folder, "reading", "value"))
    minutes = len(rows_in(folder, "minute", "mean"))
    draws = len(rows_in(folder, "tenant_draw", "tenant"))
    is_known = minutes in prepared.minutes[readings]
    return (
        (readings, draws) in ((8, 4), (15, 5), (17, 5)) and is_known and histories.is_tidy(folder / "history")
    )


STEPS = range(80)


@pytest.mark.parametrize("step", STEPS[::4])
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(prepared: Prepared, step: int) -> None:
    """A history is whole after a kill, after the next start, and after the chunk was sealed again."""
    with suppress(KilledError):
        seal(prepared.folder, prepared.chunk, disk=MortalDisk(step, die))
    assert prepared.is_whole()
    seal(prepared.folder)
    assert is_tidy(prepared)
    seal(prepared.folder, prepared.chunk)

    assert is_tidy(prepared)
    assert prepared.is_whole()


def test_the_steps_are_all_of_them(prepared: Prepared) -> None:
    """The kills above reach from before the first step of a seal to after its last."""
    disk = MortalDisk(1_000, die)

    seal(prepared.folder, prepared.chunk, disk=disk)

    assert 20 < 1_000 - disk.left < len(STEPS)


@pytest.mark.parametrize("step", STEPS[2::4])
def test_a_power_cut_at_any_step_loses_and_doubles_nothing(prepared: Prepared, step: int) -> None:
    """A history is whole after a power cut that took each name of a folder not synced, and another."""
    root, kept = prepared.folder / "history", prepared.folder / "kept"

    for chunk, last_step in ((prepared.part, step), (prepared.chunk, 1_000)):
        shutil.copytree(root, kept)
        with suppress(KilledError):
            seal(prepared.folder, chunk, disk=ForgetfulDisk(root, kept, last_step))
        shutil.rmtree(root)
        kept.rename(root)
        assert prepared.is_whole()

    assert is_tidy(prepared)


@pytest.mark.parametrize("step", STEPS[1::6])
def test_a_full_disk_is_waited_out(prepared: Prepared, step: int) -> None:
    """Whatever the disk refuses, the same sink seals the same chunk once it has room again."""

    async def run() -> None:
        disk = MortalDisk(1_000, refuse)
        sink = ParquetSink(prepared.folder, disk, merges=False)
        disk.left = step
        with suppress(StoreUnavailable):
            await sink.store(prepared.chunk)
        assert prepared.is_whole()
        await sink.store(prepared.chunk)
        assert histories.sealed_seq(prepared.folder) == prepared.chunk.last_seq
        await sink.close()

    asyncio.run(run())

    assert is_tidy(prepared)
    assert prepared.is_whole()


def test_what_a_file_system_refuses_is_unavailable(prepared: Prepared) -> None:
    """A file where a folder should be is told as a store that cannot take it now, and leaves nothing."""
    in_the_way = prepared.folder / "history" / hour_folder(Table.READING, HOUR + 2 * DAY_MS)
    in_the_way.parent.mkdir()
    in_the_way.write_bytes(b"")

    with pytest.raises(StoreUnavailable):
        seal(prepared.folder, prepared.chunk)
    assert is_tidy(prepared)
    assert prepared.is_whole()
    in_the_way.unlink()
    seal(prepared.folder, prepared.chunk)

    assert is_tidy(prepared)
    assert prepared.is_whole()


@pytest.mark.parametrize("limit", [1_000, 50_000, 200_000])
def test_a_part_that_has_no_room_is_waited_out(tmp_path: Path, limit: int) -> None:
    """A file that the system cuts short in mid-write leaves nothing, and is written once there is room."""
    site = open_site(tmp_path)
    values = np.random.default_rng(1).normal(90.0, 1.0, 30_000)
    site.append(a_batch([(0, T0_MS + number, value) for number, value in enumerate(values)]))
    chunk = site.chunk(0)

    async def run() -> None:
        sink = ParquetSink(tmp_path, merges=False)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(StoreUnavailable):
                await sink.store(chunk)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert site.files() == {"lock"}
        await sink.store(chunk)
        await sink.close()

    asyncio.run(run())

    assert [value for (value,) in rows_in(tmp_path, "reading", "value")] == values.tolist()


@pytest.mark.parametrize("step", range(12))
def test_a_kill_while_dropping_leaves_the_rest_whole(prepared: Prepared, step: int) -> None:
    """Dropped readings are gone all at once, and their files at the next start or drop."""
    seal(prepared.folder, prepared.chunk)

    async def run(disk: Disk) -> None:
        sink = ParquetSink(prepared.folder, disk, merges=False)
        try:
            await sink.drop(HOUR + HOUR_MS)
        finally:
            await sink.close()

    with suppress(KilledError):
        asyncio.run(run(MortalDisk(step, die)))
    assert rows_of(prepared.folder) in (prepared.rows, prepared.rows[4:])
    asyncio.run(run(Disk()))

    assert rows_of(prepared.folder) == prepared.rows[4:]
    found = rows_in(prepared.folder, "reading", "point, value")
    assert [value for point, value in found if point == KEY] == [4.0, 5.0, 6.0, 7.0, 8.0]
