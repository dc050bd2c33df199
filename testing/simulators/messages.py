"""Single messages of a simulated bus, for what publishes a few points of its own."""

from __future__ import annotations

import json

from formats.dsx import GOOD
from simulators.wire.bus import Publication, Tag, tag


def rack_tag(rack: str, point_type: str, path: str, unit: str) -> Tag:
    """Describe a point of a rack."""
    return tag("Rack", point_type, path, unit=unit, rackLocationName=rack, rackLocationId=rack)


def metadata_message(point: Tag) -> Publication:
    """Return a point's metadata as it is published."""
    payload = json.dumps(point.metadata, separators=(",", ":")).encode()
    return Publication(point.metadata_topic, payload, is_retained=True)


def value_message(point: Tag, value: float | None, time_ms: int, quality: int = GOOD) -> Publication:
    """Return a point's value as it is published.

    Args:
        point: What the value is of.
        value: The value, None where there is none.
        time_ms: When it was measured [ms].
        quality: 1 for good, anything else for not to be trusted.
    """
    text = "null" if value is None else repr(value)
    body = f'{{"value":{text},"timestamp":{time_ms},"quality":{quality}}}'
    return Publication(point.value_topic, body.encode())
