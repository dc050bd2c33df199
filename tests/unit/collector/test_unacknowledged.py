"""What a broker waits for: sent again over another connection, and with numbers that are used twice."""

from __future__ import annotations

from collector.mqtt.message import Message, Messages
from collector.mqtt.unacknowledged import Unacknowledged, packets
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

    assert not len(open_.come(came((7, b"a"), again=True)))
    assert open_.due == [7]
    assert (open_.late, open_.repeated) == (1, 1)


def test_what_is_in_hand_is_acknowledged_over_the_connection_that_brought_it_again() -> None:
    """It is stored once; its acknowledgement goes where the broker waits for it now."""
    messages = came((7, b"a"), (8, b"b"))
    open_ = begun(messages)
    open_.begin(2)

    assert not len(open_.come(came((8, b"b"), again=True)))
    assert open_.due == []
    assert open_.settle(messages).tolist() == [8]
    assert open_.late == 1


def test_what_comes_again_before_what_is_new_is_left_out() -> None:
    """What is sent again and never reached us comes behind what did, and is handed on, in order."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    open_.begin(2)

    new = open_.come(came((7, b"a"), (8, b"x"), (9, b"y"), again=True))

    assert [message.payload for message in new] == [b"x", b"y"]
    assert open_.settle(new).tolist() == [8, 9]
    assert open_.settle(messages).tolist() == [7]


def test_what_is_sent_again_under_another_number_is_another_message() -> None:
    """A packet identifier is kept when a message is sent again; without it, equal words prove nothing."""
    open_ = begun(came((7, b"a")))
    open_.begin(2)

    assert len(open_.come(came((9, b"a"), again=True))) == 1


def test_what_is_in_hand_over_two_breaks_is_stored_once() -> None:
    """Reconnects on end cost nothing, however often everything comes again."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    for generation in range(2, 9):
        open_.begin(generation)
        assert not len(open_.come(came((7, b"a"), again=True)))

    assert open_.settle(messages).tolist() == [7]
    assert open_.repeated == 7


def test_what_was_acknowledged_into_a_break_is_handed_on_again() -> None:
    """It may be another message that says the same: its number may be free by now."""
    messages = came((7, b"a"))
    open_ = begun(messages)
    assert open_.settle(messages).tolist() == [7]
    open_.begin(2)

    again = open_.come(came((7, b"a"), again=True))

    assert len(again) == 1
    assert open_.settle(again).tolist() == [7]


def test_a_withdrawal_that_was_on_its_way_is_handed_on() -> None:
    """Described, withdrawn, described, withdrawn; the last one was sent over the connection that broke."""
    open_ = begun()
    for number, payload in ((1, b""), (2, b"{M}")):
        open_.settle(open_.come(came((number, payload))))
    open_.begin(2)
    open_.settle(open_.come(came((3, b"{M2}"))))
    open_.begin(3)

    for number in (4, 1):
        assert [m.payload for m in open_.come(came((number, b""), again=True))] == [b""]


def test_the_last_word_stays_the_last() -> None:
    """A withdrawal whose acknowledgement was lost comes again: what described the point anew does too."""
    withdrawal, metadata = came((1, b"")), came((2, b"{M}"))
    open_ = begun(withdrawal, metadata)
    assert open_.settle(withdrawal).tolist() == [1]
    open_.begin(2)

    again = open_.come(came((1, b""), (2, b"{M}"), again=True))

    assert [message.payload for message in again] == [b"", b"{M}"]
    assert open_.settle(metadata).tolist() == []
    assert open_.settle(again).tolist() == [1, 2]
    open_.begin(3)
    assert len(open_.come(came((2, b"{M}"), again=True))) == 1


def test_nothing_is_remembered_for_longer_than_it_is_in_hand() -> None:
    """A monitor that is reconnected for months needs no more memory for that."""
    open_ = begun()
    for generation in range(2, 12):
        first = came(*((i + 1, b"%d of %d" % (i, generation)) for i in range(100)))
        late = came(*((i + 101, b"%d of %d" % (i, generation)) for i in range(100)))
        open_.settle(open_.come(first))
        open_.come(late)
        open_.begin(generation)
        open_.settle(late)
        assert len(open_._carried) <= 100


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
