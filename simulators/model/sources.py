"""Where every node gets its power from: what is open, which source a switch is on, what batteries carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.model.events import Event, EventKind
from simulators.model.ratings import Role
from simulators.model.state import Bools, Floats, Ints
from simulators.model.wiring import FEED_LETTERS, NONE, Wiring

RETURN_S: Final = 300.0
"""How long the preferred source must be there before a switch goes back to it (usual setting: 5 min) [s]."""
RIDE_THROUGH: Final = 0.9
"""Voltage below which a UPS takes over from the grid, per unit (usual window: +-10 %)."""
SAG_S: Final = 0.1
"""How long a sag lasts by default: six periods of 60 Hz [s]."""
TOLERATED_S: Final = ((0.9, float("inf")), (0.8, 10.0), (0.7, 0.5), (0.0, 0.02))
"""From which voltage on, per unit, power supplies bear a sag for how long (ITIC curve, 2000) [s]."""
RECHARGE_SHARE: Final = 0.05
"""Power with which a battery is charged, as a share of the UPS's rating (our choice)."""
OPENING: Final = frozenset(
    {EventKind.FEED_LOSS, EventKind.UPS_FAULT, EventKind.BREAKER_OPEN, EventKind.GENERATOR_FAILURE}
)
CLOSING: Final = frozenset({EventKind.FEED_BACK, EventKind.BREAKER_CLOSE})
POWER_KINDS: Final = OPENING | CLOSING | {EventKind.SAG}
"""What befalls the power."""


@dataclass(frozen=True, slots=True, eq=False)
class Sags:
    """What sags of the grid's voltage do in a second: (N,) each, nothing behind a UPS.

    Attributes:
        mean: Voltage as a share of the normal, mean over the second.
        low: Lowest voltage within the second, likewise.
        disturbed: Share of the second from the beginning of a sag on, in which a UPS does not use the grid.
        drops: Whether it is longer and deeper than power supplies bear.
    """

    mean: Floats
    low: Floats
    disturbed: Floats
    drops: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """Who is supplied in a second, and from where: (N,) each.

    Attributes:
        live: Whether the node's output has voltage.
        source: The node that feeds it, -1 for a root.
        from_battery: Share of the second's power that the node's battery gives, 0 to 1.
        sags: What sags do.
    """

    live: Bools
    source: Ints
    from_battery: Floats
    sags: Sags


