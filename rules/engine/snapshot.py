"""The state of both judgements on disk, so that a restart need not read a day of the journal.

A snapshot says after which entry and which ticks it was taken; judging goes on from there. It is written
beside the old one and takes its place in one step. Without one, or with one that cannot be read, judging
starts from the oldest entry of the journal and comes to the same alarms, only later.

Everything of a tenant, a rule or a point is found again by its id, and what was saved under another site file
is taken over as far as that says the same of it (`rules.engine.fingerprint`). A snapshot that cannot be used,
because it is damaged or of another version, is left with words.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from facility.errors import StoreCorrupt
from rules.columns import named
from rules.engine.fingerprint import UNKNOWN, Edits
from rules.engine.judging import Judging
from store.journal.entries import Entry

FILE: Final = "engine.snapshot"
VERSION: Final = 9
OLDEST: Final = 8
"""The oldest version that is brought up to date."""
_CHECKSUM_BYTES: Final = 4
_log = structlog.get_logger(__name__)


def save(judging: Judging, path: Path) -> None:
    """Write the state of both judgements, synced to disk, in place of the snapshot before.

    Raises:
        OSError: Where the disk does not take it; the snapshot before then stays.
    """
    arrays: dict[str, Any] = {}
    values = {"version": VERSION, "past": judging.past.save()}
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
    """Put judgements into the state of a snapshot.

    Args:
        judging: Judgements that have taken nothing.
        path: File of the snapshot.
        known: Every entry of the journal that makes points known, in order.

    Returns:
        Whether there was a snapshot.

    Raises:
        StoreCorrupt: Where there is one that cannot be used; the judgements have taken nothing then.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    if len(data) <= _CHECKSUM_BYTES or zlib.crc32(data[_CHECKSUM_BYTES:]) != int.from_bytes(
        data[:_CHECKSUM_BYTES], "little"
    ):
        raise StoreCorrupt(str(path), "the checksum does not match")
    loaded = judging.anew()
    try:
        edits = _load(loaded, data[_CHECKSUM_BYTES:], known, str(path))
    except StoreCorrupt:
        raise
    except Exception as error:
        # It is what was written, and not the state of these rules: whatever it is, the journal is the truth.
        raise StoreCorrupt(str(path), f"it does not fit: {type(error).__name__}: {error}") from error
    judging.become(loaded)
    for line in edits.lines():
        _log.info("the site file was edited", edit=line)
    return True


def _load(judging: Judging, body: bytes, known: list[Entry], where: str) -> Edits:
    """Take in a snapshot; return how the site file was edited since."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        values = json.loads(arrays["values"].tobytes())
        version = values["version"]
        if version > VERSION:
            hint = "it was written by a newer Megawatch"
            raise StoreCorrupt(where, f"expected version {VERSION}, found {version}: {hint}")
        if version < OLDEST:
            hint = "it was written by an older Megawatch"
            raise StoreCorrupt(where, f"expected version {OLDEST} or newer, found {version}: {hint}")
        columns = dict(arrays)
    if version == 8:  # noqa: PLR2004 - a version
        _bring_up_from_8(values, judging)
    live, _ = (
        engine.load(named(f"{name}.", columns), values[name], known, where)
        for name, engine in judging.engines.items()
    )
    judging.past.load(values["past"])
    return live


def _bring_up_from_8(values: dict[str, Any], judging: Judging) -> None:
    """Bring the values of version 8 up to date: it did not say what the site file said."""
    for name in judging.engines:
        values[name]["fingerprint"] = asdict(UNKNOWN)
        for rule, subjects in values[name]["banks"].items():
            values[name]["banks"][rule] = {"subjects": subjects, "edited": {}}
