"""Energy registers: they add up exactly, roll over, are reset, and go with a device that is replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.model.state import Floats, Ints

MILLIJOULES_PER_KWH: Final = 3_600_000_000
"""A kilowatt-hour, exactly [mJ]."""
UNITS_PER_KWH: Final = 10
"""A register counts tenths of a kilowatt-hour, as building meters show them."""
CAPACITY: Final = 100_000_000
"""Where a register of eight digits rolls over [tenths of a kWh]."""

_UNIT: Final = MILLIJOULES_PER_KWH // UNITS_PER_KWH


@dataclass(slots=True)
class Registers:
    """The energy registers of meters: (M,) each.

    At all times `units * 3.6e8 mJ + remainder` is what was added since the register was last set, less whole
    turns of the register; in integers, so that no second is ever lost.

    Attributes:
        units: What each shows [tenths of a kWh].
        remainder_millijoules: What it has counted towards the next tenth [mJ].
        turns: How often each has rolled over.
    """

    units: NDArray[np.int64]
    remainder_millijoules: NDArray[np.int64]
    turns: NDArray[np.int64]

    @classmethod
    def starting_at(cls, units: Ints) -> Registers:
        """Return registers that show something already, as meters in service do [tenths of a kWh]."""
        none = np.zeros(len(units), np.int64)
        return cls(units.astype(np.int64) % CAPACITY, none.copy(), none.copy())

    def add(self, milliwatts: Ints, seconds: int = 1) -> None:
        """Add up power over some seconds; what flows backwards is not counted, as on an import register.

        Args:
            milliwatts: (M,) mean power of the time [mW].
            seconds: How long [s].
        """
        self.remainder_millijoules += np.maximum(milliwatts, 0) * seconds
        full = self.remainder_millijoules // _UNIT
        self.remainder_millijoules -= full * _UNIT
        self.units += full
        over = self.units // CAPACITY
        self.turns += over
        self.units -= over * CAPACITY

    def reset(self, which: Ints) -> None:
        """Set registers to zero, as a meter does that loses its memory."""
        self.units[which] = 0
        self.remainder_millijoules[which] = 0

    def bring_near_end(self, which: Ints, milliwatts: Ints, seconds: int) -> None:
        """Set registers so that they roll over after some seconds at their present power.

        Args:
            which: Which registers.
            milliwatts: (len(which),) present power [mW].
            seconds: After how long they roll over [s].
        """
        ahead = np.maximum(milliwatts, 0) * seconds
        self.units[which] = CAPACITY - 1 - ahead // _UNIT
        self.remainder_millijoules[which] = _UNIT - 1 - ahead % _UNIT

    def replace(self, which: Ints, units: Ints) -> None:
        """Put other devices in the place of some, with what their registers show [tenths of a kWh]."""
        self.units[which] = units % CAPACITY
        self.remainder_millijoules[which] = 0

    def kwh(self) -> Floats:
        """Return what the registers show [kWh]."""
        return self.units / UNITS_PER_KWH
