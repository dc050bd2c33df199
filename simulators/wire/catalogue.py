"""The catalogue of a plant: every point that its bus has."""

from __future__ import annotations

from simulators.model.wiring import Wiring
from simulators.wire.pointbuild import Builder
from simulators.wire.points import Catalogue, Equipment
from simulators.wire.pointsofcooling import add_chillers, add_coolant_units, add_others, add_sensors
from simulators.wire.pointsofpower import add_power, add_racks


def catalogue(wiring: Wiring, equipment: Equipment | None = None, *, samples: bool = False) -> Catalogue:
    """Return every point of a plant that a DSX bus has.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        equipment: What of it is on the bus; None for what is usual.
        samples: Whether the racks' meters show the draw at the instant at which a second begins, instead of
            its mean over the second.
    """
    builder = Builder(wiring, equipment or Equipment(), samples=samples)
    add_racks(builder)
    add_power(builder)
    add_coolant_units(builder)
    add_chillers(builder)
    if builder.equipment.has_sensors:
        add_sensors(builder)
    add_others(builder)
    return builder.build()
