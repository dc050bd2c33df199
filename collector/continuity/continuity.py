"""Whether what came from a broker is whole: what the journal is told of breaks, and of how they end."""

from __future__ import annotations

from typing import Final

from collector.continuity.backlog import LONGEST_MS, Backlog
from collector.continuity.keeping import Keeping
from collector.mqtt.message import ConnectionChange, ConnectionEvent
from store.journal.entries import Mark, MarkKind

PATIENCE_MS: Final = 20_000
"""A broker that does not answer at the start holds up judging for so long at most, and so does one that goes
away again before it has sent what it kept."""
NEVER: Final = 2**62
ASK_MS: Final = 100
"""How often a broker is asked whether it has more (our choice)."""


class Continuity:
    """Follows the connection with a broker, and tells the journal what follows from it.

    Args:
        broker: Name of the broker.
        keeping: What it can keep for us.
        now_ms: The time [ms].
        since_ms: Up to when the journal knows what happened before this start [ms], 0 for never.
        gaps: Breaks before this start after which something may be missing.

    Attributes:
        gaps: Breaks after which something may be missing.
    """

    def __init__(self, broker: str, keeping: Keeping, *, now_ms: int, since_ms: int, gaps: int = 0) -> None:
        self.gaps = gaps
        self._broker = broker
        self._keeping = keeping
        self._started_ms = now_ms
        self._backlog: Backlog | None = Backlog(now_ms)
        self._is_recovering = bool(since_ms)
        self._was_connected = False
        self._is_connected = False
        self._away_ms: int | None = since_ms or None
        self._lost: tuple[int, ConnectionEvent] | None = None
        self._kept = 0
        self._acknowledged = self._expected = 0
        self._asked_ms = 0
        self._empty_ms: int | None = None

    @property
    def is_behind(self) -> bool:
        """Whether what arrives may be old."""
        return self._backlog is not None

    def opening(self) -> Mark:
        """Return what the journal is told at the start."""
        return self._mark(MarkKind.STARTED, self._away_ms or self._started_ms, "collector started")

    # What happens to the connection ---------------------------------------------------

    def happen(self, event: ConnectionEvent, now_ms: int) -> list[Mark]:
        """Take in what happened to the connection.

        Args:
            event: What happened.
            now_ms: The time [ms].
        """
        match event.change:
            case ConnectionChange.LOST:
                return self._lose(event, now_ms)
            case ConnectionChange.PAUSED:
                return self._pause(event, now_ms)
            case ConnectionChange.OVERLOADED:
                self._backlog = self._backlog or Backlog(now_ms)
                return [self._mark(MarkKind.OVERLOADED, event.since_ms, event.detail)]
            case ConnectionChange.RENEWED | ConnectionChange.RESUMED:
                self._backlog, self._empty_ms, self._lost = Backlog(now_ms), None, None
                self._is_connected = self._was_connected = True
                return self._connect(event)

    def _connect(self, event: ConnectionEvent) -> list[Mark]:
        """Return what a connection means. A first session is no loss: there was none before."""
        is_resumed = event.change is ConnectionChange.RESUMED
        if self._away_ms is None or is_resumed:
            connected = self._mark(MarkKind.CONNECTED, event.since_ms, event.detail)
            if self._away_ms is None:
                return [connected]
            doubt = event.doubt or self._keeping.doubt_of_break(event.since_ms - self._away_ms)
            return [connected, *self._gap(self._away_ms, event.since_ms, doubt)]
        self.gaps += 1
        detail = f"{event.detail}: the broker had forgotten ours, and what it held for us is gone"
        return [self._mark(MarkKind.SESSION_LOST, event.since_ms, detail)]

    def _lose(self, event: ConnectionEvent, now_ms: int) -> list[Mark]:
        self._keeping.pause()
        self._is_connected = False
        self._away_ms = (
            event.since_ms if self._backlog is None else min(self._away_ms or NEVER, event.since_ms)
        )
        if self._is_recovering:
            self._lost = now_ms, event  # the broker has more for us: judging waits for it a while longer
            return []
        self._backlog = None
        return [self._mark(MarkKind.LOST, event.since_ms, event.detail)]

    def _pause(self, event: ConnectionEvent, now_ms: int) -> list[Mark]:
        """Return what a standstill of ours means: a break, in a connection that stands."""
        if not self._is_connected:
            return []
        gap = self._gap(event.since_ms, now_ms, self._keeping.doubt_of_delay(now_ms - event.since_ms))
        self._keeping.pause()
        if self._is_recovering:
            return gap  # nothing is judged, so that nobody is called silent
        if self._backlog is None:
            self._away_ms = event.since_ms
        self._backlog, self._empty_ms = Backlog(now_ms), None
        return [
            self._mark(MarkKind.LOST, event.since_ms, event.detail),
            self._mark(MarkKind.CONNECTED, now_ms, event.detail),
            *gap,
        ]

    # What arrives ---------------------------------------------------------------------

    def take(self, count: int, waited_ms: int, lag_ms: float | None, now_ms: int) -> list[Mark]:
        """Take in that messages are safe and acknowledged.

        Args:
            count: How many of them came at least once.
            waited_ms: For how long the first of them waited for that [ms].
            lag_ms: How long after its source time arrived what came at least once of them, as a median [ms];
                None where they hold no such reading. It says nothing but while we are behind.
            now_ms: The time [ms].
        """
        self._acknowledged = count
        if self._backlog is None:
            doubt = self._keeping.doubt_of_delay(waited_ms)
            self._keeping.hear(now_ms, count)
            return self._gap(now_ms - waited_ms, now_ms, doubt)
        self._kept += count
        if self._empty_ms is not None and now_ms - waited_ms >= self._empty_ms:
            return self._catch_up("nothing more is kept for us", now_ms)
        if lag_ms is not None and self._backlog.is_new(lag_ms):
            return self._catch_up("what arrives is new", now_ms)
        return []

    def asks(self, now_ms: int) -> bool:
        """Tell whether the broker is to be asked whether it has more.

        Args:
            now_ms: The time [ms].
        """
        if self._backlog is None or not self._is_connected or now_ms - self._asked_ms < ASK_MS:
            return False
        self._asked_ms = now_ms
        self._expected, self._acknowledged = self._acknowledged, 0
        return True

    def answer(self, came: int, now_ms: int) -> None:
        """Take in an answer of the broker.

        Args:
            came: How many messages came between question and answer.
            now_ms: The time [ms].
        """
        if self._backlog is not None and self._backlog.is_empty(now_ms, self._expected, came):
            self._empty_ms = now_ms

    def look(self, now_ms: int, *, is_idle: bool) -> list[Mark]:
        """Return what follows from the time that has passed.

        Args:
            now_ms: The time [ms].
            is_idle: Whether everything that came has been taken.
        """
        if self._backlog is None:
            return []
        if self._lost is not None and now_ms - self._lost[0] > PATIENCE_MS:
            event = self._lost[1]
            return self._give_up(event.since_ms, event.detail)
        if not self._was_connected and now_ms - self._started_ms > PATIENCE_MS:
            return self._give_up(self._away_ms or self._started_ms, "no answer")
        if self._is_connected and self._empty_ms is not None and is_idle:
            return self._catch_up("nothing more is kept for us", now_ms)
        if self._is_recovering and self._is_connected and now_ms - self._backlog.began_ms > LONGEST_MS:
            # Judging goes on; what arrives is known to be old until the contrary is proved.
            self._is_recovering = False
            detail = "what was kept is not read yet"
            return [self._mark(kind, now_ms, detail) for kind in (MarkKind.LOST, MarkKind.CONNECTED)]
        return []

    def _give_up(self, since_ms: int, detail: str) -> list[Mark]:
        self._backlog = self._lost = None
        self._is_recovering = False
        return [self._mark(MarkKind.LOST, since_ms, detail)]

    def _catch_up(self, detail: str, now_ms: int) -> list[Mark]:
        gaps: list[Mark] = []
        if self._away_ms is not None:
            gaps = self._gap(self._away_ms, now_ms, self._keeping.doubt_of_backlog(self._kept))
        self._backlog = self._away_ms = self._empty_ms = None
        self._is_recovering, self._kept = False, 0
        return [*gaps, self._mark(MarkKind.CAUGHT_UP, now_ms, detail)]

    def _gap(self, since_ms: int, until_ms: int, doubt: str) -> list[Mark]:
        if not doubt:
            return []
        self.gaps += 1
        return [Mark(MarkKind.GAP, self._broker, since_ms, doubt, until_ms)]

    def _mark(self, kind: MarkKind, since_ms: int, detail: str) -> Mark:
        return Mark(kind, self._broker, since_ms, detail)
