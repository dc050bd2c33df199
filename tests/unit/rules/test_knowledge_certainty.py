"""A value is the power now only for as long as its source would have said otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from facility.points import Cadence
from facility.readings import Flag, Quality
from rules.knowledge import Knowledge, Timing
from rules.streams import LEARNT, SEASON_MS
from store.entries import Known
from tests.builders import T0_MS
from tests.unit.rules.halls import (
    BUS,
    EVERY_SECOND,
    KW,
    Tape,
    an_engine,
    at_once,
    known_heartbeat,
    known_rack,
    known_racks_of,
    one_tenant,
    play,
)

LATENESS_MS = 200
JITTERY = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
STREAM = f"{BUS}:g1"


def knowing(*known: Known, timing: Timing = EVERY_SECOND) -> Knowledge:
    """Return what knows of points, and has heard nothing of them."""
    knowledge = Knowledge({BUS: timing}, LATENESS_MS)
    for entry in known:
        knowledge.add(entry.id, entry.point)
    return knowledge


def on_change(racks: int = 1) -> Knowledge:
    """Return what knows of racks whose gateway publishes on change, and of its heartbeat."""
    points = [known_rack(i, f"r{i}", stream=STREAM, cadence=Cadence.ON_CHANGE) for i in range(racks)]
    return knowing(*points, known_heartbeat(racks, STREAM))


def periodic() -> Knowledge:
    """Return what knows of one rack that says something every second."""
    return knowing(known_rack(0, "r0"), timing=JITTERY)


def says(
    knowledge: Knowledge,
    seconds: Iterable[float],
    *powers_kw: float | None,
    late_ms: int = 5,
    flags: Flag = Flag.NONE,
    quality: Quality = Quality.GOOD,
) -> None:
    """Let every point say something at seconds after `T0_MS`; None for one that does not."""
    for second in seconds:
        at_ms = T0_MS + round(second * 1_000)
        batch = at_once(powers_kw, at_ms, received_ms=at_ms + late_ms, flags=flags, quality=quality)
        # The monitor looks at what it knows between any two messages.
        knowledge.at(at_ms - 1)
        knowledge.hear(batch)


def is_certain(knowledge: Knowledge, second: float, point: int = 0) -> bool:
    """Tell whether a point's value is the power at a second."""
    return bool(knowledge.at(T0_MS + round(second * 1_000)).is_certain[point])


def is_fresh(knowledge: Knowledge, second: float, point: int = 0) -> bool:
    """Tell whether a point counts as heard at a second."""
    return bool(knowledge.at(T0_MS + round(second * 1_000)).is_fresh[point])


# Sources that publish on change ---------------------------------------------------------


def test_what_was_never_heard_is_neither() -> None:
    """Nothing is known before anything was said."""
    knowledge = on_change()

    assert not is_certain(knowledge, 0)
    assert not is_fresh(knowledge, 0)


def test_a_value_is_certain_for_as_long_as_its_stream_usually_pauses() -> None:
    """After a pause that never was before, something may be missing; it counts as heard for longer."""
    knowledge = on_change()
    says(knowledge, range(60), 50, 1)

    assert is_certain(knowledge, 59.999)
    assert not is_certain(knowledge, 60)
    assert is_fresh(knowledge, 64)
    assert not is_fresh(knowledge, 64.001)


def test_an_unchanged_value_is_certain_while_its_publisher_speaks() -> None:
    """On change means that silence about one point is news of no change."""
    knowledge = on_change(2)
    says(knowledge, [0], 50, 60, 1)
    says(knowledge, range(1, 100), None, 60, 1)

    assert is_certain(knowledge, 99.5, point=0)


def test_a_repetition_that_does_not_come_ends_the_certainty() -> None:
    """Every value is repeated after 100 s, and a tenth of that is margin."""
    knowledge = on_change(2)
    says(knowledge, [0], 50, 60, 1)
    says(knowledge, range(1, 115), None, 60, 1)

    assert is_certain(knowledge, 109.999, point=0)
    assert not is_certain(knowledge, 110, point=0)
    assert is_certain(knowledge, 110, point=1)


def test_a_publisher_whose_rhythm_is_not_known_is_believed_until_its_heartbeat_is_missed() -> None:
    """A few pauses are no habit: then only what was promised tells."""
    knowledge = on_change()
    says(knowledge, range(LEARNT), 50, 1)

    assert is_certain(knowledge, LEARNT + 5)
    assert not is_certain(knowledge, LEARNT + 30)


