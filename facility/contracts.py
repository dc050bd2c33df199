"""Contracts: what a tenant may draw, version by version.

A contract is a list of versions, each in force from an instant until the next one begins or the contract
ends. A version is never edited: an amendment is a new version. All power is in integer milliwatts, so that
"exactly at the limit" means exactly that: a draw of the limit is compliant, one milliwatt more is not.

The model is our own, of what leases of data centers agree on: thresholds, billing demand, ramps, take-or-pay.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final

from facility.instants import DAY_MS

PPM: Final = 1_000_000
"""The whole, in millionths."""


class Method(StrEnum):
    """Which figure of the draw the limit binds.

    The terms are those of threshold clauses in leases (any moment) and of billing demand in tariffs: the
    mean over a block of the clock, over one that slides, the highest of a month, or the rise of a register.
    """

    INSTANTANEOUS = "instantaneous"
    BLOCK = "block"
    ROLLING = "rolling"
    MONTHLY_PEAK = "monthly_peak"
    PERCENTILE = "percentile"
    REGISTER = "register"


BLOCK_METHODS: Final = frozenset({Method.BLOCK, Method.ROLLING, Method.MONTHLY_PEAK})
"""Methods that judge the mean over a demand block as it closes."""


class Boundary(StrEnum):
    """Which points a draw is summed of: one level only, so that nothing is counted twice."""

    RACK_INPUT = "rack_input"  # each rack's own power
    TAP_METER = "tap_meter"  # the meters that serve each rack directly
    NAMED_METERS = "named_meters"  # the meters that the contract names


class Shape(StrEnum):
    """How a ramp gets to a level."""

    STEP = "step"  # at once, at the instant of the level
    LINEAR = "linear"  # evenly from the level before, reaching it at the instant of the level


class Event(StrEnum):
    """What a date of a contract is about."""

    BEGIN = "begin"  # a version comes into force: the contract begins, or is amended
    RAMP = "ramp"  # a level of the ramp is reached
    NOTICE = "notice"  # the last moment to give notice so that the contract ends as it says
    END = "end"  # the contract ends, or what notice leaves of it does


class Redundancy(StrEnum):
    """The scheme that the tenant is sold."""

    N = "N"
    N_PLUS_1 = "N+1"
    TWO_N = "2N"
    THREE_TO_MAKE_TWO = "3N2"
    FOUR_TO_MAKE_THREE = "4N3R"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a ramp.

    Attributes:
        at_ms: From when the level is in force [ms].
        milliwatts: What may be drawn from then on [mW].
        shape: How the limit gets there from the level before.
    """

    at_ms: int
    milliwatts: int
    shape: Shape = Shape.STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How the draw is held against the committed power.

    Attributes:
        method: Which figure binds.
        block_ms: Length of a demand block [ms].
        subinterval_ms: How far a rolling block slides [ms].
        percentile: Which percentile binds, 0 to 100, for that method.
        sustain_ms: How long a draw must stay above before it counts [ms].
        warn_percent: Share of the limit at which the desk is warned [%].
        critical_percent: Share of the limit from which an overdraw is critical [%].
        tolerance_percent: Meter error that is granted before a breach [%].
    """

    method: Method = Method.INSTANTANEOUS
    block_ms: int = 900_000
    subinterval_ms: int = 300_000
    percentile: float = 95.0
    sustain_ms: int = 0
    warn_percent: float = 95.0
    critical_percent: float = 120.0
    tolerance_percent: float = 0.0

    @property
    def binds_instantly(self) -> bool:
        """Whether the draw of every moment is held against the limit."""
        return self.method is Method.INSTANTANEOUS

    @property
    def binds_blocks(self) -> bool:
        """Whether the mean over demand blocks is held against the limit."""
        return self.method in BLOCK_METHODS


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a contract.

    Attributes:
        from_ms: From when it is in force [ms].
        committed_milliwatts: What the tenant may draw once every ramp is over [mW].
        ramp: The way there, in order of time; empty where the whole is due at once.
        limit: How the draw is judged.
        boundary: Which points are summed.
        meters: The meters of the boundary `named_meters`.
        burst_milliwatts: What may be drawn above the commitment for a limited time [mW].
        burst_minutes_per_month: For how long [min].
        minimum_milliwatts: What is paid for in any case [mW].
        loss_factor: Power at the delivery point for one unit at the boundary.
        rack_cap_milliwatts: The most that one rack may draw [mW], None where nothing is agreed.
        redundancy: The redundancy that is sold, such as 2N; None where nothing is agreed.
        ramp_rate_milliwatts_per_min: The fastest agreed change, up or down [mW/min], None for none.
        cure_ms: Time to put an overdraw right after notice [ms].
        notice_days: Days of notice to end it.
        notice_given_ms: From when the days of notice count [ms], None while it was not given.
        monthly_fee: What it costs a month, in whole units of the currency, as text.
        currency: ISO 4217 code.
    """

    from_ms: int
    committed_milliwatts: int
    ramp: tuple[Level, ...] = ()
    limit: Limit = field(default_factory=Limit)
    boundary: Boundary = Boundary.RACK_INPUT
    meters: tuple[str, ...] = ()
    burst_milliwatts: int = 0
    burst_minutes_per_month: int = 0
    minimum_milliwatts: int = 0
    loss_factor: float = 1.0
    rack_cap_milliwatts: int | None = None
    redundancy: Redundancy | None = None
    ramp_rate_milliwatts_per_min: int | None = None
    cure_ms: int = 86_400_000
    notice_days: int = 90
    notice_given_ms: int | None = None
    monthly_fee: str = ""
    currency: str = "USD"

    @property
    def loss_ppm(self) -> int:
        """Power at the delivery point for a million at the boundary."""
        return round(self.loss_factor * PPM)

    def committed_at(self, instant_ms: int) -> int:
        """Return what may be drawn at an instant, before any tolerance [mW], rounded down.

        Args:
            instant_ms: An instant at which this version is in force [ms].
        """
        return int(self._committed_at(instant_ms))

    def _committed_at(self, instant_ms: int) -> int | Fraction:
        if not self.ramp:
            return self.committed_milliwatts
        index = bisect_right(self.ramp, instant_ms, key=lambda level: level.at_ms)
        if index == 0:
            return self.ramp[0].milliwatts
        level = self.ramp[index - 1]
        if index < len(self.ramp) and self.ramp[index].shape is Shape.LINEAR:
            following = self.ramp[index]
            rise = following.milliwatts - level.milliwatts
            elapsed, span = instant_ms - level.at_ms, following.at_ms - level.at_ms
            return level.milliwatts + Fraction(rise * elapsed, span)
        return level.milliwatts

    def exact_limit_at(self, instant_ms: int) -> Fraction:
        """Return the draw above which the contract is broken at an instant, burst included [mW]."""
        return self._granted(self._committed_at(instant_ms) + self.burst_milliwatts)

    def limit_at(self, instant_ms: int) -> int:
        """Return the same, rounded down: a draw of whole milliwatts is above both or above neither [mW]."""
        exact = self._committed_at(instant_ms) + self.burst_milliwatts
        return exact.numerator * (PPM + self._tolerance_ppm) // (exact.denominator * PPM)

    def with_tolerance(self, milliwatts: int) -> int:
        """Return a limit with the granted meter error on top [mW], rounded down."""
        return int(self._granted(milliwatts))

    @property
    def _tolerance_ppm(self) -> int:
        return round(self.limit.tolerance_percent * PPM / 100)

    def _granted(self, amount: int | Fraction) -> Fraction:
        return Fraction(amount) * (PPM + self._tolerance_ppm) / PPM

    def limit_integral(self, from_ms: int, to_ms: int) -> Fraction:
        """Return the energy that may be drawn in a span in which this version is in force.

        Args:
            from_ms: Start of the span [ms].
            to_ms: End of the span [ms].

        Returns:
            The integral of the limit, burst included [mW·ms], exact.
        """
        cuts = {from_ms, to_ms} | {level.at_ms for level in self.ramp if from_ms < level.at_ms < to_ms}
        committed = sum(self._committed_integral(*piece) for piece in pairwise(sorted(cuts)))
        return self._granted(committed + self.burst_milliwatts * (to_ms - from_ms))

    def _committed_integral(self, from_ms: int, to_ms: int) -> int | Fraction:
        """Return the integral of the commitment over a span in which no level lies [mW·ms]."""
        index = bisect_right(self.ramp, from_ms, key=lambda level: level.at_ms)
        if not 0 < index < len(self.ramp) or self.ramp[index].shape is Shape.STEP:
            return self._committed_at(from_ms) * (to_ms - from_ms)
        level, following = self.ramp[index - 1], self.ramp[index]
        rise, span = following.milliwatts - level.milliwatts, following.at_ms - level.at_ms
        # The line from level to level: its mean over the span is its value at the middle of the span.
        elapsed_twice = (from_ms - level.at_ms) + (to_ms - level.at_ms)
        return (to_ms - from_ms) * (level.milliwatts + Fraction(rise * elapsed_twice, 2 * span))


