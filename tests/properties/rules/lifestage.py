"""Tenants whose alarms go through an alarm's life in the real monitor: engine, teller, ledger, restarts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from facility.site import Site
from rules.alarms.life import BEGINS, BY_PEOPLE, ENDS, STANDS, Condition, Event, Hold, State, Told, step
from rules.base import Findings, Judgement, Severity, Verdict
from rules.causes import Causes, HiddenBy
from rules.engine.judging import Judging
from rules.engine.service import RulesService
from rules.library.contract.c1_draw_near_limit import DrawNearLimit
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.contract.c9_ahead_of_ramp import AheadOfRamp
from rules.view import View
from store.ledger.alarms import Alarm
from store.ledger.ledger import Ledger
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.builders import T0_MS
from testing.rules.halls import AT_ONCE, BUS, EVERY_SECOND, Tape, a_site, a_tenant, a_version, known_racks_of
from testing.rules.halls import racks_of as racks_named
from testing.rules.services import a_service

LATER_MS: Final = 10**15
"""A delay that does not end [ms]."""
KINDS: Final = {
    Hold.SHELVED: SuppressionKind.SHELVED,
    Hold.BY_DESIGN: SuppressionKind.BY_DESIGN,
    Hold.OUT_OF_SERVICE: SuppressionKind.OUT_OF_SERVICE,
}
JUDGED: Final = {
    Event.BREACH: (Verdict.BREACH, False),
    Event.SEVERITY_UP: (Verdict.BREACH, False),
    Event.SEVERITY_DOWN: (Verdict.BREACH, False),
    Event.CLEAR: (Verdict.CLEAR, True),
    Event.DEADBAND: (Verdict.CLEAR, False),
    Event.UNKNOWN: (Verdict.UNKNOWN, False),
}
"""The verdict of each event, and whether it is clear by more than the deadband."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is found of a tenant at a tick, and how grave that is what its alarm hides; None for nothing."""

    verdict: Verdict = Verdict.CLEAR
    is_returned: bool = True
    severity: Severity = Severity.INFO
    is_delay_over: bool = False
    has_cause: bool = False
    carries: Severity | None = None


CARRYING: Final = (Event.CARRIES, Event.CARRIES_UNTOLD)
"""An alarm that is graver opens for a second, and is hidden; it is shelved, or is not."""

Script = dict[int, Mapping[str, Said]]


class Scripted(Overdraw):
    """C2 that finds what a script says at each tick; C1 is its cause."""

    judges: ClassVar[frozenset[Judgement]] = frozenset({Judgement.LIVE})
    unknown_pages: ClassVar[bool] = False
    script: ClassVar[Script] = {}

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return (HiddenBy("C1"),)

    def judge(self, view: View) -> Findings:
        """Find what the script says."""
        said = [self.script.get(view.at_ms, {}).get(name, Said()) for name in self.subjects(view)]
        delay_ms = np.array([0 if one.is_delay_over else LATER_MS for one in said], np.int64)
        return Findings(
            verdict=np.array([one.verdict for one in said], np.int8),
            value=np.ones(len(said)),
            limit=np.zeros(len(said)),
            returned=np.array([one.is_returned for one in said], np.bool_),
            severity=np.array([one.severity for one in said], np.int8),
            on_delay_ms=delay_ms,
            off_delay_ms=delay_ms,
        )


class Latchless(Scripted):
    """The same, which asks for no acknowledgement."""

    needs_acknowledgement: ClassVar[bool] = False


class Cause(DrawNearLimit):
    """C1 that is active while a script says so."""

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return ()

    def judge(self, view: View) -> Findings:
        """Find what the script says."""
        script = Scripted.script.get(view.at_ms, {})
        active = np.array([script.get(name, Said()).has_cause for name in self.subjects(view)], np.bool_)
        return Findings(
            verdict=np.where(active, Verdict.BREACH, Verdict.CLEAR).astype(np.int8),
            value=np.ones(len(active)),
            limit=np.zeros(len(active)),
            returned=~active,
        )


class Effect(AheadOfRamp):
    """A rule whose alarm C2 hides, as grave as a script says, while it says so."""

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return (HiddenBy("C2"),)

    def judge(self, view: View) -> Findings:
        """Find what the script says."""
        script = Scripted.script.get(view.at_ms, {})
        carried = [script.get(name, Said()).carries for name in self.subjects(view)]
        is_there = np.array([severity is not None for severity in carried], np.bool_)
        delay_ms = np.zeros(len(carried), np.int64)
        return Findings(
            verdict=np.where(is_there, Verdict.BREACH, Verdict.CLEAR).astype(np.int8),
            value=np.ones(len(carried)),
            limit=np.zeros(len(carried)),
            returned=~is_there,
            severity=np.array([severity or Severity.INFO for severity in carried], np.int8),
            on_delay_ms=delay_ms,
            off_delay_ms=delay_ms,
        )


