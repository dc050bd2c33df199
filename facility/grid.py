"""What the operator of the grid allows a site: profiles as data, and what a site file sets otherwise.

The limits of large loads are new and still change. These are as they stood in autumn 2026, read second hand;
what is agreed with the utility goes before them:

    ERCOT   continuous range and recovery by NOGRR282 (approved July 2026); peak to peak at most 10 MW in any
            rolling 5 s as its staff proposed in June 2026.
    CAISO   mean ramp over a rolling 10 min at most 20 MW/min, both ways (straw proposal of June 2026).
    IESO    at most 20 MW/min, and at most 5 MW in any 15 s, both ways (version 3.0 of September 2026).

The range of frequencies that a load must bear continuously is the 58.8 to 61.2 Hz that SPP and ERCOT ask for;
in a 50 Hz system it is 49 to 51 Hz, as the European network code has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Profile(StrEnum):
    """Whose limits hold where the site file sets none."""

    OWN = "own"
    ERCOT = "ercot"
    CAISO = "caiso"
    IESO = "ieso"


RAMP_WINDOWS_S: Final = (60, 600)
"""Over how long a ramp may be taken [s]."""
VARIATION_WINDOWS_S: Final = (5, 15)
"""Over how long a variation may be taken [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Limits at the point of supply.

    Attributes:
        nominal_hz: Nominal frequency [Hz].
        least_hz: Lowest frequency that is borne for ever [Hz].
        most_hz: Highest one [Hz].
        ramp_window_s: Over how long a ramp is taken [s].
        ramp_up_mw_per_min: The fastest rise [MW/min]; None for no limit.
        ramp_down_mw_per_min: The fastest fall [MW/min]; None for no limit.
        variation_window_s: Over how long a variation is taken [s].
        variation_mw: The largest one, peak to peak [MW]; None for no limit.
    """

    nominal_hz: float = 60
    least_hz: float = 58.8
    most_hz: float = 61.2
    ramp_window_s: float = 60
    ramp_up_mw_per_min: float | None = None
    ramp_down_mw_per_min: float | None = None
    variation_window_s: float = 5
    variation_mw: float | None = None

    def settings(self) -> Mapping[str, float]:
        """Return what it sets, by name."""
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: float(value) for name, value in found if value is not None}


PROFILES: Final[Mapping[Profile, Grid]] = MappingProxyType(
    {
        Profile.OWN: Grid(),
        Profile.ERCOT: Grid(variation_window_s=5, variation_mw=10),
        Profile.CAISO: Grid(ramp_window_s=600, ramp_up_mw_per_min=20, ramp_down_mw_per_min=20),
        Profile.IESO: Grid(
            ramp_window_s=60,
            ramp_up_mw_per_min=20,
            ramp_down_mw_per_min=20,
            variation_window_s=15,
            variation_mw=5,
        ),
    }
)
"""The limits of each profile."""
FIFTY_HZ: Final = (49.0, 51.0)
"""The continuous range where the nominal frequency is 50 Hz."""
