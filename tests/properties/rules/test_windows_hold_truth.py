"""Figures over time, against what was the case: it never lies outside of what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.model.measured import Measured
from rules.model.trip import TripCurves
from rules.model.windows import LONGEST_STEP_MS, SLOTS, Statistic, Window, Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from testing.builders import T0_MS

QUANTITY: Final = "air.pressure.differential"
LEAST, MOST = -10.0, 10.0
"""The hard range of that quantity."""
SUBJECTS: Final = ("a", "b", "c")
STEPS_MS: Final = (250, 999, 1_000, LONGEST_STEP_MS, LONGEST_STEP_MS + 1, 7_000, 90_000)
OVER_S: Final = (0.012, 3.0, 12.0, 60.0)
OF_NO_TIME: Final = (Statistic.FALL, Statistic.COLLAPSE, Statistic.STOOD, Statistic.STEP)
"""Figures that tell of a moment, or of what is known alone: they have a test of their own."""
AT_LEAST: Final = (Statistic.WEAR, Statistic.RMS)
"""Figures of what is certain: what was not known counts as nothing."""
EPS: Final = 1e-6
"""What sums of floats may be off by."""

values = st.one_of(st.sampled_from([LEAST, -1.0, 0.0, 2.0, MOST]), st.floats(LEAST, MOST))


@dataclass(frozen=True)
class Saying:
    """What is the case with one subject since the note before, and what is said of it."""

    before: float
    """What it was in the first half of that time; where the step is short and it is known, what it is now."""
    now: float
    is_known: bool
    error: float


@dataclass(frozen=True)
class Note:
    """One note: how long after the one before [ms], and the subjects in their order."""

    step_ms: int
    sayings: tuple[tuple[str, Saying], ...]
    is_restarted: bool


@st.composite
def notes(draw: st.DrawFn, *, is_whole: bool = False) -> list[Note]:
    """Return courses of three subjects that come, go and change places."""
    steps = STEPS_MS[:4] if is_whole else STEPS_MS
    saying = st.builds(
        Saying,
        before=values,
        now=values,
        is_known=st.just(value=True) if is_whole else st.booleans(),
        error=st.just(0.0) if is_whole else st.sampled_from([0.0, 0.5]),
    )
    found = []
    for _ in range(draw(st.integers(1, 20))):
        there = SUBJECTS if is_whole else draw(st.permutations(SUBJECTS))[: draw(st.integers(1, 3))]
        found.append(
            Note(
                draw(st.sampled_from(steps)),
                tuple((name, draw(saying)) for name in there),
                draw(st.booleans()),
            )
        )
    return found


@dataclass
class Course:
    """What was the case with one subject: from when each value held [ms], until the next."""

    first: float
    pieces: list[tuple[int, int, float]] = field(default_factory=list)

    def add(self, begin_ms: int, end_ms: int, saying: Saying) -> None:
        """Take in a step; what is known at the end of a short one held all the time."""
        middle_ms = (begin_ms + end_ms) // 2
        is_sure = saying.is_known and end_ms - begin_ms <= LONGEST_STEP_MS
        self.pieces.append((begin_ms, middle_ms, saying.now if is_sure else saying.before))
        self.pieces.append((middle_ms, end_ms, saying.now))

    def between(self, begin_ms: int, end_ms: int) -> Iterator[tuple[int, float]]:
        """Give how long each value held within a time [ms]."""
        whole = [(-(10**15), self.pieces[0][0], self.first), *self.pieces]
        for begin, end, value in whole:
            part_ms = min(end, end_ms) - max(begin, begin_ms)
            if part_ms > 0:
                yield part_ms, value

    def mean(self, begin_ms: int, end_ms: int) -> float:
        """Return the mean over a time."""
        return sum(part * value for part, value in self.between(begin_ms, end_ms)) / (end_ms - begin_ms)

    def used(self, curves: TripCurves) -> float:
        """Return what is used up of what trips a breaker that has had no preload."""
        used = np.zeros(1)
        for begin, end, value in self.pieces:
            used = curves.step(used, np.array([max(value, 0.0)]), (end - begin) / 1_000)
        return float(used[0])

    def mean_of(self, amount: Callable[[float], float], begin_ms: int, end_ms: int) -> float:
        """Return the mean over a time of what follows from each value, where that is above 0."""
        parts = ((part, amount(max(value, 0.0))) for part, value in self.between(begin_ms, end_ms))
        return sum(part * found for part, found in parts) / (end_ms - begin_ms)

    def at_least(self, window: Window, at_ms: int, curves: TripCurves) -> float:
        """Return the figure of a window of what is certain, if all were."""
        slot_ms = max(1, round(window.over_s * 1_000 / SLOTS))
        now = at_ms // slot_ms
        begin_ms, middle_ms = ((now - slots + 1) * slot_ms for slots in (SLOTS, SLOTS // 2))
        if window.statistic is Statistic.RMS:
            return math.sqrt(self.mean_of(lambda value: value**2, begin_ms, at_ms))

        def wear(value: float) -> float:
            return float(curves.wear(np.array([value]))[0])

        halves = ((begin_ms, middle_ms), (middle_ms, at_ms))
        return min(self.mean_of(wear, *half) for half in halves)

    def figure(self, window: Window, at_ms: int) -> float:
        """Return a window's figure at a moment, by its definition."""
        slot_ms = max(1, round(window.over_s * 1_000 / SLOTS))
        now = at_ms // slot_ms
        begin_ms = (now - SLOTS + 1) * slot_ms
        match window.statistic:
            case Statistic.MEAN:
                return self.mean(begin_ms, at_ms)
            case Statistic.LEAST:
                return min(value for _, value in self.between(begin_ms, at_ms))
            case Statistic.MOST:
                return max(value for _, value in self.between(begin_ms, at_ms))
            case Statistic.SLOPE:
                new = self.mean((now - 1) * slot_ms, now * slot_ms)
                old = self.mean(begin_ms, begin_ms + slot_ms)
                return (new - old) / ((SLOTS - 2) * slot_ms / 1_000)
            case Statistic.CHANGE:
                means = {
                    ago: self.mean((now - ago) * slot_ms, (now - ago + 1) * slot_ms)
                    for ago in (SLOTS + 2, SLOTS + 1, 2, 1)
                }
                around = (means[1] - means[SLOTS + 2]) / SLOTS
                within = (means[2] - means[SLOTS + 1]) / (SLOTS - 1)
                smaller = min(around, within, key=abs) if around * within > 0 else 0.0
                return smaller / (slot_ms / 1_000)
            case Statistic.UNCHANGED:
                last = self.pieces[-1][2]
                since = [end for _, end, value in self.pieces if value != last]
                since_ms = max(since, default=self.pieces[0][0] if self.first != last else -math.inf)
                return min((at_ms - since_ms) / 1_000, window.over_s)
            case Statistic.DOSE:
                dose = self.first**2
                for begin, end, value in self.pieces:
                    dose += (value**2 - dose) * -math.expm1((begin - end) / (window.over_s * 1_000))
                return dose
            case (
                Statistic.TRIP
                | Statistic.WEAR
                | Statistic.RMS
                | Statistic.FALL
                | Statistic.COLLAPSE
                | Statistic.STOOD
                | Statistic.STEP
            ):
                raise AssertionError("expected a window that needs no curve and tells a figure of a time")


