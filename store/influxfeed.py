"""Readings that somebody else writes into an InfluxDB, as what the journal takes: live, and over the past.

For a site whose readings Telegraf, or another collector, already stores. It is told which field of which
measurement is which quantity, and which tag says of which asset. Whoever calls appends what comes to the
journal, so everything behind that is the same as with a broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from facility.feedrule import FeedRule
from facility.names import AssetId, is_name
from facility.points import Asset, Cadence, Point
from facility.quantities import QUANTITIES
from facility.readings import Batch, Flag, IntArray, Quality, Reason, Rejection
from facility.units import find_unit
from store.entries import Known
from store.influxquery import InfluxQuery, Rows
from store.intake import Intake

OVERLAP_MS: Final = 30_000
"""How far back is read again, for what was stored late [ms]: three times Telegraf's `flush_interval`."""
AHEAD_MS: Final = 1_000
"""A reading stamped this much later than it was read is marked [ms] (our choice)."""

SPAN_MS: Final = 300_000
"""How much of the past is read at once [ms]: 700,000 readings of 2,270 racks (our choice)."""
MOST_LATE_MS: Final = 3_600_000
"""What is stored later than this is not read, unless we were away ourselves [ms] (our choice)."""

_NS: Final = 1_000_000
_SPAN: Final = "time >= $from AND time < $to"


class InfluxFeed:
    """Reads what is new in an InfluxDB. Blocking; not to be shared between threads.

    Args:
        query: The way to it.
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
        self._next = 1 + max(known, default=-1)
        self._seen: dict[int, IntArray] = {}
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
            back_ms: How far back the first time reaches, where nobody said since when [ms].

        Raises:
            StoreUnavailable: Where it can not be read now; nothing is skipped by that.
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
            StoreUnavailable: Where it can not be read now.
        """
        return self._between(from_ms, to_ms, now_ms, is_backlog=False)

    def past(self, from_ms: int, to_ms: int) -> Intake:
        """Return what was stored of a span of the past, as if each reading had come at its own time.

        Args:
            from_ms: Start, included [ms].
            to_ms: End, not included [ms].

        Raises:
            StoreUnavailable: Where it can not be read now.
        """
        return self._between(from_ms, to_ms, None, is_backlog=True)

    def _between(self, start: int, end: int, now_ms: int | None, *, is_backlog: bool) -> Intake:
        intake = Intake()
        batches: list[Batch] = []
        parameters = {"from": start * _NS, "to": end * _NS}
        for rule in self._rules:
            questions = [
                f'SELECT "{rule.field}" FROM {source} WHERE {_SPAN} GROUP BY "{rule.tag}"'  # noqa: S608 - checked names
                for source in self._query.sources(rule.measurement)
            ]
            for tables in self._query.numbers(questions, parameters):
                batches += self._batches(rule, tables, intake, now_ms)
        batch = Batch.concatenate(batches)
        batch = batch.take(np.argsort(batch.source_ms, kind="stable"))
        intake.batch = batch
        intake.received_ms = now_ms or (int(batch.received_ms.max()) if len(batch) else end)
        if is_backlog:
            self._seen.clear()
        return intake

    def _batches(
        self, rule: FeedRule, tables: Iterable[Rows], intake: Intake, now_ms: int | None
    ) -> Iterable[Batch]:
        unit = find_unit(rule.unit)
        assert unit is not None  # noqa: S101 - a rule is checked before it is used
        for table in tables:
            number = self._number(rule, table.tags.get(rule.tag, ""), intake, now_ms)
            if number is None:
                continue
            seen = self._seen.get(number, np.empty(0, np.int64))
            (value,) = table.columns
            new = ~np.isnan(value) & ~np.isin(table.time_ms, seen)
            times = table.time_ms[new]
            self._seen[number] = np.concatenate([seen, times])
            canonical = np.array([unit.to_canonical(one) for one in value[new].tolist()])
            # The line's time is when whoever stored it received it; how long it then took is no news of
            # the rack, and must not make it look younger.
            received = times if now_ms is None else np.minimum(times, now_ms)
            count = len(times)
            yield Batch.of(
                [
                    np.full(count, number),
                    times,
                    received,
                    canonical,
                    np.full(count, Quality.GOOD),
                    np.where(times > received + AHEAD_MS, Flag.AHEAD, Flag.NONE),
                ]
            )

    def _number(self, rule: FeedRule, text: str, intake: Intake, now_ms: int | None) -> int | None:
        """Return the number of a point; None where its tag names no asset, which is told once."""
        match = re.fullmatch(rule.asset, text)
        asset = match[1] if match else ""
        if not is_name(asset):
            if text not in self._refused:
                self._refused.add(text)
                intake.rejections.append(_refusal(rule, text, now_ms or 0))
            return None
        key = f"{rule.measurement}/{rule.field}/{asset}"
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
        return self._numbers[key]

    def _forget(self, before_ms: int) -> None:
        """Forget which readings were taken that are not read again."""
        before_ms = before_ms if self.keep_ms is None else min(before_ms, self.keep_ms)
        for number, seen in self._seen.items():
            self._seen[number] = seen[seen >= before_ms]


def _refusal(rule: FeedRule, text: str, received_ms: int) -> Rejection:
    payload = text.encode("utf-8", "backslashreplace")
    return Rejection(
        topic=f"{rule.measurement}/{rule.field}",
        payload=payload,
        length=len(payload),
        reason=Reason.BAD_NAME,
        detail=f"expected an asset where tag {rule.tag} is like {rule.asset!r}, found {text[:80]!a}",
        received_ms=received_ms,
    )
