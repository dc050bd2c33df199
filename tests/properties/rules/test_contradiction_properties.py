"""Where meters contradict each other: whichever of them is right, the bounds hold the truth.

The judge knows what truly flows and which side is wrong, and reckons in fractions. It shares no code with
what it judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from facility.names import AssetId
from facility.site import Site
from rules.draw.draw import Draw, find_draw
from rules.telemetry.trust import PATIENCE_MS, Memory
from rules.view import UNBOUNDED
from testing.builders import T0_MS
from testing.rules.halls import KW, a_meter, a_site, a_tenant, layout_of, points_of, racks_of, state_of

PPM = 1_000_000
RATING_KW = 100
WRONG = ("meter", "racks low", "racks high")


@dataclass(frozen=True)
class Moment:
    """What happens at one moment: truths and errors as they are drawn."""

    powers: tuple[int, ...]
    rack_errors: tuple[int, ...]
    meter_error: int
    lost: int
    wrong_by: tuple[int, ...]
    silent: frozenset[int]


@dataclass(frozen=True)
class Case:
    """A plant of racks beneath one meter, of which one side is wrong."""

    racks: int
    of_first: int
    wrong: str
    rack_ppm: int
    meter_ppm: int
    loss_ppm: int
    is_rated: bool
    moments: tuple[Moment, ...]

    @property
    def site(self) -> Site:
        """The site: two tenants share the meter."""
        names = [f"r{i}" for i in range(self.racks)]
        racks = racks_of(*names, rating_kw=RATING_KW if self.is_rated else None)
        racks = {name: replace(rack, error_ppm=self.rack_ppm) for name, rack in racks.items()}
        tenants = (a_tenant("acme", names[: self.of_first]), a_tenant("bell", names[self.of_first :]))
        site = a_site(racks, *tenants, assets=(a_meter("bus", *names),))
        return replace(
            site,
            meter_errors_ppm={AssetId("bus"): self.meter_ppm},
            path_loss_percent=self.loss_ppm / 10_000,
        )


def _moments(racks: int) -> st.SearchStrategy[Moment]:
    def some(least: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
        return st.tuples(*(st.integers(least, most) for _ in range(racks)))

    return st.builds(
        Moment,
        powers=some(KW, RATING_KW * KW),
        rack_errors=some(-PPM, PPM),
        meter_error=st.integers(-PPM, PPM),
        lost=st.integers(0, PPM),
        wrong_by=some(0, PPM),
        silent=st.frozensets(st.integers(0, racks)),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a plant, and what is said in it from moment to moment."""
    racks = draw(st.integers(1, 4))
    return Case(
        racks=racks,
        of_first=draw(st.integers(0, racks)),
        wrong=draw(st.sampled_from(WRONG)),
        rack_ppm=draw(st.sampled_from((0, 5_000, 20_000))),
        meter_ppm=draw(st.sampled_from((2_000, 10_000))),
        loss_ppm=draw(st.sampled_from((0, 15_000))),
        is_rated=draw(st.booleans()),
        moments=tuple(draw(st.lists(_moments(racks), min_size=2, max_size=5))),
    )


# What is said -------------------------------------------------------------------------


