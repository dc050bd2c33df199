"""NVIDIA's recording of a DSX bus, as messages to publish; tests that need it are skipped without it."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("MEGAWATCH_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
FOLDER = SHARED / "data" / "dsx-bms-mqtt"
PLACEHOLDER = b"{{timestamp_ms}}"

_PART = re.compile(r"([\d.]+)(ms|µs|us|ns|h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded message.

    Attributes:
        offset_ms: When it came, from the start of the recording [ms].
        topic: Its topic.
        payload: Its payload, the time stamp of a value still a placeholder.
    """

    offset_ms: int
    topic: str
    payload: bytes

    def stamped(self, base_ms: int) -> bytes:
        """Return the payload with the time at which it came, counted from `base_ms`."""
        return self.payload.replace(PLACEHOLDER, str(base_ms + self.offset_ms).encode())


def metadata() -> list[Recorded]:
    """Return the recorded metadata."""
    return _read("metadata.csv")


def values() -> list[Recorded]:
    """Return the recorded values of the first 50 seconds."""
    return _read("values_00-50s.csv")


def _read(name: str) -> list[Recorded]:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no recording: {name} is not beside the repository")
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Recorded(_milliseconds(row["offset"]), row["topic"], row["payload"].encode())
            for row in csv.DictReader(file)
        ]


def _milliseconds(duration: str) -> int:
    return round(sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(duration)) * 1_000)
