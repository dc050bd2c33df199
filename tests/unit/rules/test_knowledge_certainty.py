"""A value is the power now only for as long as its source would have said otherwise."""

from __future__ import annotations

import pytest

from facility.readings import Flag
from rules.telemetry.habit import LEARNT
from rules.telemetry.liveness import SEASON_MS
from testing.builders import T0_MS
from testing.rules.halls import BUS, at_once
from tests.unit.rules.knowing import is_certain, is_fresh, on_change, periodic, says

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
    # Three heartbeats of ten seconds may be missed.
    assert is_fresh(knowledge, 89.005)
    assert not is_fresh(knowledge, 89.006)


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


def test_who_speaks_seldom_is_not_missed_after_a_second() -> None:
    """When its stream falls silent, a point is in doubt once that is longer than it usually says nothing."""
    knowledge = on_change(2)
    for second in range(66):
        says(knowledge, [second], 50 if second % 3 == 0 else None, 60, 1)

    assert is_certain(knowledge, 66, point=0)
    assert not is_certain(knowledge, 66, point=1)
    assert is_certain(knowledge, 67.999, point=0)
    assert not is_certain(knowledge, 68, point=0)


def test_a_point_that_has_said_nothing_for_long_is_believed_while_its_publisher_lives() -> None:
    """A rack that draws the same for a minute is no rack that should have spoken in the last second."""
    knowledge = on_change(2)
    says(knowledge, [0], 50, 60, 1)
    says(knowledge, range(1, 60), None, 60, 1)

    assert not is_certain(knowledge, 60, point=1)
    assert is_certain(knowledge, 64, point=0)
    assert not is_certain(knowledge, 64.001, point=0)


def test_an_outage_is_no_habit_of_a_point_either() -> None:
    """What a point did not say while its whole stream was silent says nothing of how often it speaks."""
    knowledge = on_change(2)
    for second in [*range(30), *range(50, 60)]:
        says(knowledge, [second], 50 if second % 3 == 0 else None, 60, 1)

    # It last spoke at 57, its stream at 59.
    assert is_certain(knowledge, 61.999, point=0)
    assert not is_certain(knowledge, 62, point=0)


def test_before_a_first_reading_there_is_no_habit() -> None:
    """How long a point was not heard before nobody knows: a stream that falls silent soon after is missed."""
    knowledge = on_change()
    knowledge.heard.hear(at_once([50, 1], T0_MS, received_ms=T0_MS + 5))
    says(knowledge, range(1, 20), 50, 1)

    assert is_certain(knowledge, 19.999)
    assert not is_certain(knowledge, 20)


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
    knowledge.heard.connect(BUS, is_connected=False)
    assert not is_certain(knowledge, 19.5)
    knowledge.heard.connect(BUS, is_connected=True)
    says(knowledge, range(30, 40), 50, 1)

    assert is_certain(knowledge, 39.999)
    assert not is_certain(knowledge, 40)


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
    knowledge.heard.connect(BUS, is_connected=False)
    knowledge.at(T0_MS + 75_000)
    knowledge.heard.break_stream(BUS, is_lossless=True)
    knowledge.heard.connect(BUS, is_connected=True)
    says(knowledge, [76], None, 61, 1, flags=flags)

    assert is_certain(knowledge, 76.5, point=0) is is_known


# Periodic sources -----------------------------------------------------------------------


def test_a_periodic_value_is_certain_until_the_next_is_due() -> None:
    """A source that is never late is missed at once; it counts as heard for 5 s."""
    knowledge = periodic()
    says(knowledge, range(10), 50)

    assert is_certain(knowledge, 9.999)
    assert not is_certain(knowledge, 10)
    assert is_fresh(knowledge, 14.005)
    assert not is_fresh(knowledge, 14.006)


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
