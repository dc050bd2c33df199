"""What was so in the plant that a rule is about, second by second: surely, possibly, and surely not any more.

Plain physics of the states that the simulated plant passed through, and the levels of the rules' catalogue;
nothing here is shared with the monitor. Instruments show a little more or less than what is true, so a level
has a band: beyond it something was surely so, short of it it surely was not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from simulators.model.ratings import Role
from simulators.model.state import Bools, Floats, Ints, State
from simulators.model.wiring import Wiring

ERROR: Final = 0.004
"""By what share a reading may be off [1]."""
TEMPERATURE_K: Final = 0.2
"""By how much a temperature may be off [K]."""
SUPPLY_C: Final = 32.0
"""Set point of the coolant units [°C]."""
PRESSURE_KPA: Final = 5.0
"""By how much a pressure may be off [kPa]."""
FLOW_LPM: Final = 2.5
"""By how much a flow may be off [L/min]."""
WINDOW_S: Final = 60
MEAN: Final = 0.06
"""By how much a mean of a window may be off that begins two seconds later [L/min per kW]."""
READ_S: Final = 5
"""How often a circuit's own current is read [s]."""
SHORTEST_S: Final = 54
"""The shortest time that a window may reach back: a part of it that is not over, and a second [s]."""
NO_FLOW: Final = 0.2
LOADED: Final = 0.3
OFF: Final = 0.03
"""Below this share of its rating a rack is off [1]."""
HALF_LOADED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """One way for a rule to open: a level, and how long it must last.

    Attributes:
        on_s: How long [s].
        surely: (S,) for which subjects it was surely so.
        possibly: (S,) for which it may have been.
    """

    on_s: int
    surely: Bools
    possibly: Bools


@dataclass(frozen=True, slots=True)
class Seen:
    """What was so in a second.

    Attributes:
        ways: Each way to open.
        clear: (S,) for which subjects it was surely over, by more than the deadband.
    """

    ways: tuple[Way, ...]
    clear: Bools


@dataclass(slots=True)
class Watch:
    """A rule with its subjects, and what was so of each, second by second.

    Attributes:
        rule: Its name.
        subjects: Their ids.
        off_s: How long it must be over [s].
        look: Says what is so in a state.
        causes: Rules whose alarms may keep its own from being told.
        seen: What was so in each second.
    """

    rule: str
    subjects: Sequence[str]
    off_s: int
    look: Callable[[State], Seen]
    causes: tuple[str, ...] = ()
    seen: list[Seen] = field(default_factory=list)

    def note(self, state: State) -> None:
        """Take in a second of the plant."""
        self.seen.append(self.look(state))


class _Mean:
    """The mean of the last minute, second by second."""

    def __init__(self) -> None:
        self._values: deque[Floats | Ints] = deque(maxlen=WINDOW_S)

    def of(self, now: Floats | Ints) -> Floats:
        """Take in the values of a second, and return their means over the last minute."""
        self._values.append(now)
        mean: Floats = np.mean(self._values, axis=0)
        return mean


class _Means:
    """What the mean of the last minute may be read as: it reaches back 54 to 61 s."""

    def __init__(self) -> None:
        self._values: deque[Floats | Ints] = deque(maxlen=WINDOW_S + 1)

    def of(self, now: Floats | Ints) -> tuple[Floats, Floats]:
        """Take in the values of a second, and return the least and the most of their means, (S,) each.

        What was before the first second is nothing for the least, and as it was since for the most.
        """
        self._values.append(now)
        sums = np.cumsum([*self._values][::-1], axis=0)
        spans = [(min(len(sums), span), span) for span in range(SHORTEST_S, WINDOW_S + 2)]
        least: Floats = np.min([sums[known - 1] / span for known, span in spans], axis=0)
        most: Floats = np.max([sums[known - 1] / known for known, _ in spans], axis=0)
        return least, most


class _Loads:
    """Which racks draw so much that coolant without flow counts: now, or as a mean while they are not off."""

    def __init__(self, wiring: Wiring) -> None:
        self._rating_milliwatts = wiring.rack_rating_milliwatts
        self._means = _Means()

    def of(self, state: State) -> tuple[Bools, Bools]:
        """Take in a second, and return which racks surely do, and which possibly."""
        draw = state.rack_milliwatts / self._rating_milliwatts
        least, most = self._means.of(draw)
        surely = (draw > LOADED + ERROR) | ((least > LOADED + ERROR) & (draw > OFF + ERROR))
        possibly = (draw > LOADED - ERROR) | ((most > LOADED - ERROR) & (draw > OFF - ERROR))
        return surely, possibly


def watches_of(wiring: Wiring, limit_milliwatts: int) -> list[Watch]:
    """Return what is watched in a plant.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        limit_milliwatts: What its tenants may draw together [mW].
    """
    return [
        *_electrical(wiring),
        _step_loss(wiring, limit_milliwatts),
        *_thermal(wiring),
        *_without_flow(wiring),
    ]


