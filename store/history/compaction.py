"""Merging: the parts of an hour that is over become one file, so that a day is tens of files, not thousands.

An hour of a table is due once it is over and nothing has come for it for `QUIET_MS`, both by the newest
moment of what was sealed: there is no clock here. Late readings of a merged hour lie beside it, as a small
part that takes in the next ones, and are merged with it once that is worth it (`worth_merging`).

DuckDB sorts the rows, with bounded memory and the rest on the disk, into a draft that counts for nothing. It
becomes a part as any other does (`store.history.dataset`): as its name says it holds all of what it
replaces, a reader takes it and ignores those, and a change that is cut off is undone or finished. Sealing
goes on meanwhile; what it changes in the hour makes the draft worthless, and nothing is lost by it but work.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Final

import duckdb
import structlog

from facility.errors import StoreError, StoreUnavailable
from facility.instants import HOUR_MS, MINUTE_MS
from store.base import FARTHEST_MS
from store.disk_reserve import RESERVE_BYTES
from store.history.dataset import Disk
from store.history.integrity import is_whole
from store.history.parquet import (
    GROUP_ROWS,
    ORDER,
    PARTS,
    Engine,
    Part,
    Sealed,
    Table,
    copying,
    hour_folder,
    hours,
    open_engine,
    parts,
    parts_in,
)
from store.threads import give_way

FOLDER: Final = "merging"
QUIET_MS: Final = 10 * MINUTE_MS
"""For how long nothing must have come for an hour that is merged [ms] (our choice)."""
RATIO: Final = 4
"""A part is merged with what follows, unless that is so many times smaller (our choice)."""
MEMORY: Final = "512MB"
"""What sorting may take (our choice)."""
SPILL_BYTES: Final = 64
"""What sorting may take of the disk for a row, beside the draft; measured: 26, of 74 million readings."""
GROUPS: Final = 128
"""Into so many groups of rows a merged part is cut: fewer make a read longer, more the part's own index."""
MOST_GROUP_ROWS: Final = 16 * GROUP_ROWS
PAUSE_S: Final = 1.0
"""How long to rest after a merge at least; otherwise as long as it took, so half of a core is left [s]."""
RETRY_S: Final = 60.0
"""How long to wait after the disk refused [s]."""

_POINT: Final = "point, asset, quantity, unit, feed"
# Numbers are sorted in half the time that names are, and in half the room.
_NUMBER_POINTS: Final = (
    f"CREATE TEMP TABLE points AS SELECT *, row_number() OVER (ORDER BY {_POINT})::INT AS number,"  # noqa: S608 - our own words
    " dense_rank() OVER (ORDER BY point)::INT AS place"
    f" FROM (SELECT DISTINCT {_POINT} FROM {PARTS.format('?')})"
)
_BY_NUMBER: Final = (
    "SELECT points.* EXCLUDE (number, place), rows.* EXCLUDE (number, place) FROM ("  # noqa: S608 - our own words
    f"SELECT found.* EXCLUDE ({_POINT}), number, place FROM {PARTS.format('?')} AS found"
    f" JOIN points USING ({_POINT}) ORDER BY {{}}) AS rows JOIN points USING (number)"
)
_COUNT: Final = "SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(?)"

ROUND_S: Final = 86_400.0
"""How often each part is held against its checksum [s] (our choice)."""
CHECK_RESTS: Final = 20
"""How many times as long as it works that rests (our choice)."""

_log = structlog.get_logger(__name__)

Hour = tuple[int, Table]
"""The hour's start [ms] and a table: what is merged at once."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Parts that became one.

    Attributes:
        table: The table that they belong to.
        folder: The hour's folder, relative to the history's.
        parts: What became one, in order and without another between.
        draft: The file that they became, synced.
    """

    table: Table
    folder: str
    parts: Sequence[Part]
    draft: Path

    @property
    def name(self) -> str:
        """What the new part is called, relative to the history's folder: its name holds theirs."""
        return f"{self.folder}/part-{self.parts[0].first}-{self.parts[-1].last}.parquet"


def worth_merging(sizes: Sequence[int]) -> int:
    """Return from which part on those of an hour are worth merging; `len(sizes)` where none are.

    A part is, unless all that follow it make up less than one `RATIO`-th of it. So a large part is not
    written anew for a late reading, and an hour never has more parts than the logarithm of its size.

    Args:
        sizes: The sizes of its parts [bytes], the oldest first; more than 0.
    """
    rest = sum(sizes)
    for number, size in enumerate(sizes):
        rest -= size
        if size <= RATIO * rest:
            return number
    return len(sizes)


