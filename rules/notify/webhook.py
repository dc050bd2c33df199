"""A signed webhook: a receiver can tell that it is from us, that it is fresh, and that it is a repetition.

    POST {url}
    Content-Type: application/json
    Idempotency-Key: {the message's key, the same at every attempt}
    Megawatch-Timestamp: {Unix seconds of this attempt}
    Megawatch-Signature: v1={hex HMAC-SHA256 of "{timestamp}.{body}" under the shared secret}

What an answer means, `rules.notify.http` says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

from rules.notify.http import Poster
from store.ledger.alarms import Notice


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a body sent at a time."""
    mac = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"


class WebhookNotifier:
    """Posts notifications to one address.

    Args:
        url: Address, http or https.
        secret: The shared secret; b"" leaves the signature out.
        proxy: The proxy on the way there; None for the straight way.
        now_ms: The clock [ms].
    """

    def __init__(
        self, url: str, secret: bytes, *, now_ms: Callable[[], int], proxy: str | None = None
    ) -> None:
        self._poster = Poster(url, now_ms=now_ms, proxy=proxy)
        self._secret = secret
        self._now_ms = now_ms

    async def deliver(self, notice: Notice) -> None:
        """Post a notification.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        body = json.dumps(dict(notice.body), sort_keys=True, ensure_ascii=False).encode()
        timestamp = str(self._now_ms() // 1_000)
        headers = {"Idempotency-Key": notice.key, "Megawatch-Timestamp": timestamp}
        if self._secret:
            headers["Megawatch-Signature"] = sign(self._secret, timestamp, body)
        await self._poster.post(body, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
