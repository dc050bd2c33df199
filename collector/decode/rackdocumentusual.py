"""The usual rack document, quickly: nothing but numbers, under keys that its rack used before.

Whatever is not usual is left to the decoder, which looks at each value by itself and says what is wrong.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from collector.mqtt.message import Message
from collector.row_builder import Rows
from facility.units import Unit
from formats.rackdoc import OTHER_KEYS, PHASES

LARGE: Final = 10**15
"""Integers up to here are exact as floats; what is beyond them is looked at one by one (our choice)."""

DEEPEST: Final = 5
"""A row, its documents, their feeds, a feed, its phases: no usual message is nested deeper."""

_TEXTS: Final = ("time", "rack")
"""Keys of a document whose values may be texts."""
_HOLD_TEXT: Final = frozenset({str, dict, list})


class _Slot(NamedTuple):
    """Where a number under a key goes: its point, and how it comes to the canonical unit."""

    number: int
    factor: float
    offset: float


class Usual:
    """Takes usual documents."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], dict[str | tuple[str, str], _Slot]] = {}

    def learn(self, rack: str, feed: str, name: str, phase: str, number: int, unit: Unit) -> None:
        """Note which point a key of a rack stands for.

        Args:
            rack: Id of the rack.
            feed: The letter of the feed, "" for the rack as a whole.
            name: The key, as it is written.
            phase: The phase, "" where the key has one number for all.
            number: Number of the point.
            unit: Unit that the key names.
        """
        key = (name, phase) if phase else name
        self._slots.setdefault((rack, feed), {})[key] = _Slot(number, unit.factor, unit.offset)

    def take(
        self,
        message: Message,
        rack: str,
        time_ms: int,
        document: dict[str, Any],
        rows: Rows,
        *,
        is_whole: bool = False,
    ) -> bool:
        """Take a document, if it is a usual one.

        Args:
            message: The message that it came in.
            rack: Id of the rack.
            time_ms: When it was measured [ms].
            document: The object, decoded.
            rows: Takes its values.
            is_whole: Whether it is all of the message, so that no key may stand twice in it.

        Returns:
            Whether it was. If not, nothing of it was taken.
        """
        points: list[int] = []
        values: list[float | None] = []
        if not self._collect(rack, "", document, points, values):
            return False
        feeds = document.get("feeds", {})
        if type(feeds) is not dict:
            return False
        for feed, of_feed in feeds.items():
            if type(of_feed) is not dict or not self._collect(rack, feed, of_feed, points, values):
                return False
        if is_whole and _is_ambiguous(message.payload, document, feeds):
            return False
        if points:
            rows.extend(points, time_ms, values, message)
        return bool(points)

    def _collect(
        self, rack: str, feed: str, found: dict[str, Any], points: list[int], values: list[float | None]
    ) -> bool:
        """Collect the numbers of an object; tell whether it held nothing else."""
        slots = self._slots.get((rack, feed))
        if slots is None:
            return False
        for name, value in found.items():
            kind = type(value)
            if (slot := slots.get(name)) is not None:
                if kind is not float and (kind is not int or not -LARGE < value < LARGE):
                    return False
                points.append(slot.number)
                values.append(value * slot.factor + slot.offset)
            elif kind is list and len(value) == len(PHASES):
                for phase, one in zip(PHASES, value, strict=True):
                    slot = slots.get((name, phase))
                    if slot is None or type(one) is not float:
                        return False
                    points.append(slot.number)
                    values.append(one * slot.factor + slot.offset)
            elif feed or name not in OTHER_KEYS:
                return False
        return True


def _is_ambiguous(payload: bytes, document: dict[str, Any], feeds: dict[str, Any]) -> bool:
    """Tell whether a key may stand twice: each text that was read stands between two quotes."""
    texts = len(document) + len(feeds) + sum(map(len, feeds.values()))
    texts += sum(type(document.get(key)) is str for key in _TEXTS)
    return b"\\" in payload or payload.count(b'"') != 2 * texts


def may_repeat_keys(payload: bytes, documents: list[object]) -> bool:
    """Tell whether a key may stand twice in a payload: each text that was read stands between two quotes.

    Args:
        payload: JSON, as it was received.
        documents: What was read of it.
    """
    texts = _texts(documents, DEEPEST)
    return texts is None or b"\\" in payload or payload.count(b'"') != 2 * texts


def _texts(found: object, deepest: int) -> int | None:
    """Return how many keys and texts were read; None where objects are nested deeper than that."""
    if isinstance(found, dict):
        count, inner = len(found), [value for value in found.values() if type(value) in _HOLD_TEXT]
    elif isinstance(found, list):
        count, inner = 0, [value for value in found if type(value) in _HOLD_TEXT]
    else:
        return int(isinstance(found, str))
    if not deepest:
        return None
    for value in inner:
        texts = _texts(value, deepest - 1)
        if texts is None:
            return None
        count += texts
    return count
