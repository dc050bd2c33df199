"""Bounds held against the truth: clear when it is not, over when it is not, and lesser lies."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from simulators.truth.episodes import Sight
from simulators.truth.terms import Agreement, Terms
from testing.randomdays.bounds import Bounds, false_certainties

LIMIT = 1_000_000
SIGHT = replace(Sight.perfect(0, [900_000, 1_100_000, 1_100_000]), recent=[900_000, 1_100_000, 1_150_000])


def wrong(low: int, high: int | None, second: int = 1, sight: Sight = SIGHT) -> list[str]:
    """Return what is wrong with bounds at a second, as the first words of each sentence."""
    agreement = Agreement((Terms(from_ms=0, committed=LIMIT),))
    said = [Bounds(at_ms=second * 1_000, low=low, high=high)]
    return [text.split(":")[0] for text in false_certainties("acme", agreement, sight, said)]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, None, []),
        (1_100_000, 1_100_000, []),
        (0, 999_999, ["false clear"]),
        (0, LIMIT, ["false clear"]),
        (0, LIMIT + 1, ["too low"]),
        (1_100_001, 1_100_001, ["too high"]),
    ],
)
def test_bounds_must_hold_the_truth(low: int, high: int | None, found: list[str]) -> None:
    """A bound below what could be known is the worse lie where the limit lies between."""
    assert wrong(low, high) == found


def test_over_for_certain_must_be_over() -> None:
    """A proof of an overdraw where there was none."""
    assert wrong(LIMIT + 1, None, second=0) == ["false overdraw"]
    assert wrong(900_001, None, second=0) == ["too high"]


def test_what_nobody_could_know_is_no_lie() -> None:
    """An open part of nothing excuses a clear; what was drawn lately excuses a lower bound."""
    assert wrong(0, LIMIT, sight=replace(SIGHT, open=[0, 0, 0])) == []
    assert wrong(1_150_000, None, second=2) == []


def test_a_lie_is_told_once_for_as_long_as_it_lasts() -> None:
    """And the delivery point counts."""
    terms = Terms(from_ms=0, committed=LIMIT, delivery=Fraction(2))
    said = [Bounds(at_ms=second * 1_000, low=0, high=2_000_000) for second in range(4)]

    found = list(false_certainties("acme", Agreement((terms,)), SIGHT, said))

    assert len(found) == 1
    assert found[0].startswith("too low: acme at 00:00:01")
