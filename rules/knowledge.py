"""What is known of every point: its last value, when it was heard, and whether that still holds.

A value is *certain* while its source would have told us otherwise, and *fresh* while it counts as heard:

- a source that publishes on change: while its broker is connected, its publisher is alive (heartbeat within
  three periods, stream not unusually silent) and the value was heard within its repeat time and a tenth;
- a periodic source: certain for one period and its jitter, fresh for three periods and at least 5 s.

After a break in a stream of quality of service 0 a value is neither until it is heard again. Source: domain
facts, section 7.2; design, sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from facility.points import Cadence, Point
from facility.readings import Batch, BoolArray, ByteArray, Flag, FloatArray, IntArray, Quality
from facility.units import Dimension
from rules.draw import Known
from rules.layout import Index
from rules.streams import NEVER, Stream

PROMPT_MS: Final = 2_000
"""A reading that took less than this is dated by its source; one that took longer, by its arrival, for a
slow clock is then likelier than a slow network (the clock warning of domain facts, section 7.2)."""
BACKLOG_MS: Final = 30_000
"""A reading that took longer than this is old, not slow (the bad clock of domain facts, section 7.2)."""

REPEAT_MARGIN: Final = 1.1
"""How much later than promised a repeated value may come: 110 s for 100 s (domain facts, section 7.2)."""
MISSED_PERIODS: Final = 3
LEAST_FRESH_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Timing:
    """When the points of a broker are published.

    Attributes:
        repeat_ms: How often an unchanged value is repeated [ms].
        heartbeat_ms: How often a heartbeat comes [ms].
        period_ms: How often a periodic source publishes [ms].
        certain_ms: How long a periodic value stands for the power now [ms].
    """

    repeat_ms: int
    heartbeat_ms: int
    period_ms: int
    certain_ms: int


@dataclass(slots=True)
class _Columns:
    """One place for each point."""

    power: IntArray
    value: FloatArray
    source_ms: IntArray
    heard_ms: IntArray
    quality: ByteArray
    at_most_once: BoolArray
    heard_since_break: BoolArray
    stream: Index
    is_power: BoolArray
    is_periodic: BoolArray
    is_heartbeat: BoolArray
    fresh_ms: IntArray
    certain_ms: IntArray


_FILL: Final = {
    "power": (np.int64, 0),
    "value": (np.float64, np.nan),
    "source_ms": (np.int64, NEVER),
    "heard_ms": (np.int64, NEVER),
    "quality": (np.uint8, Quality.NO_VALUE),
    "at_most_once": (np.bool_, False),
    "heard_since_break": (np.bool_, False),
    "stream": (np.intp, 0),
    "is_power": (np.bool_, False),
    "is_periodic": (np.bool_, False),
    "is_heartbeat": (np.bool_, False),
    "fresh_ms": (np.int64, 0),
    "certain_ms": (np.int64, 0),
}


class Knowledge:
    """What is known of every point.

    Attributes:
        streams: The streams, by name.
    """

    def __init__(self, timings: Mapping[str, Timing]) -> None:
        """Start with nothing known.

        Args:
            timings: When points are published, by the broker's name.
        """
        self._timings = timings
        self._points = _Columns(**{name: np.full(64, fill, kind) for name, (kind, fill) in _FILL.items()})
        self.streams: dict[str, Stream] = {}
        self._stream_list: list[Stream] = []
        self._connected: dict[str, bool] = {}

    # What becomes known ---------------------------------------------------------------

    def add(self, number: int, point: Point) -> None:
        """Take in a point, or what became known better of it."""
        self._grow(number + 1)
        columns = self._points
        stream = self._stream(point.stream)
        timing = self._timings[stream.broker]
        columns.stream[number] = stream.place
        columns.is_power[number] = point.measures.dimension is Dimension.POWER
        columns.is_heartbeat[number] = point.is_heartbeat
        columns.is_periodic[number] = point.cadence is Cadence.PERIODIC
        if point.cadence is Cadence.PERIODIC:
            columns.fresh_ms[number] = max(MISSED_PERIODS * timing.period_ms, LEAST_FRESH_MS)
            columns.certain_ms[number] = timing.certain_ms
        else:
            repeat_ms = round(timing.repeat_ms * REPEAT_MARGIN)
            columns.fresh_ms[number] = columns.certain_ms[number] = repeat_ms
        if point.is_heartbeat:
            stream.has_heartbeat = True

    def hear(self, batch: Batch, *, is_backlog: bool = False) -> None:
        """Take in readings, in the order in which they came.

        Args:
            batch: Readings of points that were added.
            is_backlog: Whether the broker kept them while we were away: then the source's time counts.
        """
        refused = batch.quality == Quality.REFUSED
        readings = batch.take(~refused) if refused.any() else batch
        if len(readings):
            self._hear(readings, is_backlog=is_backlog)
        if len(readings) < len(batch):
            self._doubt(batch, refused)

    def _hear(self, batch: Batch, *, is_backlog: bool) -> None:
        columns = self._points
        point, source, received = batch.point, batch.source_ms, batch.received_ms
        lag = received - source
        retained = (batch.flags & Flag.RETAINED) != 0
        slow_clock = (lag > PROMPT_MS) & (lag <= BACKLOG_MS) & ~retained & (not is_backlog)
        heard = np.where(slow_clock | (lag < 0), received, source)
        self._hear_streams(batch, heard)
        # Within a batch the newest of a point is last after a stable sort by source time, and numpy
        # keeps the last of several values assigned to one place.
        rows = np.argsort(source, kind="stable")
        rows = rows[source[rows] >= columns.source_ms[point[rows]]]
        newest = point[rows]
        columns.source_ms[newest] = source[rows]
        columns.quality[newest] = batch.quality[rows]
        valued = rows[~np.isnan(batch.value[rows])]
        columns.value[point[valued]] = batch.value[valued]
        power = valued[columns.is_power[point[valued]]]
        columns.power[point[power]] = np.rint(batch.value[power] * 1e6).astype(np.int64)
        columns.heard_ms[newest] = np.maximum(columns.heard_ms[newest], heard[rows])
        columns.at_most_once[newest] = (batch.flags[rows] & Flag.AT_MOST_ONCE) != 0
        columns.heard_since_break[newest] = True

    def _hear_streams(self, batch: Batch, heard: IntArray) -> None:
        stream_of = self._points.stream[batch.point]
        for place in np.unique(stream_of).tolist():
            rows = stream_of == place
            stream = self._stream_list[place]
            if stream.fell_silent:
                # What it sent at most once meanwhile is gone: each of its points must be heard again.
                stream.fell_silent = False
                gone = (self._points.stream == place) & self._points.at_most_once
                self._points.heard_since_break[gone] = False
            stream.hear(int(heard[rows].min()), int(heard[rows].max()))
            beats = heard[rows & self._points.is_heartbeat[batch.point]]
            if len(beats):
                stream.heartbeat_ms = max(stream.heartbeat_ms, int(beats.max()))

    def _doubt(self, batch: Batch, refused: BoolArray) -> None:
        """Note values that were refused, unless a good one of the point came after them."""
        for row in np.flatnonzero(refused):
            point = batch.point[row]
            later = (batch.point[row + 1 :] == point) & ~refused[row + 1 :]
            if not later.any():
                self._points.quality[point] = Quality.REFUSED

    def break_stream(self, broker: str, *, is_lossless: bool) -> None:
        """Note that part of a broker's stream was not received.

        Args:
            broker: The broker's name.
            is_lossless: Whether what is published at least once is whole nevertheless.
        """
        columns = self._points
        places = [stream.place for stream in self._stream_list if stream.broker == broker]
        touched = np.isin(columns.stream, places)
        if is_lossless:
            touched &= columns.at_most_once
        columns.heard_since_break[touched] = False

    def connect(self, broker: str, *, is_connected: bool) -> None:
        """Note that the connection to a broker was made or lost."""
        self._connected[broker] = is_connected
        for stream in self._stream_list:
            if stream.broker == broker:
                stream.is_connected = is_connected
                if is_connected:
                    stream.restart()

    # What is known --------------------------------------------------------------------

    def at(self, at_ms: int) -> Known:
        """Return what is known of every point at a moment [ms]."""
        columns = self._points
        alive = np.array([stream.check(at_ms) for stream in self._stream_list] or [False], np.bool_)
        age = at_ms - columns.heard_ms
        trusted = (columns.quality == Quality.GOOD) & columns.heard_since_break & alive[columns.stream]
        return Known(
            power=columns.power,
            is_certain=trusted & (age < columns.certain_ms),
            is_fresh=trusted & (age <= columns.fresh_ms),
            beyond_rating=columns.quality == Quality.IMPLAUSIBLE,
        )

    @property
    def heard_ms(self) -> IntArray:
        """When each point was last heard [ms], `NEVER` where it never was; shape (points,)."""
        return self._points.heard_ms

    @property
    def source_ms(self) -> IntArray:
        """When each point's last value was measured [ms], `NEVER` where it has none; shape (points,)."""
        return self._points.source_ms

    # Inside ---------------------------------------------------------------------------

    def _stream(self, name: str) -> Stream:
        if name not in self.streams:
            broker = name.partition(":")[0]
            timing = self._timings[broker]
            stream = Stream(
                place=len(self._stream_list),
                broker=broker,
                heartbeat_period_ms=timing.heartbeat_ms,
                repeat_ms=round(timing.repeat_ms * REPEAT_MARGIN),
                is_connected=self._connected.get(broker, True),
            )
            self.streams[name] = stream
            self._stream_list.append(stream)
        return self.streams[name]

    def _grow(self, points: int) -> None:
        have = len(self._points.power)
        if points <= have:
            return
        more = max(points, 2 * have) - have
        for name, (kind, fill) in _FILL.items():
            column = getattr(self._points, name)
            setattr(self._points, name, np.concatenate([column, np.full(more, fill, kind)]))

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        """Return everything as arrays and as plain values."""
        arrays = {name: getattr(self._points, name).copy() for name in _FILL}
        streams = {name: asdict(stream) for name, stream in self.streams.items()}
        return arrays, {"streams": streams, "connected": dict(self._connected)}

    def load(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._points = _Columns(**{name: arrays[name].copy() for name in _FILL})
        self._connected = dict(values["connected"])
        self.streams = {name: Stream(**stream) for name, stream in values["streams"].items()}
        self._stream_list = sorted(self.streams.values(), key=lambda stream: stream.place)
