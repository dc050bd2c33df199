"""Q3: racks that share a broker, a gateway, a feed or a coolant unit fall silent together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facility.readings import BoolArray, FloatArray, IntArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.model.rows import Links
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.telemetry.liveness import broker_of
from rules.view import RackView, View

NEVER_HEARD: Final = "racks that were never heard"
"""The subject that stands for all of them."""
NEARLY_ALL: Final = 0.9


class CommonSilence(Rule):
    """At least 30 % and at least three of the racks that have something in common are silent.

    That they were never heard at all is in common too, of all racks of the site: where it holds for more than
    90 %, the bus is to blame and no gateway. Where only racks are silent that nobody contracted, Q1 tells it.

    Groups overlap: a gateway, two busways and a coolant unit may see the same racks. The group that is silent
    most wholly is told, the larger one first; a group whose silent racks are all told already is not. The
    levels are our choice. It is not told beside a feed that is lost (E4) with all its silent racks.

    What is known needs no three racks: two of a gateway whose heartbeats stay away are enough, and one of a
    broker that we have no connection to. A broker is also to blame where all of its racks fall silent that
    several publishers tell, all of these say nothing, and nobody else is heard over it since. It is told
    before anything that racks share: they may be well. Where a rack is told by two gateways, one for each
    feed, the one that speaks is not to blame for what the quiet one leaves out.
    """

    name: ClassVar[str] = "Q3"
    title: ClassVar[str] = "racks silent for a common cause"
    kind: ClassVar[SubjectKind] = SubjectKind.GROUP
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA, Desk.CHANNEL)
    look_at: ClassVar[str] = "Look at what the racks share; the racks themselves are likely well."
    beside: ClassVar[tuple[str, ...]] = (NEVER_HEARD,)

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(30, ge=0, description="how long it must be over for the alarm to end [s]")
    least_share: float = Field(0.3, gt=0, le=1, description="share of the group that must be silent")
    least_racks: int = Field(3, ge=1, description="silent racks that there must be")

    def judge(self, view: View) -> Findings:
        """Find the groups that explain the silence of their racks."""
        racks = view.racks
        if not racks.is_silent.any():
            count = len(racks.groups) + len(racks.brokers) + 1
            return replace(Findings.clear(count, 0.0), limit=self._limits(racks))
        away = _away(racks)
        groups = (*racks.groups.values(), *away, np.flatnonzero(racks.is_unheard))
        silent = _counts(racks, away)
        shared = (*racks.groups.values(), *racks.brokers.values())
        sizes = [*(len(places) for places in shared), len(racks.ids)]
        share = silent / np.maximum(np.array(sizes, np.int64), 1)
        fires = (silent >= self.least_racks) & (share >= self.least_share)
        self._excuse(racks, fires)
        fires[: len(racks.groups)] |= _are_dead(racks) & (share[: len(racks.groups)] >= self.least_share)
        fires[len(racks.groups) : -1] = [len(places) > 0 for places in away]
        told = self._explain(racks.is_silent & racks.is_contracted, groups, share, fires, len(racks.groups))
        return Findings(
            verdict=codes(told, ~told),
            value=share * 100,
            limit=self._limits(racks),
            returned=~told,
        )

    def _limits(self, racks: RackView) -> FloatArray:
        """Return what the share of each group is held against [%]: any rack will do of a broker."""
        limits = np.full(len(racks.groups) + len(racks.brokers) + 1, self.least_share * 100)
        limits[len(racks.groups) : -1] = 0.0
        return limits

    def racks(self, view: View) -> Links:
        """Return the racks of each group."""
        racks = view.racks
        shared = (*racks.groups.values(), *racks.brokers.values())
        return Links.of([*shared, np.flatnonzero(racks.is_unheard)])

    def _excuse(self, racks: RackView, fires: BoolArray) -> None:
        """Let no publisher that speaks be told for racks that another one tells as well, which is quiet.

        Args:
            racks: Every rack.
            fires: Which groups may be told; it is changed.
        """
        quiet = racks.voices.quiet
        if not quiet:
            return
        its_own = racks.is_silent.copy()
        for name in quiet:
            its_own[racks.publishers[name]] = False
        for group, (name, places) in enumerate(racks.groups.items()):
            if fires[group] and name in racks.publishers and name not in quiet:
                count = np.count_nonzero(its_own[places])
                fires[group] = count >= max(self.least_racks, self.least_share * len(places))

    @staticmethod
    def _explain(
        is_silent: BoolArray,
        groups: Sequence[NDArray[np.intp]],
        share: FloatArray,
        fires: BoolArray,
        first_broker: int,
    ) -> BoolArray:
        told = np.zeros(len(groups), np.bool_)
        unexplained = is_silent.copy()
        # What is known comes first: a broker that is away, and that nearly no rack was ever heard, for which
        # the bus is to blame. Then what racks share.
        never = len(groups) - 1
        rank = np.ones(len(groups), np.int64)
        rank[first_broker:never] = 0
        rank[never] = 0 if share[never] > NEARLY_ALL else 2
        order = sorted(
            np.flatnonzero(fires).tolist(),
            key=lambda g: (rank[g], -share[g], -len(groups[g]), g),
        )
        for group in order:
            if unexplained[groups[group]].any():
                told[group] = True
                unexplained[groups[group]] = False
        return told


def _away(racks: RackView) -> list[NDArray[np.intp]]:
    """Return the places of the racks of each broker that are silent because nothing comes over it.

    That is known where we have no connection to it; it is also so where nothing speaks over it any more
    (`Tellers.voices`), though several publishers tell of its racks.
    """
    is_away = racks.is_silent & (racks.cause == Cause.DISCONNECTED)
    fell_silent = racks.is_silent & ~racks.is_unheard
    found = []
    for broker, places in racks.brokers.items():
        publishers = sum(broker_of(publisher) == broker for publisher in racks.publishers)
        is_mute = broker in racks.voices.mute and publishers > 1 and bool(fell_silent[places].all())
        away = is_away[places] & (broker in racks.voices.away)
        found.append(places if is_mute else places[away])
    return found


def _are_dead(racks: RackView) -> BoolArray:
    """Return which groups are a publisher that misses its heartbeats, of two silent racks or more."""
    dead = racks.voices.dead
    if not dead:
        return np.zeros(len(racks.groups), np.bool_)
    found = [name in dead and np.count_nonzero(racks.is_silent[p]) > 1 for name, p in racks.groups.items()]
    return np.array(found, np.bool_)


def _counts(racks: RackView, away: Sequence[NDArray[np.intp]]) -> IntArray:
    """Return how many racks of each group are silent, of each broker for that, and never heard.

    Args:
        racks: Every rack.
        away: The places of the racks that are silent because nothing comes over each broker.
    """
    counts = np.zeros(0, np.int64)
    if len(racks.starts):
        counts = np.add.reduceat(racks.is_silent[racks.members].astype(np.int64), racks.starts)
    return np.append(counts, [*map(len, away), np.count_nonzero(racks.is_unheard)])
