"""When what a broker had kept for us has been read."""

from __future__ import annotations

from typing import Final

PROMPT_MS: Final = 500
"""What arrives within this of its source time is new: little enough that what is still on its way is judged
with what it belongs to, and more than a network takes."""
STEADY_MS: Final = 5_000
"""A lag that has not fallen by a second in this time is a slow clock, not a backlog."""
LONGEST_MS: Final = 120_000
"""However that looks, judging waits no longer."""


class Backlog:
    """Follows the lag of what arrives after a connection was made.

    Args:
        now_ms: When it was made [ms].
    """

    def __init__(self, now_ms: int) -> None:
        self._began_ms = now_ms
        self._reference: tuple[int, int] | None = None

    def is_over(self, now_ms: int, lag_ms: int) -> bool:
        """Tell whether the backlog is over.

        Args:
            now_ms: The time [ms].
            lag_ms: How long after its source time the last message arrived [ms].
        """
        if lag_ms < PROMPT_MS or now_ms - self._began_ms > LONGEST_MS:
            return True
        if self._reference is None or lag_ms < self._reference[1] - 1_000:
            self._reference = (now_ms, lag_ms)
            return False
        return now_ms - self._reference[0] >= STEADY_MS
