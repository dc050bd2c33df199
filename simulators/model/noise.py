"""Chance that depends on the seed, the purpose and the second alone.

Every purpose has numbers of its own, and those of a second are the same whichever seconds were asked for
before: a fault that is switched on shifts no other noise, and a run in batches equals a run in one go.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

from simulators.model.state import Floats

BLOCK_S: Final = 32
"""Seconds that are drawn at once."""


def generator(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """Return a generator that depends on nothing but its arguments.

    Args:
        seed: Seed of the run.
        purpose: What it is for; every purpose has its own.
        number: Which of that purpose's.
    """
    return np.random.default_rng([seed % 2**64, zlib.crc32(purpose.encode()), number])


class Noise:
    """Standard normal numbers for one purpose, `width` of them each second.

    Args:
        seed: Seed of the run.
        purpose: What they are for.
        width: How many a second.
    """

    def __init__(self, seed: int, purpose: str, width: int) -> None:
        self._seed, self._purpose, self._width = seed, purpose, width
        self._number = -1
        self._block: Floats = np.empty((0, width))

    def at(self, second: int) -> Floats:
        """Return the numbers of a second: (width,), standard normal; not to be written to."""
        number, row = divmod(second, BLOCK_S)
        if number != self._number:
            random = generator(self._seed, self._purpose, number)
            self._block, self._number = random.standard_normal((BLOCK_S, self._width)), number
        found: Floats = self._block[row]
        return found


class Wander:
    """A mean-reverting walk around 0 (Ornstein-Uhlenbeck), one second a step.

    Args:
        seed: Seed of the run.
        purpose: What it is for.
        width: How many walks.
        sigma: Lasting standard deviation.
        tau_s: Time constant [s].
    """

    def __init__(self, seed: int, purpose: str, width: int, *, sigma: float, tau_s: float) -> None:
        self._noise = Noise(seed, purpose, width)
        self._keep = float(np.exp(-1 / tau_s))
        self._kick = sigma * float(np.sqrt(1 - self._keep**2))
        self._value = sigma * generator(seed, purpose + " at first").standard_normal(width)

    def step(self, second: int) -> Floats:
        """Go on by a second: (width,) values; a new array each time."""
        self._value = self._value * self._keep + self._noise.at(second) * self._kick
        return self._value
