"""Rack documents: one JSON object that carries everything of a rack at one moment.

For sites without a DSX bus. A key is a quantity and its unit, joined by `_`; which units a quantity may have
follows from `facility.units`. The schema for publishers is made from the same table (`json_schema`).

    megawatch/v1/{site}/{rack}      one object, or for a row an array of them

    {"rack": "A-01", "time": "2026-11-23T19:00:00.250Z", "seq": 4711,
     "power_kw": 118.4, "inlet_c": 23.5, "supply_c": 32.0, "return_c": 42.1, "flow_lpm": 171.0,
     "feeds": {"a": {"kw": 59.1, "amps": [82.0, 81.5, 82.4], "volts": [240.1, 239.8, 240.3], "kwh": 10482.5},
               "b": {"kw": 59.3, "kwh": 10391.0}}}
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from facility.names import NAME_LENGTH
from facility.quantities import QUANTITIES, Quantity
from facility.units import UNITS, Dimension

PREFIX: Final = "megawatch/v1/"
MOST_FEEDS: Final = 4
PHASES: Final = ("1", "2", "3")


@dataclass(frozen=True, slots=True)
class Key:
    """What one key of a document stands for.

    Attributes:
        quantity: What is measured.
        unit: Symbol of the unit.
        has_phases: Whether it may be a list with a value for each of three phases.
    """

    quantity: Quantity
    unit: str
    has_phases: bool = False


# How units are written in keys. A unit that is not here has no place in a key.
_SUFFIXES: Final = {
    "mw": "MW", "kw": "kW", "w": "W", "kva": "kVA", "va": "VA", "kvar": "kvar", "var": "var",
    "mwh": "MWh", "kwh": "kWh", "wh": "Wh", "j": "J", "c": "°C", "f": "°F", "k": "K",
    "lpm": "L/min", "lps": "L/s", "m3h": "m³/h", "gpm": "gpm",
    "kpa": "kPa", "pa": "Pa", "hpa": "hPa", "bar": "bar", "psi": "psi",
    "a": "A", "v": "V", "hz": "Hz", "percent": "%",
}  # fmt: skip

_RACK: Final = {
    "power": "rack.power.active",
    "apparent": "rack.power.apparent",
    "reactive": "rack.power.reactive",
    "energy": "energy.active",
    "inlet": "air.inlet",
    "outlet": "air.outlet",
    "humidity": "humidity",
    "dew_point": "dew.point",
    "supply": "coolant.supply",
    "return": "coolant.return",
    "flow": "rack.coolant.flow",
    "pressure": "coolant.pressure",
    "pressure_difference": "coolant.pressure.differential",
    "valve": "valve.position",
    "frequency": "frequency",
}


def _keys() -> dict[str, Key]:
    found = {
        f"{word}_{suffix}": Key(QUANTITIES[name], symbol)
        for word, name in _RACK.items()
        for suffix, symbol in _SUFFIXES.items()
        if UNITS[symbol].dimension is QUANTITIES[name].dimension
    }
    found["power_factor"] = Key(QUANTITIES["power.factor"], Dimension.RATIO)
    found["leak"] = Key(QUANTITIES["leak"], Dimension.STATE)
    found["leak_fault"] = Key(QUANTITIES["leak.fault"], Dimension.STATE)
    return found


RACK_KEYS: Final = MappingProxyType(_keys())
"""Every key of a document that carries a value of the rack as a whole."""

FEED_KEYS: Final = MappingProxyType(
    {
        "w": Key(QUANTITIES["rack.power.active"], "W"),
        "kw": Key(QUANTITIES["rack.power.active"], "kW"),
        "kva": Key(QUANTITIES["rack.power.apparent"], "kVA"),
        "kvar": Key(QUANTITIES["rack.power.reactive"], "kvar"),
        "wh": Key(QUANTITIES["energy.active"], "Wh"),
        "kwh": Key(QUANTITIES["energy.active"], "kWh"),
        "volts": Key(QUANTITIES["voltage.ln"], "V", has_phases=True),
        "amps": Key(QUANTITIES["current.phase"], "A", has_phases=True),
        "neutral_amps": Key(QUANTITIES["current.neutral"], "A"),
        "power_factor": Key(QUANTITIES["power.factor"], "1"),
        "hz": Key(QUANTITIES["frequency"], "Hz"),
        "thd_volts_percent": Key(QUANTITIES["thd.voltage"], "%"),
        "thd_amps_percent": Key(QUANTITIES["thd.current"], "%"),
    }
)
"""Every key of a document that carries a value of one power feed."""

OTHER_KEYS: Final = frozenset({"rack", "time", "seq", "feeds"})


def point_key(rack: str, quantity: str, feed: str = "", phase: str = "") -> str:
    """Return the key of the point that a value of a document is of."""
    place = "/".join(part for part in (rack, feed and f"feed-{feed}", phase and f"phase-{phase}") if part)
    return f"rack-document/{place}/{quantity}"


def topic_filter(site: str) -> str:
    """Return the topic filter of every document of a site."""
    return f"{PREFIX}{site}/+"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a message: one document, or an array of them."""
    number = {"type": ["number", "null"]}

    def value(key: Key) -> dict[str, Any]:
        quantity = key.quantity
        text = f"{quantity.title} [{key.unit}]" if key.unit not in ("1", "state") else quantity.title
        if quantity.dimension is Dimension.STATE:
            return {"description": text, "type": ["integer", "boolean", "null"]}
        if key.has_phases:
            phases = {"type": "array", "items": number, "minItems": 3, "maxItems": 3}
            return {"description": text + ", one value or one for each phase", "anyOf": [number, phases]}
        return {"description": text, **number}

    feed = {
        "type": "object",
        "properties": {name: value(key) for name, key in FEED_KEYS.items()},
        "additionalProperties": False,
    }
    document = {
        "type": "object",
        "required": ["time"],
        "properties": {
            "rack": {
                "description": "the rack's id; the last level of the topic, and needed in an array",
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "maxLength": NAME_LENGTH,
            },
            "time": {
                "description": "when it was measured: ISO 8601 with an offset, or Unix milliseconds",
                "type": ["string", "integer"],
            },
            "seq": {"description": "rises by one with each document of the rack", "type": "integer"},
            **{name: value(key) for name, key in RACK_KEYS.items()},
            "feeds": {
                "description": "values of each power feed, by its letter",
                "type": "object",
                "maxProperties": MOST_FEEDS,
                "patternProperties": {"^[a-d]$": feed},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Megawatch rack document",
        "$defs": {"document": document},
        "anyOf": [
            {"$ref": "#/$defs/document"},
            {
                "type": "array",
                "items": {"allOf": [{"$ref": "#/$defs/document"}, {"required": ["rack"]}]},
                "minItems": 1,
            },
        ],
    }
