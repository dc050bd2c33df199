"""The clock of every publisher, as the rules are shown it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rules.draw.summation_plan import Index
from rules.telemetry.clocks import EVERY
from rules.telemetry.columns import PointState
from rules.telemetry.heard import Heard
from rules.view import MONITOR, PublisherView


@dataclass(frozen=True, slots=True)
class Clocked:
    """The points by which clocks are told; arrays of shape (points,) if not said otherwise.

    Attributes:
        points: The points that a draw may be summed of, and heartbeats.
        streams: The stream that each comes by.
        clocks: Whose clock stamps each.
        publishers: These streams, each once, shape (publishers,).
        last_of: The clock of the last of the points of each stream, shape (streams up to the last of them,).
    """

    points: Index
    streams: Index
    clocks: Index
    publishers: Index
    last_of: Index

    @classmethod
    def of(cls, points: PointState) -> Self:
        """Return those of all points."""
        rows = np.flatnonzero(points.is_watched | points.is_heartbeat)
        stream, clock = points.stream[rows], points.clock[rows]
        last_of = np.zeros(stream.max(initial=-1) + 1, np.intp)
        last_of[stream] = clock
        return cls(rows, stream, clock, np.unique(stream), last_of)

    def view(self, heard: Heard, at_ms: int, own_step_ms: int) -> PublisherView:
        """Return the clock of every publisher of which a draw may be summed, or that beats.

        Args:
            heard: What was heard of every point.
            at_ms: The moment [ms].
            own_step_ms: By how much our own clock was set lately [ms].
        """
        rows, stream, clock = self.points, self.streams, self.clocks
        lead, lag = heard.clocks.offsets_ms(EVERY, at_ms)
        offset = np.where(lead >= lag, lead, -lag)
        # Of several clocks of a publisher the worst is told: the last one put in its place stays.
        worst_of = self.last_of.copy()
        if offset.any():
            own = offset[clock]
            is_off = np.flatnonzero(own)
            order = is_off[np.lexsort((own[is_off], np.abs(own[is_off])))]
            worst_of[stream[order]] = clock[order]
        worst = worst_of[self.publishers]
        alike = np.zeros(len(heard.streams.said_ms), np.bool_)
        if at_ms <= heard.conflict_until_ms:
            alike[stream[at_ms - heard.points.conflict_ms[rows] <= heard.points.fresh_ms[rows]]] = True
        names = heard.streams.names
        return PublisherView(
            ids=(MONITOR, *(names[place] for place in self.publishers.tolist())),
            offset_ms=np.append(own_step_ms, offset[worst]),
            jumped_ms=np.append(0, heard.clocks.jumped_ms(worst, at_ms)),
            drift_ppm=np.append(0, heard.clocks.drift_ppm(worst)),
            is_watched=np.append(False, heard.clocks.is_watched(worst)),
            says_two=np.append(False, alike[self.publishers]),
        )
