"""Bases of rules that hold what is measured against limits: a rule declares the quantity and its limits.

Where nothing is said of a limit, or a rule does not apply, all is clear. What is not known is UNKNOWN.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Findings, Rule, codes
from rules.model.measured import Condition, Measured, above, below, outside
from rules.model.rows import DRAW
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.telemetry.cause import Cause
from rules.view import View

DRAW_OF_A_MINUTE: Final = Window(DRAW, Statistic.MEAN, 60)
"""What a rack draws as coolant follows it: the load of a training run swings within seconds."""
DARK: Final = 0.1
"""Below this share of the least load that counts a rack is off: no swing goes as low (our choice)."""


@dataclass(frozen=True, slots=True)
class Held:
    """One quantity of every row, held against a limit.

    Attributes:
        value: The quantity.
        limit: What it is held against, NaN where there is no limit, shape (rows,).
        breach: Where the limit is broken.
        is_well: Where it is kept by more than the deadband.
    """

    value: Measured
    limit: FloatArray
    breach: Condition
    is_well: Condition

    @classmethod
    def over(cls, value: Measured, limit: FloatArray | float, deadband: FloatArray | float) -> Held:
        """Return a quantity that may not be above a limit.

        Args:
            value: The quantity.
            limit: The limit; NaN where there is none.
            deadband: How far below it must be for an alarm to end, in the same unit.
        """
        limit = np.full(len(value.low), limit, np.float64)
        return cls(value, limit, above(value, limit), ~above(value, limit - deadband))

    @classmethod
    def under(cls, value: Measured, limit: FloatArray | float, deadband: FloatArray | float) -> Held:
        """Return a quantity that may not be below a limit, with the arguments of `over`."""
        limit = np.full(len(value.low), limit, np.float64)
        return cls(value, limit, below(value, limit), ~below(value, limit + deadband))

    def where(self, when: Condition) -> Held:
        """Return the same where it is judged at all; elsewhere all is clear."""
        return replace(self, breach=self.breach & when, is_well=self.is_well | ~when)

    def findings(self, rule: Rule, *reached: BoolArray) -> Findings:
        """Return what a rule finds by it.

        Args:
            rule: Whose severities and delays count.
            reached: Where each of its severity steps is reached, in their order, shape (rows,); none where it
                has none.
        """
        return Findings(
            verdict=codes(self.breach.holds, self.breach.fails),
            value=self.value.best,
            limit=self.limit,
            returned=self.is_well.holds,
            severity=rule.severities(*reached) if reached else None,
            on_delay_ms=rule.on_delays_ms(*reached) if reached else None,
        )


class OfRows(Rule):
    """Base of rules whose finding of a subject follows from its row of the table of their kind.

    Where nothing else counts, only rows are judged of which something may be known otherwise than before.
    """

    looks_beyond: ClassVar[bool] = False
    """Whether something else counts: other rows, or what hangs on them."""

    @property
    def is_of_rows(self) -> bool:
        """Whether nothing else counts."""
        is_own = type(self).judge is not OfRows.judge
        return not (self.looks_beyond or self.variants or is_own)

    @abstractmethod
    def judge_rows(self, table: Table) -> Findings:
        """Judge every row of a table, or of a part of it."""

    def judge(self, view: View) -> Findings:
        """Judge every row of the table of its kind."""
        return self.judge_rows(view.table(self.kind))


class Comparison(OfRows):
    """Base of rules that hold one measured quantity against a limit."""

    @abstractmethod
    def value(self, table: Table) -> Measured:
        """Return what is judged."""

    @abstractmethod
    def compare(self, table: Table, value: Measured) -> Held:
        """Hold it against its limit."""

    def applies(self, table: Table) -> Condition | None:
        """Return where it is judged at all; None for everywhere."""
        del table
        return None

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return where each of the rule's severity steps is reached, in their order, shape (rows,)."""
        del table, value
        return ()

    def judge_rows(self, table: Table) -> Findings:
        """Hold the value of each row against its limit."""
        value = self.value(table)
        held, when = self.compare(table, value), self.applies(table)
        return (held if when is None else held.where(when)).findings(self, *self.reached(table, value))


class OneSided(Comparison):
    """Base of rules whose limit is broken on one side, with a deadband of their own."""

    falls: ClassVar[bool] = False
    """Whether below the limit is the breach, instead of above it."""

    @property
    def is_worse_below(self) -> bool:
        """Whether it falls."""
        return self.falls

    @abstractmethod
    def limit(self, table: Table) -> FloatArray:
        """Return what it is held against, NaN where there is no limit."""

    def deadband(self, limit: FloatArray) -> FloatArray | float:
        """Return how far on the good side of the limit it must be for an alarm to end, in its unit."""
        del limit
        return 0.0

    def compare(self, table: Table, value: Measured) -> Held:
        """Hold the value against the limit."""
        limit = self.limit(table)
        return (Held.under if self.falls else Held.over)(value, limit, self.deadband(limit))


class Threshold(OneSided):
    """Base of rules whose deadband is a share of the limit."""

    deadband_percent: float = Field(
        2,
        ge=0,
        lt=50,
        description="how far on the good side of the limit it must be for the alarm to end [%]",
    )

    def deadband(self, limit: FloatArray) -> FloatArray | float:
        """Return the share of the limit."""
        share: FloatArray = np.abs(limit) * self.deadband_percent / 100
        return share


class TemperatureLimit(OneSided):
    """Base of rules whose limit is a temperature."""

    deadband_c: float = Field(
        1,
        ge=0,
        lt=10,
        description="how far on the good side of the limit it must be for the alarm to end [K]",
    )

    def deadband(self, limit: FloatArray) -> FloatArray | float:
        """Return the deadband [K]."""
        del limit
        return self.deadband_c


