"""What a rule is: parameters, and one pure method from a view of the site to a verdict for each subject.

A rule is one file in `rules/library`. Its parameters are described fields, so that the site file can set
them and the documentation can list them. It never sees a clock, a socket or another rule.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from facility.readings import BoolArray, FloatArray
from rules.view import View

CodeArray = NDArray[np.int8]


class Verdict(IntEnum):
    """What a rule says of a subject at a moment."""

    CLEAR = 0
    BREACH = 1
    UNKNOWN = 2


class Severity(IntEnum):
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


class About(StrEnum):
    """What the subjects of a rule are; a rack may be called like a tenant."""

    TENANT = "tenant"
    RACK = "rack"
    GROUP = "group"  # racks that have something in common
    METER = "meter"
    PUBLISHER = "publisher"  # whoever speaks over a connection, and the monitor itself
    OTHER = "other"


class Block(StrEnum):
    """Which demand block a rule judges."""

    NONE = ""
    OPEN = "open"
    CLOSED = "closed"


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
    """

    verdict: CodeArray
    value: FloatArray
    limit: FloatArray
    returned: BoolArray
    severity: CodeArray | None = None
    on_delay_ms: NDArray[np.int64] | None = None

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

    def check(self, count: int) -> None:
        """Check that there is one finding for each subject.

        Raises:
            ValueError: Where there is not.
        """
        for name in self.__slots__:
            column = getattr(self, name)
            if column is not None and np.shape(column) != (count,):
                raise ValueError(f"expected {name} of shape ({count},), found {np.shape(column)}")


Active = Callable[[str], BoolArray | None]
"""Gives, for a rule's name, which of that rule's subjects have an alarm now; None where it is not in use."""


CANNOT_VERIFY: Final = "cannot-verify"
"""Ending of the name under which a rule's lasting UNKNOWN is an alarm."""


class Rule(BaseModel):
    """Base of every rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]
    """The name in the catalogue of rules, part of an alarm's identity."""
    title: ClassVar[str]
    """What it detects, in a few words that stand in a page."""
    about: ClassVar[About] = About.OTHER
    """What its subjects are."""
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
    needs_acknowledgement: ClassVar[bool] = False
    """Whether an alarm that returned stays on the list until somebody acknowledged it."""
    judges: ClassVar[frozenset[Judgement]] = frozenset({Judgement.LIVE})
    """Which judgement it belongs to: live, settled, or both."""
    unknown_pages: ClassVar[bool] = False
    """Whether being unable to tell is itself an alarm when it lasts."""
    unknown_title: ClassVar[str] = ""
    """What that alarm says, in a few words that stand in a page."""
    unknown_look_at: ClassVar[str] = ""
    """What to look at first then, one sentence that stands in a page."""
    unknown_told_by: ClassVar[str] = ""
    """The rule whose alarm about the same subject already says that nobody can tell."""

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

    @classmethod
    def title_of(cls, alarm_rule: str) -> str:
        """Return what an alarm says: the rule's own, or that of not being able to tell.

        Args:
            alarm_rule: The rule as the alarm names it.
        """
        return cls.unknown_title if alarm_rule.endswith(CANNOT_VERIFY) else cls.title

    @classmethod
    def look_at_of(cls, alarm_rule: str) -> str:
        """Return what to look at first, for the rule's own alarm or for that of not being able to tell.

        Args:
            alarm_rule: The rule as the alarm names it.
        """
        return cls.unknown_look_at if alarm_rule.endswith(CANNOT_VERIFY) else cls.look_at

    @abstractmethod
    def subjects(self, view: View) -> tuple[str, ...]:
        """Return whom the rule judges: one name for each place of the findings."""

    @abstractmethod
    def judge(self, view: View) -> Findings:
        """Judge every subject at the moment of the view."""

    def racks_of(self, view: View, subject: str) -> NDArray[np.intp] | None:
        """Return the places of the racks that a subject stands for, None where it is no racks.

        Args:
            view: The site at the moment.
            subject: One of the subjects.
        """
        del view, subject
        return None

    def suppressed(self, view: View, active: Active) -> BoolArray | None:
        """Return whose alarm says nothing new because another one is active; None for nobody.

        Args:
            view: The site at the moment.
            active: Which alarms other rules have now.
        """
        del view, active
        return None


def codes(breach: BoolArray, clear: BoolArray, applies: BoolArray | None = None) -> CodeArray:
    """Return verdicts: breach where that is certain, clear where that is certain, else unknown.

    Args:
        breach: Where the limit is broken for certain.
        clear: Where it is kept for certain.
        applies: Where the rule applies at all; elsewhere it is clear.
    """
    verdict = np.full(len(breach), Verdict.UNKNOWN, np.int8)
    verdict[clear] = Verdict.CLEAR
    verdict[breach] = Verdict.BREACH
    if applies is not None:
        verdict[~applies] = Verdict.CLEAR
    return verdict