class Merger:
    """Merges the hours of a history that are due, beside the sealing.

    Args:
        root: The history's folder.
        disk: What is done to the file system.
        sealed: Gives what counts.
        replace: Puts what was merged in the place of its parts, where these are still what counts.
        mend: Puts a part that is damaged aside.
    """

    def __init__(
        self,
        root: Path,
        disk: Disk,
        sealed: Callable[[], Sealed],
        replace: Callable[[Merged], None],
        mend: Callable[[Table, Part], None] = lambda _table, _part: None,
    ) -> None:
        self._root = root
        self._disk = disk
        self._sealed = sealed
        self._replace = replace
        self._mend = mend
        self._unchecked: list[tuple[Table, Part]] = []
        self._next_round_s = time.monotonic()
        self._working = Lock()
        self._changed = Condition()
        self._touched: dict[Hour, int] = {}
        self._newest_ms = -FARTHEST_MS
        self._is_complete = self._is_touched = self._is_stopped = False
        self._engine: Engine | None = None
        self._thread: Thread | None = None
        shutil.rmtree(root / FOLDER, ignore_errors=True)

    def touch(self, touched: Iterable[Hour], newest_ms: int) -> None:
        """Note what was sealed.

        Args:
            touched: Hours that got a part.
            newest_ms: The newest moment of what was sealed [ms].
        """
        with self._changed:
            self._newest_ms = max(self._newest_ms, newest_ms)
            self._touched |= dict.fromkeys(touched, self._newest_ms)
            self._is_touched = True
            self._changed.notify()

    def start(self) -> None:
        """Merge what is due from now on, in a thread that gives way to others."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="merging", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End it, also in the middle of a merge: that hour is due again after the next start."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        while self._thread is not None and self._thread.is_alive():
            with self._changed:
                if self._engine is not None:
                    self._engine.interrupt()  # whatever it does now, but nothing that it does next
            self._thread.join(0.1)

    def merge(self) -> bool:
        """Merge the newest hour that is due and worth it.

        Returns:
            Whether there was one.

        Raises:
            StoreUnavailable: Where the disk did not take it: the hour stays as it is, and is tried later.
        """
        with self._working:
            for hour, touched_ms in self._due():
                try:
                    is_merged = self._merge(hour)
                except (OSError, duckdb.Error, StoreError) as error:
                    self.touch([hour], self._newest_ms)
                    raise StoreUnavailable(str(self._folder(hour)), str(error)) from error
                self._forget(hour, touched_ms)
                if is_merged:
                    return True
        return False

    def check(self) -> bool:
        """Hold the next part against its checksum, and put it aside where it is damaged; each once a day.

        Returns:
            Whether there are more in this round.

        Raises:
            StoreUnavailable: Where the disk did not take that.
            OSError: Where it cannot be read.
        """
        with self._working:
            if not self._unchecked and time.monotonic() >= self._next_round_s:
                self._next_round_s = time.monotonic() + ROUND_S
                self._unchecked = [
                    (table, part)
                    for table in Table
                    for part in parts(self._root, self._sealed(), table, -FARTHEST_MS, FARTHEST_MS)
                ]
            if self._unchecked:
                table, part = self._unchecked.pop()
                with suppress(FileNotFoundError):  # merged meanwhile
                    if not is_whole(part.path):
                        self._mend(table, part)
            return bool(self._unchecked)

    def _run(self) -> None:
        give_way()
        while not self._is_stopped:
            begin_s, self._is_touched = time.monotonic(), False
            try:
                if self.merge():
                    self._rest(max(PAUSE_S, time.monotonic() - begin_s))
                elif self.check():
                    self._rest(max(PAUSE_S, CHECK_RESTS * (time.monotonic() - begin_s)))
                else:
                    self._rest(None)
            except (OSError, StoreUnavailable) as error:
                if not self._is_stopped:
                    _log.warning("not merged", error=str(error))
                self._rest(RETRY_S)

    def _rest(self, rest_s: float | None) -> None:
        """Wait for so long [s], or for the next seal; not at all once it is stopped."""
        with self._changed:
            if rest_s is None:
                self._changed.wait_for(lambda: self._is_stopped or self._is_touched)
            else:
                self._changed.wait_for(lambda: self._is_stopped, rest_s)

    # Which ----------------------------------------------------------------------------

    def _folder(self, hour: Hour) -> Path:
        return self._root / hour_folder(hour[1], hour[0])

    def _due(self) -> list[tuple[Hour, int]]:
        """Return the hours that are due, the newest first, and when each was touched [ms]."""
        found = {} if self._is_complete else self._found()
        dropped_ms = self._sealed().dropped_ms
        with self._changed:
            self._touched, self._is_complete = found | self._touched, True
            quiet_ms = self._newest_ms - QUIET_MS
            due = [
                (hour, touched_ms)
                for hour, touched_ms in self._touched.items()
                if max(hour[0] + HOUR_MS, touched_ms) <= quiet_ms
                and not (hour[1] is Table.READING and hour[0] + HOUR_MS <= dropped_ms)
            ]
        return sorted(due, reverse=True)

    def _found(self) -> dict[Hour, int]:
        """Return the hours that have more than one part, which may have been there before the start."""
        sealed = self._sealed()
        return {
            (start_ms, table): -FARTHEST_MS
            for table in Table
            for start_ms, folder in hours(self._root, table, -FARTHEST_MS, FARTHEST_MS)
            if len(parts_in(folder, sealed.end(table))) > 1
        }

    def _forget(self, hour: Hour, touched_ms: int) -> None:
        """Forget an hour until it is touched, unless it was meanwhile."""
        with self._changed:
            if self._touched.get(hour) == touched_ms:
                del self._touched[hour]

    # How ------------------------------------------------------------------------------

    def _merge(self, hour: Hour) -> bool:
        """Merge the parts of an hour that are worth it; return whether any are."""
        start_ms, table = hour
        found = parts_in(self._folder(hour), self._sealed().end(table))
        sizes = [part.path.stat().st_size for part in found]
        begin = worth_merging(sizes)
        if begin == len(found):
            return False
        chosen, folder = found[begin:], self._root / FOLDER
        damaged = [part for part in chosen if not is_whole(part.path)]
        for part in damaged:
            self._mend(table, part)
        if damaged:
            self.touch([hour], self._newest_ms)  # what is left of it is merged next
            return True
        draft = folder / "draft"
        shutil.rmtree(folder, ignore_errors=True)
        self._disk.make_folder(folder)
        try:
            self._disk.write(draft, partial(self._sort, table, [part.path for part in chosen]))
            self._replace(Merged(table, hour_folder(table, start_ms), chosen, draft))
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        return True

    def _sort(self, table: Table, paths: Sequence[Path], draft: Path) -> None:
        """Write the rows of parts in order, as many as they have."""
        names = [str(path) for path in paths]
        with self._watched(open_engine(self._root, MEMORY, draft.parent / "spill")) as engine:
            (rows,) = engine.execute(_COUNT, [names]).fetchall()[0]
            spill = rows * SPILL_BYTES
            self._need_room(spill + sum(path.stat().st_size for path in paths))
            engine.execute(f"SET max_temp_directory_size = '{spill} bytes'")
            group_rows = min(max(rows // GROUPS // 2_048 * 2_048, GROUP_ROWS), MOST_GROUP_ROWS)
            if table is Table.DRAW:
                query = f"FROM {PARTS.format('?')} ORDER BY {ORDER[table]}"
            else:
                engine.execute(_NUMBER_POINTS, [names])
                query = _BY_NUMBER.format(ORDER[table].replace("point", "place"))
            (written,) = engine.execute(copying(query, group_rows), [names, str(draft)]).fetchall()[0]
        if written != rows:
            raise OSError(f"expected {rows:,} rows in {draft}, found {written:,}")

    def _need_room(self, size: int) -> None:
        """Make sure that the disk takes so many bytes, and what is kept for alarms is left."""
        free = self._disk.free(self._root) - RESERVE_BYTES
        if free < size:
            raise OSError(errno.ENOSPC, f"expected {size:,} bytes free on its disk, found {free:,}")

    @contextmanager
    def _watched(self, engine: Engine) -> Iterator[Engine]:
        """Let an engine be interrupted, and close it."""
        with closing(engine):
            with self._changed:
                if self._is_stopped:
                    raise OSError("it was stopped")
                self._engine = engine
            try:
                yield engine
            finally:
                with self._changed:
                    self._engine = None