@dataclass(frozen=True, slots=True)
class Contract:
    """The versions of one contract.

    Attributes:
        versions: In order of time; at any instant at most one is in force.
        ends_ms: When the last one ends [ms], None where it has no end.
    """

    versions: tuple[Version, ...]
    ends_ms: int | None = None

    def version_at(self, instant_ms: int) -> Version | None:
        """Return the version in force at an instant, None before the first and after the end."""
        if self.ends_ms is not None and instant_ms >= self.ends_ms:
            return None
        index = bisect_right(self.versions, instant_ms, key=lambda version: version.from_ms)
        return self.versions[index - 1] if index else None

    def limit_integral(self, from_ms: int, to_ms: int) -> Fraction | None:
        """Return the energy that may be drawn in a span, over all versions in force in it.

        A version that begins inside a demand block thus counts for its part of the block.

        Args:
            from_ms: Start of the span [ms].
            to_ms: End of the span [ms].

        Returns:
            The integral of the limit [mW·ms], exact; None where no version is in force in part of the span.
        """
        cuts = {from_ms, to_ms}
        cuts |= {version.from_ms for version in self.versions if from_ms < version.from_ms < to_ms}
        total = Fraction(0)
        for start, end in pairwise(sorted(cuts)):
            version = self.version_at(start)
            if version is None or (self.ends_ms is not None and end > self.ends_ms):
                return None
            total += version.limit_integral(start, end)
        return total

    def changes_ms(self) -> list[int]:
        """Return the instants at which another version comes into force or the contract ends [ms]."""
        ends = [] if self.ends_ms is None else [self.ends_ms]
        return [version.from_ms for version in self.versions] + ends

    def end_by_notice_ms(self) -> int | None:
        """Return when the contract ends by the notice that was given [ms]; None where none was."""
        last = self.versions[-1]
        given_ms = last.notice_given_ms
        return None if given_ms is None else given_ms + last.notice_days * DAY_MS

    def dates(self) -> list[tuple[Event, int]]:
        """Return every date that people have to know of before it comes: what it is about, and when [ms].

        A contract that ends by notice has no date of notice any more, and ends by whichever comes first.
        """
        found = [(Event.BEGIN, version.from_ms) for version in self.versions]
        found += [
            (Event.RAMP, level.at_ms)
            for version in self.versions
            for level in version.ramp
            if level.at_ms > version.from_ms and self.version_at(level.at_ms) is version
        ]
        by_notice_ms = self.end_by_notice_ms()
        ends = [end for end in (self.ends_ms, by_notice_ms) if end is not None]
        if by_notice_ms is None and self.ends_ms is not None:
            found.append((Event.NOTICE, self.ends_ms - self.versions[-1].notice_days * DAY_MS))
        return [*found, (Event.END, min(ends))] if ends else found
