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

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray
from rules.columns import Columns
from rules.telemetry.habit import Habits
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


class _StreamColumns(Columns):
    """What was heard of every stream; arrays of shape (streams,).

    Attributes:
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
        season_ms: When this season of its gaps began [ms].
    """

    heartbeat_period_ms: IntArray
    repeat_ms: IntArray
    clock: IntArray
    patience_ms: IntArray
    has_heartbeat: BoolArray
    is_connected: BoolArray
    was_away: BoolArray
    met_ms: IntArray
    listening_ms: IntArray
    first_ms: IntArray
    heard_ms: IntArray
    said_ms: IntArray
    is_late: BoolArray
    heartbeat_ms: IntArray
    season_ms: IntArray

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "heartbeat_period_ms": (np.int64, 0),
        "repeat_ms": (np.int64, 0),
        "clock": (np.int64, -1),
        "patience_ms": (np.int64, 0),
        "has_heartbeat": (np.bool_, False),
        "is_connected": (np.bool_, True),
        "was_away": (np.bool_, False),
        "met_ms": (np.int64, NEVER),
        "listening_ms": (np.int64, NEVER),
        "first_ms": (np.int64, NEVER),
        "heard_ms": (np.int64, NEVER),
        "said_ms": (np.int64, NEVER),
        "is_late": (np.bool_, False),
        "heartbeat_ms": (np.int64, NEVER),
        "season_ms": (np.int64, NEVER),
    }


class _Terms(Columns):
    """What follows from what was heard, and what it was at the last moments; arrays of shape (streams,).

    Attributes:
        sure_ms: Until when a stream is sure if it is not heard again [ms].
        talking_ms: Until when it is talking [ms].
        alive_ms: Until when it is alive [ms].
        unsure_ms: When it was last not sure [ms].
        fell_silent: Whether it was not talking since it was last heard.
        died: Whether that was while we listened.
    """

    sure_ms: IntArray
    talking_ms: IntArray
    alive_ms: IntArray
    unsure_ms: IntArray
    fell_silent: BoolArray
    died: BoolArray

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "sure_ms": (np.int64, NEVER),
        "talking_ms": (np.int64, NEVER),
        "alive_ms": (np.int64, NEVER),
        "unsure_ms": (np.int64, NEVER),
        "fell_silent": (np.bool_, False),
        "died": (np.bool_, False),
    }


