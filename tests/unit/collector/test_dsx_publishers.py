"""Metadata of the DSX bus that changes: who publishes a point, and what becomes of it."""

from __future__ import annotations

import pytest

from facility.readings import Reason
from testing.builders import T0_MS
from testing.collector.hearing import Hearing, Outcome, describing, key_of, metadata, raw, value, withdrawn

KEY = key_of("r1")
WAITED_MS = T0_MS + 3_600_000


def stored(outcome: Outcome) -> list[float | None]:
    """Return the values of the readings."""
    return [read for _, _, read in outcome.rows]


# Who publishes ------------------------------------------------------------------------


def test_a_point_of_an_integration_takes_its_values_from_there_alone() -> None:
    """The building system describes, the integration that it names publishes; nobody else may."""
    hearing = describing(metadata("r1", integration="MEPAI"))

    outcome = hearing.hear(
        value("r1", 90, publisher="MEPAI"),
        value("r1", 11, T0_MS + 1, publisher="PUB"),
        value("r1", 12, T0_MS + 2, publisher="OTHER"),
    )

    assert outcome.rows == [(KEY, T0_MS, 90.0)]
    assert outcome.reasons == [Reason.WRONG_PUBLISHER] * 2
    (known,) = hearing.known.values()
    assert known.point.stream == "bus:MEPAI"


@pytest.mark.shows(Reason.WRONG_PUBLISHER)
def test_nobody_publishes_for_the_building_system() -> None:
    """A value of a point that is the building system's own is not taken from another."""
    outcome = describing().hear(value("r1", 11, publisher="MEPAI"))

    assert outcome.reasons == [Reason.WRONG_PUBLISHER]
    assert not outcome.rows


def test_who_may_publish_no_more_is_not_heard_any_more() -> None:
    """When a point goes over to another publisher, the one before it is refused from then on."""
    hearing = describing(metadata("r1", integration="FIRST"))
    hearing.hear(metadata("r1", integration="SECOND"))

    outcome = hearing.hear(
        value("r1", 11, T0_MS, publisher="FIRST"), value("r1", 90, T0_MS + 1, publisher="SECOND")
    )

    assert stored(outcome) == [90.0]
    assert outcome.reasons == [Reason.WRONG_PUBLISHER]


def test_it_is_the_same_after_a_restart_who_may_publish() -> None:
    """A decoder built from what was kept hears and refuses whom the one before it did."""
    hearing = describing(metadata("r1", integration="FIRST"))
    hearing.hear(metadata("r1", integration="SECOND"))
    messages = [value("r1", 11, publisher="FIRST"), value("r1", 90, T0_MS + 1, publisher="SECOND")]

    after = hearing.again().hear(*messages)

    assert (after.rows, after.reasons) == ([(KEY, T0_MS + 1, 90.0)], [Reason.WRONG_PUBLISHER])


def test_an_integration_can_not_take_over_what_the_building_system_publishes() -> None:
    """Only the building system says who publishes; another's metadata redirects no value of its own."""
    hearing = describing(metadata("r1"))
    hearing.hear(metadata("r1", publisher="EVIL", integration="PUB", rackLocationId="r2"))

    outcome = hearing.hear(value("r1", 90))

    assert outcome.rows == [(KEY, T0_MS, 90.0)]
    (number,) = outcome.batch.point.tolist()
    assert hearing.known[number].point.asset == "r1"


def test_an_integration_can_not_take_over_what_another_publishes() -> None:
    """Neither can it speak for an integration that the building system named."""
    hearing = describing(metadata("r1", integration="MEPAI"))
    hearing.hear(metadata("r1", publisher="EVIL", integration="MEPAI", rackLocationId="r2"))

    outcome = hearing.hear(value("r1", 90, publisher="MEPAI"))

    assert outcome.rows == [(KEY, T0_MS, 90.0)]


def test_an_integration_can_not_make_the_building_system_a_wrong_publisher() -> None:
    """What the building system publishes before its metadata waits, whatever an integration has said."""
    hearing = Hearing()
    hearing.hear(metadata("r1", publisher="EVIL", rackLocationId="r2"))

    hearing.hear(value("r1", 90))
    outcome = hearing.hear(metadata("r1"))

    assert outcome.rows == [(KEY, T0_MS, 90.0)]


def test_an_integration_may_describe_what_it_publishes_itself() -> None:
    """Under its own name it speaks for itself: a point of its own, beside the building system's."""
    hearing = describing(metadata("r1"), metadata("r1", publisher="MEPAI"))

    outcome = hearing.hear(value("r1", 90), value("r1", 11, publisher="MEPAI"))

    assert outcome.rows == [(KEY, T0_MS, 90.0), (f"MEPAI/{KEY}", T0_MS, 11.0)]


