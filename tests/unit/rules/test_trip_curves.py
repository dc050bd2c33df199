"""How long breakers hold an overload: the worked figures of the curves, and what is used up of them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from rules.model.trip import FADES_S, TripCurves

NAN: Final = float("nan")
OVERS: Final = (1.1, 1.2, 1.25, 1.4, 1.5, 2.0, 3.0)


def a_breaker(*, tr_s: float = NAN, pickup: float = NAN, set_a: float = 100.0) -> TripCurves:
    """Return the curve of one breaker."""
    return TripCurves(np.array([set_a]), np.array([tr_s]), np.array([pickup]))


def held(breaker: TripCurves, over: float, *, preload: float = 0.0) -> float:
    """Return how long a multiple of 100 A is held [s], after a load of a multiple that lasted for long."""
    pickup = float(breaker.pickup[0])
    used = 0.0 if np.isnan(pickup) else (preload / pickup) ** 2
    return float(breaker.left_s(np.array([used]), np.array([over * 100]))[0])


@pytest.mark.parametrize(
    ("over", "seconds"), [(1.1, 1_020), (1.25, 157), (1.35, 79), (1.4, 60), (1.5, 38), (2.0, 9.3)]
)
def test_the_power_law_goes_through_the_two_pairs(over: float, seconds: float) -> None:
    """10 % over are held for 17 min, 40 % for 60 s (Dynamo); the others follow."""
    assert held(a_breaker(), over) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("tr_s", "seconds"),
    [
        (4, (119, 100, 92, 73, 64, 36, 16)),
        (8, (238, 200, 184, 147, 128, 72, 32)),
        (16, (476, 400, 369, 294, 256, 144, 64)),
        (24, (714, 600, 553, 441, 384, 216, 96)),
    ],
)
def test_an_electronic_unit_trips_by_i2t(tr_s: float, seconds: tuple[float, ...]) -> None:
    """With tr = 16 s twice the setting is held for 144 s: the makers' own example."""
    breaker = a_breaker(tr_s=tr_s)

    assert [held(breaker, over) for over in OVERS] == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize(
    ("pickup", "preload", "seconds"),
    [
        (1.125, 0, (756, 472, 376, 173, 69)),
        (1.125, 0.5, (677, 410, 323, 144, 56)),
        (1.125, 0.8, (516, 292, 224, 94, 35)),
        (1.125, 0.95, (364, 191, 143, 57, 21)),
        (1.05, 0.95, (189, 110, 84, 35, 13)),
    ],
)
def test_a_thermal_image_knows_the_load_before(
    pickup: float, preload: float, seconds: tuple[float, ...]
) -> None:
    """With tr = 16 s: the preload matters more than the curve."""
    breaker = a_breaker(tr_s=16, pickup=pickup)

    assert [held(breaker, over, preload=preload) for over in OVERS[2:]] == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize("breaker", [a_breaker(), a_breaker(tr_s=16), a_breaker(tr_s=16, pickup=1.125)])
@pytest.mark.parametrize("over", [0.0, 1.0, 1.05])
def test_what_is_no_overload_is_held_for_ever(breaker: TripCurves, over: float) -> None:
    """IEC 60947-2: no trip at 1.05 times the setting, whatever is used up."""
    assert breaker.left_s(np.ones(1), np.array([100 * over])).tolist() == [np.inf]


@pytest.mark.parametrize("breaker", [a_breaker(), a_breaker(tr_s=16), a_breaker(tr_s=16, pickup=1.125)])
def test_what_is_used_up_and_what_is_left_are_one_curve(breaker: TripCurves) -> None:
    """Second by second at 1.4 times the setting, the time left falls by a second, down to none."""
    current, used = np.array([140.0]), np.zeros(1)
    first = float(breaker.left_s(used, current)[0])
    for second in range(1, int(first) + 1):
        used = breaker.step(used, current, 1.0)
        assert float(breaker.left_s(used, current)[0]) == pytest.approx(first - second, abs=1e-6)
    assert breaker.step(used, current, 2.0).tolist() == pytest.approx([1.0], abs=1e-9)


BREAKERS: Final = [a_breaker(), a_breaker(tr_s=16), a_breaker(tr_s=16, pickup=1.125)]


@pytest.mark.parametrize("breaker", BREAKERS)
def test_a_swing_of_nothing_is_a_current_that_stays(breaker: TripCurves) -> None:
    """What a constant overload wears a cold breaker by says how long it is held."""
    current, cold = np.array([140.0]), np.zeros(1)

    assert breaker.left_of_swing_s(cold, breaker.wear(current)) == pytest.approx(
        breaker.left_s(cold, current)
    )


@pytest.mark.parametrize("breaker", BREAKERS)
@pytest.mark.parametrize("amps", [(160, 60), (150, 150, 90, 90), (300, 50, 50, 50, 50), (220, 80)])
def test_a_swing_is_held_for_as_long_as_is_told(breaker: TripCurves, amps: tuple[float, ...]) -> None:
    """Second by second, it trips when that was said before, where that is within the five minutes of E2."""
    wear = np.mean([breaker.wear(np.array([float(each)])) for each in amps], axis=0)
    told, used, second = float(breaker.left_of_swing_s(np.zeros(1), wear)[0]), np.zeros(1), 0
    while used[0] < 1 and second < 600:
        used = breaker.step(used, np.array([float(amps[second % len(amps)])]), 1.0)
        second += 1

    if told < 300:
        assert second == pytest.approx(told, rel=0.12, abs=len(amps))
    else:
        assert second >= 300


@pytest.mark.parametrize("breaker", BREAKERS)
def test_a_swing_that_fades_as_fast_as_it_adds_up_is_held_for_ever(breaker: TripCurves) -> None:
    """110 A for a second of six use up less than what fades of nine tenths."""
    wear = (breaker.wear(np.array([110.0])) + 5 * breaker.wear(np.array([60.0]))) / 6

    assert breaker.left_of_swing_s(np.array([0.9]), wear).tolist() == [np.inf]


def test_what_is_used_up_fades() -> None:
    """Ten minutes below the level leave 37 %, half an hour 5 %."""
    used = np.array([0.8])

    assert a_breaker().step(used, np.array([100.0]), FADES_S)[0] == pytest.approx(0.8 * 0.3679, abs=1e-4)
    assert a_breaker().step(used, np.array([0.0]), 3 * FADES_S)[0] == pytest.approx(0.8 * 0.0498, abs=1e-4)


@pytest.mark.parametrize(("minutes", "left"), [(15, 0.14), (5, 0.52)])
def test_a_thermal_image_cools_by_its_own_time_constant(minutes: float, left: float) -> None:
    """With tr = 16 s and a pick-up of 1.125 that is 455 s."""
    breaker = a_breaker(tr_s=16, pickup=1.125)

    assert breaker.step(np.ones(1), np.zeros(1), 60 * minutes)[0] == pytest.approx(left, abs=0.005)


def test_a_breaker_that_is_not_rated_is_not_known() -> None:
    """Nothing is said of it."""
    assert a_breaker(set_a=NAN).is_known.tolist() == [False]
