"""Every rack at one moment: whether its power is known, and what racks have in common."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from facility.names import AssetId
from facility.points import Point
from rules.draw import Known
from rules.knowledge import Knowledge
from rules.layout import UNMETERED, in_a_row
from rules.streams import NEVER
from rules.units import LayoutBuilder
from rules.view import RackView


class Racks:
    """The racks of one span of time in which no point becomes known.

    Args:
        builder: What is known of the site.
        points: Every known point, by its number.
    """

    def __init__(self, builder: LayoutBuilder, points: Mapping[int, Point]) -> None:
        self.ids: tuple[str, ...] = builder.racks
        elements = [builder.power_of(rack) for rack in builder.racks]
        self._points, self._starts = in_a_row(elements)
        streams: dict[AssetId, list[str]] = {
            rack: [points[p].stream for p in found if p != UNMETERED]
            for rack, found in zip(builder.racks, elements, strict=True)
        }
        self._groups = builder.groups(streams)
        self._members, self._group_starts = in_a_row(list(self._groups.values()))
        self._metered = self._points != UNMETERED
        self._is_single = len(self._points) == len(self._starts)

    def view(self, knowledge: Knowledge, known: Known, at_ms: int, began_ms: int) -> RackView:
        """Return every rack at a moment.

        Args:
            knowledge: What is known of every point.
            known: The same, at the moment.
            at_ms: The moment [ms].
            began_ms: Since when a rack that was never heard has been silent [ms].
        """
        fresh = known.is_fresh[self._points] & self._metered
        draw = np.where(self._metered, known.power[self._points], 0)
        heard = np.where(self._metered, knowledge.trusted_ms[self._points], NEVER)
        if len(self._points) and not self._is_single:
            fresh = np.logical_and.reduceat(fresh, self._starts)
            draw = np.add.reduceat(draw, self._starts)
            heard = np.minimum.reduceat(heard, self._starts)
        since = np.where(heard == NEVER, began_ms, heard)
        return RackView(
            ids=self.ids,
            is_silent=~fresh,
            silent_ms=np.where(fresh, 0, at_ms - since),
            draw=draw,
            groups=self._groups,
            members=self._members,
            starts=self._group_starts,
        )
