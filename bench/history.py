"""Parquet: sealing readings of 2,270 racks, and the three usual reads of what was sealed.

Sealing is measured beside DuckDB's own COPY of the same rows in the order in which they came, with the same
compression: what is on top of it is sorting, the means' rows, files by the hour and the sync. Reads are
measured beside reading the same files with one query. The means themselves are measured apart.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from bench.frame import Figure, seconds_of
from facility.instants import HOUR_MS, MINUTE_MS
from facility.points import Point
from facility.readings import Batch
from store.base import Chunk
from store.entries import Known
from store.history import ParquetHistory
from store.intake import Intake
from store.journal import Journal
from store.meaner import Meaner
from store.means import hold_ms
from store.sealing import ParquetSink
from tests.builders import a_point

RACKS: Final = 2_270
POINTS_EACH: Final = 29
"""Points a rack: 66,000 in all, as the 300 MW case has them."""
READINGS_PER_S: Final = 20_600
START_MS: Final = 1_780_000_000_000 // HOUR_MS * HOUR_MS
_COPY: Final = "COPY (FROM rows) TO ? (FORMAT parquet, COMPRESSION zstd)"


class Readings:
    """Readings of a site, as chunks of a minute, made as they are asked for.

    Args:
        racks: How many racks it has; it has readings in proportion.

    Attributes:
        points: Every point, by its number.
        means_us: The CPU that the means of each chunk took, for each reading [us].
    """

    def __init__(self, racks: int) -> None:
        self.points: dict[int, Point] = {
            number: a_point(f"Rack/P{number % POINTS_EACH}/row{number // 290}/r{number}", asset=f"r{number}")
            for number in range(racks * POINTS_EACH)
        }
        self.means_us: list[float] = []
        self._count = READINGS_PER_S * 60 * racks // RACKS
        self._random = np.random.default_rng(1)
        self._meaner = Meaner()
        for number, point in self.points.items():
            self._meaner.learn(number, hold_ms(point))

    def chunks(self, minutes: range) -> Iterator[Chunk]:
        """Yield chunks of one minute after the other."""
        for minute in minutes:
            start_ms = START_MS + minute * MINUTE_MS
            batch = _minute(self._random, len(self.points), self._count, start_ms)
            begin_s = time.process_time()
            means = [found for found in self._meaner.take(batch) if len(found)]
            self.means_us.append((time.process_time() - begin_s) / self._count * 1e6)
            seq = minute + 2
            yield Chunk(first_seq=seq, last_seq=seq, batch=batch, points=self.points, means=means)


def _minute(random: np.random.Generator, points: int, count: int, start_ms: int) -> Batch:
    point = random.permutation(np.arange(count) % points)
    time_ms = np.sort(start_ms + random.integers(0, MINUTE_MS, count))
    lag = random.integers(2, 40, count)
    value = np.round(90 + random.normal(0, 3, count), 2)
    return Batch.of([point, time_ms, time_ms + lag, value, np.zeros(count), np.zeros(count)])


def run(*, quick: bool = False) -> list[Figure]:
    """Measure sealing minute by minute, the means, and the three usual reads."""
    racks, minutes, repetitions = (227, 6, 3) if quick else (RACKS, 15, 5)
    made = Readings(racks)
    ours, theirs, count = [], [], 0
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as other:
        folder = Path(name)
        for minute in range(minutes):
            for chunk in made.chunks(range(minute, minute + 1)):
                ours.append(_seal(folder, chunk) / len(chunk.batch) * 1e6)
                count += len(chunk.batch)
                if minute < repetitions:
                    theirs.append(_copy(Path(other), chunk) / len(chunk.batch) * 1e6)
        size = sum(path.stat().st_size for path in (folder / "history" / "reading").rglob("*.parquet"))
        figures = [
            Figure(
                what=f"seal a minute of {racks:,} racks ({count // minutes:,} readings), CPU per reading",
                unit="µs",
                samples=ours,
                beside="COPY of the rows as they came",
                theirs=theirs,
            ),
            Figure(
                what="means of minutes and quarter-hours, CPU per reading", unit="µs", samples=made.means_us
            ),
            Figure(what="on disk, per reading", unit="bytes", samples=[size / count]),
        ]
        with _journal(folder, made):
            return figures + _reads(folder, made, minutes, repetitions)


def _seal(folder: Path, chunk: Chunk) -> float:
    async def story() -> float:
        sink = ParquetSink(folder)
        begin_s = time.process_time()
        await sink.store(chunk)
        spent_s = time.process_time() - begin_s
        await sink.close()
        return spent_s

    return asyncio.run(story())


def _copy(folder: Path, chunk: Chunk) -> float:
    batch = chunk.batch
    keys = np.array([point.key for point in chunk.points.values()], object)
    begin_s = time.process_time()
    with closing(duckdb.connect(config={"threads": 1})) as engine:
        engine.register("points", {"number": np.arange(len(keys), dtype=np.int32), "point": keys})
        columns = {"number": batch.point, "time": batch.source_ms, "received": batch.received_ms}
        engine.register("numbered", columns | {"value": batch.value, "quality": batch.quality})
        engine.execute("CREATE VIEW rows AS SELECT * EXCLUDE number FROM numbered JOIN points USING (number)")
        engine.execute(_COPY, [str(folder / "rows.parquet")])
    return time.process_time() - begin_s


@contextmanager
def _journal(folder: Path, made: Readings) -> Iterator[None]:
    """Journal what a reader needs to know of the points; the readings themselves are sealed."""
    journal = Journal(folder)
    try:
        journal.append(Intake(known=[Known(n, p) for n, p in made.points.items()]), START_MS)
        yield
    finally:
        journal.close()


def _reads(folder: Path, made: Readings, minutes: int, repetitions: int) -> list[Figure]:
    end_ms = START_MS + minutes * MINUTE_MS
    keys = [made.points[number].key for number in range(0, len(made.points), len(made.points) // repetitions)]
    files = [str(path) for path in (folder / "history" / "reading").rglob("*.parquet")]
    with closing(ParquetHistory(folder)) as history, closing(duckdb.connect(config={"threads": 1})) as engine:
        history.readings(keys[0], START_MS, end_ms)  # what is known of points is read once

        def timed(ask: Callable[[str], object]) -> list[float]:
            return [seconds_of(lambda key=key: ask(key)) * 1e3 for key in keys]  # type: ignore[misc]  # the default binds the key

        def plainly(query: str) -> list[float]:
            return timed(lambda key: engine.execute(query, [files, key]).fetchnumpy())

        rows = "FROM read_parquet(?) WHERE point = ?"
        plain_means = f"SELECT time_bucket(INTERVAL 1 MINUTE, time) AS step, avg(value) {rows} GROUP BY step"
        span = (START_MS, end_ms)
        return [
            Figure(
                what=f"readings of a point over {minutes} minutes",
                unit="ms",
                samples=timed(lambda key: history.readings(key, *span)),
                beside="one query over the files",
                theirs=plainly(f"SELECT time, value {rows}"),
            ),
            Figure(
                what="means of a point over minutes",
                unit="ms",
                samples=timed(lambda key: history.means(key, *span, MINUTE_MS)),
                beside="plain means by one query",
                theirs=plainly(plain_means),
            ),
            Figure(
                what="means of a point over ten seconds",
                unit="ms",
                samples=timed(lambda key: history.means(key, *span, 10_000)),
                beside="plain means by one query",
                theirs=plainly(plain_means.replace("1 MINUTE", "10 SECOND")),
            ),
        ]