def _within(truth: Fraction, error_ppm: int, drawn: int) -> int:
    """Return a whole reading of a truth within a class error."""
    reading = truth * (1 + Fraction(error_ppm, PPM) * Fraction(drawn, PPM))
    return -int(-reading // 1) if drawn < 0 else int(reading)


def said(case: Case, moment: Moment, *, by_much: bool) -> list[int]:
    """Return what each rack and the meter say [mW]; the wrong side by much, or by as much as was drawn."""
    racks = [
        _within(Fraction(power), case.rack_ppm, error)
        for power, error in zip(moment.powers, moment.rack_errors, strict=True)
    ]
    lost = Fraction(case.loss_ppm, PPM) * Fraction(moment.lost, PPM)
    meter = _within(sum(map(Fraction, moment.powers)) / (1 - lost), case.meter_ppm, moment.meter_error)
    off = [Fraction(1 if by_much else wrong, 1 if by_much else PPM) for wrong in moment.wrong_by]
    if case.wrong == "racks low":
        racks = [int(rack * (1 - share * 9 / 10)) for rack, share in zip(racks, off, strict=True)]
    elif case.wrong == "racks high":
        racks = [int(rack * (1 + share / 2)) for rack, share in zip(racks, off, strict=True)]
    else:
        meter = meter * 2 if by_much else int(meter * 2 * off[0])
    return [*racks, meter]


def _beneath(case: Case, readings: Sequence[int]) -> tuple[Fraction, Fraction]:
    total, error = Fraction(sum(readings[:-1])), Fraction(case.rack_ppm, PPM)
    return total / (1 + error), total / (1 - error)


def _claimed(case: Case, readings: Sequence[int]) -> tuple[Fraction, Fraction]:
    meter, error = Fraction(readings[-1]), Fraction(case.meter_ppm, PPM)
    return meter * (1 - Fraction(case.loss_ppm, PPM)) / (1 + error), meter / (1 - error)


def agree(case: Case, readings: Sequence[int]) -> bool:
    """Tell whether racks and meter may all be right: by a hair, for what is judged is rounded outwards."""
    beneath, claimed = _beneath(case, readings), _claimed(case, readings)
    hair = 2 * case.racks + 2
    return beneath[0] <= claimed[1] + hair and claimed[0] <= beneath[1] + hair


class Judged:
    """The draws of a plant, moment by moment."""

    def __init__(self, case: Case) -> None:
        known = points_of([f"r{i}" for i in range(case.racks)], "bus")
        self._layout = layout_of(case.site, known)
        self._memory = Memory()
        self._at_ms = T0_MS

    def say(self, readings: Sequence[int], silent: frozenset[int] = frozenset()) -> Draw:
        """Return the draw after something was said for long enough to count."""
        power = np.array(readings, np.int64)
        is_certain = np.array([i not in silent for i in range(len(readings))])
        draws = []
        for at_ms in (self._at_ms, self._at_ms + PATIENCE_MS):
            state = state_of(power, is_certain, as_of_ms=at_ms)
            draws.append(find_draw(self._layout, state, self._memory, at_ms)[0])
        self._at_ms += PATIENCE_MS + 1_000
        return draws[-1]


def bounds_of(draw: Draw, place: int) -> tuple[int, float]:
    """Return the bounds of a tenant's draw [mW]."""
    high = int(draw.high[place])
    return int(draw.low[place]), float("inf") if high == UNBOUNDED else high


# What holds ---------------------------------------------------------------------------


@settings(max_examples=400)
@given(cases())
def test_whichever_side_is_wrong_the_bounds_hold_the_truth(case: Case) -> None:
    """From the contradiction on, whatever falls silent, until both are seen to agree with all certain."""
    judged, first = Judged(case), said(case, case.moments[0], by_much=True)
    assume(not agree(case, first))

    for number, moment in enumerate(case.moments):
        readings = first if number == 0 else said(case, moment, by_much=False)
        silent = moment.silent if number else frozenset()
        if number and not silent and agree(case, readings):
            return
        draw = judged.say(readings, silent)

        for place, held in enumerate((slice(0, case.of_first), slice(case.of_first, None))):
            truth = sum(moment.powers[held])
            low, high = bounds_of(draw, place)
            assert low <= truth <= high, f"{number}: {low} to {high}, truth {truth} of {readings}"


@settings(max_examples=200)
@given(cases())
def test_no_limit_between_readings_that_contradict_is_kept_or_broken(case: Case) -> None:
    """The bounds of a single tenant reach from what the one side says to what the other one does."""
    case = replace(case, of_first=case.racks)
    readings = said(case, case.moments[0], by_much=True)
    assume(not agree(case, readings))

    low, high = bounds_of(Judged(case).say(readings), 0)

    beneath, claimed = _beneath(case, readings), _claimed(case, readings)
    assert low <= min(beneath[1], claimed[1])
    assert high >= max(beneath[0], claimed[0])


@settings(max_examples=200)
@given(cases(), st.frozensets(st.integers(0, 3)))
def test_readings_that_are_right_bound_the_truth_as_narrowly_as_they_can(
    case: Case, silent: frozenset[int]
) -> None:
    """What all readings within their errors allow is what is told, to a few milliwatts."""
    case = replace(case, wrong="meter", of_first=case.racks, is_rated=True)
    moment = case.moments[0]
    right = replace(case, wrong="racks low")
    readings = said(right, replace(moment, wrong_by=(0,) * case.racks), by_much=False)
    # A rack that reads above its rating disproves it: its silence then is bounded by nothing.
    silent = frozenset(i for i in silent if i < case.racks and readings[i] <= RATING_KW * KW)

    low, high = bounds_of(Judged(case).say(readings, silent), 0)

    error = Fraction(case.rack_ppm, PPM)
    heard = [Fraction(readings[i]) for i in range(case.racks) if i not in silent]
    least, most = _claimed(case, readings)
    at_least = max(sum(heard, Fraction()) / (1 + error), least)
    at_most = min(sum(heard, Fraction()) / (1 - error) + len(silent) * RATING_KW * KW, most)
    assert low <= sum(moment.powers) <= high
    # Each rack and each meter that narrows is rounded outwards to whole milliwatts.
    assert at_least - low <= 4 * (case.racks + 2)
    assert high - at_most <= 4 * (case.racks + 2)
