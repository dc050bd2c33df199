"""Plants for the tests of the model, and its balances worked out in plain Python integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from facility.sitefile.reader import read_site
from simulators.model.events import Event, EventKind
from simulators.model.jobs import Job, Steady
from simulators.model.layouts import Shape, site_text
from simulators.model.plant import Plant
from simulators.model.ratings import Rating
from simulators.model.state import State
from simulators.model.wiring import Wiring, wire

SEED = 20_260_101
KW = 1_000_000
"""Milliwatts in a kilowatt."""
SMALL = Shape(racks=6, racks_per_row=3, rows_per_group=1, leases=())
"""Two rows of three racks, each row on a UPS pair of its own."""


def wired(shape: Shape = SMALL, ratings: Mapping[str, Rating] | None = None) -> Wiring:
    """Return the wiring of a shape."""
    return wire(read_site(site_text(shape)).site, ratings=ratings)


def wired_text(text: str, ratings: Mapping[str, Rating] | None = None) -> Wiring:
    """Return the wiring of a site file."""
    return wire(read_site(text).site, ratings=ratings)


def steady(wiring: Wiring, kilowatts: float, name: str = "all") -> Steady:
    """Return a job that draws exactly so much on every rack."""
    total = round(kilowatts * KW) * len(wiring.racks)
    return Steady(name=name, racks=wiring.racks, total_milliwatts=total)


def event(kind: EventKind, at_s: float, *subjects: str, **said: object) -> Event:
    """Return an event."""
    return Event(kind=kind, at_s=at_s, subjects=subjects, **said)  # type: ignore[arg-type]  # checked by the dataclass's users


def run(
    wiring: Wiring, jobs: Sequence[Job], events: Sequence[Event] = (), *, seconds: int, seed: int = SEED
) -> list[State]:
    """Return the states of a run, each checked for its balances."""
    return list(checked(Plant(wiring, jobs, seed, events=events), seconds))


def checked(plant: Plant, seconds: int) -> Iterator[State]:
    """Step a plant, and check that power and heat close at every second."""
    before: State | None = None
    for second in range(seconds):
        state = plant.step(second)
        check_power(plant.wiring, state)
        check_heat(state, before)
        before = state
        yield state


def check_power(wiring: Wiring, state: State) -> None:
    """Check that what goes into every node comes out or is lost, to the milliwatt, in plain integers."""
    out = [0] * len(wiring.nodes)
    without_tap = 0
    for node, source in enumerate(state.node_source.tolist()):
        if source >= 0:
            out[source] += int(state.node_milliwatts[node])
    for feeds, taps in zip(state.feed_milliwatts.tolist(), wiring.rack_tap.tolist(), strict=True):
        for power, tap in zip(feeds, taps, strict=True):
            if tap >= 0:
                out[tap] += power
            else:
                without_tap += power
    taken, stored = state.node_milliwatts.tolist(), state.node_storage_milliwatts.tolist()
    lost = state.node_loss_milliwatts.tolist()
    assert [a + b for a, b in zip(taken, stored, strict=True)] == [
        a + b for a, b in zip(out, lost, strict=True)
    ]
    racks = state.rack_milliwatts.tolist()
    from_outside = sum(taken[root] for root in wiring.roots())
    assert from_outside + sum(stored) + without_tap == sum(racks) + sum(lost)
    assert [sum(feeds) for feeds in state.feed_milliwatts.tolist()] == racks
    assert [[sum(p) for p in feeds] for feeds in state.phase_milliwatts.tolist()] == (
        state.feed_milliwatts.tolist()
    )
    assert [sum(phases) for phases in state.node_phase_milliwatts.tolist()] == taken
    assert min(lost, default=0) >= 0
    assert state.phase_milliwatts.min() >= 0


def check_heat(state: State, before: State | None) -> None:
    """Check that all power of a rack becomes heat that leaves it or warms it, to the millijoule."""
    earlier = [0] * len(state.rack_milliwatts) if before is None else before.rack_stored_millijoules.tolist()
    stored = state.rack_stored_millijoules.tolist()
    rise = [now - then for now, then in zip(stored, earlier, strict=True)]
    heat = state.rack_heat_milliwatts.tolist()
    assert state.rack_milliwatts.tolist() == [a + b for a, b in zip(heat, rise, strict=True)]
