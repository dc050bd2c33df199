"""The journal: what was received, on disk before it is acknowledged, in the order in which it came.

One synced append holds whatever was waiting: readings, points that became known, marks, dead letters and
messages that wait for their metadata. It is all there or nothing of it is. Everything else reads the journal
from a cursor of its own; what every reader has passed and is old enough is trimmed.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Concatenate, Final, ParamSpec, TypeVar

import numpy as np
import structlog

from facility.errors import StoreCorrupt, StoreError, StoreUnavailable
from facility.instants import STEP_MS, StepClock
from facility.invariants import present
from facility.names import AssetId
from facility.points import Cadence, Point
from facility.quantities import QUANTITIES
from facility.readings import Batch, Rejection
from store.disk_reserve import check_room
from store.journal.deduplication import Seen
from store.journal.entries import EVERY_BROKER, Entry, EntryKind, Known, Mark, MarkKind, unseal
from store.journal.file import (
    APPENDS,
    FILE,
    MIGRATIONS,
    Account,
    Waiting,
    account_of,
    add_to_account,
    begin_after,
    damage_of,
    latest,
    lost_among,
    put_reader,
    read_account,
    read_appends,
    read_entries,
    read_head,
    read_point_entries,
    read_readers,
    read_taken,
    register_reader,
    seq_since,
    superseded,
)
from store.journal.index import Index, index_anew, latest_before, read_readings
from store.journal.intake import Intake, contents_of, readings_of, sift
from store.journal.newest import KEEP_MS, keep_newest, read_newest
from store.journal.places import taken_of
from store.journal.rows import Insertion, insert_rejections
from store.salvage import renew
from store.sqlite import Writer, failure, open_writer, prove, saving, told

RECENT_ENTRIES: Final = 2_000
"""The last entries that are kept in memory, for who reads along."""
RECENT_READINGS: Final = 200_000
"""Readings in them at most: those of some 10 s of a large site, or 6 MB (our choice). Who reads along is
a second behind; who is further behind reads from disk."""
MOST_TRIMMED: Final = 50_000
"""Entries that are dropped at once; what is appended meanwhile waits for some 0.2 s (our choice)."""
WARM_MS: Final = 120_000
"""How much of the journal's end is read at the start, to know repetitions from memory."""

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger(__name__)


