"""Kinds of assets, by the names of NVIDIA's DSX bus: what each is, and what an edge from it carries."""

from __future__ import annotations

from typing import Final

RACK: Final = "Rack"
METER: Final = "PowerMeter"

ELECTRICAL: Final = frozenset({"PowerMeter", "BESS", "UPS", "ATS", "Generator", "Shunt", "Breaker"})
MECHANICAL: Final = frozenset(
    {
        "CDU", "CoolingTower", "HX", "CRAH", "CRAC", "AHU", "Chiller",
        "Valve", "Pump", "Fan", "Damper", "Sensor", "Tank",
    }
)  # fmt: skip
KINDS: Final = ELECTRICAL | MECHANICAL | {"Rack", "System", "GenericObject"}
