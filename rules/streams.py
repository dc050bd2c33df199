"""Streams: what one publisher sends over one connection, and whether it still lives.

A publisher proves its life by its heartbeat, and by speaking at all: one that has said something every
second for minutes and has been quiet for many times that is not known to be alive, long before its
heartbeat is missed for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEVER: Final = -(2**62)
"""A time before all times, far enough from the ends of 64 bits to reckon with."""

LEAST_SILENCE_MS: Final = 5_000
"""No stream is called silent sooner than this."""
USUAL_GAPS: Final = 3
"""How many times its longest usual gap a stream may be quiet."""
LEARNING_MS: Final = 30_000
"""How long a stream must have been heard before its gaps count as usual."""
SEASON_MS: Final = 150_000
"""The longest gap is that of this season and the one before."""
MISSED_HEARTBEATS: Final = 3
"""How many heartbeats may be missed (domain facts, section 7.2)."""


@dataclass(slots=True)
class Stream:
    """What one publisher sends over one connection.

    Attributes:
        place: Its number.
        broker: The name of the broker that it comes through.
        heartbeat_period_ms: How often its heartbeat comes, if it has one [ms].
        repeat_ms: How long any of its values may stay without being repeated [ms].
        has_heartbeat: Whether it has a heartbeat.
        is_connected: Whether we are connected to its broker.
        first_ms: When it was first heard [ms].
        heard_ms: When it was last heard [ms].
        heartbeat_ms: When its heartbeat was last heard [ms].
        longest_ms: The longest gap of this season [ms].
        longest_before_ms: The longest gap of the season before [ms].
        season_ms: When this season began [ms].
        fell_silent: Whether it was found not to live, and has not been heard since.
    """

    place: int
    broker: str
    heartbeat_period_ms: int
    repeat_ms: int
    has_heartbeat: bool = False
    is_connected: bool = True
    first_ms: int = NEVER
    heard_ms: int = NEVER
    heartbeat_ms: int = NEVER
    longest_ms: int = 0
    longest_before_ms: int = 0
    season_ms: int = NEVER
    fell_silent: bool = False

    def hear(self, first_ms: int, last_ms: int) -> None:
        """Note that something was heard between two moments [ms]."""
        if self.heard_ms == NEVER:
            self.first_ms = self.season_ms = first_ms
        else:
            if first_ms - self.season_ms >= SEASON_MS:
                self.longest_before_ms, self.longest_ms = self.longest_ms, 0
                self.season_ms = first_ms
            self.longest_ms = max(self.longest_ms, first_ms - self.heard_ms)
        self.heard_ms = max(self.heard_ms, last_ms)

    def restart(self) -> None:
        """Forget gaps: the last one was ours."""
        self.first_ms = self.heard_ms = NEVER
        self.longest_ms = self.longest_before_ms = 0

    def check(self, at_ms: int) -> bool:
        """Tell whether the publisher is known to live at a moment [ms], and remember if it is not."""
        is_alive = self.is_alive_at(at_ms)
        if not is_alive and self.heard_ms != NEVER:
            self.fell_silent = True
        return is_alive

    def is_alive_at(self, at_ms: int) -> bool:
        """Tell whether the publisher is known to live at a moment [ms]."""
        if not self.is_connected or self.heard_ms == NEVER:
            return False
        most_ms = self.heartbeat_period_ms * MISSED_HEARTBEATS if self.has_heartbeat else self.repeat_ms
        if self.has_heartbeat and at_ms - max(self.heartbeat_ms, self.first_ms) > most_ms:
            return False
        quiet_ms = most_ms
        if self.heard_ms - self.first_ms >= LEARNING_MS:
            usual_ms = max(self.longest_ms, self.longest_before_ms) * USUAL_GAPS
            quiet_ms = min(max(usual_ms, LEAST_SILENCE_MS), most_ms)
        return at_ms - self.heard_ms <= quiet_ms
