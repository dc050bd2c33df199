"""A sink merges by itself, in a thread of its own, and lets go of it when it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from facility.instants import HOUR_MS
from store.history.dataset import Disk
from store.history.sealing import ParquetSink
from testing.builders import a_batch
from testing.store.histories import Site, open_site, rows_of, seal
from testing.store.merging import HOUR, merge, names_in, seal_hour

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


class _TellingDisk(Disk):
    """A disk that tells when a draft is begun, and when a merged part replaced others."""

    def __init__(self) -> None:
        self.is_begun, self.is_merged = Event(), Event()

    def make_folder(self, path: Path) -> None:
        """Make a folder."""
        super().make_folder(path)
        if path.name == "merging":
            self.is_begun.set()

    def remove(self, path: Path) -> None:
        """Remove a file."""
        super().remove(path)
        if path.parent.parent.parent.name == "reading":
            self.is_merged.set()


def test_a_sink_merges_by_itself_beside_sealing(site: Site) -> None:
    """An hour of before the start and one of after it are merged, and nobody waits for it."""
    seal_hour(site, 3)
    disk = _TellingDisk()

    async def run() -> None:
        sink = ParquetSink(site.folder, disk)
        site.append(a_batch([(0, NEXT + HOUR_MS, 1.0)]))
        await sink.store(site.chunk(site.journal.head_seq - 1))
        assert await asyncio.to_thread(disk.is_merged.wait, 20)
        await sink.close()

    asyncio.run(run())

    assert len(names_in(site)) == 1
    assert len(rows_of(site.folder)) == 7


def test_closing_ends_a_merge_that_has_begun(site: Site) -> None:
    """Whoever stops the monitor does not wait for an hour to be sorted."""
    rows = [(number % 2, HOUR + number, float(number)) for number in range(600_000)]
    for begin in range(0, len(rows), 300_000):
        site.append(a_batch(rows[begin : begin + 300_000]))
        seal(site.folder, site.chunk(site.journal.head_seq - 1))
    disk = _TellingDisk()

    async def run() -> None:
        sink = ParquetSink(site.folder, disk)
        site.append(a_batch([(0, NEXT + HOUR_MS, 1.0)]))
        await sink.store(site.chunk(site.journal.head_seq - 1))
        assert await asyncio.to_thread(disk.is_begun.wait, 20)
        await sink.close()

    asyncio.run(run())

    assert not (site.folder / "history" / "merging").exists()
    assert len(names_in(site)) == 2
    assert merge(site.folder) > 0
    assert len(rows_of(site.folder)) == 300_001
