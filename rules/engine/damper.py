"""Between judging and telling: what opens too often is held back, and rule Q10 judges it after all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from facility.instants import SECOND_MS
from facility.readings import BoolArray
from rules.alarms.openings import Openings
from rules.alarms.states import NOT_DAMPED, Bank, Transition
from rules.engine.judge import Judge
from rules.subject import OF_A_TENANT
from rules.view import AlarmView, View


class Damper:
    """Holds back what opens too often. Where no rule judges that, and where it fails, it lets all through.

    Args:
        judges: Every rule by its name.

    Attributes:
        health: The rule that judges what opens too often, with its alarms; None where it is off.
    """

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self._judges = judges
        self.health = next((judge for judge in judges.values() if judge.rule.damping is not None), None)
        damping = None if self.health is None else self.health.rule.damping
        exempt = {
            bank.rule for judge in judges.values() for bank in judge.banks() if judge.rule.is_never_suppressed
        }
        kinds = {
            bank.rule: judge.rule.kind
            for judge in judges.values()
            for bank in judge.banks()
            if judge.rule.kind in OF_A_TENANT
        }
        self._openings = None if damping is None else Openings(damping, exempt, kinds)
        self._error = ""
        self._is_failing = False
        self._alarms: AlarmView | None = None

    def begin(self, at_ms: int) -> None:
        """Forget what is too old to count at a tick [ms]."""
        if self._openings is not None:
            self._openings.begin(at_ms)

    def pass_over(self, bank: Bank) -> None:
        """Note that nothing of a bank is to be told."""
        if self._openings is not None:
            self._openings.release(bank.rule)

    def damp(self, bank: Bank, hidden: BoolArray | None, at_ms: int) -> Mapping[int, str]:
        """Return which of a bank's alarms are not told though they are due, and why, by their places.

        Args:
            bank: The alarms of a rule, after the step of a tick.
            hidden: Which of them other alarms hide, shape (subjects,); None for none.
            at_ms: The tick [ms].
        """
        if self._openings is None or self._is_failing:
            return NOT_DAMPED
        due = bank.due(hidden)
        try:
            return self._openings.take(bank, due, at_ms)
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            self._error = f"{type(error).__name__}: {error}"
            return NOT_DAMPED

    def judge(self, view: View) -> tuple[View, tuple[Transition, ...]]:
        """Judge what opens too often, once all others have judged; return the view with it as well.

        That is once a second, and whenever something opened: the memory lasts for longer.

        Args:
            view: The site at the tick.
        """
        health, openings = self.health, self._openings
        if health is None or openings is None:
            return view, ()
        bank = health.bank
        is_due = openings.has_news or view.at_ms % SECOND_MS == 0 or self._is_failing
        if not is_due and self._alarms is not None:
            return replace(view, alarms=self._alarms), ()
        try:
            if is_due:
                openings.close(view.at_ms, bank.unrested)
            self._alarms = openings.view()
            view = replace(view, alarms=self._alarms)
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            health.judging_error, self._is_failing = f"{type(error).__name__}: {error}", True
            return view, ()
        if not is_due:
            return view, ()
        self._is_failing = False
        health.judging_error = health.telling_error = ""
        changes: list[Transition] = []
        if view.alarms.ids or bank.subjects:
            subjects, found = health.find(view)
            health.verdict = found.verdict
            stepped = bank.step(subjects, found, view.at_ms)
            changes = bank.tell(stepped, health.hidden(bank, self._judges, view), found, view.at_ms)
        health.telling_error, self._error = health.telling_error or self._error, ""
        return view, tuple(changes)

    def begin_anew(self, at_ms: int) -> None:
        """Forget when anything opened or was told: our own clock was set, to a moment [ms]."""
        if self._openings is not None:
            self._openings.begin_anew(at_ms)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {} if self._openings is None else self._openings.save()

    def load(self, values: Mapping[str, Any], rules: Collection[str]) -> None:
        """Take in what `save` returned, of rules that there still are, as alarms name them."""
        if self._openings is not None:
            self._openings.load(values, rules)
