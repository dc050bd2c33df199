"""One request, one body of lines, one answer: to `/api/v2/write` through the client library, or to `/write`.

The library is transport only, and it never repeats. It takes a while to import, so that is done when a
connection is made.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from facility.errors import StoreUnavailable
from facility.sitefile.tables import InfluxTable
from store.influx.requests import authorization, shortened
from store.influx.server import Kind, write_target
from store.retry import StoreBusy

STORED: Final = 204
_NOT_FOUND: Final = 404
_FAILED: Final = 500
# Stronger levels take longer than a body takes on its way: 15 ms or 170 for 5,000 lines, by our measurement.
_LEVEL: Final = 1
_DROPPED: Final = re.compile(r"\bdropped=(\d+)")
# What InfluxDB 1 says with status 500 of a database or a policy that is not there.
_ABSENT: Final = re.compile(r"\b(retention policy|database) not found\b")
_USUAL: Final = "expected an InfluxDB that takes writes: see whether url, org and bucket are right"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database answered.

    Attributes:
        status: The HTTP status.
        words: What it said, status and text, the text cut.
        retry_after_s: The pause that it asked for [s].
        dropped: How many lines of the request it says that it did not store; 0 where it does not say.
    """

    status: int
    words: str = ""
    retry_after_s: float | None = None
    dropped: int = 0


class Writer(Protocol):
    """A way on which bodies of lines go."""

    async def write(self, bucket: str, body: bytes) -> Answer:
        """Send a body.

        Args:
            bucket: Into which bucket.
            body: Lines, in milliseconds.

        Raises:
            StoreBusy: Where there is no answer.
            StoreUnavailable: Where none can be asked for.
        """
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


def open_writer(kind: Kind, table: InfluxTable, token: str, *, timeout_s: float, is_squeezed: bool) -> Writer:
    """Return a connection that writes lines to a database.

    Args:
        kind: Which database it is.
        table: Where it is, as the site file says.
        token: Access token, "" for none.
        timeout_s: How long a request may take in all [s].
        is_squeezed: Whether bodies are compressed.
    """
    if kind is Kind.INFLUXDB_1:
        return _PlainWriter(table, token, timeout_s, is_squeezed=is_squeezed)
    return _ClientWriter(table, token, timeout_s, is_squeezed=is_squeezed)


class _ClientWriter:
    """Through influxdb-client, as InfluxDB 2 and VictoriaMetrics take it."""

    def __init__(self, table: InfluxTable, token: str, timeout_s: float, *, is_squeezed: bool) -> None:
        from influxdb_client.client.influxdb_client_async import (  # noqa: PLC0415 - takes a quarter of a second
            InfluxDBClientAsync,
        )
        from influxdb_client.service.write_service import WriteService  # noqa: PLC0415 - likewise

        self._table = table
        self._timeout_s = timeout_s
        self._is_squeezed = is_squeezed
        self._client = InfluxDBClientAsync(
            table.url,
            token,
            table.org,
            timeout=round(timeout_s * 1_000),
            # A redirected POST arrives as a GET, whose answer looks like success.
            allow_redirects=False,
        )
        if ":" in token:
            self._client.api_client.default_headers.update(authorization(token))
        self._service = WriteService(self._client.api_client)

    async def write(self, bucket: str, body: bytes) -> Answer:
        import aiohttp  # noqa: PLC0415 - imported by the library
        from influxdb_client.rest import ApiException  # noqa: PLC0415 - likewise

        squeezed: dict[str, str] = {}
        if self._is_squeezed:
            body = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
            squeezed["content_encoding"] = "gzip"
        try:
            _, status, headers = await self._service.post_write_async(
                self._table.org,
                bucket,
                body,
                precision="ms",
                content_type="text/plain; charset=utf-8",
                _return_http_data_only=False,
                **squeezed,
            )
        except ApiException as error:
            return _answer(error.status, error.message, error.headers)
        except TimeoutError as error:
            raise StoreBusy(self._table.url, f"no answer within {self._timeout_s:g} s") from error
        except ValueError as error:
            raise StoreUnavailable(self._table.url, f"{_USUAL}, and the token one line: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreBusy(self._table.url, f"{type(error).__name__}: {error}", is_broken=True) from error
        return _answer(status, b"", headers)

    async def close(self) -> None:
        await self._client.close()


class _PlainWriter:
    """To InfluxDB 1.x, which the library does not speak to."""

    def __init__(self, table: InfluxTable, token: str, timeout_s: float, *, is_squeezed: bool) -> None:
        import aiohttp  # noqa: PLC0415 - as late as the library

        self._table = table
        self._timeout_s = timeout_s
        self._is_squeezed = is_squeezed
        try:
            headers = authorization(token) | {"Content-Type": "text/plain; charset=utf-8"}
        except ValueError as error:
            raise StoreUnavailable(table.url, f"the token cannot be one: {error}") from error
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(total=timeout_s), auto_decompress=True
        )

    async def write(self, bucket: str, body: bytes) -> Answer:
        import aiohttp  # noqa: PLC0415 - imported before

        path, query = write_target(Kind.INFLUXDB_1, self._table, bucket)
        headers: dict[str, str] = {}
        if self._is_squeezed:
            body = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        url = self._table.url.rstrip("/") + path
        try:
            async with self._session.post(
                url, params=query, data=body, headers=headers, allow_redirects=False
            ) as reply:
                return _answer(reply.status, await reply.read(), reply.headers)
        except TimeoutError as error:
            raise StoreBusy(self._table.url, f"no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreBusy(self._table.url, f"{type(error).__name__}: {error}", is_broken=True) from error

    async def close(self) -> None:
        await self._session.close()


def _answer(status: int, message: Any, headers: Mapping[str, str]) -> Answer:  # noqa: ANN401 - bytes or text
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    dropped = _DROPPED.search(text)
    if status == _FAILED and _ABSENT.search(text):
        status = _NOT_FOUND
    return Answer(
        status=status,
        words=f"{status}: {shortened(text)}",
        retry_after_s=_retry_after_s(headers),
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
