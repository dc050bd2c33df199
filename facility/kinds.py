"""Kinds of assets: what each is, and what an edge from it carries.

Most names are those of NVIDIA's DSX bus. It has none for much of the power path and for places; the site file
may name those.
"""

from __future__ import annotations

from typing import Final

RACK: Final = "Rack"
METER: Final = "PowerMeter"
BREAKER: Final = "Breaker"
COOLANT_UNIT: Final = "CDU"
SENSOR: Final = "Sensor"

_POWER_PATH: Final = frozenset(
    {
        "Utility", "Transformer", "Switchgear", "Switchboard", "STS", "PDU", "RPP", "Busway", "TapBox",
        "PowerShelf",
    }
)  # fmt: skip
_PLACES: Final = frozenset({"Hall", "Room", "Row"})
OF_THE_SITE_FILE: Final = _POWER_PATH | _PLACES
"""Kinds that the bus has no name for."""

ELECTRICAL: Final = _POWER_PATH | {"PowerMeter", "BESS", "UPS", "ATS", "Generator", "Shunt", "Breaker"}
"""An edge from one of these carries power; from any other it cools or contains."""
MECHANICAL: Final = frozenset(
    {
        "CDU", "CoolingTower", "HX", "CRAH", "CRAC", "AHU", "Chiller",
        "Valve", "Pump", "Fan", "Damper", SENSOR, "Tank",
    }
)  # fmt: skip
PLACES: Final = _PLACES | {"System"}
"""What racks and the assets that serve them stand in."""
KINDS: Final = ELECTRICAL | MECHANICAL | PLACES | {"Rack", "GenericObject"}
"""Every kind that means something here. An asset of another one is kept; nothing follows from its kind."""
