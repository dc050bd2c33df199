"""The schema of rack documents, the table of their keys and the decoder say the same."""

from __future__ import annotations

import json
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from collector.decode.base import Context, Gathered, decode_at_once
from collector.decode.rackdocument import RackDocumentDecoder
from collector.mqtt.message import Message, Messages
from collector.register import Register
from collector.row_builder import Ranges
from facility.names import AssetId
from facility.quantities import QUANTITIES
from facility.readings import Reason
from facility.site import Rack, Site
from facility.sitefile.tables import BrokerTable
from facility.units import UNITS, Dimension
from formats.rackdoc import (
    FEED_KEYS,
    MOST_FEEDS,
    OTHER_KEYS,
    RACK_KEYS,
    Key,
    json_schema,
    point_key,
    topic_filter,
)
from testing.builders import T0_MS

VALIDATOR = Draft202012Validator(json_schema())
DOCUMENT = json_schema()["$defs"]["document"]
FEED = DOCUMENT["properties"]["feeds"]["patternProperties"]["^[a-d]$"]

TIME = "2026-05-28T20:26:40.250Z"
FULL = {
    "rack": "A-01",
    "time": TIME,
    "seq": 4711,
    "power_kw": 118.4,
    "inlet_c": 23.5,
    "supply_c": 32.0,
    "return_c": 42.1,
    "flow_lpm": 171.0,
    "feeds": {
        "a": {"kw": 59.1, "amps": [82.0, 81.5, 82.4], "volts": [240.1, 239.8, 240.3], "kwh": 10482.5},
        "b": {"kw": 59.3, "kwh": 10391.0},
    },
}

GOOD: list[tuple[str, object]] = [
    ("everything", FULL),
    ("one value", {"time": TIME, "power_kw": 118.4}),
    ("Unix milliseconds", {"time": T0_MS, "power_kw": 118.4}),
    ("an offset", {"time": "2026-05-28T15:26:40-05:00", "power_kw": 118.4}),
    ("a row", [{**FULL, "rack": "A-01"}, {**FULL, "rack": "A-02"}]),
    ("a row of one", [FULL]),
    ("whole numbers", {"time": TIME, "power_w": 118_400, "humidity_percent": 47}),
    ("nothing measured", {"time": TIME, "power_kw": None, "leak": None, "feeds": {"a": {"amps": None}}}),
    ("a leak in numbers", {"time": TIME, "leak": 1, "leak_fault": 0}),
    ("a leak in words", {"time": TIME, "leak": True, "leak_fault": False}),
    ("an unknown leak", {"time": TIME, "leak": -1}),
    ("one voltage of three", {"time": TIME, "feeds": {"a": {"volts": 240.1}}}),
    ("a phase that is not measured", {"time": TIME, "feeds": {"a": {"volts": [240.1, None, 240.3]}}}),
    ("four feeds", {"time": TIME, "feeds": {feed: {"kw": 1.0} for feed in "abcd"}}),
]

BROKEN: list[tuple[str, object]] = [
    ("null", None),
    ("a number", 118.4),
    ("a text", "118.4"),
    ("an empty array", []),
    ("an array in an array", [[FULL]]),
    ("an array of numbers", [1, 2]),
    ("an entry of an array without its rack", [{"time": TIME, "power_kw": 118.4}]),
    ("no time", {"power_kw": 118.4}),
    ("a null time", {"time": None, "power_kw": 118.4}),
    ("a time in fractions", {"time": 1780000000.5, "power_kw": 118.4}),
    ("a time that is true", {"time": True, "power_kw": 118.4}),
    ("an unknown key", {"time": TIME, "power_kw": 118.4, "powr_kw": 1}),
    ("a quantity without its unit", {"time": TIME, "power": 118.4}),
    ("a unit of another quantity", {"time": TIME, "power_c": 118.4}),
    ("the wrong case", {"time": TIME, "Power_kW": 118.4}),
    ("a number as text", {"time": TIME, "power_kw": "118.4"}),
    ("a number as truth", {"time": TIME, "power_kw": True}),
    ("a number in an object", {"time": TIME, "power_kw": {"value": 118.4}}),
    ("a list for one value", {"time": TIME, "power_kw": [118.4]}),
    ("a leak as text", {"time": TIME, "leak": "yes"}),
    ("a rack that is a number", {"rack": 5, "time": TIME, "power_kw": 118.4}),
    ("a rack that is no name", {"rack": "A 01", "time": TIME, "power_kw": 118.4}),
    ("a rack without a name", {"rack": "", "time": TIME, "power_kw": 118.4}),
    ("a rack with too long a name", {"rack": "A" * 65, "time": TIME, "power_kw": 118.4}),
    ("feeds in a list", {"time": TIME, "feeds": [{"kw": 1.0}]}),
    ("a feed that is a number", {"time": TIME, "feeds": {"a": 59.1}}),
    ("a feed of another letter", {"time": TIME, "feeds": {"e": {"kw": 1.0}}}),
    ("a feed in capitals", {"time": TIME, "feeds": {"A": {"kw": 1.0}}}),
    ("a fifth feed", {"time": TIME, "feeds": {feed: {"kw": 1.0} for feed in "abcde"}}),
    ("an unknown key of a feed", {"time": TIME, "feeds": {"a": {"power_kw": 1.0}}}),
    ("two phases", {"time": TIME, "feeds": {"a": {"amps": [82.0, 81.5]}}}),
    ("four phases", {"time": TIME, "feeds": {"a": {"amps": [82.0, 81.5, 82.4, 1.0]}}}),
    ("phases of a sum", {"time": TIME, "feeds": {"a": {"kw": [20.0, 20.0, 19.1]}}}),
    ("a phase as text", {"time": TIME, "feeds": {"a": {"amps": [82.0, "81.5", 82.4]}}}),
]