class StateFault(OneSided):
    """Base of rules about a state that its source tells: above 0 is the fault."""

    def value(self, table: Table) -> Measured:
        """Return the worst state of each subject."""
        (quantity,) = self.quantities
        return table.largest(quantity)

    def limit(self, table: Table) -> FloatArray:
        """Return the state of what is sound."""
        return np.zeros(len(table))


class Band(Comparison):
    """Base of rules whose value has to stay between two limits."""

    @property
    def is_worse_below(self) -> bool:
        """Always: beyond either limit."""
        return True

    @abstractmethod
    def least(self, table: Table) -> FloatArray | float:
        """Return the lower limit, NaN where there is none."""

    @abstractmethod
    def most(self, table: Table) -> FloatArray | float:
        """Return the upper limit, NaN where there is none."""

    @abstractmethod
    def deadband(self) -> float:
        """Return how far within the limits it must be for the alarm to end, in the rule's unit."""

    def compare(self, table: Table, value: Measured) -> Held:
        """Hold the value against both limits; the limit is the one that it is nearer to."""
        least, most = self.least(table), self.most(table)
        margin = self.deadband()
        is_nearer = np.isnan(most) | (np.abs(value.best - least) < np.abs(most - value.best))
        return Held(
            value,
            np.where(is_nearer, least, most),
            outside(value, least, most),
            ~outside(value, least + margin, most - margin),
        )


def loaded(racks: Table, draw: Measured, percent: float) -> Condition:
    """Return which racks draw more than a share of their rating; not known of one without a rating.

    Args:
        racks: The table of racks.
        draw: What each of them draws, now or over a time [kW].
        percent: That share [%].
    """
    rating = racks.setting("rating_kw")
    is_loaded = above(racks.load(draw), rating * percent / 100)
    return replace(is_loaded, fails=is_loaded.fails & ~np.isnan(rating))


def loaded_now_or_lately(racks: Table, percent: float) -> Condition:
    """Return which racks draw more than a share of their rating, now or as a mean of the last minute.

    One that has just been loaded counts at once, one whose load swings at any time. One that went dark does
    not: it heats nothing any more, and lost its power with its pumps. The mean is what is certain of it, so
    that a reading that is missing makes no rack that idles doubtful. Whoever asks declares the window
    `DRAW_OF_A_MINUTE` of racks.

    Args:
        racks: The table of racks.
        percent: That share [%].
    """
    now, lately = racks.total(DRAW), Measured.exact(racks.over(DRAW_OF_A_MINUTE).low)
    is_on = loaded(racks, now, percent * DARK)
    return loaded(racks, now, percent) | (loaded(racks, lately, percent) & is_on)


class OfLoadedRacks(Comparison):
    """Base of rules about racks that count from some load on, which is not known of one without a rating.

    They declare the window `DRAW_OF_A_MINUTE`.
    """

    load_percent: float = Field(50, ge=0, le=100, description="share of the rating from which it counts [%]")

    def applies(self, table: Table) -> Condition:
        """Return where racks draw enough for it to count, now or as a mean of a minute."""
        return loaded_now_or_lately(table, self.load_percent)


class OfSteadilyLoadedRacks(OfLoadedRacks):
    """Base of rules that hold slow coolant against the load: the mean of a minute counts, not a swing."""

    def draw(self, table: Table) -> Measured:
        """Return what racks draw as a mean of a minute [kW]."""
        return table.over(DRAW_OF_A_MINUTE)

    def applies(self, table: Table) -> Condition:
        """Return where racks draw enough for it to count, as a mean of a minute."""
        return loaded(table, self.draw(table), self.load_percent)


class Several(OfRows):
    """Base of rules that hold several quantities each against its limit: one that is broken is a breach.

    What nothing measures of a subject is left out there; where nothing measures any, it is UNKNOWN.
    """

    @abstractmethod
    def held(self, table: Table) -> tuple[Held, ...]:
        """Return what is held against what, the most telling first."""

    @property
    def is_worse_below(self) -> bool:
        """Always: some of the limits may be lower ones."""
        return True

    def reached(self, table: Table) -> tuple[BoolArray, ...]:
        """Return where each of the rule's severity steps is reached, in their order, shape (rows,)."""
        del table
        return ()

    def judge_rows(self, table: Table) -> Findings:
        """Hold each quantity of each row against its limit, and tell of the first that is broken."""
        return of_several(self.held(table)).findings(self, *self.reached(table))


def of_several(held: Sequence[Held]) -> Held:
    """Return several quantities, each held against its limit, as one: the first that is broken counts.

    What nothing measures of a subject is left out there; where nothing measures any, it is not known.

    Args:
        held: What is held against what, the most telling first.
    """
    counts = [one.value.cause != Cause.NO_POINT for one in held]
    pairs = list(zip(held, counts, strict=True))
    broken = [one.breach.holds & there for one, there in pairs]
    is_any, breach = np.logical_or.reduce(counts), np.logical_or.reduce(broken)
    clear = np.logical_and.reduce([one.breach.fails | ~there for one, there in pairs]) & is_any & ~breach
    is_well = np.logical_and.reduce([one.is_well.holds | ~there for one, there in pairs]) & clear
    told = [*broken, *counts]
    best = np.select(told, [one.value.best for one in held] * 2, np.nan)
    return Held(
        replace(held[0].value, best=best),
        np.select(told, [one.limit for one in held] * 2, np.nan),
        Condition(breach, clear),
        Condition.of(is_well),
    )
