"""Both judgements of a site: live, by what had arrived, and settled, once everything has.

They take the same entries. What the settled judgement finds adds to what was told live and takes nothing
back: of a rule that both judge, an episode is told as past where no alarm told of it live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from facility.site import Site
from rules.base import Judgement, Rule
from rules.engine.engine import Engine, Step
from rules.engine.judge import Judge
from rules.engine.past import Past
from rules.engine.settled import Patience, SettledEngine
from rules.telemetry.timing import Timing
from store.journal.entries import Entry


class Judging:
    """Judges a site twice.

    Args:
        site: What the site file declares.
        timings: When points are published, by the broker's name.
        rules: The rules, with the parameters that the site file sets.
        tick_ms: Event time between two ticks [ms].
        lateness_ms: How long a live tick waits for readings on their way [ms].
        patience: How long a settled tick is left open.

    Attributes:
        live: Judges by what had arrived at each tick.
        settled: Judges in source time, once everything has arrived.
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
        self._anew = partial(
            Judging, site, timings, rules, tick_ms=tick_ms, lateness_ms=lateness_ms, patience=patience
        )
        live = [rule for rule in rules if Judgement.LIVE in rule.judges]
        settled = [rule for rule in rules if Judgement.SETTLED in rule.judges]
        self.live = Engine(site, timings, live, tick_ms=tick_ms, lateness_ms=lateness_ms)
        self.settled = SettledEngine(site, timings, settled, tick_ms=tick_ms, patience=patience)
        self.settled.share(self.live)
        self.past = self.settled.past = Past(
            {
                judge.rule.name: judge.bank
                for judge in self.settled.judges
                if Judgement.LIVE in judge.rule.judges
            }
        )

    def anew(self) -> Judging:
        """Return judgements of the same site that have taken nothing."""
        return self._anew()

    def become(self, other: Judging) -> None:
        """Take over the state of other judgements of the same site."""
        self.live, self.settled, self.past = other.live, other.settled, other.past

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

    @property
    def failing(self) -> dict[str, str]:
        """What rules raised last, by the names of those that fail; of both judgements the live one counts."""
        return {
            judge.rule.name: judge.error
            for engine in self.engines.values()
            for judge in engine.judges
            if judge.error and (engine is self.live or Judgement.LIVE not in judge.rule.judges)
        }

    @property
    def judged_ms(self) -> int:
        """Up to which tick both judgements are [ms]; 0 before the first."""
        ticks = [engine.tick_ms for engine in (self.live, self.settled) if engine.judges]
        return min((tick or 0 for tick in ticks), default=0)

    @property
    def rules(self) -> dict[str, Rule]:
        """Every rule, by the names that alarms give it: its own, and that of not being able to tell."""
        return {bank.rule: judge.rule for judge in self.judges for bank in judge.banks()}

    def take(self, entry: Entry) -> list[Step]:
        """Take the next entry of the journal, after the ticks that do not use it any more.

        Args:
            entry: The entry after the last one that was taken.

        Returns:
            What those ticks brought, of the live judgement and then of the settled one.
        """
        return self._noted(self.live.take(entry)) + self.settled.take(entry)

    def advance(self, closed_ms: int) -> list[Step]:
        """Evaluate every tick that uses nothing stamped after `closed_ms`.

        Args:
            closed_ms: Nothing will be stamped at or before this any more [ms].
        """
        return self._noted(self.live.advance(closed_ms)) + self.settled.advance(closed_ms)

    def hand_over(self) -> list[Step]:
        """Return what ticks brought that was not returned yet: also after a tick that could not be judged."""
        return self._noted(self.live.hand_over()) + self.settled.hand_over()

    def _noted(self, steps: list[Step]) -> list[Step]:
        for step in steps:
            self.past.hear(step.changes)
        return steps
