"""Posting to a receiver over HTTP, and what its answer means for a page.

2xx accepts. 408, 425, 429, 5xx and anything of the network passes, and the page is tried again, not before
`Retry-After`. A redirect, 401, 403, 404 and the like need people: the page is tried again slowly, and other
routes are told. 400, 422 and the like refuse this page and no other; a critical one is tried again too.

Where the way goes is what the site file says: no proxy and no password is taken from the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from facility.errors import DeliveryError, Outlook
from facility.instants import to_ms

TIMEOUT_S: Final = 10.0
"""How long a receiver may take."""
MOST_ERROR: Final = 200
"""How much of a receiver's answer is kept."""
LONGEST_RETRY_AFTER_S: Final = 3_600.0
"""A receiver that asks for more than an hour is asked again after one."""

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_PASSES: Final = frozenset({408, 425, 429})
_REFUSES: Final = frozenset({400, 406, 409, 411, 413, 415, 416, 417, 422, 431})
"""What is said of a message; everything else below 500 is said of an address or of who asks."""


def _outlook(status: int) -> Outlook:
    """Return what becomes of a page that was answered with a status that is no success."""
    if status >= 500 or status in _PASSES:  # noqa: PLR2004 - the class of server errors
        return Outlook.PASSES
    return Outlook.REFUSED if status in _REFUSES else Outlook.NEEDS_SOMEBODY


def _outlook_of(error: Exception) -> Outlook:
    """Return what becomes of a page to which there was no answer: a certificate does not pass by itself."""
    is_certificate = isinstance(error, aiohttp.ClientConnectorCertificateError)
    return Outlook.NEEDS_SOMEBODY if is_certificate else Outlook.PASSES


class Poster:
    """Posts JSON to one address.

    Args:
        url: Address, http or https; it is in no error.
        proxy: The proxy on the way there; None for the straight way.
        now_ms: The clock [ms].
    """

    def __init__(self, url: str, *, now_ms: Callable[[], int], proxy: str | None = None) -> None:
        self._url = url
        self._proxy = proxy
        self._now_ms = now_ms
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str] = _NONE) -> None:
        """Post a JSON document.

        Args:
            body: The document.
            headers: What is said besides its type.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
                proxy=self._proxy,
            ) as answer:
                status, told = answer.status, answer.headers
                if 200 <= status < 300:  # noqa: PLR2004 - the class of success
                    return
                text = (await answer.content.read(MOST_ERROR)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise DeliveryError(cause, _outlook_of(error)) from error
        outlook = _outlook(status)
        pause_s = self._retry_after_s(told.get("Retry-After")) if outlook is Outlook.PASSES else None
        if "Location" in told:
            text = f"to {_origin(told['Location'])} {text}"
        raise DeliveryError(f"{status} {self._without_secrets(text)}".strip(), outlook, retry_after_s=pause_s)

    def _without_secrets(self, text: str) -> str:
        """Return what was answered without our own path and query: they may be a password."""
        parts = urlsplit(self._url)
        for secret in (parts.query, parts.path):
            if len(secret) > 1:
                text = text.replace(secret, "/...")
        return text

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _retry_after_s(self, text: str | None) -> float | None:
        """Read Retry-After: seconds, or a date."""
        if text is None:
            return None
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = (to_ms(parsedate_to_datetime(text)) - self._now_ms()) / 1_000
            except (ValueError, TypeError):
                return None
        return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S)


def _origin(url: str) -> str:
    """Return scheme and host of an address; the rest may be a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"
