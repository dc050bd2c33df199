"""Which points may be known otherwise than they were: what is made of all others stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from facility.readings import BoolArray, IntArray
from rules.draw.summation_plan import Index
from rules.telemetry.columns import Terms
from rules.telemetry.liveness import NEVER

if TYPE_CHECKING:
    from rules.telemetry.state import Life

_NOTHING_LAPSES: Final = -NEVER


class News:
    """Notes what becomes known otherwise, from one time that somebody asks to the next.

    That is what was heard, or lost by a break of its stream: whose terms were reckoned anew. It is what
    became too old meanwhile. And it is every point of a channel that is worth something else now, or whose
    points' own habits decide: those change with time.
    """

    def __init__(self) -> None:
        self._is_new: BoolArray = np.zeros(1, np.bool_)
        self._asked_ms = NEVER
        self._lapse_ms = NEVER
        self._life: Life | None = None
        self._was_disputed = False

    def put(self, points: Index, until_ms: IntArray, places: int, at_ms: int) -> None:
        """Note points whose terms were reckoned anew.

        Args:
            points: Those whose terms they are.
            until_ms: Until when each is certain from now on [ms].
            places: How many points there are room for.
            at_ms: The moment [ms].
        """
        if len(self._is_new) < places:
            self._is_new = np.append(self._is_new, np.zeros(places - len(self._is_new), np.bool_))
        self._is_new[points] = True
        self._lapse_ms = min(self._lapse_ms, int(until_ms[until_ms > at_ms].min(initial=_NOTHING_LAPSES)))

    def take(
        self, life: Life, terms: Terms, by_channel: tuple[Index, Index], at_ms: int, *, is_disputed: bool
    ) -> BoolArray | None:
        """Return which points may be known otherwise than at the call before; None for any of them.

        Args:
            life: What each channel is worth.
            terms: Until when what is known of each point holds.
            by_channel: The judged points, those of one channel after those of another, and where each begins.
            at_ms: The moment [ms].
            is_disputed: Whether any point said two values of one time lately.
        """
        before, is_new, asked_ms = self._life, self._is_new, self._asked_ms
        is_any = before is None or self._was_disputed or is_disputed or at_ms < asked_ms
        if at_ms >= self._lapse_ms:
            until_ms = terms.certain_until_ms
            is_later = until_ms > at_ms
            lapsed = np.flatnonzero((until_ms > asked_ms) & ~is_later)
            is_new[lapsed[lapsed < len(is_new)]] = True
            self._lapse_ms = int(np.min(until_ms, where=is_later, initial=_NOTHING_LAPSES))
        if before is not None and not is_any:
            points, starts = by_channel
            for channel in np.flatnonzero(life.differs_from(before)).tolist():
                is_new[points[starts[channel] : starts[channel + 1]]] = True
        self._is_new = np.zeros(len(is_new), np.bool_)
        self._life, self._asked_ms, self._was_disputed = life, at_ms, is_disputed
        return None if is_any else is_new
