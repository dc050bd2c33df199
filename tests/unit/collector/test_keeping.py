"""Whether a break was short enough for what a broker can keep."""

from __future__ import annotations

import pytest

from collector.continuity.keeping import MARGIN, SPAN_MS, Keeping
from testing.builders import T0_MS


def keeping(queue: int | None, rate_per_s: int | None) -> Keeping:
    """Return what has heard so many messages a second for half a minute."""
    made = Keeping(queue)
    if rate_per_s is not None:
        for second in range(31):
            made.hear(T0_MS + second * 1_000, rate_per_s)
    return made


# The queue, the rate [messages/s], for how long we were away [s], and why that proves nothing.
_BREAKS = {
    "stock mosquitto, 5 s at 300/s": (1_000, 300, 5, "holds 1.7 s"),
    "stock mosquitto, a second at 300/s": (1_000, 300, 1, ""),
    "just as long as it holds": (3_000, 300, 5, ""),
    "nobody said what it holds": (None, 300, 1, "does not say"),
    "nothing was heard before": (1_000_000, None, 1, "not known how much"),
}


@pytest.mark.parametrize(("queue", "rate", "away_s", "why"), _BREAKS.values(), ids=_BREAKS)
def test_a_break_is_whole_only_where_the_queue_held_it(
    queue: int | None, rate: int | None, away_s: int, why: str
) -> None:
    """At twice the rate of before, for who loses a feed says more."""
    doubt = keeping(queue, rate).doubt_of_break(away_s * 1_000)

    assert why in doubt
    assert bool(doubt) is bool(why)


def test_the_busiest_time_counts_and_an_old_one_is_forgotten() -> None:
    """A quiet minute before a break promises nothing for it."""
    made = keeping(100_000, 1_000)
    for second in range(31, 61):
        made.hear(T0_MS + second * 1_000, 10)
    busy = made.rate_per_s
    for span in range(7, 100):
        made.hear(T0_MS + span * SPAN_MS, 100)

    assert busy is not None
    assert 900 < busy <= 1_100
    assert made.rate_per_s == pytest.approx(10, rel=0.01)


def test_what_a_broker_had_kept_is_no_rate() -> None:
    """A backlog comes as fast as it is read."""
    made = keeping(1_000, 10)
    made.pause()
    made.hear(T0_MS + 40_000, 50_000)

    assert made.rate_per_s == pytest.approx(10, rel=0.2)


def test_a_rate_of_before_the_start_holds_until_another_is_known() -> None:
    """A restart is a break as well, and the first quiet seconds after it are no measure."""
    made = Keeping(10_000, 300.0)
    for second in range(12):
        made.hear(T0_MS + second * 1_000, 1)

    assert made.doubt_of_break(15_000) == ""
    assert "10000 messages" in made.doubt_of_break(25_000)


@pytest.mark.parametrize(("count", "is_doubt"), [(0, False), (899, False), (900, True), (1_020, True)])
def test_a_backlog_that_filled_the_queue_may_have_lost_its_end(count: int, is_doubt: bool) -> None:  # noqa: FBT001 - a parameter
    """Whatever the rate was before, a queue that was full is known by what was in it."""
    assert bool(Keeping(1_000).doubt_of_backlog(count)) is is_doubt
    assert bool(Keeping(None).doubt_of_backlog(count)) is is_doubt


def test_who_acknowledges_nothing_for_long_may_be_dropped_for() -> None:
    """The broker queues for a client that is connected and slow, too."""
    made = keeping(1_000, 300)
    enough_ms = 1_000 * 1_000 // (310 * MARGIN)

    assert made.doubt_of_delay(enough_ms - 200) == ""
    assert "nothing was acknowledged" in made.doubt_of_delay(enough_ms + 200)
    assert Keeping(1_000).doubt_of_delay(60_000) == ""
