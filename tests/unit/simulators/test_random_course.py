"""What can be known of a random day, where two things that go wrong meet."""

from __future__ import annotations

import numpy as np
import pytest

from testing.randomdays.day import random_day
from testing.randomdays.trouble import TroubleKind, shaken, troubles_of
from testing.randomdays.wire import RandomWire

SILENT_ROW, SILENT_S = 2, 190
"""The gateway that falls silent on the day of this seed, and when: a second after the break begins."""


@pytest.mark.parametrize("kind", [TroubleKind.STOPPED, TroubleKind.CUT])
def test_a_silence_in_a_break_is_hidden_where_the_break_is_judged_in_order(kind: TroubleKind) -> None:
    """One that was stopped notices it as late as ever; one that is cut off knows that it knows nothing."""
    day = random_day(2400, seconds=240)
    troubles = troubles_of(day, "dsx", (kind,))

    course = RandomWire(shaken(day, troubles), "dsx", troubles).course

    assert [(trouble.from_s, trouble.to_s) for trouble in troubles] == [(SILENT_S - 1, day.seconds)]
    racks = np.flatnonzero(day.row == SILENT_ROW)
    hidden = course.is_hidden[SILENT_S : SILENT_S + 40][:, racks]
    assert hidden.all() if kind is TroubleKind.STOPPED else not hidden.any()
