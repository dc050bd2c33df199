"""What a decoder is, and what one append is made of while it is decoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

import msgspec
import structlog

from collector.mqtt.message import Message, Messages, as_sent
from collector.register import Register
from collector.row_builder import Ranges, Rows
from facility.readings import Reason
from facility.site import Site
from store.journal.file import Waiting
from store.journal.intake import Intake

MOST_TOPIC_BYTES: Final = 4_096
"""The longest topic that is looked at [bytes], thirty times a usual one: what is kept by topic is bounded by
counts, which bound memory only where each of them is short (our choice)."""
SLICE: Final = 50
"""So many messages that are decoded one by one are some milliseconds of work (our choice)."""

_ANY: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()
_log = structlog.get_logger(__name__)
_CONTROL: Final = bytes(range(32))


@dataclass(slots=True)
class Gathered:
    """What comes together for one append.

    Attributes:
        rows: Readings and refusals.
        metadata: Metadata messages to keep, by topic; an empty one is to be kept no longer.
        unchanged: How many metadata messages said nothing new.
        waiting: Messages that wait for their metadata from now on.
        settled: Numbers of messages that wait no longer.
    """

    rows: Rows = field(default_factory=Rows)
    metadata: dict[str, bytes] = field(default_factory=dict)
    unchanged: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def intake(self, context: Context, now_ms: int, *, may_hold: bool = False) -> Intake:
        """Return what is appended to the journal.

        Args:
            context: What decoders share.
            now_ms: The time, where no message came [ms].
            may_hold: Whether what became known of points may come with a later append, where nothing in this
                one is said of a point.
        """
        last_ms = self.rows.last_ms
        return Intake(
            known=[] if may_hold and self.rows.is_empty else context.register.news(),
            batch=self.rows.batch(context.ranges),
            metadata=self.metadata,
            rejections=self.rows.rejections,
            waiting=self.waiting,
            settled=self.settled,
            received_ms=now_ms if last_ms is None else last_ms,
        )


@dataclass(frozen=True, slots=True)
class Context:
    """What decoders share.

    Attributes:
        site: What the site file declares.
        register: Gives each point its number.
        ranges: What values of each point may be.
        waiting_numbers: Gives each message that has to wait its number.
        turn: Held by whoever decodes, until what came of it is appended: what becomes known goes into one
            append, and no other reading of a point comes before it.
    """

    site: Site
    register: Register
    ranges: Ranges
    waiting_numbers: Iterator[int]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Decoder(Protocol):
    """Turns the messages of one broker into readings.

    A message at which a decoder fails for a fault of its own is refused with `Reason.DECODER_FAILED`, and
    takes no other with it.
    """

    @property
    def missed(self) -> int:
        """How many messages never came, by the gaps in their numbers; 0 where they have none."""
        ...

    def decode(self, messages: Messages, into: Gathered) -> Iterator[None]:
        """Decode messages, in order, while this is iterated over.

        Bad data ends as a refusal in `into`, never as an exception.

        Args:
            messages: The messages, in the order in which they came.
            into: Takes what they hold.

        Yields:
            After some milliseconds of work each, so that others may run meanwhile.
        """
        ...

    def complete(self) -> Iterator[None]:
        """Find out what of points follows from what else was said, while this is iterated over.

        To be called before what became known of them is appended. Yields as `decode`.
        """
        ...

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Give up on what has waited for its metadata too long.

        Args:
            now_ms: The time [ms].
            into: Takes the refusals.
        """
        ...

    def problems(self, now_ms: int) -> dict[str, str]:
        """Return what is wrong with what is said on the bus, for people: a cause by what it is wrong with.

        Args:
            now_ms: The time [ms].
        """
        ...


def decode_in_turn(
    messages: Messages,
    into: Gathered,
    broker: str,
    *,
    plain: Callable[[int], int],
    one: Callable[[Message], None],
) -> Iterator[None]:
    """Decode messages, in order: plain ones that follow one another at one go, each other by itself.

    Args:
        messages: The messages, in the order in which they came.
        into: Takes a refusal of each message at which `one` fails for a fault of its own.
        broker: Whose messages they are.
        plain: Decodes plain messages from a place on; returns how many there were.
        one: Decodes a message, whatever it is.

    Yields:
        After some milliseconds of work each.
    """
    first, end, alone = 0, len(messages), 0
    while first < end:
        if count := plain(first):
            first += count
            continue
        message = messages.message(first)
        try:
            one(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, each message must have an end
            _log.exception("decoder failed", broker=broker, topic=message.topic[:200])
            into.rows.refuse(message, Reason.DECODER_FAILED, repr(error))
        first, alone = first + 1, alone + 1
        if alone % SLICE == 0:
            yield


def check_topic(topic: str) -> tuple[Reason, str] | None:
    """Say what is wrong with the length of a topic; None for nothing."""
    if 4 * len(topic) <= MOST_TOPIC_BYTES or (length := len(as_sent(topic))) <= MOST_TOPIC_BYTES:
        return None
    return Reason.BAD_TOPIC, f"expected a topic of at most {MOST_TOPIC_BYTES} bytes, found one of {length}"


def decode_at_once(decoder: Decoder, messages: Messages, into: Gathered) -> None:
    """Decode messages to the end while nothing else runs; arguments as for `Decoder.decode`."""
    for _ in chain(decoder.decode(messages, into), decoder.complete()):
        pass


def explain(payload: bytes, decoder: msgspec.json.Decoder[Any]) -> tuple[Reason, str]:
    """Say why a payload could not be decoded.

    Args:
        payload: What could not be decoded.
        decoder: What refused it.
    """
    try:
        # A decoder may find a wrong type before it comes to where the text stops being JSON.
        _ANY.decode(payload)
        decoder.decode(payload)
    except msgspec.ValidationError as error:
        text = str(error)
        if "missing required field" in text:
            return Reason.MISSING_FIELD, text
        if "out of range" in text:
            return Reason.OUT_OF_RANGE, text
        return Reason.WRONG_TYPE, text
    except (msgspec.MsgspecError, ValueError) as error:
        text = str(error)
        return (Reason.OUT_OF_RANGE if "out of range" in text else Reason.BAD_JSON), text
    except RecursionError:
        return Reason.BAD_JSON, "nested too deeply"
    return Reason.WRONG_TYPE, "decoded at the second try"


def _has_each_key_once(payload: bytes) -> bool:
    """Tell whether that is certain at a glance: written anew, it has as many colons as before.

    A key that stands twice is read once, and its other colon is gone. What is no text is not read at all, and
    what has escapes may have colons that are not seen.
    """
    if b"\\" in payload or len(payload.translate(None, _CONTROL)) != len(payload):
        return False
    try:
        found = _ENCODER.encode(_ANY.decode(payload))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return found.count(b":") == payload.count(b":")


def check_keys(payload: bytes) -> tuple[Reason, str] | None:
    """Say what is wrong with the keys and texts of a payload that was read as JSON before; None for nothing.

    What a decoder skips it does not look at: bytes that are no text, and keys that stand twice.

    Args:
        payload: JSON, as it was received.
    """
    if _has_each_key_once(payload):
        return None
    repeated = False

    def note(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    try:
        # Numbers stay text: the limit on the digits of an integer is not what is asked here.
        json.loads(payload, object_pairs_hook=note, parse_int=str, parse_float=str)
    except RecursionError:
        return Reason.BAD_JSON, "nested too deeply"
    except ValueError as error:
        return Reason.BAD_JSON, str(error)
    return (Reason.DUPLICATE_KEY, "expected each key once") if repeated else None
