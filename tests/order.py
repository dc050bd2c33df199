"""In which order tests begin where several workers share them: those that wait beside those that compute.

A test on real servers mostly waits. Where all of these begin together, the workers wait at the same time and
then compute at the same time. So each stands among as much work as its share of the waiting, and the last of
them well before the end, where a worker that still waits would be the only one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import pytest

WAITING: Final = "integration"
"""The folder whose tests mostly wait."""
SECONDS: Final = {"integration": 4.0, "rehearsals": 3.0, "properties": 1.0, "grafana": 0.5, "scenarios": 0.3}
"""How long a test of a folder takes, roughly [s]; those of the others take `SHORT_S`."""
SHORT_S: Final = 0.03
MOST_S: Final = 60.0
"""How long tests that stay together take at most, roughly [s]: what they share is made once."""
LAST: Final = 0.85
"""After which part of the work the last test that waits begins."""

Unit = list[pytest.Item]
"""Tests that stay together, on one worker."""


def spread(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return tests in the order in which they begin."""
    waiting, working = list[Unit](), list[Unit]()
    for unit in units(items):
        (waiting if folder_of(unit[0]) == WAITING else working).append(unit)
    # What stays together takes longest, and so begins first.
    waiting.sort(key=len, reverse=True)
    found, left = list[pytest.Item](), iter(working)
    whole_s, all_s = total_s(waiting), total_s(working) * LAST
    waited_s = worked_s = 0.0
    for unit in waiting:
        while worked_s * whole_s < waited_s * all_s and (work := next(left, None)) is not None:
            found += work
            worked_s += total_s([work])
        found += unit
        waited_s += total_s([unit])
    return found + [item for work in left for item in work]


def units(items: Iterable[pytest.Item]) -> Iterator[Unit]:
    """Yield the tests that stay together, in the order of the first of them."""
    found = dict[str, Unit]()
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        found.setdefault(item.nodeid if mark is None else f"group {mark.args[0]}", []).append(item)
    yield from found.values()


def total_s(units: Iterable[Unit]) -> float:
    """Return how long tests take, roughly [s]."""
    return sum(min(MOST_S, sum(SECONDS.get(folder_of(item), SHORT_S) for item in unit)) for unit in units)


def folder_of(item: pytest.Item) -> str:
    """Return the folder of `tests` that a test is in."""
    return item.nodeid.split("/", 2)[1]
