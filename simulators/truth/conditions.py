"""What was so in the plant that a rule is about: when it began, when it ended, where, and how bad it was.

A condition here is the bare fact, without the delays and deadbands of an alarm: a rule that says so later, or
not at all because it passed soon, may be right. Levels are those of the rule catalogue; what has another
source says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.model.ratings import Role
from simulators.model.state import Bools, Floats, Ints, State
from simulators.model.wiring import Wiring

CONTINUOUS: Final = 0.8
"""Share of a breaker's rating that it may carry for three hours and more (NEC)."""
LOADED: Final = 0.3
"""Share of a rating below which unbalance and power factor say little (our choice)."""
UNBALANCED: Final = 0.1
"""Deviation of a phase current from the mean that utilities ask not to exceed."""
VOLTAGE_BAND: Final = 0.05
"""Range A of ANSI C84.1."""
GRID_HZ: Final = (59.5, 60.5)
STEP_SHARE: Final = 0.2
"""Fall of the site's load within two seconds that is a loss of load (our choice)."""
RECOMMENDED_C: Final = (18.0, 27.0)
"""Inlet air that ASHRAE TC 9.9 recommends for classes A1 to A4."""
NO_FLOW: Final = 0.2
LEAST_LPM_PER_KW: Final = 1.0
LARGEST_RISE_K: Final = 15.0
LEAST_RISE_K: Final = 4.0
"""Rise below which coolant goes past a rack that is loaded (our choice, that of the rule catalogue)."""
DEW_MARGIN_K: Final = 3.0


@dataclass(slots=True, kw_only=True)
class Condition:
    """A time in which something was so.

    Attributes:
        rule: Name of the rule that is about it.
        subject: Id of the tenant, rack or other subject.
        from_ms: When it began [ms].
        to_ms: When it ended [ms], None where it had not.
        worst: The worst value [unit].
        limit: What it is held against [unit].
        unit: Symbol of the unit of worst and limit.
    """

    rule: str
    subject: str
    from_ms: int
    to_ms: int | None
    worst: float
    limit: float
    unit: str


Found = tuple[Bools, Floats]
"""Where something is so, and the figure that says so; one place for each subject."""


@dataclass(frozen=True, slots=True)
class _Watch:
    """One condition of all subjects it may be about."""

    rule: str
    unit: str
    limit: float
    subjects: Sequence[str]
    look: Callable[[State], Found]
    is_low: bool = False


