"""Chunks to InfluxDB 2, InfluxDB 1.x or VictoriaMetrics, until every line is stored or refused.

Nothing is kept here beyond the chunk at hand, so an outage is waited out where the chunks come from. Points
overwrite themselves, so whatever may have been stored is simply sent again: also what was accepted just
before a connection broke or the server was started anew, for one that was killed may not have had it on disk.
One that does not know how to overwrite must be told to (VictoriaMetrics: `-dedup.minScrapeInterval=1ms`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS
from facility.points import Point
from facility.readings import Rejection
from facility.sitefile.tables import InfluxTable
from store.base import INFLUX, Chunk
from store.influx.lineprotocol import Encoder, Kept, Lines
from store.influx.proof import PAUSES_S, NothingThere, Proof, Unreadable
from store.influx.requests import Http
from store.influx.server import EMPTY, NOTHING, Kind, find_buckets, host_is_near, identify, started
from store.influx.write import STORED, Answer, Writer, open_writer
from store.means.means import hold_ms
from store.retry import StoreBusy
from store.threads import in_thread

MOST_LINES: Final = 5_000
"""Lines in a request at most: what InfluxDB's manual advises."""
MOST_BYTES: Final = 1_000_000
"""Bytes in a request at most, for proxies that allow no more; a server that says 413 is sent less."""
PERIOD_S: Final = 1.0
"""How often readings go to the database while it keeps up [s]."""
MOST_READINGS: Final = 25_000
"""Readings in one chunk: more than a large site says in a second; their lines are 7 MB (our choice)."""
CATCH_UP_PER_S: Final = 80_000
"""Readings a second at most while catching up: more than a burst of 2,270 racks (64,000), so that the end is
reached, and less than a server of two cores takes, so that it still answers others (our measurement)."""
RECENT_S: Final = 15.0
"""How long what was accepted is kept here, to be sent again [s]: three times what VictoriaMetrics may hold in
memory only (5 s, its documentation: storage)."""
SYNCED_S: Final = 2.0
"""The same for those that sync each write before they accept it, or may be told to put that off for a moment:
`storage-wal-fsync-delay` of InfluxDB 2 (our choice)."""
_SYNCED: Final = frozenset({Kind.INFLUXDB_1, Kind.INFLUXDB_2})

_TOO_LARGE: Final = 413
_BAD_LINES: Final = (400, 422)
_PASSING: Final = (408, 425, 429)
_FAILED: Final = 500
_REMEDIES: Final = {
    401: "the token is not valid: put a valid one into the token file (user:password for an InfluxDB 1)",
    403: "the token may not write to bucket {bucket!r}: give it the permission, or use another token",
    404: "bucket {bucket!r}, organisation {org!r} or the path of the url is not there: create or correct it",
    413: "it takes no line however short: raise the limit of a request's length",
}
_REMEDY: Final = "expected an InfluxDB that takes writes: see whether url, org and bucket are right"
_DROPPED: Final = (
    "it answered that it stored this line, and did not: perhaps it is older than all that it keeps"
)

Span = tuple[Kept, int, int]
"""Lines: how long they are kept, the first of them, and the end."""


@dataclass(slots=True)
class _Work:
    """A chunk on its way.

    Attributes:
        lines: What it is made of.
        spans: Which lines are still to be sent; the next ones last.
        rejected: What will never be stored.
        gone: Which readings' lines are among them.
        is_proved: Whether a write of nothing was accepted since the chunk was last taken up.
    """

    lines: Lines
    spans: list[Span]
    rejected: list[Rejection]
    gone: set[int] = field(default_factory=set)
    is_proved: bool = False

    def begin_anew(self) -> None:
        """Send all lines again, as to a database that may be another one."""
        self.spans = _spans(self.lines)
        self.rejected = list(self.lines.refused)
        self.gone.clear()


@dataclass(slots=True)
class _Connection:
    """A way to the database, and what was found out about it."""

    kind: Kind
    version: str
    buckets: dict[Kept, str]
    http: Http
    writer: Writer
    proof: Proof


