"""The time above in a window, against a plain sum over every millisecond of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.alarms.time_above import TimeAbove

TICKS = st.lists(
    st.tuples(st.sampled_from((250, 1_000, 4_000)), st.booleans(), st.booleans()), min_size=1, max_size=40
)


def plain(history: list[tuple[int, int, bool]], window_ms: int) -> int:
    """Return how long one subject was in breach in the window before the last moment [ms]."""
    begin_ms = history[-1][1] - window_ms
    return sum(max(0, to_ms - max(from_ms, begin_ms)) for from_ms, to_ms, breach in history if breach)


@given(TICKS, st.sampled_from((500, 5_000, 20_000)), st.integers(0, 39))
def test_it_is_the_sum_over_the_window(
    ticks: list[tuple[int, bool, bool]], window_ms: int, stop: int
) -> None:
    """Whatever swings, and over a restart in between."""
    above = TimeAbove(window_ms, 1)
    at_ms = 1_000
    histories: list[list[tuple[int, int, bool]]] = [[], []]
    above.note(np.zeros(2, np.bool_), at_ms)
    for number, (step_ms, *breach) in enumerate(ticks):
        for history, is_in_breach in zip(histories, breach, strict=True):
            history.append((at_ms, at_ms + step_ms, is_in_breach))
        at_ms += step_ms
        found = above.note(np.array(breach), at_ms)
        assert found.tolist() == [plain(history, window_ms) for history in histories]
        if number == stop:
            saved, above = above.save(), TimeAbove(window_ms, 1)
            above.load(saved)


def test_subjects_keep_their_time_when_they_change_places() -> None:
    """One goes, one comes: the one that stays has what it had, and the new one nothing."""
    above = TimeAbove(60_000, 1)
    above.note(np.array([True, True]), 0)
    above.note(np.array([False, True]), 10_000)
    above.align(np.array([1]), np.array([2]), 3)

    assert above.note(np.zeros(3, np.bool_), 11_000).tolist() == [0, 0, 10_000]
    assert above.since_ms(2) == 0
