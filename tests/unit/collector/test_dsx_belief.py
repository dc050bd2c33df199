"""Who is believed on the bus, and what may change under a point in use."""

from __future__ import annotations

import pytest

from collector.decode.dsx import CONFIRM_MS, CONFIRM_VALUES
from collector.decode.dsxpublishers import LEARNING_MS, MOST_PUBLISHERS, SHOWN_MS
from collector.mqtt.message import Message
from facility.readings import Quality, Reason
from testing.builders import T0_MS
from testing.collector.hearing import (
    LAG_MS,
    Hearing,
    Outcome,
    a_broker,
    describing,
    key_of,
    metadata,
    raw,
    value,
    withdrawn,
)
from testing.operations import calls_of

KEY = key_of("r1")
LATER_MS = T0_MS + LEARNING_MS + 1_000


def naming(*publishers: str) -> Hearing:
    """Return a decoder of a bus whose publishers the site file names."""
    return Hearing(broker=a_broker(publishers=list(publishers)))


def in_use(hearing: Hearing | None = None) -> Hearing:
    """Return a decoder that knows a point that has values."""
    hearing = hearing or describing(metadata("r1"))
    assert hearing.hear(value("r1", 90.0)).qualities == [Quality.GOOD]
    return hearing


def at(message: Message, received_ms: int) -> Message:
    """Return a message as it is received then."""
    return raw(message.topic, message.payload, received_ms=received_ms)


# Who is believed ----------------------------------------------------------------------


@pytest.mark.parametrize("stranger", [metadata("r2", publisher="EVIL"), value("r1", publisher="EVIL")])
def test_a_publisher_that_is_not_named_takes_no_part_and_is_told(stranger: Message) -> None:
    """What it describes is no point, what it measures no reading, and nothing of it waits."""
    outcome = (hearing := naming("PUB")).hear(metadata("r1"), stranger)

    assert outcome.reasons == [Reason.WRONG_PUBLISHER]
    assert "PUB" in outcome.rejections[0].detail
    assert "EVIL" in outcome.rejections[0].detail
    assert [known.point.key for known in outcome.news] == [KEY]
    assert not outcome.waiting
    assert "EVIL" in hearing.decoder.problems(T0_MS)["publishers"]
    assert "publishers" not in hearing.decoder.problems(T0_MS + SHOWN_MS + LAG_MS)


def test_a_meter_of_a_stranger_serves_nobody() -> None:
    """Nobody adds to the graph but who is named."""
    meter = metadata(
        "m", publisher="EVIL", object_type="PowerMeter", point_type="ActivePower", rackLocationId=None,
        objectId="M", servesId=["r1"],
    )  # fmt: skip

    assert [known.point.key for known in naming("PUB").hear(metadata("r1"), meter).news] == [KEY]


def test_an_integration_that_is_not_named_puts_its_point_in_doubt() -> None:
    """The building system says that values come from somebody whom the site file does not name."""
    hearing = naming("PUB")
    hearing.hear(metadata("r1"))
    in_use(hearing)

    outcome = hearing.hear(metadata("r1", integration="OTHER"))

    assert outcome.reasons == [Reason.WRONG_PUBLISHER]
    assert outcome.doubts == [KEY]


def test_who_describes_the_site_at_the_first_start_is_kept_where_nobody_is_named() -> None:
    """And nobody who comes later, nor after a restart."""
    hearing = describing(metadata("r1"), metadata("r2", publisher="MEPAI"))

    late = hearing.hear(at(metadata("r3", publisher="EVIL"), LATER_MS))
    again = hearing.again().hear(metadata("r3", publisher="EVIL"), metadata("r3", publisher="MEPAI"))

    assert late.reasons == [Reason.WRONG_PUBLISHER]
    assert again.reasons == [Reason.WRONG_PUBLISHER]
    assert [known.point.key for known in again.news] == [f"MEPAI/{key_of('r3')}"]


def test_a_first_start_believes_a_bounded_number_of_publishers() -> None:
    """A thousand that describe one tag path cost no more than as many messages."""
    hearing = Hearing()

    outcome = hearing.hear(*(metadata("r1", publisher=f"P{i}") for i in range(1_000)))

    assert len(outcome.news) == MOST_PUBLISHERS
    assert outcome.reasons == [Reason.WRONG_PUBLISHER] * (1_000 - MOST_PUBLISHERS)
    assert len(hearing.decoder.problems(T0_MS)["publishers"]) < 500


