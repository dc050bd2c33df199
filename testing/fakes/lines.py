"""A reader of line protocol that knows escapes, so that a bad name is seen as what a server makes of it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

Fields = dict[str, float | str]
Tags = tuple[tuple[str, str], ...]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"-?\d{1,19}", re.ASCII)
_SPECIAL = re.compile(r"\\([,= \\\"])")


class BadLine(ValueError):  # noqa: N818 - what it is, not that it is one
    """A line that is not line protocol."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, read.

    Attributes:
        measurement: Its measurement.
        tags: Its tags, in the order in which they stood.
        fields: Its fields.
        time: Its time, in whatever unit it was written.
    """

    measurement: str
    tags: Tags
    fields: Fields
    time: int


def parse(text: str) -> Line:
    """Read a line.

    Raises:
        BadLine: Where it is none.
    """
    parts = _split(text, " ")
    if len(parts) != 3:
        raise BadLine(f"expected series, fields and time, found {len(parts)} parts")
    series, fields, time = parts
    measurement, *tags = _split(series, ",")
    if not measurement or not _TIME.fullmatch(time):
        raise BadLine("expected a measurement and a time")
    return Line(
        measurement=_unescape(measurement),
        tags=tuple(_pair(tag) for tag in tags),
        fields={
            name: _value(value) for name, value in (_pair(part, plain=False) for part in _split(fields, ","))
        },
        time=int(time),
    )


def _split(text: str, separator: str) -> list[str]:
    parts, start, is_quoted, place = [], 0, False, 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == '"':
            is_quoted = not is_quoted
        elif text[place] == separator and not is_quoted:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [*parts, text[start:]]


def _pair(text: str, *, plain: bool = True) -> tuple[str, str]:
    name, *rest = _split(text, "=")
    if len(rest) != 1 or not name or not rest[0]:
        raise BadLine(f"expected a name and its value, found {text!r}")
    return _unescape(name), _unescape(rest[0]) if plain else rest[0]


def _value(text: str) -> float | str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _unescape(text[1:-1])
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise BadLine(f"expected a float or a text, found {text!r}")
    return float(text)


def _unescape(text: str) -> str:
    return _SPECIAL.sub(r"\1", text)
