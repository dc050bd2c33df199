"""Readings that other software writes into an InfluxDB, as what the journal takes: live, and over the past.

For a site whose readings Telegraf, or another collector, already stores. Rules name the measurement and field
of each quantity, and the tag that holds the asset's id. The caller appends what comes to the journal, so
everything behind that is the same as with a broker.

A point is one series. Where more than one says what it is (three phases, two collectors), each of their
readings is refused and the point is in doubt: which of them is right, or whether they are to be added, only
the site file can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from facility.errors import StoreUnavailable
from facility.feedrule import FeedRule
from facility.instants import DAY_MS
from facility.invariants import present
from facility.names import AssetId, name_of, path_of
from facility.points import Asset, Cadence, Point
from facility.quantities import QUANTITIES
from facility.readings import DEAD_LETTER_BYTES, Batch, Flag, IntArray, Quality, Reason, Rejection
from facility.units import find_unit
from store.influx.feedseries import Found, Source, Stored, Subject, contradiction, no_number
from store.influx.query import InfluxQuery
from store.journal.entries import Known
from store.journal.intake import Intake

OVERLAP_MS: Final = 30_000
"""How far back is read again, for what was stored late [ms]: three times Telegraf's `flush_interval`."""
AHEAD_MS: Final = 1_000
"""A reading stamped this much later than it was read is marked [ms] (our choice)."""

SPAN_MS: Final = 300_000
"""How much of the past is read at once [ms]: 700,000 readings of 2,270 racks (our choice)."""
MOST_LATE_MS: Final = 3_600_000
"""What is stored later than this is not read, unless we were away ourselves [ms] (our choice)."""

REMEMBER_MS: Final = DAY_MS
"""How long a series stands beside another one of its point after it was last heard [ms]: two phases that fall
silent do not make the third one the whole (our choice)."""
MOST_REFUSALS: Final = 1_000
"""Dead letters of one answer at most (our choice)."""

_NS: Final = 1_000_000
_SPAN: Final = "time >= $from AND time < $to"


