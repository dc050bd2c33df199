"""Every rack at one moment: whether its power is known, and what racks have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facility.names import OPERATOR, AssetId, TenantId
from facility.points import Point
from rules.draw.draw import Known
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.summation_plan import UNMETERED, in_a_row
from rules.telemetry.cause import Cause, most_telling
from rules.telemetry.liveness import NEVER
from rules.telemetry.starting import Awaited
from rules.telemetry.state import Knowledge
from rules.view import RackView


class Racks:
    """The racks of one span of time in which no point becomes known.

    Args:
        builder: What is known of the site.
        points: Every known point, by its number.

    Attributes:
        ids: Id of each rack.
        power_points: The points that tell the power of each rack, in the order of the racks.
    """

    def __init__(self, builder: LayoutBuilder, points: Mapping[int, Point]) -> None:
        self.ids: tuple[str, ...] = builder.racks
        self.power_points = {rack: builder.power_of(rack) for rack in builder.racks}
        self._points, self._starts = in_a_row(list(self.power_points.values()))
        streams: dict[AssetId, list[str]] = {
            rack: [points[p].stream for p in found if p != UNMETERED]
            for rack, found in self.power_points.items()
        }
        self._groups = builder.groups(streams)
        self._members, self._group_starts = in_a_row(list(self._groups.values()))
        self._metered = self._points != UNMETERED
        self._cause = np.where(self._metered, Cause.NONE, Cause.NO_POINT).astype(np.int8)
        self._holders = np.zeros(len(self.ids), np.intp)
        self._is_contracted = np.zeros(len(self.ids), np.bool_)
        self._is_single = len(self._points) == len(self._starts)

    def hold(self, holders: Sequence[TenantId], tenants: Sequence[TenantId]) -> None:
        """Note who holds each rack from now on.

        Args:
            holders: The tenant that holds each rack, or the operator.
            tenants: Every tenant, in the order of tenant arrays.
        """
        row = {tenant: place for place, tenant in enumerate(tenants)}
        self._holders = np.array([row[holder] for holder in holders], np.intp)
        self._is_contracted = self._holders != row[OPERATOR]

    def view(self, knowledge: Knowledge, known: Known, awaited: Awaited) -> RackView:
        """Return every rack at a moment.

        Args:
            knowledge: What is known of every point.
            known: The same, at the moment.
            awaited: Which points still have time to speak then.
        """
        fresh = known.is_fresh[self._points] & self._metered
        draw = np.where(self._metered, known.power[self._points], 0)
        heard = np.where(self._metered, knowledge.trusted_ms[self._points], NEVER)
        waits = awaited.waits(self._points)
        misdated = self._metered & knowledge.is_misdated(self._points, awaited.at_ms)
        if len(self._points) and not self._is_single:
            fresh = np.logical_and.reduceat(fresh, self._starts)
            draw = np.add.reduceat(draw, self._starts)
            heard = np.minimum.reduceat(heard, self._starts)
            waits = np.logical_or.reduceat(waits, self._starts)
            misdated = np.logical_or.reduceat(misdated, self._starts)
        is_starting = waits & ~fresh
        # A rack with a wrong clock is not silent: Q6 tells.
        is_silent = ~fresh & ~is_starting & ~misdated
        unheard = heard == NEVER
        since = heard
        if unheard.any():
            begin = awaited.since_ms(self._points)
            if not self._is_single:
                begin = np.maximum.reduceat(begin, self._starts)
            since = np.where(unheard, begin, heard)
        return RackView(
            ids=self.ids,
            is_silent=is_silent,
            is_unheard=is_silent & unheard,
            is_starting=is_starting,
            holders=self._holders,
            is_contracted=self._is_contracted,
            silent_ms=np.where(is_silent, awaited.at_ms - since, 0),
            cause=self._causes(knowledge, known, awaited.at_ms),
            draw=draw,
            groups=self._groups,
            members=self._members,
            starts=self._group_starts,
        )

    def _causes(self, knowledge: Knowledge, known: Known, at_ms: int) -> NDArray[np.int8]:
        """Return why the power of each rack is not certain: the most telling cause of its points."""
        cause = self._cause.copy()
        rows = np.flatnonzero(self._metered & ~known.is_certain[self._points])
        if len(rows):
            cause[rows] = knowledge.causes_of(self._points[rows], at_ms)
        if len(cause) and not self._is_single:
            return most_telling(cause, self._starts)
        return cause
