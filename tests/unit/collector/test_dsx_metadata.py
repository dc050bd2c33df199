"""Metadata of the DSX bus: what a point is, who publishes it, and what becomes of it when that changes."""

from __future__ import annotations

from typing import Any

import pytest

from collector.decode.dsxmetadata import MOST_NAME, MOST_SERVED, describe
from facility.names import is_id, is_level, name_of, text_of
from facility.points import Cadence
from facility.readings import Reason
from formats import dsx
from testing.builders import T0_MS
from testing.collector.hearing import Hearing, Outcome, describing, key_of, metadata, raw, value
from testing.operations import calls_of

KEY = key_of("r1")
WAITED_MS = T0_MS + 3_600_000


def stored(outcome: Outcome) -> list[float | None]:
    """Return the values of the readings."""
    return [read for _, _, read in outcome.rows]


# What it says -------------------------------------------------------------------------


def test_a_point_is_what_its_metadata_says() -> None:
    """Place, unit and graph come from the payload alone; the tag path means nothing."""
    message = metadata(
        "some/path/that/says.cdu7",
        object_type="CDU",
        point_type="LiquidTemperature",
        engUnit="degC",
        rackLocationId=None,
        rackLocationName=None,
        objectId="C-CDU-1",
        objectName="CDU 1",
        servesId=["r1", "r2"],
        processArea=["Secondary", "Supply"],
        isSetpoint=True,
    )

    (known,) = Hearing().hear(message).news

    point = known.point
    assert point.key == "CDU/LiquidTemperature/some/path/that/says.cdu7"
    assert (point.asset, point.quantity, point.unit) == ("C-CDU-1", "coolant.temperature", "°C")
    assert (point.area, point.is_setpoint, point.cadence) == (
        ("Secondary", "Supply"),
        True,
        Cadence.ON_CHANGE,
    )
    assert point.stream == "bus:PUB"
    assert known.asset is not None
    assert (known.asset.id, known.asset.kind, known.asset.name) == ("C-CDU-1", "CDU", "CDU 1")
    assert known.asset.serves == ("r1", "r2")


def test_what_was_kept_is_not_looked_through_for_faults_again() -> None:
    """A restart reads the metadata of a whole site: that each key stands there once was seen when it came."""
    message = metadata("r1")
    topic = dsx.parse_topic(message.topic)
    assert topic is not None
    found = []

    new = calls_of(lambda: found.append(describe(topic, message.payload, "bus")))
    kept = calls_of(lambda: found.append(describe(topic, message.payload, "bus", is_kept=True)))

    assert found[0] == found[1]
    assert kept < new


def test_a_point_that_only_belongs_to_an_asset_does_not_describe_it() -> None:
    """An associated object adds nothing to the graph: no kind, no name and no edge of the other's."""
    message = metadata(
        "b1",
        object_type="Breaker",
        point_type="Status",
        engUnit=None,
        stateText=[{"value": 0, "text": "open"}, {"value": 1, "text": "closed"}],
        rackLocationId=None,
        rackLocationName=None,
        associateId="METER-1",
        servesId=["r1"],
    )

    (known,) = Hearing().hear(message).news

    assert known.point.asset == "METER-1"
    assert known.asset is None
    assert known.point.states == ((0, "open"), (1, "closed"))


def test_what_the_building_system_says_again_is_no_news() -> None:
    """Metadata is repeated every 100 s; nothing of that goes to the disk."""
    hearing = describing()

    outcome = hearing.hear(metadata("r1"), metadata("r1"))

    assert outcome.unchanged == 2
    assert not outcome.news
    assert not outcome.metadata
    assert outcome.counted == 0


def test_names_for_people_are_cut() -> None:
    """A name of a megabyte would be kept in memory and in every snapshot."""
    (known,) = Hearing().hear(metadata("r1", rackLocationName="n" * 5_000)).news

    assert known.asset is not None
    assert known.asset.name == "n" * MOST_NAME


# Units --------------------------------------------------------------------------------

_CONVERTED = {
    "W": ("Rack", "RackPower", "W", 90_500, 90.5),
    "MW": ("PowerMeter", "ActivePower", "MW", 0.0905, 90.5),
    "mW": ("PowerMeter", "ActivePower", "mW", 90_500_000, 90.5),
    "a blank around it": ("Rack", "RackPower", " kW ", 90.5, 90.5),
    "VA": ("PowerMeter", "ApparentPower", "VA", 90_500, 90.5),
    "degF": ("CDU", "LiquidTemperature", "degF", 212, 100.0),
    "K": ("CDU", "LiquidTemperature", "K", 300, 26.85),
    "US gallons": ("CDU", "LiquidFlow", "GPM", 10, 37.85411784),
    "L/s": ("CDU", "LiquidFlow", "L/s", 2, 120.0),
    "m3/h": ("CDU", "LiquidFlow", "m3/h", 6, 100.0),
    "psi": ("CDU", "LiquidPressure", "psi", 10, 68.94757293168361),
    "bar": ("CDU", "LiquidPressure", "bar", 2, 200.0),
    "Pa of air": ("AHU", "AirDifferentialPressure", "Pa", 25, 0.025),
    "kV": ("PowerMeter", "Voltage", "kV", 13.8, 13_800.0),
    "none, for a power factor": ("PowerMeter", "PowerFactor", None, 0.98, 0.98),
    "an empty one, for a power factor": ("PowerMeter", "PowerFactor", "", 0.98, 0.98),
    "revolutions instead of percent": ("Pump", "PumpSpeed", "RPM", 1_450, 1_450.0),
    "one that nobody knows, for a type that nobody knows": ("System", "Strain", "furlong", 7, 7.0),
}


