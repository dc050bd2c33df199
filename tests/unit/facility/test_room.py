"""Arrays that grow have room for a share more than there was, and grow seldom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.room import room_for

# Places needed, places there are, room afterwards.
ROOMS = [
    (0, 0, 0),
    (1, 0, 1),
    (64, 64, 64),
    (65, 64, 128),
    (200, 64, 200),
    (4_097, 4_096, 8_192),
    (8_193, 8_192, 10_240),
    (100_000, 8_192, 100_000),
    (3, 8_192, 8_192),
]


@pytest.mark.parametrize(("places", "have", "room"), ROOMS)
def test_what_is_few_is_doubled_and_what_is_much_grows_by_a_quarter(
    places: int, have: int, room: int
) -> None:
    """However much is needed at once, there is room for it; and nothing ever shrinks."""
    assert room_for(places, have) == room


@given(st.integers(2, 200_000))
def test_to_grow_one_by_one_copies_each_place_a_few_times(places: int) -> None:
    """Once much is needed a quarter is left over at most, and five times the rest was copied."""
    have = copied = 0
    for needed in (1, *range(2, places, max(places // 997, 1)), places):
        room = room_for(needed, have)
        copied += have if room > have else 0
        have = room

    assert have <= max(8_192, places * 5 // 4)
    assert copied <= 5 * places + 8_192
