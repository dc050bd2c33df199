"""What a running monitor says of itself, for tests that wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from megawatch.run import status


def read_status(data: Path) -> dict[str, Any]:
    """Return what the processes of a monitor last said; empty while none has said anything."""
    return dict(status.read_status(data) or {})
