"""Streams: what one publisher sends over one connection, and whether it still lives.

A publisher proves its life by its heartbeat, and by speaking at all. Three things follow from when it last
spoke, from the strictest to the mildest:

- *sure*: it spoke within its usual pause, and what it said last was not late, so nothing that it should have
  said by now is missing; a value that it did not change is the value now;
- *talking*: it is not quiet for many times its usual pause. After a longer silence nobody knows whether it
  saw its meters meanwhile: each of its values must be heard again, whatever the broker keeps;
- *alive*: nothing is missed that it promised: its heartbeat, the repetition of a value, a period. The promise
  is a floor of patience: who keeps it is never called silent, however busy it was before.

Life is told by when something arrives. What a value is worth is told by when it was measured, and a slow
network cannot be told from a slow clock by that: what comes late is in doubt either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray
from rules.telemetry.habit import Habit
from store.journal.entries import EVERY_BROKER

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


def broker_of(name: str) -> str:
    """Return the broker that a stream comes through, by the stream's name."""
    return name.partition(":")[0]


def is_within(name: str, scope: str) -> bool:
    """Tell whether a stream, or a broker, is one of those that something happened to.

    Args:
        name: The name of the stream, or of the broker.
        scope: What it happened to: a stream, a broker with all of its streams, or `EVERY_BROKER`.
    """
    return scope in (name, broker_of(name), EVERY_BROKER)


@dataclass(slots=True)
class Stream:
    """What one publisher sends over one connection.

    Attributes:
        place: Its number.
        broker: The name of the broker that it comes through.
        heartbeat_period_ms: How often its heartbeat comes, if it has one [ms].
        repeat_ms: How long any of its values may stay without being repeated [ms].
        clock: Whose clock stamps what it publishes on change, -1 for none yet.
        patience_ms: How long the most patient of its periodic points may say nothing [ms].
        has_heartbeat: Whether it has a heartbeat.
        is_connected: Whether we are connected to its broker.
        was_away: Whether we were away since it was last heard, so that its silence says nothing.
        met_ms: When it was first heard of all [ms].
        listening_ms: Since when we have listened to it without a break [ms].
        first_ms: When it was first heard over this connection [ms].
        heard_ms: When it was last heard [ms].
        said_ms: When the newest was measured that it said [ms].
        is_late: Whether that took longer than a tick waits.
        heartbeat_ms: When its heartbeat was last heard [ms].
        gap: How long it pauses.
        season_ms: When this season began [ms].
    """

    place: int
    broker: str
    heartbeat_period_ms: int
    repeat_ms: int
    clock: int = -1
    patience_ms: int = 0
    has_heartbeat: bool = False
    is_connected: bool = True
    was_away: bool = False
    met_ms: int = NEVER
    listening_ms: int = NEVER
    first_ms: int = NEVER
    heard_ms: int = NEVER
    said_ms: int = NEVER
    is_late: bool = False
    heartbeat_ms: int = NEVER
    gap: Habit = field(default_factory=Habit)
    season_ms: int = NEVER

    def hear(
        self, first_ms: int, last_ms: int, heard_ms: int, *, gaps_ms: Iterable[int] = (), is_late: bool
    ) -> None:
        """Note that something was said between two moments.

        Args:
            first_ms: The first [ms].
            last_ms: The last [ms].
            heard_ms: When it was heard [ms].
            gaps_ms: The gaps between the two [ms].
            is_late: Whether the last took longer than a tick waits.
        """
        if self.met_ms == NEVER:
            self.met_ms = self.season_ms = first_ms
        if first_ms - self.season_ms >= SEASON_MS:
            self.gap.turn()
            self.season_ms = first_ms
        if self.said_ms == NEVER or self.was_away:
            self.first_ms = heard_ms
            self.was_away = False
        else:
            self.gap.note(first_ms - self.said_ms)
        for gap_ms in gaps_ms:
            self.gap.note(gap_ms)
        if last_ms >= self.said_ms:
            self.said_ms, self.is_late = last_ms, is_late
        self.heard_ms = max(self.heard_ms, heard_ms)

    def restart(self, at_ms: int) -> None:
        """Begin another connection: the gap before it is ours, and no habit of the publisher."""
        self.listening_ms = at_ms
        self.first_ms = self.said_ms = NEVER

    def until_ms(self) -> tuple[int, int, int]:
        """Return until when it is sure, talking and alive if it is not heard again [ms].

        After something that was late nothing is sure: what follows may be on its way for as long.
        """
        said_ms, alive_ms = self.said_ms, self._alive_until_ms()
        if said_ms == NEVER:
            return NEVER, NEVER, alive_ms
        usual_ms, heard_for_ms = self.gap.usual_ms, said_ms - self.met_ms
        talking_ms = alive_ms
        if usual_ms is not None and heard_for_ms >= LEARNING_MS:
            quiet_ms = max(usual_ms * USUAL_GAPS, LEAST_SILENCE_MS, self.patience_ms)
            talking_ms = min(said_ms + quiet_ms, alive_ms)
        if self.is_late:
            return said_ms, talking_ms, alive_ms
        if usual_ms is None or heard_for_ms < SURE_MS:
            return talking_ms, talking_ms, alive_ms
        return min(said_ms + max(usual_ms, LEAST_GAP_MS) - 1, talking_ms), talking_ms, alive_ms

    def _alive_until_ms(self) -> int:
        """Return until when it keeps what its publisher promised [ms], `NEVER` where it was never heard."""
        if self.heard_ms == NEVER:
            return NEVER
        heard_ms = max(self.heard_ms, self.listening_ms)
        if not self.has_heartbeat:
            return heard_ms + max(self.repeat_ms, self.patience_ms)
        beat_ms = max(self.heartbeat_ms, self.first_ms, self.listening_ms)
        return min(beat_ms, heard_ms) + max(self.heartbeat_period_ms * MISSED_HEARTBEATS, self.patience_ms)


