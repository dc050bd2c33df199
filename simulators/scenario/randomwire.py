"""What a random day sounds like: its racks on the wire, with everything that goes wrong there.

Each row of racks has a gateway. Whatever goes wrong is honest: a listener can know that it does not know,
sooner or later. What is a lie on the wire (a meter that is off, a frozen value) no listener can find out from
the power alone; such faults are in the scenarios.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.rackdoc import PREFIX
from simulators.scenario.randomday import RATING_KW, ROWS, RandomDay
from simulators.truth.sight import Course
from simulators.wire.bus import Publication, Tag, heartbeat_tag, metadata_message, rack_tag, value_message

BEAT_S: Final = 10
REPEAT_S: Final = 100
PERIOD_S: Final = 5
"""How often a row's documents come; the site file of a random day says so."""

MISSED_S: Final = 3 * BEAT_S + BEAT_S
"""By when the silence of a gateway is known: three heartbeats after the last, which is up to one old [s]."""
LATE_S: Final = 2 * PERIOD_S
"""By when that of a row of documents is known: each stands for a period and its jitter [s]."""


class Said(IntEnum):
    """What comes in place of a value."""

    TRUTH = 0
    DOUBTED = 1  # the source itself does not trust it
    NOTHING = 2  # null
    TEXT = 3  # the number in quotation marks
    WATTS = 4  # in W where kW is said
    NEGATIVE = 5  # the current transformer is the wrong way round
    WILD = 6  # more than the rack's rating allows


