"""What is told between judging and the ledger is what the table of an alarm's life says, whatever happens.

Every sequence of five things that can happen, and longer ones by chance: an alarm opens, becomes graver by
itself or for what it hides (which is shelved or not), returns; it is shelved and unshelved; the monitor is
killed before the ledger has taken what was decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.alarms.carried import Carried
from rules.alarms.life import BY_PEOPLE, Condition, Event, State, step
from rules.alarms.states import Change, Transition, alarm_id
from rules.base import Severity
from rules.notify.routing import Route
from rules.notify.telling import Teller, Telling
from rules.registry import make_rules
from store.ledger.alarms import Progress
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.builders import T0_MS
from testing.fakes.memory_ledger import MemoryLedger
from testing.rules.halls import one_tenant

RULES: Final = {rule.name: rule for rule in make_rules({}, [])}
GRAVE: Final = (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
OPEN, WORSEN, RETURN, SHELVE, UNSHELVE, KILL = "open", "worsen", "return", "shelve", "unshelve", "kill"
CARRY, CARRY_HELD, FREE = "carry", "carry what is held back", "hold that back no longer"
HAPPENS: Final = (OPEN, WORSEN, CARRY, CARRY_HELD, FREE, RETURN, SHELVE, UNSHELVE, KILL)
IN_THE_TABLE: Final = {
    OPEN: (Event.BREACH, Event.ON_DELAY_OVER),
    WORSEN: (Event.SEVERITY_UP,),
    CARRY: (Event.CARRIES,),
    CARRY_HELD: (Event.CARRIES,),
    FREE: (),
    RETURN: (Event.CLEAR, Event.OFF_DELAY_OVER),
    SHELVE: (Event.SHELVE,),
    UNSHELVE: (Event.UNSHELVE,),
    KILL: (Event.RESTART,),
}


SHELVED_TENANT: Final = "blue"
EFFECT_SHELF: Final = Suppression(
    id="e",
    kind=SuppressionKind.SHELVED,
    rules=("C2",),
    subjects=(SHELVED_TENANT,),
    from_ms=T0_MS,
    to_ms=None,
    by="ann",
    why="known",
    made_ms=T0_MS,
)
"""Holds back some of what the alarm hides."""


class Story:
    """One subject of one rule, told by a teller into a ledger, beside the table."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.ledger.kept = [EFFECT_SHELF]
        self.teller = self._teller()
        self.state = State()
        self.at_ms = T0_MS
        self.opened_ms = 0
        self.severity = 0
        self.own = 0  # without what it hides
        self.carried: dict[str, list[Carried]] = {}

    def _teller(self) -> Teller:
        return Teller(self.ledger, RULES, site=one_tenant(), routes=[Route(name="pager")])

    def is_possible(self, what: str) -> bool:
        """Tell whether something can happen now."""
        stands = self.state.condition is Condition.ACTIVE
        match what:
            case "open":
                return not stands
            case "hold that back no longer":
                return stands and self.severity > self.own and self.state != self._freed()
            case "worsen" | "carry" | "carry what is held back":
                return stands and self.severity + 1 < len(GRAVE)
            case "return":
                return stands
            case _:
                return True

    def let(self, what: str) -> None:
        """Let something happen; what is told must be what the table says."""
        self.at_ms += 1_000
        expected = []
        for event in self._in_the_table(what):
            self.state, told = step(self.state, event)
            expected += [told.value] if told is not None else []
        before = len(self.ledger.notices)
        self.carried = {}
        self._happen(what)
        told_now = [notice.body["change"] for notice in self.ledger.notices[before:]]
        assert told_now == expected, (what, self.state)
        keys = [notice.key for notice in self.ledger.notices]
        assert len(keys) == len(set(keys))

    def _in_the_table(self, what: str) -> Iterable[Event]:
        """Yield what happens by the table; what is hidden, and not held back, is told despite a shelf."""
        yield from IN_THE_TABLE[what]
        if what in (CARRY, FREE) and self.state != self._freed():
            yield Event.CARRIES_UNTOLD

    def _freed(self) -> State:
        """Return where it is once nothing graver is hidden that nobody holds back, and that is not told."""
        is_untold = self.state.is_graver or not self.state.is_told
        is_held = not self.state.holds.isdisjoint(BY_PEOPLE)
        return step(self.state, Event.CARRIES_UNTOLD)[0] if is_untold and is_held else self.state

    def _happen(self, what: str) -> None:
        changes: list[Transition] = []
        match what:
            case "open":
                self.opened_ms, self.severity, self.own = self.at_ms, 0, 0
                changes = [self._change(Change.OPENED)]
            case "worsen":
                self.severity += 1
                self.own = self.severity
                changes = [self._change(Change.WORSENED)]
            case "carry" | "carry what is held back":
                self.severity += 1
                changes, self.carried = [self._change(Change.WORSENED)], self._carried(what)
            case "hold that back no longer":
                self.carried = self._carried(what)
            case "return":
                changes = [self._change(Change.RETURNED)]
            case "shelve":
                self.ledger.kept = [EFFECT_SHELF, self._shelf()]
            case "unshelve":
                self.ledger.kept = [EFFECT_SHELF]
            case _:
                # Killed: what was decided and not saved is decided again by the next life.
                self._decide([])
                self.teller = self._teller()
        for telling in self._decide(changes):
            self.ledger.save(
                Progress(seq=1, tick_ms=self.at_ms, changes=telling.changes, notices=telling.notices)
            )
        self.teller.saved()

    def _decide(self, changes: Iterable[Transition]) -> list[Telling]:
        topology = SimpleNamespace(about=lambda *_: frozenset[str]())
        view: Any = SimpleNamespace(
            at_ms=self.at_ms, tables=SimpleNamespace(topology=topology), carried=self.carried
        )
        return [self.teller.tell(changes, view, self.at_ms), self.teller.follow(view, self.at_ms)]

    def _change(self, change: Change) -> Transition:
        return Transition(
            alarm_id=alarm_id("C1", "acme", self.opened_ms),
            rule="C1",
            subject="acme",
            change=change,
            at_ms=self.at_ms,
            since_ms=self.opened_ms,
            opened_ms=self.opened_ms,
            severity=GRAVE[self.severity],
            value=1.0,
            limit=1.0,
            peak=1.0,
            is_told=True,
        )

    def _carried(self, what: str) -> dict[str, list[Carried]]:
        one, severity = np.zeros(1, np.intp), np.full(1, GRAVE[self.severity], np.int8)
        hidden = Carried(
            rule="C2",
            title="what it hides",
            subjects=(SHELVED_TENANT if what == CARRY_HELD else "acme",),
            cause_subjects=("acme",),
            places=one,
            causes=one,
            severities=severity,
            own=severity,
            own_of_causes=np.full(1, GRAVE[self.own], np.int8),
            opened_ms=np.full(1, self.at_ms, np.int64),
        )
        return {"C1": [hidden]}

    def _shelf(self) -> Suppression:
        return replace(
            EFFECT_SHELF, id="s", rules=("C1",), subjects=(), from_ms=self.at_ms, made_ms=self.at_ms
        )


def run(sequence: Sequence[str]) -> int:
    """Let things happen in order, as far as they can; return how many did."""
    story, count = Story(), 0
    for what in sequence:
        if not story.is_possible(what):
            return count
        story.let(what)
        count += 1
    return count


def test_every_sequence_of_five() -> None:
    """Each as far as it is possible."""
    happened = sum(run(sequence) for sequence in product(HAPPENS, repeat=5))

    assert happened == 57_535


@given(st.lists(st.sampled_from(HAPPENS), max_size=40))
def test_longer_ones(sequence: list[str]) -> None:
    """What is not possible at its moment is left out."""
    story = Story()
    for what in sequence:
        if story.is_possible(what):
            story.let(what)