@pytest.mark.parametrize(
    ("object_type", "point_type", "unit", "read", "canonical"), _CONVERTED.values(), ids=_CONVERTED
)
def test_values_are_stored_in_the_canonical_unit(
    object_type: str, point_type: str, unit: str | None, read: float, canonical: float
) -> None:
    """Whatever unit the metadata names, the journal holds one unit for a quantity."""
    hearing = describing(
        metadata("p", object_type=object_type, point_type=point_type, engUnit=unit, objectId="X-1")
    )

    outcome = hearing.hear(value("p", read, object_type=object_type, point_type=point_type))

    assert stored(outcome) == [pytest.approx(canonical, rel=1e-12)]


_UNITS = {
    "of another dimension": ({"engUnit": "degC"}, Reason.UNIT_CONTRADICTS),
    "reactive instead of active": ({"engUnit": "kvar"}, Reason.UNIT_CONTRADICTS),
    "energy instead of power": ({"engUnit": "kWh"}, Reason.UNIT_CONTRADICTS),
    "neither unit nor states": ({"engUnit": None}, Reason.UNIT_CONTRADICTS),
    "states for a measurement": (
        {"engUnit": None, "stateText": [{"value": 0, "text": "off"}]},
        Reason.UNIT_CONTRADICTS,
    ),
    "that nobody knows": ({"engUnit": "horsepower"}, Reason.UNKNOWN_UNIT),
    "in another case": ({"engUnit": "KW"}, Reason.UNKNOWN_UNIT),
    "an immense one": ({"engUnit": "k" * 10_000}, Reason.UNKNOWN_UNIT),
}


@pytest.mark.shows
@pytest.mark.parametrize(("said", "reason"), _UNITS.values(), ids=_UNITS)
def test_a_unit_that_can_not_be_is_refused(said: dict[str, Any], reason: Reason) -> None:
    """A unit is never guessed: the metadata is dead-lettered, and so are the values that depend on it."""
    outcome = Hearing().hear(metadata("r1", **said), value("r1"))

    assert outcome.reasons == [reason, Reason.METADATA_REFUSED]
    assert not outcome.rows
    assert not outcome.news
    assert len(outcome.rejections[0].detail) <= 500


def test_a_corrected_unit_holds_from_then_on() -> None:
    """The same point, with the same number, in another unit; what was stored before stays what it was."""
    hearing = describing(metadata("r1", engUnit="kW"))
    (before,) = hearing.known

    hearing.hear(value("r1", 90, T0_MS))
    hearing.hear(metadata("r1", engUnit="W"))
    outcome = hearing.hear(value("r1", 91_000, T0_MS + 1))

    assert list(hearing.known) == [before]
    assert hearing.known[before].point.unit == "W"
    assert stored(outcome) == [91.0]


def test_a_unit_holds_only_for_values_that_come_after_it() -> None:
    """A value and a changed unit in one batch: the value before the change is read in the unit it had."""
    outcome = describing(metadata("r1", engUnit="kW")).hear(
        value("r1", 90, T0_MS), metadata("r1", engUnit="W"), value("r1", 91_000, T0_MS + 1)
    )

    assert stored(outcome) == [90.0, 91.0]


# Metadata that cannot be used --------------------------------------------------------

_BAD = {
    "no JSON": (b"{", Reason.BAD_JSON),
    "a list": (b"[]", Reason.WRONG_TYPE),
    "a number": (b"1", Reason.WRONG_TYPE),
    "nothing said": (b"{}", Reason.MISSING_FIELD),
    "unit as a number": (b'{"engUnit":1,"rackLocationId":"r1"}', Reason.WRONG_TYPE),
    "bytes that are no UTF-8": (b'{"engUnit":"kW","rackLocationId":"r\xff"}', Reason.BAD_JSON),
    "brackets without end": (b'{"x":' + b"[" * 60_000, Reason.BAD_JSON),
    "of 64 KiB and more": (b'{"x":"' + b"y" * 65_536 + b'"}', Reason.TOO_LARGE),
}


@pytest.mark.shows
@pytest.mark.parametrize(("body", "reason"), _BAD.values(), ids=_BAD)
def test_metadata_that_can_not_be_read_is_refused(body: bytes, reason: Reason) -> None:
    """It is one dead letter, and nothing is known by it."""
    outcome = Hearing().hear(raw(metadata("r1").topic, body))

    assert outcome.reasons == [reason]
    assert not outcome.news
    assert not outcome.metadata


