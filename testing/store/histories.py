"""Sites with a history for tests: a journal, a ledger, chunks as a writer makes them, what is in files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from facility.readings import Batch
from store.base import Chunk, Sink
from store.history.dataset import Disk
from store.history.integrity import sum_name
from store.history.parquet import FOLDER, read_sealed
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.journal.entries import Known
from store.journal.intake import Intake, readings_of
from store.journal.journal import Journal
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from store.means.accumulator import Meaner
from store.means.means import Means
from store.series import TenantDraw, tenants_of
from testing.builders import T0_MS, a_batch, known_racks

KEY = "Rack/RackPower/r1"
OTHER = "Rack/RackPower/r2"
ALL = (0, 2**60)
HOLD_MS = 110_000
"""How long a value of these points stands."""
Answer = TypeVar("Answer")
Draws = Sequence[tuple[int, Sequence[TenantDraw]]]


@dataclass
class Site:
    """A data directory with a journal and a ledger, as a monitor writes them."""

    folder: Path
    journal: Journal
    ledger: Ledger
    known: tuple[Known, ...]

    def append(self, *batches: Batch) -> None:
        """Journal batches, an entry each."""
        for batch in batches:
            self.journal.append(Intake(batch=batch), T0_MS)

    def draw(self, draws: Draws) -> None:
        """Save what the engine found."""
        self.ledger.save(Progress(seq=0, tick_ms=0, series=dict(draws)))

    def chunk(self, after_seq: int, last_seq: int | None = None) -> Chunk:
        """Return what a writer makes of the entries after one, and of all that the ledger has."""
        entries = [e for e in self.journal.read(after_seq) if last_seq is None or e.seq <= last_seq]
        batches = [readings_of(entry.content) for entry in entries if isinstance(entry.content, Batch)]
        return Chunk(
            first_seq=after_seq + 1,
            last_seq=max([after_seq, *(entry.seq for entry in entries)]),
            batch=Batch.concatenate(batches),
            points={known.id: known.point for known in self.known},
            draws=[(at_ms, tenants_of(rows)) for _, at_ms, rows in self.ledger.series(0)],
            means=self.means(after_seq, last_seq),
        )

    def means(self, after_seq: int, last_seq: int | None) -> list[Means]:
        """Return the means that the readings after an entry close, of all that came before."""
        meaner = Meaner()
        for known in self.known:
            meaner.learn(known.id, HOLD_MS)
        found: list[Means] = []
        for first, last in ((0, after_seq), (after_seq, 2**60 if last_seq is None else last_seq)):
            contents = [entry.content for entry in self.journal.read(0) if first < entry.seq <= last]
            batches = [content for content in contents if isinstance(content, Batch)]
            found = meaner.take(Batch.concatenate(batches))
        return [means for means in found if len(means)]

    def close(self) -> None:
        """Close the files."""
        self.journal.close()
        self.ledger.close()

    def files(self) -> set[str]:
        """Return every file of the history but the checksums; each part has one, and nothing else has."""
        root = self.folder / "history"
        found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        sums = {name for name in found if name.endswith(".crc32")}
        assert sums == {sum_name(name) for name in found if name.endswith(".parquet")}
        return found - sums


def is_tidy(root: Path) -> bool:
    """Tell whether a history has parts with their checksums, what counts, and no other file with a dot."""
    names = {path.relative_to(root).as_posix() for path in root.rglob("*.*")} - {"sealed.json"}
    parts = {name for name in names if name.rpartition("/")[2].startswith("part-")}
    return names - parts == {sum_name(name) for name in parts}


def open_site(folder: Path, known: tuple[Known, ...] | None = None) -> Site:
    """Return a site of two racks, where nothing else is said."""
    known = known or known_racks(["r1", "r2"])
    site = Site(folder, Journal(folder), Ledger(folder), known)
    site.journal.append(Intake(known=list(known)), T0_MS)
    return site


def seal(folder: Path, *chunks: Chunk, disk: Disk | None = None) -> None:
    """Open the history for writing, seal chunks and close it, whatever comes of it."""

    async def run() -> None:
        sink: Sink = ParquetSink(folder, disk, merges=False)
        try:
            for chunk in chunks:
                await sink.store(chunk)
        finally:
            await sink.close()

    asyncio.run(run())


def sealed_seq(folder: Path) -> int:
    """Return up to which entry of the journal a history is sealed, 0 before the first."""
    return read_sealed(folder / FOLDER).seq


def read(folder: Path, ask: Callable[[ParquetHistory], Answer]) -> Answer:
    """Ask a history that is opened for it."""
    history = ParquetHistory(folder)
    try:
        return ask(history)
    finally:
        history.close()


def rows_of(folder: Path, key: str = KEY) -> list[tuple[int, float]]:
    """Return all readings of a point as time [ms] and value."""
    series = read(folder, lambda history: history.readings(key, *ALL))
    return list(zip(series.time_ms.tolist(), series.value.tolist(), strict=True))


def ramp(start: int, end: int, *, point: int = 0, step_ms: int = 1_000) -> Batch:
    """Return readings number `start` to `end` of a point that rises by 1 each second."""
    return a_batch([(point, T0_MS + number * step_ms, float(number)) for number in range(start, end)])


def a_draw(tenant: str, best_milliwatts: int, *, demand_kw: float | None = None) -> TenantDraw:
    """Return a draw of which nobody can tell how high it is at most."""
    return TenantDraw(
        tenant=tenant,
        low_milliwatts=best_milliwatts - 1,
        best_milliwatts=best_milliwatts,
        high_milliwatts=None,
        limit_milliwatts=300_000_000_000,
        coverage=0.25,
        demand_kw=demand_kw,
        forecast_kw=None,
        block_limit_kw=None,
    )


def rows_in(folder: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    """Return what another program finds, which knows nothing but Parquet and folders named like day=."""
    found: list[tuple[object, ...]] = duckdb.execute(
        f"SELECT {columns} FROM read_parquet(?, hive_partitioning = true, filename = true)"  # noqa: S608 - a test's own words
        " ORDER BY filename, file_row_number",
        [sorted(str(path) for path in (folder / "history" / table).rglob("*.parquet"))],
    ).fetchall()
    return found