def _above(
    value: Floats, limit: float, error: float, over: float, on_s: int, where: Bools | None = None
) -> Seen:
    """Return what is seen of a value above a limit.

    Args:
        value: (S,) the value.
        limit: What it is held against, in its unit.
        error: By how much a reading of it may be off.
        over: The deadband.
        on_s: How long it must last [s].
        where: (S,) where it counts; None for everywhere.
    """
    counts = np.ones(len(value), np.bool_) if where is None else where
    way = Way(on_s, counts & (value > limit + error), value > limit - error)
    return Seen((way,), value < limit - over - error)


def _below(value: Floats, limit: float, error: float, over: float, on_s: int) -> Seen:
    return _above(-value, -limit, error, over, on_s)


def _electrical(wiring: Wiring) -> Iterator[Watch]:
    meters = np.array([kind == "PowerMeter" for kind in wiring.node_kinds], np.bool_)
    taps = np.array([role is Role.TAP for role in wiring.node_roles], np.bool_)
    all_of, phased = np.flatnonzero(meters), np.flatnonzero(meters & ~taps)
    rated, volts = wiring.sizes.amps, wiring.sizes.volts

    def ids(nodes: Ints) -> list[str]:
        return [str(wiring.nodes[node]) for node in nodes.tolist()]

    def load(state: State, nodes: Ints) -> Floats:
        share: Floats = state.node_amps[nodes].max(axis=1) / rated[nodes]
        return share

    squares, lately = _Means(), deque[Floats](maxlen=READ_S + 1)

    def continuous(state: State) -> Seen:
        # What was read last holds until the next, and what heats a conductor over a minute may be more.
        now = load(state, phased)
        lately.append(now)
        held = np.max(lately, axis=0)
        most = np.maximum(held, np.sqrt(squares.of(held**2)[1]))
        way = Way(20, now > 0.8 + 0.8 * ERROR, most > 0.8 - 0.8 * ERROR)
        return Seen((way,), most < 0.8 - 0.8 * 0.02 - 0.8 * ERROR)

    def trips(state: State) -> Seen:
        x = load(state, phased)
        over = np.maximum(x - 1, 1e-9)
        hold_s = np.where(x > 1.05, 9.3 * over**-2.04, 86_400.0)
        left_s = (1 - state.breaker_used[phased]) * hold_s
        # At the foot of the curve a little current is much time.
        soon = (left_s < 270) & (x > 1.06)
        way = Way(2, soon, left_s < 330)
        return Seen((way,), (left_s > 400) & (x < 1.04))

    def share(state: State) -> Floats:
        found: Floats = state.node_volts[all_of] / volts[all_of]
        return found

    def dead(state: State) -> Seen:
        return _below(share(state), 0.5, 0.02, 0.5 * 0.05, 2)

    def sagged(state: State) -> Seen:
        return _below(share(state), 0.95, 0.003, 0.01, 6)

    yield Watch("E1", ids(phased), 20, continuous)
    yield Watch("E2", ids(phased), 60, trips)
    yield Watch("E4", ids(all_of), 10, dead, causes=("E4",))
    yield Watch("E8", ids(all_of), 10, sagged, causes=("E4", "E8"))


def _step_loss(wiring: Wiring, limit_milliwatts: int) -> Watch:
    supply = [node for node in wiring.roots() if wiring.node_roles[node] is not Role.GENERATOR]
    past: deque[float] = deque(maxlen=5)

    def look(state: State) -> Seen:
        past.append(float(state.node_milliwatts[supply].sum()))
        *_, now = past
        before = list(past)[-3:-1] or [now]
        share = (max(before) - now) / limit_milliwatts
        loose = (max(past) - min(past)) / limit_milliwatts
        way = Way(0, np.array([share > 0.2 + ERROR]), np.array([loose > 0.2 - ERROR]))
        return Seen((way,), np.array([loose < 0.2 - ERROR]))

    return Watch("E12", [wiring.site.name], 0, look)


