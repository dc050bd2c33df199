"""When a value was measured and when it arrived are two things: what is late is in doubt, and not silent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from facility.instants import HOUR_MS
from facility.points import Cadence
from facility.readings import Batch, Flag, Quality
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing
from testing.builders import T0_MS
from testing.rules.halls import BUS, KW, at_once, known_rack
from tests.unit.rules.knowing import JITTERY, is_certain, is_fresh, knowing, on_change, periodic, says


def kilowatts(knowledge: Knowledge, second: float) -> float:
    """Return the power of the first point at a second [kW]."""
    return int(knowledge.at(T0_MS + round(second * 1_000)).power[0]) / KW


def rack_of(period_ms: int) -> Knowledge:
    """Return what knows of a rack that says something every period."""
    timing = Timing(
        repeat_ms=110_000, heartbeat_ms=10_000, period_ms=period_ms, certain_ms=period_ms * 3 // 2
    )
    return knowing(known_rack(0, "r0"), timing=timing)


# Late readings --------------------------------------------------------------------------


@pytest.mark.parametrize("late_ms", [1_900, 2_001, 20_000, 30_000, 31_000])
@pytest.mark.parametrize("make", [periodic, on_change])
def test_readings_that_become_late_are_in_doubt_and_not_silent(
    make: Callable[[], Knowledge], late_ms: int
) -> None:
    """A network that became slow looks like a clock that was set: the value may have changed meanwhile."""
    knowledge = make()
    powers = (50,) if make is periodic else (50, 1)
    says(knowledge, range(30), *powers)
    says(knowledge, range(30, 60), *powers, late_ms=late_ms)

    for second in (60, 60.25, 60.5, 60.75):
        assert not is_certain(knowledge, second)
        assert is_fresh(knowledge, second)


@pytest.mark.parametrize("make", [periodic, on_change])
def test_a_constant_lag_is_the_clocks(make: Callable[[], Knowledge]) -> None:
    """What every reading was late at least is no news of the network: a second from its arrival."""
    knowledge = make()
    powers = (50,) if make is periodic else (50, 1)
    says(knowledge, range(30), *powers, late_ms=3_500)

    assert is_certain(knowledge, 29 + 4.4)
    assert not is_certain(knowledge, 29 + 4.5)
    # What is late beyond that is late on its way.
    says(knowledge, [30], *powers, late_ms=5_000)
    assert not is_certain(knowledge, 35)
    says(knowledge, [31], *powers, late_ms=3_500)
    assert is_certain(knowledge, 35)


def test_a_late_reading_does_not_stretch_the_next() -> None:
    """One that took 1.9 s says nothing of how long the others last: a second from their own stamps."""
    knowledge = periodic()
    says(knowledge, range(10), 50)
    says(knowledge, [10], 50, late_ms=1_900)
    says(knowledge, range(11, 15), 50)

    assert is_certain(knowledge, 14.999)
    assert not is_certain(knowledge, 15)


def test_after_a_late_message_a_stream_is_not_sure_until_one_is_in_time() -> None:
    """What follows a message that was slow is likely slow as well, and may be a change."""
    knowledge = on_change()
    says(knowledge, range(30), 50, 1)
    says(knowledge, [30], None, 1, late_ms=900)
    assert not is_certain(knowledge, 30.5)
    says(knowledge, [31], None, 1)
    assert is_certain(knowledge, 31.5)


# Stamps in the future -------------------------------------------------------------------


def test_the_future_does_not_hide_the_present() -> None:
    """A reading stamped 29.5 s ahead is of its arrival, and whatever comes later counts."""
    knowledge = periodic()
    says(knowledge, range(5), 60)
    says(knowledge, [34.6], 40, late_ms=-29_500)
    assert kilowatts(knowledge, 5.2) == 40

    says(knowledge, range(6, 9), 60)
    assert kilowatts(knowledge, 8.5) == 60
    assert is_certain(knowledge, 8.5)


def test_the_future_does_not_hide_the_present_when_it_is_repeated() -> None:
    """Every other reading from the future: each counts from its arrival until the next."""
    knowledge = periodic()
    for second in range(0, 60, 2):
        says(knowledge, [second], 60)
        says(knowledge, [second + 30.5], 40, late_ms=-29_500)
        assert kilowatts(knowledge, second + 1.2) == 40
    says(knowledge, [60], 60)

    assert kilowatts(knowledge, 60.5) == 60


def test_a_clock_that_is_ahead_hides_no_delay() -> None:
    """Of a source that is always 20 s ahead, a reading stamped 15 s ahead was measured 5 s ago."""
    knowledge = periodic()
    says(knowledge, range(20, 30), 50, late_ms=-20_000)
    assert is_certain(knowledge, 9.5)

    # Measured at second 10, it arrives at 15.
    says(knowledge, [30], 50, late_ms=-15_000)
    assert not is_certain(knowledge, 15.1)
    says(knowledge, [36], 50, late_ms=-20_000)
    assert is_certain(knowledge, 16.5)


def test_a_clock_that_was_an_hour_ahead_is_believed_once_it_is_right() -> None:
    """Its stamps were refused, so they date nothing that comes after them."""
    knowledge = periodic()
    says(knowledge, range(10), 50)
    for second in range(10, 20):
        now_ms = T0_MS + second * 1_000
        far = at_once([np.nan], now_ms + HOUR_MS, received_ms=now_ms, quality=Quality.REFUSED)
        knowledge.heard.hear(far)
    says(knowledge, range(20, 22), 50)

    assert is_certain(knowledge, 21.5)


def test_a_clock_that_is_slow_stays_so_whatever_was_stamped_far_ahead() -> None:
    """By how much it is slow is known of the stamps that are believed: what they date is not late."""
    knowledge = on_change(2)
    says(knowledge, range(70), 50, 60, T0_MS, late_ms=900)
    for second in range(70, 80):
        now_ms = T0_MS + second * 1_000
        far = at_once([np.nan], now_ms + HOUR_MS, received_ms=now_ms, quality=Quality.REFUSED)
        knowledge.heard.hear(far)
        says(knowledge, [second], None, 60, T0_MS, late_ms=900)
    says(knowledge, range(80, 82), 50, 60, T0_MS, late_ms=900)

    assert is_certain(knowledge, 82.5)


def test_what_is_judged_in_source_time_learns_no_clock_of_refused_stamps() -> None:
    """Two values of one gateway an hour ahead: those that are stamped right hold again at once.

    In source time nothing else tells of the clock, and the two would be believed for ever.
    """
    knowledge = on_change(2)
    for second in range(120):
        at_ms = T0_MS + second * 1_000
        ahead = second in {10, 11}
        batch = at_once(
            [np.nan] if ahead else [50, 60, 1],
            at_ms + (HOUR_MS if ahead else 0),
            received_ms=at_ms + 5,
            quality=Quality.REFUSED if ahead else Quality.GOOD,
        )
        knowledge.at(at_ms - 1)
        knowledge.heard.hear(batch, is_backlog=True)

    assert is_certain(knowledge, 119.5)


# The promise is a floor of patience -----------------------------------------------------


@pytest.mark.parametrize("period_s", [120, 300])
def test_a_rack_that_speaks_every_few_minutes_is_never_silent(period_s: int) -> None:
    """Whatever a stream without a heartbeat usually repeats, its period was said."""
    knowledge = rack_of(period_s * 1_000)
    says(knowledge, range(0, 20 * period_s, period_s), 50)

    assert is_certain(knowledge, 20 * period_s - 1)
    assert all(is_fresh(knowledge, 19 * period_s + later) for later in range(0, 3 * period_s, 30))


@pytest.mark.parametrize("period_s", [15, 30, 60])
def test_polling_in_bursts_is_no_silence(period_s: int) -> None:
    """A gateway that says everything at once each minute is quiet in between, from the first rounds on."""
    timing = Timing(
        repeat_ms=110_000, heartbeat_ms=10_000, period_ms=period_s * 1_000, certain_ms=period_s * 1_500
    )
    knowledge = knowing(*(known_rack(i, f"r{i}") for i in range(20)), timing=timing)
    for begin in range(0, 8 * period_s, period_s):
        for rack in range(20):
            at_ms = T0_MS + begin * 1_000 + rack * 250
            one = at_once([50], at_ms, received_ms=at_ms + 5)
            knowledge.heard.hear(Batch.of([[rack], *(getattr(one, c) for c in list(one.__slots__)[1:])]))
        for second in range(begin + 5, begin + period_s):
            known = knowledge.at(T0_MS + second * 1_000)
            assert known.is_fresh[:20].all(), f"second {second}"
            assert known.is_certain[:20].all(), f"second {second}"


def test_a_publisher_that_falls_calm_keeps_its_promise() -> None:
    """Busy for a minute, then nothing but heartbeats each 10 s: that is what the bus promises."""
    knowledge = on_change()
    says(knowledge, [second / 2 for second in range(120)], 50, 1)
    for second in range(60, 150, 10):
        says(knowledge, [second], None, 1)
        assert all(is_fresh(knowledge, second + later) for later in range(10)), f"second {second}"


def test_after_a_break_a_conforming_point_is_of_unknown_age_and_not_silent() -> None:
    """It says its value again within its repeat time: until then nobody knows it, and it is not missing."""
    knowledge = on_change(2)
    says(knowledge, range(60), 50, 60, 1)
    knowledge.heard.connect(BUS, is_connected=False)
    knowledge.heard.break_stream(BUS, is_lossless=False, until_ms=T0_MS + 70_000)
    knowledge.heard.connect(BUS, is_connected=True, at_ms=T0_MS + 70_000)
    says(knowledge, range(71, 175), None, 61, 1)

    for second in range(72, 179):
        assert not is_certain(knowledge, second)
        assert is_fresh(knowledge, second)
    says(knowledge, range(175, 185), None, 61, 1)
    assert not is_fresh(knowledge, 180.1)


# Refusals and conflicts -----------------------------------------------------------------


def test_two_values_of_one_time_are_in_doubt_while_that_lasts() -> None:
    """Four values a second, stamped in whole seconds: the first of them is not the power."""
    knowledge = periodic()
    says(knowledge, range(5), 60)
    for second in range(5, 30):
        says(knowledge, [second], 60)
        for part in (1, 2, 3):
            came_ms = T0_MS + second * 1_000 + part * 250
            knowledge.heard.hear(
                at_once([float("nan")], came_ms, quality=Quality.REFUSED, flags=Flag.CONFLICT)
            )
            assert not is_certain(knowledge, second + part * 0.25)
        if second > 5:
            assert not is_certain(knowledge, second + 0.1)

    says(knowledge, range(30, 40), 60)
    assert not is_certain(knowledge, 34)
    assert is_certain(knowledge, 36)


def test_a_publisher_whose_values_are_refused_lives() -> None:
    """What a wrong clock or a wrong number takes away is the value, not the publisher."""
    knowledge = on_change(2)
    says(knowledge, range(40), 50, 60, 1)
    for second in range(40, 140, 5):
        at_ms = T0_MS + second * 1_000
        knowledge.at(at_ms)
        knowledge.heard.hear(at_once([np.nan, np.nan, np.nan], at_ms, quality=Quality.REFUSED))
    says(knowledge, [140], 50, None, None)

    assert is_fresh(knowledge, 140.5, point=0)
    assert not is_fresh(knowledge, 140.5, point=1)


def test_a_gap_over_refusals_is_no_habit() -> None:
    """A rack whose values were refused for a while spoke all the same."""
    knowledge = knowing(known_rack(0, "r0", cadence=Cadence.ON_CHANGE), timing=JITTERY)
    says(knowledge, range(10), 50)
    for second in range(10, 30):
        at_ms = T0_MS + second * 1_000
        knowledge.at(at_ms - 1)
        knowledge.heard.hear(at_once([np.nan], at_ms, quality=Quality.REFUSED))
    says(knowledge, range(30, 40), 50)

    assert not is_certain(knowledge, 42)
