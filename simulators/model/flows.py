"""What moves the coolant: pumps, valves, by-passes and leaks; and what detects those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.model.events import Event, EventKind
from simulators.model.noise import Wander
from simulators.model.state import Bools, Floats, Ints
from simulators.model.wiring import NONE, Wiring

FLOW_SIGMA: Final = 0.004
"""Fluctuation of the flow around what the valve is set to (our choice)."""
PRESSURE_KPA: Final = 240.0
"""Differential pressure of the secondary loop at design flow: 35 psi (NVIDIA's guide) [kPa]."""
DECAY_S: Final = 2.0
"""How long flow takes to stop, or to come back [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """How coolant moves in a second.

    Attributes:
        rack_lpm: (R,) flow [L/min], with what goes past the rack through its sensors.
        rack_leaks: (R,) whether coolant escapes.
        rack_detector_fails: (R,) whether the leak detector is faulty.
        cdu_lpm: (C,) flow of the secondary loop [L/min].
        cdu_kpa: (C,) its differential pressure [kPa].
        cdu_pumps: (C,) pumps that run.
    """

    rack_lpm: Floats
    rack_leaks: Bools
    rack_detector_fails: Bools
    cdu_lpm: Floats
    cdu_kpa: Floats
    cdu_pumps: Ints


class Flows:
    """The coolant in motion.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        seed: What all chance follows from.
    """

    def __init__(self, wiring: Wiring, seed: int) -> None:
        self._wiring = wiring
        racks, units = len(wiring.racks), len(wiring.cdus)
        wet = wiring.rack_liquid_share > 0
        self._design = np.where(wet, wiring.rack_design_lpm, 0.0)
        self._noise = Wander(seed, "flow", racks, sigma=FLOW_SIGMA, tau_s=5)
        self._cdu = np.where(wiring.rack_cdu == NONE, units, wiring.rack_cdu)
        self._rack_share = np.ones(racks)
        self._unit_share = np.ones(units)
        self._escaped_kpa = np.zeros(units)
        self._events: list[Event] = []

    def begin(self, event: Event, second: int) -> None:
        """Take note of an event that begins."""
        del second
        self._events.append(event)

    def step(self, second: int) -> Moved:
        """Let a second pass."""
        self._events = [event for event in self._events if second < event.ends_s]
        rack_goal, unit_goal, pumps = self._goals(second)
        leaks, fails = self._struck(EventKind.LEAK), self._struck(EventKind.LEAK_DETECTOR_FAULT)
        step = 1 / DECAY_S
        self._rack_share = self._rack_share + np.clip(rack_goal - self._rack_share, -step, step)
        self._unit_share = self._unit_share + np.clip(unit_goal - self._unit_share, -step, step)
        pushed: Floats = np.append(self._unit_share, 1.0)[self._cdu]
        flow: Floats = self._design * self._rack_share * pushed * (1 + self._noise.step(second))
        units = len(pumps)
        unit_flow: Floats = np.bincount(self._cdu, flow, units + 1)[:units].astype(np.float64)
        kpa = np.maximum(PRESSURE_KPA * self._unit_share**2 - self._escaped_kpa, 0.0)
        return Moved(flow, leaks, fails, unit_flow, kpa, pumps)

    def _struck(self, kind: EventKind) -> Bools:
        """Return which racks an event of a kind befalls: (R,)."""
        struck = np.zeros(len(self._wiring.racks), np.bool_)
        for event in self._events:
            if event.kind is kind:
                struck[self._subjects(event)[0]] = True
        return struck

    def _goals(self, second: int) -> tuple[Floats, Floats, Ints]:
        racks, units = len(self._wiring.racks), len(self._wiring.cdus)
        rack_goal, unit_goal = np.ones(racks), np.ones(units)
        pumps = np.ones(units, np.int64)
        escapes = np.zeros(units)
        for event in self._events:
            on_racks, on_units = self._subjects(event)
            if event.kind is EventKind.PUMP_FAILURE:
                # The other pump starts before the flow is back: it needs the time of a stop to build it up.
                back_s = None if event.failover_s is None else event.at_s + event.failover_s - DECAY_S
                works = back_s is not None and second >= back_s
                unit_goal[on_units] = 1.0 if works else 0.0
                pumps[on_units] = 1 if works else 0
            elif event.kind is EventKind.FLOW_LOSS:
                rack_goal[on_racks] = np.minimum(rack_goal[on_racks], 1 - event.strength)
                unit_goal[on_units] = np.minimum(unit_goal[on_units], 1 - event.strength)
            elif event.kind is EventKind.BYPASS:
                # What goes through the rack is as before, and what goes past it comes on top.
                rack_goal[on_racks] *= 1 + event.strength
            elif event.kind is EventKind.LEAK:
                wet = self._wiring.rack_cdu[list(on_racks)]
                escapes[wet[wet != NONE]] += event.strength / 60
        # What has escaped is filled up again once nothing leaks.
        self._escaped_kpa = np.where(escapes > 0, self._escaped_kpa + escapes, 0.0)
        return rack_goal, unit_goal, pumps

    def _subjects(self, event: Event) -> tuple[Sequence[int], Sequence[int]]:
        place = self._wiring.rack_place
        racks = [place[name] for name in event.subjects if name in place]  # type: ignore[index]  # ids are strings
        units = [i for i, name in enumerate(self._wiring.cdus) if name in event.subjects]
        return racks, units
