"""Chunks to an InfluxDB, or to whatever else takes its `/api/v2/write`.

The client library is transport only: one call is one request, with a prepared body. It never repeats, and
nothing is kept here beyond the chunk at hand, so an outage is waited out where the chunks come from. Points
overwrite themselves, so whatever may have been stored is simply sent again. A server that does not know
how to overwrite must be told to (VictoriaMetrics: `-dedup.minScrapeInterval=1ms`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final, NoReturn

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from facility.errors import StoreUnavailable
from facility.readings import Rejection
from facility.sitetables import InfluxTable
from store.base import Chunk
from store.lineprotocol import Encoder, Lines

MOST_LINES: Final = 5_000
"""Lines in a request at most: what InfluxDB's manual advises."""
MOST_BYTES: Final = 1_000_000
"""Bytes in a request at most, for proxies that allow no more; a server that says 413 is sent less."""

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_MOST_DOUBLINGS: Final = 6
_MOST_WORDS: Final = 400
_STORED: Final = 204
_TOO_LARGE: Final = 413
_BAD_LINES: Final = (400, 422)
_PASSING: Final = (408, 425, 429)
_FAILED: Final = 500
_DROPPED: Final = re.compile(r"\bdropped=(\d+)")
# A comment is a write of nothing, for which url, organisation, bucket and token must be right all the same.
_NOTHING: Final = b"#"
# InfluxDB 3 says this of a write of nothing once all else is right.
_EMPTY: Final = "incoming write was empty"
_REMEDIES: Final = {
    401: "the token is not valid: put a valid one into the token file",
    403: "the token may not write to bucket {bucket!r}: give it the permission, or use another token",
    404: "bucket {bucket!r}, organisation {org!r} or the path of the url is not there: create or correct it",
    413: "it takes no line however short: raise the limit of a request's length",
}
_REMEDY: Final = "expected an InfluxDB that takes writes: see whether url, org and bucket are right"