class Streams:
    """Every stream; arrays have one place for each."""

    def __init__(self) -> None:
        self._by_name: dict[str, Stream] = {}
        self._list: list[Stream] = []
        self._connected: dict[str, bool] = {}
        self._sure = self._talking = self._alive = self._said = self._unsure = self._listening = np.zeros(
            0, np.int64
        )
        self._fell_silent = self._died = self._is_connected = self._is_late = np.zeros(0, np.bool_)

    def get(self, name: str, *, heartbeat_period_ms: int, repeat_ms: int) -> Stream:
        """Return a stream, which is made where it is new.

        Args:
            name: Its name: broker, publisher, and scope where it has one.
            heartbeat_period_ms: How often its heartbeat comes [ms].
            repeat_ms: How long its values may stay without being repeated [ms].
        """
        if name not in self._by_name:
            broker = broker_of(name)
            stream = Stream(
                place=len(self._list),
                broker=broker,
                heartbeat_period_ms=heartbeat_period_ms,
                repeat_ms=repeat_ms,
                is_connected=self._connected.get(name, self._connected.get(broker, True)),
            )
            self._by_name[name] = stream
            self._list.append(stream)
            for flags in _FLAGS:
                setattr(self, flags, _grown(getattr(self, flags), 0))
            for times in _TIMES:
                setattr(self, times, _grown(getattr(self, times), NEVER))
            self._reckon(stream)
        stream = self._by_name[name]
        if (stream.heartbeat_period_ms, stream.repeat_ms) != (heartbeat_period_ms, repeat_ms):
            # It was saved under a site file that gave its broker another timing.
            stream.heartbeat_period_ms, stream.repeat_ms = heartbeat_period_ms, repeat_ms
            self._reckon(stream)
        return stream

    def within(self, scope: str) -> list[int]:
        """Return the places of the streams within a scope: a stream, a broker, or `EVERY_BROKER`."""
        return [place for place, name in enumerate(self._by_name) if is_within(name, scope)]

    def set_patience(self, stream: Stream, patience_ms: int) -> None:
        """Note how long a periodic point of a stream may say nothing [ms]."""
        if patience_ms > stream.patience_ms:
            stream.patience_ms = patience_ms
            self._reckon(stream)

    def set_heartbeat(self, stream: Stream) -> None:
        """Note that a stream has a heartbeat."""
        if not stream.has_heartbeat:
            stream.has_heartbeat = True
            self._reckon(stream)

    def hear(
        self, stream_of: Index, said: IntArray, heard: IntArray, is_late: BoolArray, is_beat: BoolArray
    ) -> tuple[Index, Index]:
        """Take in when streams spoke.

        Args:
            stream_of: The stream of each reading, shape (readings,).
            said: When it was measured [ms].
            heard: When it was heard [ms].
            is_late: Whether it took longer than a tick waits.
            is_beat: Whether it is a heartbeat.

        Returns:
            The streams that had fallen silent and speak again, and those of them that we had listened to.
        """
        in_order = (said[1:] >= said[:-1]).all()
        # Sorting small numbers stably is much faster, and most batches are in order already.
        small = stream_of.astype(np.uint16) if len(self._list) <= np.iinfo(np.uint16).max else stream_of
        order = np.argsort(small, kind="stable") if in_order else np.lexsort((said, small))
        streams, times, arrived = stream_of[order], said[order], heard[order]
        ends = np.append(np.flatnonzero(streams[1:] != streams[:-1]), len(streams) - 1)
        starts = np.append(0, ends[:-1] + 1)
        gaps = times[1:] - times[:-1]
        gaps[ends[:-1]] = 0
        # Only what lasts longer than a tick is told apart: most of a batch has no gap at all.
        paused = np.flatnonzero(gaps >= LEAST_GAP_MS)
        within: dict[int, list[int]] = {}
        for place, gap_ms in zip(streams[paused].tolist(), gaps[paused].tolist(), strict=True):
            within.setdefault(place, []).append(gap_ms)
        spoke = streams[starts]
        # What arrived in time and is told to us late, as from a disk that was full, was no silence.
        was_silent = np.minimum.reduceat(arrived, starts) > self._talking[spoke]
        beats = np.full(len(starts), NEVER)
        if is_beat.any():
            beats = np.maximum.reduceat(np.where(is_beat[order], arrived, NEVER), starts)
        for place, first_ms, last_ms, heard_ms, late, beat_ms in zip(
            streams[starts].tolist(),
            times[starts].tolist(),
            times[ends].tolist(),
            np.maximum.reduceat(arrived, starts).tolist(),
            is_late[order[ends]].tolist(),
            beats.tolist(),
            strict=True,
        ):
            stream = self._list[place]
            stream.hear(first_ms, last_ms, heard_ms, gaps_ms=within.get(place, ()), is_late=late)
            stream.heartbeat_ms = max(stream.heartbeat_ms, beat_ms)
            self._reckon(stream)
        back, risen = spoke[was_silent & self._fell_silent[spoke]], spoke[was_silent & self._died[spoke]]
        self._fell_silent[spoke] = self._died[spoke] = False
        return back, risen

    def notice(self, stream_of: Index, heard: IntArray, is_beat: BoolArray) -> None:
        """Take in that streams live, though nothing that they said counts; arguments as for `hear`."""
        for place, heard_ms, beats in zip(stream_of.tolist(), heard.tolist(), is_beat.tolist(), strict=True):
            stream = self._list[place]
            stream.heard_ms = max(stream.heard_ms, heard_ms)
            if beats:
                stream.heartbeat_ms = max(stream.heartbeat_ms, heard_ms)
        for place in np.unique(stream_of).tolist():
            self._reckon(self._list[place])

    def connect(self, scope: str, *, is_connected: bool, at_ms: int = NEVER) -> None:
        """Note that a broker or a stream is connected, or since when it is not [ms]."""
        self._note_connected(scope, is_connected=is_connected)
        for place in self.within(scope):
            stream = self._list[place]
            stream.is_connected = is_connected
            if is_connected:
                stream.restart(at_ms)
            elif self._talking[place] >= at_ms:
                # Its silence was ours: what it said meanwhile, the broker may have kept.
                self._died[place] = False
            self._reckon(stream)

    def listen_anew(self, places: Iterable[int], at_ms: int) -> None:
        """Note that what streams promise counts from a moment on, or from their next word on [ms]."""
        for place in places:
            stream = self._list[place]
            stream.restart(max(stream.listening_ms, at_ms))
            self._reckon(stream)

    def resume(self, scope: str) -> None:
        """Note that we were away and go on where we were, in a session that the broker kept."""
        self._note_connected(scope, is_connected=True)
        for place in self.within(scope):
            stream = self._list[place]
            stream.is_connected = stream.was_away = True
            self._reckon(stream)

    def _note_connected(self, scope: str, *, is_connected: bool) -> None:
        rest = {name: is_so for name, is_so in self._connected.items() if not is_within(name, scope)}
        self._connected = rest | {scope: is_connected}

    def at(self, at_ms: int) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Return which streams are sure, talking and alive at a moment [ms]; remember which are not."""
        silent = (at_ms > self._talking) & (self._talking != NEVER)
        self._fell_silent |= silent
        # Silent while we listened: whether it saw its meters meanwhile, nobody knows.
        self._died |= silent & self._is_connected
        sure = (at_ms <= self._sure) & self._is_connected
        self._unsure[~sure] = at_ms
        alive = (at_ms <= self._alive) & self._is_connected
        return sure, ~silent & (self._talking != NEVER) & self._is_connected, alive

    @property
    def names(self) -> tuple[str, ...]:
        """What each stream is called."""
        return tuple(self._by_name)

    @property
    def connected(self) -> Mapping[str, bool]:
        """Whether we are connected to each broker, and stream, of which that is known."""
        return self._connected

    @property
    def is_connected(self) -> BoolArray:
        """Whether we are connected to the broker of each stream."""
        return self._is_connected

    @property
    def said_ms(self) -> IntArray:
        """When the newest was measured that each stream said [ms]."""
        return self._said

    @property
    def is_late(self) -> BoolArray:
        """Whether the newest that each stream said took longer than a tick waits."""
        return self._is_late

    @property
    def listening_ms(self) -> IntArray:
        """Since when each stream has been listened to without a break [ms]."""
        return self._listening

    @property
    def unsure_ms(self) -> IntArray:
        """When each stream was last not sure [ms]."""
        return self._unsure

    def _reckon(self, stream: Stream) -> None:
        """Reckon until when a stream is sure, talking and alive if it is not heard again."""
        place = stream.place
        self._said[place] = stream.said_ms
        self._sure[place], self._talking[place], self._alive[place] = stream.until_ms()
        self._listening[place] = stream.listening_ms
        self._is_connected[place] = stream.is_connected
        self._is_late[place] = stream.is_late

    def _reckon_all(self) -> None:
        for times in _TIMES:
            if times != "_unsure":
                setattr(self, times, np.full(len(self._list), NEVER))
        self._is_connected, self._is_late = np.zeros((2, len(self._list)), np.bool_)
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
        """Take in what `save` returned, but for patience, which follows from timings."""
        self._connected = dict(values["connected"])
        self._by_name = {
            name: Stream(**stream | {"gap": Habit(**stream["gap"]), "patience_ms": 0})
            for name, stream in values["streams"].items()
        }
        self._list = sorted(self._by_name.values(), key=lambda stream: stream.place)
        self._fell_silent = np.array(values["fell_silent"], np.bool_)
        self._died = np.array(values["died"], np.bool_)
        self._unsure = np.array(values["unsure_ms"], np.int64)
        self._reckon_all()


_FLAGS: Final = ("_fell_silent", "_died", "_is_connected", "_is_late")
_TIMES: Final = ("_sure", "_talking", "_alive", "_said", "_unsure", "_listening")


def _grown(column: NDArray[Any], value: int) -> NDArray[Any]:
    """Return a column with one more place."""
    return np.append(column, np.array([value], column.dtype))
