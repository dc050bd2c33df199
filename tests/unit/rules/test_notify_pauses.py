"""How long is waited before a page is tried again."""

from __future__ import annotations

import random

import pytest

from rules.notify.base import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s


def test_pauses_double_and_are_drawn_from_their_upper_half() -> None:
    """Many monitors that lost one receiver do not come back to it all at once."""
    chance = random.Random(7)  # noqa: S311 - jitter

    for attempts in range(1, 40):
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempts - 1))
        pauses = {pause_s(attempts, None, chance) for _ in range(50)}
        assert len(pauses) > 40
        assert all(longest / 2 <= pause <= longest for pause in pauses)


@pytest.mark.parametrize(("asked_s", "least_s"), [(30.0, 30.0), (0.0, 0.5), (None, 0.5)])
def test_what_a_receiver_asks_for_is_never_cut_short(asked_s: float | None, least_s: float) -> None:
    """Retry-After is the least pause, whatever the number of attempts says."""
    assert pause_s(1, asked_s, random.Random(3)) >= least_s  # noqa: S311 - jitter
