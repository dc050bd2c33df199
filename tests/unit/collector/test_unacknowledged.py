"""What a broker waits for: sent again over another connection, and with numbers that are used twice."""

from __future__ import annotations

from collector.mqtt.message import Message, Messages
from collector.mqtt.unacknowledged import LONGEST_REMEMBERED, MOST_REMEMBERED, Unacknowledged, packets
from facility.readings import Flag
from testing.builders import T0_MS


def came(*said: tuple[int, bytes], again: bool = False) -> Messages:
    """Return messages as they come at least once, given as number and payload; at most once under 0."""
    flags = int(Flag.REDELIVERED if again else Flag.NONE)
    messages = (Message("t", payload, T0_MS, flags) for _, payload in said)
    return Messages.of(messages, [number for number, _ in said])


def begun(*parts: Messages) -> Unacknowledged:
    """Return what is unacknowledged after the first connection brought messages."""
    open_ = Unacknowledged()
    open_.begin(1)
    assert all(open_.come(messages) is messages for messages in parts)
    return open_


def test_what_is_safe_is_acknowledged_in_order() -> None:
    """Each once; what came at most once needs none."""
    messages = came((3, b"a"), (1, b"b"), (0, b"c"), (2, b"d"))
    open_ = begun(messages)

    assert open_.waiting == 3
    assert open_.settle(messages).tolist() == [3, 1, 2]
    assert (open_.late, open_.waiting) == (0, 0)


def test_what_was_stored_before_the_break_is_acknowledged_when_it_comes_again() -> None:
    """It was safe, and its acknowledgement too late: it is not handed on a second time."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    open_.begin(2)
    assert open_.settle(messages).tolist() == []

    assert not len(open_.come(came((9, b"a"), again=True)))
    assert open_.due == [9]
    assert (open_.late, open_.repeated) == (1, 1)


def test_what_is_in_hand_is_acknowledged_over_the_connection_that_brought_it_again() -> None:
    """It is stored once; its acknowledgement goes where the broker waits for it now."""
    messages = came((7, b"a"), (8, b"b"))
    open_ = begun(messages)
    open_.begin(2)

    assert not len(open_.come(came((9, b"b"), again=True)))
    assert open_.due == []
    assert open_.settle(messages).tolist() == [9]
    assert open_.late == 1


def test_what_comes_again_among_what_is_new_is_left_out() -> None:
    """The others are handed on, in order."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    open_.begin(2)

    new = open_.come(came((1, b"x"), (2, b"a"), (3, b"y"), again=True))

    assert [message.payload for message in new] == [b"x", b"y"]
    assert open_.settle(new).tolist() == [1, 3]
    assert open_.settle(messages).tolist() == [2]


def test_what_is_in_hand_over_two_breaks_is_stored_once() -> None:
    """Reconnects on end cost nothing, however often everything comes again."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    for generation in range(2, 9):
        open_.begin(generation)
        assert not len(open_.come(came((7, b"a"), again=True)))

    assert open_.settle(messages).tolist() == [7]
    assert open_.repeated == 7


def test_what_was_acknowledged_into_a_break_is_acknowledged_again() -> None:
    """The broker never saw that it is safe; it is not stored twice for that."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    assert open_.settle(messages).tolist() == [7]

    for generation in (2, 3, 4):
        open_.begin(generation)
        assert not len(open_.come(came((7, b"a"), again=True)))
        assert open_.due == [7]


def test_only_the_last_acknowledgements_can_be_cut_off() -> None:
    """What was acknowledged long before a break is not taken for what a broker sends again."""
    open_ = begun()
    for first in range(0, MOST_REMEMBERED + 100, 100):
        messages = came(*((i + 1, b"%d" % (first + i)) for i in range(100)))
        open_.come(messages)
        open_.settle(messages)
    open_.begin(2)

    assert not len(open_.come(came((1, b"100"), again=True)))
    assert len(open_.come(came((2, b"99"), again=True))) == 1


def test_immense_messages_are_not_remembered() -> None:
    """Ours is a monitor, and no archive of what others send by mistake."""
    messages = came((7, b"x" * LONGEST_REMEMBERED))
    open_ = begun(messages)
    assert open_.settle(messages).tolist() == [7]
    open_.begin(2)

    assert len(open_.come(came((7, b"x" * LONGEST_REMEMBERED), again=True))) == 1


def test_the_same_words_said_anew_are_another_message() -> None:
    """Only what the broker marks as sent again is known: metadata may return to what it was."""
    open_ = begun(came((7, b"a")))
    open_.begin(2)

    assert len(open_.come(came((7, b"a")))) == 1


def test_a_session_that_was_forgotten_sends_nothing_again() -> None:
    """What looks like it is of somebody else's making, and is handed on."""
    open_ = begun(came((7, b"a")))
    open_.begin(2)
    open_.forget()

    assert len(open_.come(came((7, b"a"), again=True))) == 1


def test_a_number_given_twice_is_acknowledged_when_both_are_safe() -> None:
    """After a reconnect to mosquitto 2.0.11: either message may be meant, so neither is lost."""
    first, second, other = came((7, b"a")), came((7, b"b")), came((8, b"c"))
    open_ = begun(first, second, other)

    assert open_.settle(first).tolist() == []
    assert open_.settle(other).tolist() == [8]
    assert open_.settle(second).tolist() == [7, 7]
    assert open_.waiting == 0


def test_a_number_given_twice_in_one_read_is_acknowledged_twice() -> None:
    """Once both are safe, which they are at once."""
    messages = came((7, b"a"), (8, b"b"), (7, b"c"))
    open_ = begun(messages)

    assert open_.settle(messages).tolist() == [8, 7, 7]


def test_acknowledgements_are_packets_of_four_bytes() -> None:
    """PUBACK with a packet identifier and no more: success is the reason that may be left out."""
    assert packets([1, 0x1234, 65_535]) == bytes.fromhex("4002 0001 4002 1234 4002 ffff")
