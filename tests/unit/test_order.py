"""Tests that wait begin among tests that compute, and those that share something stay together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from tests.order import LAST, MOST_S, SECONDS, SHORT_S, spread


@dataclass(frozen=True, slots=True)
class Item:
    """As much of a test as its order follows from.

    Attributes:
        nodeid: Its path and name.
        group: What it shares with others, "" for nothing.
    """

    nodeid: str
    group: str = ""

    def get_closest_marker(self, _name: str) -> pytest.Mark | None:
        """Return the mark that names its group."""
        return pytest.mark.xdist_group(self.group).mark if self.group else None


def ordered(*items: Item) -> list[Item]:
    """Return tests in the order in which they begin."""
    return cast("list[Item]", spread(cast("list[pytest.Item]", items)))


def test_those_that_wait_begin_among_as_much_work_as_their_share() -> None:
    """The first at once, the last when its part of the work has begun; all in the order that they had."""
    waits = [Item(f"tests/integration/test_a.py::test_{n}") for n in range(4)]
    works = [Item(f"tests/unit/test_b.py::test_{n}") for n in range(1_000)]

    found = ordered(*waits, *works)

    assert [item for item in found if item in waits] == waits
    assert [item for item in found if item not in waits] == works
    before = [sum(item in works for item in found[: found.index(wait)]) for wait in waits]
    assert before == pytest.approx([1_000 * LAST * n / 4 for n in range(4)], abs=1)


def test_work_counts_by_how_long_it_takes() -> None:
    """A test that computes for long stands for many short ones."""
    waits = [Item(f"tests/integration/test_a.py::test_{n}") for n in range(2)]
    long = [Item(f"tests/properties/test_b.py::test_{n}") for n in range(100)]
    short = [Item(f"tests/unit/test_c.py::test_{n}") for n in range(1_000)]

    found = ordered(*waits, *long, *short)

    half_s = LAST * (100 * SECONDS["properties"] + 1_000 * SHORT_S) / 2
    assert found[0] == waits[0]
    assert found.index(waits[1]) - 1 == pytest.approx(half_s / SECONDS["properties"], abs=1)


def test_what_stays_together_begins_first_and_counts_for_no_more_than_it_takes() -> None:
    """What tests share is made once, however many they are."""
    singles = [Item(f"tests/integration/test_a.py::test_{n}") for n in range(15)]
    group = [Item(f"tests/integration/test_b.py::test_{n}", "demo") for n in range(100)]
    works = [Item(f"tests/unit/test_c.py::test_{n}") for n in range(1_000)]
    assert len(singles) * SECONDS["integration"] == MOST_S < len(group) * SECONDS["integration"]

    found = ordered(singles[0], group[0], *singles[1:], *works, *group[1:])

    assert found[:100] == group
    assert found.index(singles[0]) - 100 == pytest.approx(1_000 * LAST / 2, abs=1)
    assert sorted(item.nodeid for item in found) == sorted(i.nodeid for i in (*singles, *group, *works))
