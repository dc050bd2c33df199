"""What each rack draws, what each feed of them carries and what the site does, minute by minute.

Racks are sampled once a second, as the series of tenants are; a minute is told at the tick at its end. What
is counted here is shown, and no rule judges it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facility.instants import MINUTE_MS, SECOND_MS
from facility.invariants import present
from facility.readings import BoolArray, FloatArray, IntArray
from facility.site import Site
from rules.draw.draw import Known
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.summation_plan import UNMETERED, Index, Layout, in_a_row
from rules.telemetry.state import Knowledge
from rules.view import NO_LIMIT, RackView, View
from store.series import FeedDraw, RackDraw, Rollup, SiteDraw

SECONDS: Final = MINUTE_MS // SECOND_MS
"""Seconds of a minute."""
_SITE: Final = "site"
_KINDS: Final = ("rack", "feed", "meter", _SITE, "supply")
_COLUMNS: Final = ("total", "most", "seconds", "heard")


@dataclass(frozen=True, slots=True)
class _Tally:
    """What was added up of some nodes; arrays of shape (nodes,), int64.

    Attributes:
        ids: Which nodes.
        total: The sum over seconds [mW].
        most: The most in any second [mW].
        seconds: In how many seconds there was something to add.
        heard: Racks that were heard, summed over seconds.
    """

    ids: tuple[str, ...]
    total: IntArray
    most: IntArray
    seconds: IntArray
    heard: IntArray

    @classmethod
    def nothing(cls, ids: tuple[str, ...]) -> _Tally:
        """Return that of nodes before anything was added."""
        return cls(ids, *(np.zeros(len(ids), np.int64) for _ in _COLUMNS))

    def add(self, power: IntArray, is_told: BoolArray, heard: IntArray | BoolArray) -> None:
        """Add a second.

        Args:
            power: What each node drew or carried [mW].
            is_told: Nodes where that is known at least in part.
            heard: How many racks of each were heard.
        """
        told = np.where(is_told, power, 0)
        np.add(self.total, told, out=self.total)
        np.maximum(self.most, told, out=self.most)
        np.add(self.seconds, is_told, out=self.seconds)
        np.add(self.heard, heard, out=self.heard)

    def of(self, ids: tuple[str, ...]) -> _Tally:
        """Return the same for other nodes; what is not among them is dropped, what is new has nothing."""
        if ids == self.ids:
            return self
        place = {node: i for i, node in enumerate(self.ids)}
        rows = np.array([place.get(node, len(place)) for node in ids], np.intp)
        columns = (getattr(self, column) for column in _COLUMNS)
        return _Tally(ids, *(np.append(column, 0)[rows] for column in columns))

    def means(self) -> IntArray:
        """Return the mean over the seconds in which there was something to add [mW], else 0."""
        return self.total // np.maximum(self.seconds, 1)


class Members:
    """The racks beneath some nodes.

    Args:
        places: The places of those of each node, rising, at least one.

    Attributes:
        sizes: How many each node has, shape (nodes,).
    """

    def __init__(self, places: Sequence[Index]) -> None:
        self._places, self._starts = in_a_row(places)
        self.sizes: IntArray = np.diff(np.append(self._starts, len(self._places)))
        ends = self._starts + self.sizes - 1
        self._first, self._after = self._places[self._starts], self._places[ends] + 1
        # As most are: racks are named by their rows.
        self._are_neighbours = bool((self._after - self._first == self.sizes).all())

    def sums(self, of_racks: IntArray | BoolArray) -> IntArray:
        """Return the sum over the racks of each node, int64, shape (nodes,).

        Args:
            of_racks: What each rack adds, shape (racks,).
        """
        if not self._are_neighbours:
            found: IntArray = np.add.reduceat(of_racks[self._places], self._starts, dtype=np.int64)
            return found
        before = np.zeros(len(of_racks) + 1, np.int64)
        np.cumsum(of_racks, out=before[1:])
        sums: IntArray = before[self._after] - before[self._first]
        return sums


def _speaks(points: IntArray, known: Known) -> BoolArray:
    """Tell which points have a known power; a missing point has none."""
    speaks: BoolArray = known.is_fresh[points] & (points != UNMETERED)
    return speaks


def _shown(points: IntArray, knowledge: Knowledge, at_ms: int) -> FloatArray:
    """Return what points show [canonical units], NaN where that is not known or they are not there."""
    return np.where(points == UNMETERED, np.nan, knowledge.last_values(points, at_ms))


def _figures(values: FloatArray) -> list[float | None]:
    """Return values as they are written down: None where one is not known."""
    figures: list[float | None] = values.tolist()
    for row in np.flatnonzero(np.isnan(values)).tolist():
        figures[row] = None
    return figures


class Rollups:
    """Adds up what is seen each second, and tells each minute when it is over.

    Args:
        site: What the site file declares.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tallies = {kind: _Tally.nothing(()) for kind in _KINDS}
        self._minute_ms: int | None = None

    def arrange(self, builder: LayoutBuilder) -> None:
        """Take the site as it is known now; what was added up of its nodes is kept."""
        self._builder = builder
        feeds = builder.feeds()
        ids = tuple(feeds)
        self._kinds = tuple(feed.kind for feed in feeds.values())
        self._racks = Members([feed.racks for feed in feeds.values()])
        self._points = np.array([feed.point for feed in feeds.values()], np.int64)
        # One point more for each, so that no row is empty: nothing is ever known of it.
        self._currents, self._lines = in_a_row([(*feed.currents, UNMETERED) for feed in feeds.values()])
        self._limits = np.array([feed.limit for feed in feeds.values()], np.int64)
        self._supply = np.array([builder.point_of(meter) for meter in self._site.supply_meters], np.int64)
        wanted = {"rack": builder.racks, "feed": ids, "meter": ids, _SITE: (_SITE,), "supply": (_SITE,)}
        self._tallies = {kind: self._tallies[kind].of(tuple(wanted[kind])) for kind in _KINDS}

    def hear(self, view: View, layout: Layout, knowledge: Knowledge, known: Known) -> tuple[Rollup, ...]:
        """Tell the minute that is over, if one is, and take in a second.

        Args:
            view: The site at a whole second.
            layout: Whose contracts are in force.
            knowledge: What is known of each point.
            known: The same, of powers, at that second.
        """
        told: tuple[Rollup, ...] = ()
        minute_ms = view.at_ms // MINUTE_MS * MINUTE_MS
        if self._minute_ms != minute_ms:
            if self._minute_ms is not None:
                racks, site = self._rack_draws(view), self._site_draw(view, layout)
                told = (*racks, *self._feed_draws(view, knowledge, known), *site)
            self._minute_ms = minute_ms
            self._tallies = {kind: _Tally.nothing(tally.ids) for kind, tally in self._tallies.items()}
        self._add(view.racks, known)
        return told

    @property
    def _start_ms(self) -> int:
        return present(self._minute_ms, "a minute that is over")

    def _add(self, racks: RackView, known: Known) -> None:
        fresh, draw = ~(racks.is_silent | racks.is_starting), racks.draw
        tallies = self._tallies
        tallies["rack"].add(draw, fresh, fresh)
        heard = np.array([fresh.sum()], np.int64)
        tallies[_SITE].add(np.array([draw.sum()], np.int64), heard > 0, heard)
        if len(self._points):
            heard = self._racks.sums(fresh)
            tallies["feed"].add(self._racks.sums(draw), heard > 0, heard)
            is_told = _speaks(self._points, known)
            tallies["meter"].add(known.power[self._points], is_told, is_told)
        if len(self._supply):
            is_told = np.array([_speaks(self._supply, known).all()])
            tallies["supply"].add(np.array([known.power[self._supply].sum()], np.int64), is_told, is_told)

    # A minute -------------------------------------------------------------------------

    def _rack_draws(self, view: View) -> list[RackDraw]:
        tally, start_ms = self._tallies["rack"], self._start_ms
        rows = zip(
            tally.ids,
            # Who holds it from the next minute on had nothing to do with this one.
            self._builder.holders(view.at_ms - 1),
            tally.means().tolist(),
            tally.most.tolist(),
            tally.seconds.tolist(),
            strict=True,
        )
        return [
            RackDraw(
                rack=rack,
                tenant=tenant,
                start_ms=start_ms,
                mean_milliwatts=mean,
                most_milliwatts=most,
                coverage=seconds / SECONDS,
            )
            for rack, tenant, mean, most, seconds in rows
            if seconds
        ]

    def _feed_draws(self, view: View, knowledge: Knowledge, known: Known) -> list[FeedDraw]:
        if not len(self._points):
            return []
        tally, meter, start_ms = self._tallies["feed"], self._tallies["meter"], self._start_ms
        rows = zip(
            tally.ids,
            self._kinds,
            self._racks.sizes.tolist(),
            tally.means().tolist(),
            tally.most.tolist(),
            tally.heard.tolist(),
            meter.means().tolist(),
            meter.seconds.tolist(),
            *map(_figures, self._line_currents(view, knowledge, known)),
            strict=True,
        )
        return [
            FeedDraw(
                feed=feed,
                kind=kind,
                start_ms=start_ms,
                racks=count,
                metered_milliwatts=metered if told else None,
                racks_milliwatts=mean,
                most_milliwatts=most,
                coverage=heard / (count * SECONDS),
                amps=amps,
                limit_amps=limit,
                alone_amps=alone,
            )
            for feed, kind, count, mean, most, heard, metered, told, amps, limit, alone in rows
            if heard or told
        ]

    def _line_currents(
        self, view: View, knowledge: Knowledge, known: Known
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the highest line current of each feed now, its limit, and that current were it alone [A]."""
        amps = np.fmax.reduceat(_shown(self._currents, knowledge, view.at_ms), self._lines)
        limits = _shown(self._limits, knowledge, view.at_ms)
        limits[limits <= 0] = np.nan  # One that was never set in the meter.
        power = known.power[self._points]
        now = np.where(_speaks(self._points, known) & (power > 0), power, np.nan)
        alone = self._racks.sums(view.racks.draw)
        return amps, limits, amps * alone / now

    def _site_draw(self, view: View, layout: Layout) -> list[SiteDraw]:
        tally, supply = self._tallies[_SITE], self._tallies["supply"]
        count = len(self._tallies["rack"].ids)
        if not tally.seconds.any():
            return []
        limits = view.tenants.limit
        return [
            SiteDraw(
                start_ms=self._start_ms,
                racks_milliwatts=int(tally.means()[0]),
                most_milliwatts=int(tally.most[0]),
                supply_milliwatts=int(supply.means()[0]) if supply.seconds.any() else None,
                limit_milliwatts=int(limits[limits != NO_LIMIT].sum()),
                sold_milliwatts=sum(v.committed_milliwatts for v in layout.versions if v is not None),
                firm_milliwatts=self._site.firm_capacity_milliwatts,
                coverage=float(tally.heard[0] / (count * SECONDS)),
            )
        ]

    # Snapshots ------------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the state: columns, and what says which nodes they are of."""
        columns = {
            f"{kind}.{column}": getattr(tally, column)
            for kind, tally in self._tallies.items()
            for column in _COLUMNS
        }
        return columns, {
            "minute_ms": self._minute_ms,
            "ids": {kind: list(tally.ids) for kind, tally in self._tallies.items()},
        }

    def load(
        self, columns: Mapping[str, NDArray[Any]], values: Mapping[str, Any], *, is_same_site: bool
    ) -> None:
        """Take over a state that was saved.

        Args:
            columns: Arrays by name, as they were saved.
            values: What says which nodes they are of.
            is_same_site: Whether the site file says the same as then; where not, what was added up of several
                racks or meters may be of others now, and that minute begins anew.
        """
        self._minute_ms = values["minute_ms"]
        self._tallies |= {
            kind: _Tally(tuple(ids), *(columns[f"{kind}.{column}"] for column in _COLUMNS))
            for kind, ids in values["ids"].items()
            if is_same_site or kind == "rack"
        }
