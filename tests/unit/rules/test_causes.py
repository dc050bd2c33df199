"""Why a value is not known is told by its most telling cause."""

from __future__ import annotations

import numpy as np
import pytest

from facility.readings import Flag, Quality
from rules.model import tables
from rules.model.measured import Measured
from rules.model.rows import Column
from rules.model.windows import Statistic, Window, Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS
from testing.rules.halls import BUS, known_rack
from tests.unit.rules.knowing import knowing, on_change, periodic, says


def cause(knowledge: Knowledge, second: float = 0.5) -> Cause:
    """Return why the first point is not known at a second after `T0_MS`."""
    at_ms = T0_MS + round(second * 1_000)
    knowledge.at(at_ms)
    numbers = np.array([0], np.intp)
    return Cause(int(knowledge.values_at(numbers, at_ms).cause[0]))


def connected(knowledge: Knowledge) -> Knowledge:
    """Return what knows of points whose broker is connected."""
    knowledge.heard.connect(BUS, is_connected=True, at_ms=T0_MS - 10_000)
    return knowledge


@pytest.mark.shows(Cause.NONE)
def test_a_value_that_was_just_heard_is_known() -> None:
    """There is nothing in the way of believing it."""
    knowledge = connected(periodic())
    says(knowledge, range(-3, 1), 90)

    assert cause(knowledge) is Cause.NONE


@pytest.mark.shows(Cause.NEVER_HEARD)
def test_a_point_that_never_spoke_was_never_heard() -> None:
    """Its metadata is known, and no value."""
    assert cause(connected(periodic())) is Cause.NEVER_HEARD


@pytest.mark.shows(Cause.DISCONNECTED)
def test_without_its_broker_nothing_on_change_is_known() -> None:
    """What it said last may have changed since the connection broke."""
    knowledge = connected(on_change())
    says(knowledge, [-1, 0], 90, 1)
    knowledge.heard.connect(BUS, is_connected=False, at_ms=T0_MS + 100)

    assert cause(knowledge, 60) is Cause.DISCONNECTED


@pytest.mark.shows(Cause.PUBLISHER_DEAD)
def test_a_publisher_without_heartbeats_is_silent() -> None:
    """Its points are not known, for the cause that they have in common."""
    knowledge = connected(on_change())
    says(knowledge, [-10, 0], 90, 1)

    assert cause(knowledge, 60) is Cause.PUBLISHER_DEAD


@pytest.mark.shows(Cause.CONFLICT)
def test_two_values_with_one_stamp_are_a_conflict() -> None:
    """Neither of them is believed, nor the next one for a while."""
    knowledge = connected(periodic())
    says(knowledge, [-1], 90)
    says(knowledge, [0], 80, quality=Quality.REFUSED, flags=Flag.CONFLICT)

    assert cause(knowledge) is Cause.CONFLICT


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        pytest.param(Quality.REFUSED, Cause.REFUSED, marks=pytest.mark.shows(Cause.REFUSED)),
        pytest.param(Quality.IMPLAUSIBLE, Cause.IMPLAUSIBLE, marks=pytest.mark.shows(Cause.IMPLAUSIBLE)),
        pytest.param(
            Quality.SOURCE_DOUBTS, Cause.SOURCE_DOUBTS, marks=pytest.mark.shows(Cause.SOURCE_DOUBTS)
        ),
        pytest.param(Quality.NO_VALUE, Cause.NO_VALUE, marks=pytest.mark.shows(Cause.NO_VALUE)),
    ],
)
def test_a_value_that_is_not_good_is_not_known(quality: Quality, expected: Cause) -> None:
    """The cause is what is wrong with it."""
    knowledge = connected(periodic())
    says(knowledge, [-1], 90)
    says(knowledge, [0], 90, quality=quality)

    assert cause(knowledge) is expected


@pytest.mark.shows(Cause.RETAINED)
def test_a_retained_value_alone_is_not_known() -> None:
    """It was kept by the broker, and says nothing of how often its point speaks."""
    knowledge = connected(knowing(known_rack(0, "r0"), known_rack(1, "r1")))
    says(knowledge, [0], 90, None, flags=Flag.RETAINED)
    says(knowledge, range(1, 5), None, 80)

    assert cause(knowledge, 4.5) is Cause.RETAINED


@pytest.mark.shows(Cause.STREAM_BROKEN)
def test_what_was_not_heard_since_a_break_is_not_known() -> None:
    """A change may have been among what was lost."""
    knowledge = connected(on_change())
    says(knowledge, [-2, -1, 0], 90, 1)
    knowledge.heard.break_stream(BUS, is_lossless=False, until_ms=T0_MS + 100)
    knowledge.heard.connect(BUS, is_connected=True, at_ms=T0_MS + 100)
    says(knowledge, [0.2, 0.3], None, 1)

    assert cause(knowledge) is Cause.STREAM_BROKEN


@pytest.mark.shows(Cause.QUIET)
def test_a_publisher_that_pauses_for_longer_than_usual_is_quiet() -> None:
    """It is alive still; what it said last may have changed, and the news be on its way or lost."""
    knowledge = connected(on_change())
    says(knowledge, range(-20, 1), 90, 1)

    assert cause(knowledge, 12) is Cause.QUIET


@pytest.mark.shows(Cause.LATE)
def test_a_value_that_should_have_been_followed_is_too_old() -> None:
    """A point that says something every second has said nothing for longer."""
    knowledge = connected(periodic())
    says(knowledge, range(-3, 1), 90)

    assert cause(knowledge, 5) is Cause.LATE


@pytest.mark.shows(Cause.NO_POINT)
def test_a_quantity_without_a_point_is_not_measured() -> None:
    """Nothing can be late of what nobody measures."""
    assert tables._unmeasured(1).cause.tolist() == [Cause.NO_POINT]


@pytest.mark.shows(Cause.DISAGREE)
def test_two_points_of_one_quantity_that_differ_disagree() -> None:
    """Each is known for itself; which of them is right is not."""
    value = np.array([90.0, 80.0])
    known = Measured(
        low=value,
        best=value,
        high=value,
        cause=np.zeros(2, np.int8),
    )
    nothing, pair = np.zeros(0, np.intp), np.array([0, 1], np.intp)
    both = Column(pair, pair[:1], nothing, is_single=False, at_least=None, at_most=None)

    found = tables._hull(known, both)

    assert found.cause.tolist() == [Cause.DISAGREE]
    assert (found.low[0], found.high[0]) == (80.0, 90.0)


@pytest.mark.shows(Cause.GAPS)
def test_a_figure_over_time_that_was_not_known_all_the_time_has_gaps() -> None:
    """It says how far it may be off; the cause is that something was missed."""
    key = SubjectKind.RACK, Window("coolant.flow", Statistic.MEAN, 60)
    windows = Windows([key])
    windows.note(key, ("r0",), tables._unmeasured(1), T0_MS)

    assert windows.figure(key).cause.tolist() == [Cause.GAPS]
