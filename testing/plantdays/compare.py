"""Alarms held against what was so in the plant: nothing missed, nothing invented, nothing late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from facility.instants import SECOND_MS
from simulators.truth.episodes import Run, runs_of
from testing.plantdays.truth import Watch
from testing.rehearsal.rehearsal import Alarm

SLACK_S: Final = 4
"""How long news takes, and how far seconds of the plant and of the monitor may be apart [s]."""
NEVER_S: Final = 10**9

Test = Callable[[int], bool]


def differences(watches: Sequence[Watch], alarms: Sequence[Alarm], begin_ms: int) -> Iterator[str]:
    """Yield where the monitor is wrong, one sentence each.

    Args:
        watches: What was so, second by second.
        alarms: What the monitor said.
        begin_ms: When the first second began [ms].
    """
    for watch in watches:
        for place, subject in enumerate(watch.subjects):
            own = [_Opened(a, begin_ms) for a in alarms if (a.rule, a.subject) == (watch.rule, subject)]
            yield from _missed(watch, place, own)
            yield from _invented(watch, place, own)
            yield from _standing(watch, place, own)
            yield from _untold(watch, own, alarms)
    known = {(watch.rule, subject) for watch in watches for subject in watch.subjects}
    for alarm in alarms:
        if (alarm.rule, alarm.subject) not in known:
            yield f"invented: {alarm.rule} {alarm.subject}, which the truth does not know"


class _Opened:
    """An alarm, in seconds of a day that begins at `begin_ms`."""

    def __init__(self, alarm: Alarm, begin_ms: int) -> None:
        self.alarm = alarm
        self.opened_s = (alarm.opened_ms - begin_ms) // SECOND_MS
        back_ms = alarm.returned_ms
        self.returned_s = NEVER_S if back_ms is None else (back_ms - begin_ms) // SECOND_MS

    def stands_at(self, second: int) -> bool:
        """Tell whether it stands in a second."""
        return self.opened_s <= second < self.returned_s


def owed(watch: Watch, place: int) -> Iterator[tuple[Run, int]]:
    """Yield each time in which something was surely so for long enough, and when it must have opened [s].

    Args:
        watch: A rule.
        place: Which of its subjects.
    """
    for way in range(len(watch.seen[0].ways)):
        on_s = watch.seen[0].ways[way].on_s
        for run in runs_of(lambda i, w=way: bool(watch.seen[i].ways[w].surely[place]), len(watch.seen)):  # type: ignore[misc]
            due_s = run.start + on_s + SLACK_S
            if due_s < min(run.end, len(watch.seen) - 1) or on_s == 0:
                yield run, due_s


def _missed(watch: Watch, place: int, own: Sequence[_Opened]) -> Iterator[str]:
    for run, due_s in owed(watch, place):
        on_s = watch.seen[0].ways[0].on_s
        is_there = (
            any(run.start - SLACK_S <= each.opened_s <= due_s for each in own)
            if on_s == 0
            else any(each.stands_at(due_s) for each in own)
        )
        if not is_there and due_s < len(watch.seen):
            yield (
                f"missed: {watch.rule} {watch.subjects[place]}, surely so from {run.start} to {run.end} s, "
                f"to open by {due_s} s, found {_described(own)}"
            )


def _invented(watch: Watch, place: int, own: Sequence[_Opened]) -> Iterator[str]:
    for each in own:
        if not any(_is_possible(watch, place, way, each.opened_s) for way in range(len(watch.seen[0].ways))):
            yield f"invented: {watch.rule} {watch.subjects[place]} at {each.opened_s} s"


def _is_possible(watch: Watch, place: int, way: int, opened_s: int) -> bool:
    """Tell whether it may have been so for as long as it must before an alarm opened."""
    on_s, last = watch.seen[0].ways[way].on_s, len(watch.seen) - 1
    first, end = opened_s - on_s + SLACK_S // 2, opened_s - SLACK_S // 2
    if first >= end:
        span = range(opened_s - on_s - SLACK_S, opened_s + 2)
        return any(bool(watch.seen[i].ways[way].possibly[place]) for i in span if 0 <= i <= last)
    return all(bool(watch.seen[min(max(i, 0), last)].ways[way].possibly[place]) for i in range(first, end))


def _standing(watch: Watch, place: int, own: Sequence[_Opened]) -> Iterator[str]:
    """Yield alarms that did not return although it was over, and those that returned although it was not.

    Where a publisher is quieter than it usually is for a moment, the off-delay begins anew.
    """
    for run in runs_of(lambda i: bool(watch.seen[i].clear[place]), len(watch.seen)):
        by_s = run.start + 2 * (watch.off_s + SLACK_S)
        if by_s < run.end and any(each.stands_at(by_s) and each.opened_s < run.start for each in own):
            yield f"stands: {watch.rule} {watch.subjects[place]}, over since {run.start} s, at {by_s} s"
    for each in own:
        if each.returned_s == NEVER_S:
            continue
        span = range(each.returned_s - watch.off_s + SLACK_S // 2, each.returned_s - SLACK_S // 2)
        inside = [i for i in span if 0 <= i < len(watch.seen)]
        if any(bool(way.surely[place]) for i in inside for way in watch.seen[i].ways):
            yield f"gone: {watch.rule} {watch.subjects[place]} at {each.returned_s} s, while it was so"


def _untold(watch: Watch, own: Sequence[_Opened], alarms: Sequence[Alarm]) -> Iterator[str]:
    """Yield alarms that people were not told of, though nothing said it already."""
    for each in own:
        alarm = each.alarm
        if alarm.told_ms is not None:
            continue
        hidden = any(
            cause.rule in watch.causes
            and cause is not alarm
            and cause.opened_ms <= alarm.opened_ms + 10 * SECOND_MS
            and (cause.returned_ms is None or cause.returned_ms >= alarm.opened_ms)
            for cause in alarms
        )
        if not hidden:
            yield f"untold: {watch.rule} {alarm.subject} at {each.opened_s} s"


def _described(own: Sequence[_Opened]) -> str:
    spans = (f"{each.opened_s} to {each.returned_s} s" for each in own)
    return ", ".join(spans) or "none"
