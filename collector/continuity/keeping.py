"""What a broker can keep for us while we are away, and whether a break was short enough for that.

A session that the broker resumes proves nothing: one whose queue was full says so as well. What proves that
nothing is missing is a queue of known size, and that less was published meanwhile.
"""

from __future__ import annotations

from collections import deque
from typing import Final

USUAL_QUEUE: Final = 1_000
"""What most brokers keep as they come out of the box, messages: mosquitto 2, EMQX, HiveMQ, VerneMQ."""
MARGIN: Final = 2
"""How much faster than before a break may be published in it: who loses a feed says more (our choice)."""
FULL: Final = 0.9
"""A queue that sent this share of its size may have been full: some count messages in flight (our choice)."""
SPAN_MS: Final = 10_000
"""Over how long a rate is taken [ms] (our choice)."""
SPANS: Final = 60
"""How many spans are remembered; the busiest counts (our choice)."""


class Keeping:
    """Follows how much is published, and tells what a broker with a bounded queue may have dropped.

    Args:
        queued_messages: How many messages the broker's queue can hold; None where the site file does not say.
        rate_per_s: How much was published before this start, at most [messages/s]; None if not known.
    """

    def __init__(self, queued_messages: int | None, rate_per_s: float | None = None) -> None:
        self._queue = queued_messages
        self._spans = deque[float]([] if rate_per_s is None else [rate_per_s], maxlen=SPANS)
        self._began_ms: int | None = None
        self._count = 0

    @property
    def rate_per_s(self) -> float | None:
        """How much is published at most [messages/s]; None where that is not known yet."""
        return max(self._spans, default=None)

    def hear(self, now_ms: int, count: int) -> None:
        """Note that messages came as they were published.

        Args:
            now_ms: When [ms].
            count: How many.
        """
        if self._began_ms is None:
            self._began_ms, self._count = now_ms, 0
            return
        self._count += count
        elapsed_ms = now_ms - self._began_ms
        if elapsed_ms >= SPAN_MS:
            self._spans.append(self._count * 1_000 / elapsed_ms)
            self._began_ms, self._count = now_ms, 0

    def pause(self) -> None:
        """Note that what comes from now on does not come as it is published."""
        self._began_ms = None

    def doubt_of_break(self, away_ms: int) -> str:
        """Return why a broker may have dropped something while we were away, "" where it cannot have.

        Args:
            away_ms: For how long we were [ms].
        """
        away = f"away for {away_ms / 1_000:.1f} s"
        if self._queue is None:
            return f"{away}, and the site file does not say what the broker's queue can hold"
        rate = self.rate_per_s
        if rate is None:
            return f"{away}, and it is not known how much was published before"
        if away_ms / 1_000 * rate * MARGIN > self._queue:
            return (
                f"{away}, and a queue of {self._queue} messages holds {self._queue / rate / MARGIN:.1f} s"
                f" at twice the {rate:.1f} messages/s of before"
            )
        return ""

    def doubt_of_backlog(self, count: int) -> str:
        """Return why a broker may have dropped something, by what it had kept; "" where it cannot have.

        Args:
            count: How many messages came until they were new.
        """
        queue = USUAL_QUEUE if self._queue is None else self._queue
        if count < queue * FULL:
            return ""
        return f"{count} messages had been kept, and a queue of {queue} may have been full"

    def doubt_of_delay(self, delay_ms: int) -> str:
        """Return why a broker may have dropped something while we were connected, "" where it cannot have.

        Args:
            delay_ms: For how long a message waited for our acknowledgement [ms].
        """
        queue = USUAL_QUEUE if self._queue is None else self._queue
        rate = self.rate_per_s or 0.0
        if delay_ms / 1_000 * rate * MARGIN <= queue:
            return ""
        return f"nothing was acknowledged for {delay_ms / 1_000:.1f} s, at {rate:.1f} messages/s"
