"""When what a broker had kept for us has been read: that is proved, and not taken for granted.

Two things prove it. A message that is new: a broker sends in the order in which it was given. Or an answer of
the broker to our question for a sign of life, where fewer messages came before it than had been acknowledged:
for each of those it would have sent another, if it had any. Silence alone proves nothing, for a network that
is cut is silent; a lag that does not fall proves nothing, for it may be us who read no faster than others
publish.
"""

from __future__ import annotations

from typing import Final

PROMPT_MS: Final = 500
"""What arrives within this of its source time is new: little enough that what is still on its way is judged
with what it belongs to, and more than a network takes."""
ANSWERS: Final = 3
"""So many answers in a row must show it: some brokers send beside their answers (our choice)."""
SETTLE_MS: Final = 1_000
"""None before this counts: some brokers begin to send a while after a connection was made (our choice)."""
LONGEST_MS: Final = 120_000
"""However much is kept, judging is held up no longer after a start (our choice)."""


class Backlog:
    """Follows what arrives after a connection was made.

    Args:
        now_ms: When it was made [ms].

    Attributes:
        began_ms: When it was made [ms].
    """

    def __init__(self, now_ms: int) -> None:
        self.began_ms = now_ms
        self._empty = 0

    def is_new(self, lag_ms: float) -> bool:
        """Tell whether a batch shows that what arrives is new.

        Args:
            lag_ms: How long after its source time what it holds arrived, as a median: one clock that is fast
                proves nothing [ms].
        """
        return lag_ms < PROMPT_MS

    def is_empty(self, now_ms: int, acknowledged: int, answer: int) -> bool:
        """Tell whether the broker has nothing more.

        Args:
            now_ms: The time [ms].
            acknowledged: How many messages had been acknowledged before the broker was asked.
            answer: How many came between question and answer.
        """
        if now_ms - self.began_ms < SETTLE_MS:
            return False
        self._empty = self._empty + 1 if answer < max(1, acknowledged) else 0
        return self._empty >= ANSWERS
