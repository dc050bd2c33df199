"""What is starting: what was never heard and still has time to speak.

A source that publishes on change repeats every value within some 100 s, so after the first start of the
monitor, or once a point was described, nothing is silent before that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from facility.readings import BoolArray, IntArray
from rules.draw.summation_plan import UNMETERED, Layout
from rules.telemetry.liveness import NEVER
from rules.telemetry.state import Knowledge


@dataclass(frozen=True, slots=True)
class Awaited:
    """Which points were never heard and still have time to speak, at one moment.

    Attributes:
        knowledge: What is known of every point.
        met_ms: When each point became known [ms], shape (points,), at least one place.
        began_ms: When the monitor began to judge [ms].
        at_ms: The moment [ms].
        has_moved: Whether a point was described as something else: an asset without one may have lost it.
        withdrawn: The points that their sources describe no longer, whose values nobody can read.
    """

    knowledge: Knowledge
    met_ms: IntArray
    began_ms: int
    at_ms: int
    has_moved: bool = False
    withdrawn: Collection[int] = ()

    def since_ms(self, points: IntArray) -> IntArray:
        """Return since when points could have spoken [ms].

        Args:
            points: Which; `UNMETERED` for one that is not known yet.
        """
        met_ms = np.where(points == UNMETERED, NEVER, self.met_ms[points])
        return np.maximum(met_ms, self.began_ms)

    def waits(self, points: IntArray) -> BoolArray:
        """Tell which points are awaited.

        Args:
            points: Which; `UNMETERED` for one that is not known yet.
        """
        knowledge, metered = self.knowledge, points != UNMETERED
        unheard: BoolArray = np.where(metered, knowledge.trusted_ms[points] == NEVER, not self.has_moved)
        if not unheard.any():
            return unheard
        if self.withdrawn:
            unheard &= ~np.isin(points, list(self.withdrawn))
        patience_ms = np.where(metered, knowledge.patience_ms[points], knowledge.longest_patience_ms)
        unheard &= self.at_ms <= self.since_ms(points) + patience_ms
        return unheard


def starting_tenants(layout: Layout, awaited: Awaited) -> BoolArray:
    """Return which tenants' boundaries have a point that is awaited, shape (tenants,).

    One that has spoken is not, whatever that is worth: it is in doubt, and no time will tell.
    """
    starting = np.zeros(len(layout.tenants), np.bool_)
    if not (layout.elements.has_unmetered or awaited.knowledge.has_unheard):
        return starting
    points = layout.elements.points
    waits = awaited.waits(points) & ((points == UNMETERED) | (awaited.knowledge.heard_ms[points] == NEVER))
    if waits.any():
        units = np.logical_or.reduceat(waits, layout.elements.starts)
        starting[layout.tenant_rows] = np.logical_or.reduceat(units, layout.tenant_units)
    return starting