class Conditions:
    """Follows every condition through a run.

    Args:
        wiring: The plant's graph and ratings, in arrays.

    Attributes:
        found: Every condition, in the order in which they began.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._watches = [*_electrical(wiring), *_thermal(wiring), *_site(wiring)]
        self._was = [np.zeros(len(watch.subjects), np.bool_) for watch in self._watches]
        self._open: dict[tuple[int, int], Condition] = {}
        self.found: list[Condition] = []

    def note(self, state: State) -> None:
        """Take in a second of the plant."""
        for number, watch in enumerate(self._watches):
            is_so, figure = watch.look(state)
            before = self._was[number]
            if not (is_so.any() or before.any()):
                continue
            self._was[number] = is_so
            for place in np.flatnonzero(is_so & ~before).tolist():
                condition = Condition(
                    rule=watch.rule,
                    subject=watch.subjects[place],
                    from_ms=state.time_ms,
                    to_ms=None,
                    worst=float(figure[place]),
                    limit=watch.limit,
                    unit=watch.unit,
                )
                self._open[number, place] = condition
                self.found.append(condition)
            for place in np.flatnonzero(is_so).tolist():
                worst = min if watch.is_low else max
                condition = self._open[number, place]
                condition.worst = worst(condition.worst, float(figure[place]))
            for place in np.flatnonzero(before & ~is_so).tolist():
                self._open.pop((number, place)).to_ms = state.time_ms


# What there is to see -------------------------------------------------------------------


def _electrical(wiring: Wiring) -> Iterator[_Watch]:
    nodes = [str(node) for node in wiring.nodes]
    amps, volts = wiring.sizes.amps, wiring.sizes.volts
    carries = np.array([role is not Role.GENERATOR for role in wiring.node_roles], np.bool_)

    def load(state: State) -> Floats:
        share: Floats = state.node_amps.max(axis=1) / amps
        return share

    def overloaded(state: State) -> Found:
        return state.breaker_used > 0.05, state.breaker_used  # noqa: PLR2004 - what a starting load uses up

    def dead(state: State) -> Found:
        return ~state.node_is_live & carries, np.zeros(len(nodes))

    def unbalanced(state: State) -> Found:
        mean = state.node_amps.mean(axis=1)
        spread = np.abs(state.node_amps - mean[:, None]).max(axis=1) / np.maximum(mean, 1e-9)
        return (spread > UNBALANCED) & (load(state) > LOADED), spread

    def sagged(state: State) -> Found:
        share = state.node_volts_low / volts
        return (share < 1 - VOLTAGE_BAND) & carries, share

    yield _Watch("E1", "share of the rating", CONTINUOUS, nodes, lambda s: (load(s) > CONTINUOUS, load(s)))
    yield _Watch("E2", "share of the trip curve", 1.0, nodes, overloaded)
    yield _Watch("E4", "live", 1.0, nodes, dead, is_low=True)
    yield _Watch("E7", "share of the mean", UNBALANCED, nodes, unbalanced)
    yield _Watch("E8", "share of nominal", 1 - VOLTAGE_BAND, nodes, sagged, is_low=True)
    yield from _headroom(wiring)


def _headroom(wiring: Wiring) -> Iterator[_Watch]:
    """Yield what would not fit on one feed, where a rack has two."""
    pairs = (wiring.rack_tap >= 0).sum(axis=1) > 1
    rated = wiring.sizes.milliwatts[np.maximum(wiring.rack_tap, 0)]
    smaller = np.where(wiring.rack_tap >= 0, rated, 2**62).min(axis=1)

    def short(state: State) -> Found:
        share: Floats = state.rack_milliwatts / smaller
        return pairs & (share > CONTINUOUS), share

    yield _Watch("E3", "share of one feed", CONTINUOUS, [str(rack) for rack in wiring.racks], short)


def _thermal(wiring: Wiring) -> Iterator[_Watch]:
    racks, units = [str(rack) for rack in wiring.racks], [str(unit) for unit in wiring.cdus]
    rating_kw = wiring.rack_rating_milliwatts / 1e6
    is_liquid = (wiring.rack_cdu >= 0) & (wiring.rack_liquid_share > 0)

    def flow(state: State) -> Floats:
        share: Floats = state.rack_flow_lpm / wiring.rack_design_lpm
        return share

    def no_flow(state: State) -> Found:
        draws = state.rack_milliwatts > LOADED * wiring.rack_rating_milliwatts
        return is_liquid & draws & (flow(state) < NO_FLOW), flow(state)

    def starved(state: State) -> Found:
        kilowatts = state.rack_milliwatts / 1e6
        each = state.rack_flow_lpm / np.maximum(kilowatts, 1e-9)
        return is_liquid & (kilowatts > rating_kw / 2) & (each < LEAST_LPM_PER_KW), each

    def rise(state: State) -> Found:
        kelvin = state.rack_return_c - state.rack_supply_c
        return is_liquid & (kelvin > LARGEST_RISE_K), kelvin

    def passed(state: State) -> Found:
        is_loaded = state.rack_milliwatts > wiring.rack_rating_milliwatts / 2
        kelvin = state.rack_return_c - state.rack_supply_c
        return is_liquid & is_loaded & (kelvin < LEAST_RISE_K), kelvin

    def damp(state: State) -> Found:
        margin = state.rack_supply_c - state.room_dew_point_c
        return is_liquid & (margin < DEW_MARGIN_K), margin

    low_c, high_c = RECOMMENDED_C
    yield _Watch("T1", "°C", high_c, racks, lambda s: (s.rack_inlet_c > high_c, s.rack_inlet_c))
    yield _Watch("T2", "°C", low_c, racks, lambda s: (s.rack_inlet_c < low_c, s.rack_inlet_c), is_low=True)
    yield _Watch("T7", "share of design", NO_FLOW, racks, no_flow, is_low=True)
    yield _Watch("T8", "L/min per kW", LEAST_LPM_PER_KW, racks, starved, is_low=True)
    yield _Watch("T9", "K", LARGEST_RISE_K, racks, rise)
    yield _Watch("T9", "K", LEAST_RISE_K, racks, passed, is_low=True)
    yield _Watch("T11", "K", DEW_MARGIN_K, racks, damp, is_low=True)
    yield _Watch("T12", "leak", 0.0, racks, lambda s: _so(s.rack_leaks))
    yield _Watch("T13", "fault", 0.0, racks, lambda s: _so(s.rack_detector_fails))
    usual: list[Ints] = []

    def pumps(state: State) -> Found:
        if not usual:
            usual.append(state.cdu_pumps_running)
        return state.cdu_pumps_running < usual[0], state.cdu_pumps_running.astype(np.float64)

    yield _Watch("T16", "pumps", 1.0, units, pumps, is_low=True)


def _so(where: Bools) -> Found:
    """Return what is so or not, and has no other figure."""
    return where, where.astype(np.float64)


def _site(wiring: Wiring) -> Iterator[_Watch]:
    name = [wiring.site.name]
    committed = sum(
        tenant.contract.versions[-1].committed_milliwatts
        for tenant in wiring.site.tenants
        if tenant.contract is not None
    )
    past: deque[int] = deque(maxlen=3)

    def frequency(state: State) -> Found:
        low, high = GRID_HZ
        is_off = not low <= state.frequency_hz <= high
        return np.array([is_off]), np.array([abs(state.frequency_hz - 60.0)])

    def fall(state: State) -> Found:
        past.append(int(state.rack_milliwatts.sum()))
        share = (past[0] - past[-1]) / max(1, committed)
        return np.array([share > STEP_SHARE]), np.array([share])

    yield _Watch("E10", "Hz off 60", 0.5, name, frequency)
    yield _Watch("E12", "share of what is committed", STEP_SHARE, name, fall)
