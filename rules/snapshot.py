"""The engine's state on disk, so that a restart need not read a day of the journal.

A snapshot says after which entry and which tick it was taken; the engine goes on from there. It is written
beside the old one and takes its place in one step. Without one, or with one that can not be read, the engine
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from facility.errors import StoreCorrupt
from facility.site import Site
from rules.alarms import Bank
from rules.draw import Draw
from rules.engine import Engine
from rules.queue import Queued
from rules.view import UNBOUNDED
from store.entries import Entry, kind_of, pack, unpack

FILE: Final = "engine.snapshot"
VERSION: Final = 4
_CHECKSUM_BYTES: Final = 4
_UNKNOWN_DRAW: Final[dict[str, Any]] = {
    "low": 0,
    "best": 0,
    "high": UNBOUNDED,
    "most": UNBOUNDED,
    "coverage": 0.0,
    "is_consistent": True,
}
"""What is known of the draw of a tenant that a snapshot does not know."""

_log = structlog.get_logger(__name__)


def save(engine: Engine, path: Path) -> None:
    """Write the engine's state, synced to disk, in place of the snapshot before.

    Raises:
        OSError: Where the disk does not take it; the snapshot before then stays.
    """
    points, knowledge = engine.knowledge.save()
    columns, rollups = engine.rollups.save()
    arrays: dict[str, Any] = {f"point.{name}": column for name, column in points.items()}
    arrays |= {f"rollup.{name}": column for name, column in columns.items()}
    banks: dict[str, Any] = {}
    for name, bank in _banks(engine).items():
        columns, subjects = bank.save()
        banks[name] = list(subjects)
        arrays |= {f"bank.{name}.{column}": array for column, array in columns.items()}
    for i, item in enumerate(engine.queue.items):
        arrays[f"queue.{i}"] = np.frombuffer(pack(item.content), np.uint8)
    values = {
        "version": VERSION,
        "site": _fingerprint(engine.site),
        "tenants": engine.tenants,
        "seq": engine.seq,
        "tick_ms": engine.tick_ms,
        "began_ms": engine.began_ms,
        "recovering": sorted(engine.recovering),
        "behind": sorted(engine.behind),
        "knowledge": knowledge,
        "demand": engine.demand.save(),
        "memory": engine.memory.save(),
        "rollups": rollups,
        "banks": banks,
        "queue": [(kind_of(q.content), q.from_ms, q.is_backlog) for q in engine.queue.items],
    }
    if engine.draw is not None:
        arrays |= {f"draw.{name}": column for name, column in engine.draw.columns().items()}
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


def load(engine: Engine, path: Path, known: list[Entry]) -> bool:
    """Put a fresh engine into the state of a snapshot.

    Args:
        engine: An engine that has taken nothing.
        path: The snapshot.
        known: Every entry of the journal that makes points known, in order.

    Returns:
        Whether there was a snapshot.

    Raises:
        StoreCorrupt: Where there is one that can not be read; the engine is unchanged then.
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
        if values.get("site") != _fingerprint(engine.site):
            _log.info("the site file changed since the snapshot: what it still knows is taken over by id")
        _restore(engine, values, dict(arrays), known, str(path))
    return True


def _restore(
    engine: Engine, values: dict[str, Any], arrays: dict[str, Any], known: list[Entry], where: str
) -> None:
    engine.knowledge.load(_named("point.", arrays), values["knowledge"])
    for entry in known:
        if entry.seq <= values["seq"] and isinstance(entry.content, tuple):
            engine.learn(entry.content)
    engine.demand.load(values["demand"])
    engine.memory.load(values["memory"])
    engine.rollups.load(_named("rollup.", arrays), values["rollups"])
    for name, bank in _banks(engine).items():
        if name in values["banks"]:
            bank.load(_named(f"bank.{name}.", arrays), values["banks"][name])
    for i, (kind, from_ms, is_backlog) in enumerate(values["queue"]):
        content = unpack(kind, arrays[f"queue.{i}"].tobytes(), where)
        assert not isinstance(content, tuple)  # noqa: S101 - points are never queued
        engine.queue.put(Queued(content, from_ms, is_backlog))
    engine.recovering = set(values["recovering"])
    engine.behind = set(values["behind"])
    engine.seq, engine.tick_ms = values["seq"], values["tick_ms"]
    engine.began_ms = values["began_ms"]
    columns = _named("draw.", arrays)
    # A snapshot from before tenants were named in it says nothing of who drew what.
    engine.draw = (
        _draw_of(engine.tenants, values["tenants"], columns) if "tenants" in values and columns else None
    )


def _draw_of(tenants: Sequence[str], saved: Sequence[str], columns: dict[str, Any]) -> Draw:
    """Return the draw of each tenant as it was saved; of one that was not there, nothing is known."""
    place = {tenant: i for i, tenant in enumerate(saved)}
    rows = np.array([place.get(tenant, len(saved)) for tenant in tenants], np.intp)
    return Draw(
        **{
            name: np.append(column, np.array([_UNKNOWN_DRAW[name]], column.dtype))[rows]
            for name, column in columns.items()
        }
    )


def _fingerprint(site: Site) -> str:
    """Return what tells a site from an edited one."""
    return hashlib.blake2b(repr(site).encode(), digest_size=10).hexdigest()


def _named(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _banks(engine: Engine) -> dict[str, Bank]:
    banks = (bank for judge in engine.judges for bank in (judge.bank, judge.unverified))
    return {bank.rule: bank for bank in banks if bank is not None}
