"""Small requests to a database: what it is, what it holds. Lines go another way (`store.influx.write`).

Blocking, for threads and for programs that ask once; one request at a time over a connection that is kept.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final
from urllib.parse import urlencode, urlsplit

from facility.errors import StoreUnavailable
from store.retry import StoreBusy

_MOST_BYTES: Final = 1_000_000_000
_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class Reply:
    """What a database answered.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The body, not decoded.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """Status and text, the text cut."""
        return f"{self.status}: {shortened(self.body.decode('utf-8', 'replace'))}"


def shortened(text: str) -> str:
    """Return a text on one line, its middle cut: what is wrong with a line stands at the end, after it."""
    text = " ".join(text.split())
    return text if len(text) <= _WORDS else f"{text[: _WORDS // 2]} ... {text[-_WORDS // 2 :]}"


def authorization(token: str) -> dict[str, str]:
    """Return the header that shows a token; `user:password` is shown as InfluxDB 1.x and proxies take it.

    Raises:
        ValueError: Where the token is more than one line.
    """
    if not token:
        return {}
    if not token.isascii() or not token.isprintable():
        raise ValueError("expected one line of ASCII")
    if ":" in token:
        return {"Authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}
    return {"Authorization": f"Token {token}"}


class Http:
    """A way to a database. Methods may be called from any thread; they wait for each other.

    Args:
        url: Where it is; a path is put before every other.
        timeout_s: How long it may be silent [s].
    """

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        self.url = url
        self._path = parts.path.rstrip("/")
        self._lock = Lock()
        host, port = parts.hostname or "", parts.port
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=timeout_s)
        )

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        with self._lock:
            self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a request that may be made twice.

        Args:
            method: The HTTP method.
            path: The path, below that of the url.
            query: Parameters, by name.
            body: What is sent.
            headers: What is told besides.

        Raises:
            StoreBusy: Where there is no answer.
        """
        target = f"{self._path}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._lock:
            try:
                try:
                    return self._ask(method, target, body, headers or {})
                except (http.client.RemoteDisconnected, ConnectionError):
                    # The server may have closed a connection that was not used for a while.
                    self._connection.close()
                    return self._ask(method, target, body, headers or {})
            except (OSError, http.client.HTTPException) as error:
                with suppress(OSError):
                    self._connection.close()
                raise StoreBusy(self.url, f"{type(error).__name__}: {error}") from error

    def _ask(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        self._connection.request(method, target, body, dict(headers))
        answer = self._connection.getresponse()
        data = answer.read(_MOST_BYTES)
        if answer.read(1):
            self._connection.close()
            raise StoreUnavailable(self.url, f"its answer is longer than {_MOST_BYTES:,} bytes: ask for less")
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)
