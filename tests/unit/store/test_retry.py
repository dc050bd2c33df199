"""Pauses between attempts."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from store.retry import pause_s


@given(st.integers(0, 10_000), st.none() | st.floats(0, 1e6), st.integers())
def test_a_pause_is_short_at_first_bounded_and_never_shorter_than_asked(
    attempt: int, retry_after_s: float | None, seed: int
) -> None:
    """Pauses double from half a second to thirty, are spread over all of that, and honour the server."""
    pause = pause_s(attempt, retry_after_s, Random(seed))  # noqa: S311 - spreads, hides nothing

    longest = min(30.0, 0.5 * 2 ** min(attempt, 10))
    assert (retry_after_s or 0.0) <= pause <= max(longest, retry_after_s or 0.0)


def test_pauses_are_spread() -> None:
    """Writers that failed together do not come back together."""
    random = Random(1)  # noqa: S311 - spreads, hides nothing

    pauses = [pause_s(20, None, random) for _ in range(1_000)]

    assert min(pauses) < 1
    assert max(pauses) > 29
