"""Checking a site file: all of its faults at once, and whether what it names can be used and reached."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from facility.errors import Fault, SiteFileError, StoreError
from facility.names import AssetId
from facility.points import Asset
from facility.sitefile.advice import warnings_at, warnings_of_assets
from megawatch.check.live import reach
from megawatch.cli.outputs import Check, FaultFound
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder, open_site
from store.journal.file import FILE as JOURNAL_FILE
from store.journal.file import JournalReader


def check_site(path: Path, *, live: bool) -> tuple[Check, str]:
    """Check a site file.

    Args:
        path: The site file, or the folder that holds it.
        live: Whether to reach what it names.

    Returns:
        What was found, as a document and as text; all is well where `is_fine` says so.
    """
    try:
        folder = open_site(path)
        check_data_folder(folder)
    except SiteFileError as error:
        faults = [
            FaultFound(path=fault.path, expected=fault.expected, found=fault.found, hint=fault.hint)
            for fault in error.faults
        ]
        return {"is_fine": False, "faults": faults, "warnings": [], "live": []}, str(error).rstrip()
    heard = heard_assets(folder)
    reached = asyncio.run(reach(folder, heard)) if live else []
    own = folder.file.site
    warnings = [
        *folder.file.warnings,
        *warnings_at(own, SteadyClock().now_ms()),
        *warnings_of_assets(own, heard),
        *_access(folder),
    ]
    lines = [f"{folder.path}: fine; {_count(own.racks, 'rack')}, {_count(own.tenants, 'tenant')}"]
    lines += [f"  worth a look: {warning}" for warning in warnings]
    lines += [
        f"  {'reached' if item['ok'] else 'NOT REACHED'} {item['what']}: {item['detail']}" for item in reached
    ]
    is_fine = all(item["ok"] for item in reached)
    return {"is_fine": is_fine, "faults": [], "warnings": warnings, "live": reached}, "\n".join(lines)


def check_data_folder(folder: SiteFolder) -> None:
    """Check that the data folder is one, or can be made, on a file system that takes files.

    Raises:
        SiteFileError: Where nothing can ever be stored there.
    """
    there = _nearest(folder.data)
    if not there.is_dir():
        found = f"'{folder.data}', where {there} is a file"
    elif os.statvfs(there).f_flag & os.ST_RDONLY:
        found = f"'{folder.data}' on a file system that is mounted read-only"
    else:
        return
    fault = Fault(path="store.data_dir", expected="a folder that can be written", found=found)
    raise SiteFileError(str(folder.path), (fault,))


def _access(folder: SiteFolder) -> list[str]:
    """Return a warning where this user may not write the data folder: the monitor's user must."""
    there = _nearest(folder.data)
    if os.access(there, os.W_OK | os.X_OK):
        return []
    return [f"store.data_dir: user {os.geteuid()} may not write '{there}'; the monitor's user must"]


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest one above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def heard_assets(folder: SiteFolder) -> dict[AssetId, Asset]:
    """Return the assets that the bus has described so far; none where no monitor ever ran."""
    if not (folder.data / JOURNAL_FILE).exists():
        return {}
    try:
        with closing(JournalReader(folder.data)) as journal:
            known = list(journal.known().values())
    except StoreError:
        return {}  # a journal that cannot be read is told by those who need it
    return {one.asset.id: one.asset for one in known if one.asset is not None}


def _count(things: Any, word: str) -> str:  # noqa: ANN401 - whatever has a length
    return f"{len(things)} {word}" + ("" if len(things) == 1 else "s")
