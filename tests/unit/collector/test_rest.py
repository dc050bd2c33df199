"""How long a socket rests: what comes meanwhile shares what an append costs, and no broker is held up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collector.mqtt.rest import (
    ALIKE,
    BUSY_REST_S,
    FEW,
    MANY,
    MOST_ALIKE,
    QUIET_REST_S,
    REST_S,
    SHORT_REST_S,
    Rest,
)


def rests(counts: list[int]) -> list[float]:
    """Return how long is rested after each read, which comes as late as it was rested before."""
    rest, now_s, found = Rest(), 100.0, list[float]()
    for count in counts:
        found.append(rest.after(count, now_s))
        now_s += found[-1]
    return found


def test_few_messages_are_waited_for_longer() -> None:
    """An append a message costs more than all else on a quiet bus."""
    assert rests([0, 1, 9, 10, 500]) == [QUIET_REST_S, QUIET_REST_S, QUIET_REST_S, REST_S, REST_S]


def test_many_messages_are_read_more_often() -> None:
    """What they cost at once holds the event loop, and shares little with what comes later."""
    assert rests([MANY - 1, MANY, 5_000]) == [REST_S, BUSY_REST_S, BUSY_REST_S]


def test_a_broker_that_waits_for_us_is_not_held_up() -> None:
    """One that sends 20 at a time sends 20 in each rest, however long that is: 4,000/s instead of 400."""
    found = rests([20] * 200)
    assert found[: ALIKE + 1] == [REST_S] * ALIKE + [SHORT_REST_S]
    assert set(found[ALIKE:]) == {SHORT_REST_S}


@pytest.mark.parametrize("window", [1, 2, 5, FEW - 1, FEW, 600])
def test_a_broker_with_a_small_window_is_not_held_up(window: int) -> None:
    """One that sends a message only once the last is acknowledged sends 200/s instead of 6."""
    found = rests([window] * 400)
    assert set(found[ALIKE:]) == {SHORT_REST_S}


@pytest.mark.parametrize("every_s", [QUIET_REST_S, 0.1499, 0.2, 1.0])
def test_a_quiet_bus_costs_a_short_rest_now_and_then(every_s: float) -> None:
    """A heartbeat counts alike for ever, and is no window: each try that brings no more puts off the next."""
    taken = heard(lambda now_s: int(now_s / every_s + 1e-9), 3_600.0)
    tries = sum(rest_s == SHORT_REST_S for _, rest_s in taken)
    assert tries <= 2 * len(taken) / MOST_ALIKE + 20
    assert len(taken) <= 3_600 / every_s + tries


def test_a_burst_after_each_rest_costs_little() -> None:
    """Eight values each 150 ms, evenly: a try costs an append each, and comes every five seconds."""
    taken = heard(lambda now_s: int(now_s * 8 / QUIET_REST_S), 600.0)
    assert len(taken) < 1.25 * 600 / QUIET_REST_S


def test_reads_without_a_message_are_no_window() -> None:
    """Answers of the broker are read as well, and nobody waits for them to be acknowledged."""
    assert set(rests([0] * 100)) == {QUIET_REST_S}


def test_a_broker_with_more_after_quiet_hours_is_heard_out() -> None:
    """Tries are put off by so much and no further."""
    found = rests([1] * 400 + [5] * 400)
    assert set(found[-300:]) == {SHORT_REST_S}
    quiet = Rest()
    now_s = 0.0
    for _ in range(2_000):
        now_s += max(quiet.after(1, now_s), 1.0)
    rests_s = []
    for _ in range(200):
        rests_s.append(quiet.after(1, now_s))
        now_s += rests_s[-1]
    assert SHORT_REST_S in rests_s[: MOST_ALIKE + 1]
    assert set(rests_s[MOST_ALIKE + 1 :]) == {SHORT_REST_S}


def heard(count_until: Callable[[float], int], length_s: float) -> list[tuple[int, float]]:
    """Return what is read of a source of its own pace, and how long is rested after each.

    Args:
        count_until: How many messages were sent until a moment [s].
        length_s: How long to listen [s].
    """
    rest, now_s, taken, found = Rest(), 0.0, 0, list[tuple[int, float]]()
    while now_s < length_s:
        if not (count := count_until(now_s) - taken):
            now_s += 0.001
            continue
        taken += count
        found.append((count, rest.after(count, now_s)))
        now_s += found[-1][1]
    return found


def test_what_is_as_much_in_a_short_rest_as_it_is_a_source_of_its_own_pace() -> None:
    """100 documents each second, one tick of a simulator: where short rests bring no more, they end."""
    found = rests([80] * (ALIKE + 1) + [4] * 40)
    assert found[ALIKE] == SHORT_REST_S
    assert REST_S in found[ALIKE:]


def test_a_stream_that_varies_rests() -> None:
    """As every stream does whose pace is not ours."""
    assert set(rests([490, 504, 500, 500, 500, 498] * 20)) == {REST_S}
    assert set(rests([990, 1_004, 1_000, 1_000, 1_000, 998] * 20)) == {BUSY_REST_S}
