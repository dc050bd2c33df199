"""The register of points: which number each has, and what became known since the last append."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from facility.points import Asset, Point
from store.journal.entries import Known


class Register:
    """The register of points, shared by all decoders.

    Args:
        known: Every point that the journal has, as it is known best, by its number.
        brokers: The brokers that are listened to: what two of them bring under one key are two points.
    """

    def __init__(self, known: Mapping[int, Known], brokers: Iterable[str] = ()) -> None:
        self._brokers = frozenset(brokers)
        self._numbers = {entry.point.key: number for number, entry in known.items()}
        self._next = max(known, default=-1) + 1
        self._told: dict[int, tuple[Point, Asset | None]] = {
            number: (entry.point, entry.asset) for number, entry in known.items()
        }
        self._unconfirmed_ms = {n: entry.unconfirmed_ms for n, entry in known.items() if entry.unconfirmed_ms}
        self._news: dict[int, Known] = {}

    def own(self, point: Point) -> Point:
        """Return a point under a key of its own, where another broker brings one under the same."""
        number = self._numbers.get(point.key)
        known = None if number is None else self.point(number)
        others = self._brokers - {point.broker}
        if known is None or known.broker not in others:
            return point
        return replace(point, key=f"{point.broker}/{point.key}")

    def number(self, point: Point, asset: Asset | None = None) -> int:
        """Return a point's number; one that is new, or known otherwise now, is news.

        Args:
            point: What the source says it is.
            asset: Its asset, where the same source describes it.
        """
        number = self._numbers.get(point.key)
        if number is None:
            number = self._numbers[point.key] = self._next
            self._next += 1
        if self._told.get(number) != (point, asset):
            self._news[number] = Known(number, point, asset, self._unconfirmed_ms.get(number, 0))
        else:
            self._news.pop(number, None)
        return number

    def doubt(self, number: int, since_ms: int) -> None:
        """Note that a point means something else than before, and nothing confirms it yet: that is news.

        Args:
            number: Number of the point.
            since_ms: Since when [ms].
        """
        self._unconfirmed_ms[number] = since_ms
        self._renew(number)

    def confirm(self, number: int) -> None:
        """Note that what a point means is confirmed: that is news."""
        del self._unconfirmed_ms[number]
        self._renew(number)

    @property
    def unconfirmed_ms(self) -> Mapping[int, int]:
        """Since when points mean something that is not confirmed [ms], by their numbers."""
        return self._unconfirmed_ms

    def _renew(self, number: int) -> None:
        entry = self._news.get(number)
        point, asset = self._told[number] if entry is None else (entry.point, entry.asset)
        self._news[number] = Known(number, point, asset, self._unconfirmed_ms.get(number, 0))

    def point(self, number: int) -> Point | None:
        """Return what is known of a point, None where nothing is."""
        if (entry := self._news.get(number)) is not None:
            return entry.point
        told = self._told.get(number)
        return None if told is None else told[0]

    def find(self, key: str) -> int | None:
        """Return the number of the point of a key, None where it has none."""
        return self._numbers.get(key)

    @property
    def numbers(self) -> Iterable[int]:
        """The numbers of all points that the journal has."""
        return self._told.keys()

    def restore(self, known: Mapping[int, Known]) -> None:
        """Let what was handed on and never came into the journal be news again.

        Args:
            known: Every point that the journal has, by its number.
        """
        for number, (point, asset) in list(self._told.items()):
            if (entry := known.get(number)) is None or (entry.point, entry.asset) != (point, asset):
                self._news.setdefault(number, Known(number, point, asset))
                del self._told[number]

    def news(self) -> list[Known]:
        """Return what became known since this was last asked."""
        found, self._news = list(self._news.values()), {}
        self._told.update((entry.id, (entry.point, entry.asset)) for entry in found)
        return found
