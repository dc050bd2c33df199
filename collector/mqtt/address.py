"""Broker and credentials of a connection, and what people are told when it fails."""

from __future__ import annotations

import re
import secrets
import ssl
from dataclasses import dataclass, field, replace
from typing import Final

UNSUPPORTED: Final = frozenset({1, 132})
"""A broker's answers that it does not speak this version: CONNACK of MQTT 3.1.1 (3.2.2.3) and 5 (3.2.2.2)."""
BAD_LOGIN: Final = frozenset({4, 5, 134, 135})
"""A broker's answers that user name and password do not let us in, in both versions."""

_UNTRUSTED: Final = "certificate verify failed: "
_WANTS_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "UNKNOWN_CA", "BAD_CERTIFICATE")
_NOISE: Final = re.compile(r"^\[[^\]]*\] *|\.? *\(_ssl\.c:\d+\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Broker and credentials of a connection.

    Attributes:
        host: Host name or address.
        port: Port.
        client_id: Fixed client id.
        username: User name, None for none.
        password: Password, None for none; it is not shown.
        tls: TLS with name check, None for a plain connection.
        keepalive_s: How long a connection may be quiet [s].
        session_expiry_s: How long the broker keeps our session while we are away [s].
        receive_maximum: Messages that may be on their way unacknowledged.
    """

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    keepalive_s: int = 15
    session_expiry_s: int = 86_400
    receive_maximum: int = 5_000

    @property
    def place(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def as_probe(self, role: str = "probe") -> Address:
        """Return the same with a client id of its own, whose session leaves nothing behind."""
        return replace(self, client_id=f"megawatch-{role}-{secrets.token_hex(4)}", session_expiry_s=0)

    def login_refused(self, answer: str) -> str:
        """Return what to tell when the broker did not let us in.

        Args:
            answer: What the broker said.
        """
        if self.username is None:
            return f"{self.place} wants a user name and a password ({answer.lower()})"
        return f"{self.place} does not accept the password of user '{self.username}' ({answer.lower()})"

    def refused_by_tls(self, error: str) -> str:
        """Return what to tell when the broker ended TLS after it was begun.

        Args:
            error: What the TLS library said.
        """
        plain = _NOISE.sub("", error[max(0, error.find("[SSL")) :]).strip()
        plain = _NOISE.sub("", plain).lower()
        if any(word in error.upper() for word in _WANTS_CERTIFICATE):
            return (
                f"{self.place} wants a client certificate that it knows: set cert_file and key_file ({plain})"
            )
        return f"{self.place} ended TLS ({plain})"

    def not_reached(self, error: str) -> tuple[str, bool]:
        """Return what to tell when no connection came about, and whether that is for its certificate.

        Args:
            error: What the operating system or the TLS library said.
        """
        plain = _NOISE.sub("", _NOISE.sub("", error)).strip()
        if plain.startswith(_UNTRUSTED):
            cause = plain.removeprefix(_UNTRUSTED)
            return f"the certificate of {self.place} is not accepted: {cause[:1].lower()}{cause[1:]}", True
        if error.startswith("[SSL"):
            return f"{self.place} does not speak TLS as expected ({plain.lower()})", False
        return f"{self.place}: {plain[:1].lower()}{plain[1:]}", False
