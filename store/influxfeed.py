"""Readings that somebody else writes into an InfluxDB, as what the journal takes: live, and over the past.

For a site whose readings Telegraf, or another collector, already stores. It is told which field of which
measurement is which quantity, and which tag says of which asset. Whoever calls appends what comes to the
journal, so everything behind that is the same as with a broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.names import AssetId, is_name
from facility.points import Asset, Cadence, Point
from facility.quantities import QUANTITIES
from facility.readings import Batch, Flag, Quality, Reason, Rejection
from facility.units import find_unit
from store.entries import Known
from store.influxquery import InfluxQuery, Rows
from store.intake import Intake

OVERLAP_MS: Final = 30_000
"""How far back is read again, for what was stored late [ms]: three times Telegraf's `flush_interval`."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
_NS: Final = 1_000_000
_SPAN: Final = "time >= $from AND time < $to"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRule:
    """Which series are which points.

    Attributes:
        measurement: The measurement.
        field: The field.
        tag: The tag that says of which asset.
        asset: What the tag's whole value looks like, a regular expression; its first group is the asset's id.
        quantity: The quantity, by its name in `facility.quantities`.
        unit: The unit in which the field is written.
        kind: What the assets are.
        power_feed: Of which power feed it is, "" where of none.
    """

    measurement: str
    field: str
    tag: str
    quantity: str
    unit: str
    asset: str = "(.+)"
    kind: str = "Rack"
    power_feed: str = ""

    def faults(self) -> list[str]:
        """Return what is wrong with it, a sentence each."""
        found = [
            f"{name}: expected letters, digits, '_', '.', '/' and '-', found {text!r}"
            for name, text in (("measurement", self.measurement), ("field", self.field), ("tag", self.tag))
            if not _NAME.fullmatch(text)
        ]
        try:
            if re.compile(self.asset).groups < 1:
                found.append(f"asset: expected a group in brackets, found {self.asset!r}")
        except re.error as error:
            found.append(f"asset: expected a regular expression, found {self.asset!r}: {error}")
        quantity, unit = QUANTITIES.get(self.quantity), find_unit(self.unit)
        if quantity is None:
            found.append(f"quantity: expected one that is known, found {self.quantity!r}")
        elif unit is None or unit.dimension is not quantity.dimension:
            found.append(
                f"unit: expected one of {self.quantity}, such as {quantity.unit}, found {self.unit!r}"
            )
        return found


class InfluxFeed:
    """Reads what is new in an InfluxDB. Blocking; not to be shared between threads.

    Args:
        query: The way to it.
        rules: Which series are which points.
        broker: What this source is called, as a broker would be.
        known: Every point that the journal knows, by its number; new ones are numbered after them.

    Raises:
        ValueError: Where a rule is none.
    """

    def __init__(
        self, query: InfluxQuery, rules: Sequence[FeedRule], broker: str, known: Mapping[int, Known]
    ) -> None:
        faults = [fault for rule in rules for fault in rule.faults()]
        if faults:
            raise ValueError("; ".join(faults))
        self._query = query
        self._rules = rules
        self._broker = broker
        self._numbers = {one.point.key: number for number, one in known.items()}
        self._next = 1 + max(known, default=-1)
        self._seen: dict[int, set[int]] = {}
        self._refused: set[str] = set()
        self._newest_ms: int | None = None

    def poll(self, now_ms: int, back_ms: int) -> Intake:
        """Return what was stored since the last time.

        Args:
            now_ms: The time [ms].
            back_ms: How far back the first time reaches [ms].

        Raises:
            StoreUnavailable: Where it can not be read now; nothing is skipped by that.
        """
        newest = now_ms - back_ms if self._newest_ms is None else self._newest_ms
        start = newest - OVERLAP_MS
        intake = self._between(start, now_ms + OVERLAP_MS, now_ms, is_backlog=False)
        if len(intake.batch):
            # What is stamped ahead of time must not make it skip what is not.
            self._newest_ms = max(newest, min(now_ms, int(intake.batch.source_ms.max())))
        self._forget(start)
        return intake

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
        intake.received_ms = int(batch.received_ms.max()) if len(batch) else now_ms or end
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
            seen = self._seen.setdefault(number, set())
            (value,) = table.columns
            new = ~np.isnan(value) & ~np.isin(table.time_ms, list(seen))
            times = table.time_ms[new]
            seen.update(times.tolist())
            canonical = np.array([unit.to_canonical(one) for one in value[new].tolist()])
            received = times if now_ms is None else np.full(len(times), now_ms)
            count = len(times)
            yield Batch.of(
                [
                    np.full(count, number),
                    times,
                    np.maximum(times, received),
                    canonical,
                    np.full(count, Quality.GOOD),
                    np.full(count, Flag.NONE),
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
        for number, seen in self._seen.items():
            self._seen[number] = {at_ms for at_ms in seen if at_ms >= before_ms}


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
