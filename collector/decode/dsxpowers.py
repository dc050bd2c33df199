"""Points that tell the power of one asset: more than one is a doubt, and is told."""

from __future__ import annotations

from typing import Final

from facility.points import Point

MOST_SHOWN: Final = 100
"""How many assets with more than one point of power are told apart (our choice)."""


class Powers:
    """The points of power of each asset."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str, str], set[str]] = {}
        self._doubled: dict[tuple[str, str, str], str] = {}

    def put(self, point: Point) -> None:
        """Note a point."""
        if point.is_boundary:
            self._keys.setdefault(_whose(point), set()).add(point.key)
            self._look(_whose(point))

    def take(self, point: Point) -> None:
        """Note that a point tells no power any more, or that of another asset."""
        if point.is_boundary and (keys := self._keys.get(_whose(point))) is not None:
            keys.discard(point.key)
            self._look(_whose(point))

    @property
    def doubled(self) -> list[str]:
        """Each asset that more than one point tells the power of, with those points."""
        return list(self._doubled.values())

    def _look(self, whose: tuple[str, str, str]) -> None:
        keys = self._keys[whose]
        if not keys:
            del self._keys[whose]
        if len(keys) < 2:  # noqa: PLR2004 - one is as it should be
            self._doubled.pop(whose, None)
        elif whose in self._doubled or len(self._doubled) < MOST_SHOWN:
            some = " and ".join(sorted(keys)[:2])
            self._doubled[whose] = f"{whose[0]} has {len(keys)} points of {whose[1]}, such as {some}"


def _whose(point: Point) -> tuple[str, str, str]:
    return point.asset, point.quantity, point.feed
