"""What a random day sounds like: its racks on the wire, with everything that goes wrong there.

Each row of racks has a gateway, and some rows a meter above them. Whatever goes wrong is honest: a listener
can know that it does not know, sooner or later. A lie that nothing contradicts (a frozen value, a meter that
is off where no other sees the same) no listener can find out; such faults are in the scenarios.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from formats.dsx import metadata_topic
from formats.rackdoc import PREFIX
from simulators.wire.bus import Publication, Tag, heartbeat_tag, meter_tag
from testing.randomdays.course import BEAT_S, course_of
from testing.randomdays.day import PERIOD_S, RATING_KW, ROWS, STEP_MILLIWATTS, RandomDay
from testing.randomdays.fault import Said, faults_of, metered_rows
from testing.randomdays.trouble import OF_METADATA, Trouble, TroubleKind, period_of
from testing.simulators.messages import metadata_message, rack_tag, value_message

REPEAT_S: Final = 100


METER_OFF: Final = (-0.005, 0.012)
"""How far an honest meter may be off the sum beneath it: its error, and what is lost on the way."""
FOREIGNER: Final = "EVIL"
"""A publisher that the site knows nothing of."""
FOREIGN_EVERY_S: Final = 3
"""How often it speaks [s]."""


_TRUTH: Final = int(Said.TRUTH)
_DOUBTED: Final = int(Said.DOUBTED)
_AHEAD_MS: Final = {int(Said.AHEAD): 24_357, int(Said.FAR_AHEAD): 3_600_000}
"""How far a stamp is ahead [ms]."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it arrives.

    Attributes:
        at_ms: When [ms].
        message: Topic, payload and how it is published.
    """

    at_ms: int
    message: Publication


class RandomWire:
    """A random day as it is heard.

    Args:
        day: Racks, draws and contracts of the day.
        wire: `dsx` or `rack-documents`.
        troubles: What goes wrong beyond silence and wrong values.

    Attributes:
        course: What every rack drew and said.
        lag_s: How long news takes at most [s].
        apart_s: How far apart the news of one moment comes at most [s].
    """

    def __init__(self, day: RandomDay, wire: str = "dsx", troubles: Sequence[Trouble] = ()) -> None:
        self._day = day
        self._is_dsx = wire == "dsx"
        self._troubles = tuple(troubles)
        self._foreign = [list(self._foreign_tags(trouble)) for trouble in self._troubles]
        self._random = np.random.default_rng((day.seed, 5))
        self._chance = np.random.default_rng((day.seed, 4))
        self._metered = metered_rows(day, self._troubles) if self._is_dsx else ()
        self._faults = faults_of(day, self._troubles, self._metered, is_dsx=self._is_dsx)
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
        self._meters = {row: self._meter(row) for row in self._metered}
        self._meter_beat = heartbeat_tag("GW-M", "day/meters/beat", "day/meters")
        self._tag_of = list(self._tags)
        self._others: dict[int, tuple[Tag, float]] = {}
        # A second until it has arrived, one until a tick comes, one for the border of a second; and a period.
        self.lag_s = 3 if self._is_dsx else 3 + period_of(troubles)
        self.apart_s = 1 if self._is_dsx else self.lag_s
        self.course = course_of(day, self._faults, self._published, self._troubles, is_dsx=self._is_dsx)

    def opening(self) -> list[Sent]:
        """Return what the broker kept: the metadata of every point."""
        at_ms = self._day.begin_ms - 2_000
        spoken = [*self._beats, *self._tags, *self._flows] if self._is_dsx else []
        if self._meters:
            spoken += [self._meter_beat, *self._meters.values()]
        return [Sent(at_ms, metadata_message(tag)) for tag in spoken]

    def seconds(self) -> Iterator[list[Sent]]:
        """Yield what arrives of each second, in order of arrival."""
        say = self._values if self._is_dsx else self._documents
        coming: list[Sent] = []
        for second in range(self._day.seconds):
            found = [*self._of_troubles(second), *self._of_meters(second)] if self._is_dsx else []
            found += [sent for row in range(ROWS) for sent in self._row(second, row, say)]
            twice = self._random.random(len(found)) < self._faults.repeated
            found += [
                Sent(sent.at_ms + 5, sent.message)
                for sent, is_twice in zip(found, twice, strict=True)
                if is_twice
            ]
            coming = sorted([*coming, *found], key=lambda sent: sent.at_ms)
            end_ms = self._day.begin_ms + (second + 1) * 1_000
            place = bisect_left(coming, end_ms, key=lambda sent: sent.at_ms)
            yield coming[:place]
            coming = coming[place:]

    def _publications(self) -> NDArray[np.bool_]:
        """Return when each rack's value is published, shape (T, R)."""
        seconds, racks = self._day.drawn.shape
        silent = self._faults.is_silent[:, self._day.row]
        times, polled = np.arange(seconds)[:, None], self._faults.polled_s[self._day.row]
        is_round = (polled == 0) | (times % np.maximum(polled, 1) == 0)
        if not self._is_dsx:
            each = np.where(polled > 0, polled, PERIOD_S)
            due: NDArray[np.bool_] = (times + np.where(polled > 0, 0, self._day.row)) % each == 0
            return due & ~silent
        published = np.zeros((seconds, racks), np.bool_)
        value, kind = np.full(racks, -1, np.int64), np.full(racks, -1, np.int8)
        since = np.zeros(racks, np.int64)
        for second in range(seconds):
            drawn, said = self._day.drawn[second], self._faults.said[second]
            speaks = (drawn != value) | (said != kind) | (second - since >= REPEAT_S)
            speaks &= ~silent[second] & is_round[second]
            published[second] = speaks
            value, kind = np.where(speaks, drawn, value), np.where(speaks, said, kind)
            since = np.where(speaks, second, since)
        return published

    # What is said -----------------------------------------------------------------------

    def _row(
        self, second: int, row: int, say: Callable[[int, int, int], Iterator[Publication]]
    ) -> Iterator[Sent]:
        faults = self._faults
        if faults.is_silent[second, row]:
            return
        at_ms = self._day.begin_ms + second * 1_000 + int(faults.phase_ms[row])
        stamp_ms = at_ms + int(faults.offset_ms[row] + faults.zone_ms[second, row])
        arrives_ms = at_ms + int(faults.transit_ms[row])
        if faults.late_s[row]:
            arrives_ms += round(float(faults.late_s[row]) * self._chance.uniform(700, 1_000))
        for message in say(second, row, stamp_ms):
            yield Sent(arrives_ms, message)

    def _spoken(self, second: int, row: int) -> Iterable[tuple[int, float, int]]:
        """Return what a row speaks of: the rack, what it draws [kW], and what becomes of it."""
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
            at_ms = stamp_ms + _AHEAD_MS.get(kind, 0)
            other = self._others.get(rack)
            # Which of two points of a rack says the truth cannot be told.
            lies = other is not None and rack % 2 == 0
            for figure in self._figures(rack, kilowatts, kind):
                yield _value(self._tag_of[rack], figure * other[1] if other and lies else figure, kind, at_ms)
            if other is not None:
                yield value_message(other[0], kilowatts if lies else kilowatts * other[1], stamp_ms)
        polled_s = int(self._faults.polled_s[row])
        if not polled_s or second % polled_s == 0:
            yield value_message(self._flows[row], 170 + second % 7 / 10, stamp_ms)
        # A gateway that comes back says first of all that it lives.
        begins = second == 0 or bool(self._faults.is_silent[second - 1, row])
        if begins or (second + row) % BEAT_S == 0:
            yield value_message(self._beats[row], float(stamp_ms), stamp_ms)

    def _documents(self, second: int, row: int, stamp_ms: int) -> Iterator[Publication]:
        documents = [
            {
                "rack": self._day.racks[rack],
                "time": stamp_ms + _AHEAD_MS.get(kind, 0),
                "power_kw": _figure(figure, kind),
            }
            for rack, kilowatts, kind in self._spoken(second, row)
            for figure in self._figures(rack, kilowatts, kind)
        ]
        if documents:
            yield Publication(f"{PREFIX}day/row{row}", json.dumps(documents).encode())

    def _figures(self, rack: int, kilowatts: float, kind: int) -> tuple[float, ...]:
        """Return what is said at a moment: one figure, or two where a rack contradicts itself."""
        if kind != Said.SAME_TIME:
            return (kilowatts,)
        share = next(
            t.amount for t in self._troubles if t.kind is TroubleKind.SAME_TIME and rack in t.racks.tolist()
        )
        other = round(min(kilowatts * share, RATING_KW), 2)
        return (kilowatts, other) if rack % 2 else (other, kilowatts)

    # What only a bus can say ------------------------------------------------------------

    def _meter(self, row: int) -> Tag:
        """Return the meter above a row."""
        racks = [self._day.racks[rack] for rack in np.flatnonzero(self._day.row == row)]
        return meter_tag(f"M-{row}", "ActivePower", f"day/meters/M-{row}/power", "kW", racks)

    def _of_meters(self, second: int) -> Iterator[Sent]:
        """Yield what the meters above rows say."""
        if not self._meters:
            return
        at_ms = self._day.begin_ms + second * 1_000 + 100
        said = [value_message(self._meter_beat, float(at_ms), at_ms)] if second % BEAT_S == 0 else []
        for row, meter in self._meters.items():
            beneath = int(self._day.drawn[second, self._day.row == row].sum())
            share = METER_OFF[0] + (METER_OFF[1] - METER_OFF[0]) * (row + 1) / ROWS
            lies = (t.amount for t in self._troubles if t.kind is TroubleKind.METER_LIES and t.row == row)
            shown = round(beneath * (1 + share + sum(lies)) / STEP_MILLIWATTS) * STEP_MILLIWATTS
            said.append(value_message(meter, shown / 1e6, at_ms))
        arrives_ms = at_ms + 300
        yield from (Sent(arrives_ms, message) for message in said)

    def _of_troubles(self, second: int) -> Iterator[Sent]:
        """Yield what is said of points in a trouble of metadata, and what foreigners say."""
        at_ms = self._day.begin_ms + second * 1_000 + 50
        for trouble, foreign in zip(self._troubles, self._foreign, strict=True):
            if trouble.kind in OF_METADATA and second == trouble.from_s:
                for rack in trouble.racks.tolist():
                    yield Sent(at_ms, self._described_anew(trouble, rack))
            for tag in foreign:
                if second == trouble.from_s:
                    body = json.dumps(tag.metadata).encode()
                    yield Sent(at_ms, Publication(metadata_topic(tag.key, FOREIGNER), body, is_retained=True))
                if second >= trouble.from_s and (second - trouble.from_s) % FOREIGN_EVERY_S == 0:
                    yield Sent(at_ms, value_message(tag, trouble.amount, at_ms))

    def _described_anew(self, trouble: Trouble, rack: int) -> Publication:
        """Return the metadata with which a trouble of a rack begins."""
        tag, name = self._tags[rack], self._day.racks[rack]
        path = tag.key.split("/", 2)[2]
        match trouble.kind:
            case TroubleKind.CLEARED:
                return Publication(tag.metadata_topic, b"", is_retained=True)
            case TroubleKind.UNIT:
                changed = rack_tag(name, "RackPower", path, "W")
            case TroubleKind.ASSET:
                namesake = self._day.racks[trouble.namesake(self._day.row)]
                changed = rack_tag(namesake, "RackPower", path, "kW")
            case TroubleKind.PATH:
                changed = self._tag_of[rack] = rack_tag(name, "RackPower", f"{path}/moved", "kW")
            case _:
                changed = rack_tag(name, "RackPower", f"{path}/other", "kW")
                self._others[rack] = (changed, trouble.amount)
        return metadata_message(changed)

    def _foreign_tags(self, trouble: Trouble) -> Iterator[Tag]:
        """Yield what a foreigner describes."""
        racks = [self._day.racks[rack] for rack in np.flatnonzero(self._day.row == trouble.row)]
        found: list[Tag] = []
        if trouble.kind is TroubleKind.FOREIGN_METER:
            found = [meter_tag(f"X-{trouble.row}", "ActivePower", f"evil/{trouble.row}/power", "kW", racks)]
        elif trouble.kind is TroubleKind.FOREIGN_RACKS:
            found = [rack_tag(rack, "RackPower", f"evil/{rack}", "kW") for rack in racks]
        for tag in found:
            yield Tag(tag.key, tag.metadata | {"integration": FOREIGNER}, FOREIGNER)


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
        case Said.NOUGHT:
            return 0.0
        case _:
            return kilowatts


def _value(tag: Tag, kilowatts: float, kind: int, stamp_ms: int) -> Publication:
    figure = _figure(kilowatts, kind)
    if isinstance(figure, str):
        body = f'{{"value":"{figure}","timestamp":{stamp_ms},"quality":1}}'
        return Publication(tag.value_topic, body.encode())
    return value_message(tag, figure, stamp_ms, 0 if kind == _DOUBTED else 1)
