"""Heartbeats of the DSX bus: whose silence is whose, and what a scope regroups."""

from __future__ import annotations

import pytest

from collector.mqtt.message import Message
from facility.names import is_path
from testing.builders import T0_MS
from testing.collector.hearing import Hearing, describing, heartbeat, key_of, metadata, value, withdrawn

PREFIX = key_of("")
PATHS = [f"row{row}/r{i}" for row in "AB" for i in range(3)]
OWN, COMMON = "bus:PUB:client-A", "bus:PUB"


def racks() -> list[Message]:
    """Return the metadata of two rows of racks."""
    return [metadata(path, rackLocationId=path.replace("/", ".")) for path in PATHS]


def streams(hearing: Hearing) -> dict[str, str]:
    """Return the stream of every rack's power, by its tag path."""
    points = (known.point for known in hearing.known.values())
    return {p.key.removeprefix(PREFIX): p.stream for p in points if p.key.startswith(PREFIX)}


def expected(own: str = "rowA") -> dict[str, str]:
    """Return the streams where one row has a heartbeat of its own."""
    return {path: OWN if path.startswith(own) else COMMON for path in PATHS}


def test_a_heartbeat_proves_that_its_publisher_lives() -> None:
    """Its value is a time stamp; it beats for the stream that the publisher's points are of."""
    hearing = describing(heartbeat("BMS"), metadata("r1"))

    outcome = hearing.hear(
        value("BMS", T0_MS, object_type="System", point_type="HeartbeatTimestampBms"), value("r1")
    )

    points = {known.point.key: known.point for known in hearing.known.values()}
    beat, rack = (points[key] for key, _, _ in outcome.rows)
    assert beat.is_heartbeat
    assert not rack.is_heartbeat
    assert beat.stream == rack.stream == COMMON


def test_each_publisher_beats_for_itself() -> None:
    """The points that an integration publishes are of its own stream, as its heartbeat is."""
    hearing = describing(
        heartbeat("BMS"),
        heartbeat("MEPAI", integration="MEPAI"),
        metadata("r1"),
        metadata("r2", integration="MEPAI"),
    )

    assert {known.point.key: known.point.stream for known in hearing.known.values()} == {
        "System/HeartbeatTimestampBms/BMS": COMMON,
        "System/HeartbeatTimestampIntegration/MEPAI": "bus:MEPAI",
        key_of("r1"): COMMON,
        key_of("r2"): "bus:MEPAI",
    }


_SCOPES = {
    "a topic filter": "BMS/v1/PUB/Value/Rack/RackPower/rowA/#",
    "a filter with levels left open": "BMS/v1/+/Value/Rack/+/rowA/+",
    "the beginning of a topic": "BMS/v1/PUB/Value/Rack/RackPower/rowA",
    "the beginning of a tag path": "rowA",
    "with a slash at its end": "rowA/",
}


@pytest.mark.parametrize("scope", _SCOPES.values(), ids=_SCOPES)
@pytest.mark.parametrize("comes_first", [True, False], ids=["before", "after"])
def test_a_scope_takes_what_it_covers_into_a_stream_of_its_own(scope: str, *, comes_first: bool) -> None:
    """Whether the heartbeat is described before the points or after them, the streams come out the same."""
    beat = heartbeat("client-A", scope=scope)

    hearing = describing(beat, *racks()) if comes_first else describing(*racks(), beat)

    assert streams(hearing) == expected()
    (beats,) = (known.point for known in hearing.known.values() if known.point.is_heartbeat)
    assert beats.stream == OWN


def test_a_scope_covers_whole_levels() -> None:
    """The scope `row` is no beginning of `rowA`: levels match whole or not at all."""
    assert streams(describing(*racks(), heartbeat("client-A", scope="row"))) == dict.fromkeys(PATHS, COMMON)


