"""What a broker waits for: sent again over another connection, and with numbers that are used twice."""

from __future__ import annotations

from collector.mqtt.message import Message
from collector.mqtt.unacknowledged import Unacknowledged
from facility.readings import Flag
from testing.builders import T0_MS


def came(number: int, payload: bytes, generation: int = 1, *, again: bool = False) -> Message:
    """Return a message as it comes at least once."""
    flags = Flag.REDELIVERED if again else Flag.NONE
    return Message("t", payload, T0_MS, int(flags), (number, generation))


def begun(*messages: Message) -> Unacknowledged:
    """Return what is unacknowledged after the first connection brought messages."""
    open_ = Unacknowledged()
    open_.begin(1)
    assert all(open_.come(message) for message in messages)
    return open_


def test_what_is_safe_is_acknowledged_in_order() -> None:
    """Each once; what came at most once needs none."""
    messages = [came(3, b"a"), came(1, b"b"), Message("t", b"c", T0_MS), came(2, b"d")]
    open_ = begun(*(message for message in messages if message.acknowledgement[1]))

    assert open_.settle(messages) == [(3, 1), (1, 1), (2, 1)]
    assert open_.late == 0


def test_what_was_stored_before_the_break_is_acknowledged_when_it_comes_again() -> None:
    """It was safe, and its acknowledgement too late: it is not handed on a second time."""
    message = came(7, b"a")
    open_ = begun(message)
    open_.begin(2)
    assert open_.settle([message]) == []

    assert not open_.come(came(9, b"a", 2, again=True))
    assert open_.due == [(9, 2)]
    assert (open_.late, open_.repeated) == (1, 1)


def test_what_is_in_hand_is_acknowledged_over_the_connection_that_brought_it_again() -> None:
    """It is stored once; its acknowledgement goes where the broker waits for it now."""
    message = came(7, b"a")
    open_ = begun(message)
    open_.begin(2)

    assert not open_.come(came(9, b"a", 2, again=True))
    assert open_.due == []
    assert open_.settle([message]) == [(9, 2)]


def test_what_is_in_hand_over_two_breaks_is_stored_once() -> None:
    """Reconnects on end cost nothing, however often everything comes again."""
    message = came(7, b"a")
    open_ = begun(message)
    for generation in range(2, 9):
        open_.begin(generation)
        assert not open_.come(came(7, b"a", generation, again=True))

    assert open_.settle([message]) == [(7, 8)]
    assert open_.repeated == 7


def test_what_was_acknowledged_into_a_break_is_acknowledged_again() -> None:
    """The broker never saw that it is safe; it is not stored twice for that."""
    message = came(7, b"a")
    open_ = begun(message)
    assert open_.settle([message]) == [(7, 1)]

    for generation in (2, 3, 4):
        open_.begin(generation)
        assert not open_.come(came(7, b"a", generation, again=True))
        assert open_.due == [(7, generation)]


def test_the_same_words_said_anew_are_another_message() -> None:
    """Only what the broker marks as sent again is known: metadata may return to what it was."""
    message = came(7, b"a")
    open_ = begun(message)
    open_.begin(2)

    assert open_.come(came(7, b"a", 2))


def test_a_session_that_was_forgotten_sends_nothing_again() -> None:
    """What looks like it is of somebody else's making, and is handed on."""
    open_ = begun(came(7, b"a"))
    open_.begin(2)
    open_.forget()

    assert open_.come(came(7, b"a", 2, again=True))


def test_a_number_given_twice_is_acknowledged_when_both_are_safe() -> None:
    """After a reconnect to mosquitto 2.0.11: either message may be meant, so neither is lost."""
    first, second, other = came(7, b"a"), came(7, b"b"), came(8, b"c")
    open_ = begun(first, second, other)

    assert open_.settle([first, other]) == [(8, 1)]
    assert open_.settle([second]) == [(7, 1), (7, 1)]
