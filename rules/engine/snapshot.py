"""The state of both judgements on disk, so that a restart need not read a day of the journal.

A snapshot says after which entry and which ticks it was taken; judging goes on from there. It is written
beside the old one and takes its place in one step. Without one, or with one that cannot be read, judging
starts from the oldest entry of the journal and comes to the same alarms, only later.

Everything of a tenant, a rule or a point is found again by its id, and what was saved under another site file
is taken over as far as that says the same of it (`rules.engine.fingerprint`). A snapshot that cannot be used,
because it is damaged or of another version, is left with words.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final
from zipfile import ZipFile

import numpy as np
import structlog
from numpy.lib.format import write_array
from numpy.typing import NDArray

from facility.errors import StoreCorrupt
from rules.columns import named
from rules.engine.fingerprint import UNKNOWN, Edits
from rules.engine.judging import Judging
from store.checkedfile import is_whole, write_checked
from store.journal.entries import Entry

FILE: Final = "engine.snapshot"
VERSION: Final = 9
OLDEST: Final = 8
"""The oldest version that is brought up to date."""
_log = structlog.get_logger(__name__)


def save(judging: Judging, path: Path) -> None:
    """Write the state of both judgements, synced to disk, in place of the snapshot before.

    Raises:
        OSError: Where the disk does not take it; the snapshot before then stays.
    """
    write_checked(path, lambda file: _write(judging, file))


def _write(judging: Judging, file: IO[bytes]) -> None:
    """Write the state of both judgements, one after the other: they are large, and so is a copy of one."""
    values = {"version": VERSION, "past": judging.past.save()}
    with ZipFile(file, "w") as archive:
        for name, engine in judging.engines.items():
            columns, values[name] = engine.save()
            for column, array in columns.items():
                _put(archive, f"{name}.{column}", array)
            columns.clear()
        _put(archive, "values", np.frombuffer(json.dumps(values).encode(), np.uint8))


def _put(archive: ZipFile, name: str, array: NDArray[Any]) -> None:
    """Put an array into an archive, as numpy reads it."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        write_array(member, np.asanyarray(array), allow_pickle=False)


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
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        if not is_whole(file):
            raise StoreCorrupt(str(path), "the checksum does not match")
        loaded = judging.anew()
        try:
            edits = _load(loaded, file, known, str(path))
        except StoreCorrupt:
            raise
        except Exception as error:
            # It is what was written, and not the state of these rules: the journal is the truth.
            raise StoreCorrupt(str(path), f"it does not fit: {type(error).__name__}: {error}") from error
    judging.become(loaded)
    for line in edits.lines():
        _log.info("the site file was edited", edit=line)
    return True


def _load(judging: Judging, file: IO[bytes], known: list[Entry], where: str) -> Edits:
    """Take in a snapshot; return how the site file was edited since."""
    with np.load(file, allow_pickle=False) as arrays:
        values = json.loads(arrays["values"].tobytes())
        version = values["version"]
        if version > VERSION:
            hint = "it was written by a newer Megawatch"
            raise StoreCorrupt(where, f"expected version {VERSION}, found {version}: {hint}")
        if version < OLDEST:
            hint = "it was written by an older Megawatch"
            raise StoreCorrupt(where, f"expected version {OLDEST} or newer, found {version}: {hint}")
        if version == 8:  # noqa: PLR2004 - a version
            _bring_up_from_8(values, judging)
        live, _ = (
            engine.load(named(f"{name}.", arrays), values[name], known, where)
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