_TRUTH: Final = int(Said.TRUTH)
_DOUBTED: Final = int(Said.DOUBTED)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it arrives.

    Attributes:
        at_ms: When [ms].
        message: What.
    """

    at_ms: int
    message: Publication


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Faults:
    """What goes wrong, second by second.

    Attributes:
        is_silent: Whether a row's gateway says nothing, shape (T, rows).
        said: What comes in place of each rack's value, shape (T, R).
        offset_ms: How far each gateway's clock is off, shape (rows,) [ms].
        transit_ms: How long each gateway's messages take, shape (rows,) [ms].
        phase_ms: When in a second each gateway speaks, shape (rows,) [ms].
        repeated: Share of the messages that come twice.
    """

    is_silent: NDArray[np.bool_]
    said: NDArray[np.int8]
    offset_ms: NDArray[np.int64]
    transit_ms: NDArray[np.int64]
    phase_ms: NDArray[np.int64]
    repeated: float


class RandomWire:
    """A random day as it is heard.

    Args:
        day: The day.
        wire: `dsx` or `rack-documents`.

    Attributes:
        course: What every rack drew and said.
        lag_s: How long news takes at most [s].
    """

    def __init__(self, day: RandomDay, wire: str = "dsx") -> None:
        self._day = day
        self._is_dsx = wire == "dsx"
        self._random = np.random.default_rng((day.seed, 1))
        self._faults = self._make_faults()
        self._published = self._publications()
        self._tags = [
            rack_tag(rack, "RackPower", f"day/row{row}/{rack}/power", "kW")
            for rack, row in zip(day.racks, day.row.tolist(), strict=True)
        ]
        self._edges = np.searchsorted(day.row, np.arange(ROWS + 1))  # racks stand in the order of rows
        self._spoken_at = -1
        self._spoken_by_row: list[list[tuple[int, float, int]]] = []
        self._beats = [
            heartbeat_tag(f"GW-{row}", f"day/row{row}/beat", f"day/row{row}") for row in range(ROWS)
        ]
        # Something of a row moves every second, as on any real bus: its silence is then soon noticed.
        self._flows = [
            rack_tag(
                day.racks[int(np.flatnonzero(day.row == row)[0])],
                "RackLiquidFlow",
                f"day/row{row}/flow",
                "LPM",
            )
            for row in range(ROWS)
        ]
        # A second until it has arrived, one until a tick comes, one for the border of a second; and a period.
        self.lag_s = 3 if self._is_dsx else 3 + PERIOD_S
        self.course = self._course()

    def opening(self) -> list[Sent]:
        """Return what the broker kept: the metadata of every point."""
        at_ms = self._day.begin_ms - 2_000
        spoken = [*self._beats, *self._tags, *self._flows] if self._is_dsx else []
        return [Sent(at_ms, metadata_message(tag)) for tag in spoken]

    def seconds(self) -> Iterator[list[Sent]]:
        """Yield what arrives of each second, in order of arrival."""
        say = self._values if self._is_dsx else self._documents
        for second in range(self._day.seconds):
            found = [sent for row in range(ROWS) for sent in self._row(second, row, say)]
            twice = self._random.random(len(found)) < self._faults.repeated
            found += [
                Sent(sent.at_ms + 5, sent.message)
                for sent, is_twice in zip(found, twice, strict=True)
                if is_twice
            ]
            yield sorted(found, key=lambda sent: sent.at_ms)

    # What goes wrong --------------------------------------------------------------------

    def _make_faults(self) -> _Faults:
        random, seconds = self._random, self._day.seconds
        silent = np.zeros((seconds, ROWS), np.bool_)
        said = np.zeros((seconds, len(self._day.racks)), np.int8)
        for _ in range(int(random.integers(0, 4))):
            start = int(random.integers(1, seconds))
            silent[start : start + int(random.integers(3, 180)), random.integers(0, ROWS)] = True
        wrong = [Said.NOTHING, Said.TEXT, Said.WATTS, Said.NEGATIVE, Said.WILD]
        for _ in range(int(random.integers(0, 5))):
            start, first = int(random.integers(1, seconds)), int(random.integers(0, len(self._day.racks)))
            racks = slice(first, first + int(random.choice([1, 2, 10])))
            kinds = [*wrong, Said.DOUBTED] if self._is_dsx else wrong
            said[start : start + int(random.integers(1, 120)), racks] = random.choice(kinds)
        phases = random.integers(0, 400, ROWS)
        offsets = np.where(random.random(ROWS) < 0.3, random.integers(-20_000, 20_000, ROWS), 0)  # noqa: PLR2004 - a few clocks are off
        return _Faults(
            is_silent=silent,
            said=said,
            offset_ms=offsets,
            # What is said of a second arrives at once, so that it is appended at once: a day is then cheaper.
            transit_ms=int(random.integers(400, 900)) - phases,
            phase_ms=phases,
            repeated=float(random.choice([0.0, 0.02])),
        )

    def _publications(self) -> NDArray[np.bool_]:
        """Return when each rack's value is published, shape (T, R)."""
        seconds, racks = self._day.drawn.shape
        silent = self._faults.is_silent[:, self._day.row]
        if not self._is_dsx:
            due: NDArray[np.bool_] = (np.arange(seconds)[:, None] + self._day.row[None, :]) % PERIOD_S == 0
            return due & ~silent
        published = np.zeros((seconds, racks), np.bool_)
        value, kind = np.full(racks, -1, np.int64), np.full(racks, -1, np.int8)
        since = np.zeros(racks, np.int64)
        for second in range(seconds):
            drawn, said = self._day.drawn[second], self._faults.said[second]
            speaks = (drawn != value) | (said != kind) | (second - since >= REPEAT_S)
            speaks &= ~silent[second]
            published[second] = speaks
            value, kind = np.where(speaks, drawn, value), np.where(speaks, said, kind)
            since = np.where(speaks, second, since)
        return published

    # What can be known ------------------------------------------------------------------

    def _course(self) -> Course:
        day, faults = self._day, self._faults
        second = np.arange(day.seconds)[:, None]
        silent = faults.is_silent[:, day.row]
        spoke = self._published & (faults.said == Said.TRUTH)
        last = np.maximum.accumulate(np.where(spoke, second, -1), axis=0)
        believed = np.where(last >= 0, np.take_along_axis(day.drawn, np.maximum(last, 0), axis=0), 0)
        heard = np.maximum.accumulate(np.where(self._published, second, -1), axis=0)
        since = np.maximum.accumulate(np.where(silent, 0, second), axis=0)
        known_by = MISSED_S if self._is_dsx else LATE_S
        # What was said last is no truth, or nothing was said since the gateway fell silent.
        wrong = (heard >= 0) & (last < heard)
        dark = silent | wrong | (heard < 0) | self._unheard(second, silent, heard)
        hidden = (silent & (second - since <= known_by)) & ~wrong
        return Course(
            begin_ms=day.begin_ms,
            drawn=day.drawn,
            believed=believed,
            is_dark=dark,
            is_hidden=hidden,
            holder=day.holder,
            cap=np.full(len(day.racks), 10 * round(RATING_KW * 1e6), np.int64),
        )

    def _unheard(
        self, second: NDArray[np.int64], silent: NDArray[np.bool_], heard: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return where a gateway speaks again and has not yet said anything of a rack."""
        fell = np.maximum.accumulate(np.where(silent, second, -1), axis=0)
        return (fell >= 0) & (heard < fell)

    # What is said -----------------------------------------------------------------------

    def _row(
        self, second: int, row: int, say: Callable[[int, int, int], Iterator[Publication]]
    ) -> Iterator[Sent]:
        faults = self._faults
        if faults.is_silent[second, row]:
            return
        at_ms = self._day.begin_ms + second * 1_000 + int(faults.phase_ms[row])
        stamp_ms = at_ms + int(faults.offset_ms[row])
        arrives_ms = at_ms + int(faults.transit_ms[row])
        for message in say(second, row, stamp_ms):
            yield Sent(arrives_ms, message)

    def _spoken(self, second: int, row: int) -> Iterable[tuple[int, float, int]]:
        """Return of whom a row speaks: the rack, what it draws [kW], and what becomes of it."""
        if second != self._spoken_at:
            racks = np.flatnonzero(self._published[second])
            kilowatts, said = self._day.drawn[second, racks] / 1e6, self._faults.said[second, racks]
            found = list(zip(racks.tolist(), kilowatts.tolist(), said.tolist(), strict=True))
            cuts = np.searchsorted(racks, self._edges).tolist()
            self._spoken_by_row = [found[first:last] for first, last in pairwise(cuts)]
            self._spoken_at = second
        return self._spoken_by_row[row]

    def _values(self, second: int, row: int, stamp_ms: int) -> Iterator[Publication]:
        for rack, kilowatts, kind in self._spoken(second, row):
            yield _value(self._tags[rack], kilowatts, kind, stamp_ms)
        yield value_message(self._flows[row], 170 + second % 7 / 10, stamp_ms)
        # A gateway that comes back says first of all that it lives.
        begins = second == 0 or bool(self._faults.is_silent[second - 1, row])
        if begins or (second + row) % BEAT_S == 0:
            yield value_message(self._beats[row], float(stamp_ms), stamp_ms)

    def _documents(self, second: int, row: int, stamp_ms: int) -> Iterator[Publication]:
        documents = [
            {
                "rack": self._day.racks[rack],
                "time": stamp_ms,
                "power_kw": _figure(kilowatts, kind),
            }
            for rack, kilowatts, kind in self._spoken(second, row)
        ]
        if documents:
            yield Publication(f"{PREFIX}day/row{row}", json.dumps(documents).encode())


def _figure(kilowatts: float, kind: int) -> float | str | None:
    if kind == _TRUTH:
        return kilowatts
    match Said(kind):
        case Said.NOTHING:
            return None
        case Said.TEXT:
            return str(kilowatts)
        case Said.WATTS:
            return kilowatts * 1_000
        case Said.NEGATIVE:
            return -kilowatts - 10
        case Said.WILD:
            return kilowatts + 3 * RATING_KW
        case _:
            return kilowatts


def _value(tag: Tag, kilowatts: float, kind: int, stamp_ms: int) -> Publication:
    figure = _figure(kilowatts, kind)
    if isinstance(figure, str):
        body = f'{{"value":"{figure}","timestamp":{stamp_ms},"quality":1}}'
        return Publication(tag.value_topic, body.encode())
    return value_message(tag, figure, stamp_ms, 0 if kind == _DOUBTED else 1)
