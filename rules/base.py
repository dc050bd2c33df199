"""What a rule is: a declaration, and one pure method from a view of the site to a verdict for each subject.

A rule is one file in `rules/library`. It names the kind of its subjects, the quantities and windows that it
needs and the desks that it calls. Its parameters are described fields, so that the site file can set them and
the documentation can list them. It never sees a clock, a socket or another rule: what hides its alarms stands
in `rules.causes`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum, StrEnum
from functools import cache
from itertools import chain
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from facility.codes import InArrays
from facility.readings import BoolArray, FloatArray
from facility.site import Site
from rules.causes import CAUSES, Causes
from rules.model.rows import Links
from rules.model.windows import Window
from rules.subject import SubjectKind
from rules.view import View

CodeArray = NDArray[np.int8]


class Verdict(InArrays, IntEnum):
    """What a rule says of a subject at a moment."""

    CLEAR = 0
    BREACH = 1
    UNKNOWN = 2


CLEAR, BREACH, UNKNOWN = (np.int8(verdict) for verdict in Verdict)
"""The verdicts as they stand in arrays."""


class Severity(InArrays, IntEnum):
    """How bad it is; higher is worse. No part of an alarm's identity."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The severity as people write it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Severity:
        """Return the severity that a word means."""
        return cls[word.upper()]


class Judgement(StrEnum):
    """What a judgement is made of."""

    LIVE = "live"  # what had arrived by the tick
    SETTLED = "settled"  # everything that belongs to the tick, in source time


class Desk(StrEnum):
    """Who has to act."""

    PAGE = "P1"  # facility on-call, at once
    CHANNEL = "P2"  # the working alert channel
    TICKET = "T"  # next working day
    CONTRACT = "C"  # the account team
    DATA = "D"  # telemetry on-call


class Block(StrEnum):
    """Which demand block a rule judges."""

    NONE = ""
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class SeverityStep:
    """From when on an alarm is of a higher severity.

    Attributes:
        severity: How bad it is then, at least.
        when: When that is, in a few words; they name a parameter in backticks where one sets it.
        on_delay: The parameter that says how long it must last then [s]; "" for the rule's own on-delay.
        desks: Who has to act then, besides those that the rule calls anyway.
    """

    severity: Severity
    when: str
    on_delay: str = ""
    desks: tuple[Desk, ...] = ()


