"""A signed webhook: a receiver can tell that it is from us, that it is fresh, and that it is a repetition.

    POST {url}
    Content-Type: application/json
    Idempotency-Key: {the message's key, the same at every attempt}
    Megawatch-Timestamp: {Unix seconds of this attempt}
    Megawatch-Signature: v1={hex HMAC-SHA256 of "{timestamp}.{body}" under the shared secret}

2xx accepts. 408, 429, 5xx and anything of the network is tried again, not before `Retry-After`. Any other
answer is final: the message is kept, marked as refused, and shown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from facility.errors import DeliveryError
from facility.instants import to_ms
from store.alarms import Notice

TIMEOUT_S: Final = 10.0
"""How long a receiver may take."""
MOST_ERROR: Final = 200
"""How much of a receiver's answer is kept."""
LONGEST_RETRY_AFTER_S: Final = 3_600.0
"""A receiver that asks for more than an hour is asked again after one."""

_RETRY: Final = frozenset({408, 429})


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a body sent at a time."""
    mac = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"


class WebhookNotifier:
    """Posts notifications to one address.

    Args:
        url: The address.
        secret: The shared secret; b"" leaves the signature out.
        now_ms: The clock [ms].
    """

    def __init__(self, url: str, secret: bytes, *, now_ms: Callable[[], int]) -> None:
        self._url = url
        self._secret = secret
        self._now_ms = now_ms
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, notice: Notice) -> None:
        """Post a notification.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        body = json.dumps(dict(notice.body), sort_keys=True, ensure_ascii=False).encode()
        timestamp = str(self._now_ms() // 1_000)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notice.key,
            "Megawatch-Timestamp": timestamp,
        }
        if self._secret:
            headers["Megawatch-Signature"] = sign(self._secret, timestamp, body)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                text = (await answer.content.read(MOST_ERROR)).decode(errors="replace")
                status, retry_after = answer.status, answer.headers.get("Retry-After")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise DeliveryError(cause, worth_retrying=True) from error
        if 200 <= status < 300:  # noqa: PLR2004 - the class of success
            return
        again = status in _RETRY or status >= 500  # noqa: PLR2004 - the class of server errors
        pause_s = self._retry_after_s(retry_after) if again else None
        raise DeliveryError(f"{status} {text}".strip(), worth_retrying=again, retry_after_s=pause_s)

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
