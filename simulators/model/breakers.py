"""Breakers: how much of its trip curve each has used up, and which trip."""

from __future__ import annotations

import numpy as np

from simulators.model.sizing import Sizes
from simulators.model.state import Bools, Floats


class Breakers:
    """The thermal memory of every node's breaker.

    An overload of x times the rating, held for t seconds, uses up `t / hold_s(x)` of the curve; below, what
    is used up decays (`simulators.model.ratings.Curve`). The worst phase counts.

    Args:
        sizes: What the nodes are rated.

    Attributes:
        used: (N,) consumed fraction, 1 = trips.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._keep = np.exp(-1.0 / sizes.trip_cools_s)
        self.used: Floats = np.zeros(len(sizes.amps))

    def step(self, amps: Floats) -> Bools:
        """Let a second pass.

        Args:
            amps: (N, 3) current of each phase [A].

        Returns:
            (N,) which trip at the end of the second.
        """
        sizes = self._sizes
        x = np.maximum(np.maximum(amps[:, 0], amps[:, 1]), amps[:, 2]) / sizes.amps
        hot = np.flatnonzero(x > sizes.trip_from)
        before = self.used
        self.used = before * self._keep
        if len(hot):
            hold_s = sizes.trip_scale_s[hot] * (x[hot] - 1) ** -sizes.trip_exponent[hot]
            self.used[hot] = before[hot] + 1 / hold_s
        # A millionth is what a sum of so many fractions may be off.
        trips: Bools = self.used >= 1 - 1e-6
        return trips

    def reset(self, nodes: list[int]) -> None:
        """Cool breakers down at once, as when they are closed again by hand."""
        self.used = self.used.copy()
        self.used[nodes] = 0.0