def curves_of(names: Sequence[str]) -> TripCurves:
    """Return the curves of subjects: a power law, an electronic unit, and one with a thermal image."""
    return TripCurves(
        set_a=np.full(len(names), 2.0),
        tr_s=np.array([np.nan if name == "a" else 4.0 for name in names]),
        pickup=np.array([1.125 if name == "c" else np.nan for name in names]),
    )


def said_of(sayings: Sequence[Saying]) -> Measured:
    """Return what is known of subjects."""
    known = np.array([saying.is_known for saying in sayings])
    now = np.array([saying.now for saying in sayings])
    error = np.array([saying.error for saying in sayings])
    return Measured(
        low=np.where(known, now - error, -np.inf),
        best=now,
        high=np.where(known, now + error, np.inf),
        cause=np.where(known, Cause.NONE, Cause.LATE).astype(np.int8),
    )


def figures(window: Window, course: Sequence[Note]) -> Iterator[tuple[str, Measured, int, float]]:
    """Give, after each note, what the window says of each subject: id, all figures, row, truth."""
    key = SubjectKind.RACK, window
    windows = Windows([key])
    truth = {name: Course(-3.0) for name in SUBJECTS}
    at_ms = T0_MS
    for note in course:
        begin_ms, at_ms = at_ms, at_ms + note.step_ms
        there = dict(note.sayings)
        for name in SUBJECTS:
            hidden = Saying(1.0, -4.0, is_known=False, error=0.0)
            truth[name].add(begin_ms, at_ms, there.get(name, hidden))
        if note.is_restarted:
            arrays, plain = windows.save()
            windows = Windows([key])
            windows.load(arrays, plain)
        windows.note(key, tuple(there), said_of(list(there.values())), at_ms, curves_of(tuple(there)))
        found = windows.figure(key)
        for row, name in enumerate(there):
            course_of = truth[name]
            if window.statistic is Statistic.TRIP:
                figure = course_of.used(curves_of([name]))
            elif window.statistic in AT_LEAST:
                figure = course_of.at_least(window, at_ms, curves_of([name]))
            else:
                figure = course_of.figure(window, at_ms)
            yield name, found, row, figure


