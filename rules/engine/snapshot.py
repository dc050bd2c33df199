"""The state of both judgements on disk, so that a restart need not read a day of the journal.

A snapshot says after which entry and which ticks it was taken; judging goes on from there. It is written
beside the old one and takes its place in one step. Without one, or with one that cannot be read, judging
starts from the oldest entry of the journal and comes to the same alarms, only later.

Everything of a tenant, a rule or a point is found again by its id, so a site file that was edited meanwhile
takes over what it still knows, and nothing of anybody else.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from facility.errors import StoreCorrupt
from facility.site import Site
from rules.engine.engine import named
from rules.engine.judging import Judging
from store.journal.entries import Entry

FILE: Final = "engine.snapshot"
VERSION: Final = 8
_CHECKSUM_BYTES: Final = 4
_log = structlog.get_logger(__name__)


def save(judging: Judging, path: Path) -> None:
    """Write the state of both judgements, synced to disk, in place of the snapshot before.

    Raises:
        OSError: Where the disk does not take it; the snapshot before then stays.
    """
    arrays: dict[str, Any] = {}
    values = {"version": VERSION, "site": _fingerprint(judging.live.site), "past": judging.past.save()}
    for name, engine in judging.engines.items():
        columns, values[name] = engine.save()
        arrays |= {f"{name}.{column}": array for column, array in columns.items()}
    arrays["values"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    body = buffer.getvalue()
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little") + body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(judging: Judging, path: Path, known: list[Entry]) -> bool:
    """Put fresh engines into the state of a snapshot.

    Args:
        judging: Engines that have taken nothing.
        path: The snapshot.
        known: Every entry of the journal that makes points known, in order.

    Returns:
        Whether there was a snapshot.

    Raises:
        StoreCorrupt: Where there is one that cannot be read; the engines are unchanged then.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    if len(data) <= _CHECKSUM_BYTES or zlib.crc32(data[_CHECKSUM_BYTES:]) != int.from_bytes(
        data[:_CHECKSUM_BYTES], "little"
    ):
        raise StoreCorrupt(str(path), "the checksum does not match")
    with np.load(io.BytesIO(data[_CHECKSUM_BYTES:]), allow_pickle=False) as arrays:
        values = json.loads(arrays["values"].tobytes())
        if values["version"] != VERSION:
            raise StoreCorrupt(str(path), f"expected version {VERSION}, found {values['version']}")
        if values.get("site") != _fingerprint(judging.live.site):
            _log.info("the site file changed since the snapshot: what it still knows is taken over by id")
        columns = dict(arrays)
    for name, engine in judging.engines.items():
        engine.load(named(f"{name}.", columns), values[name], known, str(path))
    judging.past.load(values["past"])
    return True


def _fingerprint(site: Site) -> str:
    """Return what tells a site from an edited one."""
    return hashlib.blake2b(repr(site).encode(), digest_size=10).hexdigest()
