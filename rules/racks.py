"""Every rack at one moment: whether its power is known, and what racks have in common."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from facility.names import AssetId
from facility.points import Point
from facility.readings import IntArray
from rules.draw import Known
from rules.knowledge import Knowledge
from rules.layout import UNMETERED, LayoutBuilder
from rules.streams import NEVER
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
        lengths = [len(found) for found in elements]
        self._points: IntArray = np.array([p for found in elements for p in found], np.int64)
        self._starts = np.cumsum([0, *lengths[:-1]], dtype=np.intp)[: len(lengths)]
        streams: dict[AssetId, list[str]] = {
            rack: [points[p].stream for p in found if p != UNMETERED]
            for rack, found in zip(builder.racks, elements, strict=True)
        }
        self._groups = builder.groups(streams)

    def view(self, knowledge: Knowledge, known: Known, at_ms: int, began_ms: int) -> RackView:
        """Return every rack at a moment.

        Args:
            knowledge: What is known of every point.
            known: The same, at the moment.
            at_ms: The moment [ms].
            began_ms: Since when a rack that was never heard has been silent [ms].
        """
        if not len(self._points):
            nothing = np.zeros(0, np.int64)
            return RackView(
                ids=self.ids, is_silent=np.zeros(0, np.bool_), silent_ms=nothing, draw=nothing, groups={}
            )
        metered = self._points != UNMETERED
        fresh = known.is_fresh[self._points] & metered
        silent = ~np.logical_and.reduceat(fresh, self._starts)
        heard = np.where(metered, knowledge.heard_ms[self._points], NEVER)
        last = np.minimum.reduceat(heard, self._starts)
        since = np.where(last == NEVER, began_ms, last)
        return RackView(
            ids=self.ids,
            is_silent=silent,
            silent_ms=np.where(silent, at_ms - since, 0),
            draw=np.add.reduceat(np.where(metered, known.power[self._points], 0), self._starts),
            groups=self._groups,
        )