@pytest.mark.parametrize("statistic", [one for one in Statistic if one not in (*OF_NO_TIME, *AT_LEAST)])
@given(course=notes(), over_s=st.sampled_from(OVER_S))
def test_the_truth_lies_within_what_a_window_says(
    statistic: Statistic, over_s: float, course: list[Note]
) -> None:
    """Over gaps, late notes, restarts, and subjects that come, go and change places."""
    for name, found, row, truth in figures(Window(QUANTITY, statistic, over_s), course):
        assert found.low[row] - EPS <= truth <= found.high[row] + EPS, name
        if not np.isnan(found.best[row]):
            assert found.low[row] - EPS <= found.best[row] <= found.high[row] + EPS, name


@pytest.mark.parametrize(
    "statistic", [Statistic.MEAN, Statistic.LEAST, Statistic.MOST, Statistic.SLOPE, Statistic.CHANGE]
)
@given(course=notes(is_whole=True), over_s=st.sampled_from(OVER_S[:3]))
def test_where_nothing_is_missing_a_window_says_the_truth(
    statistic: Statistic, over_s: float, course: list[Note]
) -> None:
    """All that was in the window was known, and without errors: there is nothing between low and high."""
    began_ms = T0_MS + course[0].step_ms
    at_ms = T0_MS
    seen = iter(figures(Window(QUANTITY, statistic, over_s), course))
    for note in course:
        at_ms += note.step_ms
        for _ in note.sayings:
            name, found, row, truth = next(seen)
            if at_ms - began_ms >= over_s * 1_000 * (SLOTS + 3) / SLOTS:
                assert found.cause[row] == Cause.NONE
                assert found.low[row] == pytest.approx(truth, abs=EPS), name
                assert found.high[row] == pytest.approx(truth, abs=EPS), name


@pytest.mark.parametrize("statistic", AT_LEAST)
@given(course=notes(), over_s=st.sampled_from(OVER_S))
def test_what_is_certain_is_at_most_the_truth(
    statistic: Statistic, over_s: float, course: list[Note]
) -> None:
    """What was not known adds nothing, and is not missed: such a figure is known at any time."""
    for name, found, row, truth in figures(Window(QUANTITY, statistic, over_s), course):
        assert 0 <= found.low[row] <= truth + EPS, name
        assert found.high[row] == found.low[row]
        assert found.cause[row] == Cause.NONE


@pytest.mark.parametrize("statistic", AT_LEAST)
@given(course=notes(is_whole=True), over_s=st.sampled_from(OVER_S[:3]))
def test_where_nothing_is_missing_what_is_certain_is_the_truth(
    statistic: Statistic, over_s: float, course: list[Note]
) -> None:
    """All that was in the window was known."""
    at_ms, began_ms = T0_MS, T0_MS + course[0].step_ms
    seen = iter(figures(Window(QUANTITY, statistic, over_s), course))
    for note in course:
        at_ms += note.step_ms
        for _ in note.sayings:
            name, found, row, truth = next(seen)
            if at_ms - began_ms >= over_s * 1_000:
                assert found.low[row] == pytest.approx(truth, abs=EPS), name


@given(course=notes(is_whole=True))
def test_what_stays_the_same_is_told_to_within_a_step(course: list[Note]) -> None:
    """A change is seen at the next note, so it is known to within the longest step once one was seen."""
    window = Window(QUANTITY, Statistic.UNCHANGED, 30.0)
    for _, found, row, _ in figures(window, course):
        if found.high[row] < window.over_s:
            assert found.cause[row] == Cause.NONE
            assert found.high[row] - found.low[row] <= LONGEST_STEP_MS / 1_000


@pytest.mark.parametrize("statistic", Statistic)
def test_the_memory_of_a_window_is_bounded(statistic: Statistic) -> None:
    """A row has the same few columns, however long it is watched and whatever came and went."""
    key = SubjectKind.RACK, Window(QUANTITY, statistic, 6)
    windows = Windows([key])
    for second in range(60):
        ids = (f"r{second}", f"r{second + 1}")
        said = said_of([Saying(0, second % 7, is_known=True, error=0)] * 2)
        windows.note(key, ids, said, T0_MS + second * 1_000, curves_of(ids))

        arrays, _ = windows.save()
        assert sum(array.size for array in arrays.values()) <= 3 * (SLOTS + 3) * len(ids)