@pytest.mark.parametrize("comes_first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("scope", ["rowA", "BMS/v1/+/Value/Rack/+/rowA/+", "BMS/#"])
def test_a_scope_covers_only_what_its_own_publisher_says(scope: str, *, comes_first: bool) -> None:
    """What an integration says of a rack in the row is no sign that the row's own client lives."""
    beat = heartbeat("client-A", scope=scope)
    agent = [
        metadata(
            path,
            point_type="RackLiquidFlow",
            engUnit="LPM",
            rackLocationId=path.replace("/", "."),
            integration="AGENT",
        )
        for path in PATHS[:2]
    ]

    hearing = describing(beat, *racks(), *agent) if comes_first else describing(*agent, *racks(), beat)

    flows = {k.point.stream for k in hearing.known.values() if k.point.point_type == "RackLiquidFlow"}
    assert flows == {"bus:AGENT"}
    assert {found for path, found in streams(hearing).items() if path.startswith("rowA")} == {OWN}
    again = hearing.again()
    again.hear()
    assert {known.point.key: known.point.stream for known in again.known.values()} == {
        known.point.key: known.point.stream for known in hearing.known.values()
    }


def test_a_point_that_another_publishes_from_now_on_leaves_the_scope() -> None:
    """Where the metadata come to name an integration, its values are of that integration's stream."""
    hearing = describing(*racks(), heartbeat("client-A", scope="rowA"))

    hearing.hear(metadata("rowA/r0", rackLocationId="rowA.r0", integration="AGENT"))

    assert streams(hearing) == expected() | {"rowA/r0": "bus:AGENT"}


def test_an_integration_s_scope_covers_its_own_values() -> None:
    """An integration with a heartbeat for a part of what it says answers for that part."""
    hearing = describing(
        heartbeat("AGENT", integration="AGENT", scope="rowA"),
        metadata("rowA/r0", rackLocationId="rowA.r0", integration="AGENT"),
        metadata("rowA/r1", rackLocationId="rowA.r1"),
    )

    assert streams(hearing) == {"rowA/r0": "bus:AGENT:AGENT", "rowA/r1": COMMON}


def test_a_scope_that_changes_lets_go_of_what_it_covered() -> None:
    """A heartbeat that covers another row now beats for the first row no more."""
    hearing = describing(*racks(), heartbeat("client-A", scope="rowA"))

    hearing.hear(heartbeat("client-A", scope="rowB"))

    assert streams(hearing) == expected("rowB")


def test_a_scope_that_is_gone_covers_nothing() -> None:
    """What it covered belongs to the publisher's heartbeat again; else nobody would beat for it."""
    hearing = describing(*racks(), heartbeat("client-A", scope="rowA"))

    hearing.hear(heartbeat("client-A"))

    assert streams(hearing) == dict.fromkeys(PATHS, COMMON)


@pytest.mark.parametrize("then", ["rowB", None, "withdrawn"])
def test_streams_are_the_same_after_a_restart(then: str | None) -> None:
    """Live and from the journal, the same metadata gives the same streams."""
    hearing = describing(*racks(), heartbeat("client-A", scope="rowA"))
    change = heartbeat("client-A", scope=then)
    hearing.hear(withdrawn(change) if then == "withdrawn" else change)
    live = streams(hearing)

    after = hearing.again()
    after.hear()

    assert streams(after) == live


def test_a_restart_with_scopes_makes_no_news() -> None:
    """Points that the journal knows in a heartbeat's stream are not regrouped and put back at each start."""
    hearing = describing(*racks(), heartbeat("client-A", scope="rowA"))

    outcome = hearing.again().hear()

    assert not outcome.news


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["wide first", "narrow first"])
def test_of_two_scopes_the_narrower_holds(order: tuple[int, int]) -> None:
    """A client that answers for one row answers for it, whatever another says of the whole hall."""
    beats = (
        heartbeat("hall", scope="BMS/v1/PUB/Value/#"),
        heartbeat("client-A", scope="BMS/v1/PUB/Value/+/+/rowA/#"),
    )

    hearing = describing(*racks(), *(beats[i] for i in order))

    assert streams(hearing) == {path: OWN if path.startswith("rowA") else "bus:PUB:hall" for path in PATHS}
    assert streams(hearing.again()) == streams(hearing)


def test_regrouping_keeps_every_number() -> None:
    """A point that comes into another stream is the same point."""
    hearing = describing(*racks())
    before = {known.point.key: number for number, known in hearing.known.items()}

    regrouped = hearing.hear(heartbeat("client-A", scope="rowA"))

    after = {known.point.key: number for number, known in hearing.known.items()}
    assert {key: after[key] for key in before} == before
    assert len(regrouped.news) == 4, "three racks and the heartbeat"


def test_every_name_of_a_heartbeat_is_checked() -> None:
    """The object that a scoped heartbeat beats for names a stream, even where a rack is named beside it."""
    outcome = Hearing().hear(heartbeat("beat", scope="rowA", object_id="evil\nname", rack="r1"))

    names = [known.point.stream.replace(":", "/") for known in outcome.news]
    assert all(is_path(name) for name in names), names
