"""Why a value is not known: the first thing in the way of believing it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.codes import InArrays


class Cause(InArrays, IntEnum):
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
_NO_CAUSE: Final = np.int8(np.iinfo(np.int8).max)


def most_telling(cause: NDArray[np.int8], starts: NDArray[np.intp]) -> NDArray[np.int8]:
    """Return the most telling cause of each row's points, `NONE` where all of them are known.

    Args:
        cause: `Cause` codes of the points, one row's after the other's, int8, shape (points,).
        starts: Where those of each row begin, shape (rows,).
    """
    worst = np.minimum.reduceat(np.where(cause == Cause.NONE, _NO_CAUSE, cause), starts)
    return np.where(worst == _NO_CAUSE, np.int8(Cause.NONE), worst)
