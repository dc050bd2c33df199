"""Merging changes nothing that anybody reads: cut off at any step, between any seals, whoever looks on."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.instants import HOUR_MS
from store.history.parquet import Table, hour_folder
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from testing.builders import T0_MS, a_batch
from testing.store.disks import ForgetfulDisk, KilledError, MortalDisk, WatchedDisk, die
from testing.store.histories import (
    ALL,
    KEY,
    OTHER,
    Site,
    a_draw,
    is_tidy,
    open_site,
    ramp,
    rows_in,
    rows_of,
    seal,
    sealed_seq,
)
from testing.store.merging import make_due, merge, merge_due

HOUR = T0_MS // HOUR_MS * HOUR_MS


@pytest.fixture(autouse=True)
def _every_seal_is_a_part() -> Iterator[None]:
    """Small parts stay parts, as large ones do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.history.sealing.OPEN_BYTES", 0)
        yield


@dataclass(frozen=True)
class Prepared:
    """A data directory of which everything is sealed in parts and nothing is merged.

    Attributes:
        folder: The directory.
        rows: All readings of the first point, in order.
    """

    folder: Path
    rows: list[tuple[int, float]]

    def check(self) -> None:
        """Make sure that the history says exactly what was received, in each of the three forms."""
        with closing(ParquetHistory(self.folder)) as history:
            readings = history.readings(KEY, *ALL)
            means = history.means(OTHER, HOUR, HOUR + HOUR_MS, HOUR_MS)
            draws = history.draw("acme", "best", *ALL)
        assert list(zip(readings.time_ms.tolist(), readings.value.tolist(), strict=True)) == self.rows
        assert means.value.tolist() == pytest.approx([1.5])
        assert draws.time_ms.tolist() == [HOUR + number for number in range(8)]

    def check_files(self) -> None:
        """Make sure that another program finds every row once, and no file that is none of ours."""
        found = rows_in(self.folder, "reading", "point, epoch_ms(time), value")
        assert sorted((at_ms, value) for point, at_ms, value in found if point == KEY) == self.rows
        assert len(found) == len(self.rows) + 4
        assert len(rows_in(self.folder, "tenant_draw", "time::VARCHAR")) == 8
        assert is_tidy(self.folder / "history")
        assert not (self.folder / "history" / "merging").exists()

    def parts(self, start_ms: int = HOUR, table: Table = Table.READING) -> int:
        """Return how many files an hour has."""
        folder = self.folder / "history" / hour_folder(table, start_ms)
        return len(list(folder.glob("part-*")))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """What the tests of cut-off merges begin with."""
    site = open_site(tmp_path_factory.mktemp("original"))
    rows = [(0, HOUR + at * HOUR_MS // 8, float(at)) for at in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.history.sealing.OPEN_BYTES", 0)
        for part in range(4):
            other = (1, HOUR + part * HOUR_MS // 4, float(part))
            site.append(a_batch([rows[part + 4], rows[part], other]))
            site.draw([(HOUR + at, [a_draw("acme", 10**9)]) for at in (2 * part, 2 * part + 1)])
            seal(site.folder, site.chunk(site.journal.head_seq - 1))
    site.close()
    return Prepared(site.folder, [(at_ms, value) for _, at_ms, value in rows])


@pytest.fixture
def prepared(original: Prepared, tmp_path: Path) -> Prepared:
    """A copy of it."""
    shutil.copytree(original.folder, tmp_path, dirs_exist_ok=True)
    return replace(original, folder=tmp_path)


STEPS = range(140)


def test_the_steps_are_all_of_them(prepared: Prepared) -> None:
    """The kills below reach from before the first step to after the last, and nothing is left to do."""
    prepared.check()
    assert (prepared.parts(), prepared.parts(table=Table.DRAW)) == (4, 4)
    disk = MortalDisk(1_000, die)

    assert merge(prepared.folder, disk) >= 3

    assert 40 < 1_000 - disk.left < len(STEPS)
    assert (prepared.parts(), prepared.parts(table=Table.DRAW)) == (1, 1)
    prepared.check()
    prepared.check_files()


def test_whoever_looks_between_any_two_steps_finds_everything_once(prepared: Prepared) -> None:
    """A reader sees the parts or what they became, never both and never neither."""
    looks = []

    def look() -> None:
        prepared.check()
        looks.append(prepared.parts())

    merge(prepared.folder, WatchedDisk(look))

    assert len(looks) > 40
    assert {1, 4, 5} <= set(looks)


@pytest.mark.parametrize("step", STEPS[::8])
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(prepared: Prepared, step: int) -> None:
    """A history is whole after a kill, and tidy after the next start, which merges what was not."""
    with suppress(KilledError):
        merge(prepared.folder, MortalDisk(step, die))
    prepared.check()
    seal(prepared.folder)
    prepared.check_files()

    merge(prepared.folder)

    prepared.check()
    prepared.check_files()
    assert (prepared.parts(), prepared.parts(table=Table.DRAW)) == (1, 1)


@pytest.mark.parametrize("step", STEPS[4::8])
def test_a_power_cut_at_any_step_loses_and_doubles_nothing(prepared: Prepared, step: int) -> None:
    """A history is whole after a power cut that took each name of a folder not synced, and is merged then."""
    root, kept = prepared.folder / "history", prepared.folder / "kept"
    shutil.copytree(root, kept)
    with suppress(KilledError):
        merge(prepared.folder, ForgetfulDisk(root, kept, step))
    shutil.rmtree(root)
    kept.rename(root)
    prepared.check()

    merge(prepared.folder)

    prepared.check()
    prepared.check_files()
    assert (prepared.parts(), prepared.parts(table=Table.DRAW)) == (1, 1)


# Any order ------------------------------------------------------------------------------


class Story:
    """A history that is sealed, merged, killed and read in any order.

    Args:
        site: The site.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.disk = MortalDisk(10**9, die)
        self.sink = self._opened()

    def _opened(self) -> ParquetSink:
        self.disk = MortalDisk(10**9, die)
        return ParquetSink(self.site.folder, self.disk, merges=False)

    async def do(self, what: str, step: int) -> None:
        """Do something, and be killed at a step of it, if it has so many."""
        self.disk.left = step
        try:
            if what == "seal":
                last_seq = self.site.journal.head_seq
                await self.sink.store(self.site.chunk(sealed_seq(self.site.folder), last_seq))
            elif what == "merge":
                make_due(self.sink)
                await self.sink.merge()
            elif what == "merge all":
                await merge_due(self.sink)
            else:
                die()
        except KilledError:
            await self.sink.close()
            self.sink = self._opened()
        self.disk.left = 10**9


hours = st.sampled_from([0, 0, 0, 1, 26])
moments = st.lists(st.tuples(st.integers(0, 1), hours, st.integers(0, 50)), min_size=1, max_size=8)
deeds = st.sampled_from(["seal", "seal", "merge", "merge all", "restart"])
steps = st.one_of(st.just(10**9), st.integers(0, 60))


@settings(max_examples=10)
@given(st.lists(st.one_of(moments, st.tuples(deeds, steps)), min_size=4, max_size=14))
def test_any_order_of_seals_merges_kills_and_late_readings(
    deeds: list[list[tuple[int, int, int]] | tuple[str, int]],
) -> None:
    """Whatever is done, in whatever order, what was journalled is read, once, after each of it."""
    with tempfile.TemporaryDirectory() as name:
        site = open_site(Path(name))
        wanted: dict[tuple[int, int], float] = {}

        async def play() -> None:
            story = Story(site)
            for deed in deeds:
                if isinstance(deed, tuple):
                    await story.do(*deed)
                else:
                    rows = [(point, HOUR + hour * HOUR_MS + at * 60_000) for point, hour, at in deed]
                    new = [row for row in dict.fromkeys(rows) if row not in wanted]
                    wanted.update({row: len(wanted) + place for place, row in enumerate(new)})
                    site.append(a_batch([(*row, wanted[row]) for row in new]))
                    continue
                for number, key in enumerate((KEY, OTHER)):
                    mine = sorted((at, value) for (point, at), value in wanted.items() if point == number)
                    assert rows_of(site.folder, key) == mine
            await story.do("seal", 10**9)
            await merge_due(story.sink)
            await story.sink.close()

        asyncio.run(play())
        files = rows_in(site.folder, "reading", "value") if wanted else []
        site.close()

    assert sorted(files) == [(value,) for value in sorted(wanted.values())]


def test_reading_while_sealing_and_merging_misses_nothing_and_sees_nothing_twice(tmp_path: Path) -> None:
    """Who lists files just before they vanish looks again, and finds what is there now."""
    site = open_site(tmp_path)
    before = [
        (0, HOUR - hour * HOUR_MS + part, float(part - 4 * hour))
        for hour in range(25, 0, -1)
        for part in range(4)
    ]
    for part in range(4):
        site.append(a_batch(before[part::4]))
        seal(tmp_path, site.chunk(site.journal.head_seq - 1))
    done, count = Event(), [0]

    def look() -> int:
        looks = 0
        with closing(ParquetHistory(tmp_path)) as history:
            while not done.is_set() or looks == 0:
                least = count[0]
                values = history.readings(KEY, *ALL).value.tolist()
                assert values == list(range(-100, len(values) - 100))
                assert least <= len(values) - 100 <= count[0] + 5
                looks += 1
        return looks

    async def write() -> int:
        sink, merged = ParquetSink(tmp_path, merges=False), 0
        for start in range(0, 100, 5):
            site.append(ramp(start, start + 5))
            count[0] = start + 5
            chunk = site.chunk(sealed_seq(tmp_path))
            await sink.store(chunk)
            site.journal.set_reader(sink.name, chunk.last_seq)
            site.journal.trim(T0_MS + 1, 0)
            make_due(sink)
            merged += await sink.merge() + await sink.merge()
        await sink.close()
        return merged

    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        try:
            merged = asyncio.run(write())
        finally:
            done.set()

    assert merged > 25
    assert all(look.result() > 0 for look in looks)
    assert len(rows_of(tmp_path)) == 100 + 100
    site.close()
