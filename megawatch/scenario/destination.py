"""Broker and credentials for publishing a simulated site, out of a command's options."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from collector.mqtt.address import BAD_LOGIN
from collector.mqtt.address import Address as Listening
from facility.errors import MegawatchError
from megawatch.cli.brokeraddress import PORTS, split_login
from megawatch.cli.usage import WrongUsage
from simulators.publish.link import Address, BrokerLost, BrokerRefused
from simulators.publish.publisher import address_of

_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


class NotPublished(MegawatchError):  # noqa: N818 - says what happened
    """A broker did not take what the simulated site said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A broker to publish to.

    Attributes:
        url: Its address, without user name and password.
        username: User name, None for none.
        password: Password, None for none; it is not shown.
        authority: Certificates to trust, as PEM; None for the system's.
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    authority: str | None = None

    @classmethod
    def of(
        cls,
        url: str,
        *,
        username: str | None = None,
        password_file: Path | None = None,
        ca_file: Path | None = None,
    ) -> Self:
        """Return the broker that a command's options name.

        Args:
            url: `mqtt://host:port` or `mqtts://host:port`, user and password before the host where they are
                not given otherwise.
            username: User name.
            password_file: File that holds the password.
            ca_file: Certificates to trust.

        Raises:
            WrongUsage: Where they cannot be used.
            OSError: Where a file cannot be read.
        """
        bare, user, password = split_login(url, *PORTS)
        authority = None
        if password_file is not None:
            password = password_file.read_text(encoding="utf-8-sig").strip()
        if ca_file is not None:
            if not bare.startswith("mqtts:"):
                raise WrongUsage(f"--ca-file: expected beside mqtts://, found beside '{bare}'")
            authority = _certificates(ca_file)
        if password is not None and not (username or user):
            raise WrongUsage("--username: expected beside a password, found nothing")
        return cls(url=bare, username=username or user, password=password, authority=authority)

    @property
    def address(self) -> Address:
        """Broker and credentials to publish with."""
        return address_of(self.url, username=self.username, password=self.password, authority=self.authority)

    def not_published(self, error: BrokerLost | BrokerRefused | OSError) -> NotPublished:
        """Return what to raise when the broker cannot be reached, or does not accept us."""
        address = self.address
        place = Listening(host=address.host, port=address.port, client_id="", username=self.username)
        if isinstance(error, BrokerRefused):
            if error.code in BAD_LOGIN:
                return NotPublished(place.login_refused(error.cause))
            return NotPublished(f"{self.url} does not take what is published: {error.cause}")
        return NotPublished(place.not_reached(_reason(error))[0])


def _reason(error: BrokerLost | OSError) -> str:
    """Return why no connection came about, in the words of the operating system or of the TLS library."""
    cause = error.__cause__ if isinstance(error, BrokerLost) and error.__cause__ is not None else error
    text = str(cause) or str(error) or type(cause).__name__
    if isinstance(cause, ssl.SSLError | socket.gaierror) or (number := _ERRNO.search(text)) is None:
        return text
    # The loop tries every address of a host and says so of each.
    return os.strerror(int(number[1]))


def _certificates(file: Path) -> str:
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    try:
        ssl.create_default_context().load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise WrongUsage(f"--ca-file: expected PEM certificates, found '{file}', which holds none") from None
    return text
