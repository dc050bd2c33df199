"""What alarms hide that is graver than they are themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray

if TYPE_CHECKING:
    from rules.base import CodeArray


@dataclass(frozen=True, slots=True)
class HiddenAlarm:
    """An alarm that another one hides.

    Attributes:
        severity: How bad it is, `Severity` code, with what it hides itself.
        own: The same without that.
        rule: Name of its rule, as alarms give it.
        title: What it says, in a few words.
        subject: What it is about.
        opened_ms: When it opened [ms].
    """

    severity: int
    own: int
    rule: str
    title: str
    subject: str
    opened_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Alarms of one rule that those of another hide, and that are graver than these by themselves.

    Attributes:
        rule: Name of the rule of what is hidden, as alarms give it.
        title: What that says, in a few words.
        subjects: What each of its places is about.
        cause_subjects: What each place of the causes is about.
        places: The place of the alarm that is hidden, shape (pairs,).
        causes: The place of its cause, shape (pairs,).
        severities: How bad what is hidden is, with what it hides itself, `Severity` codes, shape (pairs,).
        own: The same without that, shape (pairs,).
        own_of_causes: How bad its cause is without what that hides, shape (pairs,).
        opened_ms: When what is hidden opened [ms], shape (pairs,).
    """

    rule: str
    title: str
    subjects: tuple[str, ...]
    cause_subjects: tuple[str, ...]
    places: NDArray[np.intp]
    causes: NDArray[np.intp]
    severities: CodeArray
    own: CodeArray
    own_of_causes: CodeArray
    opened_ms: IntArray

    def pairs(self, chosen: BoolArray) -> Iterator[tuple[int, HiddenAlarm]]:
        """Yield the place of the cause and what it hides, of some pairs.

        Args:
            chosen: Which pairs, shape (pairs,).
        """
        for pair in np.flatnonzero(chosen).tolist():
            yield (
                int(self.causes[pair]),
                HiddenAlarm(
                    int(self.severities[pair]),
                    int(self.own[pair]),
                    self.rule,
                    self.title,
                    self.subjects[int(self.places[pair])],
                    int(self.opened_ms[pair]),
                ),
            )

    def own_of(self, subject: str) -> int:
        """Return how bad the alarm of a subject is by itself, as a code; -1 where it hides nothing."""
        return int(self.own_of_causes[self._of_cause(subject)].max(initial=-1))

    def behind(self, subject: str, above: int) -> list[HiddenAlarm]:
        """Return what the alarm of a subject hides that is graver than a `Severity` code, or than -1."""
        return [alarm for _, alarm in self.pairs(self._of_cause(subject) & (self.severities > above))]

    def _of_cause(self, subject: str) -> BoolArray:
        """Return the pairs whose cause is about a subject, shape (pairs,)."""
        if subject not in self.cause_subjects:
            return np.zeros(len(self.causes), np.bool_)
        its: BoolArray = self.causes == self.cause_subjects.index(subject)
        return its


def told_by_its_cause(alarms: Collection[HiddenAlarm]) -> tuple[str, int]:
    """Return how their cause says in a few words what is hidden, and how bad that is, a `Severity` code."""
    gravest = max(alarms, key=lambda one: one.severity)
    more = f" and {len(alarms) - 1} more" if len(alarms) > 1 else ""
    return (
        f"{gravest.title} at {gravest.subject} ({gravest.rule}){more}, told by this alone",
        gravest.severity,
    )