class Sources:
    """Switching: opens and closes, transfers, starts generators, takes over from the grid and gives back.

    Args:
        wiring: The plant's graph and ratings, in arrays.

    Attributes:
        tripped: (N,) whether the node's breaker has tripped.
        battery_millijoules: (N,) usable energy left [mJ].
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        count = len(wiring.nodes)
        self.tripped: Bools = np.zeros(count, np.bool_)
        self.battery_millijoules: Ints = wiring.sizes.battery_millijoules.copy()
        self._open_until = np.full(count, -np.inf)
        self._source = np.array([p[0] if p else NONE for p in wiring.node_parents], np.int64)
        self._is_ups = np.array([role is Role.UPS for role in wiring.node_roles], np.bool_)
        self._switches = np.flatnonzero([len(parents) > 1 for parents in wiring.node_parents])
        most = max((len(wiring.node_parents[s]) for s in self._switches), default=0)
        self._choices = np.full((len(self._switches), most), NONE, np.int64)
        for row, switch in enumerate(self._switches):
            self._choices[row, : len(wiring.node_parents[switch])] = wiring.node_parents[switch]
        self._choice = np.zeros(len(self._switches), np.int64)
        self._lost_s = np.zeros(len(self._switches))
        self._back_s = np.zeros(len(self._switches))
        self._generators = np.array(wiring.of_role(Role.GENERATOR), np.int64)
        self._grids = [root for root in wiring.roots() if wiring.node_roles[root] is not Role.GENERATOR]
        self._running_s = np.zeros(count)
        self._mains = np.ones(count)
        self._walk_in_s = wiring.sizes.walk_in_s.copy()
        self._sags: list[Event] = []
        self._live: Bools = np.ones(count, np.bool_)

    def begin(self, event: Event, second: int) -> list[int]:
        """Take note of an event that begins.

        Returns:
            The nodes that are closed by it.
        """
        if event.kind is EventKind.SAG:
            self._sags.append(event)
            return []
        nodes = [node for subject in event.subjects for node in self.nodes_of(subject)]
        if event.kind in OPENING:
            self._open_until[nodes] = np.maximum(self._open_until[nodes], event.ends_s)
            return []
        self._open_until[nodes] = second
        self.tripped[nodes] = False
        return nodes

    def nodes_of(self, subject: str) -> Sequence[int]:
        """Return the nodes that an id or a feed's letter stands for: a feed's busways, else its taps."""
        wiring = self._wiring
        if subject in wiring.node_place:
            return [wiring.node_place[subject]]  # type: ignore[index]  # ids are strings
        if subject not in FEED_LETTERS or len(subject) != 1:
            return []
        feed = FEED_LETTERS.index(subject)
        for role in (Role.BUSWAY, Role.TAP):
            nodes = [node for node in wiring.of_role(role) if wiring.node_feed[node] == feed]
            if nodes:
                return nodes
        return []

    def is_open(self, second: int) -> Bools:
        """Return which nodes are switched off, have failed or have tripped: (N,)."""
        opened: Bools = self.tripped | (self._open_until > second)
        return opened

    def step(self, second: int, throughput_milliwatts: Ints) -> Supply:
        """Find out who is supplied in a second.

        Args:
            second: The second of the run, which follows the one before.
            throughput_milliwatts: (N,) what passed through each node in the second before [mW].
        """
        closed = ~self.is_open(second)
        started = self._start_generators()
        self._transfer()
        source = self._source
        live = np.zeros_like(closed)
        fed = np.zeros_like(closed)
        charged = self._is_ups & (self.battery_millijoules > throughput_milliwatts)
        for level in reversed(self._wiring.levels):
            from_here = source[level]
            fed[level] = np.where(from_here == NONE, started[level], live[from_here])
            live[level] = closed[level] & (fed[level] | charged[level])
        sags = self._sags_at(second)
        from_battery = self._from_battery(live, fed, sags.disturbed)
        self._live = live
        return Supply(live, source.copy(), from_battery, sags)

    def discharge(self, storage_milliwatts: Ints) -> None:
        """Take what the batteries gave in a second, or add what they took: (N,) [mW for one second]."""
        self.battery_millijoules = self.battery_millijoules - storage_milliwatts

    def charge_share(self) -> Floats:
        """Return how full each battery is: (N,) 0 to 1; 1 for a node without one."""
        capacity = self._wiring.sizes.battery_millijoules
        share = np.clip(self.battery_millijoules / np.maximum(capacity, 1), 0, 1)
        return np.where(capacity > 0, share, 1.0)

    def charge(self, supply: Supply) -> Ints:
        """Return the power with which each battery is charged in a second: (N,) [mW]."""
        sizes = self._wiring.sizes
        most = np.rint(sizes.milliwatts * RECHARGE_SHARE).astype(np.int64)
        missing = sizes.battery_millijoules - self.battery_millijoules
        may = supply.live & (supply.from_battery == 0) & (self._mains >= 1) & (missing > 0)
        return np.where(may, np.minimum(most, missing), 0)

    def _start_generators(self) -> Bools:
        """Return which roots give power: utilities always, generators once they have started."""
        started = np.ones(len(self._running_s), np.bool_)
        if len(self._generators):
            wanted = np.zeros(len(started), np.bool_)
            preferred = self._live[self._choices[:, 0]] if len(self._switches) else np.zeros(0, np.bool_)
            for rank in range(1, self._choices.shape[1]):
                asks = (~preferred | (self._choice == rank)) & (self._choices[:, rank] != NONE)
                wanted[self._choices[asks, rank]] = True
            self._running_s = np.where(wanted, self._running_s + 1, 0.0)
            generators = self._generators
            started[generators] = self._running_s[generators] > self._wiring.sizes.start_s[generators]
        return started

    def _transfer(self) -> None:
        """Move switches whose source is lost, and bring back those whose preferred source stays."""
        if not len(self._switches):
            return
        rows = np.arange(len(self._switches))
        alive = self._live[self._choices] & (self._choices != NONE)
        lost = ~alive[rows, self._choice]
        self._lost_s = np.where(lost, self._lost_s + 1, 0.0)
        self._back_s = np.where(alive[:, 0] & (self._choice != 0), self._back_s + 1, 0.0)
        moves = lost & (self._lost_s >= self._wiring.sizes.transfer_s[self._switches]) & alive.any(axis=1)
        moves |= self._back_s >= RETURN_S
        self._choice = np.where(moves, np.argmax(alive, axis=1), self._choice)
        self._source = self._source.copy()
        self._source[self._switches] = self._choices[rows, self._choice]

    def _from_battery(self, live: Bools, fed: Bools, disturbed: Floats) -> Floats:
        """Return which share of the second's power batteries give, and let the grid take load back."""
        before = self._mains
        rising = np.minimum(1.0, before + 1 / np.maximum(self._walk_in_s, 1.0))
        calm = fed & (disturbed == 0)
        # Up to a disturbance the grid still carries what it carried; after it the battery does.
        share = np.where(
            calm, np.where(before < 1, rising, 1.0), np.where(fed, before * (1 - disturbed), 0.0)
        )
        self._mains = np.where(self._is_ups & live, np.where(calm, rising, 0.0), 1.0)
        found: Floats = np.where(self._is_ups & live, 1 - share, 0.0)
        return found

    def _sags_at(self, second: int) -> Sags:
        """Return what sags do in a second, from the roots down to where a UPS keeps them off."""
        self._sags = [sag for sag in self._sags if _sag_ends(sag) > second]
        count = len(self._wiring.nodes)
        if not self._sags:
            return Sags(np.ones(count), np.ones(count), np.zeros(count), np.zeros(count, np.bool_))
        grid = np.zeros((4, count))
        grid[:2] = 1.0
        for sag in self._sags:
            start, end = max(sag.at_s, float(second)), min(_sag_ends(sag), second + 1.0)
            nodes = [n for s in sag.subjects for n in self.nodes_of(s)] or self._grids
            grid[0, nodes] -= (1 - sag.strength) * (end - start)
            grid[1, nodes] = np.minimum(grid[1, nodes], sag.strength)
            if sag.strength < RIDE_THROUGH:
                grid[2, nodes] = np.maximum(grid[2, nodes], 1 - (start - second))
                self._walk_in_s[:] = (
                    self._wiring.sizes.walk_in_s if sag.recovery_s is None else sag.recovery_s
                )
            if end - sag.at_s > _tolerated_s(sag.strength):
                grid[3, nodes] = 1.0
        disturbed = np.zeros(count)
        for level in reversed(self._wiring.levels):
            source = self._source[level]
            grid[:, level] = np.where(source == NONE, grid[:, level], grid[:, source])
            disturbed[level] = grid[2, level]
            kept_off = level[self._is_ups[level]]
            grid[:2, kept_off], grid[2:, kept_off] = 1.0, 0.0
        return Sags(grid[0], grid[1], disturbed, grid[3] > 0)


def _tolerated_s(per_unit: float) -> float:
    """Return for how long power supplies bear a voltage (ITIC curve, 2000) [s]."""
    return next((seconds for least, seconds in TOLERATED_S if per_unit >= least), 0.0)


def _sag_ends(sag: Event) -> float:
    return sag.at_s + SAG_S if sag.until_s is None else sag.until_s