class InfluxSink:
    """Stores chunks in a database. One chunk at a time; not to be shared between tasks.

    Args:
        table: Where it is, as the site file says.
        token: Gives the token; asked again after the database refused it.
        timeout_s: How long a request may take in all [s].
        hold: Tells how long a value stands for its point [ms].
        is_squeezed: Whether bodies are compressed; None: where the database is on another machine.
        proof_pauses_s: How long is waited before each look for a line that should be there [s].

    Attributes:
        doubt: Why nothing can be read back; "" while it can, or was not tried yet.
    """

    name: Final = INFLUX
    period_s: Final = PERIOD_S
    most_per_s: Final = float(CATCH_UP_PER_S)
    most_readings: Final = MOST_READINGS

    def __init__(
        self,
        table: InfluxTable,
        token: Callable[[], str],
        timeout_s: float = 10.0,
        *,
        hold: Callable[[Point], int] = hold_ms,
        is_squeezed: bool | None = None,
        proof_pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._table = table
        self._token = token
        self._timeout_s = timeout_s
        self._is_squeezed = not host_is_near(table.url) if is_squeezed is None else is_squeezed
        self._pauses_s = proof_pauses_s
        self._connection: _Connection | None = None
        self._hold = hold
        self._encoder = Encoder(hold)
        self._work: _Work | None = None
        self._most_bytes = MOST_BYTES
        self._recent: deque[tuple[float, Chunk]] = deque()
        self._is_broken = False
        self._started = ""
        self.doubt = ""

    @property
    def server(self) -> tuple[Kind, str] | None:
        """Which database it is and its version; None while it was not reached."""
        return None if self._connection is None else (self._connection.kind, self._connection.version)

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Store a chunk; the same chunk again goes on where it stopped.

        Args:
            chunk: What comes after the last chunk that was stored.

        Returns:
            What the database will never take, in no particular order.

        Raises:
            StoreBusy: Where it will pass by itself: the same chunk is tried again later.
            StoreUnavailable: Where people have to act first; the error says how.
        """
        if self._work is not None and self._work.lines.chunk is not chunk:
            self._forget()
        if self._work is None:
            lines = await self._encode(chunk)
            self._work = _Work(lines, _spans(lines), list(lines.refused))
        work = self._work
        work.is_proved = False
        connection = await self._connected()
        await self._deliver(connection, work)
        await self._read_back(connection, work)
        self._work = None
        self._note(chunk, SYNCED_S if connection.kind in _SYNCED else RECENT_S)
        return work.rejected

    async def check(self) -> None:
        """Find out whether a chunk could be stored, by a write of nothing.

        Raises:
            StoreBusy: Where it cannot be stored now.
            StoreUnavailable: Where people have to act first; the error says how.
        """
        connection = await self._connected()
        answer = await self._write(connection, Kept.DAYS, NOTHING)
        if answer.status != STORED and EMPTY not in answer.words:
            await self._complain(answer)

    async def close(self) -> None:
        """Close the connection and forget the chunk at hand; the next chunk opens it again."""
        self._forget()
        await self._disconnect()

    async def _encode(self, chunk: Chunk) -> Lines:
        """Return a chunk as lines, made beside the event loop: of a large site that takes long."""
        try:
            return await in_thread(self._encoder.encode, chunk)
        except BaseException:
            self._encoder = Encoder(self._hold)  # it has noted what will not be written now
            raise

    def _forget(self) -> None:
        """Forget the chunk at hand, and what was written for it only."""
        if self._work is not None:
            self._work = None
            self._encoder = Encoder(self._hold)

    async def _deliver(self, connection: _Connection, work: _Work) -> None:
        """Send what is left of a chunk; all of it again where the database was started anew, unnoticed."""
        while True:
            await self._repeat(connection)
            while work.spans:
                await self._send(connection, work)
            if connection.kind is not Kind.VICTORIA_METRICS:
                return
            before = self._started
            self._started = await asyncio.to_thread(started, connection.http) or before
            if before in ("", self._started):
                return
            self._is_broken = True
            work.begin_anew()

    async def _repeat(self, connection: _Connection) -> None:
        """Send again what was accepted just before the connection broke."""
        for _, chunk in list(self._recent) if self._is_broken else ():
            lines = await in_thread(Encoder(self._hold).encode, chunk)
            work = _Work(lines, _spans(lines), [])
            while work.spans:
                await self._send(connection, work)
        self._is_broken = False

    def _note(self, chunk: Chunk, kept_s: float) -> None:
        """Keep a chunk that was accepted, in case that it was not on the database's disk yet."""
        now_s = asyncio.get_running_loop().time()
        self._recent.append((now_s, chunk))
        while now_s - self._recent[0][0] > kept_s:
            self._recent.popleft()

    async def _send(self, connection: _Connection, work: _Work) -> None:
        """Send the next lines: afterwards they are stored, refused, or two spans in place of one."""
        kept, start, end = work.spans[-1]
        middle = (start + end) // 2
        halves: list[Span] = [(kept, middle, end), (kept, start, middle)]
        body = b"\n".join(work.lines.lines[kept][start:end])
        if len(body) > self._most_bytes and start < middle:
            work.spans[-1:] = halves
            return
        answer = await self._write(connection, kept, body)
        if answer.status == _TOO_LARGE and start < middle:
            self._most_bytes = len(body) // 2
            work.spans[-1:] = halves
        elif answer.status in _BAD_LINES:
            if not work.is_proved:
                # A wrong path is a 400 as well, from some servers, and no fault of any line.
                await self.check()
                work.is_proved = True
            if start == middle or answer.dropped == end - start:
                _refuse(work, kept, range(start, end), answer.words)
                work.spans.pop()
            else:
                work.spans[-1:] = halves
        elif answer.status == STORED:
            work.spans.pop()
        else:
            await self._complain(answer)

    async def _complain(self, answer: Answer) -> NoReturn:
        """Say why nothing can be stored; where people must change something, all is sent again after it."""
        if answer.status in _PASSING or answer.status >= _FAILED:
            raise StoreBusy(self._table.url, f"it answered {answer.words}", answer.retry_after_s)
        await self._disconnect()
        self._most_bytes = MOST_BYTES
        if self._work is not None:
            self._work.begin_anew()
        remedy = _REMEDIES.get(answer.status, _REMEDY).format(bucket=self._table.bucket, org=self._table.org)
        raise StoreUnavailable(self._table.url, f"{remedy} (it answered {answer.words})")

    async def _write(self, connection: _Connection, kept: Kept, body: bytes) -> Answer:
        try:
            return await connection.writer.write(connection.buckets[kept], body)
        except StoreBusy as error:
            self._is_broken |= error.is_broken
            raise
        except StoreUnavailable:
            await self._disconnect()
            raise

    async def _read_back(self, connection: _Connection, work: _Work) -> None:
        """Read back a sample of the readings of a chunk, now and then, and whenever it is an old one.

        Raises:
            StoreUnavailable: Where nothing of it is there: then all of it is sent again.
        """
        now_s = asyncio.get_running_loop().time()
        batch = work.lines.chunk.batch
        is_old = bool((batch.received_ms - batch.source_ms > DAY_MS).any())
        accepted = [place for place in range(len(work.lines.rows)) if place not in work.gone]
        if not accepted or not connection.proof.is_due(now_s, is_old=is_old):
            return
        lines = work.lines.lines[Kept.DAYS]
        try:
            dropped = await connection.proof.dropped(lines, accepted, connection.buckets[Kept.DAYS])
        except Unreadable as error:
            self.doubt = str(error)
        except NothingThere as error:
            work.begin_anew()
            raise StoreUnavailable(self._table.url, str(error)) from error
        else:
            self.doubt = ""
            _refuse(work, Kept.DAYS, dropped, _DROPPED)
        connection.proof.proved_s = now_s

    # Connecting ---------------------------------------------------------------------------

    async def _connected(self) -> _Connection:
        if self._connection is None:
            try:
                token = self._token()
            except (OSError, ValueError) as error:
                raise StoreUnavailable(self._table.url, f"the token cannot be read: {error}") from error
            self._connection = await self._connect(token)
        return self._connection

    async def _connect(self, token: str) -> _Connection:
        http = Http(self._table.url, self._timeout_s)

        def ask() -> tuple[Kind, str, dict[Kept, str]]:
            kind, version = identify(http)
            return kind, version, find_buckets(http, kind, self._table, token)

        try:
            kind, version, buckets = await asyncio.to_thread(ask)
        except ValueError as error:
            http.close()
            raise StoreUnavailable(self._table.url, f"{_REMEDY}, and the token one line: {error}") from error
        except BaseException:
            http.close()
            raise
        writer = open_writer(
            kind, self._table, token, timeout_s=self._timeout_s, is_squeezed=self._is_squeezed
        )
        return _Connection(kind, version, buckets, http, writer, Proof(http, kind, token, self._pauses_s))

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.http.close()
            await connection.writer.close()


def _spans(lines: Lines) -> list[Span]:
    """Return a chunk's lines in bodies, the first of them last; readings go first."""
    spans: list[Span] = []
    for kept, of in lines.lines.items():
        spans += [(kept, start, min(start + MOST_LINES, len(of))) for start in range(0, len(of), MOST_LINES)]
    return spans[::-1]


def _refuse(work: _Work, kept: Kept, places: Sequence[int], words: str) -> None:
    work.rejected += [work.lines.rejection(kept, place, words) for place in places]
    if kept is Kept.DAYS:
        work.gone.update(places)
