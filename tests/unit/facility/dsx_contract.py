"""The AsyncAPI contract of the DSX bus and the recording of its metadata, read as far as tests need them.

Both lie beside the repository in a folder `shared`, or where the environment variable MEGAWATCH_SHARED
points.
"""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = Path(os.environ.get("MEGAWATCH_SHARED", _ROOT.parent / "shared")) / "data" / "dsx-bms-mqtt"
"""Where the contract and the recording lie, if they do."""

_FRAGMENT: Final = re.compile(r"^    \w+Fields:\n((?:(?: {6}.*)?\n)+)", re.MULTILINE)
_POINT_TYPE: Final = re.compile(r"pointType:\n +type: string\n +enum: \[(\w+)\]")
_UNIT: Final = re.compile(r"engUnit:\n +type: string\n +#? ?enum: \['?(.*?)'?\]")
_TYPICAL_UNIT: Final = re.compile(r"Typical engUnit: (\S+)\.")
_OBJECT_TYPE: Final = re.compile(r"address: 'BMS/v1/PUB/Metadata/(\w+)/")


@dataclass(frozen=True, slots=True)
class PointType:
    """What the contract says of the metadata of a point type.

    Attributes:
        name: The point type.
        unit: The unit that it names, "" where it names none.
        may_have_states: Whether state texts may stand instead of a unit.
        may_be_bare: Whether neither is needed.
    """

    name: str
    unit: str
    may_have_states: bool
    may_be_bare: bool


def point_types() -> list[PointType]:
    """Return every point type of the contract; none where the contract is not there."""
    found: dict[str, PointType] = {}
    for fragment in _FRAGMENT.findall(_contract()):
        name = _POINT_TYPE.search(fragment)
        if name is None:
            continue
        unit = _UNIT.search(fragment) or _TYPICAL_UNIT.search(fragment)
        is_generic = name[1] == "GenericPoint"
        has_states = "stateText:" in fragment or "engUnit XOR stateText" in fragment
        is_bare = is_generic or not (unit or has_states)
        found[name[1]] = PointType(name[1], unit[1] if unit else "", has_states, is_bare)
    return list(found.values())


def object_types() -> set[str]:
    """Return every object type of the contract; none where the contract is not there."""
    return set(_OBJECT_TYPE.findall(_contract()))


def recorded_metadata() -> list[tuple[str, dict[str, Any]]]:
    """Return topic and payload of every metadata message of the recording; none where it is not there."""
    path = FOLDER / "metadata.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["topic"], json.loads(row["payload"])) for row in csv.DictReader(file)]


def _contract() -> str:
    path = FOLDER / "asyncapi" / "bms.yaml"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
