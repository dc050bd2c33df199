"""Whatever runs on a plant and befalls it: it balances, power is kept, every run is the same."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.model.events import Event, EventKind
from simulators.model.jobs import Idle, Inference, Job, Steady, Storage, Training
from simulators.model.layouts import Scheme, Shape
from simulators.model.noise import Noise
from simulators.model.plant import Plant
from simulators.model.state import State
from simulators.model.subjects import event_faults, subjects_of
from simulators.model.wiring import Wiring
from testing.simulators.model_plants import checked, event, run, steady, wired

SECONDS = 25


@cache
def plant_of(scheme: Scheme) -> Wiring:
    """Return a small plant of a scheme: six rows of two racks."""
    return wired(Shape(racks=12, racks_per_row=2, rows_per_group=1, scheme=scheme))


def jobs_on(wiring: Wiring) -> list[Job]:
    """Return one job of each kind, on some racks each."""
    r = wiring.racks
    return [
        Training(name="training", racks=r[:5], period_s=1.7, checkpoint_every_s=12, checkpoint_s=3),
        Inference(name="inference", racks=r[5:8]),
        Storage(name="storage", racks=r[8:9]),
        Steady(name="steady", racks=r[9:11], total_milliwatts=123_456_789),
        Idle(name="idle", racks=r[11:]),
    ]


schemes = st.sampled_from(["2N", "3N2", "4N3R"])


@st.composite
def stories(draw: st.DrawFn) -> tuple[Wiring, list[Event]]:
    """Draw a plant and up to six events of any kind on any subjects."""
    wiring = plant_of(draw(schemes))
    jobs = jobs_on(wiring)
    events = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(list(EventKind)))
        known = subjects_of(kind, wiring, jobs)
        subjects = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3)) if known else []
        at_s = draw(st.integers(0, SECONDS * 4)) / 4
        lasts_s = draw(st.integers(1, 60)) / 4
        strength = draw(st.integers(0, 20)) / 20
        to = wiring.racks[:2] if kind is EventKind.JOB_MOVE else ()
        events.append(event(kind, at_s, *subjects, until_s=at_s + lasts_s, strength=strength, to=to))
    assert event_faults(wiring, jobs, events) == []
    return wiring, events


def same(one: State, other: State) -> bool:
    """Tell whether two states are the same in every bit."""
    pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(State))
    return all(np.array_equal(a, b) for a, b in pairs)


@settings(max_examples=40)
@given(story=stories(), seed=st.integers(0, 2**40))
def test_power_and_heat_close_whatever_happens(story: tuple[Wiring, list[Event]], seed: int) -> None:
    """At every second, at every node and rack, in integers; no rack draws more than it wants."""
    wiring, events = story
    for state in checked(Plant(wiring, jobs_on(wiring), seed, events=events), SECONDS):
        assert (state.rack_milliwatts <= state.wanted_milliwatts).all()
        assert (state.wanted_milliwatts <= wiring.rack_rating_milliwatts).all()
        assert (state.rack_milliwatts[~state.rack_is_live] == 0).all()
        assert (state.node_milliwatts[~state.node_is_live] == 0).all()
        assert np.isfinite(state.rack_return_c).all()
        assert np.isfinite(state.node_amps).all()


@settings(max_examples=15)
@given(story=stories(), seed=st.integers(0, 2**40), handed=st.booleans())
def test_a_run_is_the_same_on_every_run(
    story: tuple[Wiring, list[Event]],
    seed: int,
    handed: bool,  # noqa: FBT001 - drawn
) -> None:
    """Every array of every second, bit for bit; also when events come with their second."""
    wiring, events = story
    first = Plant(wiring, jobs_on(wiring), seed, events=events)
    again = Plant(wiring, jobs_on(wiring), seed, events=() if handed else events)
    for second in range(SECONDS):
        new = [e for e in events if int(e.at_s) == second] if handed else []
        ordered = sorted(new, key=lambda e: e.at_s)
        assert same(first.step(second), again.step(second, ordered))


@settings(max_examples=20)
@given(scheme=schemes, kilowatts=st.integers(1, 132), place=st.integers(0, 10**6))
def test_the_loss_of_any_one_node_keeps_every_tenant_s_power(
    scheme: Scheme, kilowatts: int, place: int
) -> None:
    """With two feeds no single loss takes a milliwatt from a rack."""
    wiring = plant_of(scheme)
    node = wiring.nodes[place % len(wiring.nodes)]
    loss = event(EventKind.FEED_LOSS, 2, node)

    states = run(wiring, [steady(wiring, kilowatts)], [loss], seconds=18)

    assert all((state.rack_milliwatts == states[0].rack_milliwatts).all() for state in states)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**40), seconds=st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_chance_of_a_second_does_not_depend_on_what_was_asked_before(seed: int, seconds: list[int]) -> None:
    """In any order, from any beginning."""
    asked = Noise(seed, "purpose", 3)

    for second in seconds:
        assert asked.at(second).tolist() == Noise(seed, "purpose", 3).at(second).tolist()
    assert asked.at(5).tolist() != Noise(seed, "other purpose", 3).at(5).tolist()
    assert asked.at(5).tolist() != Noise(seed + 1, "purpose", 3).at(5).tolist()