Steps: TypeAlias = tuple[SeverityStep, ...]
AS_WHAT_IT_HIDES: Final = SeverityStep(
    Severity.HIGH, "while racks suffer from it: it hides their alarms, and is as grave", desks=(Desk.PAGE,)
)
"""The step of a rule that judges nothing graver itself: its alarm rises with those that it hides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a rule found: arrays over its subjects, shape (subjects,).

    Attributes:
        verdict: `Verdict` codes, int8.
        value: What was judged, in the rule's unit; NaN where there is none.
        limit: What it was held against, in the rule's unit; NaN where there is none.
        returned: Where an alarm may end: clear, and by more than the deadband.
        severity: `Severity` codes, int8, where they differ by subject; else the rule's own holds.
        on_delay_ms: Where subjects have an on-delay of their own [ms].
        off_delay_ms: Where subjects have an off-delay of their own [ms].
    """

    verdict: CodeArray
    value: FloatArray
    limit: FloatArray
    returned: BoolArray
    severity: CodeArray | None = None
    on_delay_ms: NDArray[np.int64] | None = None
    off_delay_ms: NDArray[np.int64] | None = None

    @classmethod
    def nothing(cls, count: int) -> Findings:
        """Return what leaves alarms as they are: nothing is known, and no on-delay ends."""
        unknown = np.full(count, np.nan)
        return cls(
            verdict=np.full(count, Verdict.UNKNOWN, np.int8),
            value=unknown,
            limit=unknown,
            returned=np.zeros(count, np.bool_),
            on_delay_ms=np.full(count, np.iinfo(np.int64).max),
        )

    @classmethod
    def clear(cls, count: int, value: float = np.nan) -> Findings:
        """Return that nothing is the matter with any subject.

        Args:
            count: How many there are.
            value: What was judged, and what it was held against; NaN for nothing.
        """
        return cls(
            verdict=np.full(count, CLEAR),
            value=np.full(count, value),
            limit=np.full(count, value),
            returned=np.ones(count, np.bool_),
        )

    def check(self, count: int) -> None:
        """Check that there is one finding for each subject, and that only what is clear has returned.

        Raises:
            ValueError: Where that is not so.
        """
        for name in self.__slots__:
            column = getattr(self, name)
            if column is not None and column.shape != (count,):
                raise ValueError(f"expected {name} of shape ({count},), found {np.shape(column)}")
        both = np.count_nonzero(self.returned & (self.verdict != Verdict.CLEAR))
        if both:
            raise ValueError(f"expected only what is clear to have returned, found {both} that are not")

    @classmethod
    def joined(cls, parts: Sequence[Findings]) -> Findings:
        """Return what was found of some subjects after the other, at least of none, in arrays of its own."""
        own: dict[str, Any] = {
            name: None
            if getattr(parts[0], name) is None
            else np.concatenate([getattr(part, name) for part in parts])
            for name in cls.__slots__
        }
        return cls(**own)

    def put(self, rows: NDArray[np.intp], other: Findings) -> None:
        """Take in what was found of some subjects anew, in place.

        Args:
            rows: Their places.
            other: What was found of them.
        """
        for name in self.__slots__:
            column, found = getattr(self, name), getattr(other, name)
            if column is not None and found is not None:
                column[rows] = found

    def of(self, rule: Rule) -> Findings:
        """Return the same with the severity and the delays of a rule, where they were left to it."""
        count = len(self.verdict)
        delays = {"on_delay_ms": rule.on_delay_s, "off_delay_ms": rule.off_delay_s}
        left = {
            name: np.full(count, round(delay_s * 1_000))
            for name, delay_s in delays.items()
            if getattr(self, name) is None
        }
        severity = np.full(count, rule.severity, np.int8) if self.severity is None else self.severity
        return replace(self, severity=severity, **left)

    def where(self, chosen: BoolArray, other: Findings) -> Findings:
        """Return what another one found of the chosen subjects, and this one of all else."""
        return Findings(
            **{f.name: np.where(chosen, getattr(other, f.name), getattr(self, f.name)) for f in fields(self)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Damping:
    """From when on alarms are held back for their number.

    Attributes:
        least_openings: An alarm that opens so often within a while chatters.
        within_ms: That while, and how long an opening of an alarm that chatters must stand to be told [ms].
        quiet_ms: How long it must not have opened to chatter no more [ms].
        most_alarms: So many alarms of a rule are told in ten minutes; more are a flood.
        few_alarms: Fewer than this end it.
    """

    least_openings: int
    within_ms: int
    quiet_ms: int
    most_alarms: int
    few_alarms: int


@dataclass(frozen=True, slots=True)
class Rise:
    """From when on a limit that stays broken is graver.

    Attributes:
        after_s: How long it must have been broken, and not known to be kept meanwhile [s].
        severity: How bad it is then, at least.
    """

    after_s: float
    severity: Severity


CANNOT_VERIFY: Final = "cannot-verify"
"""Ending of the name under which a rule's lasting UNKNOWN is an alarm."""


class Rule(BaseModel):
    """Base of every rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: ClassVar[str]
    """The name in the catalogue of rules, part of an alarm's identity."""
    title: ClassVar[str]
    """What it detects, in a few words that stand in a page."""
    kind: ClassVar[SubjectKind] = SubjectKind.OTHER
    """What its subjects are."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Subjects besides those of its kind, such as what several of them are together."""
    quantities: ClassVar[tuple[str, ...]] = ()
    """The measured quantities that it needs."""
    windows: ClassVar[tuple[Window, ...]] = ()
    """The figures over time that it needs."""
    feed_windows: ClassVar[tuple[Window, ...]] = ()
    """Those that it needs of each feed, besides."""
    rack_windows: ClassVar[tuple[Window, ...]] = ()
    """Those that it needs of each rack, besides."""
    unit: ClassVar[str]
    """The unit of values and limits."""
    desks: ClassVar[tuple[Desk, ...]]
    """Who has to act."""
    block: ClassVar[Block] = Block.NONE
    """Which demand block it judges."""
    value_is_bound: ClassVar[bool] = False
    """Whether its value is what may be, not what is."""
    look_at: ClassVar[str]
    """What to look at first, one sentence that stands in a page."""
    severity_steps: ClassVar[Steps] = ()
    """From when on its alarms are of a higher severity."""
    needs_acknowledgement: ClassVar[bool] = False
    """Whether an alarm that returned stays on the list until it is acknowledged."""
    is_never_suppressed: ClassVar[bool] = False
    """Whether nobody can shelve it, nor any maintenance hide it: what burns or floods is always told."""
    judges: ClassVar[frozenset[Judgement]] = frozenset({Judgement.LIVE})
    """Which judgement it belongs to: live, settled, or both."""
    unknown_pages: ClassVar[bool] = False
    """Whether being unable to tell is itself an alarm when it lasts."""
    unknown_title: ClassVar[str] = ""
    """What that alarm says, in a few words that stand in a page."""
    unknown_look_at: ClassVar[str] = ""
    """What to look at first then, one sentence that stands in a page."""

    severity: Severity = Field(description="how bad it is")
    on_delay_s: float = Field(ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(ge=0, description="how long it must be over for the alarm to end [s]")
    unknown_delay_s: float = Field(
        30.0, ge=0, description="how long not being able to tell lasts before it is an alarm [s]"
    )

    above_s: float = Field(
        0, ge=0, description="how long it must last within the window, with breaks; 0 for no such memory [s]"
    )
    above_window_s: float = Field(60, gt=0, le=3_600, description="length of that window [s]")

    _variants: tuple[Variant, ...] = PrivateAttr(())

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The rule with other parameters for some subjects; the last that chooses a subject holds."""
        return self._variants

    def with_variants(self, variants: tuple[Variant, ...]) -> Rule:
        """Return the rule with other parameters for some subjects."""
        made = self.model_copy()
        made._variants = variants  # noqa: SLF001 - its own
        return made

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides its alarms, or those of not being able to tell: `rules.causes` says it.

        Args:
            alarm_rule: Name of the rule in the alarm, such as C2 or C2-cannot-verify.
        """
        return CAUSES.get(alarm_rule, ())

    @classmethod
    def title_of(cls, alarm_rule: str) -> str:
        """Return what an alarm says: the rule's own, or that of not being able to tell.

        Args:
            alarm_rule: Name of the rule in the alarm, such as C2 or C2-cannot-verify.
        """
        return cls.unknown_title if alarm_rule.endswith(CANNOT_VERIFY) else cls.title

    @classmethod
    def look_at_of(cls, alarm_rule: str) -> str:
        """Return what to look at first, for the rule's own alarm or for that of not being able to tell.

        Args:
            alarm_rule: Name of the rule in the alarm, such as C2 or C2-cannot-verify.
        """
        return cls.unknown_look_at if alarm_rule.endswith(CANNOT_VERIFY) else cls.look_at

    @classmethod
    def runbook(cls) -> str:
        """Return the file of its runbook: what an alarm means, what to look at, what to do, how it ends."""
        return runbook_of(cls.name)

    @classmethod
    def desks_of(cls, severity: Severity) -> tuple[Desk, ...]:
        """Return who has to act on an alarm of a severity."""
        steps = (step.desks for step in cls.severity_steps if step.severity <= severity)
        return tuple(dict.fromkeys((*cls.desks, *chain.from_iterable(steps))))

    def severities(self, *reached: BoolArray) -> CodeArray:
        """Return how bad it is of each subject: as the rule says, or the gravest step that is reached.

        Args:
            reached: Where each of the rule's severity steps is reached, in their order, shape (subjects,).
        """
        found = np.full(len(reached[0]), self.severity, np.int8)
        for step, where in zip(self.severity_steps, reached, strict=True):
            found[where] = np.maximum(found[where], step.severity)
        return found

    def on_delays_ms(self, *reached: BoolArray) -> NDArray[np.int64]:
        """Return how long it must last of each subject [ms], the shortest that is reached.

        Args:
            reached: Where each of the rule's severity steps is reached, in their order, shape (subjects,).
        """
        found = np.full(len(reached[0]), round(self.on_delay_s * 1_000))
        for step, where in zip(self.severity_steps, reached, strict=True):
            if step.on_delay:
                found[where] = np.minimum(found[where], round(getattr(self, step.on_delay) * 1_000))
        return found

    @property
    def is_worse_below(self) -> bool:
        """Whether a value below its limit is worse the lower it is."""
        return False

    @property
    def damping(self) -> Damping | None:
        """From when on alarms of other rules are held back for their number; None where it says nothing."""
        return None

    @property
    def rise(self) -> Rise | None:
        """From when on its limit is graver that stays broken; None where it never is for that."""
        return None

    @property
    def is_of_tables(self) -> bool:
        """Whether it judges what is measured, once a second, and not what is summed, at every tick."""
        return bool(self.quantities or self.windows)

    @classmethod
    @cache
    def judged_quantities(cls) -> frozenset[str]:
        """Return the measured quantities without which it has nothing to judge."""
        windows = (*cls.windows, *cls.feed_windows, *cls.rack_windows)
        return frozenset(cls.quantities).union(*(window.quantities for window in windows))

    @classmethod
    def is_used(cls, site: Site) -> bool:
        """Tell whether a site file says what the rule needs; where not, its quantities are not followed."""
        del site
        return True

    def subjects(self, view: View) -> tuple[str, ...]:
        """Return the identity of each subject, one for each place of the findings."""
        ids = view.ids(self.kind)
        return (*ids, *self.beside) if self.beside else ids

    @abstractmethod
    def judge(self, view: View) -> Findings:
        """Judge every subject at the moment of the view."""

    def racks(self, view: View) -> Links | None:
        """Return the racks that each subject stands for, as rows of the racks; None where it is no racks."""
        return view.racks_of(self.kind)

    def racks_to_choose_by(self, view: View) -> Links | None:
        """Return the racks by whose tenants a subject is of a tenant, as other parameters for one choose it.

        Where what is measured says which racks a subject stands for, these must not change with it.
        """
        return self.racks(view)


@dataclass(frozen=True, slots=True)
class Variant:
    """A rule with other parameters for some of its subjects.

    Attributes:
        rule: The rule with these parameters.
        assets: Patterns of ids of subjects or of the assets they belong to; empty for all.
        tenants: Who they belong to; empty for all.
        kinds: Kinds of assets; empty for all.
    """

    rule: Rule
    assets: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


def runbook_of(rule: str) -> str:
    """Return the file of a rule's runbook in the folder of runbooks."""
    return f"{rule.lower()}.md"


def codes(breach: BoolArray, clear: BoolArray, applies: BoolArray | None = None) -> CodeArray:
    """Return verdicts: breach where that is certain, clear where that is certain, else unknown.

    Args:
        breach: Where the limit is broken for certain.
        clear: Where it is kept for certain.
        applies: Where the rule applies at all; elsewhere it is clear.
    """
    verdict = np.where(clear, CLEAR, UNKNOWN)
    verdict[breach] = BREACH
    if applies is not None:
        verdict[~applies] = CLEAR
    return verdict
