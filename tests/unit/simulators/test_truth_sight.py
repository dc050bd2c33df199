"""Sights: what could be known at the time, and what in the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testing.randomdays.sight import Course, settled_sights, sights

DRAWN = np.array([[10, 1], [20, 1], [30, 1], [40, 1], [50, 1], [60, 1]], np.int64)


def course(**facts: object) -> Course:
    """Return a course of two racks of one tenant over six seconds, all of it heard at once."""
    nothing = np.zeros(DRAWN.shape, np.bool_)
    fields: dict[str, object] = {
        "begin_ms": 0,
        "drawn": DRAWN,
        "believed": DRAWN,
        "is_dark": nothing,
        "is_hidden": nothing,
        "is_lost": nothing,
        "late_s": np.zeros(2, np.int64),
        "stamped_s": np.zeros(2, np.int64),
        "holder": np.zeros(DRAWN.shape, np.intp),
        "cap": np.full(2, 100, np.int64),
    }
    return Course(**(fields | facts))  # type: ignore[arg-type]  # a test's fields


def marked(*places: tuple[int, int]) -> NDArray[np.bool_]:
    """Return facts that are so at some seconds of some racks."""
    found = np.zeros(DRAWN.shape, np.bool_)
    for place in places:
        found[place] = True
    return found


def test_news_that_takes_a_second_may_mix_two() -> None:
    """The least and the most of this second and the one before."""
    (seen,) = sights(course(), ["acme"], 1).values()

    assert seen.true == [11, 21, 31, 41, 51, 61]
    assert seen.proven == [0, 11, 21, 31, 41, 51]
    assert seen.recent == [11, 21, 31, 41, 51, 61]


def test_what_is_dark_proves_nothing_and_may_be_anything() -> None:
    """A dark rack counts nothing, then its cap; who knows that it is dark still owes the doubt."""
    (seen,) = sights(course(is_dark=marked((3, 0))), ["acme"], 0).values()

    assert seen.proven == [11, 21, 31, 1, 51, 61]
    assert seen.open == seen.true
    assert seen.possible[3] == 101


def test_what_arrives_late_is_settled_in_the_end() -> None:
    """Dark at the time and never lost: proven in the settled sight."""
    found = course(is_dark=marked((3, 0), (4, 1)), is_lost=marked((4, 1)))

    (live,), (settled,) = (look(found, ["acme"], 0).values() for look in (sights, settled_sights))

    assert live.proven == [11, 21, 31, 1, 50, 61]
    assert settled.proven == [11, 21, 31, 41, 50, 61]


def test_stamps_that_are_off_may_mean_an_earlier_or_a_later_second() -> None:
    """The settled sight allows for both; the live one for news that is late."""
    found = course(late_s=np.array([2, 0]), stamped_s=np.array([1, 0]))

    (live,), (settled,) = (look(found, ["acme"], 0).values() for look in (sights, settled_sights))

    assert settled.proven == [11, 11, 21, 31, 41, 51]
    assert settled.recent == [21, 31, 41, 51, 61, 61]
    assert live.proven == [11, 11, 11, 21, 31, 41]
