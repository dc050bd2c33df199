"""Real and simulated messages as the readings that the collector makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collector.message import Message
from facility.points import Point
from facility.readings import Batch, Quality
from simulators.wire.bus import Publication, metadata_message
from store.base import Chunk
from tests import recording
from tests.builders import T0_MS
from tests.smallhall import Hall, Shape
from tests.unit.collector.hearing import Hearing

LAG_MS = 20
"""How long after its source time a message is received [ms]."""


def recorded(base_ms: int = T0_MS, repeats: int = 1) -> Chunk:
    """Return the readings of NVIDIA's recording, one after the other as often as is asked for.

    Args:
        base_ms: When it begins [ms].
        repeats: How often it is played.
    """
    described = [(m.topic, m.payload, base_ms) for m in recording.metadata()]
    length_ms = 1_000 + max(m.offset_ms for m in recording.values())
    said = [
        (m.topic, m.stamped(start_ms), start_ms + m.offset_ms)
        for start_ms in range(base_ms, base_ms + repeats * length_ms, length_ms)
        for m in recording.values()
    ]
    return heard(described, said)


def simulated(base_ms: int, seconds: int, *, racks: int = 4, step_s: int = 2) -> Chunk:
    """Return the readings of a row of racks.

    Args:
        base_ms: When they begin [ms].
        seconds: For how long [s].
        racks: How many racks the row has.
        step_s: How often each meter speaks [s].
    """
    plant = Hall(Shape(rows=("A",), racks_per_row=racks), seed=7)
    described = [_plain(metadata_message(tag), base_ms) for tag in plant.tags()]
    said = []
    for second in range(0, seconds, step_s):
        plant.step([90.0] * racks)
        at_ms = base_ms + second * 1_000
        said += [_plain(publication, at_ms) for publication in plant.values("A", at_ms)]
    return heard(described, said)


def heard(described: Sequence[tuple[str, bytes, int]], said: Iterable[tuple[str, bytes, int]]) -> Chunk:
    """Return what comes of metadata and values: topic, payload and when it was sent [ms]."""
    hearing = Hearing()
    hearing.hear(*(Message(topic, payload, at_ms, 0) for topic, payload, at_ms in described))
    outcome = hearing.hear(*(Message(topic, body, at_ms + LAG_MS, 0) for topic, body, at_ms in said))
    assert not outcome.rejections
    points: dict[int, Point] = {number: known.point for number, known in hearing.known.items()}
    batch: Batch = outcome.batch.take(outcome.batch.quality != Quality.REFUSED)
    return Chunk(first_seq=1, last_seq=2, batch=batch, points=points)


def _plain(publication: Publication, at_ms: int) -> tuple[str, bytes, int]:
    return publication.topic, publication.payload, at_ms
