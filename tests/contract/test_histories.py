"""What every history answers, whatever form it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from facility.instants import HOUR_MS, MINUTE_MS
from facility.readings import Batch, Quality
from store.base import FIGURES, History, Series
from store.means.means import QUARTER_MS
from testing.builders import T0_MS
from testing.store.oracle import means_by_hand
from tests.contract.forms import FORMS, PARQUET, history
from tests.contract.stored import (
    AUTUMN,
    BUSY,
    COOLANT,
    GAP,
    HOUR,
    LONG,
    NAMES,
    ODD,
    POWER,
    SPRING,
    batches,
    draws,
    points,
)

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("histories")]

ALL = (0, 2**60)
HOLDS_MS = {POWER: 110_000, COOLANT: 110_000, BUSY: 5_000, LONG: 110_000}
NUMBERS = {known.point.key: known.id for known in points()}
BAD_TEXTS = [
    "",
    "' OR 1=1 --",
    "' OR '' = '",
    'x"; DROP MEASUREMENT reading; --',
    "x'; DROP DATABASE readings; --",
    "$point",
    "a\\",
    "r1\n",
    "\x00",
    "*",
    "/.*/",
    ".*",
    "a//b",
    "é",
    "x" * 513,
]


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A history of each form."""
    name = str(request.param)
    with history(name, tmp_path_factory.mktemp("form")) as found:
        yield found


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The history that the others are compared with."""
    with history(PARQUET, tmp_path_factory.mktemp("reference")) as found:
        yield found


def told(key: str) -> Batch:
    """Return what is stored of a point, in order of time."""
    batch = Batch.concatenate(list(batches()))
    batch = batch.take(batch.point == NUMBERS[key])
    return batch.take(np.argsort(batch.source_ms, kind="stable"))


def is_same(one: Series, other: Series) -> bool:
    """Tell whether two series are the same, to the last bit; means may be added up in another order."""
    if one.coverage is not None and other.coverage is not None:
        is_alike = np.allclose(one.value, other.value, rtol=1e-14, atol=0)
        is_alike &= one.coverage.tolist() == other.coverage.tolist()
    else:
        is_alike = one.value.tobytes() == other.value.tobytes() and one.coverage is other.coverage
    exact = [(one.time_ms, other.time_ms), (one.quality, other.quality)]
    same = all((a.dtype, a.tolist()) == (b.dtype, b.tolist()) for a, b in exact)
    return is_alike and same and (one.name, one.unit) == (other.name, other.unit)


# Readings -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", [POWER, COOLANT, BUSY, LONG])
def test_readings_are_those_that_were_stored(form: History, key: str) -> None:
    """Every reading is there once, bit for bit, in order of time."""
    wanted = told(key)

    found = form.readings(key, *ALL)

    assert found.time_ms.tolist() == wanted.source_ms.tolist()
    assert found.value.tobytes() == wanted.value.tobytes()
    assert found.quality.tolist() == wanted.quality.tolist()
    assert (found.name, found.unit) == (key, "°C" if key == COOLANT else "kW")
    assert found.coverage is None
    if key == POWER:
        assert found.value[: len(ODD)].tobytes() == np.array(ODD).tobytes()
        assert found.quality.tolist()[len(ODD)] == Quality.NO_VALUE


def test_a_span_has_its_start_and_not_its_end(form: History) -> None:
    """Spans of any kind hold exactly what is in them; empty and inverted ones hold nothing."""
    times = told(POWER).source_ms.tolist()
    spans = {
        (times[2], times[5]): times[2:5],
        (times[2] + 1, times[5] + 1): times[3:6],
        (times[0], times[0]): [],
        (times[5], times[2]): [],
        (0, times[1]): times[:1],
        (times[-1] + 1, 2**62): [],
        (-(2**62), 2**62): times,
        (2**62, -(2**62)): [],
        (2**70, 2**80): [],
    }

    for span, expected in spans.items():
        assert form.readings(POWER, *span).time_ms.tolist() == expected


def test_every_allowed_name_is_a_name(form: History) -> None:
    """Keys are found by themselves only, whatever they are made of."""
    for number, key in enumerate(NAMES):
        assert form.readings(key, *ALL).value.tolist() == [float(number)]


# Means --------------------------------------------------------------------------------

MEANS = [
    pytest.param(BUSY, (GAP, GAP + HOUR_MS), MINUTE_MS, id="minutes-with-a-gap"),
    pytest.param(BUSY, (GAP, GAP + HOUR_MS + 30_500), MINUTE_MS, id="an-open-end"),
    pytest.param(BUSY, (GAP, GAP + HOUR_MS), QUARTER_MS, id="quarters-with-a-gap"),
    pytest.param(BUSY, (GAP - HOUR_MS, GAP + 3 * HOUR_MS), HOUR_MS, id="hours"),
    pytest.param(BUSY, (GAP + 7_000, GAP + 900_000), 7_000, id="seconds"),
    pytest.param(BUSY, (GAP + 601_000, GAP + 1_499_000), 1_000, id="within-the-gap"),
    pytest.param(COOLANT, (GAP, GAP + 2 * HOUR_MS), MINUTE_MS, id="on-change"),
    pytest.param(COOLANT, (GAP, GAP + 2 * HOUR_MS), 5 * MINUTE_MS, id="on-change-five-minutes"),
    pytest.param(POWER, (HOUR, HOUR + HOUR_MS), MINUTE_MS, id="of-good-readings-only"),
    pytest.param(LONG, (SPRING, SPRING + 23 * HOUR_MS), HOUR_MS, id="day-of-23-hours"),
    pytest.param(LONG, (AUTUMN, AUTUMN + 25 * HOUR_MS), HOUR_MS, id="day-of-25-hours"),
    pytest.param(LONG, (SPRING, SPRING + 23 * HOUR_MS), 23 * HOUR_MS, id="whole-day-of-23-hours"),
    pytest.param(LONG, (AUTUMN, AUTUMN + 25 * HOUR_MS), 25 * HOUR_MS, id="whole-day-of-25-hours"),
    pytest.param(BUSY, (HOUR - HOUR_MS, HOUR), MINUTE_MS, id="before-everything"),
    pytest.param(BUSY, (GAP + HOUR_MS, GAP), MINUTE_MS, id="inverted"),
    pytest.param(BUSY, (GAP, GAP), MINUTE_MS, id="empty"),
]


@pytest.mark.parametrize(("key", "span", "step_ms"), MEANS)
def test_means_are_weighed_by_time(form: History, key: str, span: tuple[int, int], step_ms: int) -> None:
    """Each step has the exact mean of what stood in it, and says how much of it that was; gaps have none."""
    wanted = means_by_hand(told(key), HOLDS_MS[key], span, step_ms)

    found = form.means(key, *span, step_ms)

    assert found.coverage is not None
    assert found.time_ms.tolist() == list(wanted)
    assert found.value.tolist() == pytest.approx([float(mean) for mean, _ in wanted.values()], rel=1e-12)
    assert found.coverage.tolist() == [float(share) for _, share in wanted.values()]
    assert (found.unit, found.quality.tolist()) == ("°C" if key == COOLANT else "kW", [0] * len(wanted))


# Draws --------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("tenant", ["acme", "z.9_-"])
def test_a_draw_has_a_value_for_each_moment(form: History, tenant: str, figure: str) -> None:
    """What nobody could tell is no number, and every moment is there nevertheless."""
    wanted: list[float | None] = []
    for _, rows in draws():
        draw = next(row for row in rows if row.tenant == tenant)
        parts = [getattr(draw, name) for name in FIGURES[figure].columns]
        exact = None if None in parts else parts[0] - sum(parts[1:])
        wanted.append(None if exact is None else exact / FIGURES[figure].per_unit)

    found = form.draw(tenant, figure, *ALL)

    assert found.time_ms.tolist() == [at_ms for at_ms, _ in draws()]
    assert [None if np.isnan(value) else value for value in found.value] == wanted
    assert [quality != Quality.GOOD for quality in found.quality] == [value is None for value in wanted]
    assert found.unit == FIGURES[figure].unit


def test_a_draw_of_a_span_or_of_nobody(form: History) -> None:
    """Spans have their start and not their end; a tenant without anything stored has nothing."""
    times = [at_ms for at_ms, _ in draws()]

    assert form.draw("acme", "best", times[2], times[5]).time_ms.tolist() == times[2:5]
    assert form.draw("acme", "best", times[5], times[2]).time_ms.tolist() == []
    assert form.draw("nobody", "best", *ALL).time_ms.tolist() == []


# The same answers ---------------------------------------------------------------------

QUESTIONS: dict[str, Callable[[History], Series]] = {
    **{f"readings of {key}": (lambda h, key=key: h.readings(key, *ALL)) for key in HOLDS_MS},  # type: ignore[misc]  # the default binds the key
    **{
        f"means {param.id}": (lambda h, args=param.values: h.means(args[0], *args[1], args[2]))  # type: ignore[misc]  # likewise
        for param in MEANS
    },
    **{f"draw {name}": (lambda h, name=name: h.draw("acme", name, *ALL)) for name in FIGURES},  # type: ignore[misc]  # likewise
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_forms_give_the_same_answer(form: History, reference: History, question: str) -> None:
    """What one form answers the other answers."""
    ask = QUESTIONS[question]

    assert is_same(ask(form), ask(reference))


# What is no question ------------------------------------------------------------------


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_nothing_gets_into_a_question(form: History, text: str) -> None:
    """A text that is no known point, no possible tenant and no figure is an error, whatever it says."""
    asks: list[Callable[[], Series]] = [
        lambda: form.readings(text, *ALL),
        lambda: form.means(text, *ALL, 1_000),
        lambda: form.readings(POWER + text if text else text, *ALL),
        lambda: form.draw(text, "best", *ALL),
        lambda: form.draw("acme", text, *ALL),
    ]

    for ask in asks:
        with pytest.raises(KeyError):
            ask()
    assert len(form.readings(POWER, *ALL).time_ms) == len(told(POWER))


@pytest.mark.parametrize("moment", ["0; DROP MEASUREMENT reading", "now()", "1", 1.5, None, b"1", [1]])
def test_a_time_is_an_integer(form: History, moment: Any) -> None:  # noqa: ANN401 - whatever somebody passes
    """What is no integer is no time and no step, and is never asked for."""
    asks: list[Callable[[], Series]] = [
        lambda: form.readings(POWER, moment, 2**60),
        lambda: form.readings(POWER, 0, moment),
        lambda: form.means(POWER, moment, 2**60, 1_000),
        lambda: form.means(POWER, 0, moment, 1_000),
        lambda: form.means(POWER, 0, 1_000, moment),
        lambda: form.draw("acme", "best", moment, 2**60),
        lambda: form.draw("acme", "best", 0, moment),
    ]

    for ask in asks:
        with pytest.raises(TypeError):
            ask()


@pytest.mark.parametrize("step_ms", [0, -1, -(2**70)])
def test_a_step_takes_time(form: History, step_ms: int) -> None:
    """A step of no length, or of less, is an error."""
    with pytest.raises(ValueError, match="expected a step of more than 0 ms"):
        form.means(POWER, 0, 1_000, step_ms)


def test_who_mistypes_is_told_what_there_is(form: History) -> None:
    """The nearest name is in the error."""
    with pytest.raises(KeyError, match=f"did you mean '{POWER}'"):
        form.readings("Rack/RackPower/R1", *ALL)
    with pytest.raises(KeyError, match="did you mean 'forecast'"):
        form.draw("acme", "forcast", *ALL)


def test_means_reach_back_to_what_stood_before(form: History) -> None:
    """A span that begins in the middle of a silence has the value that stood then."""
    second = told(COOLANT).source_ms[1]

    found = form.means(COOLANT, int(second) + 1_000, int(second) + 3_000, 1_000)

    assert found.value.tolist() == [21.0, 21.0]
    assert found.time_ms.tolist() == [second + 1_000, second + 2_000]


def test_points_that_were_only_heard_before_have_nothing_since(form: History) -> None:
    """A known point without readings in a span has an empty series, not an error."""
    for key in HOLDS_MS:
        assert form.readings(key, T0_MS + 400 * 86_400_000, 2**60).value.tolist() == []
        assert form.means(key, HOUR + 400 * 86_400_000, 2**60, HOUR_MS).value.tolist() == []
