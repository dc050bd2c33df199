"""Breakers: the curve itself."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.model.breakers import Breakers
from simulators.model.ratings import Curve, Rating
from testing.simulators.model_plants import SMALL, wired


@pytest.mark.parametrize(
    ("x", "seconds"), [(1.1, 1_020), (1.25, 157), (1.35, 79), (1.4, 60), (1.5, 38), (2.0, 9.3)]
)
def test_the_curve_goes_through_its_two_pairs(x: float, seconds: float) -> None:
    """10 % over for 17 min, 40 % over for a minute, and the power law between and beyond."""
    assert Curve().hold_s(x) == pytest.approx(seconds, rel=0.03)


@pytest.mark.parametrize("x", [0.0, 1.0, 1.05])
def test_up_to_five_per_cent_over_it_holds_for_ever(x: float) -> None:
    """The border itself does not heat it up."""
    assert Curve().hold_s(x) == float("inf")


def constant(multiple: float, seconds: int, curve: Curve | None = None) -> list[bool]:
    """Return in which seconds the first node's breaker has tripped at a constant overload of one phase."""
    name = "P01A-BUS-A"
    wiring = wired(SMALL, {name: Rating(amps=1_000, curve=curve)})
    node = wiring.nodes.index(name)
    breakers = Breakers(wiring.sizes)
    amps = np.zeros((len(wiring.nodes), 3))
    amps[node, 1] = multiple * 1_000
    return [bool(breakers.step(amps)[node]) for _ in range(seconds)]


@pytest.mark.parametrize("x", [1.1, 1.25, 1.4, 2.0])
def test_a_constant_overload_of_one_phase_trips_at_its_time(x: float) -> None:
    """In the second in which the hold time is over, not one earlier."""
    trips = constant(x, 1_100)

    assert trips.index(True) == -(-Curve().hold_s(x) // 1) - 1


def test_another_curve_is_another_time() -> None:
    """A breaker whose maker gives ten times as long holds ten times as long."""
    slow = Curve(scale_s=93.0)

    assert constant(1.4, 700, slow).index(True) == -(-slow.hold_s(1.4) // 1) - 1


def test_what_is_used_up_cools_down() -> None:
    """Half of the curve is used; after ten minutes within the rating a third of that is left."""
    wiring = wired()
    breakers = Breakers(wiring.sizes)
    over = np.repeat(wiring.sizes.amps[:, None] * 1.4, 3, axis=1)
    for _ in range(30):
        breakers.step(over)
    half = breakers.used.copy()
    for _ in range(600):
        breakers.step(over / 1.4)

    assert half[0] == pytest.approx(0.5, abs=0.01)
    assert breakers.used[0] == pytest.approx(half[0] / np.e, rel=1e-6)
    breakers.reset([0])
    assert breakers.used[0] == 0
    assert breakers.used[1] > 0