EXPECTED_KEYS = {
    "power": {"mw", "kw", "w"},
    "apparent": {"kva", "va"},
    "reactive": {"kvar", "var"},
    "energy": {"mwh", "kwh", "wh", "j"},
    "inlet": {"c", "f", "k"},
    "outlet": {"c", "f", "k"},
    "dew_point": {"c", "f", "k"},
    "supply": {"c", "f", "k"},
    "return": {"c", "f", "k"},
    "humidity": {"percent"},
    "valve": {"percent"},
    "flow": {"lpm", "lps", "m3h", "gpm"},
    "pressure": {"kpa", "pa", "hpa", "bar", "psi"},
    "pressure_difference": {"kpa", "pa", "hpa", "bar", "psi"},
    "frequency": {"hz"},
}


def a_decoder() -> RackDocumentDecoder:
    """Return a decoder of a site with two racks of 132 kW."""
    racks = {
        AssetId(name): Rack(id=AssetId(name), rating_milliwatts=132_000_000) for name in ("A-01", "A-02")
    }
    site = Site(name="titan", zone=ZoneInfo("UTC"), racks=racks)
    broker = BrokerTable.model_validate({"url": "mqtt://localhost", "format": "rack-documents"})
    return RackDocumentDecoder(broker, Context(site, Register({}), Ranges(), count()))


def decode(document: object) -> tuple[int, list[Reason]]:
    """Return how many values the decoder reads out of a document, and why it refuses the others."""
    gathered = Gathered()
    payload = json.dumps(document).encode()
    level = "row-A" if isinstance(document, list) else "A-01"
    message = Message(f"megawatch/v1/titan/{level}", payload, T0_MS + 1_000)
    decode_at_once(a_decoder(), Messages.of([message]), gathered)
    return len(gathered.rows), [rejection.reason for rejection in gathered.rows.rejections]


def test_the_schema_is_a_schema() -> None:
    """What publishers are given is valid by the rules of JSON Schema itself, and plain JSON."""
    Draft202012Validator.check_schema(json_schema())

    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("document", [d for _, d in GOOD], ids=[name for name, _ in GOOD])
def test_a_good_document_passes_schema_and_decoder(document: object) -> None:
    """What the schema allows is read, value by value."""
    values, refused = decode(document)

    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert values > 0
    assert refused == []


@pytest.mark.parametrize("document", [d for _, d in BROKEN], ids=[name for name, _ in BROKEN])
def test_a_broken_document_fails_schema_and_decoder(document: object) -> None:
    """What the decoder refuses in part or as a whole, a publisher could have found with the schema."""
    _, refused = decode(document)

    assert not VALIDATOR.is_valid(document)
    assert refused != []


@pytest.mark.parametrize(
    "document",
    [
        {"time": TIME, "leak": 0.5},
        {"time": TIME, "seq": "4711", "leak": 0},
        {"time": TIME, "seq": 0.5, "leak": 0},
    ],
    ids=["half a leak", "a sequence number as text", "a sequence number in fractions"],
)
def test_the_schema_is_strict_where_the_decoder_is_kind(document: object) -> None:
    """A publisher learns of what the decoder overlooks."""
    assert not VALIDATOR.is_valid(document)


