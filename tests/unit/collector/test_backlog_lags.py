"""When a broker's backlog has been read: told by how the lag of what arrives falls."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from collector.backlog import LONGEST_MS, PROMPT_MS, STEADY_MS, Backlog
from tests.builders import T0_MS

# Each row: after how long [ms] a message with which lag [ms] came; and with which of them it was over.
_TABLE: dict[str, tuple[Sequence[tuple[int, int]], int | None]] = {
    "prompt at once": ([(0, 5)], 0),
    "just not prompt": ([(0, PROMPT_MS)], None),
    "just prompt": ([(0, PROMPT_MS - 1)], 0),
    "stamped ahead": ([(0, -20_000)], 0),
    "an hour, read in three seconds": (
        [(0, 3_600_000), (1_000, 2_400_000), (2_000, 1_200_000), (3_000, 100)],
        3,
    ),
    "falling by more than a second": (
        [(i * 5_000, 60_000 - i * 1_001) for i in range(20)],
        None,
    ),
    "a clock that is 30 s slow": ([(0, 30_000), (STEADY_MS - 1, 30_000), (STEADY_MS, 30_000)], 2),
    "falling by just a second in all": ([(0, 30_000), (STEADY_MS, 29_000)], 1),
    "falling by a step more": ([(0, 30_000), (STEADY_MS, 28_999), (2 * STEADY_MS, 28_999)], 2),
    "rising": ([(0, 30_000), (STEADY_MS, 60_000)], 1),
    "one old message between new ones": ([(0, 3_600_000), (10, 5)], 1),
    "without end": (
        [(i * 1_000, 10_000_000 - i * 2_000) for i in range(LONGEST_MS // 1_000 + 2)],
        LONGEST_MS // 1_000 + 1,
    ),
}


@pytest.mark.parametrize(("arrivals", "over"), _TABLE.values(), ids=_TABLE)
def test_the_backlog_is_over(arrivals: Sequence[tuple[int, int]], over: int | None) -> None:
    """It is over with the first message that is new, that shows a slow clock, or that comes too late."""
    backlog = Backlog(T0_MS)

    answers = [backlog.is_over(T0_MS + after_ms, lag_ms) for after_ms, lag_ms in arrivals]

    assert answers == [i == over for i in range(len(arrivals))]
