"""The history's files as their one writer changes them: all of a change counts, or nothing.

How the files lie, what makes them count and how a change goes: `store.history.parquet`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from facility.errors import StoreUnavailable
from facility.instants import HOUR_MS
from store.history.integrity import put_aside, sum_name, sum_of
from store.history.parquet import PLAN, SEALED, Sealed, Table, children, found_again, hours, load_sealed

LOCK: Final = "lock"

_log = structlog.get_logger(__name__)

Fill = Callable[[Path], object]
"""Writes the file of this name."""


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

    def free(self, path: Path) -> int:
        """Return how many bytes are free where a file is."""
        return shutil.disk_usage(path).free

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
            StoreUnavailable: Where the disk refuses, or another process writes the same history.
        """
        self.root = root
        self._disk = disk
        self._is_settled = False
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = (root / LOCK).open("w")
            self._begin()
        except OSError as error:
            raise StoreUnavailable(str(root), str(error)) from error

    def close(self) -> None:
        """Let another writer have it."""
        self._lock.close()

    def settle(self) -> None:
        """Undo a change that was cut off; finish one that counts already."""
        if self._is_settled:
            return
        self._undo()
        self.sealed = self._load()
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
        adds = (*fills, *(sum_name(name) for name in fills))
        gone = (*sealed.removes, *(sum_name(name) for name in sealed.removes))
        removes = tuple(name for name in gone if name not in adds)
        plan = msgspec.structs.replace(sealed, adds=adds, removes=removes).encode()
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
        for hour_ms, folder in list(hours(self.root, Table.READING, 0, self.sealed.dropped_ms)):
            if hour_ms + HOUR_MS <= self.sealed.dropped_ms:
                for path in children(folder):
                    self._disk.remove(path)
                folder.rmdir()
                with suppress(OSError):  # other hours of the day are there
                    folder.parent.rmdir()

    def _begin(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.settle()
        except BaseException:
            self._lock.close()
            raise

    def _add(self, fills: Mapping[str, Fill]) -> None:
        changed = set[Path]()
        for name, fill in fills.items():
            path = self.root / name
            changed.update(self._make_folders(path.parent))
            self._disk.write(_unfinished(path), fill)
            checksum = partial(Path.write_bytes, data=sum_of(_unfinished(path)))
            self._disk.write(self.root / sum_name(name), checksum)
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
            plan = Sealed.decode(path.read_bytes())
        except FileNotFoundError:
            return
        except ValueError:  # cut off while it was written: no other file had been begun
            plan = Sealed()
        self._remove([str(_unfinished(Path(name))) for name in plan.adds])
        self._remove(plan.adds)
        self._disk.remove(path)

    def _load(self) -> Sealed:
        """Return what counts; where that is damaged, it is written anew."""
        path = self.root / SEALED
        try:
            return load_sealed(self.root)
        except ValueError as error:
            sealed = found_again(self.root)
            _log.error("what is sealed was damaged, and is found again", error=str(error), seq=sealed.seq)
            put_aside(self.root, path)
            self._disk.write(self.root / PLAN, partial(Path.write_bytes, data=sealed.encode()))
            self._disk.rename(self.root / PLAN, path)
            return sealed

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