def test_every_key_that_is_decoded_is_in_the_schema_and_the_reverse() -> None:
    """Neither can a key be sent that is not documented, nor one be documented that is not read."""
    assert set(DOCUMENT["properties"]) == set(RACK_KEYS) | OTHER_KEYS
    assert set(FEED["properties"]) == set(FEED_KEYS)
    assert DOCUMENT["properties"]["feeds"]["maxProperties"] == MOST_FEEDS
    assert not set(RACK_KEYS) & OTHER_KEYS


@pytest.mark.parametrize("key", sorted(RACK_KEYS))
def test_every_key_of_a_rack_is_read_by_the_decoder(key: str) -> None:
    """A document that carries nothing but this key gives one value."""
    assert decode({"time": TIME, key: 0}) == (1, [])


@pytest.mark.parametrize("key", sorted(FEED_KEYS))
def test_every_key_of_a_feed_is_read_by_the_decoder(key: str) -> None:
    """A feed that carries nothing but this key gives one value, or three where it has phases."""
    phases = FEED_KEYS[key].has_phases

    assert decode({"time": TIME, "feeds": {"a": {key: 1}}}) == (1, [])
    assert decode({"time": TIME, "feeds": {"a": {key: [1, 1, 1]}}}) == (
        (3, []) if phases else (0, [Reason.WRONG_TYPE])
    )


def test_the_keys_of_a_rack_are_those_of_the_documentation() -> None:
    """Each quantity may come in every unit of its dimension that has a place in a key, and in no other."""
    plain = {"power_factor", "leak", "leak_fault"}
    expected = {f"{word}_{suffix}" for word, suffixes in EXPECTED_KEYS.items() for suffix in suffixes}

    assert set(RACK_KEYS) == expected | plain


@pytest.mark.parametrize(
    ("key", "quantity", "unit"),
    [
        ("power_mw", "rack.power.active", "MW"),
        ("power_kw", "rack.power.active", "kW"),
        ("inlet_f", "air.inlet", "°F"),
        ("flow_lpm", "rack.coolant.flow", "L/min"),
        ("flow_gpm", "rack.coolant.flow", "gpm"),
        ("pressure_psi", "coolant.pressure", "psi"),
        ("pressure_difference_kpa", "coolant.pressure.differential", "kPa"),
        ("energy_j", "energy.active", "J"),
    ],
)
def test_a_key_means_what_it_says(key: str, quantity: str, unit: str) -> None:
    """The unit in a key is the unit of its value: megawatts, never milliwatts."""
    assert (RACK_KEYS[key].quantity, RACK_KEYS[key].unit) == (QUANTITIES[quantity], unit)


@pytest.mark.parametrize("key", [*RACK_KEYS.values(), *FEED_KEYS.values()], ids=[*RACK_KEYS, *FEED_KEYS])
def test_the_unit_of_a_key_is_one_of_its_quantity(key: Key) -> None:
    """No key leads from one dimension to another."""
    assert UNITS[key.unit].dimension is key.quantity.dimension


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("power_kw", "rack power [kW]"),
        ("flow_gpm", "rack coolant flow [gpm]"),
        ("leak", "leak"),
        ("power_factor", "power factor"),
    ],
)
def test_the_schema_describes_each_key_with_its_unit(name: str, text: str) -> None:
    """Whoever reads the schema sees what a value is, and in which unit where it has one."""
    assert DOCUMENT["properties"][name]["description"] == text


def test_only_states_are_counted_as_whole() -> None:
    """A measurement may have a fraction, and a state has none."""
    whole = {name for name in RACK_KEYS if "integer" in DOCUMENT["properties"][name]["type"]}

    assert whole == {name for name, key in RACK_KEYS.items() if key.quantity.dimension is Dimension.STATE}


@pytest.mark.parametrize(
    ("feed", "phase", "key"),
    [
        ("", "", "rack-document/A-01/current.phase"),
        ("a", "", "rack-document/A-01/feed-a/current.phase"),
        ("a", "2", "rack-document/A-01/feed-a/phase-2/current.phase"),
    ],
)
def test_a_point_is_named_by_rack_feed_and_phase(feed: str, phase: str, key: str) -> None:
    """Values of two feeds or two phases are never of one point."""
    assert point_key("A-01", "current.phase", feed, phase) == key


def test_a_site_hears_its_own_racks_only() -> None:
    """The filter matches one level below the site."""
    assert topic_filter("titan") == "megawatch/v1/titan/+"
