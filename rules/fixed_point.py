"""Shares of powers in integers, so that exactly at a level is exactly that."""

from __future__ import annotations

import numpy as np

from facility.contracts import PPM
from facility.readings import FloatArray, IntArray
from rules.view import KILOWATT, NO_LIMIT, UNBOUNDED


def share(power: IntArray, numerator: int | IntArray, denominator: int | IntArray = PPM) -> IntArray:
    """Return a share of powers, rounded down; no product leaves 64 bits below 9 TW.

    Args:
        power: Powers [mW].
        numerator: The share, in parts of the denominator.
        denominator: The whole.
    """
    found: IntArray = power // denominator * numerator + power % denominator * numerator // denominator
    return found


def at_least(power: IntArray, errors: IntArray) -> IntArray:
    """Return what flows at least through meters of class errors below the whole that read powers [mW]."""
    return share(power, PPM, PPM + np.where(power < 0, -errors, errors))


def at_most(power: IntArray, errors: IntArray) -> IntArray:
    """Return what flows at most through meters of class errors below the whole that read powers [mW]."""
    return -at_least(-power, errors)


def lowered(level: IntArray, deadband_percent: float) -> IntArray:
    """Return the highest power that is a deadband below a level [mW].

    Args:
        level: Levels [mW].
        deadband_percent: The deadband, as a share of the level [%].
    """
    return share(level, PPM - round(deadband_percent * PPM / 100))


def in_kilowatts(power: IntArray) -> FloatArray:
    """Return powers for people [kW]; NaN where there is no limit or no bound."""
    known = (power != NO_LIMIT) & (power != UNBOUNDED)
    return np.where(known, power / KILOWATT, np.nan)
