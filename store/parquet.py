"""The embedded history on disk: Parquet files by day and hour (UTC), and what makes them count.

    history/sealed.json                                        up to where everything is sealed
    history/sealing.json                                       what is being changed just now
    history/reading/day=2026-05-28/hour=20/part-1-812.parquet  readings of the entries 1 to 812
    history/minute/...                                         their one-minute means
    history/tenant_draw/.../part-<tick>-<tick>.parquet         the engine's series, first to last tick

Seals follow one another, so two numbers tell what counts: a part does if it ends at or before the sealed
entry (or tick), unless another such part holds all of it. The latter happens because the last part of an
hour is taken into the next one while it is small.

A change is a plan (`sealing.json`: the next `sealed.json`), then the new files, each synced before it gets
its name, then the plan's renaming to `sealed.json`, from which moment all of it counts, then the removal of
what it replaces. What is cut off before that moment is undone from the plan when the next change begins.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from facility.errors import StoreCorrupt, StoreUnavailable
from facility.instants import DAY_MS, HOUR_MS, to_datetime

FOLDER: Final = "history"
SEALED: Final = "sealed.json"
PLAN: Final = "sealing.json"
LOCK: Final = "lock"
VERSION: Final = 1

_PART: Final = re.compile(r"part-(\d+)-(\d+)\.parquet", re.ASCII)
_HOUR: Final = re.compile(r"hour=([01]\d|2[0-3])", re.ASCII)

Fill = Callable[[Path], object]
"""Writes the file of this name."""


class Table(StrEnum):
    """What the history holds; the value is its folder."""

    READING = "reading"
    MINUTE = "minute"
    DRAW = "tenant_draw"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What counts in a history: the content of `sealed.json`.

    Attributes:
        version: Which form the files have.
        seq: The readings of the journal's entries up to this one are sealed.
        tick_ms: So are the engine's series up to this tick [ms].
        dropped_ms: The readings of hours that end at or before this were dropped [ms].
        adds: Files that the last change brought, relative to the history's folder.
        removes: Files that it replaced.
    """

    version: int = VERSION
    seq: int = 0
    tick_ms: int = 0
    dropped_ms: int = 0
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()

    def end(self, table: Table) -> int:
        """Return where the last part of a table ends that counts."""
        return self.tick_ms if table is Table.DRAW else self.seq


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a table.

    Attributes:
        path: The file.
        first: The first entry of the journal, or tick [ms], that it holds anything of.
        last: The last one.
    """

    path: Path
    first: int
    last: int


def read_sealed(root: Path) -> Sealed:
    """Return what counts in the history under `root`; nothing where there is none.

    Raises:
        StoreCorrupt: Where `sealed.json` is damaged, or of a newer form.
    """
    path = root / SEALED
    try:
        sealed = msgspec.json.decode(path.read_bytes(), type=Sealed)
    except FileNotFoundError:
        return Sealed()
    except msgspec.DecodeError as error:
        raise StoreCorrupt(str(path), str(error)) from error
    if sealed.version > VERSION:
        raise StoreCorrupt(str(path), f"expected version {VERSION} or older, found {sealed.version}")
    return sealed


def hour_folder(table: Table, hour_ms: int) -> str:
    """Return the folder of the hour that begins at `hour_ms`, relative to the history's."""
    return f"{table}/{to_datetime(hour_ms):day=%Y-%m-%d/hour=%H}"


def parts(root: Path, sealed: Sealed, table: Table, start_ms: int, end_ms: int) -> list[Part]:
    """Return the parts that count and may hold anything of a span, start included and end not."""
    return [
        part
        for hour_ms, folder in _hours(root, table, start_ms, end_ms)
        if table is not Table.READING or hour_ms + HOUR_MS > sealed.dropped_ms
        for part in parts_in(folder, sealed.end(table))
    ]


def parts_in(folder: Path, end: int) -> list[Part]:
    """Return the parts in the folder of an hour that count, in order."""
    found = [
        Part(path, int(match[1]), int(match[2]))
        for path in _children(folder)
        if (match := _PART.fullmatch(path.name)) and int(match[2]) <= end
    ]
    kept: list[Part] = []
    for part in sorted(found, key=lambda part: (part.first, -part.last)):
        if not kept or part.last > kept[-1].last:
            kept.append(part)
    return kept


def _hours(root: Path, table: Table, start_ms: int, end_ms: int) -> Iterator[tuple[int, Path]]:
    for day in _children(root / table):
        with suppress(ValueError):
            day_ms = (date.fromisoformat(day.name.removeprefix("day=")) - date(1970, 1, 1)).days * DAY_MS
            if day_ms < end_ms and day_ms + DAY_MS > start_ms:
                for folder in _children(day):
                    match = _HOUR.fullmatch(folder.name)
                    hour_ms = day_ms + int(match[1]) * HOUR_MS if match else end_ms
                    if hour_ms < end_ms and hour_ms + HOUR_MS > start_ms:
                        yield hour_ms, folder


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # nothing yet, or dropped in the meantime
        return []


