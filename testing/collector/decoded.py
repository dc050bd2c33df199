"""Real and simulated messages as the readings that the collector makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

from collector.mqtt.message import Message
from facility.points import Point
from facility.readings import Batch, Quality
from facility.site import Site
from simulators.run import Simulation
from simulators.wire.bus import Publication, payloads
from store.base import Chunk
from testing import recording
from testing.builders import T0_MS
from testing.collector.hearing import Hearing
from testing.simulators.messages import metadata_message
from testing.simulators.simulated import a_scenario

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


@cache
def simulated(base_ms: int, seconds: int, *, racks: int = 8) -> Chunk:
    """Return the readings of a simulated site: every point of every meter and sensor, as the bus has them.

    Args:
        base_ms: When they begin [ms].
        seconds: For how long [s].
        racks: How many racks the site has.
    """
    scenario = replace(a_scenario(racks, seconds=seconds), begin_ms=base_ms)
    simulation = Simulation(scenario)
    described = [_plain(metadata_message(tag), base_ms) for tag in simulation.catalogue.spoken]
    said = (
        (second.topics[channel], payload, sent_ms)
        for second in simulation.seconds()
        for channel, payload, sent_ms in zip(
            second.rows.channel.tolist(), payloads(second.rows), second.rows.sent_ms.tolist(), strict=True
        )
    )
    return heard(described, said, scenario.site.site)


def heard(
    described: Sequence[tuple[str, bytes, int]],
    said: Iterable[tuple[str, bytes, int]],
    site: Site | None = None,
) -> Chunk:
    """Return what comes of metadata and values: topic, payload and when it was sent [ms]."""
    hearing = Hearing(site)
    hearing.hear(*(Message(topic, payload, at_ms, 0) for topic, payload, at_ms in described))
    outcome = hearing.hear(*(Message(topic, body, at_ms + LAG_MS, 0) for topic, body, at_ms in said))
    assert not outcome.rejections
    points: dict[int, Point] = {number: known.point for number, known in hearing.known.items()}
    batch: Batch = outcome.batch.take(outcome.batch.quality != Quality.REFUSED)
    return Chunk(first_seq=1, last_seq=2, batch=batch, points=points)


def _plain(publication: Publication, at_ms: int) -> tuple[str, bytes, int]:
    return publication.topic, publication.payload, at_ms
