"""Parquet: sealing readings of 2,270 racks, and the three usual reads of what was sealed.

Sealing is measured beside DuckDB's own COPY of the same rows in the order in which they came, with the same
compression: what is on top of it is sorting, the means' rows, files by the hour and the sync. Reads are
measured beside reading the same files with one query. The means themselves are measured apart.

What merging does for a read is measured on a day of a fortieth of the racks, each point as busy as ever, once
merged and once as it was sealed. Each minute is a part there, as it is from some 110 racks on; a site of
2,270 racks has six parts a minute, each of which takes a read longer, and 40 times the rows.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from pytest import MonkeyPatch  # noqa: PT013 - no test

from bench.frame import Figure, seconds_of
from facility.instants import HOUR_MS, MINUTE_MS
from facility.points import Point
from facility.readings import Batch
from store.base import Chunk, Series
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.journal.entries import Known
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.means.accumulator import Meaner
from store.means.means import hold_ms
from testing.builders import a_point
from testing.store.histories import a_draw
from testing.store.merging import make_due

RACKS: Final = 2_270
POINTS_EACH: Final = 29
"""Points a rack: 66,000 in all, as the 300 MW case has them."""
READINGS_PER_S: Final = 20_600
START_MS: Final = 1_780_000_000_000 // HOUR_MS * HOUR_MS
DAY_RACKS: Final = 57
DAY_HOURS: Final = 24
_COPY: Final = "COPY (FROM rows) TO ? (FORMAT parquet, COMPRESSION zstd)"


class Readings:
    """Readings of a site, as chunks of a minute, made as they are asked for.

    Args:
        racks: How many racks it has; it has readings in proportion.

    Attributes:
        points: Every point, by its number.
        count: How many readings it has in an hour.
        means_us: The CPU that the means of each chunk took, for each reading [us].
    """

    def __init__(self, racks: int) -> None:
        self.points: dict[int, Point] = {
            number: a_point(f"Rack/P{number % POINTS_EACH}/row{number // 290}/r{number}", asset=f"r{number}")
            for number in range(racks * POINTS_EACH)
        }
        self.means_us: list[float] = []
        self._count = READINGS_PER_S * 60 * racks // RACKS
        self.count = self._count * 60
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
            figures += _reads(folder, made, minutes, repetitions)
    return figures + _day(2 if quick else DAY_HOURS, 3 * repetitions)


def _seal(folder: Path, chunk: Chunk) -> float:
    async def story() -> float:
        sink = ParquetSink(folder, merges=False)
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


def _day(hours: int, repetitions: int) -> list[Figure]:
    """Measure reads of hours as they were sealed, and as they are merged."""
    made = Readings(DAY_RACKS)
    with tempfile.TemporaryDirectory() as sealed_name, tempfile.TemporaryDirectory() as merged_name:
        sealed, merged = Path(sealed_name), Path(merged_name)
        asyncio.run(_seal_hours(sealed, made, hours))
        with _journal(sealed, made):
            shutil.copytree(sealed, merged, dirs_exist_ok=True)
            cpu_us = asyncio.run(_merge_hours(merged))
            sizes = [
                sum(path.stat().st_size for path in (folder / "history").rglob("*.parquet"))
                for folder in (sealed, merged)
            ]
            files = [len(list((folder / "history").rglob("*.parquet"))) for folder in (sealed, merged)]
            return [
                Figure(
                    what="merge an hour, CPU per reading",
                    unit="µs",
                    samples=[us / made.count for us in cpu_us],
                ),
                Figure(
                    what=f"{hours} merged hours: files",
                    unit="files",
                    samples=[files[1]],
                    beside="as sealed",
                    theirs=[files[0]],
                ),
                Figure(
                    what=f"{hours} merged hours: on disk",
                    unit="MB",
                    samples=[sizes[1] / 1e6],
                    beside="as sealed",
                    theirs=[sizes[0] / 1e6],
                ),
                *_day_reads(sealed, merged, made, hours, repetitions),
            ]


async def _seal_hours(folder: Path, made: Readings, hours: int) -> None:
    """Seal hours minute by minute, and what five tenants drew each second."""
    sink = ParquetSink(folder, merges=False)
    with MonkeyPatch.context() as patch:
        patch.setattr("store.history.sealing.OPEN_BYTES", 0)
        for chunk in made.chunks(range(60 * hours)):
            await sink.store(chunk)
    for hour in range(hours):
        ticks = range(START_MS + hour * HOUR_MS, START_MS + (hour + 1) * HOUR_MS, 1_000)
        draws = [(tick, [a_draw(f"t{number}", tick % 977 * 10**9) for number in range(5)]) for tick in ticks]
        none = Chunk(first_seq=1, last_seq=1, batch=Batch.empty(), points=made.points, draws=draws)
        await sink.store(none)
    await sink.close()


async def _merge_hours(folder: Path) -> list[float]:
    """Merge everything; return what each hour of readings took of the CPU [us]."""
    sink = ParquetSink(folder, merges=False)
    make_due(sink)
    found, is_more, left = [], True, _parts(folder)
    while is_more:
        begin_s = time.process_time()
        is_more = await sink.merge()
        spent_s, before, left = time.process_time() - begin_s, left, _parts(folder)
        if left < before:
            found.append(spent_s * 1e6)
    await sink.close()
    return found


def _parts(folder: Path) -> int:
    return len(list((folder / "history" / "reading").rglob("*.parquet")))


def _day_reads(sealed: Path, merged: Path, made: Readings, hours: int, repetitions: int) -> list[Figure]:
    end_ms = START_MS + hours * HOUR_MS
    quarter = (START_MS + HOUR_MS + 17 * MINUTE_MS, START_MS + HOUR_MS + 32 * MINUTE_MS)
    keys = [made.points[number].key for number in range(0, len(made.points), len(made.points) // repetitions)]
    asks: list[tuple[str, Callable[[ParquetHistory, str], Series]]] = [
        (
            f"15 minutes of {hours} merged hours: readings of a point",
            lambda history, key: history.readings(key, *quarter),
        ),
        (f"{hours} merged hours: readings of a point", lambda h, key: h.readings(key, START_MS, end_ms)),
        (
            f"{hours} merged hours: means of a point over minutes",
            lambda history, key: history.means(key, START_MS, end_ms, MINUTE_MS),
        ),
        (f"{hours} merged hours: a tenant's draw", lambda h, _: h.draw("t3", "best", START_MS, end_ms)),
    ]
    with closing(ParquetHistory(merged)) as ours, closing(ParquetHistory(sealed)) as theirs:
        figures = []
        for what, ask in asks:
            one, other = ask(ours, keys[0]), ask(theirs, keys[0])
            assert one.value.tolist() == other.value.tolist(), what
            times = [
                [seconds_of(partial(ask, history, key)) * 1e3 for history in (ours, theirs)] for key in keys
            ]
            figures.append(
                Figure(
                    what=what,
                    unit="ms",
                    samples=[mine for mine, _ in times],
                    beside="as sealed",
                    theirs=[sealed_ms for _, sealed_ms in times],
                )
            )
    return figures
