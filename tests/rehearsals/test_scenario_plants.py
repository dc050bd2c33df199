"""What the scenarios say of their plants is true of them."""

from __future__ import annotations

import numpy as np

from simulators.model.state import State
from simulators.model.wiring import Wiring
from simulators.run import Simulation, wiring_of
from simulators.scenario.file import open_scenario
from simulators.truth.conditions import Condition, Conditions


def lived(name: str) -> tuple[Wiring, list[State], list[Condition]]:
    """Return the plant of a scenario, its states second by second, and what was so in it."""
    scenario = open_scenario(name)
    wiring = wiring_of(scenario)
    simulation, conditions, states = Simulation(scenario, wiring=wiring), Conditions(wiring), list[State]()
    for second in simulation.seconds():
        states.append(second.state)
        conditions.note(second.state)
    return wiring, states, conditions.found


def test_breakers_trip_by_their_curve() -> None:
    """At 140 % after about a minute, at 125 % after about two and a half, at 110 % not within six."""
    wiring, states, found = lived("e_breaker_overloaded")

    live = np.stack([state.rack_is_live for state in states])
    dark = [int(np.flatnonzero(~live[:, rack])[0]) if not live[:, rack].all() else None for rack in range(6)]

    assert dark[0] is None
    assert dark[1] is not None
    assert dark[2] is not None
    # The worst phase carries a little more than the mean, so a little sooner than the curve of the mean.
    assert 60 + 40 <= dark[2] <= 60 + 60
    assert 60 + 110 <= dark[1] <= 60 + 156
    assert dark[3:] == [None] * 3
    assert {c.subject for c in found if c.rule == "E2"} >= {f"P01A-0{n}-TAP-B" for n in (1, 2, 3)}
    assert {c.subject for c in found if c.rule == "E12"} == set()
    assert wiring.racks[2] == "P01A-03"


def test_a_pump_that_nobody_replaces_stops_its_racks() -> None:
    """Behind the pump that failed over nothing happens; behind the other the racks shut off."""
    wiring, states, found = lived("f_pump_failover")

    last = states[-1].rack_milliwatts
    spared = [place for rack, place in wiring.rack_place.items() if rack.startswith("P01A")]
    struck = [place for rack, place in wiring.rack_place.items() if rack.startswith("P01B")]
    assert last[spared].tolist() == states[0].rack_milliwatts[spared].tolist()
    assert last[struck].sum() == 0
    without_flow = {c.subject: ((c.to_ms or 2**62) - c.from_ms) / 1_000 for c in found if c.rule == "T7"}
    assert max(s for rack, s in without_flow.items() if rack.startswith("P01A")) <= 6
    assert min(s for rack, s in without_flow.items() if rack.startswith("P01B")) > 6
    assert {c.subject for c in found if c.rule == "T16"} == {"P01A-CDU", "P01B-CDU"}


def test_a_lost_feed_keeps_every_tenant_s_power() -> None:
    """While feed A is dead, B carries all of it: the sums are the same to the milliwatt."""
    _, states, found = lived("d_feed_lost")

    totals = {int(state.rack_milliwatts.sum()) for state in states}
    assert totals == {1_200_000_000}
    assert int(states[300].feed_milliwatts[:, 0].sum()) == 0
    assert {c.subject for c in found if c.rule == "E4"} >= {"P01A-BUS-A", "P01B-BUS-A"}
    assert not any("BUS-B" in c.subject for c in found if c.rule == "E4")


def test_a_swing_within_a_second_is_there_and_its_mean_is_legal() -> None:
    """The power of an instant goes above 720 kW, that of no second does."""
    _, states, _ = lived("c_swing_within_a_second")

    assert max(int(state.rack_milliwatts.sum()) for state in states) < 684_000_000
    assert max(int(state.rack_instant_milliwatts.sum()) for state in states) > 720_000_000


def test_a_sag_is_carried_by_batteries() -> None:
    """The voltage falls to 40 %, no rack notices, and the site takes its load back over ten seconds."""
    _, states, found = lived("i_grid_sag")

    assert len({int(state.rack_milliwatts.sum()) for state in states}) == 1
    assert {c.subject for c in found if c.rule == "E8"} >= {"UTILITY-1", "UTILITY-2"}
    assert min(c.worst for c in found if c.rule == "E8") < 0.45
    assert int(states[100].node_milliwatts[0]) < int(states[99].node_milliwatts[0])