def test_the_work_for_a_message_does_not_grow_with_the_publishers() -> None:
    """Of 2,000 messages the second half costs no more than the first."""
    hearing = Hearing()
    messages = [metadata("r1", publisher=f"P{i}") for i in range(2_000)]

    first = calls_of(lambda: hearing.hear(*messages[:1_000]))
    second = calls_of(lambda: hearing.hear(*messages[1_000:]))

    assert second < 1.1 * first


# What changes under a point in use ----------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        metadata("r1", engUnit="W"),
        metadata("r1", rackLocationId="r2"),
        metadata("r1", integration="MEPAI"),
        metadata("r1", isSetpoint=True),
    ],
    ids=["unit", "asset", "integration", "set point"],
)
def test_another_meaning_of_a_point_in_use_is_a_doubt_until_it_is_confirmed(changed: Message) -> None:
    """It is in doubt at once, its values are kept as doubtful, and it is told, with what it was and is."""
    hearing = naming("PUB", "MEPAI")
    hearing.hear(metadata("r1"))
    in_use(hearing)
    publisher = "MEPAI" if b"MEPAI" in changed.payload else "PUB"

    def says(after_ms: int) -> Outcome:
        return hearing.hear(value("r1", 90.0, T0_MS + after_ms, publisher=publisher))

    assert hearing.hear(changed).doubts == [KEY]
    assert KEY in hearing.decoder.problems(T0_MS)["metadata"]
    assert " to " in hearing.decoder.problems(T0_MS)["metadata"]
    for second in range(CONFIRM_VALUES + 2):
        assert says(1_000 * (second + 1)).qualities == [Quality.SOURCE_DOUBTS]
    hearing.pass_time(T0_MS + 10_000, T0_MS + CONFIRM_MS)
    assert says(CONFIRM_MS).qualities == [Quality.GOOD]
    assert "metadata" not in hearing.decoder.problems(T0_MS)


@pytest.mark.parametrize(
    "changed",
    [metadata("r1", engUnit="W"), metadata("r1", rackLocationId="r2"), metadata("r1", isSetpoint=True)],
    ids=["unit", "asset", "set point"],
)
def test_a_doubt_about_another_meaning_outlasts_restarts_until_it_is_confirmed(changed: Message) -> None:
    """A monitor that starts anew has the new metadata kept, and does not take them for what always was."""
    hearing = in_use()
    hearing.hear(changed)

    for restart in range(2):
        hearing = hearing.again()
        assert f"{KEY} changed before this start" in hearing.decoder.problems(T0_MS)["metadata"]
        outcome = hearing.hear(value("r1", 90.0, T0_MS + 1_000 * (restart + 1)))
        assert outcome.qualities == [Quality.SOURCE_DOUBTS]

    hearing.pass_time(T0_MS + 2_000, T0_MS + CONFIRM_MS + 10_000)
    later = (value("r1", 90.0, T0_MS + CONFIRM_MS + 10_000 + i) for i in range(CONFIRM_VALUES + 1))
    assert hearing.hear(*later).qualities[-1] == Quality.GOOD
    again = hearing.again()
    assert "metadata" not in again.decoder.problems(T0_MS)
    assert again.hear(value("r1", 90.0, T0_MS + 2 * CONFIRM_MS)).qualities == [Quality.GOOD]


@pytest.mark.shows(Quality.SOURCE_DOUBTS)
def test_time_alone_confirms_nothing() -> None:
    """Some values must have come."""
    hearing = in_use()
    hearing.hear(metadata("r1", engUnit="W"))
    hearing.pass_time(T0_MS, T0_MS + CONFIRM_MS)

    outcome = hearing.hear(*(value("r1", 90.0, T0_MS + CONFIRM_MS + i) for i in range(CONFIRM_VALUES + 1)))

    assert outcome.qualities == [Quality.SOURCE_DOUBTS] * CONFIRM_VALUES + [Quality.GOOD]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_confirms_nothing(hours: int) -> None:
    """Time passes for a doubt while the bus is heard, and not because our own clock was set: seed 478."""
    hearing = in_use()
    hearing.hear(metadata("r1", engUnit="W"))
    for second in range(20):
        set_by_ms = hours * 3_600_000 if 5 <= second < 15 else 0
        said = value("r1", 90.0, T0_MS + 1_000 * second + set_by_ms)

        assert hearing.hear(said).qualities == [Quality.SOURCE_DOUBTS]


