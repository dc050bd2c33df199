"""The DSX BMS bus: values by the metadata of their topic.

A value's topic says nothing by itself. The metadata of a point says which topic its values come on (the
building system's own, or that of the integration it names), which asset it is of, and in which unit. A value
that comes before its metadata waits for it, on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from collector.decode.base import Context, Gathered, check_keys, check_topic, decode_in_turn, explain
from collector.decode.dsxmetadata import Described, Refusal, describe, own_stream
from collector.decode.dsxpending import MOST_ON_TOPIC, MOST_PAYLOAD_BYTES, MOST_WAITING, WAIT_MS, Park
from collector.decode.dsxpowers import Powers
from collector.decode.dsxpublishers import Publishers
from collector.decode.dsxscopes import Scopes, TopicIndex
from collector.kernels import read_values
from collector.kernels.portable import MOST_VALUE_BYTES, QUOTES, VALUES
from collector.mqtt.message import Message, Messages, as_sent, text_of
from collector.row_builder import Rows
from facility.invariants import present
from facility.names import CANARY, CANARY_PUBLISHER, NAME_LENGTH
from facility.points import Asset, Point
from facility.readings import Reason
from facility.sitefile.tables import BrokerTable
from formats import dsx
from store.journal.file import Waiting

REGROUPED: Final = 500
"""So many points whose stream is found anew are some milliseconds of work (our choice)."""
MOST_TOPICS: Final = 500_000
"""The most metadata that is kept of one bus: seven times that of the largest site (our choice)."""
MOST_TEXT_BYTES: Final = 134_217_728
"""How much their topics may be in all [bytes], twice what so many usual ones are (our choice)."""
MOST_REFUSED: Final = 50_000
"""Of how many topics it is remembered that their metadata cannot be used: what comes there is then refused at
once, and waits for no metadata (our choice)."""
CONFIRM_MS: Final = 300_000
"""How long a new meaning of a point in use must stand before its values are trusted: its source repeats the
metadata three times in it (our choice)."""
CONFIRM_VALUES: Final = 3
"""How many values must have come meanwhile (our choice)."""
MOST_PASSED_MS: Final = 15_000
"""How much time passes at most between two messages of a bus, which beats every 10 s: more is a silence, or
our own clock was set, and confirms nothing (our choice)."""


class _Stamp(msgspec.Struct, gc=False):
    """What is left of a payload whose value cannot be used."""

    timestamp: int


MOST_SHOWN: Final = 3
"""How many names stand in one sentence for people."""
_MEANINGS: Final = ("asset", "quantity", "unit", "feed", "phase", "setpoint", "broker", "publisher")

_STAMP_DECODER: Final = msgspec.json.Decoder(_Stamp)


class Refused(msgspec.Struct, frozen=True):
    """Metadata that cannot be used.

    Attributes:
        detail: What was expected and what was found.
    """

    detail: str


@dataclass(slots=True)
class _Trial:
    """A point in use whose meaning changed: its values are kept, and not trusted yet.

    Attributes:
        since_ms: Since when, in time for which the bus was heard [ms].
        detail: What it was and is.
        values: How many values came since then.
    """

    since_ms: int
    detail: str
    values: int = 0


class _Entry(msgspec.Struct, gc=False):
    """What the metadata under one name say of a point.

    Attributes:
        describer: Under whose name they are.
        publisher: Who publishes its values.
        said: The point that its values are of.
        asset: Its asset, None where the metadata do not describe it.
        digest: What tells their payload from any other, in this process; None where they cannot be used.
    """

    describer: str
    publisher: str
    said: Point | Refused
    asset: Asset | None = None
    digest: int | None = None


class DsxDecoder:
    """Decodes one broker's DSX bus.

    The building system alone says who publishes a point's values. Metadata under another name describes
    what is published under that name, and only where the building system says nothing else of it. Who is not
    believed describes nothing and publishes nothing.

    A point whose description is withdrawn or refused is in doubt at once; one that gets another meaning is in
    doubt until that is confirmed, by this decoder or by one after it.

    Args:
        broker: Its `[[broker]]` table.
        context: What decoders share.
        metadata: The metadata that was kept, payload by topic.
        waiting: What waits for its metadata.
    """

    def __init__(
        self,
        broker: BrokerTable,
        context: Context,
        metadata: Mapping[str, bytes],
        waiting: Iterable[Waiting] = (),
    ) -> None:
        self._broker = broker
        self._context = context
        self._routes: dict[bytes, int | Refused] = {}  # by the topics of values, as they are sent
        self._entries: dict[str, tuple[_Entry, ...]] = {}  # by what value and metadata have in common
        self._names: dict[str, _Entry] = {}  # what can be used, by the key of its point
        self._text_bytes = 0  # of the keys of all entries
        self._refused = 0  # entries that cannot be used
        self._value_topics = TopicIndex(self._routes)
        self._has_canary = CANARY in context.site.racks
        self._scopes = Scopes()
        self._changed: set[str] = set()
        self._ungrouped: dict[bytes, None] = {}  # the topics of values of which no scope was looked for yet
        self._heard_ms = 0
        self._last_ms = 0
        self._used = _Used(context.register.numbers)
        self._trials = {
            number: _Trial(0, f"{point.key} changed before this start")
            for number in context.register.unconfirmed
            if (point := context.register.point(number)) is not None and point.broker == broker.name
        }
        self._powers = Powers()
        self._park = Park(item for item in waiting if item.broker == broker.name)
        kept: set[str] = set()
        for text, payload in metadata.items():
            topic = dsx.parse_topic(text)
            found = None if topic is None else describe(topic, payload, broker.name, is_kept=True)
            if topic is not None and isinstance(found, Described):
                kept |= {topic.publisher, found.publisher}
                self._keep(topic, found, payload)
                self._scopes.set(text, found.publisher, found.scope, found.point.stream)
        self.publishers = Publishers(broker.publishers, kept)
        rows = Rows()
        for key in self._entries:
            self._route(key, (), rows)

    @property
    def missed(self) -> int:
        """Messages of the bus have no numbers, so none is known to be missing."""
        return 0

    def decode(self, messages: Messages, into: Gathered) -> Iterator[None]:
        """Decode messages, in order: values of known points in columns, all else one by one."""
        if len(messages):
            last_ms = int(messages.received_ms[-1])
            passed_ms = last_ms - (self._last_ms or last_ms)
            self._heard_ms += min(max(passed_ms, 0), MOST_PASSED_MS)
            self._last_ms = last_ms
        yield from self._decode_all(messages, into)

    def complete(self) -> Iterator[None]:
        """Find the stream of every point that is new, or that a changed scope covers, or covered.

        Once for all that came together: when a monitor starts, thousands of points and hundreds of scopes
        become known at once.
        """
        done = 0
        while self._ungrouped:
            topic, _ = self._ungrouped.popitem()
            self._value_topics.put(topic)
            self._group(topic)
            done += 1
            if done % REGROUPED == 0:
                yield
        if self._changed and done < len(self._routes):
            yield from self._regroup()
        self._changed.clear()

    def problems(self, now_ms: int) -> dict[str, str]:
        """Return what is wrong with what is said on the bus."""
        found: dict[str, str] = {}
        if strangers := self.publishers.strangers(now_ms):
            found["publishers"] = (
                f"{_some(strangers)} not named in the site file: what they say takes no part in a judgement"
            )
        if self._trials:
            details = [trial.detail for trial in self._trials.values()]
            found["metadata"] = (
                f"{_some(details)}: in doubt until that has stood for {CONFIRM_MS // 60_000} min"
            )
        if doubled := self._powers.doubled:
            found["points"] = f"{_some(doubled)}: clear the metadata of a path that is not used any more"
        return found

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Give up on values whose metadata has not come for too long."""
        for waiting in self._park.give_up(now_ms):
            into.settled.append(waiting.id)
            detail = f"expected metadata of this point within {WAIT_MS // 60_000} minutes, found none"
            into.rows.refuse(_message(waiting), Reason.NO_METADATA, detail)

    def _decode_all(self, messages: Messages, into: Gathered) -> Iterator[None]:
        return decode_in_turn(
            messages,
            into,
            self._broker.name,
            plain=lambda first: self._decode_plain(messages, first, into.rows),
            one=lambda message: self._decode(message, into),
        )

    def _decode_plain(self, messages: Messages, first: int, rows: Rows) -> int:
        """Decode the plain values that follow one another; return how many there were."""
        if type(self._routes.get(messages.topic(first))) is not int:
            return 0
        row = len(rows)
        columns = rows.room(len(messages) - first)
        points = columns.points[row:]
        count = read_values(
            messages.data,
            messages.spans,
            first,
            self._routes,
            points,
            columns.times[row:],
            columns.values[row:],
            columns.good[row:],
        )
        if count:
            self._used.add(points[:count])
            for number in self._trials.keys() & set(points[:count].tolist()) if self._trials else ():
                for at in row + np.flatnonzero(points[:count] == number):
                    columns.good[at] &= number not in self._trials or self._is_confirmed(number)
            rows.fill(messages, first, count)
        return count

    def _decode(self, message: Message, into: Gathered) -> None:
        """Decode one message, whatever it is."""
        route = self._routes.get(as_sent(message.topic))
        if isinstance(route, int):
            self._decode_value(message, route, into.rows)
        else:
            self._decode_other(message, route, into)

    def _decode_value(self, message: Message, number: int, rows: Rows) -> None:
        payload = message.payload
        if len(payload) > MOST_VALUE_BYTES:
            rows.refuse(message, *_too_large(payload), number)
            return
        try:
            read = VALUES.decode(payload)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            reason, detail = explain(payload, VALUES)
            rows.refuse(message, reason, detail, number, time_ms=_stamp(payload))
            return
        if payload.count(b'"') != QUOTES and (problem := check_keys(payload)) is not None:
            rows.refuse(message, *problem, number)
            return
        is_good = read.quality in dsx.GOOD_FORMS
        if number in self._trials:
            is_good = self._is_confirmed(number) and is_good
        rows.add(number, read.timestamp, read.value, is_good=is_good, message=message)
        self._used.add(np.array([number]))

    def _is_confirmed(self, number: int) -> bool:
        """Count a value of a point whose meaning changed, and tell whether the new one stands by now."""
        trial = self._trials[number]
        trial.values += 1
        if trial.values <= CONFIRM_VALUES or self._heard_ms - trial.since_ms < CONFIRM_MS:
            return False
        del self._trials[number]
        self._context.register.confirm(number)
        return True

    # What is not a value of a known point ---------------------------------------------

    def _decode_other(self, message: Message, route: Refused | None, into: Gathered) -> None:
        rows = into.rows
        if route is not None:
            rows.refuse(message, Reason.METADATA_REFUSED, route.detail)
            return
        if (problem := check_topic(message.topic)) is not None:
            rows.refuse(message, *problem)
            return
        topic = dsx.parse_topic(message.topic)
        if topic is None:
            rows.refuse(message, Reason.UNKNOWN_TOPIC, _expected_topic(message.topic))
        elif not topic.is_allowed:
            expected = "expected a publisher and UTF-8 without '+', '#' and the null character"
            rows.refuse(message, Reason.BAD_TOPIC, expected)
        elif len(message.payload) > MOST_VALUE_BYTES:
            rows.refuse(message, *_too_large(message.payload))
        elif not self._believes(topic, topic.publisher, message.received_ms):
            rows.refuse(message, Reason.WRONG_PUBLISHER, self._expected_publisher(topic.publisher))
        elif topic.type == "Metadata":
            self._take_metadata(message, topic, into)
        elif (owner := _said_by(dsx.BUILDING_SYSTEM, self._entries.get(topic.key, ()))) is not None:
            detail = f"expected values from {owner.publisher}, found {topic.publisher}"
            rows.refuse(message, Reason.WRONG_PUBLISHER, detail)
        else:
            self._wait(message, into)

    def _believes(self, topic: dsx.Topic, publisher: str, now_ms: int) -> bool:
        """Tell whether a publisher is believed of a topic; we are of the canary, and of nothing else."""
        if publisher == CANARY_PUBLISHER:
            return self._has_canary and topic.key == dsx.CANARY_POINT
        return self.publishers.believes(publisher, now_ms)

    def _expected_publisher(self, found: str) -> str:
        believed = ", ".join(self.publishers.believed[:MOST_SHOWN])
        return f"expected a publisher that the site file names ({believed}), found {found[:NAME_LENGTH]!r}"

    def _wait(self, message: Message, into: Gathered) -> None:
        if (length := len(message.payload)) > MOST_PAYLOAD_BYTES:
            detail = (
                f"expected at most {MOST_PAYLOAD_BYTES} bytes before the metadata has come, found {length}"
            )
            into.rows.refuse(message, Reason.TOO_LARGE, detail)
            return
        if not self._park.has_room(message.topic, length):
            detail = f"expected metadata before {MOST_ON_TOPIC} values of a point, {MOST_WAITING} of all wait"
            into.rows.refuse(message, Reason.NO_METADATA, detail)
            return
        waiting = Waiting(
            broker=self._broker.name,
            topic=message.topic,
            payload=message.payload,
            received_ms=message.received_ms,
            flags=message.flags,
            id=next(self._context.waiting_numbers),
        )
        self._park.add(waiting)
        into.waiting.append(waiting)

    # Metadata -------------------------------------------------------------------------

    def _take_metadata(self, message: Message, topic: dsx.Topic, into: Gathered) -> None:
        text, payload, key = message.topic, message.payload, topic.key
        entries = self._entries.get(key, ())
        before = _said_by(topic.publisher, entries)
        is_kept = before is not None and before.digest is not None
        if before is not None and before.digest == hash(payload):
            into.unchanged += 1
            return
        found = self._read_metadata(message, topic, before) if payload else None
        if found is not None and (problem := self._no_room(key, found, before)) is not None:
            into.rows.refuse(message, *problem)
            return
        spoken = _by_publisher(entries)
        if before is not None:
            self._forget(key, before)
        if is_kept:
            into.metadata[text] = b""
        elif found is None and text not in into.metadata:
            into.unchanged += 1
        publisher = scope = stream = ""
        if isinstance(found, Refusal):
            into.rows.refuse(message, found.reason, found.detail)
            # What cannot be read does not say who publishes: that is who did before.
            usual = before.publisher if before else topic.publisher
            entry = _Entry(topic.publisher, found.publisher or usual, Refused(found.detail))
            self._remember(key, entry)
        elif found is not None:
            into.metadata[text] = payload
            self._keep(topic, found, payload)
            for name in {topic.publisher, found.publisher}:
                self.publishers.describes(name, message.received_ms)
            publisher, scope, stream = found.publisher, found.scope, found.point.stream
        self._changed.update(self._scopes.set(text, publisher, scope, stream))
        for publisher in self._route(key, spoken, into.rows, message):
            self._release(dsx.value_topic(publisher, key), into)

    def _read_metadata(
        self, message: Message, topic: dsx.Topic, before: _Entry | None
    ) -> Described | Refusal:
        """Read metadata, and see who would be believed by it and whose name it would take.

        Args:
            message: The metadata.
            topic: Its topic.
            before: What was said on that topic before.
        """
        found = describe(topic, message.payload, self._broker.name)
        if isinstance(found, Described):
            if not self._believes(topic, found.publisher, message.received_ms):
                detail = self._expected_publisher(found.publisher)
                return Refusal(Reason.WRONG_PUBLISHER, detail, found.publisher)
            owner = self._names.get(found.point.key)
            if owner is not None and owner is not before:
                return Refusal(
                    Reason.IDENTITY_CONFLICT, f"expected a name of its own, found {found.point.key}"
                )
        return found

    def _keep(self, topic: dsx.Topic, found: Described, payload: bytes) -> None:
        """Remember metadata that can be used."""
        key, name = topic.key, found.point.key
        number = self._context.register.find(name)
        if number is not None:
            name = present(self._context.register.point(number), "a point with a number").key
        entry = _Entry(topic.publisher, found.publisher, found.point, found.asset, hash(payload))
        self._names[name] = entry
        if key == name:
            key = name  # one text for all: a site has tens of thousands of them
        self._remember(key, entry)

    def _no_room(
        self, key: str, found: Described | Refusal, before: _Entry | None
    ) -> tuple[Reason, str] | None:
        """Say why metadata cannot be remembered; None where it can.

        Args:
            key: What value and metadata of the point have in common.
            found: What the metadata say.
            before: What was said on that topic before, which makes room.
        """
        if isinstance(found, Refusal):
            has_room = before is not None or self._refused < MOST_REFUSED
            return None if has_room else (found.reason, found.detail)
        is_kept = before is not None and before.digest is not None
        has_room = self._text_bytes + len(key) <= MOST_TEXT_BYTES or before is not None
        if is_kept or (len(self._names) < MOST_TOPICS and has_room):
            return None
        detail = (
            f"expected at most {MOST_TOPICS} points on a bus, and {MOST_TEXT_BYTES} bytes of their topics"
        )
        return Reason.TOO_LARGE, detail

    def _remember(self, key: str, entry: _Entry) -> None:
        """Remember what metadata say of a point."""
        self._entries[key] = (*self._entries.get(key, ()), entry)
        self._text_bytes += len(key)
        self._refused += isinstance(entry.said, Refused)

    def _forget(self, key: str, entry: _Entry) -> None:
        """Forget what the metadata under one name said of a point."""
        rest = tuple([other for other in self._entries[key] if other is not entry])
        if rest:
            self._entries[key] = rest
        else:
            del self._entries[key]
        self._text_bytes -= len(key)
        self._refused -= isinstance(entry.said, Refused)
        if isinstance(entry.said, Point):
            self._names.pop(entry.said.key, None)

    def _route(
        self, key: str, spoken: Iterable[str], rows: Rows, message: Message | None = None
    ) -> Iterable[str]:
        """Say what the values of a point are, for all who may publish them; return those.

        Args:
            key: What value and metadata of the point have in common.
            spoken: Who could publish them before.
            rows: Takes the doubts that follow.
            message: What says so; None where it was said before.
        """
        found = _by_publisher(self._entries.get(key, ()))
        before = {publisher: self._routes.pop(_sent(publisher, key)) for publisher in spoken}
        for publisher, entry in found.items():
            topic = dsx.value_topic(publisher, key)
            sent, said, was = as_sent(topic), entry.said, before.get(publisher)
            if isinstance(said, Refused):
                self._routes[sent] = said
            else:
                self._routes[sent] = self._declare(entry, said, topic, rows, message, was)
            if message is None:
                self._value_topics.put(sent)
            elif publisher not in before:
                self._ungrouped[sent] = None
        for publisher in before.keys() - found.keys():
            sent = _sent(publisher, key)
            if sent in self._ungrouped:
                del self._ungrouped[sent]
            else:
                self._value_topics.take(sent)
        if before and message is not None:
            self._drop(key, before, found, rows, message)
        return found

    def _drop(
        self,
        key: str,
        before: Mapping[str, int | Refused],
        found: Iterable[str],
        rows: Rows,
        message: Message,
    ) -> None:
        """Put points in doubt whose values mean nothing any more.

        Args:
            key: What value and metadata of the point have in common.
            before: What the values of each publisher were.
            found: Who may publish its values now.
            rows: Takes the doubts.
            message: What says so.
        """
        now = {self._routes[_sent(publisher, key)] for publisher in found}
        for publisher, number in before.items():
            if isinstance(number, Refused) or number in now:
                continue
            if number in self._used:
                rows.doubt(number, message)
            if self._trials.pop(number, None) is not None:
                self._context.register.confirm(number)
            point = self._context.register.point(number)
            if point is not None and not isinstance(self._routes.get(_sent(publisher, key)), Refused):
                self._context.register.number(replace(point, is_withdrawn=True))
                self._powers.take(point)

    def _declare(
        self,
        entry: _Entry,
        point: Point,
        topic: str,
        rows: Rows,
        message: Message | None,
        was: int | Refused | None,
    ) -> int:
        """Put a point into the register, with the stream that it has; one that has none gets it later.

        Args:
            entry: What its metadata say.
            point: The point that they describe.
            topic: The topic of its values.
            rows: Takes the doubts that follow.
            message: What describes it; None where that is not new.
            was: What the values on its topic were before.
        """
        # Of what is new, scopes may still come, and are looked for once.
        is_new = message is not None and was is None
        stream = point.stream if is_new else self._stream_of(point, entry.publisher, topic)
        said = point if stream == point.stream else replace(point, stream=stream)
        register = self._context.register
        point = register.own(said)
        known = register.find(point.key)
        before = None if known is None else register.point(known)
        number = register.number(point, entry.asset)
        self._note_said(entry, said, number)
        if message is not None:
            self._try(number, before, point, was, rows, message)
        if before is not None:
            self._powers.take(before)
        self._powers.put(point)
        rating = self._context.site.rack(point.asset).rating_milliwatts
        rating_kw = None if rating is None else rating / 1e6
        ranges = self._context.ranges
        if len(rows) and ranges.contradicts(number, point, rating_kw):
            rows.seal(ranges)
        ranges.set(number, point, rating_kw)
        return number

    def _try(
        self,
        number: int,
        before: Point | None,
        point: Point,
        was: int | Refused | None,
        rows: Rows,
        message: Message,
    ) -> None:
        """Put a point in doubt whose values are used and mean something else from now on."""
        if isinstance(was, int) and was != number and was in self._used:
            before = self._context.register.point(was)
        elif number not in self._used:
            return
        if before is None or before.meaning == point.meaning:
            return
        changed = [
            f"{name} {old or 'none'} to {new or 'none'}"
            for name, old, new in zip(_MEANINGS, before.meaning, point.meaning, strict=True)
            if old != new
        ]
        detail = f"{point.key} changed from {', '.join(changed)}"
        self._trials[number] = _Trial(self._heard_ms, detail)
        self._context.register.doubt(number, message.received_ms)
        rows.doubt(number, message)

    def _regroup(self) -> Iterator[None]:
        """Find the stream anew of every point that a changed scope covers, or covered."""
        done = 0
        yield from self._value_topics.look_for(self._changed)
        for scope in sorted(self._changed):
            for topic in dict.fromkeys(self._value_topics.covered(scope)):
                self._group(topic)
                done += 1
                if done % REGROUPED == 0:
                    yield

    def _group(self, topic: bytes) -> None:
        """Put the point of a topic of values into the stream that the scopes say."""
        number, text, register = self._routes.get(topic), text_of(topic), self._context.register
        if not isinstance(number, int):
            return
        point = present(register.point(number), "a point with a route")
        stream = self._stream_of(point, text.split("/", 3)[2], text)
        if stream != point.stream:
            grouped, entry = register.group(number, stream), self._names.get(point.key)
            if entry is not None and entry.said is point:
                entry.said = grouped  # one object for both, as in `_note_said`

    def _note_said(self, entry: _Entry, said: Point, number: int) -> None:
        """Note what a point is by its metadata: as the register has it, where that has it under its own key.

        One object for both: a site has tens of thousands of them.
        """
        known = present(self._context.register.point(number), "a point with a number")
        entry.said = known if known.key == said.key else said

    def _stream_of(self, point: Point, publisher: str, topic: str) -> str:
        """Return the stream of a point, which a heartbeat's scope may give it.

        Args:
            point: What its metadata say.
            publisher: Who publishes its values.
            topic: On which topic.
        """
        if point.is_heartbeat:
            return point.stream
        return self._scopes.stream_of(topic, publisher) or own_stream(self._broker.name, publisher)

    def _release(self, value_topic: str, into: Gathered) -> None:
        """Decode what waited for this metadata."""
        if waited := self._park.release(value_topic):
            into.settled += [item.id for item in waited]
            for _ in self._decode_all(Messages.of(map(_message, waited)), into):
                pass


