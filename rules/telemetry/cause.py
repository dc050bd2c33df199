"""Why a value is not known: the first thing in the way of believing it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Cause(IntEnum):
    """Why a point's value is not the value now, most telling first; `NONE` where it is."""

    NONE = 0
    NO_POINT = 1
    NEVER_HEARD = 2
    DISCONNECTED = 3
    PUBLISHER_DEAD = 4
    CONFLICT = 5
    REFUSED = 6
    IMPLAUSIBLE = 7
    SOURCE_DOUBTS = 8
    NO_VALUE = 9
    RETAINED = 10
    STREAM_BROKEN = 11
    QUIET = 12
    LATE = 13
    DISAGREE = 14
    GAPS = 15


WORDS: Final[Mapping[Cause, str]] = MappingProxyType(
    {
        Cause.NONE: "",
        Cause.NO_POINT: "not measured",
        Cause.NEVER_HEARD: "never heard",
        Cause.DISCONNECTED: "no connection to its broker",
        Cause.PUBLISHER_DEAD: "its publisher is silent",
        Cause.CONFLICT: "two values with one time stamp",
        Cause.REFUSED: "its last value was refused",
        Cause.IMPLAUSIBLE: "beyond what its rating allows",
        Cause.SOURCE_DOUBTS: "marked as bad by its source",
        Cause.NO_VALUE: "its source has no value",
        Cause.RETAINED: "only a retained value was heard",
        Cause.STREAM_BROKEN: "not heard since a break of its stream",
        Cause.QUIET: "its publisher is quieter than it usually is",
        Cause.LATE: "too old",
        Cause.DISAGREE: "its sources disagree",
        Cause.GAPS: "not known all the time",
    }
)
"""Each cause as people read it."""
