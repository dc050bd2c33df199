"""Both judgements of a site: live, by what had arrived, and settled, once everything has.

They take the same entries. What the settled judgement finds adds to what was told live and takes nothing
back: of a rule that both judge, an episode is told as past where no alarm told of it live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from facility.site import Site
from rules.alarms import Bank, Change, Transition
from rules.base import CANNOT_VERIFY, Judgement, Rule
from rules.engine import Engine, Judge, Step
from rules.knowledge import Timing
from rules.settled import Patience, SettledEngine
from store.entries import Entry

LASTING_MS: Final = 60_000
"""An episode of the past that lasts longer is told before its end is known (our choice)."""
OVER_MS: Final = 10_000
"""It is told with its end once that has lasted so long (our choice)."""
REMEMBERED_MS: Final = 86_400_000
"""How long what was told live is remembered, beyond what is not settled yet (our choice)."""


class Judging:
    """Judges a site twice.

    Args:
        site: The site.
        timings: When points are published, by the broker's name.
        rules: The rules.
        tick_ms: Event time between two ticks [ms].
        lateness_ms: How long a live tick waits for readings on their way [ms].
        patience: How long a settled tick is left open.

    Attributes:
        live: The live engine.
        settled: The settled one.
    """

    def __init__(
        self,
        site: Site,
        timings: Mapping[str, Timing],
        rules: Sequence[Rule],
        *,
        tick_ms: int,
        lateness_ms: int,
        patience: Patience,
    ) -> None:
        live = [rule for rule in rules if Judgement.LIVE in rule.judges]
        settled = [rule for rule in rules if Judgement.SETTLED in rule.judges]
        self.live = Engine(site, timings, live, tick_ms=tick_ms, lateness_ms=lateness_ms)
        self.settled = SettledEngine(site, timings, settled, tick_ms=tick_ms, patience=patience)
        both = {rule.name for rule in live} & {rule.name for rule in settled}
        self.past = Past(
            {judge.rule.name: judge.bank for judge in self.settled.judges if judge.rule.name in both}
        )

    @property
    def engines(self) -> dict[str, Engine]:
        """Both engines by name."""
        return {"live": self.live, "settled": self.settled}

    @property
    def seq(self) -> int:
        """The last entry that was taken."""
        return self.live.seq

    def active_ids(self) -> set[str]:
        """Return the identities of the alarms that there are, of both judgements."""
        judges = (*self.live.judges, *self.settled.judges)
        return {found for judge in judges for found in judge.active_ids()}

    @property
    def judges(self) -> tuple[Judge, ...]:
        """Every rule with its alarms, once: those of the live judgement where both have it."""
        live = {judge.rule.name for judge in self.live.judges}
        return self.live.judges + tuple(j for j in self.settled.judges if j.rule.name not in live)

    def take(self, entry: Entry) -> list[Step]:
        """Take the next entry of the journal, after the ticks that do not use it any more.

        Args:
            entry: The entry after the last one that was taken.

        Returns:
            What those ticks brought, of the live judgement and then of the settled one.
        """
        return self._merged(self.live.take(entry), self.settled.take(entry))

    def advance(self, closed_ms: int) -> list[Step]:
        """Evaluate every tick that uses nothing stamped after `closed_ms`.

        Args:
            closed_ms: Nothing will be stamped at or before this any more [ms].
        """
        return self._merged(self.live.advance(closed_ms), self.settled.advance(closed_ms))

    def hand_over(self) -> list[Step]:
        """Return what ticks brought that was not returned yet: also after a tick that could not be judged."""
        return self._merged(self.live.hand_over(), self.settled.hand_over())

    def _merged(self, live: list[Step], settled: list[Step]) -> list[Step]:
        for step in live:
            self.past.hear(step.changes)
        return live + [self.past.filter(step) for step in settled]


@dataclass(slots=True)
class _Told:
    """An episode that was told live: between when its limit was broken [ms], None while it is."""

    rule: str
    subject: str
    since_ms: int
    until_ms: int | None = None


@dataclass(slots=True)
class _Episode:
    """An episode that the settled judgement has open.

    Attributes:
        opened: How it opened.
        is_told: Whether it was told.
        told_over_ms: Since when it was told to be over [ms]; None where it was told to last.
    """

    opened: Transition
    is_told: bool = False
    told_over_ms: int | None = None


class Past:
    """Which episodes of the settled judgement are told.

    Args:
        both: The settled alarms of rules that are judged live as well, by rule. All that happens to alarms
            of other rules is told.
    """

    def __init__(self, both: Mapping[str, Bank]) -> None:
        self._both = both
        self._told: list[_Told] = []
        self._open: dict[tuple[str, str], _Episode] = {}

    def hear(self, changes: Sequence[Transition]) -> None:
        """Take in what happened to live alarms."""
        for change in changes:
            if change.rule not in self._both:
                continue
            if change.change is Change.RETURNED:
                for told in self._told:
                    if (told.rule, told.subject) == (change.rule, change.subject) and told.until_ms is None:
                        told.until_ms = change.over_ms
            elif change.change is Change.OPENED and change.is_told:
                self._told.append(_Told(change.rule, change.subject, change.since_ms))

    def filter(self, step: Step) -> Step:
        """Return a settled step with the changes that add to what was told live."""
        changes: list[Transition] = []
        for change in step.changes:
            # That nobody could tell at the time was told then.
            if change.rule.removesuffix(f"-{CANNOT_VERIFY}") not in self._both:
                changes.append(change)
            elif change.rule in self._both:
                changes += self._follow(change, step.at_ms)
        changes += self._tell_known(step.at_ms)
        before_ms = step.at_ms - REMEMBERED_MS
        self._told = [told for told in self._told if told.until_ms is None or told.until_ms >= before_ms]
        return replace(step, changes=tuple(changes))

    def _follow(self, change: Transition, at_ms: int) -> list[Transition]:
        """Return what is told when something happens to an alarm."""
        key = (change.rule, change.subject)
        if change.change is Change.OPENED:
            self._open[key] = _Episode(change)
            return []
        episode = self._open.get(key)
        if episode is None:
            return []
        if change.change is Change.WORSENED:
            episode.opened = replace(episode.opened, severity=change.severity, value=change.value)
            return [replace(change, is_past=True)] if episode.is_told else []
        del self._open[key]
        if episode.is_told:
            # Where its end was told with it, that it is over is recorded, and is no news.
            return [replace(change, is_told=change.over_ms != episode.told_over_ms, is_past=True)]
        if self._is_told_live(episode.opened, change.over_ms):
            return []
        opened = self._told_as_past(episode, change.over_ms, at_ms)
        return [replace(opened, peak=change.peak), replace(change, is_told=False, is_past=True)]

    def _tell_known(self, at_ms: int) -> list[Transition]:
        """Return openings that are told before their alarms return: their end is known, or they last."""
        known = []
        for episode in self._open.values():
            opened = episode.opened
            bank = self._both[opened.rule]
            over_ms = bank.over_ms(opened.subject)
            lasts = over_ms is None and at_ms - opened.opened_ms >= LASTING_MS
            is_over = over_ms is not None and at_ms - over_ms >= OVER_MS
            if episode.is_told or not (lasts or is_over) or self._is_told_live(opened, over_ms):
                continue
            known.append(replace(self._told_as_past(episode, over_ms, at_ms), peak=bank.peak(opened.subject)))
        return known

    @staticmethod
    def _told_as_past(episode: _Episode, over_ms: int | None, at_ms: int) -> Transition:
        episode.is_told, episode.told_over_ms = True, over_ms
        return replace(episode.opened, is_told=True, is_past=True, over_ms=over_ms, at_ms=at_ms)

    def _is_told_live(self, opened: Transition, over_ms: int | None) -> bool:
        """Tell whether an episode overlaps one that was told live."""
        return any(
            (told.rule, told.subject) == (opened.rule, opened.subject)
            and (told.until_ms is None or told.until_ms >= opened.since_ms)
            and (over_ms is None or told.since_ms <= over_ms)
            for told in self._told
        )

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "told": [asdict(told) for told in self._told],
            "open": [asdict(episode) for episode in self._open.values()],
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._told = [_Told(**told) for told in values["told"]]
        self._open = {}
        for saved in values["open"]:
            opened = Transition.restored(saved["opened"])
            self._open[opened.rule, opened.subject] = _Episode(
                opened, saved["is_told"], saved["told_over_ms"]
            )
