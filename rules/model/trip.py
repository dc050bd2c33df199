"""How long breakers hold an overload, and how much of that is used up: one place for each breaker.

Three curves, by what the site file says of a breaker; x is the current as a multiple of what it is set to:

    nothing               t = 9.3 s · (x - 1)^-2.04     a power law through two pairs that Meta gives for its
                          breakers: 10 % over for 17 min, 40 % over for 60 s (Dynamo, ISCA 2016). It is
                          shorter than the curves of makers, so it says "could trip".
    trip_tr_s             t = tr · (6 / x)²             an electronic long-time unit: I²t is constant, and its
                          delay tr is the time at six times its setting Ir (makers' manuals).
    and trip_pickup       t = τ · ln((x² - θ) / (x² - p²)), τ = 36 · tr / p²       the thermal image of such a
                          unit, of first order: τ · dθ/dt = x² - θ, and it trips at θ = p².

The first two have a memory of what is used up: the share dt / t(x) adds up above 5 % overload, and what there
is fades with ten minutes below it (both our choice). A thermal image is its own memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from facility.readings import BoolArray, FloatArray

LEAST_OVERLOAD: Final = 1.05
"""A multiple that is held for ever: IEC 60947-2 lets no breaker trip there."""
FADES_S: Final = 600.0
"""The time constant with which what was used up fades [s] (our choice)."""
FOR_EVER_S: Final = 86_400.0
"""What stands for an overload that is held for ever, or no overload [s]."""
_TR_AT: Final = 6.0
"""The multiple of its setting at which the delay of an electronic unit is given."""


@dataclass(frozen=True)
class TripCurves:
    """The curves of breakers; arrays of shape (breakers,).

    Attributes:
        set_a: The current that each is set to, or rated [A]; NaN where that is not known.
        tr_s: The long-time delay at six times that [s]; NaN where that is not known.
        pickup: The multiple at which its thermal image trips at last; NaN where it is not known.
    """

    set_a: FloatArray
    tr_s: FloatArray
    pickup: FloatArray

    @cached_property
    def is_known(self) -> BoolArray:
        """Whether it is known to what each is set."""
        return ~np.isnan(self.set_a)

    @cached_property
    def _is_image(self) -> BoolArray:
        has_image: BoolArray = ~np.isnan(self.tr_s) & ~np.isnan(self.pickup)
        return has_image

    @cached_property
    def _has_image(self) -> bool:
        return bool(self._is_image.any())

    def hold_all(self, current_a: FloatArray) -> bool:
        """Tell whether every breaker holds its current for ever, as nearly always; not where one is an image.

        Args:
            current_a: The current of each [A].
        """
        return not (self._has_image or (current_a / self.set_a > LEAST_OVERLOAD).any())

    @property
    def _tau_s(self) -> FloatArray:
        """The time constant of each thermal image [s], NaN for a breaker without one."""
        return _TR_AT**2 * self.tr_s / self.pickup**2

    def hold_s(self, current_a: FloatArray) -> FloatArray:
        """Return how long a current is held from cold [s], inf where for ever."""
        return self.left_s(np.zeros(len(current_a)), current_a)

    def left_s(self, used: FloatArray, current_a: FloatArray) -> FloatArray:
        """Return how long a current is still held [s], inf where for ever.

        Args:
            used: The share that is used up of what trips it, 0 to 1.
            current_a: The current from now on [A].
        """
        over = current_a / self.set_a
        curve = self._curve_s(over)
        left = np.multiply(1 - used, curve, out=np.full(len(over), np.inf), where=np.isfinite(curve))
        return self._with_images(left, used, (over / self.pickup) ** 2) if self._has_image else left

    def wear(self, current_a: FloatArray) -> FloatArray:
        """Return how much a current wears each breaker, so that means over a swing say when it trips.

        The share that is used up in a second [1/s], 0 where the current is held for ever; of a thermal image
        the share that it tends to.

        Args:
            current_a: The current of each [A].
        """
        over = current_a / self.set_a
        worn = 1 / self._curve_s(over)
        return np.where(self._is_image, (over / self.pickup) ** 2, worn) if self._has_image else worn

    def left_of_swing_s(self, used: FloatArray, wear: FloatArray) -> FloatArray:
        """Return how long a current that swings is still held [s], inf where for ever.

        What it uses up, less what fades of it now, goes on. None of what is said to take less than ten
        minutes fades so fast that it never trips.

        Args:
            used: The share that is used up of what trips it, 0 to 1.
            wear: What `wear` gives, as a mean over the swing.
        """
        gain = wear - used / FADES_S
        left = np.divide(1 - used, gain, out=np.full(len(used), np.inf), where=gain > 0)
        return self._with_images(left, used, wear) if self._has_image else left

    def _with_images(self, left_s: FloatArray, used: FloatArray, tends: FloatArray) -> FloatArray:
        """Return for how long a load is held [s], of a thermal image by the share that it tends to.

        Args:
            left_s: How long all others hold it [s].
            used: The share that is used up of what trips each, 0 to 1.
            tends: The share that each thermal image tends to: above 1 it trips.
        """
        trips = self._is_image & (tends > 1)
        # Never below 1: what is used up is at most what trips it.
        ratio = np.divide(tends - used, tends - 1, out=np.ones(len(used)), where=trips)
        images: FloatArray = np.where(trips, self._tau_s * np.log(ratio), np.inf)
        return np.where(self._is_image, images, left_s)

    def step(self, used: FloatArray, current_a: FloatArray, past_s: float) -> FloatArray:
        """Return the share that is used up after a current that held for some time.

        Args:
            used: The share before, 0 to 1.
            current_a: The current that held [A].
            past_s: How long it did [s].
        """
        if self.hold_all(current_a):
            return np.asarray(used * np.exp(-past_s / FADES_S))
        over = current_a / self.set_a
        is_over = over > LEAST_OVERLOAD
        after = np.where(is_over, used + past_s / self._curve_s(over), used * np.exp(-past_s / FADES_S))
        is_image = self._is_image
        if self._has_image:
            share = -np.expm1(-past_s / self._tau_s)
            after = np.where(is_image, used + ((over / self.pickup) ** 2 - used) * share, after)
        return np.clip(after, 0.0, 1.0)

    def _curve_s(self, over: FloatArray) -> FloatArray:
        """Return how long multiples are held from cold, without a thermal image [s]; inf where for ever."""
        beyond = np.maximum(over, LEAST_OVERLOAD)
        power = 9.3 * (beyond - 1) ** -2.04
        held = np.where(np.isnan(self.tr_s), power, self.tr_s * (_TR_AT / beyond) ** 2)
        return np.where(over > LEAST_OVERLOAD, held, np.inf)
