"""Contracts for tests, and what a contract allows worked out in exact fractions, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from facility.contracts import Contract, Level, Limit, Shape, Version
from facility.instants import SECOND_MS

MW = 1_000_000_000
"""Milliwatts in a megawatt."""

STEP, LINEAR = Shape.STEP, Shape.LINEAR


def a_version(
    from_ms: int = 0,
    *,
    committed: int = MW,
    ramp: Sequence[tuple[int, int, Shape]] = (),
    burst: int = 0,
    tolerance_percent: float = 0.0,
) -> Version:
    """Return a version of so many milliwatts; a ramp is given as instant [ms], level [mW] and shape."""
    return Version(
        from_ms=from_ms,
        committed_milliwatts=committed,
        ramp=tuple(Level(at_ms=at, milliwatts=level, shape=shape) for at, level, shape in ramp),
        limit=Limit(tolerance_percent=tolerance_percent),
        burst_milliwatts=burst,
    )


def exact_limit(version: Version, instant: Fraction) -> Fraction:
    """Return what a version allows at an instant [ms], in milliwatts, without any rounding."""
    return (_exact_commitment(version, instant) + version.burst_milliwatts) * _granted(version)


def exact_integral(contract: Contract, from_ms: int, to_ms: int) -> Fraction | None:
    """Return what a contract allows in a span of whole seconds [mW·ms], as a sum over its seconds.

    Where levels and versions begin on whole seconds the limit is straight within each second, and its middle
    is its mean; so the sum is exact, and knows nothing of ramps, versions or their borders.
    """
    total = Fraction(0)
    for second_ms in range(from_ms, to_ms, SECOND_MS):
        version = contract.version_at(second_ms)
        if version is None:
            return None
        total += exact_limit(version, Fraction(second_ms) + SECOND_MS // 2) * SECOND_MS
    return total


def rounding(contract: Contract, from_ms: int, to_ms: int) -> Fraction:
    """Return how far below the truth an integral may be: one for each ramp and version it touches [mW·ms]."""
    linear = sum(1 for v in contract.versions for level in v.ramp if level.shape is Shape.LINEAR)
    return (linear + len(contract.versions)) * Fraction(11, 10) if from_ms < to_ms else Fraction(0)


def _granted(version: Version) -> Fraction:
    return 1 + Fraction(round(version.limit.tolerance_percent * 10_000), 1_000_000)


def _exact_commitment(version: Version, instant: Fraction) -> Fraction:
    reached = [level for level in version.ramp if level.at_ms <= instant]
    ahead = [level for level in version.ramp if level.at_ms > instant]
    if not version.ramp:
        return Fraction(version.committed_milliwatts)
    if not reached:
        return Fraction(ahead[0].milliwatts)
    before = reached[-1]
    if not ahead or ahead[0].shape is Shape.STEP:
        return Fraction(before.milliwatts)
    share = Fraction(instant - before.at_ms) / (ahead[0].at_ms - before.at_ms)
    return before.milliwatts + share * (ahead[0].milliwatts - before.milliwatts)
