"""Contracts judged the slow way: exact fractions, millisecond borders, nothing shared with the product.

A case is a contract of some versions and what racks draw, piecewise constant. The judge answers for a moment
whether the draw is above what may be drawn, and for a span whether the mean is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a ramp: reached at a moment [ms], at once or evenly from the one before [mW]."""

    at_ms: int
    milliwatts: int
    is_linear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactVersion:
    """A version of a contract: powers in mW, times in ms, shares exact."""

    from_ms: int
    committed: int
    levels: tuple[Level, ...] = ()
    burst: int = 0
    method: str = "instantaneous"
    minutes: int = 1
    subinterval: int = 1
    tolerance: Fraction = Fraction(0)
    loss: Fraction = Fraction(1)

    @property
    def measure(self) -> tuple[object, ...]:
        """How demand is measured; empty where it is not."""
        if self.method == "instantaneous":
            return ()
        return (self.method, self.minutes, self.subinterval if self.method == "rolling" else 0)

    def committed_at(self, at_ms: int | Fraction) -> Fraction:
        """Return what is committed at a moment."""
        if not self.levels:
            return Fraction(self.committed)
        before = [level for level in self.levels if level.at_ms <= at_ms]
        after = [level for level in self.levels if level.at_ms > at_ms]
        if not before:
            return Fraction(self.levels[0].milliwatts)
        if after and after[0].is_linear:
            share = Fraction(at_ms - before[-1].at_ms) / (after[0].at_ms - before[-1].at_ms)
            return before[-1].milliwatts + share * (after[0].milliwatts - before[-1].milliwatts)
        return Fraction(before[-1].milliwatts)

    def limit_at(self, at_ms: int | Fraction) -> Fraction:
        """Return what may be drawn at a moment."""
        return (self.committed_at(at_ms) + self.burst) * (1 + self.tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactCase:
    """A contract, and what is drawn at its boundary.

    Attributes:
        zone: Whose wall clock blocks follow.
        versions: The versions, in order.
        ends_ms: When the last one ends [ms], None for never.
        begin_ms: When the first draw begins [ms].
        drawn: What is drawn in each second from then on [mW].
    """

    zone: ZoneInfo
    versions: tuple[ExactVersion, ...]
    ends_ms: int | None
    begin_ms: int
    drawn: Sequence[int]

    @property
    def end_ms(self) -> int:
        """When the last second is over [ms]."""
        return self.begin_ms + len(self.drawn) * 1_000

    def at(self, at_ms: int | Fraction) -> ExactVersion | None:
        """Return the version in force at a moment."""
        if self.ends_ms is not None and at_ms >= self.ends_ms:
            return None
        begun = [version for version in self.versions if version.from_ms <= at_ms]
        return begun[-1] if begun else None

    def borders(self) -> list[int]:
        """Return every moment of the case at which a limit, a draw or a block may change [ms]."""
        changes = {version.from_ms for version in self.versions} | {self.ends_ms or 0}
        changes |= {level.at_ms for version in self.versions for level in version.levels}
        changes |= set(range(self.begin_ms, self.end_ms + 1, 1_000))
        return sorted(change for change in changes if self.begin_ms <= change <= self.end_ms)

    def above(self, at_ms: int, milliwatts: int) -> Fraction | None:
        """Return how far a draw is above what may be drawn at a moment [mW]; None where no clause binds."""
        version = self.at(at_ms)
        if version is None or version.method != "instantaneous":
            return None
        return milliwatts * version.loss - version.limit_at(at_ms)

    def blocks(self) -> Iterator[tuple[int, int, Fraction, Fraction]]:
        """Yield each block that closes: from, to [ms], what was drawn and what might be [mW·ms]."""
        ends = [*self._clauses()]
        for start_ms, stop_ms, version in ends:
            step = version.subinterval if version.method == "rolling" else version.minutes
            marks = self._marks(start_ms, stop_ms, step)
            if version.method == "rolling":
                spans = [(mark - version.minutes * MINUTE_MS, mark) for mark in marks]
            else:
                is_last = stop_ms < self.end_ms or stop_ms == self.ends_ms
                edges = sorted({start_ms, *marks} | ({stop_ms} if is_last else set()))
                spans = list(pairwise(edges))
            for from_ms, to_ms in spans:
                counted_ms = max(from_ms, start_ms)
                if to_ms > counted_ms >= self.begin_ms:
                    yield counted_ms, to_ms, *self._sums(counted_ms, to_ms)

    def _clauses(self) -> Iterator[tuple[int, int, ExactVersion]]:
        """Yield each span in which demand is measured alike, as far as the case knows it."""
        edges = [edge for edge in self.borders() if edge != self.end_ms]
        start_ms, before = self.begin_ms, self.at(self.begin_ms)
        for edge in [*edges[1:], self.end_ms]:
            now = self.at(edge)
            if edge == self.end_ms or (now.measure if now else ()) != (before.measure if before else ()):
                if before is not None and before.measure:
                    since_ms = start_ms
                    if start_ms == self.begin_ms:
                        since_ms = self._since(before)
                    yield since_ms, edge, before
                start_ms = edge
            before = now

    def _since(self, version: ExactVersion) -> int:
        """Return since when a clause has been in force [ms]: maybe before the case begins."""
        found = version.from_ms
        for other in reversed([v for v in self.versions if v.from_ms <= self.begin_ms]):
            if other.measure != version.measure:
                break
            found = other.from_ms
        return found

    def _marks(self, start_ms: int, stop_ms: int, minutes: int) -> list[int]:
        """Return the moments after a start up to a stop at which the wall clock begins a block."""
        found = []
        whole = -(-max(start_ms + 1, self.begin_ms) // 1_000) * 1_000
        for at_ms in range(whole, stop_ms + 1, 1_000):
            wall = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(self.zone)
            offset = (wall.utcoffset() or timedelta(0)).total_seconds()
            if (at_ms / 1_000 + offset) % (minutes * 60) == 0:
                found.append(at_ms)
        return found

    def _sums(self, from_ms: int, to_ms: int) -> tuple[Fraction, Fraction]:
        drawn = allowed = Fraction(0)
        edges = sorted({from_ms, to_ms, *(edge for edge in self.borders() if from_ms < edge < to_ms)})
        for start, stop in pairwise(edges):
            version = self.at(start)
            assert version is not None
            power = self.drawn[(start - self.begin_ms) // 1_000]
            drawn += power * version.loss * (stop - start)
            # Between two borders a limit is a straight line: its mean is what it is in the middle.
            allowed += version.limit_at(Fraction(start + stop, 2)) * (stop - start)
        return drawn, allowed


def random_case(random: Random, begin_ms: int, seconds: int, zone: str) -> ExactCase:
    """Return a random contract and a random draw around its limits, often exactly at one.

    Args:
        random: The chance.
        begin_ms: When it begins [ms].
        seconds: How long it lasts [s].
        zone: Whose wall clock blocks follow.
    """
    base = random.randrange(50_000, 400_000) * 1_000
    moments = sorted(random.sample(range(5_000, seconds * 1_000 - 1_000), random.randrange(3)))
    starts = [begin_ms - 86_400_000, *(begin_ms + moment for moment in moments)]
    if random.random() < 0.5:
        starts = list(dict.fromkeys(start // 1_000 * 1_000 for start in starts))
    versions = tuple(_version(random, start, base, begin_ms, seconds) for start in starts)
    if any(start % 1_000 for start in starts):
        # A draw is one figure a tick; what is lost on the way changes with a tick, not within it.
        versions = tuple(replace(version, loss=versions[0].loss) for version in versions)
    ends_ms = None
    if random.random() < 0.2:
        ends_ms = starts[-1] + random.randrange(1_000, 60_000)
        ends_ms = max(ends_ms, begin_ms + 2_000)
    case = ExactCase(
        zone=ZoneInfo(zone), versions=versions, ends_ms=ends_ms, begin_ms=begin_ms, drawn=[0] * seconds
    )
    drawn: list[int] = []
    level = base
    for second in range(seconds):
        if not drawn or random.random() < 0.15:
            version = case.at(begin_ms + second * 1_000)
            limit = base if version is None else version.limit_at(begin_ms + second * 1_000) / version.loss
            level = int(limit) + random.choice(
                [0, 0, 1, -1, 1_000, -1_000, base // 50, -base // 50, base // 5]
            )
        drawn.append(max(0, level))
    return ExactCase(zone=case.zone, versions=versions, ends_ms=ends_ms, begin_ms=begin_ms, drawn=drawn)


def _version(random: Random, from_ms: int, base: int, begin_ms: int, seconds: int) -> ExactVersion:
    method = random.choice(["instantaneous", "instantaneous", "block", "monthly_peak", "rolling"])
    minutes, subinterval = random.choice([(1, 1), (2, 1)]) if method == "rolling" else (1, 1)
    committed = base + random.randrange(-base // 20, base // 20) // 1_000 * 1_000
    levels: tuple[Level, ...] = ()
    if random.random() < 0.4:
        late = sorted({begin_ms + random.randrange(1, seconds) * 1_000 for _ in range(2)})
        low = committed * 9 // 10 // 1_000 * 1_000
        middle = committed * 19 // 20 // 1_000 * 1_000
        steps = [low, middle, committed][-len(late) - 1 :]
        moments = [from_ms, *(moment for moment in late if moment > from_ms)]
        levels = tuple(
            Level(moment, power, place > 0 and random.random() < 0.5)
            for place, (moment, power) in enumerate(zip(moments, steps, strict=False))
        )
    return ExactVersion(
        from_ms=from_ms,
        committed=committed,
        levels=levels,
        burst=random.choice([0, 0, base // 30 // 1_000 * 1_000]),
        method=method,
        minutes=minutes,
        subinterval=subinterval,
        tolerance=Fraction(random.choice([0, 0, 5, 15, 20]), 1_000),
        loss=Fraction(random.choice([1_000, 1_000, 970, 1_017]), 1_000),
    )