class Streams:
    """Every stream; arrays have one place for each."""

    def __init__(self) -> None:
        self._place_of: dict[str, int] = {}
        self._connected: dict[str, bool] = {}
        self._columns = _StreamColumns()
        self._terms = _Terms()
        self._gaps = Habits()

    def get(self, name: str, *, heartbeat_period_ms: int, repeat_ms: int) -> int:
        """Return the place of a stream, which is made where it is new.

        Args:
            name: Its name: broker, publisher, and scope where it has one.
            heartbeat_period_ms: How often its heartbeat comes [ms].
            repeat_ms: How long its values may stay without being repeated [ms].
        """
        place, columns = self._place_of.get(name), self._columns
        if place is None:
            place = self._place_of[name] = len(columns)
            for of_streams in (columns, self._terms, self._gaps):
                of_streams.extend(1)
            is_connected = self._connected.get(name, self._connected.get(broker_of(name), True))
            columns.is_connected[place] = is_connected
        timing = heartbeat_period_ms, repeat_ms
        # A stream may have been saved under a site file that gave its broker another timing.
        if (columns.heartbeat_period_ms[place], columns.repeat_ms[place]) != timing:
            columns.heartbeat_period_ms[place], columns.repeat_ms[place] = timing
            self._reckon_one(place)
        return place

    def within(self, scope: str) -> Index:
        """Return the places of the streams within a scope: a stream, a broker, or `EVERY_BROKER`."""
        return np.array([place for name, place in self._place_of.items() if is_within(name, scope)], np.intp)

    def set_patience(self, place: int, patience_ms: int) -> None:
        """Note how long a periodic point of a stream may say nothing [ms]."""
        if patience_ms > self._columns.patience_ms[place]:
            self._columns.patience_ms[place] = patience_ms
            self._reckon_one(place)

    def set_heartbeat(self, place: int) -> None:
        """Note that a stream has a heartbeat."""
        if not self._columns.has_heartbeat[place]:
            self._columns.has_heartbeat[place] = True
            self._reckon_one(place)

    def clock_of(self, place: int) -> int:
        """Return whose clock stamps what a stream publishes on change, -1 for none yet."""
        return int(self._columns.clock[place])

    def set_clock(self, place: int, clock: int) -> None:
        """Note whose clock stamps what a stream publishes on change."""
        self._columns.clock[place] = clock

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
        small = stream_of.astype(np.uint16) if len(self._columns) <= np.iinfo(np.uint16).max else stream_of
        order = np.argsort(small, kind="stable") if in_order else np.lexsort((said, small))
        streams, times, arrived = stream_of[order], said[order], heard[order]
        ends = np.append(np.flatnonzero(streams[1:] != streams[:-1]), len(streams) - 1)
        starts = np.append(0, ends[:-1] + 1)
        gaps = times[1:] - times[:-1]
        gaps[ends[:-1]] = 0
        # Only what lasts longer than a tick is told apart: most of a batch has no gap at all.
        paused = np.flatnonzero(gaps >= LEAST_GAP_MS)
        spoke = streams[starts]
        columns, terms = self._columns, self._terms
        # What arrived in time and is told to us late, as from a disk that was full, was no silence.
        was_silent = np.minimum.reduceat(arrived, starts) > terms.talking_ms[spoke]
        if is_beat.any():
            beats = np.maximum.reduceat(np.where(is_beat[order], arrived, NEVER), starts)
            columns.heartbeat_ms[spoke] = np.maximum(columns.heartbeat_ms[spoke], beats)
        self._note_gaps(spoke, times[starts])
        if len(paused):
            self._gaps.note_all(streams[paused], gaps[paused])
        latest = np.maximum.reduceat(arrived, starts)
        begins = (columns.said_ms[spoke] == NEVER) | columns.was_away[spoke]
        if begins.any():
            began = spoke[begins]
            columns.first_ms[began], columns.was_away[began] = latest[begins], False
        newest = times[ends]
        is_newest = newest >= columns.said_ms[spoke]
        newer = spoke[is_newest]
        columns.said_ms[newer], columns.is_late[newer] = newest[is_newest], is_late[order[ends]][is_newest]
        columns.heard_ms[spoke] = np.maximum(columns.heard_ms[spoke], latest)
        self._reckon(spoke)
        back, risen = spoke[was_silent & terms.fell_silent[spoke]], spoke[was_silent & terms.died[spoke]]
        terms.fell_silent[spoke] = terms.died[spoke] = False
        return back, risen

    def _note_gaps(self, spoke: Index, first_ms: IntArray) -> None:
        """Note how long streams paused before they spoke, each of them once.

        Args:
            spoke: Their places.
            first_ms: When each said the first of what it says now [ms].
        """
        columns = self._columns
        is_met = columns.met_ms[spoke] != NEVER
        if not is_met.all():
            met = spoke[~is_met]
            columns.met_ms[met] = columns.season_ms[met] = first_ms[~is_met]
        turns = first_ms - columns.season_ms[spoke] >= SEASON_MS
        if turns.any():
            self._gaps.turn(spoke[turns])
            columns.season_ms[spoke[turns]] = first_ms[turns]
        # The gap before a connection is ours, as in `_restart`.
        goes_on = (columns.said_ms[spoke] != NEVER) & ~columns.was_away[spoke]
        if not goes_on.all():
            spoke, first_ms = spoke[goes_on], first_ms[goes_on]
        self._gaps.note(spoke, first_ms - columns.said_ms[spoke])

    def notice(self, stream_of: Index, heard: IntArray, is_beat: BoolArray) -> None:
        """Take in that streams live, though nothing that they said counts; arguments as for `hear`."""
        np.maximum.at(self._columns.heard_ms, stream_of, heard)
        np.maximum.at(self._columns.heartbeat_ms, stream_of[is_beat], heard[is_beat])
        self._reckon(np.unique(stream_of))

    def connect(self, scope: str, *, is_connected: bool, at_ms: int = NEVER) -> None:
        """Note that a broker or a stream is connected, or since when it is not [ms]."""
        self._note_connected(scope, is_connected=is_connected)
        places = self.within(scope)
        self._columns.is_connected[places] = is_connected
        if is_connected:
            self._restart(places, at_ms)
        else:
            # Their silence was ours: what they said meanwhile, the broker may have kept.
            self._terms.died[places[self._terms.talking_ms[places] >= at_ms]] = False

    def listen_anew(self, places: Index, at_ms: int) -> None:
        """Note that what streams promise counts from a moment on, or from their next word on [ms]."""
        self._restart(places, np.maximum(self._columns.listening_ms[places], at_ms))

    def _restart(self, places: Index, listening_ms: IntArray | int) -> None:
        """Begin another connection: the gap before it is ours, and no habit of the publisher.

        Args:
            places: Of which streams.
            listening_ms: Since when each is listened to [ms].
        """
        columns = self._columns
        columns.listening_ms[places] = listening_ms
        columns.first_ms[places] = columns.said_ms[places] = NEVER
        self._reckon(places)

    def resume(self, scope: str) -> None:
        """Note that we were away and go on where we were, in a session that the broker kept."""
        self._note_connected(scope, is_connected=True)
        places = self.within(scope)
        self._columns.is_connected[places] = self._columns.was_away[places] = True

    def _note_connected(self, scope: str, *, is_connected: bool) -> None:
        rest = {name: is_so for name, is_so in self._connected.items() if not is_within(name, scope)}
        self._connected = rest | {scope: is_connected}

    def at(self, at_ms: int) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Return which streams are sure, talking and alive at a moment [ms]; remember which are not."""
        terms, is_connected = self._terms, self._columns.is_connected
        has_spoken = terms.talking_ms != NEVER
        silent = (at_ms > terms.talking_ms) & has_spoken
        terms.fell_silent |= silent
        # Silent while we listened: whether it saw its meters meanwhile, nobody knows.
        terms.died |= silent & is_connected
        sure = (at_ms <= terms.sure_ms) & is_connected
        terms.unsure_ms[~sure] = at_ms
        alive = (at_ms <= terms.alive_ms) & is_connected
        return sure, ~silent & has_spoken & is_connected, alive

    def last_word_ms(self) -> IntArray:
        """Return from when on the silence of each stream counts [ms], `NEVER` where it was never heard."""
        columns = self._columns
        since_ms = np.maximum(columns.heard_ms, columns.listening_ms)
        return np.where(columns.heard_ms == NEVER, NEVER, since_ms)

    def speak(self, at_ms: int) -> BoolArray:
        """Return which streams are connected, and silent for no longer at a moment [ms] than they pause.

        That is told by their habit from its first gaps on, and not by what they promised, which may be much
        longer.
        """
        columns = self._columns
        usual_ms, _ = self._gaps.usual_ms(np.arange(len(columns)))
        pause_ms = np.maximum(np.maximum(usual_ms * USUAL_GAPS, LEAST_SILENCE_MS), columns.patience_ms)
        return columns.is_connected & (at_ms - self.last_word_ms() <= pause_ms)

    def keep_promises(self, at_ms: int) -> BoolArray:
        """Return which streams are connected, and miss nothing that they promised at a moment [ms]."""
        return self._columns.is_connected & (at_ms <= self._terms.alive_ms)

    @property
    def names(self) -> tuple[str, ...]:
        """What each stream is called."""
        return tuple(self._place_of)

    @property
    def connected(self) -> Mapping[str, bool]:
        """Whether we are connected to each broker, and stream, of which that is known."""
        return self._connected

    @property
    def is_connected(self) -> BoolArray:
        """Whether we are connected to the broker of each stream."""
        return self._columns.is_connected

    @property
    def said_ms(self) -> IntArray:
        """When the newest was measured that each stream said [ms]."""
        return self._columns.said_ms

    @property
    def is_late(self) -> BoolArray:
        """Whether the newest that each stream said took longer than a tick waits."""
        return self._columns.is_late

    @property
    def listening_ms(self) -> IntArray:
        """Since when each stream has been listened to without a break [ms]."""
        return self._columns.listening_ms

    @property
    def unsure_ms(self) -> IntArray:
        """When each stream was last not sure [ms]."""
        return self._terms.unsure_ms

    def _reckon_one(self, place: int) -> None:
        self._reckon(np.array([place], np.intp))

    def _reckon(self, places: Index) -> None:
        """Reckon until when streams are sure, talking and alive if they are not heard again.

        After something that was late nothing is sure: what follows may be on its way for as long.
        """
        columns, terms = self._columns, self._terms
        said_ms, patience_ms = columns.said_ms[places], columns.patience_ms[places]
        terms.alive_ms[places] = alive_ms = self._alive_until_ms(places, patience_ms)
        usual_ms, is_usual = self._gaps.usual_ms(places)
        heard_for_ms = said_ms - columns.met_ms[places]
        quiet_ms = np.maximum(np.maximum(usual_ms * USUAL_GAPS, LEAST_SILENCE_MS), patience_ms)
        talking_ms = np.where(
            is_usual & (heard_for_ms >= LEARNING_MS), np.minimum(said_ms + quiet_ms, alive_ms), alive_ms
        )
        sure_ms = np.minimum(said_ms + np.maximum(usual_ms, LEAST_GAP_MS) - 1, talking_ms)
        sure_ms = np.where(is_usual & (heard_for_ms >= SURE_MS), sure_ms, talking_ms)
        sure_ms = np.where(columns.is_late[places], said_ms, sure_ms)
        is_never = said_ms == NEVER
        if is_never.any():
            talking_ms[is_never] = sure_ms[is_never] = NEVER
        terms.talking_ms[places], terms.sure_ms[places] = talking_ms, sure_ms

    def _alive_until_ms(self, places: Index, patience_ms: IntArray) -> IntArray:
        """Return until when streams keep what their publishers promised [ms], `NEVER` where never heard.

        Args:
            places: Their places.
            patience_ms: How long the most patient of their periodic points may say nothing [ms].
        """
        columns = self._columns
        heard_ms, listening_ms = columns.heard_ms[places], columns.listening_ms[places]
        since_ms, promised_ms = np.maximum(heard_ms, listening_ms), columns.repeat_ms[places]
        has_heartbeat = columns.has_heartbeat[places]
        if has_heartbeat.any():
            beat_ms = np.maximum(columns.heartbeat_ms[places], columns.first_ms[places])
            beat_ms = np.minimum(np.maximum(beat_ms, listening_ms), since_ms)
            since_ms = np.where(has_heartbeat, beat_ms, since_ms)
            beats_ms = columns.heartbeat_period_ms[places] * MISSED_HEARTBEATS
            promised_ms = np.where(has_heartbeat, beats_ms, promised_ms)
        alive_ms: IntArray = since_ms + np.maximum(promised_ms, patience_ms)
        alive_ms[heard_ms == NEVER] = NEVER
        return alive_ms

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        columns = {name: column.tolist() for name, column in self._columns.save().items()}
        gaps = self._gaps.save()
        return {
            "streams": {
                name: {"place": place, "broker": broker_of(name), "gap": gaps[place]}
                | {column: values[place] for column, values in columns.items()}
                for name, place in self._place_of.items()
            },
            "connected": dict(self._connected),
            "fell_silent": self._terms.fell_silent.tolist(),
            "died": self._terms.died.tolist(),
            "unsure_ms": self._terms.unsure_ms.tolist(),
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take in what `save` returned, but for patience, which follows from timings."""
        self._connected = dict(values["connected"])
        streams = dict(sorted(values["streams"].items(), key=lambda item: item[1]["place"]))
        self._place_of = {name: place for place, name in enumerate(streams)}
        self._columns, self._terms = _StreamColumns(len(streams)), _Terms(len(streams))
        for column in _StreamColumns.FILL.keys() - {"patience_ms"}:
            for place, stream in enumerate(streams.values()):
                # What an older version did not have is not known.
                if column in stream:
                    getattr(self._columns, column)[place] = stream[column]
        self._gaps = Habits.load([stream["gap"] for stream in streams.values()])
        for column in ("fell_silent", "died", "unsure_ms"):
            getattr(self._terms, column)[:] = values[column]
        self._reckon(np.arange(len(streams)))
