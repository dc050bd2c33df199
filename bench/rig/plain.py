"""The loop that one would write in an afternoon: aiomqtt, pydantic, influxdb-client's batching Points.

It acknowledges a message before anything is stored.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiomqtt
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from pydantic import BaseModel

from bench.rig.load import say


class Value(BaseModel):
    """A DSX value."""

    value: float | None
    timestamp: int
    quality: int


async def run(port: int, url: str, token: str, org: str, bucket: str) -> None:
    """Write every value of a broker's DSX bus to an InfluxDB 2; say `listening` once subscribed."""
    tags: dict[str, dict[str, object]] = {}
    client = InfluxDBClient(url=url, token=token, org=org)
    writer = client.write_api(WriteOptions(batch_size=5_000, flush_interval=1_000))
    broker = aiomqtt.Client(
        "127.0.0.1", port, identifier="plain", protocol=aiomqtt.ProtocolVersion.V5, clean_start=False
    )
    async with broker as bus:
        await bus.subscribe("BMS/v1/#", qos=1)
        say("listening")
        async for message in bus.messages:
            assert isinstance(message.payload, bytes)
            topic = str(message.topic)
            if "/Metadata/" in topic:
                tags[topic.partition("/Metadata/")[2]] = json.loads(message.payload)
            else:
                writer.write(bucket=bucket, record=_point(topic, message.payload, tags))


def _point(topic: str, payload: bytes, tags: dict[str, dict[str, object]]) -> Point:
    value = Value.model_validate_json(payload)
    key = topic.partition("/Value/")[2]
    known = tags[key]
    asset = str(known.get("rackLocationName") or known.get("objectName"))
    point: Point = (
        Point("plain")
        .tag("point", key)
        .tag("asset", asset)
        .tag("point_type", str(known["pointType"]))
        .tag("unit", str(known.get("engUnit", "")))
        .field("value", value.value)
        .field("quality", value.quality)
        .time(value.timestamp * 1_000_000)
    )
    return point


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), *sys.argv[2:]))
