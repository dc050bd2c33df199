"""The embedded history on disk: Parquet files by day and hour (UTC), and what makes them count.

    history/sealed.json                                        up to where everything is sealed
    history/sealing.json                                       what is being changed just now
    history/reading/day=2026-05-28/hour=20/part-1-812.parquet  readings of the entries 1 to 812
    history/minute/...                                         their means over minutes
    history/quarter/...                                        and over quarter-hours
    history/tenant_draw/.../part-<tick>-<tick>.parquet         the engine's series, first to last tick
    history/merging/                                           what is being merged just now, to count later

Seals follow one another, so two numbers tell what counts: a part does if it ends at or before the sealed
entry (or tick), unless another such part holds all of it. The latter happens because the last part of an
hour is taken into the next one while it is small, and because the parts of an hour that is over are merged
into one (`store.history.compaction`), which has the first number of the first and the last of the last.

A change is a plan (`sealing.json`: the next `sealed.json`), then the new files, each synced before it gets
its name, then the plan's renaming to `sealed.json`, from which moment all of it counts, then the removal of
what it replaces. What is cut off before that moment is undone from the plan when the next change begins.

Other programs read the files as they are: each row says what it is of, and times are instants in UTC with
microseconds. The milliseconds that DuckDB can write have no zone, and are local time to some. Who reads an
hour that is still sealed, or is just merged, may find a part twice for a moment, or gone.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import duckdb
import msgspec
from numpy.typing import NDArray

from facility.errors import StoreForeign
from facility.instants import DAY_MS, HOUR_MS, to_datetime
from store.base import FARTHEST_MS
from store.history.integrity import HISTORY

Columns = dict[str, NDArray[Any]]
"""Columns of one length, by name."""
Engine = duckdb.DuckDBPyConnection

FOLDER: Final = HISTORY
SEALED: Final = "sealed.json"
PLAN: Final = "sealing.json"
VERSION: Final = 1
PARTS: Final = "read_parquet({}, hive_partitioning = false)"
"""Parts as a table of a query; what stands for their paths is put in."""

GROUP_ROWS: Final = 16_384
"""How many rows of a part have their statistics together: the least that is read of it (our choice)."""
MEMORY: Final = "1GB"
"""What a DuckDB may take at most, where nothing else is said (our choice)."""

_PART: Final = re.compile(r"part-(\d+)-(\d+)\.parquet", re.ASCII)
_HOUR: Final = re.compile(r"hour=([01]\d|2[0-3])", re.ASCII)


class Table(StrEnum):
    """What the history holds; the value is its folder."""

    READING = "reading"
    MINUTE = "minute"
    QUARTER = "quarter"
    DRAW = "tenant_draw"


ORDER: Final = MappingProxyType(
    {
        Table.READING: "point, time, received",
        Table.MINUTE: "point, time, seq",
        Table.QUARTER: "point, time, seq",
        Table.DRAW: "tenant, time",
    }
)
"""In which order the rows of a part are."""
# The encodings are those of Parquet 1: Spark reads the newer one for floating-point numbers only since 5.
_FORM: Final = "FORMAT parquet, PARQUET_VERSION v1, COMPRESSION zstd, ROW_GROUP_SIZE {}, USE_TMP_FILE false"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What counts in a history: the content of `sealed.json`.

    Attributes:
        version: Which form the files have.
        seq: Number of the last journal entry whose readings are sealed.
        tick_ms: So are the engine's series up to this tick [ms].
        dropped_ms: The readings of hours that end at or before this were dropped [ms].
        adds: Files that the last change brought, relative to the history's folder.
        removes: Files that it replaced.
        check: The checksum of all that; "" in files of older versions.
    """

    version: int = VERSION
    seq: int = 0
    tick_ms: int = 0
    dropped_ms: int = 0
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    check: str = ""

    def encode(self) -> bytes:
        """Return it as the content of a file, with its checksum."""
        return msgspec.json.encode(_checked(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return what `encode` made.

        Raises:
            ValueError: Where it is damaged.
        """
        found = msgspec.json.decode(data, type=cls)
        bare = msgspec.structs.replace(found, check="")
        if found.check and found != _checked(bare):
            raise ValueError("the checksum does not match")
        return bare

    def end(self, table: Table) -> int:
        """Return where the last part of a table ends that counts."""
        return self.tick_ms if table is Table.DRAW else self.seq


def _checked(sealed: Sealed) -> Sealed:
    return msgspec.structs.replace(sealed, check=f"{zlib.crc32(msgspec.json.encode(sealed)):08x}")


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a table.

    Attributes:
        path: The file.
        first: The first entry of the journal, or tick [ms], that it holds anything of.
        last: The last entry or tick, likewise.
    """

    path: Path
    first: int
    last: int


def read_sealed(root: Path) -> Sealed:
    """Return what counts in the history under `root`; nothing where there is none.

    Where `sealed.json` is damaged, all parts that are there count, but those of a change that was cut off.

    Raises:
        StoreForeign: Where it is of a newer form.
    """
    try:
        return load_sealed(root)
    except ValueError:
        return found_again(root)


def load_sealed(root: Path) -> Sealed:
    """Return what `sealed.json` says; nothing where there is none.

    Raises:
        StoreForeign: Where it is of a newer form.
        ValueError: Where it is damaged.
    """
    path = root / SEALED
    try:
        sealed = Sealed.decode(path.read_bytes())
    except FileNotFoundError:
        return Sealed()
    if sealed.version > VERSION:
        remedy = "run the version of Megawatch that wrote it, or move the folder away"
        found = f"expected version {VERSION} or older, found version {sealed.version}"
        raise StoreForeign(str(path), f"{found}: {remedy}")
    return sealed


def found_again(root: Path) -> Sealed:
    """Return what counts in a history, judged by its parts alone."""
    try:
        unfinished = set(Sealed.decode((root / PLAN).read_bytes()).adds)
    except (OSError, ValueError):
        unfinished = set()
    ends = dict.fromkeys(Table, 0)
    for table in Table:
        for _, folder in hours(root, table, -FARTHEST_MS, FARTHEST_MS):
            ends[table] = max(
                [
                    ends[table],
                    *(
                        int(match[2])
                        for path in children(folder)
                        if (match := _PART.fullmatch(path.name))
                        and path.relative_to(root).as_posix() not in unfinished
                    ),
                ]
            )
    tick_ms = ends.pop(Table.DRAW)
    return Sealed(seq=max(ends.values()), tick_ms=tick_ms)


def hour_folder(table: Table, hour_ms: int) -> str:
    """Return the folder of the hour that begins at `hour_ms`, relative to the history's."""
    return f"{table}/{to_datetime(hour_ms):day=%Y-%m-%d/hour=%H}"


def hour_of(path: Path) -> int:
    """Return when the hour of a part begins [ms].

    Args:
        path: The part, in the folder of its hour.
    """
    day = date.fromisoformat(path.parent.parent.name.removeprefix("day="))
    hour = int(path.parent.name.removeprefix("hour="))
    return (day - date(1970, 1, 1)).days * DAY_MS + hour * HOUR_MS


def parts(root: Path, sealed: Sealed, table: Table, start_ms: int, end_ms: int) -> list[Part]:
    """Return the parts that count and may hold anything of a span, start included and end not."""
    return [
        part
        for hour_ms, folder in hours(root, table, start_ms, end_ms)
        if table is not Table.READING or hour_ms + HOUR_MS > sealed.dropped_ms
        for part in parts_in(folder, sealed.end(table))
    ]


def parts_in(folder: Path, end: int) -> list[Part]:
    """Return the parts in the folder of an hour that count, in order."""
    found = [
        Part(path, int(match[1]), int(match[2]))
        for path in children(folder)
        if (match := _PART.fullmatch(path.name)) and int(match[2]) <= end
    ]
    kept: list[Part] = []
    for part in sorted(found, key=lambda part: (part.first, -part.last)):
        if not kept or part.last > kept[-1].last:
            kept.append(part)
    return kept


def hours(root: Path, table: Table, start_ms: int, end_ms: int) -> Iterator[tuple[int, Path]]:
    """Yield the hours of a table that have a folder and touch a span: start [ms] and folder."""
    for day in children(root / table):
        with suppress(ValueError):
            day_ms = (date.fromisoformat(day.name.removeprefix("day=")) - date(1970, 1, 1)).days * DAY_MS
            if day_ms < end_ms and day_ms + DAY_MS > start_ms:
                for folder in children(day):
                    match = _HOUR.fullmatch(folder.name)
                    hour_ms = day_ms + int(match[1]) * HOUR_MS if match else end_ms
                    if hour_ms < end_ms and hour_ms + HOUR_MS > start_ms:
                        yield hour_ms, folder


def children(folder: Path) -> list[Path]:
    """Return what is in a folder, in order; nothing where there is none."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # nothing yet, or dropped in the meantime
        return []


def copying(query: str, group_rows: int = GROUP_ROWS) -> str:
    """Return the statement that writes what a query finds as a part; the part's path is its last parameter.

    Args:
        query: The query, in the order in which the rows are to be.
        group_rows: How many rows have their statistics together.
    """
    return f"COPY ({query}) TO ? ({_FORM.format(group_rows)})"


def open_engine(root: Path, memory: str = MEMORY, spill: Path | None = None) -> Engine:
    """Return a DuckDB in memory, with one thread, that reaches no files but those under `root`.

    Args:
        root: The history's folder.
        memory: Most memory that it may use, such as `256MB`.
        spill: The folder under `root` where it may put what does not fit; None for none.
    """
    engine = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": memory,
            "temp_directory": "" if spill is None else str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    folder = str(root).replace("'", "''")
    engine.execute(f"SET allowed_directories = ['{folder}/']")
    # A join then keeps the order of its left side, which saves sorting what is sorted.
    engine.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    engine.execute("SET enable_external_access = false")
    return engine
