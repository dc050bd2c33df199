"""The ledger: alarms, what people did to them, what is to be told, and how far the engine is.

What a tick brings is saved in one synced transaction: the alarms that changed, the notifications that this
makes, the engine's series and its cursor. Saving the same tick again changes nothing, so an engine that went
back to its snapshot walks the same way without a second page.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

import msgspec
import structlog

from facility.errors import StoreCorrupt
from store.ledger.alarms import Alarm, AlarmChange, Notice, Progress
from store.ledger.suppressions import Suppression
from store.salvage import renew
from store.series import AnyDraw, DemandBlock
from store.sqlite import Guard, Migration, alone, check, open_reader, open_writer, saving

FILE: Final = "ledger.sqlite"
R = TypeVar("R")

_log = structlog.get_logger(__name__)


def _name_kinds(connection: sqlite3.Connection) -> None:
    """Let each row of a series say of what it is; there were only tenants."""
    rows = connection.execute("SELECT seq, body FROM series").fetchall()
    named = [[["tenant", *row] for row in msgspec.msgpack.decode(body)] for _, body in rows]
    connection.executemany(
        "UPDATE series SET body = ? WHERE seq = ?",
        [(msgspec.msgpack.encode(body), seq) for (seq, _), body in zip(rows, named, strict=True)],
    )


_GRAVITY: Final = (
    # What is damaged may have been the gravest.
    "CASE iif(json_valid(body), json_extract(body, '$.severity'), 'critical')"
    " WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END"
)
"""How grave what a notification tells is: the less, the graver."""
_OF_THE_ALARM: Final = "alarm_id = new.alarm_id AND route = new.route"
_FIND_FIRST: Final = (
    # The sign keeps SQLite from looking through all that waits on the route.
    "UPDATE outbox SET gravest = NULL"  # noqa: S608 - our own words
    " WHERE gravest IS NOT NULL AND alarm_id = new.alarm_id AND +route = new.route;"
    " UPDATE outbox SET gravest = ("
    f"SELECT min({_GRAVITY}) FROM outbox WHERE state = 'waiting' AND {_OF_THE_ALARM}"
    ") WHERE route = new.route AND key = ("
    f"SELECT key FROM outbox WHERE state = 'waiting' AND {_OF_THE_ALARM}"
    " ORDER BY source_ms, key LIMIT 1);"
)

MIGRATIONS: Final[Sequence[Migration]] = (
    (
        """
        CREATE TABLE alarm (
            id TEXT PRIMARY KEY,
            rule TEXT NOT NULL,
            title TEXT NOT NULL,
            subject TEXT NOT NULL,
            severity TEXT NOT NULL,
            unit TEXT NOT NULL,
            since_ms INTEGER NOT NULL,
            opened_ms INTEGER NOT NULL,
            returned_ms INTEGER,
            value REAL,
            "limit" REAL,
            peak REAL,
            is_told INTEGER NOT NULL,
            needs_acknowledgement INTEGER NOT NULL,
            acknowledged_ms INTEGER,
            acknowledged_by TEXT
        ) WITHOUT ROWID
        """,
        "CREATE INDEX alarm_opened ON alarm (opened_ms)",
        """
        CREATE TABLE change (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            alarm_id TEXT NOT NULL,
            change TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            body TEXT NOT NULL,
            UNIQUE (alarm_id, change, at_ms)
        )
        """,
        """
        CREATE TABLE outbox (
            key TEXT NOT NULL,
            route TEXT NOT NULL,
            alarm_id TEXT NOT NULL,
            body TEXT NOT NULL,
            source_ms INTEGER NOT NULL,
            created_ms INTEGER NOT NULL,
            due_ms INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            state TEXT NOT NULL DEFAULT 'waiting',
            error TEXT NOT NULL DEFAULT '',
            delivered_ms INTEGER,
            PRIMARY KEY (key, route)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX outbox_due ON outbox (due_ms) WHERE state = 'waiting'",
        """
        CREATE TABLE series (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL UNIQUE, body BLOB NOT NULL
        )
        """,
        """
        CREATE TABLE cursor (
            name TEXT PRIMARY KEY, seq INTEGER NOT NULL, tick_ms INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    (_name_kinds,),
    # What is told of an alarm on a route, in its order.
    ("CREATE INDEX outbox_order ON outbox (alarm_id, route, source_ms, key) WHERE state = 'waiting'",),
    (
        """
        CREATE TABLE demand_block (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant TEXT NOT NULL,
            from_ms INTEGER NOT NULL,
            to_ms INTEGER NOT NULL,
            is_settled INTEGER NOT NULL,
            body BLOB NOT NULL,
            UNIQUE (tenant, to_ms, from_ms, is_settled)
        )
        """,
    ),
    # What the status counts each second, and what trimming looks for.
    (
        "CREATE INDEX outbox_refused ON outbox (route) WHERE state = 'refused'",
        "CREATE INDEX outbox_alarm ON outbox (alarm_id)",
        "CREATE INDEX alarm_returned ON alarm (returned_ms) WHERE returned_ms IS NOT NULL",
    ),
    # Of what waits to be told of an alarm on a route the first one says how grave the gravest is: what is due
    # is found without looking at all that waits.
    (
        "ALTER TABLE outbox ADD COLUMN gravest INTEGER",
        f"CREATE INDEX outbox_gravity ON outbox (alarm_id, route, {_GRAVITY}) WHERE state = 'waiting'",
        "CREATE INDEX outbox_first ON outbox (alarm_id) WHERE gravest IS NOT NULL",
        "CREATE INDEX outbox_next ON outbox (route, gravest, source_ms, key) WHERE gravest IS NOT NULL",
        f"CREATE TRIGGER outbox_came AFTER INSERT ON outbox BEGIN {_FIND_FIRST} END",
        f"CREATE TRIGGER outbox_changed AFTER UPDATE OF state, body ON outbox BEGIN {_FIND_FIRST} END",
        "UPDATE outbox SET state = state WHERE state = 'waiting'",
    ),
    (
        "ALTER TABLE alarm ADD COLUMN suppression TEXT",
        "ALTER TABLE alarm ADD COLUMN suppression_id TEXT",
        """
        CREATE TABLE suppression (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            alarm_id TEXT NOT NULL,
            rules TEXT NOT NULL,
            subjects TEXT NOT NULL,
            assets TEXT NOT NULL,
            from_ms INTEGER NOT NULL,
            to_ms INTEGER,
            "by" TEXT NOT NULL,
            why TEXT NOT NULL,
            made_ms INTEGER NOT NULL,
            ended_ms INTEGER,
            ended_by TEXT
        ) WITHOUT ROWID
        """,
        """
        CREATE INDEX alarm_acknowledged ON alarm (id)
            WHERE returned_ms IS NULL AND acknowledged_ms IS NOT NULL
        """,
    ),
)
"""What makes the ledger's tables; append to it, and change nothing in it."""
ENGINE: Final = "engine"
MOST_TRIMMED: Final = 1_000
"""How many alarms one round drops at most, so that it never holds up what is saved meanwhile (our choice)."""

_ALARM_COLUMNS: Final = (
    'id, rule, title, subject, severity, unit, since_ms, opened_ms, returned_ms, value, "limit", peak,'
    " is_told, needs_acknowledgement, acknowledged_ms, acknowledged_by, suppression, suppression_id"
)
_ALARMS: Final = f"SELECT {_ALARM_COLUMNS} FROM alarm"  # noqa: S608 - our own column names
_SUPPRESSION_COLUMNS: Final = (
    'id, kind, alarm_id, rules, subjects, assets, from_ms, to_ms, "by", why, made_ms, ended_ms, ended_by'
)
_NOTICE_COLUMNS: Final = (
    "key, route, alarm_id, body, source_ms, created_ms, due_ms, attempts, state, error, delivered_ms"
)
_NOTICES: Final = f"SELECT {_NOTICE_COLUMNS} FROM outbox"  # noqa: S608 - our own column names
_DUE: Final = (
    f"SELECT {_NOTICE_COLUMNS}, gravest FROM outbox INDEXED BY outbox_next"  # noqa: S608 - our own column names
    " WHERE route = ? AND gravest IS NOT NULL AND due_ms <= ? ORDER BY gravest, source_ms, key LIMIT ?"
)
_DONE: Final = (
    "SELECT id FROM alarm WHERE returned_ms < :before_ms AND coalesce(acknowledged_ms, 0) < :before_ms"
    " AND NOT (needs_acknowledgement AND acknowledged_ms IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM outbox WHERE alarm_id = alarm.id AND state = 'waiting')"
    # The histories that a site had before stand still: the one that is ahead is the one in use.
    " AND NOT EXISTS (SELECT 1 FROM change WHERE alarm_id = alarm.id AND seq >"
    " (SELECT coalesce(max(seq), 0) FROM cursor WHERE name LIKE '%.changes'))"
    " ORDER BY returned_ms LIMIT :most"
)
_PUT_ALARM: Final = (
    f"INSERT INTO alarm ({_ALARM_COLUMNS})"  # noqa: S608 - our own column names
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET severity = excluded.severity,"
    " returned_ms = coalesce(excluded.returned_ms, returned_ms),"
    # What was judged when it opened or worsened stays: it is the evidence.
    " value = CASE WHEN excluded.returned_ms IS NULL THEN excluded.value ELSE value END,"
    ' "limit" = CASE WHEN excluded.returned_ms IS NULL THEN excluded."limit" ELSE "limit" END,'
    " peak = coalesce(excluded.peak, peak),"
    " is_told = max(is_told, excluded.is_told),"
    " suppression = excluded.suppression, suppression_id = excluded.suppression_id"
)

_ENCODER: Final = msgspec.msgpack.Encoder()
_SERIES: Final = msgspec.msgpack.Decoder(list[AnyDraw])
_BLOCK: Final = msgspec.json.Decoder(DemandBlock)


class LedgerReader(Guard):
    """The ledger, as everybody but the monitor sees it.

    Raises:
        StoreUnavailable: Where there is none.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / FILE
        self._connection = open_reader(self.path, MIGRATIONS)

    @alone
    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @alone
    def cursor(self, name: str = ENGINE) -> tuple[int, int]:
        """Return up to which entry and which tick [ms] a reader is; zeros before it began."""
        row = self._connection.execute("SELECT seq, tick_ms FROM cursor WHERE name = ?", (name,)).fetchone()
        if row is None or not all(isinstance(place, int) for place in row):
            return 0, 0
        return row[0], row[1]

    @alone
    def alarms(self, *, since_ms: int = 0, only_open: bool = False) -> list[Alarm]:
        """Return alarms that opened at or after `since_ms`, or are still open, oldest first."""
        rows = self._connection.execute(
            _ALARMS + " WHERE opened_ms >= ? OR returned_ms IS NULL"
            " OR (needs_acknowledgement AND acknowledged_ms IS NULL) ORDER BY opened_ms, id",
            (since_ms,),
        )
        found = _readable(rows, _alarm)
        return [alarm for alarm in found if alarm.is_open] if only_open else found

    @alone
    def alarm(self, beginning: str) -> list[Alarm]:
        """Return the alarms whose id begins so."""
        rows = self._connection.execute(
            _ALARMS + " WHERE substr(id, 1, ?) = ? ORDER BY opened_ms",
            (len(beginning), beginning),
        )
        return _readable(rows, _alarm)

    @alone
    def changes(self, after_seq: int, most: int = 1_000) -> list[tuple[int, AlarmChange]]:
        """Return what happened to alarms after a change's number, in order, with the numbers."""
        rows = self._connection.execute(
            "SELECT seq, change, at_ms, body FROM change WHERE seq > ? ORDER BY seq LIMIT ?",
            (after_seq, most),
        )
        return _readable(rows, lambda row: (row[0], _change(row[1], row[2], json.loads(row[3]))))

    @alone
    def changes_of(self, alarm_id: str) -> list[AlarmChange]:
        """Return what happened to one alarm, in order."""
        rows = self._connection.execute(
            "SELECT change, at_ms, body FROM change WHERE alarm_id = ? ORDER BY seq", (alarm_id,)
        )
        return _readable(rows, lambda row: _change(row[0], row[1], json.loads(row[2])))

    @alone
    def opened_for(self, reason: str, from_ms: int, to_ms: int) -> frozenset[str]:
        """Return the ids of alarms that opened in a span and were not told for a reason.

        Args:
            reason: What the reason begins with.
            from_ms: Beginning of the span [ms].
            to_ms: Its end [ms].
        """
        rows = self._connection.execute(
            "SELECT alarm_id FROM change WHERE change = 'opened' AND at_ms >= ? AND at_ms < ?"
            " AND substr(iif(json_valid(body), json_extract(body, '$.reason'), ''), 1, length(?)) = ?",
            (from_ms, to_ms, reason, reason),
        )
        return frozenset(_readable(rows, lambda row: str(row[0])))

    @alone
    def notices_of(self, alarm_id: str) -> list[Notice]:
        """Return what was made to tell of one alarm, in the order of what it tells."""
        rows = self._connection.execute(
            _NOTICES + " WHERE alarm_id = ? ORDER BY source_ms, key, route", (alarm_id,)
        )
        return _readable(rows, _notice)

    @alone
    def series(self, after_seq: int, most: int = 1_000) -> list[tuple[int, int, list[AnyDraw]]]:
        """Return the engine's series after a row's number: number, tick [ms] and what was drawn."""
        rows = self._connection.execute(
            "SELECT seq, at_ms, body FROM series WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, most)
        )
        return _readable(rows, lambda row: (row[0], row[1], _SERIES.decode(row[2])))

    @alone
    def blocks_after(self, after_seq: int, most: int = 1_000) -> list[tuple[int, DemandBlock]]:
        """Return demand blocks after a row's number, in the order of judging, with the numbers."""
        rows = self._connection.execute(
            "SELECT seq, body FROM demand_block WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, most)
        )
        return _readable(rows, lambda row: (row[0], _BLOCK.decode(row[1])))

    @alone
    def blocks(self, tenant: str, from_ms: int, to_ms: int) -> list[DemandBlock]:
        """Return a tenant's demand blocks that end in a span, in order of time.

        Args:
            tenant: Id of the tenant.
            from_ms: After this [ms].
            to_ms: At this at the latest [ms].
        """
        rows = self._connection.execute(
            "SELECT body FROM demand_block WHERE tenant = ? AND to_ms > ? AND to_ms <= ?"
            " ORDER BY to_ms, from_ms, is_settled",
            (tenant, from_ms, to_ms),
        )
        return _readable(rows, lambda row: _BLOCK.decode(row[0]))

    @alone
    def opening(self, alarm_id: str) -> list[Notice]:
        """Return what was made to tell that an alarm opened, one notification for each route."""
        rows = self._connection.execute(_NOTICES + " WHERE key = ?", (f"{alarm_id}:opened",))
        return _readable(rows, _notice)

    @alone
    def acknowledged(self) -> dict[str, str]:
        """Return who acknowledged the alarms that are not over, by their ids."""
        rows = self._connection.execute(
            "SELECT id, coalesce(acknowledged_by, '') FROM alarm"
            " WHERE returned_ms IS NULL AND acknowledged_ms IS NOT NULL"
        )
        return dict(rows.fetchall())

    @alone
    def suppressions(self, at_ms: int | None = None) -> list[Suppression]:
        """Return what people are not told of, in the order of its beginning.

        Args:
            at_ms: Only what is in force then [ms]; None for all that ever was or is planned.
        """
        rows = self._connection.execute(
            f"SELECT {_SUPPRESSION_COLUMNS} FROM suppression"  # noqa: S608 - our own column names
            " WHERE :at_ms IS NULL OR (from_ms <= :at_ms"
            " AND :at_ms < min(coalesce(to_ms, :end), coalesce(ended_ms, :end)))"
            " ORDER BY from_ms, id",
            {"at_ms": at_ms, "end": 2**62},
        )
        return _readable(rows, _suppression)

    @alone
    def told_elsewhere(self, named: Collection[str]) -> dict[str, int]:
        """Return how many alarms that are not over were told on each route that is not among `named`."""
        rows = self._connection.execute(
            "SELECT route, count(DISTINCT alarm_id) FROM alarm JOIN outbox ON alarm_id = alarm.id"
            " WHERE returned_ms IS NULL AND state = 'delivered'"
            " AND route NOT IN (SELECT value FROM json_each(?)) GROUP BY route",
            (json.dumps(list(named)),),
        )
        return dict(rows.fetchall())

    @alone
    def standing(self, route: str, over_since_ms: int) -> list[Notice]:
        """Return the last notification that a route's receiver accepted of each alarm that is not over.

        Args:
            route: Name of the route.
            over_since_ms: Alarms that were over at this or later [ms] count as well.
        """
        rows = self._connection.execute(
            _NOTICES + " WHERE (key, route) IN (SELECT key, route FROM ("  # noqa: S608 - our own words
            "  SELECT key, route,"
            "    row_number() OVER (PARTITION BY alarm_id ORDER BY source_ms DESC, key DESC) AS place"
            "  FROM outbox JOIN alarm ON alarm.id = alarm_id"
            "  WHERE route = ? AND state = 'delivered' AND (returned_ms IS NULL OR returned_ms >= ?)"
            ") WHERE place = 1)",
            (route, over_since_ms),
        )
        return _readable(rows, _notice)

    @alone
    def refused(self) -> dict[str, int]:
        """Return how many notifications each route's receiver refused for good."""
        rows = self._connection.execute(
            "SELECT route, count(*) FROM outbox WHERE state = 'refused' GROUP BY route"
        )
        return dict(rows.fetchall())

    @alone
    def waiting(self) -> dict[str, int]:
        """Return how many notifications wait for each route."""
        rows = self._connection.execute(
            "SELECT route, count(*) FROM outbox WHERE state = 'waiting' GROUP BY route"
        )
        return dict(rows.fetchall())

    @alone
    def notices(self, *, state: str | None = None, most: int = 1_000) -> list[Notice]:
        """Return notifications, newest first; those of one state, or all."""
        rows = self._connection.execute(
            _NOTICES + " WHERE ? IS NULL OR state = ? ORDER BY created_ms DESC, key DESC LIMIT ?",
            (state, state, most),
        )
        return _readable(rows, _notice)


class Ledger(LedgerReader):
    """The ledger, as the monitor writes it. Methods may be called from any thread.

    Reading has a connection of its own: it sees what is saved, never half of what is being saved.
    Whatever writes raises `StoreUnavailable` where the disk did not take it; nothing of it is saved then.
    A file that is damaged when it is opened is put aside, and begun anew with what can be read of it.

    Attributes:
        is_another: Whether it is not the file that was written before: an alarm that stands may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = RLock()
        self.is_another = False
        try:
            self._writer = open_writer(folder / FILE, MIGRATIONS)
            check(self._writer, folder / FILE)
        except StoreCorrupt as error:
            self.is_another = True
            renew(folder / FILE, MIGRATIONS, error.cause)
            self._writer = open_writer(folder / FILE, MIGRATIONS)
        super().__init__(folder)

    def close(self) -> None:
        """Close the file."""
        super().close()
        with self._lock:
            self._writer.close()

    def save(self, progress: Progress) -> None:
        """Save what ticks brought: all of it, or nothing.

        Raises:
            StoreUnavailable: Where the disk did not take it; the same progress may be saved again.
        """
        with self._lock, saving(self._writer, self.path) as connection:
            for change in progress.changes:
                _put_change(connection, change)
            _put_notices(connection, progress.notices)
            connection.executemany(
                "INSERT OR IGNORE INTO series (at_ms, body) VALUES (?, ?)",
                [(at_ms, _ENCODER.encode(draws)) for at_ms, draws in progress.series.items()],
            )
            # Energies have more digits than a column of integers holds: JSON keeps them all.
            connection.executemany(
                "INSERT OR IGNORE INTO demand_block (tenant, from_ms, to_ms, is_settled, body)"
                " VALUES (?, ?, ?, ?, ?)",
                [
                    (block.tenant, block.from_ms, block.to_ms, block.is_settled, msgspec.json.encode(block))
                    for block in progress.blocks
                ],
            )
            connection.execute(
                "INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET seq = excluded.seq, tick_ms = excluded.tick_ms",
                (ENGINE, progress.seq, progress.tick_ms),
            )

    def acknowledge(self, alarm: Alarm, *, by: str, at_ms: int) -> Alarm:
        """Note that a person has taken an alarm in hand.

        Args:
            alarm: The alarm, as it is listed.
            by: Name of the person.
            at_ms: When [ms].

        Returns:
            The alarm afterwards; unchanged where it was acknowledged before, and where it is of another
            severity by now: who takes an alarm in hand has seen how grave it is.
        """
        with self._lock, saving(self._writer, self.path) as connection:
            connection.execute(
                "UPDATE alarm SET acknowledged_ms = ?, acknowledged_by = ?"
                " WHERE id = ? AND acknowledged_ms IS NULL AND severity = ?",
                (at_ms, by, alarm.id, alarm.severity),
            )
            row = connection.execute(_ALARMS + " WHERE id = ?", (alarm.id,)).fetchone()
            after = _alarm(row)
            if after.acknowledged_ms == at_ms:
                _put_event(connection, AlarmChange(alarm=after, change="acknowledged", at_ms=at_ms))
        return after

    def suppress(self, suppression: Suppression) -> None:
        """Keep what people are not to be told of from now on, or from a planned moment on."""
        with self._lock, saving(self._writer, self.path) as connection:
            connection.execute(
                f"INSERT INTO suppression ({_SUPPRESSION_COLUMNS})"  # noqa: S608 - our own column names
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    suppression.id,
                    suppression.kind.value,
                    suppression.alarm_id,
                    json.dumps(suppression.rules),
                    json.dumps(suppression.subjects),
                    json.dumps(suppression.assets),
                    suppression.from_ms,
                    suppression.to_ms,
                    suppression.by,
                    suppression.why,
                    suppression.made_ms,
                    suppression.ended_ms,
                    suppression.ended_by,
                ),
            )

    def end_suppression(self, suppression_id: str, *, by: str, at_ms: int) -> None:
        """Let people be told again, unless they are already; what is only planned will not begin.

        Args:
            suppression_id: What is to end.
            by: Name of the person who ends it.
            at_ms: When [ms].
        """
        with self._lock, saving(self._writer, self.path) as connection:
            connection.execute(
                "UPDATE suppression SET ended_ms = ?, ended_by = ? WHERE id = ? AND ended_ms IS NULL",
                (at_ms, by, suppression_id),
            )

    @alone
    def due(self, now_ms: int, route: str, most: int = 100) -> list[Notice]:
        """Return the notifications of a route that are to be tried now, the gravest first, then the oldest.

        What is told of one alarm keeps its order: while something of it waits, what comes after it does too.
        So the first is as grave as the gravest behind it.
        """
        rows = self._connection.execute(_DUE, (route, now_ms, most))
        return _readable(rows, lambda row: replace(_notice(row[:-1]), is_urgent=not row[-1]))

    def settle(self, notice: Notice) -> None:
        """Save what became of a notification."""
        with self._lock, saving(self._writer, self.path) as connection:
            connection.execute(
                "UPDATE outbox SET attempts = ?, state = ?, error = ?, due_ms = ?, delivered_ms = ?"
                " WHERE key = ? AND route = ?",
                (
                    notice.attempts,
                    notice.state,
                    notice.error,
                    notice.due_ms,
                    notice.delivered_ms,
                    notice.key,
                    notice.route,
                ),
            )

    def reroute(self, named: Collection[str], taking: Callable[[Mapping[str, Any]], Iterable[str]]) -> int:
        """Let what waits for a route that is named no longer wait for those that take it now, under its key.

        Args:
            named: The routes that there are.
            taking: Gives the routes that take a document.

        Returns:
            How many notifications waited for a route that there is not.

        Raises:
            StoreUnavailable: Where the disk did not take it; all wait as before then.
        """
        with self._lock, saving(self._writer, self.path) as connection:
            rows = connection.execute(
                _NOTICES + " WHERE state = 'waiting' AND route NOT IN (SELECT value FROM json_each(?))"  # noqa: S608 - likewise
                " ORDER BY source_ms, key",
                (json.dumps(list(named)),),
            )
            lost = _readable(rows, _notice)
            _put_notices(connection, [replace(n, route=r) for n in lost for r in taking(n.body)])
            connection.executemany(
                "UPDATE outbox SET state = 'refused', error = ? WHERE key = ? AND route = ?",
                [("the site file names this route no longer", notice.key, notice.route) for notice in lost],
            )
        return len(lost)

    def hasten(self, route: str, now_ms: int) -> None:
        """Let everything that waits for a route be tried now: its receiver accepts again."""
        with self._lock, saving(self._writer, self.path) as connection:
            connection.execute(
                "UPDATE outbox SET due_ms = ? WHERE state = 'waiting' AND route = ? AND due_ms > ?",
                (now_ms, route, now_ms),
            )

    def trim(self, before_ms: int) -> int:
        """Drop old alarms with all their changes and notifications, at most `MOST_TRIMMED` of them.

        An alarm stays while it is open, while a notification of it waits, and while the history lacks one of
        its changes. Demand blocks are never dropped.

        Args:
            before_ms: Alarms that returned before this, and were acknowledged before it, may go [ms].

        Returns:
            How many alarms were dropped.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        with self._lock, saving(self._writer, self.path) as connection:
            done = connection.execute(_DONE, {"before_ms": before_ms, "most": MOST_TRIMMED}).fetchall()
            connection.executemany("DELETE FROM outbox WHERE alarm_id = ?", done)
            connection.executemany("DELETE FROM change WHERE alarm_id = ?", done)
            connection.executemany("DELETE FROM alarm WHERE id = ?", done)
        return len(done)

    def set_cursor(self, name: str, seq: int) -> None:
        """Note up to which row a reader has read for good."""
        self.set_cursors({name: seq})

    def set_cursors(self, cursors: Mapping[str, int], *, trimmed_seq: int = 0) -> None:
        """Note up to which row readers have read for good, and drop what all of them have.

        Args:
            cursors: The rows, by the readers' names.
            trimmed_seq: Up to which row the engine's series are dropped.
        """
        with self._lock, saving(self._writer, self.path) as connection:
            connection.executemany(
                "INSERT INTO cursor VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                list(cursors.items()),
            )
            connection.execute("DELETE FROM series WHERE seq <= ?", (trimmed_seq,))


def _named(columns: str, row: Sequence[Any]) -> dict[str, Any]:
    """Return the values of a row by the names of its columns, as a query lists them."""
    return dict(zip((name.strip(' "') for name in columns.split(",")), row, strict=True))


def _alarm(row: Sequence[Any]) -> Alarm:
    values = _named(_ALARM_COLUMNS, row)
    values["is_told"] = bool(values["is_told"])
    values["needs_acknowledgement"] = bool(values["needs_acknowledgement"])
    return msgspec.convert(values, Alarm)


def _suppression(row: Sequence[Any]) -> Suppression:
    values = _named(_SUPPRESSION_COLUMNS, row)
    values |= {name: json.loads(values[name]) for name in ("rules", "subjects", "assets")}
    return msgspec.convert(values, Suppression)


def _change(change: str, at_ms: int, body: dict[str, Any]) -> AlarmChange:
    reason = body.pop("reason", "")
    alarm = msgspec.convert(body, Alarm)
    return AlarmChange(alarm=alarm, change=change, at_ms=at_ms, reason=reason)


def _notice(row: Sequence[Any]) -> Notice:
    values = _named(_NOTICE_COLUMNS, row)
    try:
        values["body"] = json.loads(values["body"])
        return msgspec.convert(values, Notice)
    except (ValueError, TypeError, RecursionError) as error:
        _log.error("a notification is damaged", key=values["key"], error=str(error))
        values["body"] = _stand_in(str(values["key"]), values["alarm_id"])
        return msgspec.convert(values, Notice)


def _stand_in(key: str, alarm: str) -> dict[str, Any]:
    """Return what is told in place of a notification that is damaged: that there was one is known."""
    headline = f"[CRITICAL] alarm {alarm}: what was to be told is damaged; megawatch alarms shows it"
    return {
        "key": key,
        "alarm": alarm,
        "change": key.rpartition(":")[2],
        "severity": "critical",
        "headline": headline,
        "text": headline,
    }


def _readable(rows: Iterable[Sequence[Any]], read: Callable[[Sequence[Any]], R]) -> list[R]:
    """Return what rows hold; those that are damaged are left out."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            _log.error("a row of the ledger is damaged", row=repr(row)[:200], error=str(error))
    return found


def _put_notices(connection: sqlite3.Connection, notices: Iterable[Notice]) -> None:
    connection.executemany(
        # What is made later is told later, also where our clock was set back in between.
        "INSERT OR IGNORE INTO outbox (key, route, alarm_id, body, source_ms, created_ms, due_ms)"
        " VALUES (:key, :route, :alarm_id, :body, coalesce(("
        "SELECT max(source_ms) + 1 FROM outbox"
        " WHERE alarm_id = :alarm_id AND route = :route AND source_ms > :source_ms"
        "), :source_ms), :created_ms, :due_ms)",
        [
            {
                "key": n.key,
                "route": n.route,
                "alarm_id": n.alarm_id,
                "body": json.dumps(n.body),
                "source_ms": n.source_ms,
                "created_ms": n.created_ms,
                "due_ms": n.due_ms,
            }
            for n in notices
        ],
    )


def _put_change(connection: sqlite3.Connection, change: AlarmChange) -> None:
    alarm = change.alarm
    connection.execute(
        _PUT_ALARM,
        (
            alarm.id,
            alarm.rule,
            alarm.title,
            alarm.subject,
            alarm.severity,
            alarm.unit,
            alarm.since_ms,
            alarm.opened_ms,
            alarm.returned_ms,
            alarm.value,
            alarm.limit,
            alarm.peak,
            alarm.is_told,
            alarm.needs_acknowledgement,
            alarm.suppression,
            alarm.suppression_id,
        ),
    )
    # A worsening that is judged again is there already, and ends no acknowledgement that came afterwards.
    if _put_event(connection, change) and change.change == "worsened":
        connection.execute(
            "UPDATE alarm SET acknowledged_ms = NULL, acknowledged_by = NULL WHERE id = ?", (alarm.id,)
        )


def _put_event(connection: sqlite3.Connection, change: AlarmChange) -> bool:
    """Keep what happened to an alarm; tell whether it is new."""
    alarm = {name: getattr(change.alarm, name) for name in Alarm.__slots__}
    body = json.dumps(alarm | {"reason": change.reason})
    done = connection.execute(
        "INSERT OR IGNORE INTO change (alarm_id, change, at_ms, body) VALUES (?, ?, ?, ?)",
        (change.alarm.id, change.change, change.at_ms, body),
    )
    return done.rowcount > 0
