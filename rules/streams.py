"""Streams: what one publisher sends over one connection, and whether it still lives.

A publisher proves its life by its heartbeat, and by speaking at all. Three things follow from when it last
spoke, from the strictest to the mildest:

- *sure*: it was heard within its usual pause, so nothing that it should have said by now is missing;
  a value that it did not change is the value now;
- *alive*: its heartbeat is not missed, and it is not quiet for many times its usual pause;
- *dead*: its heartbeat, or the repetition of any value, is missed for good. What it had to say meanwhile was
  never said, whatever the broker keeps: each of its values must be heard again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray
from rules.habit import Habit
from store.entries import EVERY_BROKER

NEVER: Final = -(2**62)
"""A time before all times, far enough from the ends of 64 bits to reckon with."""

LEAST_SILENCE_MS: Final = 5_000
"""No stream is called silent sooner than this (our choice)."""
USUAL_GAPS: Final = 3
"""How many times its longest usual gap a stream may be quiet and still be called alive (our choice)."""
LEARNING_MS: Final = 30_000
"""How long a stream must have been heard before its gaps tell when it is silent (our choice)."""
SURE_MS: Final = 2_000
"""How long a stream must have been heard before its gaps tell what is missing (our choice)."""
LEAST_GAP_MS: Final = 200
"""Shorter gaps are not told apart: they are shorter than the time between two ticks (our choice)."""
SEASON_MS: Final = 150_000
"""Gaps of this season and the one before count: longer than values are repeated (our choice)."""
MISSED_HEARTBEATS: Final = 3
"""How many heartbeats may be missed (our choice: 30 s on the DSX bus)."""

Index = NDArray[np.intp]


@dataclass(slots=True)
class Stream:
    """What one publisher sends over one connection.

    Attributes:
        place: Its number.
        broker: The name of the broker that it comes through.
        heartbeat_period_ms: How often its heartbeat comes, if it has one [ms].
        repeat_ms: How long any of its values may stay without being repeated [ms].
        has_heartbeat: Whether it has a heartbeat.
        is_connected: Whether we are connected to its broker.
        was_away: Whether we were away since it was last heard, so that its silence says nothing.
        met_ms: When it was first heard of all [ms].
        first_ms: When it was first heard over this connection [ms].
        heard_ms: When it was last heard [ms].
        heartbeat_ms: When its heartbeat was last heard [ms].
        gap: How long it pauses.
        lag: How long it is on its way to us.
        season_ms: When this season began [ms].
    """

    place: int
    broker: str
    heartbeat_period_ms: int
    repeat_ms: int
    has_heartbeat: bool = False
    is_connected: bool = True
    was_away: bool = False
    met_ms: int = NEVER
    first_ms: int = NEVER
    heard_ms: int = NEVER
    heartbeat_ms: int = NEVER
    gap: Habit = field(default_factory=Habit)
    lag: Habit = field(default_factory=Habit)
    season_ms: int = NEVER

    def hear(self, first_ms: int, last_ms: int, *, gaps_ms: Iterable[int] = (), lag_ms: int = 0) -> None:
        """Note that something was heard between two moments.

        Args:
            first_ms: The first [ms].
            last_ms: The last [ms].
            gaps_ms: The gaps between the two [ms].
            lag_ms: How long the last was on its way to us [ms].
        """
        if self.met_ms == NEVER:
            self.met_ms = self.season_ms = first_ms
        if first_ms - self.season_ms >= SEASON_MS:
            self.gap.turn()
            self.lag.turn()
            self.season_ms = first_ms
        if self.heard_ms == NEVER or self.was_away:
            self.first_ms = first_ms
            self.was_away = False
        else:
            self.gap.note(first_ms - self.heard_ms)
        for gap_ms in gaps_ms:
            self.gap.note(gap_ms)
        self.lag.note(lag_ms)
        self.heard_ms = max(self.heard_ms, last_ms)

    def restart(self) -> None:
        """Begin another connection: the gap before it is ours, and no habit of the publisher."""
        self.first_ms = self.heard_ms = NEVER

    @property
    def dead_after_ms(self) -> int:
        """After when it is dead [ms], by what its publisher promised."""
        most_ms = self.heartbeat_period_ms * MISSED_HEARTBEATS if self.has_heartbeat else self.repeat_ms
        spoke_ms = max(self.heartbeat_ms, self.first_ms) if self.has_heartbeat else self.heard_ms
        return min(spoke_ms, self.heard_ms) + most_ms

    @property
    def alive_until_ms(self) -> int:
        """Until when it is known to live [ms]."""
        usual_ms = self.gap.usual_ms
        if usual_ms is None or self.heard_ms - self.met_ms < LEARNING_MS:
            return self.dead_after_ms
        return min(self.heard_ms + max(usual_ms * USUAL_GAPS, LEAST_SILENCE_MS), self.dead_after_ms)

    def sure_until_ms(self, lateness_ms: int) -> int:
        """Return until when nothing that it should have said is missing [ms].

        Args:
            lateness_ms: How long we wait for what is on its way [ms]; what takes longer is usual as well.
        """
        usual_ms = self.gap.usual_ms
        if usual_ms is None or self.heard_ms - self.met_ms < SURE_MS:
            return self.alive_until_ms
        late_ms = max(0, (self.lag.usual_ms or 0) - lateness_ms)
        return min(self.heard_ms + max(usual_ms, LEAST_GAP_MS) + late_ms - 1, self.alive_until_ms)


class Streams:
    """Every stream; arrays have one place for each.

    Args:
        lateness_ms: How long a tick waits for readings on their way [ms].
    """

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms = lateness_ms
        self._by_name: dict[str, Stream] = {}
        self._list: list[Stream] = []
        self._connected: dict[str, bool] = {}
        self._sure = self._alive = self._dead = self._heard = self._unsure = np.zeros(0, np.int64)
        self._fell_silent = self._died = self._is_connected = np.zeros(0, np.bool_)

    def get(self, name: str, *, heartbeat_period_ms: int, repeat_ms: int) -> Stream:
        """Return a stream, which is made where it is new.

        Args:
            name: Its name: broker, publisher, and scope where it has one.
            heartbeat_period_ms: How often its heartbeat comes [ms].
            repeat_ms: How long its values may stay without being repeated [ms].
        """
        if name not in self._by_name:
            broker = name.partition(":")[0]
            stream = Stream(
                place=len(self._list),
                broker=broker,
                heartbeat_period_ms=heartbeat_period_ms,
                repeat_ms=repeat_ms,
                is_connected=self._connected.get(broker, True),
            )
            self._by_name[name] = stream
            self._list.append(stream)
            flags = (self._fell_silent, self._died, self._is_connected)
            self._fell_silent, self._died, self._is_connected = (_grown(flag, 0) for flag in flags)
            times = (self._sure, self._alive, self._dead, self._heard, self._unsure)
            self._sure, self._alive, self._dead, self._heard, self._unsure = (_grown(t, NEVER) for t in times)
            self._reckon(stream)
        return self._by_name[name]

    def of_broker(self, broker: str) -> list[int]:
        """Return the places of the streams that come through a broker, or through any."""
        return [stream.place for stream in self._list if broker in (stream.broker, EVERY_BROKER)]

    def set_heartbeat(self, stream: Stream) -> None:
        """Note that a stream has a heartbeat."""
        if not stream.has_heartbeat:
            stream.has_heartbeat = True
            self._reckon(stream)

    def hear(
        self, stream_of: Index, heard: IntArray, lag: IntArray, is_beat: BoolArray
    ) -> tuple[Index, Index]:
        """Take in when streams spoke.

        Args:
            stream_of: The stream of each reading, shape (readings,).
            heard: When that was [ms].
            lag: How long it was on its way [ms].
            is_beat: Whether it is a heartbeat.

        Returns:
            The streams that had fallen silent and speak again, and those of them that had been dead.
        """
        in_order = (heard[1:] >= heard[:-1]).all()
        # Sorting small numbers stably is much faster, and most batches are in order already.
        small = stream_of.astype(np.uint16) if len(self._list) <= np.iinfo(np.uint16).max else stream_of
        order = np.argsort(small, kind="stable") if in_order else np.lexsort((heard, small))
        streams, times = stream_of[order], heard[order]
        starts = np.flatnonzero(np.diff(streams, prepend=-1))
        ends = np.append(starts[1:], len(streams)) - 1
        gaps = np.diff(times, append=times[-1:])
        gaps[ends] = 0
        # Only what lasts longer than a tick is told apart: most of a batch has no gap at all.
        paused = np.flatnonzero(gaps >= LEAST_GAP_MS)
        within: dict[int, list[int]] = {}
        for place, gap_ms in zip(streams[paused].tolist(), gaps[paused].tolist(), strict=True):
            within.setdefault(place, []).append(gap_ms)
        beats = np.maximum.reduceat(np.where(is_beat[order], times, NEVER), starts)
        for place, first_ms, last_ms, lag_ms, beat_ms in zip(
            streams[starts].tolist(),
            times[starts].tolist(),
            times[ends].tolist(),
            lag[order][ends].tolist(),
            beats.tolist(),
            strict=True,
        ):
            stream = self._list[place]
            stream.hear(first_ms, last_ms, gaps_ms=within.get(place, ()), lag_ms=lag_ms)
            stream.heartbeat_ms = max(stream.heartbeat_ms, beat_ms)
            self._reckon(stream)
        spoke = streams[starts]
        back, risen = spoke[self._fell_silent[spoke]], spoke[self._died[spoke]]
        self._fell_silent[spoke] = self._died[spoke] = False
        return back, risen

    def connect(self, broker: str, *, is_connected: bool) -> None:
        """Note that the connection to a broker was made or lost."""
        self._connected[broker] = is_connected
        for stream in self._list:
            if stream.broker == broker:
                stream.is_connected = is_connected
                if is_connected:
                    stream.restart()
                    # Its silence was ours: what it said meanwhile, the broker may have kept.
                    self._died[stream.place] = False
                self._reckon(stream)

    def resume(self, broker: str) -> None:
        """Note that we were away and go on where we were, in a session that the broker kept."""
        self._connected[broker] = True
        for stream in self._list:
            if stream.broker == broker:
                stream.is_connected = stream.was_away = True
                self._reckon(stream)

    def at(self, at_ms: int) -> tuple[BoolArray, BoolArray]:
        """Return which streams are sure and which are alive at a moment [ms], and remember which are not."""
        alive = at_ms <= self._alive
        self._fell_silent |= ~alive & (self._alive != NEVER)
        # Silent while we listened: whether it saw its meters meanwhile, nobody knows.
        self._died |= ~alive & (self._alive != NEVER) & self._is_connected
        sure = (at_ms <= self._sure) & self._is_connected
        self._unsure[~sure] = at_ms
        return sure, alive & self._is_connected

    @property
    def heard_ms(self) -> IntArray:
        """When each stream was last heard [ms]."""
        return self._heard

    @property
    def unsure_ms(self) -> IntArray:
        """When each stream was last not sure [ms]."""
        return self._unsure

    def _reckon(self, stream: Stream) -> None:
        """Reckon when a stream is sure, alive and dead, until it is heard again."""
        place, is_heard = stream.place, stream.heard_ms != NEVER
        self._heard[place] = stream.heard_ms
        self._sure[place] = stream.sure_until_ms(self._lateness_ms) if is_heard else NEVER
        self._alive[place] = stream.alive_until_ms if is_heard else NEVER
        # While we are away nobody is dead: what it says then, the broker may keep.
        is_heeded = is_heard and stream.is_connected and not stream.was_away
        self._dead[place] = stream.dead_after_ms if is_heeded else NEVER
        self._is_connected[place] = stream.is_connected

    def _reckon_all(self) -> None:
        self._sure, self._alive, self._dead, self._heard = (np.full(len(self._list), NEVER) for _ in range(4))
        self._is_connected = np.zeros(len(self._list), np.bool_)
        for stream in self._list:
            self._reckon(stream)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "streams": {name: asdict(stream) for name, stream in self._by_name.items()},
            "connected": dict(self._connected),
            "fell_silent": self._fell_silent.tolist(),
            "died": self._died.tolist(),
            "unsure_ms": self._unsure.tolist(),
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._connected = dict(values["connected"])
        self._by_name = {
            name: Stream(**stream | {"gap": Habit(**stream["gap"]), "lag": Habit(**stream["lag"])})
            for name, stream in values["streams"].items()
        }
        self._list = sorted(self._by_name.values(), key=lambda stream: stream.place)
        self._fell_silent = np.array(values["fell_silent"], np.bool_)
        self._died = np.array(values["died"], np.bool_)
        self._unsure = np.array(values["unsure_ms"], np.int64)
        self._reckon_all()


def _grown(column: NDArray[Any], value: int) -> NDArray[Any]:
    """Return a column with one more place."""
    return np.append(column, np.array([value], column.dtype))