@dataclass(slots=True)
class Tenant:
    """Where a tenant's alarm is by the table, and what was found of it last.

    Attributes:
        name: Its id.
        state: Where it is.
        said: What was found.
        gravest: How grave its alarm is.
        own: The same by itself, without what it hides.
        shelves: Ids of what holds telling back, by the hold.
    """

    name: str
    state: State
    said: Said = field(default_factory=Said)
    gravest: Severity = Severity.INFO
    own: Severity = Severity.INFO
    shelves: dict[Hold, str] = field(default_factory=dict)

    def can(self, event: Event) -> bool:
        """Tell whether an event may come now: nothing is graver than critical, and nothing ends twice."""
        match event:
            case Event.SEVERITY_UP | Event.CARRIES:
                return self.state.condition in STANDS and self.gravest < Severity.CRITICAL
            case Event.CARRIES_UNTOLD:
                is_untold = self.state.is_graver or not self.state.is_told
                is_held = not self.state.holds.isdisjoint(BY_PEOPLE)
                return self.state.condition in STANDS and is_held and is_untold and self.gravest > self.own
            case Event.SEVERITY_DOWN:
                return self.state.condition in STANDS and self.gravest > Severity.INFO
            case Event.ACKNOWLEDGE:
                is_new = self.state.condition in STANDS and not self.state.is_acknowledged
                return is_new or self.state.is_latched
            case Event.ON_DELAY_OVER:
                return self.state.condition is Condition.PENDING
            case Event.OFF_DELAY_OVER:
                return self.state.condition is Condition.RETURNING
            case _ if event in BEGINS:
                return BEGINS[event] not in self.state.holds
            case _ if event in ENDS:
                return ENDS[event] in self.state.holds
            case _:
                return True

    def hear(self, event: Event) -> Told | None:
        """Let an event come; return what must be told."""
        severity = self.said.severity
        carries = Severity(self.gravest + (event is Event.CARRIES)) if event in CARRYING else None
        if event is Event.SEVERITY_UP:
            severity = Severity(self.gravest + 1)
        elif event is Event.SEVERITY_DOWN:
            severity = Severity(self.gravest - 1)
        elif event is Event.BREACH:
            severity = self.gravest if self.state.condition in STANDS else Severity.INFO
        verdict, is_returned = JUDGED.get(event, (self.said.verdict, self.said.is_returned))
        before = self.state.condition
        self.state, told = step(self.state, event)
        self.said = Said(
            verdict,
            is_returned,
            severity,
            event in (Event.ON_DELAY_OVER, Event.OFF_DELAY_OVER),
            Hold.CAUSE in self.state.holds,
            carries,
        )
        if carries is not None:
            self.gravest = carries
        elif event is Event.SEVERITY_UP or (before not in STANDS and self.state.condition in STANDS):
            self.gravest = self.own = severity
        elif self.state.condition not in STANDS:
            self.gravest = self.own = Severity.INFO
        return told