def _sent(publisher: str, key: str) -> bytes:
    """Return the topic on which a publisher says the values of a point, as it is sent."""
    return as_sent(dsx.value_topic(publisher, key))


def _said_by(describer: str, entries: tuple[_Entry, ...]) -> _Entry | None:
    """Return which of the entries of a point is under a name, None where none is."""
    for entry in entries:
        if entry.describer == describer:
            return entry
    return None


def _by_publisher(entries: tuple[_Entry, ...]) -> dict[str, _Entry]:
    """Return what is said of a point by who publishes its values; the building system has the last word."""
    if len(entries) == 1:
        return {entries[0].publisher: entries[0]}
    found = {entry.publisher: entry for entry in entries}
    if found:
        for entry in entries:
            if entry.describer == dsx.BUILDING_SYSTEM:
                found[entry.publisher] = entry
    return found


class _Used:
    """Points that values came of.

    Args:
        numbers: Those that the journal has numbers for.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._is_used = np.zeros(0, np.bool_)
        self.add(np.fromiter(numbers, np.int64))

    def __contains__(self, number: int) -> bool:
        return number < len(self._is_used) and bool(self._is_used[number])

    def add(self, numbers: NDArray[np.integer]) -> None:
        """Note that values came of points."""
        if len(numbers) and (most := int(numbers.max())) >= len(self._is_used):
            self._is_used = np.append(self._is_used, np.zeros(max(most + 1, 1_024), np.bool_))
        self._is_used[numbers] = True


def _expected_topic(found: str) -> str:
    """Say which topic was expected, and which other form of the bus the one that was found is of."""
    form = dsx.foreign_form(found)
    hint = f"; this is of the form {dsx.FOREIGN_FORMS[form]}" if form else ""
    return f"expected a topic of the DSX bus, BMS/v1/{{publisher}}/Value|Metadata/...{hint}"


def _some(names: Sequence[str]) -> str:
    """Return some names for people, and how many more there are."""
    more = len(names) - MOST_SHOWN
    return "; ".join(names[:MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _message(waiting: Waiting) -> Message:
    return Message(waiting.topic, waiting.payload, waiting.received_ms, waiting.flags)


def _stamp(payload: bytes) -> int | None:
    """Return what a value that cannot be used was stamped [ms]; None where it does not say."""
    try:
        return _STAMP_DECODER.decode(payload).timestamp
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _too_large(payload: bytes) -> tuple[Reason, str]:
    return Reason.TOO_LARGE, f"expected at most {MOST_VALUE_BYTES} bytes, found {len(payload)}"
