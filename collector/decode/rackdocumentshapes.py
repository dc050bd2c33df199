"""How the messages of each topic are written: a publisher writes the same text with other numbers each time.

One message is decoded by itself, and gives the shape of those after it. A message that differs from a shape
in nothing but its numbers is read without looking at its keys (`collector.kernels`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from collector.kernels.portable import Kind, Shape
from collector.mqtt.message import as_sent
from facility.units import UNITS, Dimension
from formats.rackdoc import FEED_KEYS, RACK_KEYS

MOST_SHAPES: Final = 4
"""How many shapes of a topic are kept: a value may come in some documents only (our choice)."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Memory of all shapes beyond which they are learned anew [bytes]: that of 90,000 racks (our choice)."""
_SHAPE_BYTES: Final = 1_000
"""What a shape needs beside its text and its slots [bytes]."""

_OF_NUMBERS: Final = b"0123456789.+-"
_TOKEN: Final = re.compile(
    rb'(?P<bracket>[{}])|"(?P<key>[^"]*)"[ \t\r\n]*:|(?P<scalar>"[^"]*"|null|true|false|-?[0-9][0-9.eE+-]*)'
)


class Shapes:
    """The shapes that were seen.

    Attributes:
        known: The shapes of each topic, the newest first.
        most_rows: How many values a message of any shape has at most.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[Shape, ...]] = {}
        self.most_rows = 1
        self._bytes = 0
        self._seen: dict[bytes, int] = {}

    def racks(self, topic: str) -> frozenset[str]:
        """Return the racks that messages of a topic were of, where a shape of them is known."""
        return frozenset(rack for shape in self.known.get(as_sent(topic), ()) for rack in shape.racks)

    def learn(self, topic: str, payload: bytes, racks: Sequence[str], points: Sequence[int]) -> None:
        """Take in the shape of a message that was decoded with nothing to refuse in it.

        The first of a topic is learned at once, another when it comes twice: who writes each message in
        another order or with other spaces costs no more for that.

        Args:
            topic: Its topic.
            payload: Its payload: JSON with each key once in its object.
            racks: The rack of each of its documents.
            points: The numbers of the points of its values, in order.
        """
        key, seen = as_sent(topic), hash(payload.translate(None, _OF_NUMBERS))
        if key in self.known and self._seen.get(key) != seen:
            self._seen[key] = seen
            return
        shape = _shape(payload, racks, points)
        if shape is None:
            return
        self._bytes += _size(key, shape)
        if self._bytes > MOST_BYTES:
            self.known.clear()
            self._seen.clear()
            self._bytes = _size(key, shape)
        known = (shape, *self.known.get(key, ()))
        self._bytes -= sum(_size(key, dropped) for dropped in known[MOST_SHAPES:])
        self.known[key] = known[:MOST_SHAPES]
        self.most_rows = max(self.most_rows, shape.rows)


def _size(topic: bytes, shape: Shape) -> int:
    """Return how much memory a shape needs, with its topic in the two tables of them [bytes]."""
    columns = shape.slots.nbytes + shape.conversions.nbytes
    return _SHAPE_BYTES + 2 * len(topic) + len(shape.text) + columns + 8 * len(shape.racks)


def _shape(payload: bytes, racks: Sequence[str], points: Sequence[int]) -> Shape | None:
    """Return the shape of a message; None where an escape hides a text, or an object is none of ours."""
    if b"\\" in payload:
        return None
    slots: list[tuple[int, int, int, int, int]] = []
    conversions: list[tuple[float, float]] = []
    numbers = iter(points)
    depth, document, name = 0, -1, ""
    for token in _TOKEN.finditer(payload):
        bracket, key, scalar = token.groups()
        if bracket is not None:
            depth += 1 if bracket == b"{" else -1
            document += bracket == b"{" and depth == 1
        elif key is not None:
            name = key.decode()
        elif name in ("time", "seq", "rack") and depth != 1:
            return None  # of something that is not the document
        elif name == "time":
            slots.append((*token.span(), Kind.TIME, 0, document))
            conversions.append((1.0, 0.0))
        elif name == "seq" and scalar.isdigit():
            slots.append((*token.span(), Kind.SEQUENCE, 0, document))
            conversions.append((1.0, 0.0))
        elif name not in ("seq", "rack"):
            # A name that a rack and a feed have in common means the same of both.
            meant = RACK_KEYS.get(name) or FEED_KEYS.get(name)
            if meant is None:
                return None
            is_state = meant.quantity.dimension is Dimension.STATE
            kind = Kind.STATE if is_state else Kind.NUMBER
            slots.append((*token.span(), kind, next(numbers), document))
            unit = UNITS[meant.unit]
            conversions.append((unit.factor, unit.offset))
    return Shape(
        payload, np.array(slots, np.int32), np.array(conversions, np.float64), tuple(racks), len(points)
    )
