"""Payloads and names that no honest source sends: two public corpora, and a generator with a seed."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from collector.mqtt.message import Message
from formats import dsx
from testing.builders import T0_MS
from testing.collector.hearing import document, document_topic, heartbeat, key_of, metadata, raw, value
from testing.recording import SHARED

JSON_SUITE: Final = SHARED / "data" / "json-test-suite"
LINE_CORPUS: Final = SHARED / "data" / "line-protocol-corpus"
RACKS: Final = ("r1", "r2", "r3")

TOPICS: Final = (
    dsx.value_topic("PUB", key_of("r1")),
    dsx.metadata_topic(key_of("r2")),
    dsx.value_topic("PUB", "System/HeartbeatTimestampBms/BMS"),
    dsx.metadata_topic("System/HeartbeatTimestampBms/other"),
    dsx.value_topic("MEPAI", key_of("r3")),
    document_topic("r1"),
    document_topic("rowA"),
)
"""A topic of each kind: a value, metadata, a heartbeat, its metadata, an integration, a rack, a row."""


def json_files() -> list[Path]:
    """Return every file of the JSON suite: to be accepted, to be rejected, and either."""
    return sorted(JSON_SUITE.glob("test_*/*.json"))


def corpus_names() -> list[str]:
    """Return every text of the line-protocol corpus, and every name and tag that is in one."""
    found: dict[str, None] = {}
    for part in ("decode", "encode"):
        with gzip.open(LINE_CORPUS / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                case = json.loads(line)
                found.update(dict.fromkeys(_texts(case["input"].get("text"))))
                found.update(dict.fromkeys(_texts(case["input"].get("point"))))
                found.update(dict.fromkeys(_texts(case["output"].get("result"))))
    return list(found)


def _texts(found: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict) and set(found) == {"binary"}:
        yield base64.b64decode(found["binary"]).decode("utf-8", "replace")
    elif isinstance(found, dict):
        for inner in found.values():
            yield from _texts(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from _texts(inner)


def named(name: str) -> Iterator[Message]:
    """Yield messages in which a name stands wherever one may stand."""
    yield value(name)
    yield metadata(name, rackLocationId=name)
    yield metadata("p", objectId=name, rackLocationId=None, servesId=[name, "r1"])
    yield heartbeat("beat", scope=name, integration=name or None, object_id=name)
    yield document(name, power_kw=1)
    yield raw(document_topic("rowA"), json.dumps([{"rack": name, "time": T0_MS, "power_kw": 1}]).encode())
    yield raw(name, value().payload)


_NUMBERS: Final = (
    "0", "-0", "1", "-1", "90.5", "1e3", "1E-400", "1e999", "-1e999", "NaN", "Infinity", "-Infinity",
    "0x5A", "01", "+1", "1.", ".5", "65535", "6553.5", "2147483648", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "9" * 400, "9" * 5_000, "1.7976931348623157e308",
    "5e-324", "1780000000", "1780000000000", "1780000000000000", "4102444800001", "-1780000000000", "null",
    "true", '"12.5"', "{}", "[]", "[1,2,3]", '""',
)  # fmt: skip
_NAMES: Final = (
    "value", "timestamp", "quality", "engUnit", "rackLocationId", "objectId", "associateId", "servesId",
    "integration", "scope", "stateText", "phase", "rack", "time", "seq", "feeds", "a", "kw", "amps",
    "power_kw", "inlet_c", "leak", "__class__", "", "\u202e", "x" * 300,
)  # fmt: skip
_TEXTS: Final = (
    "kW", "degC", "MW", "furlong", "PUB", "MEPAI", "r1", "r2", "rowA", "#", "+/#", "r1,tenant=evil", "r1\n",
    "\x00", "2026-05-28T20:26:40Z", "2026-05-28T20:26:60Z", "2026-05-28", "9999-12-31T24:00:00Z",
    "{{timestamp_ms}}", "A", "\ud83d\ude00", "'; DROP TABLE entry; --", "\u0661", "../../x", "y" * 70_000,
)  # fmt: skip


class Generator:
    """Makes messages out of a seed: the same seed, the same messages.

    Args:
        seed: What the random generator begins with.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - has to be the same every time
        self._time_ms = T0_MS

    def message(self) -> Message:
        """Return the next message: as an honest source sends it, changed in its values, or in its bytes."""
        pick, chance = self._random, self._random.random()
        self._time_ms += pick.randrange(3)
        honest = self._honest()
        payload = honest.payload
        if chance < 0.35:
            payload = self._changed(payload)
        elif chance < 0.5:
            payload = self._anything(3).encode("utf-8", "surrogatepass")
        elif chance < 0.85:
            payload = self._broken(self._changed(payload) if pick.random() < 0.5 else payload)
        topic = honest.topic if pick.random() < 0.9 else pick.choice(TOPICS)
        return raw(
            topic, payload, received_ms=self._time_ms + pick.choice((0, 5, 2_000)), flags=pick.randrange(8)
        )

    def _honest(self) -> Message:
        pick, rack, time_ms = self._random, self._random.choice(RACKS), self._time_ms
        makers: tuple[Callable[[], Message], ...] = (
            lambda: value(rack, pick.uniform(0, 130), time_ms),
            lambda: value(rack, None, time_ms, quality=pick.choice((0, 1, 192))),
            lambda: value("BMS", time_ms, time_ms, object_type="System", point_type="HeartbeatTimestampBms"),
            lambda: metadata(rack, engUnit=pick.choice(("kW", "W", "kW")), servesId=["x"]),
            lambda: heartbeat("BMS", scope=pick.choice((None, "r1", "BMS/v1/PUB/Value/#"))),
            lambda: document(
                rack, time=time_ms, seq=time_ms % 100, power_kw=pick.uniform(0, 130), inlet_c=20
            ),
            lambda: document(
                rack, time=time_ms, feeds={"a": {"kw": 40, "amps": [60, 61, 62]}, "b": {"kw": 41}}
            ),
        )
        return pick.choice(makers)()

    def _changed(self, payload: bytes) -> bytes:
        """Put something else in the place of some values, and add keys, twice perhaps."""
        pick = self._random
        fields = [(key, json.dumps(found)) for key, found in json.loads(payload).items()]
        for _ in range(pick.randint(1, 3)):
            at = pick.randrange(len(fields))
            match pick.randrange(5):
                case 0 | 1:
                    fields[at] = (fields[at][0], self._anything(2))
                case 2:
                    fields[at] = (pick.choice(_NAMES), fields[at][1])
                case 3:
                    fields.append((pick.choice(_NAMES), self._anything(2)))
                case _:
                    fields.append(fields[at])
        body = ",".join(f"{json.dumps(key)}:{found}" for key, found in fields)
        return f"{{{body}}}".encode("utf-8", "surrogatepass")

    def _anything(self, depth: int) -> str:
        """Return something that is JSON, or nearly."""
        pick = self._random
        match pick.randrange(6 if depth else 3):
            case 0 | 1:
                return pick.choice(_NUMBERS)
            case 2:
                return json.dumps(pick.choice(_TEXTS), ensure_ascii=pick.random() < 0.5)
            case 3:
                count = pick.choice((0, 1, 3, 3, 40))
                return "[" + ",".join(self._anything(depth - 1) for _ in range(count)) + "]"
            case 4:
                names = pick.choices(_NAMES, k=pick.choice((0, 1, 3, 12)))
                return (
                    "{" + ",".join(f"{json.dumps(name)}:{self._anything(depth - 1)}" for name in names) + "}"
                )
            case _:
                deep = pick.choice((10, 900, 1_100, 20_000))
                return "[" * deep + "]" * pick.choice((0, deep))

    def _broken(self, payload: bytes) -> bytes:
        """Flip, cut, repeat and insert bytes."""
        pick, broken = self._random, bytearray(payload)
        for _ in range(pick.randint(1, 6)):
            at = pick.randrange(len(broken) + 1)
            match pick.randrange(6):
                case 0 if at < len(broken):
                    broken[at] ^= 1 << pick.randrange(8)
                case 1:
                    del broken[at : at + pick.randrange(1, 9)]
                case 2:
                    broken[at:at] = bytes(
                        pick.choices(b'{}[]:,"\\0e-\x00\xff\xed\xa0\x80', k=pick.randrange(1, 4))
                    )
                case 3:
                    broken[at:at] = broken[: pick.randrange(1, 60)]
                case 4:
                    broken[at:at] = pick.randbytes(pick.randrange(1, 12))
                case _:
                    del broken[at:]
        return bytes(broken)
