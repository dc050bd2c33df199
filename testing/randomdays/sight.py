"""What could be known of the truth by a monitor that hears every message: the bounds of a perfect monitor.

News takes time: what a rack drew at a moment may count a little later, so a sum may mix moments.
The least and the most over that time bound any such mixture. A rack that nothing could be known of counts
nothing towards what is proven, and its cap towards what is possible.

There are two sights of a tenant. The *live* one is what could be known at each moment. The *settled* one is
what could be known of that moment in the end, with everything that came late: only what was never published,
or lost for good, is dark there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.truth.episodes import Sight

Powers = NDArray[np.int64]
"""Powers by second and rack, shape (T, R) [mW]."""

Facts = NDArray[np.bool_]
"""Facts by second and rack, shape (T, R)."""

Spans = NDArray[np.int64]
"""A time for each rack, shape (R,) [s]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """What every rack drew and said, second by second.

    Attributes:
        begin_ms: The first second [ms].
        drawn: What was drawn.
        believed: What was last said of it, right or wrong; what was drawn where nothing goes wrong.
        is_dark: Whether it could not be known at that moment what was drawn.
        is_hidden: Whether not even that could be known; only where `is_dark`.
        is_lost: Whether it can never be known what was drawn; only where `is_dark`.
        late_s: How late the news of each rack is at most, beyond the usual, shape (R,) [s].
        stamped_s: How far its stamps may be from the moment that they are of, shape (R,) [s].
        holder: The place of the tenant that holds the rack, -1 for none, shape (T, R).
        cap: The most that each rack can draw, shape (R,) [mW].
    """

    begin_ms: int
    drawn: Powers
    believed: Powers
    is_dark: Facts
    is_hidden: Facts
    is_lost: Facts
    late_s: Spans
    stamped_s: Spans
    holder: NDArray[np.intp]
    cap: NDArray[np.int64]


def sights(
    course: Course, tenants: Sequence[str], lag_s: int, apart_s: int | None = None
) -> dict[str, Sight]:
    """Return the live sight of every tenant.

    Args:
        course: What every rack drew and said.
        tenants: The tenants, in the order of `Course.holder`.
        lag_s: How long news takes at most [s].
        apart_s: How far apart the news of one moment comes at most [s]; `lag_s` where that is None.
    """
    return _sights(
        course,
        tenants,
        lag_s + course.late_s,
        course.is_dark,
        course.is_hidden,
        first_s=lag_s,
        less_s=0 if apart_s is None else lag_s - apart_s,
    )


def settled_sights(
    course: Course, tenants: Sequence[str], lag_s: int, apart_s: int | None = None
) -> dict[str, Sight]:
    """Return the settled sight of every tenant.

    Args:
        course: What every rack drew and said.
        tenants: The tenants, in the order of `Course.holder`.
        lag_s: How long a value stands for what is drawn at most, before it is said again [s].
        apart_s: As for `sights`.
    """
    return _sights(
        course,
        tenants,
        lag_s + course.stamped_s,
        course.is_lost,
        np.zeros_like(course.is_lost),
        first_s=lag_s,
        ahead=course.stamped_s,
        less_s=0 if apart_s is None else lag_s - apart_s,
    )


def _sights(
    course: Course,
    tenants: Sequence[str],
    back: Spans,
    is_dark: Facts,
    is_hidden: Facts,
    *,
    first_s: int,
    ahead: Spans | None = None,
    less_s: int = 0,
) -> dict[str, Sight]:
    ahead = np.zeros_like(back) if ahead is None else ahead
    window, brief = _Window(back, ahead), _Window(back - less_s, ahead)
    dark = window.any(is_dark)
    # Before the first news came nothing was known.
    dark[:first_s] = True
    spoken = np.maximum(course.drawn, course.believed)
    lowest = -window.highest(-course.drawn)
    least = np.where(dark, 0, lowest)
    told = np.where(window.any(is_hidden), 0, lowest)
    briefly = np.where(dark, 0, -brief.highest(-course.drawn))
    recent = window.highest(spoken)
    most = np.where(dark, np.maximum(recent, course.cap), recent)
    found = {}
    for place, tenant in enumerate(tenants):
        held = course.holder == place
        found[tenant] = Sight(
            begin_ms=course.begin_ms,
            true=_summed(course.drawn, held),
            open=_summed(told, held),
            proven=_summed(least, held),
            brief=_summed(briefly, held),
            recent=_summed(recent, held),
            possible=_summed(most, held),
        )
    return found


def _summed(powers: Powers, held: Facts) -> list[int]:
    total: list[int] = np.where(held, powers, 0).sum(axis=1).tolist()
    return total


class _Window:
    """For each rack, the seconds around each second that may count for it.

    Args:
        back: How many before it, shape (R,).
        ahead: How many after it, shape (R,).
    """

    def __init__(self, back: Spans, ahead: Spans) -> None:
        pairs = np.stack([back, ahead], axis=1)
        spans, kind = np.unique(pairs, axis=0, return_inverse=True)
        self._parts = [
            (np.flatnonzero(kind.reshape(-1) == place), int(before), int(after))
            for place, (before, after) in enumerate(spans.tolist())
        ]

    def highest(self, powers: Powers) -> Powers:
        """Return the highest of each window."""
        found = powers.copy()
        for racks, back, ahead in self._parts:
            mine = powers[:, racks]
            most = mine.copy()
            for shift in range(1, min(back, len(mine) - 1) + 1):
                np.maximum(most[shift:], mine[:-shift], out=most[shift:])
            for shift in range(1, min(ahead, len(mine) - 1) + 1):
                np.maximum(most[:-shift], mine[shift:], out=most[:-shift])
            found[:, racks] = most
        return found

    def any(self, facts: Facts) -> Facts:
        """Return whether something is so anywhere in each window."""
        return self.highest(facts.astype(np.int64)).astype(np.bool_)
