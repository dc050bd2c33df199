"""Holding a monitor against the judge: which episodes it missed, and what it invented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from facility.instants import to_iso
from simulators.truth.episodes import Clause, Duty, Episode

PAGES: Final[Mapping[Clause, str]] = {Clause.OVERDRAW: "C2", Clause.DEMAND: "C4", Clause.AHEAD: "C9"}
"""The rule of the catalogue that says that a clause is broken."""

DOUBTS: Final[Mapping[Clause, tuple[str, ...]]] = {
    Clause.OVERDRAW: ("C2", "C3", "C2-cannot-verify"),
    Clause.DEMAND: ("C4", "C4-cannot-verify"),
}
"""Alarms, one of which must stand where it cannot be told whether a clause is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An alarm that a monitor raised.

    Attributes:
        rule: The rule, as the alarm names it.
        subject: Id of the tenant, rack or other subject.
        opened_ms: When it opened, in event time [ms].
        told_ms: When people were told [ms], None where they were not.
        returned_ms: When it returned [ms], None while it stands.
        is_earlier: Whether it opened before the truth begins that it is held against.
    """

    rule: str
    subject: str
    opened_ms: int
    told_ms: int | None
    returned_ms: int | None
    is_earlier: bool = False

    def stands_at(self, at_ms: int) -> bool:
        """Tell whether it stands at a moment."""
        return self.stands_within(at_ms, at_ms)

    def stands_within(self, from_ms: int, to_ms: int) -> bool:
        """Tell whether it stands at some moment of a time, ends included."""
        return self.opened_ms <= to_ms and (self.returned_ms is None or self.returned_ms > from_ms)


def differences(episodes: Sequence[Episode], raised: Iterable[Raised]) -> list[str]:
    """Return where a monitor and the judge disagree, one sentence each.

    Args:
        episodes: What the judge found, of every tenant.
        raised: Every alarm of the monitor.
    """
    alarms = list(raised)
    owed = [_missed(episode, alarms) for episode in episodes if episode.duty is not Duty.NONE]
    made = [_invented(alarm, episodes) for alarm in alarms]
    return [text for text in (*owed, *made) if text]


def _missed(episode: Episode, alarms: Sequence[Raised]) -> str:
    """Return what is missing for an episode; "" where nothing is."""
    is_page = episode.duty is not Duty.DOUBT
    rules = (PAGES.get(episode.clause, ""),) if is_page else DOUBTS.get(episode.clause, ())
    if not any(rules):
        return ""
    mine = [alarm for alarm in alarms if alarm.rule in rules and alarm.subject == episode.tenant]
    told = [alarm for alarm in mine if alarm.told_ms is not None and alarm.told_ms <= episode.told_by_ms]
    if (
        episode.duty is Duty.DOUBT
        and episode.clause is Clause.OVERDRAW
        and episode.to_ms < episode.told_by_ms
    ):
        # Until then it may be waited whether what is likely lasts, and what is over is told to nobody.
        told = mine
    if episode.duty is Duty.TELL:
        told_of = any(alarm.stands_within(episode.from_ms, episode.latest_ms) for alarm in told)
        return "" if told_of else f"untold: {_described(episode)}, expected {rules[0]} to tell of it"
    until_ms = episode.latest_ms if is_page else episode.told_by_ms
    standing = [alarm for alarm in told if alarm.stands_within(episode.latest_ms, until_ms)]
    if episode.clause is Clause.DEMAND:
        # How a block closed is told as it closes, be it by an alarm that an earlier one opened; how the next
        # one does may end it at once.
        standing += [
            alarm
            for alarm in told
            if episode.earliest_ms <= alarm.opened_ms <= episode.latest_ms
            or alarm.stands_at(episode.earliest_ms)
        ]
    if not standing:
        late = [alarm for alarm in mine if alarm.stands_at(episode.latest_ms)]
        found = f"told at {_time(late[0].told_ms)}" if late else "none"
        return f"missed: {_described(episode)}, expected {' or '.join(rules)} to stand then, found {found}"
    if is_page and episode.clause is not Clause.DEMAND:
        early = [a for a in standing if a.returned_ms is not None and a.returned_ms < episode.to_ms]
        if len(early) == len(standing):
            return f"let go: {_described(episode)}, returned at {_time(early[0].returned_ms)}"
    return ""


def _invented(alarm: Raised, episodes: Sequence[Episode]) -> str:
    """Return what is wrong with an alarm; "" where it is right, or about something else."""
    clauses = [clause for clause, rule in PAGES.items() if rule == alarm.rule]
    if alarm.is_earlier or not clauses:
        return ""
    right = [
        episode
        for episode in episodes
        if episode.tenant == alarm.subject
        and episode.clause in clauses
        and episode.earliest_ms <= alarm.opened_ms <= episode.latest_ms
    ]
    if right:
        return ""
    return f"invented: {alarm.rule} of {alarm.subject}, opened at {_time(alarm.opened_ms)}"


def _described(episode: Episode) -> str:
    draw, limit = float(episode.peak) / 1e6, float(episode.allowed) / 1e6
    return (
        f"{episode.duty} for {episode.clause} of {episode.tenant} from {_time(episode.from_ms)} to "
        f"{_time(episode.to_ms)}, {draw:.3f} of {limit:.3f} kW, due {_time(episode.earliest_ms)} to "
        f"{_time(episode.latest_ms)}"
    )


def _time(at_ms: int | None) -> str:
    return "never" if at_ms is None else to_iso(at_ms)[11:]


def put_off(episodes: Iterable[Episode], away: Sequence[tuple[int, int]], lag_ms: int) -> list[Episode]:
    """Return episodes with the deadlines of a monitor that can tell nothing while it is away.

    Args:
        episodes: Episodes, in any order.
        away: When it is away: from and to [ms].
        lag_ms: How long it may take to tell what it finds when it is back [ms].
    """
    found = []
    for episode in episodes:
        told_by_ms = episode.told_by_ms
        for from_ms, to_ms in away:
            if from_ms <= told_by_ms < to_ms + lag_ms:
                told_by_ms = to_ms + lag_ms
        found.append(replace(episode, told_by_ms=told_by_ms))
    return found
