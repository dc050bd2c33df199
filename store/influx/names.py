"""Names in line protocol: allowed or refused; only spaces in what an alarm is about are escaped. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from facility.names import is_path
from facility.points import Point
from facility.readings import DEAD_LETTER_BYTES, Reason, Rejection

_SHOWN: Final = 80
_OPTIONAL: Final = ("area", "feed", "phase", "setpoint")
# Texts that are no identity: what would end or escape them, or begin another line, is not in them.
_FREE: Final = ("by", "stream", "unit")
_ENDS: Final = frozenset('"\\\n\r\t')
_SPACE: Final = "\\ "
_BETWEEN: Final = str.maketrans({":": "/", " ": "/"})


class FaultyName(ValueError):  # noqa: N818 - what it is
    """A name that is not allowed; it says which and what was expected."""


def need_names(tags: Mapping[str, str]) -> None:
    """Make sure that every name is allowed.

    Raises:
        FaultyName: Where one is not.
    """
    for name, value in tags.items():
        # An alarm may be about a stream, which is a broker and a publisher with a colon between them, and
        # about another alarm, which is a rule and a subject with a space between them.
        if not is_path(value.translate(_BETWEEN) if name == "subject" else value):
            found = ascii(value[:_SHOWN])
            raise FaultyName(
                f"expected letters, digits, '.', '_', '-' and '/' between parts as {name}, found {found}"
            )


def tags_of(point: Point) -> dict[str, str]:
    """Return the tags of a point by name, sorted; what it must have is there even where empty.

    An area is a text for people. One that cannot be a tag is left out: the point's key tells it apart.
    """
    area = ".".join(point.area)
    tags = {
        "area": area if is_path(area) else "",
        "asset": point.asset,
        "feed": point.feed,
        "phase": point.phase,
        "point": point.key,
        "quantity": point.quantity,
        "setpoint": "yes" if point.is_setpoint else "",
    }
    return {name: value for name, value in tags.items() if value or name not in _OPTIONAL}


def head(measurement: str, tags: Mapping[str, str]) -> bytes:
    """Return how a line begins, up to its first field.

    Raises:
        FaultyName: Where the value of a tag is not allowed.
    """
    need_names(tags)
    series = ",".join(
        [measurement, *(f"{name}={value.replace(' ', _SPACE)}" for name, value in tags.items())]
    )
    return f"{series} ".encode("ascii")


def a_line(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, float | str | None], at_ms: int
) -> bytes:
    """Return a line; a field without a value, or with none that is finite, is left out.

    Raises:
        FaultyName: Where the value of a tag, or a text, is not allowed.
    """
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    need_names({name: value for name, value in texts.items() if name not in _FREE})
    parts = [
        f"{name}={float(value)!r}"
        for name, value in fields.items()
        if not isinstance(value, str) and value is not None and math.isfinite(value)
    ]
    parts += [f'{name}="{value}"' for name, value in texts.items() if _ENDS.isdisjoint(value)]
    return head(measurement, tags) + ",".join(sorted(parts)).encode("utf-8", "replace") + b" %d" % at_ms


def plain(text: str) -> bytes:
    """Return a text in ASCII, with what is not of it escaped."""
    return text.encode("ascii", "backslashreplace")


def rejection(topic: str, payload: bytes, detail: str, received_ms: int) -> Rejection:
    """Return what becomes of something that the database does not take.

    Args:
        topic: What it is of.
        payload: What it says.
        detail: Why it is not taken.
        received_ms: When it was received [ms].
    """
    return Rejection(
        topic=plain(topic).decode("ascii"),
        payload=payload[:DEAD_LETTER_BYTES],
        length=len(payload),
        reason=Reason.REFUSED_BY_DATABASE,
        detail=detail,
        received_ms=received_ms,
    )
