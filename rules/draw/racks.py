"""Every rack at one moment: whether its power is known, and what racks have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facility.names import OPERATOR, AssetId, TenantId
from facility.points import Point
from facility.readings import BoolArray, IntArray
from rules.draw.draw import Known
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.summation_plan import UNMETERED, Index, in_a_row
from rules.telemetry.cause import Cause, most_telling
from rules.telemetry.liveness import NEVER, broker_of
from rules.telemetry.starting import Awaited
from rules.telemetry.state import Knowledge
from rules.telemetry.trust import Memory
from rules.telemetry.voices import ALL_SPEAK, Tellers, Voices
from rules.view import UNBOUNDED, RackView


class Racks:
    """The racks of one span of time in which no point becomes known.

    Args:
        builder: What is known of the site.
        points: Every known point, by its number.

    Attributes:
        ids: Id of each rack.
        power_points: The points that tell the power of each rack, in the order of the racks.
        sharing: The racks whose points tell the power of others as well.
    """

    def __init__(self, builder: LayoutBuilder, points: Mapping[int, Point]) -> None:
        self.ids: tuple[str, ...] = builder.racks
        self.power_points = {rack: builder.power_of(rack) for rack in builder.racks}
        self.sharing = builder.sharing()
        self._parts = np.array([self.sharing.parts.get(rack, 1) for rack in builder.racks], np.int64)
        self._units = tuple(self.power_points.values())
        self._points, self._starts = in_a_row(self._units)
        streams: dict[AssetId, list[str]] = {
            rack: [points[p].stream for p in found if p != UNMETERED]
            for rack, found in self.power_points.items()
        }
        self._groups = builder.groups(streams)
        self._publishers = self._coming_by(streams, str)
        self._brokers = self._coming_by(streams, broker_of)
        self._shared = (*self._groups, *(f"broker {broker}" for broker in self._brokers))
        self._members, self._group_starts = in_a_row(list(self._groups.values()))
        self._tellers: Tellers | None = None
        self._metered = self._points != UNMETERED
        self._is_metered = bool(self._metered.all())
        self._holders = np.zeros(len(self.ids), np.intp)
        self._is_contracted = np.zeros(len(self.ids), np.bool_)
        self._is_single = len(self._points) == len(self._starts)
        self._sizes = np.diff(np.append(self._starts, len(self._points)))

    def _coming_by(
        self, streams: Mapping[AssetId, Sequence[str]], way_of: Callable[[str], str]
    ) -> Mapping[str, Index]:
        """Return the places of the racks whose power comes by each way, by the name of that way.

        Args:
            streams: The streams that the power of each rack comes by.
            way_of: What a stream is part of.
        """
        found: dict[str, list[int]] = defaultdict(list)
        for place, rack in enumerate(self.ids):
            for way in dict.fromkeys(map(way_of, streams[AssetId(rack)])):
                found[way].append(place)
        return {way: np.array(places, np.intp) for way, places in found.items()}

    def hold(self, holders: Sequence[TenantId], tenants: Sequence[TenantId]) -> None:
        """Note who holds each rack from now on.

        Args:
            holders: The tenant that holds each rack, or the operator.
            tenants: Every tenant, in the order of tenant arrays.
        """
        row = {tenant: place for place, tenant in enumerate(tenants)}
        self._holders = np.array([row[holder] for holder in holders], np.intp)
        self._is_contracted = self._holders != row[OPERATOR]

    def proved(self, memory: Memory, known: Known) -> IntArray:
        """Return the most that was ever measured of each rack [mW], shape (racks,).

        `UNBOUNDED` where more than is credible of its rating was measured since; 0 of a rack that no unit of
        a tenant is made of alone.

        Args:
            memory: What is remembered of units.
            known: What is known of every point at the moment.
        """
        found = memory.proved_of(self._units)
        if len(found) and known.beyond_rating.any():
            beyond = known.beyond_rating[self._points] & self._metered
            found[np.logical_or.reduceat(beyond, self._starts)] = UNBOUNDED
        return found

    def view(self, knowledge: Knowledge, known: Known, awaited: Awaited) -> RackView:
        """Return every rack at a moment.

        Args:
            knowledge: What is known of every point.
            known: The same, at the moment.
            awaited: Which points still have time to speak then.
        """
        fresh, certain = known.is_fresh[self._points], known.is_certain[self._points]
        draw = known.power[self._points]
        if not self._is_metered:
            fresh, certain = fresh & self._metered, certain & self._metered
            draw = np.where(self._metered, draw, 0)
        if len(self._points) and not self._is_single:
            fresh = np.logical_and.reduceat(fresh, self._starts)
            certain = np.logical_and.reduceat(certain, self._starts)
            draw = np.add.reduceat(draw, self._starts)
        if self.sharing.parts:
            draw = draw // self._parts
        is_silent, is_unheard, is_starting, is_misdated = np.zeros((4, len(self.ids)), np.bool_)
        silent_ms, cause = np.zeros(len(self.ids), np.int64), np.zeros(len(self.ids), np.int8)
        stale = np.flatnonzero(~fresh)
        if len(stale):
            is_misdated[stale], is_starting[stale], is_unheard[stale], since_ms = self._silence(
                stale, knowledge, awaited
            )
            # A rack with a wrong clock is not silent: Q6 tells.
            is_silent[stale] = ~is_starting[stale] & ~is_misdated[stale]
            is_unheard &= is_silent
            silent_ms[stale] = np.where(is_silent[stale], awaited.at_ms - since_ms, 0)
        uncertain = np.flatnonzero(~certain)
        if len(uncertain):
            cause[uncertain] = self._causes(uncertain, knowledge, known, awaited.at_ms)
        return RackView(
            ids=self.ids,
            is_silent=is_silent,
            is_unheard=is_unheard,
            is_starting=is_starting,
            is_misdated=is_misdated,
            holders=self._holders,
            is_contracted=self._is_contracted,
            silent_ms=silent_ms,
            cause=cause,
            draw=draw,
            groups=self._groups,
            publishers=self._publishers,
            brokers=self._brokers,
            voices=self._voices(knowledge, awaited.at_ms) if is_silent.any() else ALL_SPEAK,
            shared=self._shared,
            members=self._members,
            starts=self._group_starts,
        )

    def _voices(self, knowledge: Knowledge, at_ms: int) -> Voices:
        """Return which publishers and brokers of the racks do not speak at a moment [ms]."""
        streams = knowledge.heard.streams
        if self._tellers is None or self._tellers.names != streams.names:
            self._tellers = Tellers(streams.names, self._publishers)
        return self._tellers.voices(streams, at_ms)

    def _points_of(self, racks: Index) -> tuple[Index, Index]:
        """Return the points of some racks, one rack's after the other's, and where those of each begin."""
        sizes = self._sizes[racks]
        starts = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(self._starts[racks] - starts, sizes)
        return self._points[places], starts

    def _silence(
        self, racks: Index, knowledge: Knowledge, awaited: Awaited
    ) -> tuple[BoolArray, BoolArray, BoolArray, IntArray]:
        """Return of racks without fresh power which are misdated, starting, unheard; since when [ms]."""
        points, starts = self._points_of(racks)
        metered = points != UNMETERED
        is_misdated = np.logical_or.reduceat(metered & knowledge.is_misdated(points, awaited.at_ms), starts)
        is_starting = np.logical_or.reduceat(awaited.waits(points), starts)
        heard_ms = np.minimum.reduceat(np.where(metered, knowledge.trusted_ms[points], NEVER), starts)
        is_unheard = heard_ms == NEVER
        begin_ms = np.maximum.reduceat(awaited.since_ms(points), starts)
        return is_misdated, is_starting, is_unheard, np.where(is_unheard, begin_ms, heard_ms)

    def _causes(self, racks: Index, knowledge: Knowledge, known: Known, at_ms: int) -> NDArray[np.int8]:
        """Return why the power of some racks is not certain: the most telling cause of the points of each."""
        points, starts = self._points_of(racks)
        metered = points != UNMETERED
        cause = np.where(metered, Cause.NONE, Cause.NO_POINT).astype(np.int8)
        rows = np.flatnonzero(metered & ~known.is_certain[points])
        cause[rows] = knowledge.causes_of(points[rows], at_ms)
        return most_telling(cause, starts)