_CONFLICTS = {
    "another object type": ({"objectType": "CDU"}, Reason.IDENTITY_CONFLICT),
    "another point type": ({"pointType": "RackLiquidFlow"}, Reason.IDENTITY_CONFLICT),
    "nobody's": ({"rackLocationId": None}, Reason.MISSING_FIELD),
}


@pytest.mark.parametrize(("said", "reason"), _CONFLICTS.values(), ids=_CONFLICTS)
def test_what_the_payload_says_must_be_what_the_topic_says(said: dict[str, Any], reason: Reason) -> None:
    """Topic and payload are one identity or none."""
    outcome = Hearing().hear(metadata("r1", **said), value("r1"))

    assert outcome.reasons == [reason, Reason.METADATA_REFUSED]


_NAMES = {
    "a blank": "r 1",
    "a line break": "r1\n",
    "a NUL": "r\x001",
    "a comma": "r1,tenant=evil",
    "a backslash": "r1\\",
    "a quotation mark": "r1' OR '1'='1",
    "a template": "{{constructor}}",
    "a path upwards": "../../etc/passwd",
    "a slash": "a/b",
    "a wildcard": "+",
    "a look-alike": "r\u0661",
    "from right to left": "\u202e1r",
    "a leading dot": ".r1",
    "65 letters": "r" * 65,
    "60,000 letters": "r" * 60_000,
}
_FIELDS: dict[str, dict[str, Any]] = {
    "rackLocationId": {},
    "objectId": {"rackLocationId": None},
    "associateId": {"rackLocationId": None},
    "integration": {},
    "servesId": {"objectId": "X-1"},
    "phase": {},
}


@pytest.mark.parametrize("field", _FIELDS)
@pytest.mark.parametrize("name", _NAMES.values(), ids=_NAMES)
def test_any_text_becomes_an_identity_by_a_name_of_our_own(name: str, field: str) -> None:
    """Nothing in it has to be escaped anywhere, no other text has it, and it leads back to the text."""
    said: object = ["r2", name] if field == "servesId" else name

    outcome = Hearing().hear(metadata("r1", **(_FIELDS[field] | {field: said})))

    if field == "integration" and not is_level(name):
        assert outcome.reasons == [Reason.BAD_NAME]
        return
    (known,) = outcome.news
    assert known.asset is None or field != "associateId"
    found = {
        "servesId": known.asset.serves[-1:] if known.asset else (),
        "phase": (known.point.phase,),
        "integration": (known.point.stream.removeprefix("bus:"),),
    }.get(field, (known.point.asset,))[0]
    assert is_id(found)
    assert found == name_of(name)
    assert text_of(found) == name or len(name) > 60


_EMPTY: dict[str, dict[str, Any]] = {
    "rackLocationId": {"objectId": "r1"},
    "objectId": {},
    "associateId": {},
    "integration": {},
    "phase": {},
    "scope": {},
}


@pytest.mark.parametrize("field", _EMPTY)
def test_an_empty_text_says_nothing(field: str) -> None:
    """A building system that writes every key of a form leaves those empty that do not apply."""
    outcome = Hearing().hear(metadata("r1", **(_EMPTY[field] | {field: ""})), value("r1", 90))

    assert not outcome.rejections
    assert outcome.rows == [(KEY, T0_MS, 90.0)]
    assert outcome.news[0].point.asset == "r1"


@pytest.mark.shows(Reason.MISSING_FIELD)
def test_an_id_that_is_empty_is_nobodys() -> None:
    """A point of nothing is not taken, and nothing is described by it."""
    outcome = Hearing().hear(metadata("r1", rackLocationId="", objectId="", associateId=""))

    assert outcome.reasons == [Reason.MISSING_FIELD]
    (served,) = Hearing().hear(metadata("m", rackLocationId="", objectId="", associateId="METER-1")).news
    assert (served.point.asset, served.asset) == ("METER-1", None)


@pytest.mark.parametrize("more", [b',"engUnit":"W"', b',"x":"\xff"'], ids=["a key twice", "no UTF-8"])
def test_metadata_that_says_two_things_or_nothing_readable_is_refused(more: bytes) -> None:
    """Nobody chooses between two units of one point."""
    body = b'{"engUnit":"kW","rackLocationId":"r1"' + more + b"}"

    outcome = Hearing().hear(raw(metadata("r1").topic, body))

    assert outcome.reasons in ([Reason.DUPLICATE_KEY], [Reason.BAD_JSON])
    assert not outcome.news


def test_an_asset_serves_a_bounded_number() -> None:
    """Five thousand racks can hang on one meter; a payload of more ids is a mistake or an attack."""
    ids = [f"{i:x}" for i in range(MOST_SERVED)]

    at_most = Hearing().hear(metadata("m", objectId="M", servesId=ids))
    over = Hearing().hear(metadata("m", objectId="M", servesId=[*ids, "one-more"]))

    assert not at_most.rejections
    assert over.reasons == [Reason.TOO_LARGE]
