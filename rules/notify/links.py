"""Signed links to acknowledge an alarm: whoever holds the link may do so, and nobody can make another one.

    {url}/ack/{alarm}?sig={HMAC-SHA256 of the alarm's id, by the secret, in hex}

An alarm's id is that of one episode, so a link is worth nothing once that is over.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks links.

    Attributes:
        url: Where people reach the monitor.
        secret: What signs.
    """

    url: str
    secret: bytes

    def to(self, alarm_id: str) -> str:
        """Return the link that acknowledges an alarm."""
        return f"{self.url.rstrip('/')}/ack/{quote(alarm_id, safe='')}?sig={self._signature(alarm_id)}"

    def is_signed(self, alarm_id: str, signature: str) -> bool:
        """Tell whether a signature is that of an alarm."""
        return hmac.compare_digest(self._signature(alarm_id).encode(), signature.encode(errors="replace"))

    def _signature(self, alarm_id: str) -> str:
        text = f"acknowledge\n{alarm_id}".encode()
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()
