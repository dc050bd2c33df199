"""A ledger in memory: alarms and notifications for one rehearsal. Series and blocks are dropped."""

from __future__ import annotations

from store.ledger.alarms import Alarm, AlarmChange, Notice, Progress
from store.ledger.suppressions import Suppression


class MemoryLedger:
    """What judging brought.

    Attributes:
        changes: What happened to alarms, in order.
        notices: What is to be told, in order.
        kept: What people are not to be told of.
    """

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self._keys: set[tuple[str, str]] = set()
        self._cursor = (0, 0)
        self.changes: list[AlarmChange] = []
        self.notices: list[Notice] = []
        self.kept: list[Suppression] = []

    def cursor(self) -> tuple[int, int]:
        """Return up to which entry and which tick [ms] was judged; zeros before that began."""
        return self._cursor

    def save(self, progress: Progress) -> None:
        """Save what ticks brought; a notification that is there already is not made again."""
        self._alarms |= {change.alarm.id: change.alarm for change in progress.changes}
        self.changes += progress.changes
        for notice in progress.notices:
            if (notice.key, notice.route) not in self._keys:
                self._keys.add((notice.key, notice.route))
                self.notices.append(notice)
        self._cursor = (progress.seq, progress.tick_ms)

    def alarms(self, *, only_open: bool = False) -> list[Alarm]:
        """Return alarms, oldest first."""
        found = sorted(self._alarms.values(), key=lambda alarm: (alarm.opened_ms, alarm.id))
        return [alarm for alarm in found if alarm.is_open] if only_open else found

    def changes_of(self, alarm_id: str) -> list[AlarmChange]:
        """Return what happened to one alarm, in order."""
        return [change for change in self.changes if change.alarm.id == alarm_id]

    def opening(self, alarm_id: str) -> list[Notice]:
        """Return what was made to tell that an alarm opened, one notification for each route."""
        return [notice for notice in self.notices if notice.key == f"{alarm_id}:opened"]

    def acknowledged(self) -> dict[str, str]:
        """Return who acknowledged the alarms that are not over, by their ids."""
        open_alarms = (alarm for alarm in self._alarms.values() if alarm.returned_ms is None)
        return {alarm.id: alarm.acknowledged_by for alarm in open_alarms if alarm.acknowledged_by}

    def notices_of(self, alarm_id: str) -> list[Notice]:
        """Return what was made to tell of one alarm, in order."""
        return [notice for notice in self.notices if notice.alarm_id == alarm_id]

    def suppressions(self, at_ms: int | None = None) -> list[Suppression]:
        """Return what people are not told of, at a moment [ms] or ever."""
        return [one for one in self.kept if at_ms is None or one.is_in_force(at_ms)]