def test_a_meaning_that_is_contradicted_begins_anew() -> None:
    """Two who describe one point in turn never confirm either."""
    hearing = in_use()
    for turn in range(4):
        at_ms = T0_MS + (turn + 1) * (CONFIRM_MS - 10_000)
        said = metadata("r1", engUnit="W" if turn % 2 == 0 else "kW")
        hearing.hear(at(said, at_ms - 10_000))
        found = hearing.hear(*(value("r1", 90.0, at_ms + i) for i in range(5)))
        assert found.qualities == [Quality.SOURCE_DOUBTS] * 5


def test_what_a_stop_lets_pass_is_a_doubt_too() -> None:
    """A point that had values before a restart is in use."""
    again = in_use().again()

    assert again.hear(metadata("r1", engUnit="W")).doubts == [KEY]


def test_a_name_for_people_may_change() -> None:
    """So may the text of a state, an area and the graph: no value means something else by it."""
    hearing = in_use()

    outcome = hearing.hear(metadata("r1", rackLocationName="Rack one", processArea=["Row 1"]))

    assert not outcome.doubts
    assert hearing.hear(value("r1", 91.0, T0_MS + 1)).qualities == [Quality.GOOD]


# What is withdrawn or not understood --------------------------------------------------


def test_a_point_whose_metadata_is_cleared_is_in_doubt_at_once() -> None:
    """Its values wait; when it is described again as it was, they count, and end the doubt."""
    hearing = in_use()

    cleared = hearing.hear(withdrawn(metadata("r1")), value("r1", 95.0, T0_MS + 1_000))
    back = hearing.hear(metadata("r1"))

    assert cleared.doubts == [KEY]
    assert len(cleared.waiting) == 1
    assert [known.point.is_withdrawn for known in cleared.news] == [True]
    assert [known.point.is_withdrawn for known in back.news] == [False]
    assert back.rows == [(KEY, T0_MS + 1_000, 95.0)]
    assert back.qualities == [Quality.GOOD]


def test_a_point_whose_metadata_can_not_be_read_is_in_doubt_at_once() -> None:
    """Received and not understood is no reason to go on with what was understood before."""
    outcome = in_use().hear(raw(metadata("r1").topic, b"{"))

    assert outcome.doubts == [KEY]
    assert outcome.reasons == [Reason.BAD_JSON]


def test_what_was_never_used_can_not_come_into_doubt() -> None:
    """Metadata that is put right while a bus is commissioned is not told."""
    hearing = describing(metadata("r1"))

    outcome = hearing.hear(metadata("r1", engUnit="W"), withdrawn(metadata("r1")), metadata("r1"))

    assert not outcome.doubts
    assert not hearing.decoder.problems(T0_MS)


# Two points for one quantity ----------------------------------------------------------


def test_a_design_power_is_no_power_of_a_rack() -> None:
    """Only what the contract of the bus calls a rack's or a meter's power is one."""
    outcome = Hearing().hear(metadata("r1", point_type="DesignPower"), metadata("r1"))

    assert [known.point.is_boundary for known in outcome.news] == [False, True]


def test_a_rack_on_two_paths_is_told_and_one_that_moved_is_not() -> None:
    """Where the old path is described no longer, the new one is what counts."""
    hearing = describing(metadata("r1"))

    both = hearing.hear(metadata("new/r1", rackLocationId="r1"))
    problem = hearing.decoder.problems(T0_MS)["points"]
    moved = hearing.hear(withdrawn(metadata("r1")))

    assert [known.point.precedence for known in both.news] == [0]
    assert "r1" in problem
    assert key_of("new/r1") in problem
    assert [known.point.precedence for known in moved.news] == [2]
    assert "points" not in hearing.decoder.problems(T0_MS)


# Names --------------------------------------------------------------------------------


def test_no_publisher_takes_the_name_of_anothers_point() -> None:
    """A publisher that calls itself by an object type could otherwise be read as the building system."""
    own = metadata("a/b/c", rackLocationId="r1")
    foreign = metadata(
        "b/c", publisher="Rack", object_type="RackPower", point_type="a", engUnit="kW", rackLocationId="r2"
    )

    outcome = Hearing().hear(own, foreign)

    assert outcome.reasons == [Reason.IDENTITY_CONFLICT]
    assert len(outcome.news) == 1