def _thermal(wiring: Wiring) -> Iterator[Watch]:
    racks, units = [str(rack) for rack in wiring.racks], [str(unit) for unit in wiring.cdus]
    mean_flow, mean_draw = _Mean(), _Mean()
    loads_of_flow, loads_of_rise = _Means(), _Means()

    has_stood = np.zeros(len(wiring.cdus), np.bool_)

    def off_set_point(state: State) -> Seen:
        # A unit whose pumps stood within 20 minutes is not judged, and a day is shorter than that.
        has_stood[:] |= state.cdu_pumps_running == 0
        kelvin = np.abs(state.cdu_supply_c - SUPPLY_C)
        error = 2 * TEMPERATURE_K
        way = Way(10, ~has_stood & (kelvin > 1.2 + error), kelvin > 1.2 - error)
        return Seen((way,), kelvin < 0.6 - error)

    def pressed(state: State) -> Seen:
        runs = state.cdu_pumps_running > 0
        kpa = state.cdu_pressure_kpa
        way = Way(8, runs & (kpa < 50 - PRESSURE_KPA), kpa < 50 + PRESSURE_KPA)
        return Seen((way,), kpa > 51 + PRESSURE_KPA)

    def hot(state: State) -> Seen:
        return _above(state.rack_supply_c, 33.5, TEMPERATURE_K, 1.0, 10)

    def starved(state: State) -> Seen:
        flow, draw = mean_flow.of(state.rack_flow_lpm), mean_draw.of(state.rack_milliwatts)
        surely, possibly = _half_loaded(wiring, *loads_of_flow.of(state.rack_milliwatts))
        each = flow / np.maximum(draw / 1e6, 1e-9)
        way = Way(15, surely & (each < 1 - MEAN), possibly & (each < 1 + MEAN))
        return Seen((way,), (each > 1.05 + MEAN) | ~possibly)

    def rise(state: State) -> Seen:
        surely, possibly = _half_loaded(wiring, *loads_of_rise.of(state.rack_milliwatts))
        kelvin = state.rack_return_c - state.rack_supply_c
        error = 2 * TEMPERATURE_K
        high = Way(20, surely & (kelvin > 15 + error), possibly & (kelvin > 15 - error))
        out = Way(
            60,
            surely & ((kelvin < 4 - error) | (kelvin > 15 + error)),
            possibly & ((kelvin < 4 + error) | (kelvin > 15 - error)),
        )
        return Seen((high, out), ((kelvin > 5 + error) & (kelvin < 14 - error)) | ~possibly)

    rows = list(dict.fromkeys(rack.rpartition("-")[0] for rack in racks))
    row_of = np.array([rows.index(rack.rpartition("-")[0]) for rack in racks])

    def leaks(state: State) -> Seen:
        in_row = np.bincount(row_of, state.rack_leaks, len(rows)) > 0
        leak = np.concatenate((state.rack_leaks, in_row))
        return Seen((Way(2, leak, leak),), ~leak)

    yield Watch("T5", units, 20, off_set_point, causes=("T18",))
    yield Watch("T14", units, 20, pressed, causes=("T18",))
    yield Watch("T6", racks, 20, hot, causes=("T5", "T18"))
    yield Watch("T8", racks, 20, starved, causes=("T7", "T14", "T18"))
    yield Watch("T9", racks, 20, rise, causes=("T7", "T8", "T14", "T18"))
    yield Watch("T12", [*racks, *(f"ENV-{row}" for row in rows)], 20, leaks)


def _without_flow(wiring: Wiring) -> Iterator[Watch]:
    racks, units = [str(rack) for rack in wiring.racks], [str(unit) for unit in wiring.cdus]
    least = NO_FLOW * wiring.rack_design_lpm
    serves = wiring.rack_cdu == np.arange(len(units))[:, None]

    loads_of_racks, loads_of_units = _Loads(wiring), _Loads(wiring)

    def seen(state: State, surely: Bools, possibly: Bools) -> Seen:
        flow = state.rack_flow_lpm
        way = Way(3, surely & (flow < least - FLOW_LPM), possibly & (flow < least + FLOW_LPM))
        return Seen((way,), (flow > least * 1.05 + FLOW_LPM) | ~possibly)

    def lost(state: State) -> Seen:
        return seen(state, *loads_of_racks.of(state))

    def dry(state: State) -> Seen:
        surely, possibly = loads_of_units.of(state)
        racks_seen, stands = seen(state, surely, possibly), state.cdu_pumps_running == 0

        def are_common(without: Bools, loaded: Bools) -> Bools:
            lacking = np.count_nonzero(serves & without, axis=1)
            are_half = 2 * lacking >= np.count_nonzero(serves & loaded, axis=1)
            found: Bools = (are_half & (lacking > 1)) | (stands & (lacking > 0))
            return found

        (way,) = racks_seen.ways
        common = Way(3, are_common(way.surely, possibly), are_common(way.possibly, surely))
        return Seen((common,), ~are_common(~racks_seen.clear, surely))

    yield Watch("T7", racks, 20, lost, causes=("T18",))
    yield Watch("T18", units, 20, dry)


def _half_loaded(wiring: Wiring, least: Floats, most: Floats) -> tuple[Bools, Bools]:
    """Return which racks surely draw half of their ratings, by bounds of their mean, and which may."""
    rating = wiring.rack_rating_milliwatts
    return least / rating > HALF_LOADED + ERROR, most / rating > HALF_LOADED - ERROR
