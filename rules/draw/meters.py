"""Every meter, or set of meters, that others can be held against, at one moment."""

from __future__ import annotations

import numpy as np

from rules.draw.draw import Compared, Known
from rules.draw.summation_plan import OUTERMOST, Layout
from rules.telemetry.sources import Sources
from rules.telemetry.trust import Memory
from rules.view import NO_METERS, MeterView


def meter_view(
    layout: Layout,
    sources: Sources,
    compared: tuple[Compared, ...],
    merged: Compared | None,
    memory: Memory,
    known: Known,
) -> MeterView:
    """Return what meters say beside others.

    Args:
        layout: Which claims there are.
        sources: Points that measure one power by several sources.
        compared: What was compared at each level of the layout.
        merged: What was compared of points that say the same, None where there are none.
        memory: How far each is believed.
        known: What is known of each point.
    """
    if not compared and merged is None:
        return NO_METERS
    claims, found = layout.claims, list(compared)
    ids, names, points, starts = claims.keys, claims.names, claims.points, claims.starts
    within = claims.within
    if merged is not None:
        found.append(merged)
        ids, names = (*ids, *sources.keys), (*names, *sources.names)
        starts = np.append(starts, sources.starts + len(points))
        points = np.append(points, sources.points)
        within = np.append(within, np.full(len(sources.keys), OUTERMOST))
    tells, least, most, low, high = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("tells", "least", "most", "low", "high")
    )
    return MeterView(
        ids=ids,
        is_denied=np.concatenate([trust.is_denied for trust in (*memory.levels, memory.twins)]),
        apart=np.where(tells, np.maximum(np.maximum(low - most, least - high), 0), 0),
        low=low,
        high=high,
        names=names,
        readings=known.power[points],
        starts=starts,
        within=within,
        twins=0 if merged is None else len(sources.keys),
    )
