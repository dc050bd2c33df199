"""How many alarms people are told of, and which: the figures by which an alarm system is judged.

Steady state is the mean number of openings in ten minutes; upset the most in ten minutes of each day, as a
mean over the days. EEMUA 191, revision 3, tells them apart; ISA-18.2 of 2016 judges no count of a day. A
flood begins above ten openings in ten minutes and ends below five (EEMUA 191, ISA-18.2). Chattering is the
same alarm three times in a minute; what stands for more than a day is stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

import numpy as np

from facility.instants import DAY_MS, HOUR_MS, MINUTE_MS, to_iso
from facility.readings import IntArray
from facility.shown import in_line
from megawatch.cli.outputs import AlarmStats, Frequent
from rules.alarms.openings import CHATTERS, CHATTERS_WITHIN_MS, FLOOD_BEGINS, FLOOD_ENDS, FLOOD_MS
from rules.base import Severity
from store.ledger.alarms import Alarm

MOST_NAMED: Final = 10
SEVERITIES: Final = tuple(severity.word for severity in sorted(Severity, reverse=True))


@dataclass(frozen=True, slots=True)
class Flood:
    """More alarms than anybody can take in.

    Attributes:
        from_ms: When it began [ms].
        to_ms: When it ended [ms].
        alarms: How many opened meanwhile.
    """

    from_ms: int
    to_ms: int
    alarms: int


def statistics_of(
    alarms: Sequence[Alarm], from_ms: int, to_ms: int, damped: Collection[str] = ()
) -> AlarmStats:
    """Return the figures of a span.

    Args:
        alarms: Those that opened within it, and those that stood at its beginning, told or not.
        from_ms: Its beginning [ms].
        to_ms: Its end [ms].
        damped: Ids of those that rule Q10 held back when they opened.
    """
    opened = [alarm for alarm in alarms if from_ms <= alarm.opened_ms < to_ms]
    told = sorted((alarm for alarm in opened if alarm.is_told), key=lambda alarm: alarm.opened_ms)
    times = np.array([alarm.opened_ms for alarm in told], np.int64)
    names = Counter((alarm.rule, alarm.subject) for alarm in told)
    floods = floods_of(times)
    waits_s = [
        (alarm.acknowledged_ms - alarm.opened_ms) / 1_000
        for alarm in told
        if alarm.acknowledged_ms is not None
    ]
    severities = Counter(alarm.severity for alarm in told)
    days = max(1, round((to_ms - from_ms) / DAY_MS))
    return {
        "from": to_iso(from_ms),
        "to": to_iso(to_ms),
        "told": len(told),
        "not_told": len(opened) - len(told),
        "damped": sum(alarm.id in damped for alarm in opened if not alarm.is_told),
        "by_severity": {name: severities.get(name, 0) for name in SEVERITIES},
        "steady_per_10_min": len(told) * FLOOD_MS / (to_ms - from_ms),
        "upset_per_10_min": _upset(times, from_ms, days),
        "peak_hour": most_within(times, HOUR_MS),
        "peak_minute": most_within(times, MINUTE_MS),
        "floods": len(floods),
        "flood_percent": 100 * sum(flood.to_ms - flood.from_ms for flood in floods) / (to_ms - from_ms),
        "most_frequent": [
            Frequent(rule=rule, subject=subject, alarms=count, percent=100 * count / len(told))
            for (rule, subject), count in names.most_common(MOST_NAMED)
        ],
        "chattering": sum(_chatters(times_of(told, name)) for name in names),
        "stale": sum(_stood_ms(alarm, to_ms) > DAY_MS for alarm in alarms),
        "acknowledged": len(waits_s),
        "acknowledged_after_s": median(waits_s) if waits_s else None,
    }


def lines_of(found: AlarmStats) -> Iterator[str]:
    """Yield the figures for people, one a line."""
    severities = ", ".join(f"{count} {name}" for name, count in found["by_severity"].items() if count)
    yield f"from {found['from']} to {found['to']}"
    yield f"{found['told']} alarms told" + (f": {severities}" if severities else "")
    yield f"{found['not_told']} not told: under a cause, shelved, out of service, or {found['damped']} damped"
    yield f"steady state {found['steady_per_10_min']:.2f} in 10 min; upset {found['upset_per_10_min']:.1f}"
    yield f"at most {found['peak_hour']} in an hour, {found['peak_minute']} in a minute"
    yield f"{found['floods']} floods, {found['flood_percent']:.2f} % of the time"
    yield f"{found['chattering']} chattering, {found['stale']} stale (standing for more than a day)"
    wait_s = found["acknowledged_after_s"]
    median_wait = "" if wait_s is None else f", half of them within {wait_s:,.0f} s"
    yield f"{found['acknowledged']} acknowledged{median_wait}"
    for one in found["most_frequent"]:
        yield f"  {one['alarms']:5}  {one['percent']:4.1f} %  {one['rule']} {in_line(one['subject'])}"


def floods_of(times: IntArray) -> list[Flood]:
    """Return the floods of openings.

    Args:
        times: When alarms opened, rising [ms], shape (alarms,).
    """
    before = np.searchsorted(times, times - FLOOD_MS, side="right")
    within = np.arange(1, len(times) + 1) - before  # in the ten minutes up to each opening
    floods: list[Flood] = []
    begin: int | None = None
    for place, count in enumerate(within.tolist()):
        if begin is not None and count < FLOOD_ENDS:
            floods.append(_flood(times, begin, place - 1))
            begin = None
        if begin is None and count > FLOOD_BEGINS:
            begin = int(before[place])
    if begin is not None:
        floods.append(_flood(times, begin, len(times) - 1))
    return floods


def most_within(times: IntArray, span_ms: int) -> int:
    """Return the most openings within any span.

    Args:
        times: When alarms opened, rising [ms].
        span_ms: Length of the span [ms].
    """
    before = np.searchsorted(times, times - span_ms, side="right")
    return int((np.arange(1, len(times) + 1) - before).max(initial=0))


def times_of(alarms: Sequence[Alarm], name: tuple[str, str]) -> IntArray:
    """Return when the alarms of a rule and a subject opened [ms]."""
    times = [alarm.opened_ms for alarm in alarms if (alarm.rule, alarm.subject) == name]
    return np.array(times, np.int64)


def _flood(times: IntArray, first: int, last: int) -> Flood:
    return Flood(int(times[first]), int(times[last]) + FLOOD_MS, last - first + 1)


def _upset(times: IntArray, from_ms: int, days: int) -> float:
    """Return the most openings in ten minutes of each day, as a mean over the days."""
    edges = np.searchsorted(times, [from_ms + day * DAY_MS for day in range(days + 1)])
    edges[-1] = len(times)
    return sum(most_within(times[begin:end], FLOOD_MS) for begin, end in pairwise(edges.tolist())) / days


def _chatters(times: IntArray) -> bool:
    return most_within(times, CHATTERS_WITHIN_MS) >= CHATTERS


def _stood_ms(alarm: Alarm, to_ms: int) -> int:
    return (to_ms if alarm.returned_ms is None else alarm.returned_ms) - alarm.opened_ms
