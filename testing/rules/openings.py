"""Alarms of one rule that open and return as a test says, damped as the engine damps them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rules.alarms.openings import Openings
from rules.alarms.states import Bank, Transition
from rules.base import Damping, Findings, Severity, Verdict
from rules.library.data.q10_alarm_health import AlarmHealth
from testing.builders import T0_MS

RULE: Final = "T5"
USUAL: Final = AlarmHealth().damping


@dataclass
class Damped:
    """The alarms of one rule, without delays, and what is held back of them.

    Attributes:
        subjects: What the rule is about.
        damping: From when on alarms are held back.
        is_exempt: Whether the rule's alarms are never suppressed.
        rule: The rule's name.
        bank: The alarms.
        openings: What is held back.
        on: What chatters or floods after the last tick, as rule Q10 calls it.
    """

    subjects: Sequence[str]
    damping: Damping = USUAL
    is_exempt: bool = False
    rule: str = RULE
    bank: Bank = field(init=False)
    openings: Openings = field(init=False)
    on: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.bank = Bank(self.rule, Severity.LOW, 0, 0)
        self.openings = self._anew()

    def _anew(self) -> Openings:
        return Openings(self.damping, {self.rule} if self.is_exempt else ())

    def tick(
        self, at_s: float, broken: Mapping[str, Severity], hidden: Collection[str] = ()
    ) -> list[Transition]:
        """Judge a moment, and return what changed with what is told of it.

        Args:
            at_s: The moment, after `T0_MS` [s].
            broken: Of what the limit is broken, and how bad it is.
            hidden: Whose alarms others hide.
        """
        at_ms, subjects = T0_MS + round(at_s * 1_000), tuple(self.subjects)
        breach = np.array([subject in broken for subject in subjects])
        found = Findings(
            verdict=np.where(breach, np.int8(Verdict.BREACH), np.int8(Verdict.CLEAR)),
            value=np.zeros(len(subjects)),
            limit=np.zeros(len(subjects)),
            returned=~breach,
            severity=np.array([broken.get(subject, Severity.LOW) for subject in subjects], np.int8),
        )
        changes = self.bank.step(subjects, found, at_ms)
        suppressed = np.array([subject in hidden for subject in subjects])
        self.openings.begin(at_ms)
        due = self.bank.due(suppressed)
        reasons = self.openings.take(self.bank, due, at_ms)
        told = self.bank.tell(changes, suppressed, found, at_ms, reasons)
        self.openings.close(at_ms, self.on)
        view = self.openings.view()
        self.on = frozenset(name for name, is_on in zip(view.ids, view.is_on, strict=True) if is_on)
        return told

    def restart(self) -> None:
        """Go on from what is saved, as it is written to disk."""
        saved = json.loads(json.dumps(self.openings.save()))
        self.openings = self._anew()
        self.openings.load(saved, {self.rule})