def open_engine(root: Path) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in memory, with one thread, that reaches no files but those under `root`."""
    engine = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": "1GB",
            "temp_directory": "",
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


class Disk:
    """What is done to the file system, step by step, so that a test can stop between any two steps."""

    def make_folder(self, path: Path) -> None:
        """Make a folder; the one above it is there."""
        path.mkdir()

    def write(self, path: Path, fill: Fill) -> None:
        """Write a file, synced."""
        fill(path)
        self.sync(path)

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name, at once; a file that has it is replaced."""
        path.replace(to)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync(self, path: Path) -> None:
        """Return once the disk has a file, or the names in a folder."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Dataset:
    """The history's files, as their one writer changes them.

    Every method raises OSError where the disk refuses, and then may be called again.

    Attributes:
        root: The history's folder.
        sealed: What counts.
    """

    def __init__(self, root: Path, disk: Disk) -> None:
        """Make the folder where it is missing, and undo what was cut off.

        Raises:
            StoreUnavailable: Where the disk refuses, or somebody else writes the same history.
        """
        self.root = root
        self._disk = disk
        self._is_settled = False
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = (root / LOCK).open("w")
        except OSError as error:
            raise StoreUnavailable(str(root), str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.settle()
        except OSError as error:
            self._lock.close()
            raise StoreUnavailable(str(root), str(error)) from error

    def close(self) -> None:
        """Let another writer have it."""
        self._lock.close()

    def settle(self) -> None:
        """Undo a change that was cut off; finish one that counts already."""
        if self._is_settled:
            return
        self._undo()
        self.sealed = read_sealed(self.root)
        self._disk.sync(self.root)
        self._remove(self.sealed.removes)
        self._is_settled = True

    def change(self, sealed: Sealed, fills: Mapping[str, Fill]) -> None:
        """Make a change: all of it counts, or nothing.

        Args:
            sealed: What counts afterwards; its `removes` go.
            fills: The files that come, by their names relative to the history's folder.
        """
        self.settle()
        self._is_settled = False
        plan = msgspec.json.encode(msgspec.structs.replace(sealed, adds=tuple(fills)))
        try:
            self._disk.write(self.root / PLAN, partial(Path.write_bytes, data=plan))
            self._disk.sync(self.root)
            self._add(fills)
            self._disk.rename(self.root / PLAN, self.root / SEALED)
        except Exception:
            with suppress(OSError):
                self.settle()
            raise
        self.settle()

    def drop(self, before_ms: int) -> None:
        """Drop the readings of all hours that end at or before `before_ms`: they stop to count at once."""
        self.settle()
        if before_ms > self.sealed.dropped_ms:
            self.change(msgspec.structs.replace(self.sealed, dropped_ms=before_ms, removes=()), {})
        for hour_ms, folder in list(_hours(self.root, Table.READING, 0, self.sealed.dropped_ms)):
            if hour_ms + HOUR_MS <= self.sealed.dropped_ms:
                for path in _children(folder):
                    self._disk.remove(path)
                folder.rmdir()
                with suppress(OSError):  # other hours of the day are there
                    folder.parent.rmdir()

    def _add(self, fills: Mapping[str, Fill]) -> None:
        changed = set[Path]()
        for name, fill in fills.items():
            path = self.root / name
            changed.update(self._make_folders(path.parent))
            self._disk.write(_unfinished(path), fill)
            self._disk.rename(_unfinished(path), path)
            changed.add(path.parent)
        for folder in sorted(changed):
            self._disk.sync(folder)

    def _make_folders(self, folder: Path) -> list[Path]:
        """Make a folder and those above it; return those in which a name is new."""
        if folder.is_dir():
            return []
        above = self._make_folders(folder.parent)
        self._disk.make_folder(folder)
        return [*above, folder.parent]

    def _undo(self) -> None:
        path = self.root / PLAN
        try:
            plan = msgspec.json.decode(path.read_bytes(), type=Sealed)
        except FileNotFoundError:
            return
        except msgspec.DecodeError:  # cut off while it was written: no other file had been begun
            plan = Sealed()
        self._remove([str(_unfinished(Path(name))) for name in plan.adds])
        self._remove(plan.adds)
        self._disk.remove(path)

    def _remove(self, names: Sequence[str]) -> None:
        """Remove files so that none can come back after a power cut, with a number that counts by then."""
        there = [path for name in names if (path := self.root / name).exists()]
        for path in there:
            self._disk.remove(path)
        for folder in {path.parent for path in there}:
            self._disk.sync(folder)


def _unfinished(path: Path) -> Path:
    """Return what a file is called while it is written: no tool takes it for a part."""
    return path.with_name(f".{path.name}.unfinished")
