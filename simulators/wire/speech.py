"""What publishers say of readings on a DSX bus, and when: values, metadata, heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from facility.instants import SECOND_MS
from formats.dsx import HEARTBEAT_S, REPEAT_S
from simulators.meters.meters import Readings
from simulators.scenario.scenario import Metering
from simulators.wire.points import Catalogue
from simulators.wire.rows import Form, Rows

LATEST_MS: Final = 900
"""Instruments look at their own moment of a second, at most this late in it [ms]."""
LATENCY_MS: Final = (5, 60)
"""How long a gateway takes from looking to publishing, at least and less than [ms]."""

MILLIONTH: Final = 1e-6

_PHASES: Final = 11
_LATENCIES: Final = 12
_CLOCKS: Final = 13


class Speaker(Protocol):
    """Turns readings into messages.

    Attributes:
        topics: The topic of each channel; faults may add some.
    """

    topics: list[str]

    def say(self, readings: Readings, points: NDArray[np.int64]) -> Rows:
        """Return what is published in a second, in order of time.

        Args:
            readings: What the instruments show.
            points: Which of them are worth a message.
        """

    def beats_in(self, second: int) -> bool:
        """Tell whether heartbeats are published in a second of the run."""

    def beats(self, readings: Readings) -> Rows:
        """Return the heartbeats of a second in which no instrument looks."""

    def value_channels(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the channels on which values of points are said."""

    def metadata_channels(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the channels on which points are described; none where they are not."""

    def heartbeat_channels(self, gateways: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the channels of the heartbeats of gateways; none where there are none."""

    def births(self, channels: NDArray[np.int64], at_ms: int) -> Rows:
        """Return the descriptions on metadata channels, to be published at a moment [ms]."""


class Clocks:
    """When each point is looked at within a second, and what its gateway's clock makes of that.

    Args:
        catalogue: Points of the plant, in columns.
        seed: What the moments follow from.
        metering: How far clocks are off; None for not at all.

    Attributes:
        phase_ms: (P,) when in a second each point is looked at [ms].
        latency_ms: (G,) how long each gateway takes to publish [ms].
        offset_ms: (G,) how far each gateway's clock is ahead at the beginning [ms].
        drift: (G,) by which share it runs too fast.
    """

    def __init__(self, catalogue: Catalogue, seed: int, metering: Metering | None = None) -> None:
        def random(stream: int) -> np.random.Generator:
            return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,)))

        owners = {name: i for i, name in enumerate(dict.fromkeys(catalogue.assets))}
        device = np.array([owners[name] for name in catalogue.assets], np.int64)
        self.phase_ms: NDArray[np.int64] = random(_PHASES).integers(0, LATEST_MS, len(owners))[device]
        gateways = len(catalogue.gateways)
        self.latency_ms: NDArray[np.int64] = random(_LATENCIES).integers(*LATENCY_MS, gateways)
        clocks, said = random(_CLOCKS), metering or Metering()
        self.offset_ms = said.clock_sigma_ms * clocks.standard_normal(gateways)
        self.drift = said.drift_sigma_ppm * MILLIONTH * clocks.standard_normal(gateways)
        for place, gateway in enumerate(catalogue.gateways):
            if (clock := said.clocks.get(gateway.name)) is not None:
                self.offset_ms[place] = clock.offset_ms
                self.drift[place] = clock.drift_ppm * MILLIONTH

    def error_ms(self, second: int) -> NDArray[np.int64]:
        """Return how far each gateway's clock is ahead in a second of the run [ms]."""
        found: NDArray[np.int64] = np.rint(self.offset_ms + self.drift * second * SECOND_MS).astype(np.int64)
        return found


class BusSpeaker:
    """Speaks as the publishers of a DSX bus.

    Metadata come all at once at the start, before any value, and each again every 100 s, spread evenly.

    Args:
        catalogue: Points of the plant, in columns.
        clocks: When they are looked at.

    Attributes:
        topics: The topic of each channel: values of points, values of heartbeats, then metadata of both.
    """

    def __init__(self, catalogue: Catalogue, clocks: Clocks) -> None:
        self._catalogue = catalogue
        self._clocks = clocks
        self.topics = catalogue.topics()
        self._spoken = len(catalogue.spoken)
        self._metadata = np.empty(self._spoken, np.object_)
        self._metadata[:] = catalogue.metadata()
        self._latency = clocks.latency_ms[catalogue.gateway]
        self._beating = np.arange(len(catalogue), self._spoken)

    def say(self, readings: Readings, points: NDArray[np.int64]) -> Rows:
        """Return what is published in a second, in order of time."""
        begin_ms, second = readings.time_ms, readings.second
        error = self._clocks.error_ms(second)
        at_ms = begin_ms + self._clocks.phase_ms[points]
        values = Rows.of_values(
            points.astype(np.int32),
            at_ms + self._latency[points],
            at_ms + error[self._catalogue.gateway[points]] + readings.shift_ms[points],
            readings.value[points],
            form=readings.form[points],
            faults=readings.faults[points],
        ).changed(quality=readings.quality[points])
        parts = [self._described(second, begin_ms), values.in_order()]
        if self.beats_in(second):
            parts.insert(1, self.beats(readings))
        return Rows.joined(parts).in_order()

    def _described(self, second: int, begin_ms: int) -> Rows:
        place = second % REPEAT_S
        first, last = (-(-self._spoken * edge // REPEAT_S) for edge in (place, place + 1))
        which = np.arange(self._spoken) if second == 0 else np.arange(first, last)
        return self.births(which + self._spoken, begin_ms)

    def beats_in(self, second: int) -> bool:
        """Tell whether heartbeats are published in a second of the run."""
        return second % HEARTBEAT_S == 0 and len(self._beating) > 0

    def beats(self, readings: Readings) -> Rows:
        """Return the heartbeats of a second, in order of time."""
        own_ms = readings.time_ms + self._clocks.error_ms(readings.second) + readings.gateway_shift_ms
        return Rows.of_values(
            self._beating.astype(np.int32),
            readings.time_ms + self._clocks.latency_ms,
            own_ms,
            own_ms.astype(np.float64),
            form=np.full(len(own_ms), Form.WHOLE, np.uint8),
            faults=readings.gateway_faults.copy(),
        ).in_order()

    def births(self, channels: NDArray[np.int64], at_ms: int) -> Rows:
        """Return the descriptions on metadata channels, to be published at a moment [ms]."""
        payloads: Sequence[bytes] = self._metadata[channels - self._spoken].tolist()
        sent = np.full(len(channels), at_ms, np.int64)
        return Rows.of_payloads(channels.astype(np.int32), sent, payloads, is_retained=True)

    def value_channels(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the channels on which values of points are said: their own numbers."""
        return points

    def metadata_channels(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the channels on which points are described."""
        return points + self._spoken

    def heartbeat_channels(self, gateways: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the channels of the heartbeats of gateways; none where there are none."""
        return self._beating[gateways] if len(self._beating) else gateways[:0]