@pytest.mark.parametrize("statistic", Statistic)
def test_where_the_clock_was_set_back_a_window_begins_anew(statistic: Statistic) -> None:
    """What was noted under another clock belongs to no time any more."""
    key = SubjectKind.RACK, Window(QUANTITY, statistic, 12)
    windows, fresh = Windows([key]), Windows([key])
    high, low = (said_of([Saying(0, now, is_known=True, error=0)]) for now in (9, 1))
    for second in range(20):
        windows.note(key, ("r",), high, T0_MS + second * 1_000, curves_of("r"))

    for second in range(5):
        for each in (windows, fresh):
            each.note(key, ("r",), low, T0_MS - 30_000 + second * 1_000, curves_of("r"))

    found, expected = windows.figure(key), fresh.figure(key)
    assert (found.low[0], found.high[0]) == (expected.low[0], expected.high[0])


@pytest.mark.parametrize(
    ("lasts_s", "beyond"), [(1, 0.0), (30, 0.0), (50, 0.0), (60, 0.0125), (63, 0.0125), (70, 0.0), (300, 0.0)]
)
@pytest.mark.parametrize("begins_s", range(100, 105))
def test_a_change_is_that_over_the_window_however_sudden_it_was(
    lasts_s: int, beyond: float, begins_s: int
) -> None:
    """A step, a ramp and a long ramp to one side of 6 in a minute each: no more, and the least bit less."""
    key = SubjectKind.SITE, Window(QUANTITY, Statistic.CHANGE, 60.0)
    windows, most = Windows([key]), 0.0
    rise = 6.0 * max(1.0, lasts_s / 60)

    for second in range(500):
        now = -9.0 + rise * min(1.0, max(0.0, (second - begins_s) / lasts_s))
        windows.note(
            key, ("hall",), said_of([Saying(now, now, is_known=True, error=0.0)]), T0_MS + second * 1_000
        )
        if second > 80:
            most = max(most, float(windows.figure(key).best[0]) * 60)

    assert 6.0 * (1 - beyond) - EPS <= most <= 6.0 + EPS


@pytest.mark.parametrize(("quantity", "over_s"), [("draught", 60), ("current", 0), ("current", math.inf)])
def test_a_window_of_no_quantity_or_no_time_is_refused(quantity: str, over_s: float) -> None:
    """Where the rule is written, not where it is judged."""
    with pytest.raises(ValueError, match="expected a"):
        Window(quantity, Statistic.MEAN, over_s)


