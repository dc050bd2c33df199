"""One stream as a plain object that hears one reading after another: many at once are compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rules.telemetry.habit import LEARNT, TIMES
from rules.telemetry.liveness import (
    LEARNING_MS,
    LEAST_GAP_MS,
    LEAST_SILENCE_MS,
    MISSED_HEARTBEATS,
    NEVER,
    SEASON_MS,
    SURE_MS,
    USUAL_GAPS,
)


@dataclass(frozen=True)
class Said:
    """One reading: when it was measured and heard [ms], whether it was late, whether it is a heartbeat."""

    said_ms: int
    heard_ms: int
    is_late: bool
    is_beat: bool


@dataclass
class PlainStream:
    """What was heard of one stream, and what follows from it, in the words of `rules.telemetry.liveness`.

    Attributes:
        heartbeat_period_ms: How often its heartbeat comes [ms].
        repeat_ms: How long any of its values may stay without being repeated [ms].
        patience_ms: How long the most patient of its periodic points may say nothing [ms].
        has_heartbeat: Whether it has one.
    """

    heartbeat_period_ms: int
    repeat_ms: int
    patience_ms: int
    has_heartbeat: bool
    is_connected: bool = True
    was_away: bool = False
    is_late: bool = False
    fell_silent: bool = False
    died: bool = False
    met_ms: int = NEVER
    season_ms: int = NEVER
    listening_ms: int = NEVER
    first_ms: int = NEVER
    heard_ms: int = NEVER
    said_ms: int = NEVER
    heartbeat_ms: int = NEVER
    unsure_ms: int = NEVER
    this_season: list[int] = field(default_factory=list)
    season_before: list[int] = field(default_factory=list)
    gaps: int = 0

    def hear(self, readings: Sequence[Said]) -> tuple[bool, bool]:
        """Take in what one batch says; return whether it had fallen silent, and whether it had died."""
        in_order = sorted(readings, key=lambda reading: reading.said_ms)
        was_silent = min(reading.heard_ms for reading in readings) > self.until_ms()[1]
        found = was_silent and self.fell_silent, was_silent and self.died
        first, last = in_order[0], in_order[-1]
        heard_ms = max(reading.heard_ms for reading in readings)
        if self.met_ms == NEVER:
            self.met_ms = self.season_ms = first.said_ms
        if first.said_ms - self.season_ms >= SEASON_MS:
            self.season_before, self.this_season, self.season_ms = self.this_season, [], first.said_ms
        if self.said_ms == NEVER or self.was_away:
            self.first_ms, self.was_away = heard_ms, False
        else:
            self._note(first.said_ms - self.said_ms)
        for before, after in pairwise(in_order):
            if after.said_ms - before.said_ms >= LEAST_GAP_MS:
                self._note(after.said_ms - before.said_ms)
        if last.said_ms >= self.said_ms:
            self.said_ms, self.is_late = last.said_ms, last.is_late
        for reading in readings:
            self.notice(reading.heard_ms, is_beat=reading.is_beat)
        self.fell_silent = self.died = False
        return found

    def _note(self, gap_ms: int) -> None:
        self.gaps += 1
        self.this_season.append(gap_ms)

    def notice(self, heard_ms: int, *, is_beat: bool) -> None:
        """Take in that it lives, by a reading of which nothing else counts."""
        self.heard_ms = max(self.heard_ms, heard_ms)
        if is_beat:
            self.heartbeat_ms = max(self.heartbeat_ms, heard_ms)

    def restart(self, at_ms: int) -> None:
        """Begin another connection."""
        self.listening_ms, self.first_ms, self.said_ms = at_ms, NEVER, NEVER

    def connect(self, at_ms: int, *, is_connected: bool) -> None:
        """Take in that its broker is connected, or since when it is not."""
        self.is_connected = is_connected
        if is_connected:
            self.restart(at_ms)
        elif self.until_ms()[1] >= at_ms:
            self.died = False

    def resume(self) -> None:
        """Go on in a session that the broker kept."""
        self.is_connected = self.was_away = True

    def at(self, at_ms: int) -> tuple[bool, bool, bool]:
        """Return whether it is sure, talking and alive; remember what it is not."""
        sure_ms, talking_ms, alive_ms = self.until_ms()
        is_silent = at_ms > talking_ms != NEVER
        self.fell_silent |= is_silent
        self.died |= is_silent and self.is_connected
        is_sure = at_ms <= sure_ms and self.is_connected
        if not is_sure:
            self.unsure_ms = at_ms
        is_talking = talking_ms != NEVER and not is_silent and self.is_connected
        return is_sure, is_talking, at_ms <= alive_ms and self.is_connected

    def until_ms(self) -> tuple[int, int, int]:
        """Return until when it is sure, talking and alive if it is not heard again [ms]."""
        alive_ms = self._alive_until_ms()
        if self.said_ms == NEVER:
            return NEVER, NEVER, alive_ms
        # Each season keeps its longest, and with those of one before a few more.
        longest = [*sorted(self.this_season)[-TIMES:], *sorted(self.season_before)[-TIMES:]]
        is_usual = self.gaps >= LEARNT and len(longest) >= TIMES
        usual_ms = sorted(longest)[-TIMES] if is_usual else 0
        heard_for_ms, talking_ms = self.said_ms - self.met_ms, alive_ms
        if is_usual and heard_for_ms >= LEARNING_MS:
            quiet_ms = max(usual_ms * USUAL_GAPS, LEAST_SILENCE_MS, self.patience_ms)
            talking_ms = min(self.said_ms + quiet_ms, alive_ms)
        if self.is_late:
            return self.said_ms, talking_ms, alive_ms
        if not is_usual or heard_for_ms < SURE_MS:
            return talking_ms, talking_ms, alive_ms
        return min(self.said_ms + max(usual_ms, LEAST_GAP_MS) - 1, talking_ms), talking_ms, alive_ms

    def _alive_until_ms(self) -> int:
        if self.heard_ms == NEVER:
            return NEVER
        heard_ms = max(self.heard_ms, self.listening_ms)
        if not self.has_heartbeat:
            return heard_ms + max(self.repeat_ms, self.patience_ms)
        beat_ms = max(self.heartbeat_ms, self.first_ms, self.listening_ms)
        promised_ms = max(self.heartbeat_period_ms * MISSED_HEARTBEATS, self.patience_ms)
        return min(beat_ms, heard_ms) + promised_ms
