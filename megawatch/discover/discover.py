"""Discovery: listen to a bus, and propose a site file with the racks, graph and ratings that it tells of."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from collector.decode.registry import FORMATS
from collector.mqtt.address import Address
from collector.mqtt.connection import Connection, Lost, Refused
from collector.mqtt.message import Messages
from facility.errors import MegawatchError
from facility.names import NAME_RULE, is_name
from facility.sitefile.tables import BrokerTable
from megawatch.cli.brokeraddress import address_of, split_login
from megawatch.cli.outputs import Discovered
from megawatch.cli.usage import WrongUsage
from megawatch.discover.listener import Heard, Listener
from megawatch.discover.proposal import propose
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder

TAKE_S: Final = 0.1
"""How often what has come is taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Credentials to listen with.

    Attributes:
        username: User name, None for none or the one in the address.
        password_file: File that holds the password.
        ca_file: Certificates to trust, None for the system's.
    """

    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus to listen to, and what its site is to be called.

    Attributes:
        table: The broker, as the proposed site file will name it.
        address: Broker and credentials.
        name: Name of the site.
    """

    table: BrokerTable
    address: Address
    name: str

    @classmethod
    def at(cls, url: str, name: str, login: Login, beside: Path | None) -> Self:
        """Return the bus that a command's options name.

        Args:
            url: The broker, `mqtt://host:port` or `mqtts://host:port`.
            name: What to call the site.
            login: Options about the login.
            beside: The folder of the site file, from which its files are named; None for absolute names.

        Raises:
            WrongUsage: Where they cannot be used.
            OSError: Where a file cannot be read.
        """
        if not is_name(name):
            raise WrongUsage(f"--name: expected {NAME_RULE}, found '{name}'")
        bare, user, password = split_login(url, "mqtt", "mqtts")
        if login.ca_file is not None and not bare.startswith("mqtts:"):
            raise WrongUsage(f"--ca-file: expected beside mqtts://, found beside '{bare}'")
        written: dict[str, str] = {"url": bare}
        if login.username or user:
            written["username"] = str(login.username or user)
        files: dict[str, str] = {}
        for key, path in (("password_file", login.password_file), ("ca_file", login.ca_file)):
            if path is not None:
                whole = str(path.resolve())
                written[key] = whole if beside is None else os.path.relpath(whole, beside.resolve())
                files[written[key]] = path.read_text(encoding="utf-8-sig").strip()
        table = BrokerTable.model_validate(written)
        address = address_of(table, "discover", files, Path()).as_probe("discover")
        return cls(table, replace(address, password=address.password or password), name)

    @classmethod
    def of(cls, folder: SiteFolder) -> Self:
        """Return the first bus of a site.

        Raises:
            WrongUsage: Where the site file names no DSX bus.
        """
        table = next((b for b in folder.file.brokers if FORMATS[b.format].describes_site), None)
        if table is None:
            formats = " or ".join(name for name, found in FORMATS.items() if found.describes_site)
            raise WrongUsage(f"{folder.path}: expected a broker of format {formats}, found none")
        return cls(
            table,
            folder.address(table, "discover").as_probe("discover"),
            folder.file.site.name,
        )


async def listen(bus: Bus, seconds: float) -> Heard:
    """Listen to a bus.

    Args:
        bus: Broker and credentials, and the name of the site.
        seconds: For how long [s].

    Raises:
        Refused: Where the broker does not accept us.
        Lost: Where it cannot be reached, or goes away.
    """
    listener = Listener(bus.table)
    clock = SteadyClock()
    for version in (5, 4):
        came: list[Messages] = []
        connection = Connection(
            bus.address,
            version=version,
            take=came.append,
            connected=lambda _resumed: None,
            now_ms=clock.now_ms,
        )
        try:
            async with connection:
                await connection.subscribe([(topic, 0) for topic in listener.topics])
                ended = asyncio.create_task(connection.ended())
                until_ms = clock.now_ms() + seconds * 1_000
                while clock.now_ms() < until_ms and not ended.done():
                    await asyncio.wait({ended}, timeout=TAKE_S)
                    for messages in came:
                        listener.take(messages)
                    came.clear()
                if ended.done():
                    ended.result()
                ended.cancel()
                return listener.heard
        except Refused as error:
            if not error.is_version or version == 4:  # noqa: PLR2004 - MQTT 3.1.1
                raise
        except Lost as error:
            if not error.is_unanswered or version == 4:  # noqa: PLR2004 - MQTT 3.1.1
                raise
    raise AssertionError("unreachable: the last version returns or raises")


async def discover_site(bus: Bus, seconds: float) -> Discovered:
    """Listen to a bus and propose a site file.

    Args:
        bus: Broker and credentials, and the name of the site.
        seconds: For how long to listen [s].

    Returns:
        The site file, and in figures what it was made of.

    Raises:
        MegawatchError: Where the broker cannot be reached or does not accept us.
    """
    try:
        heard = await listen(bus, seconds)
    except (Refused, Lost) as error:
        raise MegawatchError(error.cause) from error
    return {"site_file": propose(heard, bus.table, bus.name, seconds), **heard.figures()}