class Stage:
    """A monitor and the table, side by side.

    Args:
        folder: Where the ledger and snapshots are.
        tenants: How many tenants have alarms.
        latches: Whether the rule keeps what returned on the list until it is acknowledged.
    """

    def __init__(self, folder: Path, *, tenants: int, latches: bool) -> None:
        names = [f"t{i}" for i in range(tenants)]
        self._folder = folder
        self._rule = Scripted if latches else Latchless
        self._site: Site = a_site(
            racks_named("r0"),
            *(a_tenant(name, ["r0"] if i == 0 else [], a_version(100)) for i, name in enumerate(names)),
        )
        self.tenants = [Tenant(name, State(latches=latches)) for name in names]
        self._tape = Tape()
        self._tape.put(T0_MS - 1_000, known_racks_of(self._site))
        self._tape.connect(T0_MS - 1_000)
        self._ledger = Ledger(folder)
        self._second = 0
        self._keys: set[str] = set()
        Scripted.script = {}
        self._service = self._started()
        self.hear([None] * tenants)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    @property
    def _now_ms(self) -> int:
        return T0_MS + 1_000 * self._second

    def _started(self) -> RulesService:
        rules = [
            self._rule.model_validate({"above_s": 0}),
            Cause.model_validate({"on_delay_s": 0, "off_delay_s": 0}),
            Effect(),
        ]
        judging = Judging(
            self._site, {BUS: EVERY_SECOND}, rules, tick_ms=1_000, lateness_ms=0, patience=AT_ONCE
        )
        service = a_service(judging, self._tape, self._ledger, self._folder, site=self._site)
        service.start()
        return service

    def snapshot(self) -> None:
        """Let the engine save its state."""
        self._service.save_snapshot()

    def restart(self) -> None:
        """Kill the monitor, and begin again: what came since the snapshot is judged a second time."""
        self._ledger.close()
        self._ledger = Ledger(self._folder)
        self._service = self._started()
        self._service.step(self._now_ms)
        self._check([[] for _ in self.tenants], "a restart")

    def hear(self, events: Sequence[Event | None]) -> None:
        """Let an event come of each tenant, None for none, and hold what comes of it against the table."""
        self._second += 1
        must: list[list[str]] = []
        for tenant, event in zip(self.tenants, events, strict=True):
            if event is None:
                tenant.said = replace(tenant.said, is_delay_over=False, carries=None)
                must.append([])
                continue
            assert tenant.can(event)
            self._act(tenant, event)
            told = tenant.hear(event)
            must.append([] if told is None else [told.value])
        Scripted.script[self._now_ms] = {tenant.name: tenant.said for tenant in self.tenants}
        self._tape.second(self._second, 10)
        self._service.step(self._now_ms)
        self._check(must, f"second {self._second}, {events}")

    def _act(self, tenant: Tenant, event: Event) -> None:
        """Do what people do."""
        if event is Event.ACKNOWLEDGE:
            for alarm in self._alarms()[tenant.name]:
                if alarm.is_open:
                    self._ledger.acknowledge(alarm, by="ann", at_ms=self._now_ms)
        hold = BEGINS.get(event)
        if hold in KINDS:
            tenant.shelves[hold] = self._hold_back(tenant, hold, "C2", None)
        if event is Event.CARRIES:
            self._hold_back(tenant, Hold.SHELVED, Effect.name, self._now_ms + 1)
        hold = ENDS.get(event)
        if hold in KINDS:
            self._ledger.end_suppression(tenant.shelves.pop(hold), by="ann", at_ms=self._now_ms)

    def _hold_back(self, tenant: Tenant, hold: Hold, rule: str, to_ms: int | None) -> str:
        """Hold back what a rule says of a tenant, from now up to a moment [ms]; return the hold's id."""
        suppression = Suppression(
            id=f"{tenant.name}-{self._second}-{rule}-{hold}",
            kind=KINDS[hold],
            subjects=(tenant.name,),
            rules=(rule,),
            from_ms=self._now_ms,
            to_ms=to_ms,
            by="ann",
            why="it is known",
            made_ms=self._now_ms,
        )
        self._ledger.suppress(suppression)
        return suppression.id

    def _alarms(self) -> dict[str, list[Alarm]]:
        found: dict[str, list[Alarm]] = {tenant.name: [] for tenant in self.tenants}
        for alarm in self._ledger.alarms():
            if alarm.rule == "C2":
                found[alarm.subject].append(alarm)
        return found

    def _new(self) -> Iterator[tuple[str, str]]:
        """Yield the subject of each thing that was told since the last time, and what it was."""
        for notice in reversed(self._ledger.notices(most=6 * len(self.tenants))):
            body = notice.body
            if body["rule"] == "C2" and notice.key not in self._keys:
                self._keys.add(notice.key)
                yield str(body["tenant"]), str(body["change"])

    def _check(self, must: Sequence[list[str]], what: str) -> None:
        told: dict[str, list[str]] = {tenant.name: [] for tenant in self.tenants}
        for name, change in self._new():
            told[name].append(change)
        alarms = self._alarms()
        for tenant, expected in zip(self.tenants, must, strict=True):
            assert told[tenant.name] == expected, (
                f"{what}, {tenant}: told {told[tenant.name]}, expected {expected}"
            )
            words, is_told = _words(alarms[tenant.name])
            assert words in _expected_words(tenant.state), f"{what}, {tenant}: {words}"
            assert is_told == tenant.state.is_told, f"{what}, {tenant}: told is {is_told}"


def _words(alarms: Sequence[Alarm]) -> tuple[str, bool]:
    """Return how the list of alarms says where a tenant is, and whether people were told what stands."""
    standing = [alarm for alarm in alarms if alarm.returned_ms is None]
    assert len(standing) <= 1
    if standing:
        return standing[0].state, standing[0].is_told
    return next((alarm.state for alarm in alarms if alarm.is_open), "normal"), False


def _expected_words(state: State) -> set[str]:
    """Return what it may say: of several holds by people the ledger names the one that began first."""
    if state.words in {f"active, {hold.value}" for hold in BY_PEOPLE}:
        return {f"active, {hold.value}" for hold in BY_PEOPLE if hold in state.holds}
    return {state.words}