def test_an_outage_is_no_habit() -> None:
    """Two long silences do not make a third one usual."""
    knowledge = on_change()
    says(knowledge, [*range(20), *range(28, 40), *range(51, 60)], 50, 1)

    assert is_certain(knowledge, 59.999)
    assert not is_certain(knowledge, 60)


def test_a_slower_rhythm_becomes_a_habit() -> None:
    """A publisher that has less to say now is believed again, once it was so three times."""
    knowledge = on_change()
    says(knowledge, range(20), 50, 1)
    says(knowledge, range(20, 60, 8), 50, 1)

    assert is_certain(knowledge, 52 + 7.999)
    assert not is_certain(knowledge, 52 + 8)


def test_a_habit_is_forgotten_after_two_seasons() -> None:
    """How slow a publisher was long ago says nothing of now."""
    knowledge = on_change()
    says(knowledge, range(0, 64, 8), 50, 1)
    says(knowledge, range(64, 64 + 2 * SEASON_MS // 1_000), 50, 1)

    assert not is_certain(knowledge, 64 + 2 * SEASON_MS / 1_000)


def test_a_gap_of_ours_is_no_habit_and_takes_none_away() -> None:
    """After a lost connection the publisher's rhythm is what it was, without the pause that we made."""
    knowledge = on_change()
    says(knowledge, range(20), 50, 1)
    knowledge.connect(BUS, is_connected=False)
    assert not is_certain(knowledge, 19.5)
    knowledge.connect(BUS, is_connected=True)
    says(knowledge, range(30, 40), 50, 1)

    assert is_certain(knowledge, 39.999)
    assert not is_certain(knowledge, 40)


def test_a_slow_clock_is_no_silence() -> None:
    """A publisher that dates everything a second and a half back is heard as lately as any other."""
    knowledge = on_change()
    says(knowledge, range(30), 50, 1, late_ms=1_500)

    # At a tick of second 30 what came until 30.2 was taken in: dated 28.7 at most.
    assert is_certain(knowledge, 31.2)
    assert not is_certain(knowledge, 31.3)


def test_what_the_broker_retained_is_no_sign_of_life() -> None:
    """A message that is given to anybody who asks proves nothing about its publisher."""
    knowledge = on_change()
    says(knowledge, range(20), 50, 1)
    says(knowledge, range(20, 90), 50, 1, flags=Flag.RETAINED)

    assert not is_certain(knowledge, 89)
    assert not is_fresh(knowledge, 89)


@pytest.mark.parametrize("flags", [Flag.NONE, Flag.AT_MOST_ONCE], ids=["at least once", "at most once"])
def test_a_publisher_that_died_must_say_every_value_again(flags: Flag) -> None:
    """What changed while it was dead was never said, whatever the quality of service."""
    knowledge = on_change(2)
    says(knowledge, range(40), 50, 60, 1, flags=flags)
    knowledge.at(T0_MS + 71_000)
    says(knowledge, [75], None, 61, 1, flags=flags)

    assert not is_certain(knowledge, 75.5, point=0)
    assert is_certain(knowledge, 75.5, point=1)
    says(knowledge, [76], 52, 61, 1, flags=flags)
    assert is_certain(knowledge, 76.5, point=0)


@pytest.mark.parametrize(
    ("flags", "is_known"),
    [
        pytest.param(Flag.NONE, True, id="at least once"),
        pytest.param(Flag.AT_MOST_ONCE, False, id="at most once"),
    ],
)
def test_what_was_sent_while_we_were_away_is_lost_at_most_once_only(flags: Flag, *, is_known: bool) -> None:
    """With a session that the broker kept, a change sent at least once would have come; else it is gone."""
    knowledge = on_change(2)
    says(knowledge, range(40), 50, 60, 1, flags=flags)
    knowledge.connect(BUS, is_connected=False)
    knowledge.at(T0_MS + 75_000)
    knowledge.break_stream(BUS, is_lossless=True)
    knowledge.connect(BUS, is_connected=True)
    says(knowledge, [76], None, 61, 1, flags=flags)

    assert is_certain(knowledge, 76.5, point=0) is is_known


# Periodic sources -----------------------------------------------------------------------


def test_a_periodic_value_is_certain_until_the_next_is_due() -> None:
    """A source that is never late is missed at once; it counts as heard for 5 s."""
    knowledge = periodic()
    says(knowledge, range(10), 50)

    assert is_certain(knowledge, 9.999)
    assert not is_certain(knowledge, 10)
    assert is_fresh(knowledge, 14)
    assert not is_fresh(knowledge, 14.001)


def test_usual_lateness_is_learnt_up_to_the_jitter() -> None:
    """A source that comes after 1.3 s now and then is waited for as long."""
    knowledge = periodic()
    says(knowledge, [0, 1, 2.3, 3.3, 4.3], 50)

    assert is_certain(knowledge, 5.599)
    assert not is_certain(knowledge, 5.6)


def test_a_document_that_was_lost_is_no_lateness() -> None:
    """A gap beyond the jitter is a loss: it does not stretch what is waited for."""
    knowledge = periodic()
    says(knowledge, [0, 1, 3, 4, 7, 8], 50)

    assert not is_certain(knowledge, 9)


def test_lateness_is_forgotten_after_two_seasons() -> None:
    """How late a source was long ago says nothing of now."""
    knowledge = periodic()
    says(knowledge, [0, 1.4], 50)
    end_s = 2 + 2 * SEASON_MS // 1_000
    says(knowledge, range(2, end_s), 50)

    assert not is_certain(knowledge, end_s)


# Doubt ----------------------------------------------------------------------------------


def test_a_refused_value_counts_at_every_tick_that_could_have_used_it() -> None:
    """Nobody knows what it was of: at the tick that waited for it, the last value is not the power."""
    site = one_tenant(1_000, racks=1)
    engine, tape = an_engine(site, lateness_ms=LATENESS_MS), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    tape.second(0, 50)
    came_ms = T0_MS + 1_000 + LATENESS_MS - 10
    refused = at_once([float("nan")], came_ms, quality=Quality.REFUSED)
    tape.put(came_ms, refused)

    play(engine, tape.entries, until_ms=T0_MS + 1_000 + LATENESS_MS)

    assert engine.tick_ms == T0_MS + 1_000
    assert engine.draw is not None
    assert (engine.draw.low[0], engine.draw.high[0]) == (0, 100 * KW)


def test_a_value_that_came_before_a_refused_one_takes_no_doubt_away() -> None:
    """What was refused was newer, whatever the source time of the good value."""
    knowledge = periodic()
    says(knowledge, range(5), 50)
    refused = at_once([float("nan")], T0_MS + 5_100, quality=Quality.REFUSED)
    earlier = at_once([51], T0_MS + 5_000, received_ms=T0_MS + 5_050)
    later = at_once([52], T0_MS + 5_050, received_ms=T0_MS + 5_150)

    knowledge.hear(refused)
    knowledge.hear(earlier)
    assert not is_certain(knowledge, 5.2)
    knowledge.hear(later)
    assert is_certain(knowledge, 5.2)


@pytest.mark.parametrize(
    ("quality", "said_kw", "best_kw"),
    [
        pytest.param(Quality.SOURCE_DOUBTS, 95, 50, id="doubted by its source"),
        pytest.param(Quality.IMPLAUSIBLE, 300, 50, id="more than is credible"),
        pytest.param(Quality.NO_VALUE, float("nan"), 50, id="no value"),
        pytest.param(Quality.GOOD, 95, 95, id="good"),
    ],
)
def test_the_best_estimate_is_the_last_value_to_be_trusted(
    quality: Quality, said_kw: float, best_kw: float
) -> None:
    """A value that is not to be trusted takes the last one's certainty away, and not its place."""
    knowledge = periodic()
    says(knowledge, [0], 50)
    says(knowledge, [1], said_kw, quality=quality)

    known = knowledge.at(T0_MS + 1_500)

    assert known.power[0] == best_kw * KW
    assert bool(known.is_certain[0]) is (quality is Quality.GOOD)
    assert bool(known.beyond_rating[0]) is (quality is Quality.IMPLAUSIBLE)


def test_a_rating_that_was_disproved_is_doubted_until_a_value_fits_it() -> None:
    """No value, or a doubtful one, after one beyond the rating gives the rating no credit back."""
    knowledge = periodic()
    says(knowledge, [0], 300, quality=Quality.IMPLAUSIBLE)
    says(knowledge, [1], float("nan"), quality=Quality.NO_VALUE)

    assert knowledge.at(T0_MS + 1_500).beyond_rating[0]
    says(knowledge, [2], 90)
    assert not knowledge.at(T0_MS + 2_500).beyond_rating[0]
