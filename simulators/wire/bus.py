"""The DSX BMS bus as a building system speaks it: metadata and values as topics and payloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formats.dsx import BUILDING_SYSTEM, metadata_topic, value_topic
from simulators.wire.rows import Form, Rows


@dataclass(frozen=True, slots=True)
class Tag:
    """A point as its publisher knows it.

    Attributes:
        key: Object type, point type and tag path.
        metadata: What its metadata says.
        publisher: Who publishes its values.
    """

    key: str
    metadata: dict[str, Any]
    publisher: str = BUILDING_SYSTEM

    @property
    def value_topic(self) -> str:
        """The topic of its values."""
        return value_topic(self.publisher, self.key)

    @property
    def metadata_topic(self) -> str:
        """The topic of its metadata; the building system publishes them, whatever publishes the values."""
        return metadata_topic(self.key)


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to publish.

    Attributes:
        topic: Its topic.
        payload: Its payload.
        is_retained: Whether the broker keeps it for later subscribers.
    """

    topic: str
    payload: bytes
    is_retained: bool = False


def publications(rows: Rows, topics: Sequence[str]) -> list[Publication]:
    """Return rows as messages to publish.

    Args:
        rows: Messages in columns.
        topics: Topic of each channel.
    """
    return [
        Publication(topics[channel], payload, is_retained)
        for channel, payload, is_retained in zip(
            rows.channel.tolist(), payloads(rows), rows.is_retained.tolist(), strict=True
        )
    ]


def payloads(rows: Rows) -> list[bytes]:
    """Return the payload of each row: values as the contract of the bus writes them.

    Any split of the same rows gives the same bytes.
    """
    found: list[bytes] = [
        b'{"value":%a,"timestamp":%d,"quality":%d}' % said
        for said in zip(rows.value.tolist(), rows.time_ms.tolist(), rows.quality.tolist(), strict=True)
    ]
    for place in rows.form.nonzero()[0].tolist():
        said = written(Form(int(rows.form[place])), float(rows.value[place]))
        found[place] = b'{"value":%s,"timestamp":%d,"quality":%d}' % (
            said.encode(),
            rows.time_ms[place],
            rows.quality[place],
        )
    for place in (rows.payload != None).nonzero()[0].tolist():  # noqa: E711 - of each element
        found[place] = rows.payload[place]
    return found


def written(form: Form, value: float) -> str:
    """Return a value as a publisher writes it, right or wrong."""
    match form:
        case Form.NUMBER:
            return repr(value)
        case Form.WHOLE:
            return str(round(value))
        case Form.NULL:
            return "null"
        case Form.NOT_A_NUMBER:
            return "NaN"
        case Form.TEXT:
            return f'"{value!r}"'


def tag(
    object_type: str,
    point_type: str,
    path: str,
    *,
    unit: str | None = None,
    states: Mapping[int, str] | None = None,
    **metadata: Any,  # noqa: ANN401 - the keys of the contract, any of them
) -> Tag:
    """Describe a point.

    Args:
        object_type: What kind of thing it is of.
        point_type: What is measured.
        path: Rest of the topic, chosen by the publisher.
        unit: The engineering unit, None for a state or a bare number.
        states: What the numbers of a state mean.
        metadata: Further keys of the contract.
    """
    body: dict[str, Any] = {"objectType": object_type, "pointType": point_type}
    if unit is not None:
        body["engUnit"] = unit
    if states is not None:
        body["stateText"] = state_texts(states)
    return Tag(f"{object_type}/{point_type}/{path}", body | metadata)


def state_texts(states: Mapping[int, str]) -> list[dict[str, int | str]]:
    """Return what the numbers of a state mean, as the contract writes it."""
    return [{"value": value, "text": text} for value, text in states.items()]


def meter_tag(meter: str, point_type: str, path: str, unit: str, serves: list[str]) -> Tag:
    """Describe a point of a power meter."""
    return tag("PowerMeter", point_type, path, unit=unit, objectName=meter, objectId=meter, servesId=serves)


def heartbeat_tag(system: str, path: str, scope: str) -> Tag:
    """Describe the heartbeat of one of the building system's connections.

    Args:
        system: Id of the system that publishes.
        path: Rest of the topic, chosen by the publisher.
        scope: Which topics it covers.
    """
    return tag("System", "HeartbeatTimestampBms", path, objectName=system, objectId=system, scope=scope)
