"""Pauses between attempts double, have a bound, are spread, and honour what the other side asks for."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.backoff import Backoff

HALF = Backoff(first_s=1.0, longest_s=60.0, least=0.5)
WHOLE = Backoff(first_s=0.5, longest_s=30.0)


@pytest.mark.parametrize("backoff", [HALF, WHOLE])
@given(failures=st.integers(0, 10**9), asked_s=st.none() | st.floats(0, 1e6), seed=st.integers())
def test_a_pause_is_short_at_first_bounded_and_never_shorter_than_asked(
    backoff: Backoff, failures: int, asked_s: float | None, seed: int
) -> None:
    """However often it failed: between the least share of a doubled pause and all of it."""
    pause_s = backoff.pause_s(failures, Random(seed), asked_s=asked_s)  # noqa: S311 - jitter

    longest_s = min(backoff.longest_s, backoff.first_s * 2 ** min(max(failures - 1, 0), 10))
    assert max(backoff.least * longest_s, asked_s or 0.0) <= pause_s <= max(longest_s, asked_s or 0.0)


@pytest.mark.parametrize("backoff", [HALF, WHOLE])
def test_pauses_are_spread(backoff: Backoff) -> None:
    """Those who failed together do not come back together."""
    source = Random(1)  # noqa: S311 - jitter
    pauses_s = [backoff.pause_s(20, source) for _ in range(1_000)]
    least_s = backoff.least * backoff.longest_s

    assert min(pauses_s) < least_s + 1
    assert max(pauses_s) > backoff.longest_s - 1