@pytest.mark.parametrize("comes_first", [True, False], ids=["before", "after"])
def test_what_the_building_system_says_holds_before_what_an_integration_says(*, comes_first: bool) -> None:
    """Where both describe the values of one topic, the order in which they do means nothing."""
    own = metadata("r1", publisher="MEPAI", engUnit="W")
    said = metadata("r1", integration="MEPAI")
    hearing = describing(said, own) if comes_first else describing(own, said)

    outcome = hearing.hear(value("r1", 90, publisher="MEPAI"))

    assert outcome.rows == [(KEY, T0_MS, 90.0)]
    after = hearing.again()
    assert after.hear(value("r1", 90, publisher="MEPAI")).rows == outcome.rows


def test_metadata_that_can_not_be_read_leaves_the_publisher_known() -> None:
    """Its values are refused for what is wrong, and not as those of a wrong publisher."""
    hearing = describing(metadata("r1", integration="MEPAI"))
    hearing.hear(raw(metadata("r1").topic, b"{"))

    outcome = hearing.hear(value("r1", 90, publisher="MEPAI"), value("r1", 11))

    assert outcome.reasons == [Reason.METADATA_REFUSED, Reason.WRONG_PUBLISHER]


# What changes -------------------------------------------------------------------------


def test_a_withdrawn_point_is_not_known_any_more() -> None:
    """The empty retained message takes the metadata away: values that still come are dead letters."""
    hearing = describing()

    gone = hearing.hear(withdrawn(metadata("r1")))
    outcome = hearing.hear(value("r1", 90), now_ms=WAITED_MS)

    assert len(gone.rejections) <= 1
    assert outcome.rows == []
    assert len(outcome.rejections) == 1


def test_metadata_that_comes_back_is_used_again() -> None:
    """A point that was withdrawn, or described badly for a while, is a point again with the same number."""
    for between in (withdrawn(metadata("r1")), metadata("r1", engUnit="degC")):
        hearing = describing()
        (number,) = hearing.known
        hearing.hear(between)

        hearing.hear(metadata("r1"))
        outcome = hearing.hear(value("r1", 90))

        assert stored(outcome) == [90.0], between
        assert outcome.batch.point.tolist() == [number]


def test_a_point_that_moves_keeps_its_number_and_is_news() -> None:
    """Another rack, another edge of the graph, another name: each is one entry for the readers."""
    hearing = describing(metadata("r1"))
    (number,) = hearing.known

    moved = hearing.hear(metadata("r1", rackLocationId="r2", rackLocationName="Rack 2"))
    served = hearing.hear(metadata("r1", rackLocationId="r2", servesId=["r3"]))

    assert [(known.id, known.point.asset) for known in moved.news] == [(number, "r2")]
    assert [known.asset.serves for known in served.news if known.asset] == [("r3",)]
    assert len(moved.metadata) == len(served.metadata) == 1


@pytest.mark.shows(Reason.METADATA_REFUSED)
def test_a_refused_description_stops_the_values_of_its_point() -> None:
    """Nobody knows any more what the numbers are: they are dead letters that say why."""
    hearing = describing()
    hearing.hear(metadata("r1", engUnit="degC"))

    outcome = hearing.hear(value("r1", 90))

    assert outcome.reasons == [Reason.METADATA_REFUSED]
    assert "degC" in outcome.rejections[0].detail
    assert not outcome.rows


def test_the_same_number_is_never_two_points() -> None:
    """Points that come, go and change in any order keep their numbers, and new ones get new ones."""
    hearing = describing(metadata("r1"), metadata("r2"))
    hearing.hear(withdrawn(metadata("r1")), metadata("r3"), metadata("r1"))
    after = hearing.again()
    after.hear(metadata("r4"))

    numbers = {known.point.key: number for number, known in after.known.items()}
    assert numbers == {key_of(f"r{i + 1}"): i for i in range(4)}


@pytest.mark.parametrize("bad", [b"", b"{"], ids=["withdrawn", "unreadable"])
def test_what_can_not_be_used_any_more_is_kept_no_longer(bad: bytes) -> None:
    """After a restart the decoder knows no more than the one before it did."""
    hearing = describing(metadata("r1"), metadata("r2"))

    outcome = hearing.hear(raw(metadata("r1").topic, bad))
    after = hearing.again().hear(value("r1", 90), value("r2", 91))

    assert outcome.metadata == {metadata("r1").topic: b""}
    assert [read for _, _, read in after.rows] == [91.0]
    assert len(after.waiting) == 1
