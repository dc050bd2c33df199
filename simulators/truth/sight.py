"""What could be known of the truth by somebody who hears every message: the bounds of a perfect monitor.

News takes time: what a rack drew at a moment may count a little later, so a sum may mix moments.
The least and the most over that time bound any such mixture. A rack of which nothing could be known counts
nothing towards what is proven, and its cap towards what is possible.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """What every rack drew and said, second by second.

    Attributes:
        begin_ms: The first second [ms].
        drawn: What was drawn.
        believed: What was last said of it, right or wrong; what was drawn where nothing goes wrong.
        is_dark: Whether nobody could know what was drawn.
        is_hidden: Whether nobody could even know that; only where `is_dark`.
        holder: The place of the tenant that holds the rack, -1 for none, shape (T, R).
        cap: The most that each rack can draw, shape (R,) [mW].
    """

    begin_ms: int
    drawn: Powers
    believed: Powers
    is_dark: Facts
    is_hidden: Facts
    holder: NDArray[np.intp]
    cap: NDArray[np.int64]


def sights(course: Course, tenants: Sequence[str], lag_s: int) -> dict[str, Sight]:
    """Return the sight of every tenant.

    Args:
        course: What every rack drew and said.
        tenants: The tenants, in the order of `Course.holder`.
        lag_s: How long news takes at most [s].
    """
    dark = _within(course.is_dark, lag_s)
    # Before the first news came nobody knew anything.
    dark[:lag_s] = True
    spoken = np.maximum(course.drawn, course.believed)
    lowest = -_highest(-course.drawn, lag_s)
    least = np.where(dark, 0, lowest)
    told = np.where(_within(course.is_hidden, lag_s), 0, lowest)
    recent = _highest(spoken, lag_s)
    most = np.where(dark, np.maximum(recent, course.cap), recent)
    found = {}
    for place, tenant in enumerate(tenants):
        held = course.holder == place
        found[tenant] = Sight(
            begin_ms=course.begin_ms,
            true=_summed(course.drawn, held),
            open=_summed(told, held),
            proven=_summed(least, held),
            recent=_summed(recent, held),
            possible=_summed(most, held),
        )
    return found


def _summed(powers: Powers, held: Facts) -> list[int]:
    total: list[int] = np.where(held, powers, 0).sum(axis=1).tolist()
    return total


def _highest(powers: Powers, lag_s: int) -> Powers:
    """Return the highest of each second and the `lag_s` before it."""
    found = powers.copy()
    for back in range(1, min(lag_s, len(powers) - 1) + 1):
        np.maximum(found[back:], powers[:-back], out=found[back:])
    return found


def _within(facts: Facts, lag_s: int) -> Facts:
    """Return what was so at each second or in the `lag_s` before it."""
    found = facts.copy()
    for back in range(1, min(lag_s, len(facts) - 1) + 1):
        found[back:] |= facts[:-back]
    return found
