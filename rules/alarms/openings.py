"""Which alarms opened lately, and which are not told for that: alarms that chatter, and rules that flood.

It stands between what opens and what is told, and remembers ten minutes of event time. An alarm here is a
rule and a subject, however often it opens. What another alarm hides is not told anyway, and does not count.

- An alarm that opens three times in a minute, or ten times in ten minutes, chatters until it has not opened
  for ten minutes. The opening that makes it so is told; of those that follow, what stands for a minute is.
- A rule of which more than ten alarms were told within ten minutes, are held back or chatter, floods until
  these are fewer than five. What is below high severity and opens beyond ten is held back until then.

What is critical is told whenever it opens, and so is what a rule finds that is never suppressed. That the
alarms of a rule are counted, and not their openings, keeps one sensor from hiding all others of its rule.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from facility.instants import MINUTE_MS
from facility.names import CANARY
from facility.readings import BoolArray
from rules.alarms.states import Bank
from rules.base import Damping, Severity
from rules.subject import Subject, SubjectKind
from rules.view import NO_ALARMS, AlarmView

CHATTERS: Final = 3
"""So many openings of one alarm in a minute are chattering (ISA-18.2, IEC 62682)."""
CHATTERS_WITHIN_MS: Final = MINUTE_MS
FLOOD_MS: Final = 10 * MINUTE_MS
"""Over how long alarms are counted for a flood [ms] (EEMUA 191, ISA-18.2)."""
FLOOD_BEGINS: Final = 10
"""More alarms than this in ten minutes begin a flood."""
FLOOD_ENDS: Final = 5
"""Fewer than this end it."""
DAMPED: Final = "damped by Q10"
"""Begins the reason for which an alarm is not told."""
FOR_CHATTER: Final = f"{DAMPED}: this alarm chatters"
FOR_FLOOD: Final = f"{DAMPED}: the alarms of this rule are a flood"

ToldAs = Literal["told", "suppressed", "damped"]
"""What became of telling that an alarm opened: suppressed is under what says more, damped is by rule Q10."""
NO_KINDS: Final[Mapping[str, SubjectKind]] = MappingProxyType({})
Key = tuple[str, str]
"""The rule, as alarms name it, and the subject."""


def alarm_name(rule: str, subject: str) -> str:
    """Return what an alarm is called that another alarm is about."""
    return f"{rule} {subject}"


@dataclass(slots=True)
class _Chatter:
    """An alarm that chatters.

    Attributes:
        last_ms: When it opened last [ms].
        openings: How often it has opened, with the openings that made it chatter.
        untold: How many of these were not told when they opened.
        span_ms: Within how long it opened too often [ms].
        is_over: Whether it chatters no more.
    """

    last_ms: int
    openings: int
    span_ms: int
    untold: int = 0
    is_over: bool = False


@dataclass(slots=True)
class _Flood:
    """A rule with more alarms than anybody can take in.

    Attributes:
        openings: How often its alarms have opened, with those that began it.
        untold: How many of these were not told when they opened.
        severity: How bad the gravest alarm is that it holds back, `Severity` code.
        is_over: Whether it is over.
    """

    openings: int
    untold: int = 0
    severity: int = 0
    is_over: bool = False


class Openings:
    """What opened lately, and what is held back for it.

    Args:
        damping: From when on alarms chatter and rules flood.
        exempt: The rules whose alarms are never suppressed, as alarms name them.
        kinds: What the subjects are of the rules about tenants and their contracts, by the rules' names.

    Attributes:
        has_news: Whether anything opened or was told since `close`.
    """

    def __init__(
        self,
        damping: Damping,
        exempt: Collection[str] = (),
        kinds: Mapping[str, SubjectKind] = NO_KINDS,
    ) -> None:
        self._damping = damping
        self._exempt = exempt
        self._kinds = kinds
        self._most = max(damping.least_openings, damping.most_alarms)
        self._window_ms = max(damping.within_ms, FLOOD_MS)
        # Each in the order in which it was last changed.
        self._recent: dict[Key, deque[int]] = {}
        self._told: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._held: dict[str, dict[str, int]] = {}
        self._chatters: dict[Key, _Chatter] = {}
        self._floods: dict[str, _Flood] = {}
        self.has_news = False

    def begin(self, at_ms: int) -> None:
        """Forget what is too old to count at a tick [ms]."""
        while self._recent and next(iter(self._recent.values()))[-1] <= at_ms - self._window_ms:
            del self._recent[next(iter(self._recent))]
        for rule, told in list(self._told.items()):
            while told and next(iter(told.values())) <= at_ms - FLOOD_MS:
                del told[next(iter(told))]
            if not told:
                del self._told[rule]

    def take(self, bank: Bank, due: BoolArray, at_ms: int) -> Mapping[int, str]:
        """Take in alarms that are about to be told, and return which of them are not, and why.

        Args:
            bank: The alarms of a rule.
            due: Which of them are active, not told and not hidden, shape (subjects,).
            at_ms: The tick [ms].

        Returns:
            A reason for each place that is held back.
        """
        rule, kept, held = bank.rule, dict[int, str](), dict[str, int]()
        for place in np.flatnonzero(due).tolist():
            subject, severity = bank.subjects[place], int(bank.severities[place])
            if subject == CANARY:
                continue
            opened_ms = int(bank.opened_ms[place])
            chatter, is_new = self._chatter_of((rule, subject)), opened_ms == at_ms
            if is_new:
                self._note((rule, subject), at_ms)
            why = ""
            if rule in self._exempt or severity >= Severity.CRITICAL:
                pass
            elif chatter is not None and at_ms - opened_ms < self._damping.within_ms:
                why = FOR_CHATTER
            elif severity < Severity.HIGH and self._is_too_many(rule, subject, is_new=is_new):
                why, held[subject] = FOR_FLOOD, severity
            self.has_news |= is_new or not why
            if why:
                kept[place] = why
                self._count_untold((rule, subject), is_new=is_new)
            else:
                self._told[rule].pop(subject, None)
                self._told[rule][subject] = at_ms
        if held:
            self._held[rule] = held
        else:
            self.release(rule)
        return kept

    def release(self, rule: str) -> None:
        """Note that nothing of a rule is held back for a flood."""
        self._held.pop(rule, None)

    def _note(self, key: Key, at_ms: int) -> None:
        """Note that an alarm opened."""
        times = self._recent.pop(key, None) or deque[int](maxlen=self._most)
        times.append(at_ms)
        self._recent[key] = times
        if (flood := self._flood_of(key[0])) is not None:
            flood.openings += 1
        if (chatter := self._chatter_of(key)) is not None:
            chatter.last_ms, chatter.openings = at_ms, chatter.openings + 1
            return
        damping = self._damping
        for span_ms, least in ((damping.within_ms, damping.least_openings), (FLOOD_MS, damping.most_alarms)):
            count = sum(time_ms > at_ms - span_ms for time_ms in times)
            if count >= least:
                self._chatters[key] = _Chatter(at_ms, count, span_ms)
                return

    def _chatter_of(self, key: Key) -> _Chatter | None:
        chatter = self._chatters.get(key)
        return None if chatter is None or chatter.is_over else chatter

    def _flood_of(self, rule: str) -> _Flood | None:
        flood = self._floods.get(rule)
        return None if flood is None or flood.is_over else flood

    def _is_too_many(self, rule: str, subject: str, *, is_new: bool) -> bool:
        """Tell whether an alarm is held back: too many others were told lately, or the flood lasts still."""
        if not is_new and subject in self._held.get(rule, ()) and self._flood_of(rule) is not None:
            return True
        told = self._told.get(rule, {})
        return subject not in told and len(told) >= self._damping.most_alarms

    def _count_untold(self, key: Key, *, is_new: bool) -> None:
        if not is_new:
            return
        for found in (self._flood_of(key[0]), self._chatter_of(key)):
            if found is not None:
                found.untold += 1

    def close(self, at_ms: int, standing: Collection[str]) -> None:
        """Find what floods and chatters now that all of a tick was taken in.

        Args:
            at_ms: The tick [ms].
            standing: Of what there is an alarm; what is over is forgotten where there is none.
        """
        self.has_news = False
        self._chatters = {
            key: one for key, one in self._chatters.items() if not one.is_over or alarm_name(*key) in standing
        }
        self._floods = {
            rule: one for rule, one in self._floods.items() if not one.is_over or rule in standing
        }
        alarms: dict[str, set[str]] = defaultdict(set)
        for (rule, subject), chatter in self._chatters.items():
            chatter.is_over = chatter.is_over or at_ms - chatter.last_ms >= self._damping.quiet_ms
            if not chatter.is_over:
                alarms[rule].add(subject)
        for rule in dict.fromkeys(chain(self._told, self._held, self._floods, tuple(alarms))):
            held = self._held.get(rule, {})
            load = len(alarms[rule].union(self._told.get(rule, ()), held))
            flood = self._floods.get(rule)
            if load > self._damping.most_alarms and (flood is None or flood.is_over):
                flood = self._floods[rule] = _Flood(load, len(held))
            elif flood is not None and load < min(self._damping.few_alarms, self._damping.most_alarms):
                flood.is_over = True
            if flood is not None:
                flood.severity = max(flood.severity, *held.values(), 0)

    def view(self) -> AlarmView:
        """Return what chatters and floods, and the rules of which alarms were told lately."""
        damping = self._damping
        rules = list(dict.fromkeys(chain(self._floods, self._told, self._held)))
        if not rules and not self._chatters:
            return NO_ALARMS
        floods = [
            self._floods.get(rule) or _Flood(len(self._told.get(rule, ())), is_over=True) for rule in rules
        ]
        chatters = list(self._chatters.items())
        row_of = {rule: row for row, rule in enumerate(rules)}
        of_rules = (*rules, *(rule for (rule, _), _ in chatters))
        found: list[_Flood | _Chatter] = [*floods, *(chatter for _, chatter in chatters)]
        limits = [
            damping.least_openings if chatter.span_ms == damping.within_ms else damping.most_alarms
            for _, chatter in chatters
        ]
        return AlarmView(
            ids=(*rules, *(alarm_name(*key) for key, _ in chatters)),
            is_rule=np.arange(len(found)) < len(rules),
            is_on=np.array([not one.is_over for one in found], np.bool_),
            openings=np.array([one.openings for one in found], np.int64),
            untold=np.array([one.untold for one in found], np.int64),
            limit=np.array([damping.most_alarms] * len(rules) + limits, np.int64),
            span_ms=np.array([FLOOD_MS] * len(rules) + [one.span_ms for _, one in chatters], np.int64),
            severity=np.array([one.severity for one in floods] + [0] * len(chatters), np.int8),
            is_damped=np.array([rule not in self._exempt for rule in of_rules], np.bool_),
            within=np.array([-1] * len(rules) + [row_of.get(rule, -1) for (rule, _), _ in chatters], np.intp),
            stands_ms=damping.within_ms,
            quiet_ms=damping.quiet_ms,
            tenants=(
                *(self._tenants_of(rule, self._held_back(rule)) for rule in rules),
                *(self._tenants_of(rule, (subject,)) for (rule, subject), _ in chatters),
            ),
        )

    def _held_back(self, rule: str) -> Iterator[str]:
        """Yield of what alarms of a rule are held back: for a flood, and in it those that chatter.

        The flood is told in place of their chatter, which Q10 hides under it.
        """
        yield from self._held.get(rule, ())
        if rule in self._kinds and self._flood_of(rule) is not None:
            yield from (
                subject for (of, subject), one in self._chatters.items() if of == rule and not one.is_over
            )

    def _tenants_of(self, rule: str, subjects: Iterable[str]) -> frozenset[str]:
        """Return the tenants of some subjects of a rule; none of a rule that is not about tenants."""
        if (kind := self._kinds.get(rule)) is None:
            return frozenset()
        return frozenset(tenant for one in subjects if (tenant := Subject(kind, one).tenant) is not None)

    def begin_anew(self, at_ms: int) -> None:
        """Forget when anything opened or was told: our own clock was set, to a moment [ms]."""
        self._recent.clear()
        self._told.clear()
        for chatter in self._chatters.values():
            chatter.last_ms = at_ms

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "recent": [[*key, list(times)] for key, times in self._recent.items()],
            "told": {rule: dict(told) for rule, told in self._told.items()},
            "held": {rule: dict(held) for rule, held in self._held.items()},
            "chatters": [[*key, asdict(chatter)] for key, chatter in self._chatters.items()],
            "floods": {rule: asdict(flood) for rule, flood in self._floods.items()},
        }

    def load(self, values: Mapping[str, Any], rules: Collection[str]) -> None:
        """Take in what `save` returned, of rules that there still are.

        Args:
            values: What was saved; nothing where that was by a version that did not know of it.
            rules: The rules, as alarms name them.
        """
        for rule, subject, times in _of(values.get("recent", ()), rules):
            self._recent[rule, subject] = deque(times, self._most)
        for rule, subject, chatter in _of(values.get("chatters", ()), rules):
            self._chatters[rule, subject] = _Chatter(**chatter)
        for name, kept in (("told", self._told), ("held", self._held)):
            kept.update({rule: dict(found) for rule, found in values.get(name, {}).items() if rule in rules})
        floods = values.get("floods", {}).items()
        self._floods = {rule: _Flood(**flood) for rule, flood in floods if rule in rules}


def _of(rows: Sequence[Sequence[Any]], rules: Collection[str]) -> Iterator[Sequence[Any]]:
    return (row for row in rows if row[0] in rules)
