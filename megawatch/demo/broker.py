"""A broker of one's own, for the demo: mosquitto where there is one, else the NATS server; on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from facility.errors import MegawatchError

START_S: Final = 60.0
"""How long a broker may take to answer; a machine may be busy."""

QUEUED_MESSAGES: Final = 1_000_000
"""How many messages it keeps for a monitor that is away; NATS keeps a gigabyte, which is more."""

CONFIG: Final = "broker.conf"
LOG: Final = "broker.log"

_MOSQUITTO: Final = """
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages {queued}
max_inflight_messages 0
set_tcp_nodelay true
"""
_GUARDED: Final = """
exec 3<&0 </dev/null
{ read -r _ || { kill -9 $$; rm -rf -- "$0"; } } <&3 3<&- >/dev/null 2>&1 &
exec "$@" 3<&-
"""
"""Runs a broker, and beside it a guard that reads what we say when all is over. Where nothing is said we were
killed: then the guard kills the broker, which
so writes nothing more, and removes the folder."""
_NATS: Final = """
server_name: megawatch-demo
listen: "127.0.0.1:{client_port}"
jetstream {{ store_dir: "{folder}", max_memory_store: 256MB, max_file_store: 1GB }}
mqtt {{ listen: "127.0.0.1:{port}" , max_ack_pending: 10000 }}
"""


class NoBroker(MegawatchError):  # noqa: N818 - says what is missing
    """No broker can be started here."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


def find_broker(path: str | None = None) -> tuple[str, str] | None:
    """Return the name and the program of a broker that can be started here; None where there is none.

    Args:
        path: Where to look for servers, as in PATH; None for PATH and where Debian puts them. The wheel of
            the extra 'nats' is found beside Python in any case.
    """
    places = path
    if places is None:
        places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    beside = str(Path(sys.executable).parent)
    for name, where in (("mosquitto", places), ("nats-server", beside), ("nats-server", places)):
        program = shutil.which(name, path=where)
        if program is not None:
            return name, program
    return None


@asynccontextmanager
async def own_broker(
    folder: Path, path: str | None = None, *, scratch: Path | None = None
) -> AsyncIterator[tuple[str, str]]:
    """Run a broker for as long as the context lasts; it ends with our process, even if that is killed.

    Args:
        folder: An empty folder for what it keeps.
        path: Where to look for it, as `find_broker` does.
        scratch: What to remove if we are killed; None for the broker's folder.

    Yields:
        Its address, and what it is.

    Raises:
        NoBroker: Where none can be started.
    """
    found = find_broker(path)
    if found is None:
        raise NoBroker(
            "no broker found: install mosquitto or the extra 'nats', or name one: --broker mqtt://host:port"
        )
    name, program = found
    port = free_port()
    log = _prepare(folder, name, port)
    command = ["/bin/sh", "-c", _GUARDED, str(scratch or folder), program, "-c", str(folder / CONFIG)]
    guard, ours = os.pipe()
    # A session of its own: Ctrl-C is ours to handle, and the broker outlives what still publishes.
    process = await asyncio.create_subprocess_exec(
        *command, stdin=guard, stdout=log, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    os.close(guard)
    try:
        await _answers(port, process, folder)
        yield f"mqtt://127.0.0.1:{port}", name
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        with suppress(BrokenPipeError):
            os.write(ours, b"\n")
        os.close(ours)
        log.close()


def _prepare(folder: Path, name: str, port: int) -> BinaryIO:
    """Write a broker's configuration, and open its log."""
    text = (
        _MOSQUITTO.format(port=port, folder=folder, queued=QUEUED_MESSAGES)
        if name == "mosquitto"
        else _NATS.format(port=port, client_port=free_port(), folder=folder / "jetstream")
    )
    if name == "mosquitto" and os.geteuid() == 0:
        text += "user root\n"  # else it goes on as a user who cannot reach the folder
    (folder / CONFIG).write_text(text, encoding="utf-8")
    return (folder / LOG).open("wb")


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int, process: asyncio.subprocess.Process, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + START_S
    while loop.time() < until:
        if process.returncode is not None:
            raise NoBroker(f"the broker ended at once: {_tail(folder / LOG)}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise NoBroker(f"the broker did not answer within {START_S:g} s")


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-300:].strip()
