"""Each quantity has its unit, its kind, and the range beyond which a value cannot be true."""

from __future__ import annotations

import math

import pytest

from facility.quantities import QUANTITIES, Kind, quantity_for
from facility.units import UNITS, Dimension

# The table of quantities as it was designed, written again: quantity, canonical unit, hard range, kind.
# Where the design gives a range in ratings or in rated current, the absolute bound is the
# code's own. A breaker's state is a `state` here, whose texts say what is open, closed and tripped.
IN_RATINGS = "relative"
TABLE = [
    ("rack.power.active", "kW", -5, 1_200, "gauge"),
    ("rack.power.apparent", "kVA", -5, IN_RATINGS, "gauge"),
    ("rack.power.reactive", "kvar", IN_RATINGS, IN_RATINGS, "gauge"),
    ("power.factor", "1", -1, 1, "gauge"),
    ("energy.active", "kWh", 0, IN_RATINGS, "counter"),
    # "0 …", of currents and voltages: the meter of a dead circuit shows a little below zero.
    ("current.phase", "A", -5, IN_RATINGS, "gauge"),
    ("current.neutral", "A", -5, IN_RATINGS, "gauge"),
    ("voltage.ln", "V", -5, 400, "gauge"),
    # "0 … 700 (MV separately)": here one quantity carries both, up to where IEC 62271 calls it high voltage.
    ("voltage.ll", "V", -5, 52_000, "gauge"),
    ("voltage.dc", "V", -5, 1_000, "gauge"),
    # "40 … 70": a dead busbar truly reads 0 Hz.
    ("frequency", "Hz", 0, 70, "gauge"),
    ("thd.voltage", "%", 0, 100, "gauge"),
    ("thd.current", "%", 0, 300, "gauge"),
    ("unbalance", "%", 0, 100, "gauge"),
    ("ups.load", "%", 0, 200, "gauge"),
    ("battery.charge", "%", 0, 100, "gauge"),
    ("gpu.power", "kW", 0, IN_RATINGS, "gauge"),
    ("air.inlet", "°C", -20, 80, "gauge"),
    ("air.outlet", "°C", -20, 100, "gauge"),
    ("humidity", "%", 0, 100, "gauge"),
    ("dew.point", "°C", -40, 40, "gauge"),
    ("coolant.supply", "°C", -5, 110, "gauge"),
    ("coolant.return", "°C", -5, 110, "gauge"),
    ("rack.coolant.flow", "L/min", -5, 1_000, "gauge"),
    # "5,000 at a CDU, 100,000 in a loop": the bus does not tell a loop's flow from a unit's.
    ("coolant.flow", "L/min", -5, 100_000, "gauge"),
    ("coolant.pressure", "kPa", -100, 2_000, "gauge"),
    ("coolant.pressure.differential", "kPa", -1_000, 1_500, "gauge"),
    ("filter.pressure.differential", "kPa", -10, 500, "gauge"),
    ("valve.position", "%", -5, 105, "gauge"),
    ("pump.speed", "%", -5, 105, "gauge"),
    ("level", "%", -5, 105, "gauge"),
    ("heat.removed", "kW", IN_RATINGS, IN_RATINGS, "gauge"),
    ("leak", "state", -1, 1, "state"),
    ("leak.fault", "state", -1, 1, "state"),
    ("isolation", "state", -1, 1, "state"),
]

# The same table's ranges in multiples of a rating.
RATINGS = [
    ("rack.power.active", -0.02, 2.0),
    ("rack.power.apparent", None, 2.0),
    ("rack.power.reactive", -2.0, 2.0),
    ("heat.removed", -0.2, 2.0),
]


@pytest.mark.parametrize(("name", "unit", "low", "high", "kind"), TABLE, ids=[row[0] for row in TABLE])
def test_a_quantity_is_that_of_the_domain_facts(
    name: str, unit: str, low: float | str, high: float | str, kind: str
) -> None:
    """Unit, hard range and kind are those of the document."""
    quantity = QUANTITIES[name]

    assert (quantity.name, quantity.unit, quantity.kind) == (name, unit, kind)
    assert low in (IN_RATINGS, quantity.low)
    assert high in (IN_RATINGS, quantity.high)


@pytest.mark.parametrize(("name", "low", "high"), RATINGS, ids=[row[0] for row in RATINGS])
def test_a_range_in_ratings_is_that_of_the_domain_facts(name: str, low: float | None, high: float) -> None:
    """A value beyond a multiple of the rating is not trusted, and the multiple is the document's."""
    quantity = QUANTITIES[name]

    assert (quantity.rating_low, quantity.rating_high) == (low, high)


def test_only_what_a_rating_bounds_is_held_against_it() -> None:
    """A temperature is never doubted because of a rack's rating."""
    rated = {name for name, q in QUANTITIES.items() if q.rating_low is not None or q.rating_high is not None}

    assert rated == {name for name, _, _ in RATINGS}


@pytest.mark.parametrize(
    ("rating_kw", "possible", "credible"),
    [
        (None, (-5, 1_200), (-5, 1_200)),
        (132, (-5, 1_200), (-2.64, 264)),
        (2_000, (-40, 4_000), (-40, 4_000)),
    ],
)
def test_what_a_rating_allows_is_possible(
    rating_kw: float | None, possible: tuple[float, float], credible: tuple[float, float]
) -> None:
    """A rack that the site file rates 2,000 kW may draw 1,500 kW: no reading of it is impossible for that."""
    power = QUANTITIES["rack.power.active"]

    assert power.possible(rating_kw) == pytest.approx(possible)
    assert power.credible(rating_kw) == pytest.approx(credible)


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_range_is_finite_and_holds_something(name: str) -> None:
    """Every quantity has a lowest and a highest value, so that no number passes for being enormous."""
    quantity = QUANTITIES[name]

    assert math.isfinite(quantity.low)
    assert math.isfinite(quantity.high)
    assert quantity.low < quantity.high
    assert quantity.title


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_state_is_counted_in_states_and_nothing_else_is(name: str) -> None:
    """Kind and unit of a quantity tell the same story."""
    quantity = QUANTITIES[name]

    assert (quantity.kind is Kind.STATE) == (quantity.dimension is Dimension.STATE)


def test_no_two_quantities_are_called_the_same() -> None:
    """A title on a page means one quantity."""
    titles = [quantity.title for quantity in QUANTITIES.values()]

    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("dimension", Dimension)
def test_whatever_has_a_unit_has_a_quantity_to_be_kept_as(dimension: Dimension) -> None:
    """A point type that no table knows is kept under a quantity of its own dimension, or as other."""
    quantity = quantity_for(dimension)

    assert quantity.dimension is dimension or quantity.name == "other"


def test_the_range_of_what_is_kept_as_another_thing_takes_any_meter() -> None:
    """A power of unknown kind may be that of the whole site: 300 MW is in range."""
    quantity = quantity_for(Dimension.POWER)

    assert quantity.low <= UNITS["MW"].to_canonical(300) <= quantity.high