def _mended(method: Callable[Concatenate[Journal, P], R]) -> Callable[Concatenate[Journal, P], R]:
    """Let one thread at a time in, and errors of SQLite be those of a store.

    Where the file is found damaged, it is done once more in the one that is then begun anew.
    """

    @wraps(method)
    def mended(self: Journal, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock:
            try:
                with told(self.path):
                    return method(self, *args, **kwargs)
            except StoreCorrupt as error:
                self._renew(error)
                with told(self.path):
                    return method(self, *args, **kwargs)

    return mended  # type: ignore[return-value]


class Journal:
    """The journal, as its one writer sees it.

    All methods may be called from any thread; appends wait for each other. A file that is damaged is put
    aside, and begun anew with what can be read of it.

    Args:
        folder: Data folder of the site.
        clock: The clock that stamps are of; None where it is never set.

    Attributes:
        path: Its SQLite file.
        head_seq: Number of the last entry.
        head_stamp_ms: Stamp of the last entry [ms].
        is_another: Whether it is not the file that others read before: what they made of it says nothing now.
        damaged: What is wrong with entries that were found damaged, by their numbers.
    """

    def __init__(self, folder: Path, clock: StepClock | None = None) -> None:
        self.path = folder / FILE
        self._clock = clock
        self._step: tuple[int, int] | None = None
        self._lock = RLock()
        self._connection: Writer | None = None
        self._seen = Seen()
        self._recent: deque[Entry] = deque(maxlen=RECENT_ENTRIES)
        self._recent_readings = 0
        self._index: Index | None = None
        self._kept_ms = 0  # the stamp at which the newest times were kept last
        self._unsure: tuple[int, Intake, Account] | None = None
        self._survived: list[tuple[Intake, Account]] = []
        self._refused_points: set[int] = set()
        self._lost: dict[int, str] = {}
        self._points_told: list[Entry] = []
        self.is_another = False
        self.damaged: dict[int, str] = {}
        self.head_seq = 0
        self.head_stamp_ms = 0
        self._floor_ms = 0
        self._descriptions = 0  # entries that describe points, up to where it was trimmed last
        self._open()

    def close(self) -> None:
        """Close the file. What was appended stays."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # Writing --------------------------------------------------------------------------

    @_mended
    def append(self, intake: Intake, now_ms: int) -> Account:
        """Append what was received, synced to disk: all of it, or nothing.

        Args:
            intake: What was received.
            now_ms: The time of the service's clock [ms].

        Returns:
            What this adds to the account.

        Raises:
            StoreUnavailable: Where the disk did not take it. Nothing may be acknowledged then; the same
                intake may be tried again, and is stored once even where the disk had taken it after all.
        """
        if intake.is_empty:
            return Account()
        connection = self._proven()
        now_ms = self._follow_clock(now_ms)
        if (account := self._has_survived(intake)) is not None:
            return account
        if not intake.is_small:
            check_room(self.path)
        try:
            return self._append(connection, intake, now_ms)
        except (StoreUnavailable, StoreCorrupt):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the intake has no part in it
            _log.exception("an append cannot be kept whole", error=repr(error))
        return self._append(connection, intake, now_ms, is_careful=True)

    def _append(
        self, connection: Writer, intake: Intake, now_ms: int, *, is_careful: bool = False
    ) -> Account:
        with told(self.path):
            sifted = sift(intake.batch, self._seen, present(self._index, "an index").find)
        changes: dict[str, int] = {}
        stamp_ms = self._stamp_ms(now_ms)
        is_due = abs(stamp_ms - self._kept_ms) >= KEEP_MS
        try:
            with saving(connection, self.path):
                insertion = Insertion(connection, intake.received_ms or now_ms, is_careful=is_careful)
                insertion.refused_points |= self._refused_points
                entries = insertion.insert_entries(contents_of(intake, sifted), stamp_ms)
                changes = insertion.insert_rest(intake, sifted)
                add_to_account(connection, changes | {APPENDS: 1})
                if is_due:
                    keep_newest(connection, self.head_seq, self._seen.newest_ms)
        except StoreUnavailable:
            self._unsure = (self._appends + 1, intake, account_of(changes))
            raise
        self._appends += 1
        self._kept_ms = stamp_ms if is_due else self._kept_ms
        self._refused_points = insertion.refused_points
        self._note(entries)
        return account_of(changes)

    def _note(self, entries: Sequence[Entry]) -> None:
        """Note what was written."""
        for entry in entries:
            if isinstance(entry.content, Batch):
                self._seen.remember(readings_of(entry.content))
            elif isinstance(entry.content, tuple):
                self._points_told.append(entry)
            self._recall(entry)
            self.head_seq, self.head_stamp_ms = entry.seq, entry.stamp_ms

    def _recall(self, entry: Entry) -> None:
        """Keep the last entry in memory, for who reads along, and let go of the first of them."""
        recent = self._recent
        if len(recent) == RECENT_ENTRIES:
            self._recent_readings -= _readings_in(recent.popleft())
        elif not recent:
            self._recent_readings = 0
        recent.append(entry)
        self._recent_readings += _readings_in(entry)
        while self._recent_readings > RECENT_READINGS and len(recent) > 1:
            self._recent_readings -= _readings_in(recent.popleft())

    def promise(self, floor_ms: int) -> None:
        """Promise that nothing will be stamped at or before `floor_ms` from now on.

        The engine asks for this before it judges a moment, so that nothing can still come that it would
        have had to use. Held in memory here and on disk for collectors in other processes.
        """
        with self._lock, told(self.path):
            now_ms = self._follow_clock(floor_ms)
            self._floor_ms = max(self._floor_ms, min(floor_ms, now_ms))

    @_mended
    def set_reader(self, name: str, seq: int) -> None:
        """Note that a reader needs nothing up to and including entry `seq` any more.

        Raises:
            StoreUnavailable: Where the disk did not take it; more is kept for that reader then.
        """
        with saving(self._ready(), self.path) as connection:
            put_reader(connection, name, seq)

    @_mended
    def reader(self, name: str) -> int:
        """Return up to which entry a reader has read for good, 0 where it never did.

        From then on nothing is trimmed that it has not read.

        Raises:
            StoreUnavailable: Where the disk did not take that.
        """
        known = read_readers(self._ready()).get(name)
        if known is None:
            with saving(self._ready(), self.path) as connection:
                register_reader(connection, name)
        return known or 0

    @_mended
    def refuse(self, rejections: Sequence[Rejection]) -> None:
        """Keep readings that a database refused for good, for people to see; they stay stored here.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        with saving(self._ready(), self.path) as connection:
            add_to_account(connection, {"letters_dropped": insert_rejections(connection, rejections)})

    @_mended
    def trim(self, before_ms: int, most_bytes: int, *, unused: Collection[str] = ()) -> int:
        """Drop what is older than `before_ms`, or beyond `most_bytes`, and read by every reader.

        Of each point the first and the newest description stay, of each asset the newest. A reading that was
        dropped is not known as a repetition any more if it is delivered once more.

        Args:
            before_ms: Entries stamped before this may go [ms].
            most_bytes: Above this size of the file, older entries go whatever their age.
            unused: Readers that are not waited for.

        Returns:
            How many entries were dropped.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        with saving(self._ready(), self.path) as connection:
            (needed,) = connection.execute(
                "SELECT coalesce(min(seq), 0) FROM reader WHERE name NOT IN (SELECT value FROM json_each(?))",
                (json.dumps(list(unused)),),
            ).fetchone()
            last = seq_since(connection, before_ms) - 1
            used = self._used_bytes(connection)
            (low,) = connection.execute(
                "SELECT seq FROM entry WHERE kind <> ? ORDER BY seq LIMIT 1", (EntryKind.POINTS,)
            ).fetchone() or (0,)
            if used > most_bytes:
                last = max(last, low + int((self.head_seq - low) * (1 - most_bytes / used)))
            # The last entry stays: it tells where numbers and stamps go on.
            last = min(last, needed, low + MOST_TRIMMED, self.head_seq - 1)
            connection.execute("DELETE FROM dead_letter WHERE received_ms < ?", (before_ms,))
            dropped = connection.execute(
                "DELETE FROM entry WHERE seq <= ? AND kind <> ?", (last, EntryKind.POINTS)
            ).rowcount
            gone = self._trim_descriptions(connection, last)
            present(self._index, "an index").trim()
        self._points_told = [entry for entry in self._points_told if entry.seq not in gone]
        return dropped + len(gone)

    def _trim_descriptions(self, connection: Writer, last: int) -> frozenset[int]:
        """Drop descriptions of points up to an entry that later ones up to it supersede; return which."""
        (count,) = connection.execute(
            "SELECT count(*) FROM entry WHERE kind = ? AND kind <> 0 AND seq <= ?", (EntryKind.POINTS, last)
        ).fetchone()
        if count == self._descriptions:
            return frozenset()
        gone = superseded(entry for entry in self._points_told if entry.seq <= last)
        connection.executemany("DELETE FROM entry WHERE seq = ?", [(seq,) for seq in gone])
        self._descriptions = count - len(gone)
        return frozenset(gone)

    @_mended
    def tail_stamp_ms(self) -> int:
        """Return the stamp of the oldest readings or marks that are kept [ms]; the last where none are."""
        (stamp_ms,) = (
            self._ready()
            .execute("SELECT stamp_ms FROM entry WHERE kind <> ? ORDER BY seq LIMIT 1", (EntryKind.POINTS,))
            .fetchone()
        ) or (self.head_stamp_ms,)
        return int(stamp_ms)

    # Reading --------------------------------------------------------------------------

    @_mended
    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order, at most so many."""
        recent = self._recent
        if recent and recent[0].seq <= after_seq + 1:
            skip = max(0, after_seq + 1 - recent[0].seq)
            return [recent[i] for i in range(skip, min(len(recent), skip + most))]
        connection = self._ready()
        told_before = {entry.seq: entry for entry in self._points_told}
        found = list(read_entries(connection, after_seq, most, str(self.path), self._lost, told_before))
        self.damaged |= {entry.seq: damage for entry in found if (damage := damage_of(entry))}
        return found

    @_mended
    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known, in order."""
        self._ready()
        return list(self._points_told)

    @_mended
    def account(self) -> Account:
        """Return where everything went."""
        return read_account(self._ready())

    @_mended
    def metadata(self) -> dict[str, bytes]:
        """Return the payload of every metadata message that was kept, by topic; a damaged one is left out."""
        rows = self._ready().execute("SELECT topic, payload FROM metadata ORDER BY topic").fetchall()
        found = ((topic, self._unsealed(payload, f"metadata of {topic}")) for topic, payload in rows)
        return {topic: payload for topic, payload in found if payload}

    def known(self) -> dict[int, Known]:
        """Return every point that has a number, as it is known best, by its number.

        One whose description is lost keeps its number and its key: a source that describes it anew
        makes it known again.
        """
        lost = {number: Known(number, _nameless(key)) for number, key in self._lost.items()}
        return lost | latest(self.point_entries())

    @_mended
    def waiting(self) -> list[Waiting]:
        """Return the messages that wait for their metadata, oldest first; of a damaged one, no payload."""
        rows = (
            self._ready()
            .execute("SELECT broker, topic, payload, received_ms, flags, id FROM waiting ORDER BY id")
            .fetchall()
        )
        found = [Waiting(*row) for row in rows]
        return [
            replace(item, payload=self._unsealed(item.payload, f"what waits at {item.topic}"))
            for item in found
        ]

    # Inside ---------------------------------------------------------------------------

    def _open(self) -> None:
        """Open the file; one that is damaged is put aside, and begun anew with what can be read of it."""
        try:
            self._read_in(open_writer(self.path, MIGRATIONS))
        except StoreCorrupt as error:
            self._renew(error)

    def _renew(self, error: StoreCorrupt) -> None:
        with suppress(sqlite3.Error):
            self.close()
        renew(self.path, MIGRATIONS, error.cause)
        self.is_another = True
        connection = open_writer(self.path, MIGRATIONS)
        with saving(connection, self.path):
            index_anew(connection)
        self._read_in(connection)

    def _read_in(self, connection: Writer) -> None:
        try:
            self._appends = read_appends(connection)
            given_seq = self.head_seq
            self.head_seq, self.head_stamp_ms = read_head(connection)
            warm_seq = seq_since(connection, self.head_stamp_ms - WARM_MS)
            seen = self._remembered(connection, warm_seq)
            points_told = read_point_entries(connection, str(self.path))
            lost = lost_among(connection, points_told)
            taken_seq = max(taken_of(self.path.parent), read_taken(connection), given_seq)
            if taken_seq > self.head_seq:
                # It was removed, or is an older one: what comes now must not have numbers that were read.
                self.is_another, self.head_seq = True, taken_seq
                begin_after(connection, taken_seq)
            index = Index(connection, self.path)
        except sqlite3.Error as error:
            connection.close()
            raise failure(self.path, error) from error
        self._connection, self._lost, self._points_told = connection, lost, points_told
        self._seen, self._index, self._kept_ms = seen, index, 0
        if self._recent and self._recent[-1].seq != self.head_seq:
            self._recent.clear()

    def _remembered(self, connection: Writer, warm_seq: int) -> Seen:
        """Return what was seen, from an entry on and the newest of each point before."""
        kept = read_newest(connection, str(self.path))
        if kept is None:
            (points,) = connection.execute("SELECT coalesce(max(id), -1) + 1 FROM point").fetchone()
            until_ms = latest_before(connection, warm_seq)
            seen = Seen() if until_ms is None else Seen(np.full(points, until_ms, np.int64))
        else:
            seen, warm_seq = Seen(kept[1]), min(warm_seq, kept[0] + 1)
        rows = connection.execute(
            "SELECT seq, stamp_ms, body FROM entry WHERE kind = 0 AND seq >= ? ORDER BY seq", (warm_seq,)
        )
        for row in rows:
            seen.remember(read_readings(row, self.path))
        return seen

    def _ready(self) -> Writer:
        if self._connection is None:
            self._open()
        return present(self._connection, "an open journal")

    def _proven(self) -> Writer:
        """Return the connection once the disk has all that the file shows, and so what became of each append.

        Raises:
            StoreUnavailable: Where that cannot be said now. The file is opened anew at the next attempt, for
                the disk may have come back as another one.
        """
        connection = self._ready()
        try:
            prove(connection, self.path)
            if self._unsure is None:
                return connection
            with told(self.path):
                appends = read_appends(connection)
        except StoreError:
            with suppress(sqlite3.Error):
                self.close()
            raise
        if appends != self._appends:
            self.close()
            return self._proven()
        number, intake, account = self._unsure
        if number == appends:
            self._survived.append((intake, account))
        self._unsure = None
        return connection

    def _has_survived(self, intake: Intake) -> Account | None:
        """Return what an intake added whose append failed and was found on disk afterwards; else None."""
        for i, (survivor, account) in enumerate(self._survived):
            if survivor is intake:
                del self._survived[i]
                return account
        return None

    def _follow_clock(self, now_ms: int) -> int:
        """Write down where the clock was set, before anything is stamped by it; return what it says [ms].

        Stamps never fall but there. A head that lies ahead of the clock was stamped before it was set back,
        by this process or by one before it.

        Args:
            now_ms: The time, where there is no clock to be asked [ms].

        Raises:
            StoreUnavailable: Where the disk did not take it; it is tried again with whatever comes next.
        """
        if self._clock is None:
            return now_ms
        now_ms = self._clock.now_ms()
        self._step = self._clock.take_step() or self._step
        stamped_ms = self._stamp_ms(0) if self.head_seq else 0
        if stamped_ms - now_ms > STEP_MS:
            self._step = (stamped_ms, now_ms)
        if self._step is None:
            return now_ms
        from_ms, to_ms = self._step
        if self.head_seq and abs(to_ms - from_ms) > STEP_MS:
            self._write_step(from_ms, to_ms)
        self._step = None
        return now_ms

    def _write_step(self, from_ms: int, to_ms: int) -> None:
        by_s = (to_ms - from_ms) / 1_000
        mark = Mark(MarkKind.STEPPED, EVERY_BROKER, from_ms, f"the machine's clock was set by {by_s:+,.1f} s")
        connection = self._proven()
        with saving(connection, self.path):
            insertion = Insertion(connection, to_ms, is_careful=False)
            entries = insertion.insert_entries([mark], to_ms)
            connection.execute("UPDATE promise SET floor_ms = ?", (to_ms - 1,))
        self._note(entries)
        self._floor_ms = to_ms - 1
        _log.warning("clock", detail=mark.detail)

    def _stamp_ms(self, now_ms: int) -> int:
        promised = self._ready().execute("SELECT floor_ms FROM promise").fetchone()
        floor_ms = max(self._floor_ms, promised[0] if promised else 0)
        return max(now_ms, self.head_stamp_ms, floor_ms + 1)

    def _unsealed(self, data: bytes, where: str) -> bytes:
        """Return what was sealed, nothing where it is damaged."""
        try:
            return unseal(data, f"{self.path}, {where}")
        except StoreCorrupt as error:
            _log.error("journal damaged", error=str(error))
            return b""

    @staticmethod
    def _used_bytes(connection: sqlite3.Connection) -> int:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)


def _nameless(key: str) -> Point:
    """Return what stands for a point that only has its key left."""
    return Point(
        key=key,
        asset=AssetId(""),
        quantity=next(iter(QUANTITIES)),
        unit="",
        stream="",
        cadence=Cadence.ON_CHANGE,
    )


def _readings_in(entry: Entry) -> int:
    """Return how many readings an entry holds."""
    return len(entry.content) if isinstance(entry.content, Batch) else 0
