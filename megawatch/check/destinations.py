"""Where pages and readings go, tried before it is needed: pagers, and the disk of the data folder."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from megawatch.cli.outputs import Reached

REACH_S: Final = 5.0
"""How long something may take to answer [s]."""
LEAST_FREE_BYTES: Final = 1_000_000_000
"""A disk with less room than this is no place to keep readings on (our choice)."""
LONGEST_SYNC_MS: Final = 250.0
"""A disk that takes longer to sync holds up every acknowledgement for more than a tick (our choice)."""
_PORTS: Final = {"http": 80, "https": 443}


def result(what: str, *, ok: bool, detail: str) -> Reached:
    """Return what was tried, whether it did what it must, and what was seen."""
    return {"what": what, "ok": ok, "detail": detail}


# Pagers -----------------------------------------------------------------------------------


async def reach_receiver(url: str, proxy: str | None = None) -> Reached:
    """Open a connection the way a page would go; nothing is posted, for a test page is a page.

    Args:
        url: Where a route leads.
        proxy: The proxy on the way there; None for the straight way.
    """
    what = f"webhook {url}"
    try:
        async with asyncio.timeout(REACH_S):
            seen = await (_open(url) if proxy is None else _open_through(proxy, url))
    except ConnectionRefusedError:
        return result(what, ok=False, detail="connection refused")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        return result(what, ok=False, detail=str(error) or "no answer")
    unused = sorted({"http", "https"} & getproxies_environment().keys()) if proxy is None else []
    note = (
        f"; {unused[0].upper()}_PROXY of the environment is not used, name it under route.to"
        if unused
        else ""
    )
    return result(what, ok=True, detail=f"{seen}; nothing was sent{note}")


async def _open(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    _, writer = await asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "https" or None)
    await _close(writer)
    return "accepts connections"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _open_through(proxy: str, url: str) -> str:
    """Connect to a proxy, and through it to an https address; of http it is told only where pages go."""
    way, parts = urlsplit(proxy), urlsplit(url)
    is_secret = way.scheme == "https" or None
    reader, writer = await asyncio.open_connection(
        way.hostname, way.port or _PORTS[way.scheme], ssl=is_secret
    )
    place = f"proxy {way.hostname}:{way.port or _PORTS[way.scheme]}"
    try:
        if parts.scheme != "https":
            return f"{place} accepts connections"
        there = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
        writer.write(f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\n".encode())
        status = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("ascii", "replace")
        if " 200" not in status:
            raise OSError(f"{place} does not let us through: it answered {status}")
        return f"{place} lets us through to {there}"
    finally:
        await _close(writer)


# The disk ---------------------------------------------------------------------------------


def examine_disk(data: Path, keeps_gb: float) -> Reached:
    """Write and sync a page in the data folder, and see how much room there is.

    Args:
        data: The data folder, or where it will be.
        keeps_gb: How large the journal may grow [GB].
    """
    place = next(path for path in (data, *data.absolute().parents) if path.is_dir())
    what = f"data folder {data}"
    probe = place / f".megawatch-doctor-{os.getpid()}"
    try:
        with probe.open("xb") as file:
            file.write(bytes(4_096))
            file.flush()
            begin_s = time.perf_counter()
            os.fsync(file.fileno())
            sync_ms = (time.perf_counter() - begin_s) * 1_000
    except OSError as error:
        return result(what, ok=False, detail=f"takes no file: {error.strerror or error}")
    finally:
        probe.unlink(missing_ok=True)
    disk = os.statvfs(place)
    free_bytes = disk.f_bavail * disk.f_frsize
    seen = f"{free_bytes / 1e9:,.1f} GB free, a sync took {sync_ms:,.1f} ms"
    if free_bytes < LEAST_FREE_BYTES:
        return result(what, ok=False, detail=f"{seen}: too little room")
    if sync_ms > LONGEST_SYNC_MS:
        return result(what, ok=False, detail=f"{seen}: too slow, every acknowledgement waits for one")
    short = (
        f"; the journal may grow to {keeps_gb:g} GB (store.journal_gb), and on while the history is away"
        if free_bytes < keeps_gb * 1e9
        else ""
    )
    return result(what, ok=True, detail=seen + short)