class InfluxBusy(StoreUnavailable):
    """The database is away or has too much to do, and nobody need do anything about it here.

    Attributes:
        retry_after_s: The pause that it asked for [s], None if it did not.
    """

    def __init__(self, store: str, cause: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(store, cause)


def pause_s(attempt: int, retry_after_s: float | None, random: Random) -> float:
    """Return how long to wait before the next attempt [s].

    Args:
        attempt: How many attempts have failed in a row, less one.
        retry_after_s: What the database asked for [s]: never shortened.
        random: What spreads the attempts of several writers.
    """
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(attempt, _MOST_DOUBLINGS))
    return max(retry_after_s or 0.0, random.uniform(0.0, longest))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the database answered.

    Attributes:
        status: The HTTP status; 0 for one that says success and yet does not say stored.
        words: What it said, status and text, the text cut.
        retry_after_s: The pause that it asked for [s].
        dropped: How many lines of the request it says that it did not store; 0 where it does not say.
    """

    status: int
    words: str = ""
    retry_after_s: float | None = None
    dropped: int = 0


@dataclass(slots=True)
class _Work:
    """A chunk on its way.

    Attributes:
        lines: What it is made of.
        spans: Which lines are still to be sent, first and end; the next ones last.
        rejected: What will never be stored.
        is_proved: Whether a write of nothing was accepted since the chunk was last taken up.
    """

    lines: Lines
    spans: list[tuple[int, int]]
    rejected: list[Rejection]
    is_proved: bool = False


class InfluxSink:
    """Stores chunks in an InfluxDB. One chunk at a time; not to be shared between tasks.

    Args:
        table: Where it is, as the site file says.
        token: Gives the token; asked again after the database refused it.
        timeout_s: How long a request may take in all [s].
    """

    def __init__(self, table: InfluxTable, token: Callable[[], str], timeout_s: float = 10.0) -> None:
        self._table = table
        self._token = token
        self._timeout_s = timeout_s
        self._client: InfluxDBClientAsync | None = None
        self._encoder = Encoder()
        self._work: _Work | None = None
        self._most_bytes = MOST_BYTES

    @property
    def name(self) -> str:
        """What its cursor is called."""
        return "influx"

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Store a chunk; the same chunk again goes on where it stopped.

        Args:
            chunk: What comes after the last chunk that was stored.

        Returns:
            What the database will never take, in no particular order.

        Raises:
            InfluxBusy: Where it will pass by itself: the same chunk is tried again later.
            StoreUnavailable: Where somebody has to do something first, which it says.
        """
        if self._work is None or self._work.lines.chunk is not chunk:
            lines = self._encoder.encode(chunk)
            starts = range(0, len(lines.lines), MOST_LINES)
            spans = [(start, min(start + MOST_LINES, len(lines.lines))) for start in reversed(starts)]
            self._work = _Work(lines, spans, lines.refused)
        work = self._work
        work.is_proved = False
        while work.spans:
            await self._send(work)
        self._work = None
        return work.rejected

    async def check(self) -> None:
        """Find out whether a chunk could be stored, by a write of nothing.

        Raises:
            InfluxBusy: Where it can not be stored now.
            StoreUnavailable: Where somebody has to do something first, which it says.
        """
        answer = await self._post(_NOTHING)
        if answer.status != _STORED and _EMPTY not in answer.words:
            await self._complain(answer)

    async def close(self) -> None:
        """Close the connection and forget the chunk at hand; the next chunk opens it again."""
        self._work = None
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]  # the library's

    async def _send(self, work: _Work) -> None:
        """Send the next lines: afterwards they are stored, refused, or two spans in place of one."""
        start, end = work.spans[-1]
        middle = (start + end) // 2
        halves = [(middle, end), (start, middle)]
        body = b"\n".join(work.lines.lines[start:end])
        if len(body) > self._most_bytes and start < middle:
            work.spans[-1:] = halves
            return
        answer = await self._post(body)
        if answer.status == _TOO_LARGE and start < middle:
            self._most_bytes = len(body) // 2
            work.spans[-1:] = halves
        elif answer.status in _BAD_LINES:
            if not work.is_proved:
                # A wrong path is a 400 as well, from some servers, and no fault of any line.
                await self.check()
                work.is_proved = True
            if start == middle or answer.dropped == end - start:
                work.rejected += [work.lines.rejection(place, answer.words) for place in range(start, end)]
                work.spans.pop()
            else:
                work.spans[-1:] = halves
        elif answer.status == _STORED:
            work.spans.pop()
        else:
            await self._complain(answer)

    async def _complain(self, answer: _Answer) -> NoReturn:
        """Say why nothing can be stored; the token is asked for anew where it is not known to be good."""
        if answer.status in _PASSING or answer.status >= _FAILED:
            raise InfluxBusy(self._table.url, f"it answered {answer.words}", answer.retry_after_s)
        await self.close()
        self._most_bytes = MOST_BYTES
        remedy = _REMEDIES.get(answer.status, _REMEDY).format(bucket=self._table.bucket, org=self._table.org)
        raise StoreUnavailable(self._table.url, f"{remedy} (it answered {answer.words})")

    async def _post(self, body: bytes) -> _Answer:
        write_api = self._connected().write_api()
        try:
            is_stored = await write_api.write(
                self._table.bucket,
                self._table.org,
                record=body,
                write_precision=WritePrecision.MS,  # type: ignore[arg-type]  # the library's own constant
            )
        except ApiException as error:
            return _answer(error)
        except TimeoutError as error:
            raise InfluxBusy(self._table.url, f"no answer within {self._timeout_s:g} s") from error
        except ValueError as error:
            await self.close()
            raise StoreUnavailable(self._table.url, f"{_REMEDY}, and the token one line: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise InfluxBusy(self._table.url, f"{type(error).__name__}: {error}") from error
        return _Answer(_STORED) if is_stored else _Answer(0, "a success, but not that anything is stored")

    def _connected(self) -> InfluxDBClientAsync:
        if self._client is None:
            try:
                token = self._token()
            except (OSError, ValueError) as error:
                raise StoreUnavailable(self._table.url, f"the token can not be read: {error}") from error
            self._client = InfluxDBClientAsync(
                self._table.url,
                token,
                self._table.org,
                timeout=round(self._timeout_s * 1_000),
                # A redirected POST arrives as a GET, whose answer looks like success.
                allow_redirects=False,
            )
        return self._client


def _answer(error: ApiException) -> _Answer:
    words = error.message.decode("utf-8", "replace") if isinstance(error.message, bytes) else error.message
    text = " ".join(str(words).split())
    dropped = _DROPPED.search(text)
    if len(text) > _MOST_WORDS:
        # What is wrong with a line stands at the end, after the line itself.
        text = f"{text[: _MOST_WORDS // 2]} ... {text[-_MOST_WORDS // 2 :]}"
    return _Answer(
        status=error.status,
        words=f"{error.status}: {text}",
        retry_after_s=_retry_after_s(error.headers),
        dropped=int(dropped[1]) if dropped else 0,
    )


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the pause that is asked for [s]; a moment is taken by the clock of who names it."""
    text = headers.get("Retry-After", "")
    try:
        if text.isdecimal():
            return float(text)
        moment, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError):
        return None
