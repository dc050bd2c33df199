"""What each point is, as of an entry of the journal: readings mean what was described before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from facility.points import Point
from store.journal.entries import Entry, Known


class Meaning:
    """The description of each point that holds for the next readings."""

    def __init__(self) -> None:
        self._points: dict[int, Point] = {}
        self._is_given = False  # whether somebody holds the dictionary, in which nothing may change then

    @classmethod
    def at(cls, seq: int, told: Iterable[Entry]) -> Self:
        """Return what points are after an entry; those that are described only later, as they are then first.

        Args:
            seq: Number of the entry.
            told: Every entry that makes points known, in order.
        """
        meaning, later = cls(), list[Entry]()
        for entry in told:
            if entry.seq <= seq:
                meaning.take(entry)
            else:
                later.append(entry)
        for entry in later:
            for known in entry.content if isinstance(entry.content, tuple) else ():
                meaning._points.setdefault(known.id, known.point)
        return meaning

    def points(self) -> Mapping[int, Point]:
        """Return every point by its number; those in it stay as they are, whatever is learned later."""
        self._is_given = True
        return self._points

    def changes(self, entry: Entry) -> bool:
        """Tell whether an entry describes a point otherwise than before."""
        if not isinstance(entry.content, tuple):
            return False
        points = self._points
        return any(points.get(known.id, known.point) != known.point for known in entry.content)

    def take(self, entry: Entry) -> Sequence[Known]:
        """Take in an entry; return the points that it describes."""
        if not isinstance(entry.content, tuple):
            return ()
        if self._is_given and self.changes(entry):
            self._points, self._is_given = dict(self._points), False
        self._points.update((known.id, known.point) for known in entry.content)
        return entry.content
