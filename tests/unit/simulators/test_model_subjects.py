"""Events and jobs that name what is not there, or ask the impossible, are refused with all faults at once."""

from __future__ import annotations

import pytest

from simulators.model.events import Event, EventKind
from simulators.model.jobs import (
    Course,
    Idle,
    Inference,
    Job,
    Move,
    Smoothing,
    Steady,
    Storage,
    Training,
)
from simulators.model.plant import Plant
from simulators.model.ratings import WiringError
from simulators.model.subjects import event_faults, job_faults, subjects_of
from testing.simulators.model_plants import SEED, event, steady, wired

K = EventKind
WIRING = wired()
JOBS = [steady(WIRING, 50)]


@pytest.mark.parametrize(
    ("wrong", "place", "hint"),
    [
        (event(K.FEED_LOSS, 0, "P01A-BUS-C"), "subjects", "P01A-BUS-"),
        (event(K.FEED_LOSS, 0), "subjects", ""),
        (event(K.FEED_LOSS, 0, "C"), "subjects", ""),
        (event(K.UPS_FAULT, 0, "XFMR-01A"), "subjects", ""),
        (event(K.SAG, 0, "GEN-01A", strength=0.5), "subjects", ""),
        (event(K.SAG, 0, strength=1.5), "strength", ""),
        (event(K.PUMP_FAILURE, 0, "P01A-CRAH"), "subjects", "P01A-CDU"),
        (event(K.PUMP_FAILURE, 0, "P01A-CDU", failover_s=-1.0), "failover_s", ""),
        (event(K.LEAK, 0, "P01A-CDU"), "subjects", "P01A-"),
        (event(K.LEAK, 0, "P01A-01", strength=-1.0), "strength", ""),
        (event(K.DEW_POINT, 0, strength=60.0), "strength", ""),
        (event(K.LOAD_STEP, -1, "all"), "at_s", ""),
        (event(K.LOAD_STEP, 5, "all", until_s=5), "until_s", ""),
        (event(K.RAMP, 5, "all"), "until_s", ""),
        (event(K.LOAD_STEP, 0, "P01A-01", total_milliwatts=132_000_001), "total_milliwatts", ""),
        (event(K.LOAD_STEP, 0, "all", total_milliwatts=-1), "total_milliwatts", ""),
        (event(K.LEAK, 0, "P01A-01", total_milliwatts=1), "total_milliwatts", ""),
        (event(K.JOB_MOVE, 0, "all"), "to", ""),
        (event(K.JOB_MOVE, 0, "all", to=("P01A-1",)), "to", "P01A-0"),
        (event(K.JOB_STOP, 0, "al"), "subjects", "all"),
    ],
)
def test_an_event_that_can_not_be_is_refused(wrong: Event, place: str, hint: str) -> None:
    """With its place and, where one is near, a known name."""
    faults = event_faults(WIRING, JOBS, [wrong])

    assert [fault.path for fault in faults] == [f"event[0].{place}"]
    assert hint in faults[0].hint


@pytest.mark.parametrize("kind", list(EventKind))
def test_what_may_befall_something_is_accepted(kind: EventKind) -> None:
    """Every kind, with each of its possible subjects."""
    known = subjects_of(kind, WIRING, JOBS)
    said: dict[str, object] = {"until_s": 5, "to": WIRING.racks, "strength": 0.5}
    events = [event(kind, 1, *([subject] if subject else []), **said) for subject in known or [""]]

    assert event_faults(WIRING, JOBS, events) == []


@pytest.mark.parametrize(
    ("job", "place"),
    [
        (Idle(name="j", racks=()), "racks"),
        (Idle(name="j", racks=("P01A-04",)), "racks"),
        (Idle(name="j", racks=WIRING.racks, starts_s=5, ends_s=5), "ends_s"),
        (Idle(name="j", racks=WIRING.racks, moves=(Move(at_s=1, racks=("x",)),)), "moves"),
        (Training(name="j", racks=WIRING.racks, level=1.2), "level"),
        (Training(name="j", racks=WIRING.racks, period_s=0), "period_s"),
        (Training(name="j", racks=WIRING.racks, failure_hours=0), "failure_hours"),
        (Training(name="j", racks=WIRING.racks, smoothing=Smoothing(floor=2)), "smoothing.floor"),
        (Inference(name="j", racks=WIRING.racks, tau_s=0), "tau_s"),
        (Storage(name="j", racks=WIRING.racks, sigma=-1), "sigma"),
        (Course(name="j", racks=WIRING.racks, points=((0, 0.5), (1, 1.5))), "points"),
        (Course(name="j", racks=WIRING.racks, points=()), "points"),
        (Course(name="j", racks=WIRING.racks, points=((5, 0.5), (1, 0.5))), "points"),
        (Steady(name="j", racks=WIRING.racks, total_milliwatts=792_000_001), "total_milliwatts"),
        (Steady(name="j", racks=WIRING.racks, total_milliwatts=-1), "total_milliwatts"),
    ],
)
def test_a_job_that_can_not_be_is_refused(job: Job, place: str) -> None:
    """With its place."""
    assert [fault.path for fault in job_faults(WIRING, [job])] == [f"load[0].{place}"]


def test_a_plant_is_refused_with_all_faults_at_once() -> None:
    """Three wrong events: three faults; two jobs of one name: one."""
    wrong = [event(K.LEAK, 0, "x"), event(K.LEAK, -1, "P01A-01"), event(K.CRAH_LOSS, 0, "y")]

    with pytest.raises(WiringError) as refused:
        Plant(WIRING, JOBS, SEED, events=wrong)
    with pytest.raises(WiringError) as twice:
        Plant(WIRING, JOBS * 2, SEED)

    assert len(refused.value.faults) == 3
    assert [fault.path for fault in twice.value.faults] == ["load[1].name"]


def test_an_event_that_comes_with_a_step_is_checked_and_taken_once() -> None:
    """The same event handed in every second is one event."""
    plant, other = Plant(WIRING, JOBS, SEED), Plant(WIRING, JOBS, SEED)
    back = event(K.LOAD_STEP, 1, "all", strength=0.1, until_s=3)

    once = [plant.step(s, [back] if s == 1 else []).rack_milliwatts.tolist() for s in range(5)]
    always = [other.step(s, [back]).rack_milliwatts.tolist() for s in range(5)]

    assert once == always
    assert once[1] != once[0] == once[3]
    with pytest.raises(WiringError):
        plant.step(5, [event(K.LEAK, 5, "x")])
