"""Every rack at one moment: whether its power is known, and what racks have in common.

A rack that was never heard is starting until it must have spoken: a source that publishes on change repeats
every value within some 100 s, so after a start of the monitor, or of the rack, nothing is silent before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facility.names import OPERATOR, AssetId, TenantId
from facility.points import Point
from facility.readings import BoolArray, FloatArray
from facility.site import Site
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
        met_ms: When each became known [ms], by its number.
    """

    def __init__(
        self, builder: LayoutBuilder, points: Mapping[int, Point], met_ms: Mapping[int, int]
    ) -> None:
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
        self._met_ms = np.array([met_ms.get(p, NEVER) for p in self._points.tolist()], np.int64)
        self._holder = np.zeros(len(self.ids), np.intp)
        self._rating = np.zeros(len(self.ids), np.float64)
        self._tenants = 0
        self._is_single = len(self._points) == len(self._starts)

    def hold(self, holders: Sequence[TenantId], site: Site) -> None:
        """Note who holds each rack from now on.

        Args:
            holders: The holder of each rack.
            site: The site.
        """
        tenants = (*(tenant.id for tenant in site.tenants), OPERATOR)
        place = {tenant: i for i, tenant in enumerate(tenants)}
        self._holder = np.array([place[holder] for holder in holders], np.intp)
        self._rating = np.array([site.rack(AssetId(rack)).rating_milliwatts or 1 for rack in self.ids], float)
        self._tenants = len(tenants)

    def view(self, knowledge: Knowledge, known: Known, at_ms: int, began_ms: int) -> RackView:
        """Return every rack at a moment.

        Args:
            knowledge: What is known of every point.
            known: The same, at the moment.
            at_ms: The moment [ms].
            began_ms: Since when a rack that was never heard has been silent [ms].
        """
        fresh = known.is_fresh[self._points] & self._metered
        certain = known.is_certain[self._points] & self._metered
        draw = np.where(self._metered, known.power[self._points], 0)
        heard = np.where(self._metered, knowledge.trusted_ms[self._points], NEVER)
        patience_ms = np.where(
            self._metered, knowledge.patience_ms[self._points], knowledge.longest_patience_ms
        )
        begin = np.maximum(self._met_ms, began_ms)
        waits = (heard == NEVER) & (at_ms <= begin + patience_ms)
        if len(self._points) and not self._is_single:
            fresh = np.logical_and.reduceat(fresh, self._starts)
            certain = np.logical_and.reduceat(certain, self._starts)
            draw = np.add.reduceat(draw, self._starts)
            heard = np.minimum.reduceat(heard, self._starts)
            begin = np.maximum.reduceat(begin, self._starts)
            waits = np.logical_or.reduceat(waits, self._starts)
        is_starting = waits & ~fresh
        is_silent = ~fresh & ~is_starting
        since = np.where(heard == NEVER, begin, heard)
        return RackView(
            ids=self.ids,
            is_silent=is_silent,
            is_unheard=is_silent & (heard == NEVER),
            is_starting=is_starting,
            is_certain=certain,
            is_contracted=self._holder < self._tenants - 1,
            silent_ms=np.where(is_silent, at_ms - since, 0),
            draw=draw,
            groups=self._groups,
            members=self._members,
            starts=self._group_starts,
        )

    def starting_tenants(self, view: RackView) -> BoolArray:
        """Return which tenants hold a rack that is starting, shape (tenants,)."""
        return np.bincount(self._holder[view.is_starting], minlength=self._tenants) > 0

    def certain_share(self, view: RackView) -> FloatArray:
        """Return the share of each tenant's rating whose power is certain now, 1 without racks."""
        held = np.bincount(self._holder, self._rating, minlength=self._tenants)
        certain = np.bincount(self._holder, self._rating * view.is_certain, minlength=self._tenants)
        return np.where(held > 0, certain / np.maximum(held, 1), 1.0)