class InfluxFeed:
    """Reads what is new in an InfluxDB. Blocking; not to be shared between threads.

    Args:
        query: Asks the database.
        rules: Which series are which points.
        broker: What this source is called, as a broker would be.
        known: Every point that the journal knows, by its number; new ones are numbered after them.
        since_ms: From when on it is to be read [ms]; None for what the first poll says.

    Attributes:
        newest_ms: When the newest reading so far was [ms]: where it goes on after a restart.
        keep_ms: From when on it remembers what it read, besides what it reads again anyway [ms].

    Raises:
        ValueError: Where a rule is none.
    """

    def __init__(
        self,
        query: InfluxQuery,
        rules: Sequence[FeedRule],
        broker: str,
        known: Mapping[int, Known],
        since_ms: int | None = None,
    ) -> None:
        faults = [
            f"{name}: expected {wanted}, found {found}" for r in rules for name, wanted, found in r.faults()
        ]
        if faults:
            raise ValueError("; ".join(faults))
        self._query = query
        self._rules = rules
        self._broker = broker
        self._numbers = {one.point.key: number for number, one in known.items()}
        self._assets: dict[int, str] = {}
        self._next = 1 + max(known, default=-1)
        self._seen: dict[Source, IntArray] = {}
        self._heard: dict[Subject, dict[Source, int]] = {}
        self._is_first = True
        self._refused: set[str] = set()
        self._reach_ms = since_ms
        self.newest_ms = since_ms
        self.keep_ms: int | None = None

    @property
    def is_behind(self) -> bool:
        """Whether there is more of the past to be read before what is new."""
        return self._reach_ms is not None

    def poll(self, now_ms: int, back_ms: int) -> Intake:
        """Return what was stored since the last time; `SPAN_MS` of it at most while it is behind.

        Args:
            now_ms: The time [ms].
            back_ms: How far back the first time reaches, where no start was given [ms].

        Raises:
            StoreUnavailable: Where it cannot be read now; nothing is skipped by that.
        """
        if self.newest_ms is None:
            self.newest_ms = now_ms - back_ms
        if self._reach_ms is None:
            # Up to date: what is new, and what was stored late.
            start, end = max(self.newest_ms - OVERLAP_MS, now_ms - MOST_LATE_MS), now_ms + OVERLAP_MS
        else:
            start = self._reach_ms - OVERLAP_MS
            end = min(start + SPAN_MS, now_ms + OVERLAP_MS)
        intake = self._between(start, end, now_ms, is_backlog=False)
        if self._reach_ms is not None:
            self._reach_ms = None if end > now_ms else end
        if len(intake.batch):
            # What is stamped ahead of time must not make it skip what is not.
            self.newest_ms = max(self.newest_ms, min(now_ms, int(intake.batch.source_ms.max())))
        self._forget(start)
        return intake

    def go_back(self, to_ms: int) -> None:
        """Read everything from a moment on [ms], in spans: it was not read, or may have been stored since."""
        self._reach_ms = to_ms if self._reach_ms is None else min(self._reach_ms, to_ms)

    def again(self, from_ms: int, to_ms: int, now_ms: int) -> Intake:
        """Return what was stored late of a span that was read before, beside what is polled.

        Args:
            from_ms: Start, included [ms].
            to_ms: End, not included [ms].
            now_ms: The time [ms].

        Raises:
            StoreUnavailable: Where it cannot be read now.
        """
        return self._between(from_ms, to_ms, now_ms, is_backlog=False)

    def past(self, from_ms: int, to_ms: int) -> Intake:
        """Return what was stored of a span of the past, as if each reading had come at its own time.

        Args:
            from_ms: Start, included [ms].
            to_ms: End, not included [ms].

        Raises:
            StoreUnavailable: Where it cannot be read now.
        """
        return self._between(from_ms, to_ms, None, is_backlog=True)

    def stored(self, now_ms: int) -> Stored:
        """Return what was stored in the last day, and what keeps it from being judged.

        Args:
            now_ms: The time [ms].

        Raises:
            StoreUnavailable: Where it cannot be read now.
        """
        intake = Intake()
        found = list(self._latest(intake, now_ms))
        faults = [refusal.detail for refusal in intake.rejections]
        faults += [no_number(self._rules, one.source, one.others[0][1]) for one in found if one.others]
        series: dict[Subject, list[Source]] = {}
        for one in found:
            series.setdefault(one.subject, []).append(one.source)
        faults += [contradiction(self._rules, subject, of) for subject, of in series.items() if len(of) > 1]
        newest_ms = max((int(one.time_ms.max(initial=0)) for one in found), default=0)
        return Stored(len(found), len({asset for asset, _, _ in series}), newest_ms or None, tuple(faults))

    def _between(self, start: int, end: int, now_ms: int | None, *, is_backlog: bool) -> Intake:
        intake = Intake()
        if self._is_first and now_ms is not None:
            # Who was silent in the last seconds only is found as well.
            self._remember(list(self._latest(intake, now_ms)))
        self._is_first = False
        found = list(self._found(start, end, intake, now_ms, '"{}"'))
        self._remember(found)
        batches = [self._batch(one, intake, now_ms, since_ms=start - REMEMBER_MS) for one in found]
        batch = Batch.concatenate(batches)
        batch = batch.take(np.argsort(batch.source_ms, kind="stable"))
        intake.batch = batch
        intake.received_ms = now_ms or (int(batch.received_ms.max()) if len(batch) else end)
        if is_backlog:
            self._seen.clear()
        return intake

    def _latest(self, intake: Intake, now_ms: int) -> Iterator[Found]:
        """Yield the last reading of each series that was stored lately."""
        return self._found(now_ms - REMEMBER_MS, now_ms + OVERLAP_MS, intake, now_ms, 'last("{}")')

    def _found(self, start: int, end: int, intake: Intake, now_ms: int | None, what: str) -> Iterator[Found]:
        """Yield what is stored of each series in a span, as far as its tag names an asset."""
        for place, rule in enumerate(self._rules):
            terms = [_SPAN, *(f'"{tag}" = $where{i}' for i, tag in enumerate(rule.where))]
            values = {f"where{i}": value for i, value in enumerate(rule.where.values())}
            parameters = {"from": start * _NS, "to": end * _NS} | values
            questions = [
                f"SELECT {what.format(rule.field)} FROM {source} WHERE {' AND '.join(terms)} GROUP BY *"  # noqa: S608 - checked names
                for source in self._query.sources(rule.measurement)
            ]
            unit = present(find_unit(rule.unit), "a unit that is known")
            for tables in self._query.numbers(questions, parameters):
                for table in tables:
                    number = self._number(rule, table.tags.get(rule.tag, ""), intake, now_ms)
                    if number is None:
                        continue
                    asset = self._assets[number]
                    if len(table.columns) != 1:
                        found = f"found {len(table.columns)}"
                        raise StoreUnavailable(
                            rule.measurement, f"expected a column for {rule.field}, {found}"
                        )
                    (value,) = table.columns
                    numbers = ~np.isnan(value)
                    yield Found(
                        (place, tuple(sorted(table.tags.items()))),
                        (asset, rule.quantity, rule.power_feed),
                        number,
                        table.time_ms[numbers],
                        np.array([unit.to_canonical(one) for one in value[numbers].tolist()]),
                        [(int(table.time_ms[row]), cell) for row, _, cell in table.others],
                    )

    def _remember(self, found: Sequence[Found]) -> None:
        """Keep when each series was heard last."""
        for one in found:
            times = [int(one.time_ms.max(initial=0)), *(at_ms for at_ms, _ in one.others)]
            of = self._heard.setdefault(one.subject, {})
            of[one.source] = max(of.get(one.source, 0), *times)

    def _batch(self, one: Found, intake: Intake, now_ms: int | None, *, since_ms: int) -> Batch:
        """Return what is new of a series: readings, or doubts where they cannot be believed."""
        seen = self._seen.get(one.source, np.empty(0, np.int64))
        new = ~np.isin(one.time_ms, seen)
        times, values = one.time_ms[new], one.value[new]
        others = [(at_ms, cell) for at_ms, cell in one.others if at_ms not in seen]
        other_times = np.array([at_ms for at_ms, _ in others], np.int64)
        self._seen[one.source] = np.concatenate([seen, times, other_times])
        beside = [source for source, at_ms in self._heard[one.subject].items() if at_ms >= since_ms]
        rule = self._rules[one.source[0]]
        topic = f"{rule.measurement}/{rule.field}"
        for at_ms, cell in others:
            detail = no_number(self._rules, one.source, cell)
            _refuse(intake, topic, json.dumps(cell), Reason.WRONG_TYPE, detail, now_ms or at_ms)
        quality = np.full(len(times), Quality.GOOD)
        if len(beside) > 1:
            detail = contradiction(self._rules, one.subject, beside)
            for at_ms, value in zip(times.tolist(), values.tolist(), strict=True):
                _refuse(intake, topic, repr(value), Reason.IDENTITY_CONFLICT, detail, now_ms or at_ms)
            quality[:] = Quality.REFUSED
            values = np.full(len(times), np.nan)
        times = np.concatenate([times, other_times])
        # The line's time is when the other collector received it; how long it then took is no news of
        # the rack, and must not make it look younger.
        received = times if now_ms is None else np.minimum(times, now_ms)
        return Batch.of(
            [
                np.full(len(times), one.number),
                times,
                received,
                np.concatenate([values, np.full(len(others), np.nan)]),
                np.concatenate([quality, np.full(len(others), Quality.REFUSED)]),
                np.where(times > received + AHEAD_MS, Flag.AHEAD, Flag.NONE),
            ]
        )

    # Points ---------------------------------------------------------------------------

    def _number(self, rule: FeedRule, text: str, intake: Intake, now_ms: int | None) -> int | None:
        """Return the number of a point; None where its tag names no asset, which is told once."""
        match = re.fullmatch(rule.asset, text)
        asset = name_of(match[1]) if match and match[1] else ""
        if not asset:
            if text not in self._refused:
                self._refused.add(text)
                topic = f"{rule.measurement}/{rule.field}"
                detail = f"expected an asset where tag {rule.tag} is like {rule.asset!r}, found {text[:80]!a}"
                _refuse(intake, topic, text, Reason.BAD_NAME, detail, now_ms or 0)
            return None
        key = path_of("/".join([rule.measurement, rule.field, asset, *self._apart(rule)]))
        if key not in self._numbers:
            point = Point(
                key=key,
                asset=AssetId(asset),
                quantity=rule.quantity,
                unit=QUANTITIES[rule.quantity].unit,
                stream=f"{self._broker}:{rule.measurement}",
                cadence=Cadence.PERIODIC,
                point_type=rule.field,
                object_type=rule.kind,
                feed=rule.power_feed,
            )
            intake.known.append(Known(self._next, point, Asset(id=point.asset, kind=rule.kind)))
            self._numbers[key] = self._next
            self._next += 1
        self._assets[self._numbers[key]] = asset
        return self._numbers[key]

    def _apart(self, rule: FeedRule) -> list[str]:
        """Return what tells a rule's points from those of another rule about the same field."""
        alike = [
            other
            for other in self._rules
            if (other.measurement, other.field) == (rule.measurement, rule.field)
        ]
        if len({(other.quantity, other.power_feed) for other in alike}) == 1:
            return []
        return [part for part in (rule.quantity, rule.power_feed) if part]

    def _forget(self, before_ms: int) -> None:
        """Forget which readings were taken that are not read again."""
        before_ms = before_ms if self.keep_ms is None else min(before_ms, self.keep_ms)
        for source, seen in self._seen.items():
            self._seen[source] = seen[seen >= before_ms]


def _refuse(intake: Intake, topic: str, payload: str, reason: Reason, detail: str, received_ms: int) -> None:
    """Add a dead letter, as long as there are not too many of one answer."""
    count = len(intake.rejections)
    if count > MOST_REFUSALS:
        return
    if count == MOST_REFUSALS:
        reason = Reason.TOO_LARGE
        detail = f"expected at most {MOST_REFUSALS} refusals of one answer, found more: not kept one by one"
    raw = payload.encode("utf-8", "backslashreplace")
    intake.rejections.append(
        Rejection(
            topic=topic,
            payload=raw[:DEAD_LETTER_BYTES],
            length=len(raw),
            reason=reason,
            detail=detail[:500],
            received_ms=received_ms,
        )
    )
