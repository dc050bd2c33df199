"""The client beneath a connection: aiomqtt's, told what we want of session, flow and TLS."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.mqtt.address import Address

CONNECT_S: Final = 10.0
"""How long a broker may take to answer [s]."""
HANDSHAKE_S: Final = 5.0
"""How long one step of beginning TLS may take [s]: nothing interrupts it."""


def make_client(address: Address, version: int, *, is_clean: bool = False) -> aiomqtt.Client:
    """Return a client that is not connected yet.

    Args:
        address: Broker and credentials.
        version: MQTT version, 5 or 4 (which is 3.1.1).
        is_clean: Whether the broker is to drop what it keeps of our session, at once and afterwards.
    """
    arguments: dict[str, Any] = {}
    if version == aiomqtt.ProtocolVersion.V5.value:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0 if is_clean else address.session_expiry_s
        properties.ReceiveMaximum = address.receive_maximum
        arguments |= {"clean_start": is_clean, "properties": properties}
    else:
        arguments["clean_session"] = is_clean
    client = aiomqtt.Client(
        address.host,
        address.port,
        identifier=address.client_id,
        protocol=aiomqtt.ProtocolVersion(version),
        username=address.username,
        password=address.password,
        tls_context=address.tls,
        keepalive=address.keepalive_s,
        timeout=CONNECT_S,
        **arguments,
    )
    if address.tls is not None:
        paho: Any = client._client  # noqa: SLF001 - the only way
        paho._ssl_wrap_socket = partial(_secured, address.tls, address.host)  # noqa: SLF001 - as above
    return client


def _secured(tls: ssl.SSLContext, host: str, plain: socket.socket) -> ssl.SSLSocket:
    """Begin TLS, and check the name; paho leaves the socket open where that fails."""
    secured = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    try:
        secured.settimeout(HANDSHAKE_S)
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured
