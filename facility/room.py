"""Room in arrays that grow: enough that growing costs little, and not as much again as is used."""

from __future__ import annotations

from typing import Final

FEW: Final = 4_096
"""Up to so many places there is room for as many again (our choice)."""


def room_for(places: int, have: int) -> int:
    """Return how many places an array is to have.

    Args:
        places: How many are needed.
        have: How many there are.

    Returns:
        At least `places`, and a share more than there were: all of them where they are few, else a quarter.
    """
    return max(places, have + (have if have <= FEW else have // 4)) if places > have else have
