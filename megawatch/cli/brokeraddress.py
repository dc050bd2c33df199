"""Broker and credentials of a connection, out of a site file or a command's options."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from collector.mqtt.address import Address
from facility.sitefile.tables import BrokerTable
from megawatch.cli.usage import WrongUsage

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class BadAddress(WrongUsage):
    """What was given is not the address of a broker."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected a broker such as {expected}, found '{found}'")


def split_login(url: str, *schemes: str) -> tuple[str, str | None, str | None]:
    """Return a broker's address without the user and the password in it, and these two.

    Args:
        url: `mqtt://host:port`, or `mqtt://user:password@host:port`.
        schemes: Which schemes may stand there.

    Raises:
        BadAddress: Where it is no such address; a password is not shown.
    """
    parts = None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
        usable = usable and not parts.query and not parts.fragment and parts.path in ("", "/")
    except ValueError:
        usable = False
    if parts is None or not usable:
        expected = " or ".join(f"{scheme}://host:port" for scheme in schemes)
        raise BadAddress(expected, url.rpartition("@")[2])
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return (
        bare,
        unquote(parts.username) if parts.username else None,
        parts.password and unquote(parts.password),
    )


def present_certificate(tls: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let TLS present a certificate of our own.

    Args:
        tls: What it is to be presented with.
        certificate: The certificate, with whatever lies between it and its authority.
        key: Its private key, which may be the same file.

    Raises:
        OSError: Where they cannot be read, or do not belong together, or the key wants a pass phrase.
    """
    tls.load_cert_chain(certificate, key, password=lambda: "")  # else OpenSSL asks on the terminal


def address_of(broker: BrokerTable, client_id: str, secrets: Mapping[str, str], folder: Path) -> Address:
    """Return broker and credentials of a connection.

    Args:
        broker: Its `[[broker]]` table.
        client_id: The client id, where the broker's table names none.
        secrets: What secret files hold, by the path that the table names.
        folder: Where these paths begin.

    Raises:
        OSError: Where certificate and key cannot be read, or do not belong together.
    """
    url = urlsplit(broker.url)
    tls: ssl.SSLContext | None = None
    if url.scheme == "mqtts":
        tls = ssl.create_default_context(cadata=secrets[broker.ca_file] if broker.ca_file else None)
        if broker.cert_file is not None:
            present_certificate(
                tls, folder / broker.cert_file, folder / (broker.key_file or broker.cert_file)
            )
    return Address(
        host=url.hostname or "127.0.0.1",
        port=url.port or PORTS[url.scheme],
        client_id=broker.client_id or client_id,
        username=broker.username,
        password=secrets[broker.password_file] if broker.password_file else None,
        tls=tls,
        keepalive_s=broker.keepalive_s,
        session_expiry_s=broker.session_expiry_s,
        receive_maximum=broker.receive_maximum,
    )
