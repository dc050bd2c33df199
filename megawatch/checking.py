"""Checking a site file: all of its faults at once, and whether what it names can be reached."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facility.errors import SiteFileError
from megawatch.live import reach
from megawatch.sitefolder import open_site


def check_site(path: Path, *, live: bool) -> tuple[dict[str, Any], str]:
    """Check a site file.

    Args:
        path: The site file, or the folder that holds it.
        live: Whether to reach what it names.

    Returns:
        What was found, as a document and as text; all is well where `is_fine` says so.
    """
    try:
        folder = open_site(path)
    except SiteFileError as error:
        faults = [asdict(fault) for fault in error.faults]
        return {"is_fine": False, "faults": faults, "warnings": [], "live": []}, str(error).rstrip()
    reached = asyncio.run(reach(folder)) if live else []
    own, warnings = folder.file.site, list(folder.file.warnings)
    lines = [f"{folder.path}: fine; {_count(own.racks, 'rack')}, {_count(own.tenants, 'tenant')}"]
    lines += [f"  worth a look: {warning}" for warning in warnings]
    lines += [
        f"  {'reached' if item['ok'] else 'NOT REACHED'} {item['what']}: {item['detail']}" for item in reached
    ]
    is_fine = all(item["ok"] for item in reached)
    return {"is_fine": is_fine, "faults": [], "warnings": warnings, "live": reached}, "\n".join(lines)


def _count(things: Any, word: str) -> str:  # noqa: ANN401 - whatever has a length
    return f"{len(things)} {word}" + ("" if len(things) == 1 else "s")
