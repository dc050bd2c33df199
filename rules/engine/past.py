"""Which alarms of the settled judgement are told: those that add to what was told live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from rules.alarms.states import Bank, Change, Transition

LASTING_MS: Final = 60_000
"""An episode of the past that lasts longer is told before its end is known (our choice)."""
OVER_MS: Final = 10_000
"""It is told with its end once that has lasted so long (our choice)."""
REMEMBERED_MS: Final = 86_400_000
"""How long what was told live is remembered, beyond what is not settled yet (our choice)."""


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
        broke_off_ms: When its limit was first not known to be broken any more [ms]; None while it is.
    """

    opened: Transition
    is_told: bool = False
    told_over_ms: int | None = None
    broke_off_ms: int | None = None


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
            elif change.change is Change.OPENED and (change.is_told or change.is_damped):
                # What is damped is known to open too often.
                self._told.append(_Told(change.rule, change.subject, change.since_ms))

    def filter(self, found: Sequence[Transition], at_ms: int) -> tuple[Transition, ...]:
        """Return what of a settled tick adds to what was told live.

        Args:
            found: What happened to settled alarms at the tick.
            at_ms: The tick [ms].
        """
        changes: list[Transition] = []
        for change in found:
            changes += self._follow(change, at_ms) if change.rule in self._both else [change]
        changes += self._tell_known(at_ms)
        before_ms = at_ms - REMEMBERED_MS
        self._told = [told for told in self._told if told.until_ms is None or told.until_ms >= before_ms]
        return tuple(changes)

    def end(self, at_ms: int) -> tuple[Transition, ...]:
        """Return what is not told yet, and forget what was told of what is over: the clock is set.

        Args:
            at_ms: The last tick by the clock that was [ms].
        """
        changes = tuple(self._tell_known(at_ms, is_all=True))
        self._open = {key: episode for key, episode in self._open.items() if episode.is_told}
        self._told = [told for told in self._told if told.until_ms is None]
        return changes

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
        if self._is_told_live(episode, change.over_ms):
            return []
        opened = self._told_as_past(episode, change.over_ms, at_ms)
        return [replace(opened, peak=change.peak), replace(change, is_told=False, is_past=True)]

    def _tell_known(self, at_ms: int, *, is_all: bool = False) -> list[Transition]:
        """Return openings that are told before their alarms return: their end is known, or they last."""
        known = []
        for episode in self._open.values():
            opened = episode.opened
            bank = self._both[opened.rule]
            over_ms = bank.over_ms(opened.subject)
            if episode.broke_off_ms is None:
                episode.broke_off_ms = bank.broken_until_ms(opened.subject)
            lasts = over_ms is None and at_ms - opened.opened_ms >= LASTING_MS
            is_over = over_ms is not None and at_ms - over_ms >= OVER_MS
            if episode.is_told or not (lasts or is_over or is_all) or self._is_told_live(episode, over_ms):
                continue
            known.append(replace(self._told_as_past(episode, over_ms, at_ms), peak=bank.peak(opened.subject)))
        return known

    @staticmethod
    def _told_as_past(episode: _Episode, over_ms: int | None, at_ms: int) -> Transition:
        episode.is_told, episode.told_over_ms = True, over_ms
        return replace(episode.opened, is_told=True, is_past=True, over_ms=over_ms, at_ms=at_ms)

    def _is_told_live(self, episode: _Episode, over_ms: int | None) -> bool:
        """Tell whether an episode overlaps one that was told live, in the time that opened it.

        What was told live of a later time in the same alarm says nothing of that.
        """
        opened, until_ms = episode.opened, over_ms if episode.broke_off_ms is None else episode.broke_off_ms
        return any(
            (told.rule, told.subject) == (opened.rule, opened.subject)
            and (told.until_ms is None or told.until_ms >= opened.since_ms)
            and (until_ms is None or told.since_ms <= until_ms)
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
        """Take in what `save` returned, as far as its rules are still judged twice."""
        self._told = [_Told(**told) for told in values["told"] if told["rule"] in self._both]
        self._open = {}
        for saved in values["open"]:
            opened = Transition.restored(saved["opened"])
            if opened.rule in self._both:
                self._open[opened.rule, opened.subject] = _Episode(
                    opened, saved["is_told"], saved["told_over_ms"], saved.get("broke_off_ms")
                )
