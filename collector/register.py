"""The register of points: which number each has, and what became known since the last append."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from facility.invariants import present
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
        self._told = dict(known)
        self._news: dict[int, Known] = {}

    def own(self, point: Point) -> Point:
        """Return a point under a key of its own, where another broker brings one under the same."""
        number = self._numbers.get(point.key)
        known = None if number is None else self.point(number)
        if known is None or (broker := known.broker) == point.broker or broker not in self._brokers:
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
        before = self._latest(number)
        self._note(Known(number, point, asset, before.unconfirmed_ms if before else 0))
        return number

    def group(self, number: int, stream: str) -> Point:
        """Note that a known point is of another stream, and return it as it is now: that is news.

        Args:
            number: Number of the point.
            stream: Whose silence is its silence from now on.
        """
        known = present(self._latest(number), "a known point")
        point = replace(known.point, stream=stream)
        self._note(Known(number, point, known.asset, known.unconfirmed_ms))
        return point

    def doubt(self, number: int, since_ms: int) -> None:
        """Note that a point means something else than before, and nothing confirms it yet: that is news.

        Args:
            number: Number of the point.
            since_ms: Since when [ms].
        """
        self._set_unconfirmed(number, since_ms)

    def confirm(self, number: int) -> None:
        """Note that what a point means is confirmed: that is news."""
        self._set_unconfirmed(number, 0)

    @property
    def unconfirmed(self) -> list[int]:
        """The numbers of the points that mean something that is not confirmed."""
        return [number for number, entry in {**self._told, **self._news}.items() if entry.unconfirmed_ms]

    def _latest(self, number: int) -> Known | None:
        return self._news.get(number) or self._told.get(number)

    def _set_unconfirmed(self, number: int, since_ms: int) -> None:
        self._note(replace(present(self._latest(number), "a known point"), unconfirmed_ms=since_ms))

    def _note(self, entry: Known) -> None:
        if self._told.get(entry.id) == entry:
            self._news.pop(entry.id, None)
        else:
            self._news[entry.id] = entry

    def point(self, number: int) -> Point | None:
        """Return what is known of a point, None where nothing is."""
        entry = self._latest(number)
        return None if entry is None else entry.point

    def find(self, key: str) -> int | None:
        """Return the number of the point of a key, None where it has none."""
        return self._numbers.get(key)

    @property
    def numbers(self) -> Iterable[int]:
        """The numbers of all points that the journal has."""
        return self._told.keys()

    def take_back(self, news: Iterable[Known]) -> None:
        """Let what `news` returned and was not appended be news again; what became known since holds.

        Args:
            news: What was returned.
        """
        for entry in news:
            if self._told.get(entry.id) is entry:
                del self._told[entry.id]
            self._news.setdefault(entry.id, entry)

    def restore(self, known: Mapping[int, Known]) -> None:
        """Let what was handed on and never came into the journal be news again.

        Args:
            known: Every point that the journal has, by its number.
        """
        for number, entry in self._told.items():
            if known.get(number) != entry:
                self._news.setdefault(number, entry)
        self._told = dict(known)

    @property
    def has_news(self) -> bool:
        """Whether anything became known since `news` was last asked."""
        return bool(self._news)

    def news(self) -> list[Known]:
        """Return what became known since this was last asked."""
        found = self._news
        self._news = {}
        self._told.update(found)
        return list(found.values())