@pytest.mark.parametrize(
    ("statistic", "said", "expected"),
    [
        (Statistic.FALL, [8.0, 8.5, 9.0], (0.0, 0.0)),
        (Statistic.FALL, [8.0, 2.0, 3.0], (2.0, 8.0)),
        (Statistic.FALL, [8.0, None, 2.0], (2.0, 8.0)),
        (Statistic.FALL, [8.0, 2.0, 1.0], (1.0, 2.0)),
        (Statistic.FALL, [8.0, 2.0, None], (2.0, 8.0)),
        (Statistic.FALL, [8.0, 2.0, *[3.0] * 5], (2.0, 8.0)),
        (Statistic.FALL, [8.0, 2.0, *[3.0] * 7], (0.0, 0.0)),
        (Statistic.COLLAPSE, [8.0, 0.08], (0.0, 0.0)),
        (Statistic.COLLAPSE, [8.0, 0.008, 0.007], (0.008, 8.0)),
        (Statistic.COLLAPSE, [8.0, None, 0.008], (0.008, 8.0)),
        (Statistic.COLLAPSE, [8.0, 0.008, 0.9], (0.0, 0.0)),
    ],
    ids=[
        "it rises",
        "it fell",
        "across a gap",
        "twice",
        "then silence",
        "lately",
        "long ago",
        "not so far",
        "to nothing",
        "to nothing across a gap",
        "and back",
    ],
)
def test_a_fall_is_remembered_as_long_as_the_window(
    statistic: Statistic, said: list[float | None], expected: tuple[float, float]
) -> None:
    """From what it was before to what it was after, once a second; the window is five seconds long."""
    window = Window(QUANTITY, statistic, 5.0)
    key = SubjectKind.RACK, window
    windows = Windows([key])

    for number, value in enumerate(said):
        saying = Saying(0.0, value or 0.0, is_known=value is not None, error=0.0)
        windows.note(key, ("a",), said_of([saying]), T0_MS + number * 1_000)
    found = windows.figure(key)

    assert (found.low[0], found.high[0]) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([9.0, 9.0, 9.0, 2.0, 2.0], 7.0),
        ([9.0, 9.0, 9.0, 9.0, 2.0], 0.0),
        ([9.0, 9.0, 7.0, 4.0, 4.0], 5.0),
        ([9.0, 9.0, 2.0, 9.0, 9.0], 0.0),
        ([4.0, 9.0, 4.0, 4.0, 4.0], 0.0),
        ([9.0, 7.0, 5.0, 3.0, 1.0], 4.0),
        ([4.0, 4.0, 4.0, 9.0, 9.0], -5.0),
        ([9.0, 9.0, 9.0, *[None] * 5, 2.0, 2.0], 7.0),
        ([9.0, 9.0, 9.0, *[None] * 6, 2.0, 2.0], None),
        ([9.0, 9.0, 9.0, 2.0, 2.0, None], None),
        ([9.0, 9.0, 2.0, 2.0], None),
    ],
    ids=[
        "a step",
        "not for a second yet",
        "in two seconds",
        "a dip of a second",
        "a peak of a second",
        "a ramp by what it falls in two seconds",
        "a rise",
        "across a gap",
        "across too long a gap",
        "then silence",
        "not known for long",
    ],
)
def test_a_step_is_a_fall_within_two_seconds_that_stays(
    said: list[float | None], expected: float | None
) -> None:
    """One second that says something else is none; the window is nine seconds long."""
    key = SubjectKind.RACK, Window(QUANTITY, Statistic.STEP, 9.0)
    windows = Windows([key])

    for number, value in enumerate(said):
        saying = Saying(0.0, value or 0.0, is_known=value is not None, error=0.0)
        windows.note(key, ("a",), said_of([saying]), T0_MS + number * 1_000)
    found = windows.figure(key)

    bounds = (-math.inf, math.inf) if expected is None else (expected, expected)
    assert (found.low[0], found.high[0]) == bounds
    assert found.is_known[0] == (expected is not None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([8.0, 0.0, 8.0, 8.0], 0.0),
        ([8.0, 0.0, 0.0, 0.0, 8.0], 0.0),
        ([8.0, 0.0, 0.0, 0.0, 0.0], 1.0),
        ([8.0, 0.0, 0.0, None, 0.0, 0.0], 0.0),
        ([None, 0.0, 0.0, 0.0, 0.0, None], 1.0),
        ([0.0, 0.0, 0.0, 0.0, *[8.0] * 10], 1.0),
        ([0.0, 0.0, 0.0, 0.0, *[8.0] * 11], 0.0),
        ([0.5, 0.5, 0.5, 0.5, 0.5], 0.0),
    ],
    ids=[
        "in one sample",
        "too short",
        "long enough",
        "with a gap",
        "then silence",
        "lately",
        "long ago",
        "not quite",
    ],
)
def test_what_stood_for_a_while_is_remembered_as_long_as_the_window(
    said: list[float | None], expected: float
) -> None:
    """Three seconds on end without a gap, at most at the level; the window is ten seconds long."""
    key = SubjectKind.RACK, Window(QUANTITY, Statistic.STOOD, 10.0, level=0.1, level_s=3.0)
    windows = Windows([key])

    for number, value in enumerate(said):
        saying = Saying(0.0, value or 0.0, is_known=value is not None, error=0.0)
        windows.note(key, ("a",), said_of([saying]), T0_MS + number * 1_000)
    found = windows.figure(key)

    assert (found.low[0], found.high[0]) == (expected, expected)


@pytest.mark.parametrize(("tick_ms", "is_whole"), [(1_000, False), (60_000, True)])
def test_what_holds_at_a_tick_has_held_since_the_one_before_where_those_are_a_minute_apart(
    tick_ms: int, *, is_whole: bool
) -> None:
    """Judged every minute, notes a minute apart leave no gap; judged every second they do."""
    window = Window(QUANTITY, Statistic.MEAN, 600.0)
    key = SubjectKind.RACK, window
    windows = Windows([key], tick_ms=tick_ms)
    said = said_of([Saying(1.0, 5.0, is_known=True, error=0.0)])

    for minute in range(30):
        windows.note(key, ("r1",), said, T0_MS + minute * 60_000)

    found = windows.figure(key)
    assert bool(found.is_known[0]) is is_whole
    assert not is_whole or found.low[0] == found.high[0] == 5.0
