"""Loads: what jobs want, exactly where that is said, and what people and chance do to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulators.model.events import EventKind
from simulators.model.jobs import (
    Course,
    Inference,
    Job,
    Move,
    Recorded,
    Smoothing,
    Steady,
    Storage,
    Training,
)
from simulators.model.layouts import Lease
from simulators.model.state import Ints
from simulators.model.traces import Trace
from testing.simulators.model_plants import KW, SMALL, event, run, steady, wired

K = EventKind
WIRING = wired()
RACKS = WIRING.racks


def totals(*jobs: Job, seconds: int, events: tuple[object, ...] = ()) -> list[int]:
    """Return what all racks want in each second [mW]."""
    states = run(WIRING, jobs, events, seconds=seconds)  # type: ignore[arg-type]  # events of `event`
    return [int(state.wanted_milliwatts.sum()) for state in states]


def matrix(*jobs: Job, seconds: int) -> tuple[Ints, Ints]:
    """Return means and instants: (seconds, racks) [mW]."""
    states = run(WIRING, jobs, seconds=seconds)
    means = np.array([state.wanted_milliwatts for state in states])
    return means, np.array([state.rack_instant_milliwatts for state in states])


def test_racks_without_a_job_idle() -> None:
    """15 % of 132 kW each, within a hundredth."""
    means, _ = matrix(seconds=30)

    assert np.allclose(means / KW, 0.15 * 132, rtol=0.02)
    assert means.std() > 0


@pytest.mark.parametrize("total", [0, 1, 5, 6, 7, 599_999_999, 792_000_000])
def test_a_steady_load_is_exact_to_the_milliwatt(total: int) -> None:
    """Whatever the total and however it divides over six racks, no rack is 2 mW off another."""
    states = run(WIRING, [Steady(name="s", racks=RACKS, total_milliwatts=total)], seconds=3)

    for state in states:
        assert int(state.rack_milliwatts.sum()) == total
        assert np.ptp(state.rack_milliwatts) <= 1


def test_training_swings_in_phase_over_all_racks() -> None:
    """Two states of one job move together; the mean lies between computing and communicating."""
    job = Training(name="t", racks=RACKS, period_s=8.0, dip=0.6, checkpoint_every_s=0)
    means, instants = matrix(job, seconds=80)
    shares = means / (132 * KW)

    assert np.corrcoef(shares[10:, 0], shares[10:, 5])[0, 1] > 0.99
    assert 0.9 < shares[10:].max() <= 1.0
    assert shares[10:].min() == pytest.approx(0.95 - 0.6 * 0.8, abs=0.03)
    assert shares[8:].mean() == pytest.approx(0.95 - 0.25 * 0.6 * 0.8, abs=0.01)
    # A sample sees either state whole; the mean of a second may hold some of both.
    assert instants[10:].min() == pytest.approx(means[10:].min(), rel=0.03)
    assert instants[10:].max() == pytest.approx(means[10:].max(), rel=0.03)


def test_a_swing_within_the_second_shows_in_the_sample_and_not_in_the_mean() -> None:
    """Half-second iterations: each mean is alike, samples are high or low."""
    job = Training(name="t", racks=RACKS, period_s=0.52, dip=0.7, dip_share=0.5, checkpoint_every_s=0)
    means, instants = matrix(job, seconds=100)

    assert np.ptp(means[10:, 0]) < 0.12 * 132 * KW
    assert np.ptp(instants[10:, 0]) > 0.5 * 132 * KW
    assert instants[10:, 0].mean() == pytest.approx(means[10:, 0].mean(), rel=0.1)


def test_training_writes_checkpoints() -> None:
    """Every 60 s for 10 s the job falls to a fifth of its rating."""
    job = Training(name="t", racks=RACKS, checkpoint_every_s=60, checkpoint_s=10, dip=0.0)
    means, _ = matrix(job, seconds=300)

    low = means[:, 0] < 0.3 * 132 * KW
    assert low[5:].sum() in range(48, 52)
    assert means[low][5:].mean() == pytest.approx(0.2 * 132 * KW, rel=0.05)


def test_a_rise_takes_more_than_a_second_and_smoothing_makes_it_slow() -> None:
    """68 % of the rating in the first second; with smoothing 5 kW a second, and never under the floor."""
    start = 5.0
    sudden = Training(name="t", racks=RACKS, starts_s=start, checkpoint_every_s=0, dip=0.0)
    smoothing = Smoothing(floor=0.8, up_kw_per_s=5, down_kw_per_s=5)
    slow = replace(sudden, smoothing=smoothing, dip=0.7)

    fast, _ = matrix(sudden, seconds=10)
    eased, sampled = matrix(slow, seconds=60)

    assert (fast[5] - fast[4] <= round(0.68 * 132 * KW)).all()
    assert np.allclose(fast[7] / KW, 0.95 * 132, rtol=0.03)
    assert np.diff(eased, axis=0).max() <= 5 * KW
    assert eased[40:].min() >= 0.8 * 132 * KW
    assert (sampled == eased).all()


def test_inference_reverts_to_its_mean_and_follows_the_day() -> None:
    """A minute of memory around the level; at its peak hour more than twelve hours later."""
    job = Inference(name="i", racks=RACKS, level=0.5, daily=0.3, peak_hour=0.0)
    trough = replace(job, peak_hour=12.0)
    high, low = totals(job, seconds=400), totals(trough, seconds=400)

    assert np.mean(high) == pytest.approx(0.5 * 1.3 * 792 * KW, rel=0.1)
    assert np.mean(low) == pytest.approx(0.5 * 0.7 * 792 * KW, rel=0.1)
    assert 0.01 < np.std(high) / np.mean(high) < 0.15


def test_storage_is_nearly_constant() -> None:
    """One per cent around three quarters."""
    means, _ = matrix(Storage(name="s", racks=RACKS), seconds=100)

    assert np.allclose(means[3:] / (132 * KW), 0.75, rtol=0.06)


def test_a_course_follows_its_points() -> None:
    """Straight lines between the points, constant outside them."""
    job = Course(name="c", racks=RACKS, points=((2, 0.2), (12, 0.7)))

    wanted = totals(job, seconds=16)

    assert wanted[0] == wanted[2] == round(0.2 * 132 * KW) * 6
    assert wanted[7] == pytest.approx(0.45 * 792 * KW, rel=1e-6)
    assert wanted[12] == wanted[15] == pytest.approx(0.7 * 792 * KW, rel=1e-6)


def test_a_recording_stands_in_for_a_model() -> None:
    """Racks take its columns in turn, and its time runs as fast as is said."""
    trace = Trace("two columns", 60.0, np.array([[0.5, 1.0], [0.9, 0.4]]))
    job = Recorded(name="r", racks=RACKS, trace=trace, level=0.8, speed=30.0)
    means, _ = matrix(job, seconds=4)

    assert np.allclose(means[2, 0::2] / (132 * KW), 0.9 * 0.8, rtol=0.03)
    assert np.allclose(means[1, 1::2] / (132 * KW), 0.7 * 0.8, rtol=0.03)


def test_a_job_moves_to_other_racks() -> None:
    """Where it was is idle at once; where it goes it goes on a minute later."""
    job = Training(
        name="t",
        racks=RACKS[:3],
        checkpoint_every_s=0,
        dip=0,
        moves=(Move(at_s=10, racks=RACKS[3:], restart_s=5),),
    )
    means, _ = matrix(job, seconds=20)
    moved = run(
        WIRING,
        [replace(job, moves=())],
        [event(K.JOB_MOVE, 10, "t", to=RACKS[3:])],
        seconds=80,
    )

    assert (means[9, :3] > 110 * KW).all()
    assert (means[10] < 25 * KW).all()
    assert (means[18, 3:] > 110 * KW).all()
    assert (moved[69].wanted_milliwatts < 25 * KW).all()
    assert (moved[72].wanted_milliwatts[3:] > 110 * KW).all()


def test_a_job_that_stops_is_idle_within_the_second() -> None:
    """And comes back when it is started again; a failed one after 3 to 15 min."""
    stop = totals(steady(WIRING, 100), seconds=8, events=(event(K.JOB_STOP, 3, "all", until_s=6),))
    failed = totals(steady(WIRING, 100), seconds=905, events=(event(K.JOB_FAILURE, 3, "all"),))

    assert [round(t / 792 / KW, 2) for t in stop] == [0.76] * 3 + [0.15] * 3 + [0.76] * 2
    down = [second for second, total in enumerate(failed) if total < 200 * KW]
    assert down[0] == 3
    assert down == list(range(3, down[-1] + 1))
    assert 180 <= len(down) <= 900


def test_training_fails_by_chance_and_always_alike() -> None:
    """A mean of six minutes between failures: down for some of half an hour, and up again."""
    job = Training(name="t", racks=RACKS, failure_hours=0.1, checkpoint_every_s=0)
    first, second = totals(job, seconds=1_800), totals(job, seconds=600)

    assert first[:600] == second
    down = np.array(first[5:]) < 200 * KW
    assert 180 <= down.sum() < 1_700
    assert (np.diff(down.astype(int)) == -1).sum() >= 1


def test_a_tenant_s_step_and_ramp_are_exact() -> None:
    """The tenant's racks alone; a total that does not divide is met to the milliwatt at every second."""
    lease = Lease(id="acme", racks=4)
    wiring = wired(replace(SMALL, leases=(lease,)))
    total = 400 * KW + 3
    events = [
        event(K.LOAD_STEP, 2, "acme", total_milliwatts=200 * KW + 1),
        event(K.RAMP, 4, "acme", until_s=14, total_milliwatts=total),
    ]

    states = run(wiring, [steady(wiring, 30)], events, seconds=20)

    acme = [int(state.rack_milliwatts[:4].sum()) for state in states]
    assert acme[:2] == [120 * KW] * 2
    assert acme[2:5] == [200 * KW + 1] * 3
    assert acme[9] == pytest.approx(300 * KW, abs=10)
    assert acme[14:] == [total] * 6
    assert {int(state.rack_milliwatts[4:].sum()) for state in states} == {60 * KW}


def test_a_curtailment_caps_whatever_is_asked_for_later() -> None:
    """A step above the cap changes nothing while the cap holds."""
    events = (
        event(K.CURTAIL, 2, "all", strength=0.5, until_s=8),
        event(K.LOAD_STEP, 4, "all", strength=0.9),
    )
    wanted = totals(steady(WIRING, 100), seconds=10, events=events)

    assert wanted[1] == 600 * KW
    assert wanted[2:8] == [6 * 66 * KW] * 6
    assert wanted[8] == round(0.9 * 132 * KW) * 6


def test_no_rack_ever_wants_more_than_its_rating() -> None:
    """The site file says the most that each draws, and the plant keeps to it."""
    means, instants = matrix(Inference(name="i", racks=RACKS, level=1.0, sigma=0.3), seconds=200)

    assert means.max() == 132 * KW
    assert instants.max() == 132 * KW
