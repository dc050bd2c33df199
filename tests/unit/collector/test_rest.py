"""How long a socket rests: what comes meanwhile shares what an append costs, and no broker is held up."""

from __future__ import annotations

from collector.mqtt.rest import ALIKE, BUSY_REST_S, MANY, QUIET_REST_S, REST_S, SHORT_REST_S, Rest


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


def test_what_is_as_much_in_a_short_rest_as_it_is_a_source_of_its_own_pace() -> None:
    """100 documents each second, one tick of a simulator: where short rests bring no more, they end."""
    found = rests([80] * (ALIKE + 1) + [4] * 40)
    assert found[ALIKE] == SHORT_REST_S
    assert REST_S in found[ALIKE:]


def test_a_stream_that_varies_rests() -> None:
    """As every stream does whose pace is not ours."""
    assert set(rests([490, 504, 500, 500, 500, 498] * 20)) == {REST_S}
    assert set(rests([990, 1_004, 1_000, 1_000, 1_000, 998] * 20)) == {BUSY_REST_S}
