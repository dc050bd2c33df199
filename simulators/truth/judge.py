"""A second judge: from what was truly drawn and what the contract says to the pages that had to come.

It knows nothing of the monitor. It goes second by second through the truth, holds it against the words of the
contract (`terms`), and says which episodes a perfect monitor would have paged, each with the earliest and the
latest moment that would still have been right. Where it could not be known, because meters were silent, it
says that too: there a monitor has to tell that it cannot tell.

It is plain and slow, and it shares no arithmetic with what it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from simulators.truth.episodes import (
    Block,
    Clause,
    Duty,
    Episode,
    Promise,
    Run,
    Series,
    Sight,
    joined,
    runs_of,
)
from simulators.truth.terms import (
    SECOND_MS,
    Agreement,
    Milliwatts,
    Terms,
    block_borders,
    delivered,
    month_of,
)

DEFAULT_PROMISE: Final = Promise()
"""What the design promises at one reading a second."""
NEVER_MS: Final = 253_402_300_799_999
"""No deadline: the end of the calendar [ms]."""

BlockKind = tuple[str, int, int]
"""How demand is measured: the method, the length of a block, and how far it slides, 0 for not [ms]."""
Test = Callable[[int], bool]
"""Whether something is true at a place."""


def judge(
    tenant: str,
    agreement: Agreement,
    sight: Sight,
    zone: ZoneInfo,
    promise: Promise = DEFAULT_PROMISE,
    settled: Sight | None = None,
) -> list[Episode]:
    """Return every episode of one tenant, in the order in which pages are due.

    Args:
        tenant: Whose draw it is.
        agreement: Its contract.
        sight: What it drew, and what could be known of it at each moment.
        zone: Whose wall clock demand blocks and months follow.
        promise: How soon a page is promised.
        settled: What could be known of it in the end, with all that came late; None where nothing did.
    """
    case = _Case(tenant, agreement, sight, zone, promise)
    episodes = [*case.overdraws(), *case.ahead(), *case.bursts()]
    if settled is None:
        episodes += case.demands()
    else:
        late = _Case(tenant, agreement, settled, zone, promise)
        episodes += [*late.demands(), *late.untold()]
    return sorted(episodes, key=lambda episode: (episode.earliest_ms, episode.clause, episode.duty))


def blocks_of(tenant: str, agreement: Agreement, sight: Sight, zone: ZoneInfo) -> list[Block]:
    """Return every demand block of one tenant that closed, broken or not, in the order in which they did.

    Args:
        tenant: Whose demand it is.
        agreement: Its contract.
        sight: What it drew.
        zone: Whose wall clock demand blocks follow.
    """
    case = _Case(tenant, agreement, sight, zone, DEFAULT_PROMISE)
    return sorted(case.blocks(), key=lambda block: (block.to_ms, block.from_ms))


class _Case:
    """One tenant before the judge."""

    def __init__(
        self, tenant: str, agreement: Agreement, sight: Sight, zone: ZoneInfo, promise: Promise
    ) -> None:
        self._tenant = tenant
        self._agreement = agreement
        self._sight = sight
        self._zone = zone
        self._promise = promise
        self._count = len(sight.true)
        self._terms: list[Terms | None] = [agreement.at(self._at(i)) for i in range(self._count)]
        self._allowed: list[Milliwatts] = [
            terms.allowed(self._at(i)) if terms is not None else 0 for i, terms in enumerate(self._terms)
        ]

    def _at(self, i: int) -> int:
        """Return when a place is [ms]."""
        return self._sight.begin_ms + i * SECOND_MS

    def _place(self, at_ms: int) -> int:
        return (at_ms - self._sight.begin_ms) // SECOND_MS

    # Every moment -----------------------------------------------------------------------

    def overdraws(self) -> Iterator[Episode]:
        """Yield the times above what may be drawn at every moment."""

        def hold_ms(i: int) -> int:
            terms = self._terms[i]
            return max(self._promise.overdraw_ms, terms.sustain_ms if terms else 0)

        sight, above = self._sight, self._above
        tests = (above(sight.proven), above(sight.open), above(sight.recent), above(sight.possible))
        yield from self._episodes(Clause.OVERDRAW, tests, hold_ms)
        yield from self._swings(above(sight.brief), above(sight.recent))

    def _above(self, series: Series) -> Test:
        """Return whether a draw is above what may be drawn at every moment, at a place."""

        def test(i: int) -> bool:
            terms = self._terms[i]
            if terms is None or not terms.binds_every_moment:
                return False
            return delivered(series[i], terms) > self._allowed[i]

        return test

    def _swings(self, known: Test, seen: Test) -> Iterator[Episode]:
        """Yield the times in which a draw that swings around its limit has been above it for long enough.

        Args:
            known: Whether it could be known to be above.
            seen: Whether it could be seen above.
        """
        promise = self._promise
        lag, window = promise.lag_ms // SECOND_MS, promise.window_ms // SECOND_MS
        least = promise.swings_ms // SECOND_MS
        certain, possible = (_Counts(test, self._count) for test in (known, seen))

        on_end = promise.overdraw_ms // SECOND_MS

        def may_swing(i: int) -> bool:
            # What has been above for long on end is owed for that.
            return self._counts_swings(i) and certain.of(i, on_end + 1) <= on_end

        def is_owed(i: int) -> bool:
            return known(i) and may_swing(i) and certain.of(i, window - lag) >= least + lag + 1

        def is_right(i: int) -> bool:
            return may_swing(i) and possible.of(i, window + lag) >= least - 1

        for run in runs_of(is_owed, self._count):
            due_ms = self._at(run.start)
            yield self._episode(Clause.OVERDRAW, Duty.PAGE, run, due_ms, due_ms + promise.lag_ms)
        for run in runs_of(is_right, self._count):
            yield self._episode(Clause.OVERDRAW, Duty.NONE, run, self._at(run.start), self._at(run.end + lag))

    def _counts_swings(self, i: int) -> bool:
        """Tell whether a clause says nothing of how long a draw must be above on end."""
        terms = self._terms[i]
        return (
            terms is not None and terms.binds_every_moment and terms.sustain_ms <= self._promise.overdraw_ms
        )

    def untold(self) -> Iterator[Episode]:
        """Yield the times above what may be drawn that must be told in the end, and those that may be.

        One may be told of as long as the draw is above, however much of that could be known: at any time
        after the end of the truth, where it lasts that long.
        """
        overdraws = list(self.overdraws())
        lag = self._promise.lag_ms // SECOND_MS
        above = list(joined(runs_of(self._above(self._sight.true), self._count), lag))
        for episode in overdraws:
            if episode.duty is Duty.PAGE:
                place = self._place(episode.from_ms)
                end = next((run.end for run in above if run.start <= place < run.end), place)
                latest_ms = max(episode.to_ms, self._at(end)) + self._promise.lag_ms
                if end == self._count:
                    latest_ms = NEVER_MS
                yield replace(episode, duty=Duty.TELL, latest_ms=latest_ms, told_by_ms=NEVER_MS)
        for episode in (*overdraws, *self.ahead()):
            if episode.duty is Duty.NONE:
                yield episode

    def ahead(self) -> Iterator[Episode]:
        """Yield the times above this phase of a ramp.

        Where every moment is held against the limit, the page about that says it already.
        """

        def above(series: Series, *, is_owed: bool = False) -> Test:
            def test(i: int) -> bool:
                terms, allowed = self._terms[i], self._allowed[i]
                if terms is None or not terms.phases or allowed >= terms.final():
                    return False
                return delivered(series[i], terms) > allowed and not (is_owed and terms.binds_every_moment)

            return test

        sight = self._sight
        open_to = above(sight.possible)
        # No doubt is owed here: that a draw may be above its limit is told by the clause of every moment.
        tests = (above(sight.proven, is_owed=True), lambda _: False, open_to, open_to)
        yield from self._episodes(Clause.AHEAD, tests, lambda _: self._promise.ahead_ms)

    def _episodes(
        self, clause: Clause, tests: tuple[Test, Test, Test, Test], hold_ms: Callable[[int], int]
    ) -> Iterator[Episode]:
        """Yield what a condition that must last comes to.

        Args:
            clause: Which words are broken.
            tests: Whether it could be known; whether it was so, and the doubt could be known; whether it
                could be seen so; whether it could not be told that it was not so.
            hold_ms: How long it must last, for a place [ms].
        """
        known, open_to_doubt, seen, is_open = tests
        lag = self._promise.lag_ms // SECOND_MS
        doubt_ms = self._promise.doubt_ms
        for run in runs_of(known, self._count):
            due_ms = self._due_ms(run, hold_ms)
            if due_ms is not None and self._at(run.end - lag) >= due_ms:
                yield self._episode(clause, Duty.PAGE, run, due_ms, self._at(lag) - self._at(0) + due_ms)
        for run in runs_of(open_to_doubt, self._count):
            due_ms = self._due_ms(run, hold_ms)
            if due_ms is None:
                continue
            latest_ms = max(due_ms, self._at(run.start) + doubt_ms) + lag * SECOND_MS
            last = self._place(latest_ms)
            until = min(last + lag + 1, self._count)
            # Where it is known by then, there is no doubt any more, and the page has its own time.
            if run.end >= last and not any(known(i) for i in range(run.start, until)):
                # Who comes to know it just then, or to think it likely, waits once more whether it lasts.
                told_by_ms = latest_ms + max(hold_ms(run.start), doubt_ms)
                doubt = self._episode(clause, Duty.DOUBT, run, due_ms, latest_ms)
                yield replace(doubt, told_by_ms=told_by_ms)
        # A dip shorter than the lag may pass unseen, and an end is seen later than it comes.
        for seen_run in joined(runs_of(seen, self._count), lag):
            # Once it was seen, it may be held to go on until it can be told that it does not.
            places = range(seen_run.end, self._count)
            run = Run(seen_run.start, next((i for i in places if not is_open(i)), self._count))
            due_ms = self._due_ms(run, hold_ms, lag)
            if due_ms is not None:
                latest_ms = self._at(run.end + lag)
                yield self._episode(clause, Duty.NONE, run, due_ms, latest_ms)

    def _due_ms(self, run: Run, hold_ms: Callable[[int], int], more: int = 0) -> int | None:
        """Return when a run has first lasted as long as it must [ms]; None where it never has.

        Args:
            run: Places in which the clause is broken, one after the other.
            hold_ms: How long it must last, for a place [ms].
            more: How much longer it may have seemed [places].
        """
        for i in range(run.start, run.end + more + 1):
            if (i - run.start) * SECOND_MS >= hold_ms(min(i, run.end - 1)):
                return self._at(i)
        return None

    def _episode(self, clause: Clause, duty: Duty, run: Run, earliest_ms: int, latest_ms: int) -> Episode:
        worst = max(range(run.start, run.end), key=lambda i: self._sight.true[i])
        return Episode(
            tenant=self._tenant,
            clause=clause,
            duty=duty,
            from_ms=self._at(run.start),
            to_ms=self._at(run.end),
            earliest_ms=earliest_ms,
            latest_ms=latest_ms,
            told_by_ms=latest_ms,
            peak=delivered(self._sight.true[worst], self._terms[worst]),
            allowed=self._allowed[worst],
        )

    # Demand -----------------------------------------------------------------------------

    def demands(self) -> Iterator[Episode]:
        """Yield the demand blocks that closed above what may be drawn in them.

        A block is judged as it closes, over the part of it since when its clause has been in force: versions
        in a row that measure demand alike. One in which the clause ends closes there; a rolling one is then
        not judged. To one that the truth knows only in part nothing is owed.
        """
        sight = self._sight
        for start, end, is_known in self._blocks():
            places, allowance = self._counted(max(start, 0), end)
            proven, open_to_doubt, true, recent = (
                Fraction(sum(delivered(series[i], self._terms[i]) for i in places))
                for series in (sight.proven, sight.open, sight.true, sight.recent)
            )
            if recent <= allowance and is_known:
                continue
            duty = Duty.NONE
            if is_known and open_to_doubt > allowance:
                duty = Duty.PAGE if proven > allowance else Duty.DOUBT
            yield Episode(
                tenant=self._tenant,
                clause=Clause.DEMAND,
                duty=duty,
                from_ms=self._at(places[-1] if is_known else start),
                to_ms=self._at(end),
                earliest_ms=self._at(end),
                latest_ms=self._at(end) + self._promise.lag_ms,
                told_by_ms=self._at(end) + self._promise.lag_ms + self._promise.settled_ms,
                peak=true / len(places),
                allowed=allowance / len(places),
            )

    def blocks(self) -> Iterator[Block]:
        """Yield every demand block that closes and that the truth knows all of, broken or not."""
        for start, end, is_known in self._blocks():
            if not is_known:
                continue
            places, allowance = self._counted(start, end)
            drawn = Fraction(sum(delivered(self._sight.true[i], self._terms[i]) for i in places))
            yield Block(
                tenant=self._tenant,
                from_ms=self._at(places[-1]),
                to_ms=self._at(end),
                demand=drawn / len(places),
                allowed=allowance / len(places),
            )

    def _counted(self, start: int, end: int) -> tuple[list[int], Fraction]:
        """Return the places of a block that count, the last one first, and the sum of what might be drawn."""
        kind = _block_kind(self._terms[end - 1])
        places = list(takewhile(lambda i: self._is_of(kind, i), range(end - 1, start - 1, -1)))
        return places, Fraction(sum(self._allowed_in(i) for i in places))

    def _is_of(self, kind: BlockKind | None, i: int) -> bool:
        """Tell whether a place is of a clause of a kind."""
        return kind is not None and _block_kind(self._terms[i]) == kind

    def _allowed_in(self, i: int) -> Milliwatts:
        """Return the mean of what may be drawn in one second [mW]; within it a limit is a straight line."""
        terms = self._terms[i]
        if terms is None or not terms.phases:
            return self._allowed[i]
        return Fraction(self._allowed[i] + terms.allowed_just_before(self._at(i + 1))) / 2

    def _blocks(self) -> Iterator[tuple[int, int, bool]]:
        """Yield each block that closes: where it starts and ends, and whether the truth knows all of it."""
        kinds = {kind for terms in self._terms if (kind := _block_kind(terms)) is not None}
        for kind in sorted(kinds):
            for start, end in self._closings(kind):
                if not self._is_of(kind, end - 1):
                    continue
                begun = max(start, self._place(self._agreement.versions[0].from_ms))
                yield begun, end, begun >= 0

    def _closings(self, kind: BlockKind) -> Iterator[tuple[int, int]]:
        """Yield start and end of each block that ends while the truth is known."""
        _, block_ms, slide_ms = kind
        begin_ms, end_ms = self._sight.begin_ms, self._sight.end_ms
        borders = block_borders(begin_ms - block_ms, end_ms, slide_ms or block_ms, self._zone)
        for before_ms, at_ms in pairwise([*borders, end_ms + 1]):
            start = self._place(at_ms - block_ms if slide_ms else before_ms)
            if begin_ms < at_ms <= end_ms:
                yield start, self._place(at_ms)
            inside = range(max(1, self._place(before_ms) + 1), min(self._count, self._place(at_ms)))
            for end in inside if not slide_ms else ():
                if self._is_of(kind, end - 1) and not self._is_of(kind, end):
                    yield start, end

    # Burst ------------------------------------------------------------------------------

    def bursts(self) -> Iterator[Episode]:
        """Yield the times above the commitment after the minutes of the month were used up."""
        used_ms = 0
        month = (0, 0)
        is_spent = [False] * self._count
        for i, terms in enumerate(self._terms):
            if terms is None or not terms.burst:
                continue
            at_ms = self._at(i)
            this = month_of(at_ms, self._zone)
            used_ms, month = (used_ms if this == month else 0), this
            if delivered(self._sight.true[i], terms) > terms.scheduled(at_ms):
                used_ms += SECOND_MS
                is_spent[i] = used_ms > terms.burst_minutes * 60_000
        for run in runs_of(is_spent.__getitem__, self._count):
            at_ms = self._at(run.start)
            yield self._episode(Clause.BURST, Duty.PAGE, run, at_ms, at_ms + self._promise.lag_ms)


class _Counts:
    """How often something was so up to each place."""

    def __init__(self, test: Test, count: int) -> None:
        self._sums = [0, *accumulate(int(test(i)) for i in range(count))]

    def of(self, i: int, window: int) -> int:
        """Return how often it was so in the places up to one, that included."""
        return self._sums[i + 1] - self._sums[max(0, i + 1 - window)]


def _block_kind(terms: Terms | None) -> BlockKind | None:
    """Return how terms measure demand: the method, the length of a block, how far it slides; None for not."""
    if terms is None or not terms.binds_demand:
        return None
    return terms.method, terms.block_ms, terms.slide_ms if terms.method == "rolling" else 0
