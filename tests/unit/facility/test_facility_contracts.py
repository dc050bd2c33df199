"""A contract allows exactly what it says: no milliwatt more, none less, at every instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from facility.contracts import Contract, Event, Level, Limit, Method, Shape, Version
from facility.instants import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from testing.builders import T0_MS
from testing.contract_models import (
    LINEAR,
    MW,
    STEP,
    a_version,
    exact_integral,
    rounding,
)

START = T0_MS - T0_MS % (15 * MINUTE_MS)
QUARTER = 15 * MINUTE_MS

# Commitment, burst, tolerance in percent, and the draw that is still compliant; all in milliwatts.
LIMITS = [
    (300_000 * MW // 1_000, 0, 0.0, 300_000 * MW // 1_000),
    (1_200_000_000, 0, 0.0, 1_200_000_000),
    (1_200_000_000, 100_000_000, 0.0, 1_300_000_000),
    (1_200_000_000, 0, 1.0, 1_212_000_000),
    (1_200_000_000, 0, 0.5, 1_206_000_000),
    (1_200_000_000, 100_000_000, 2.0, 1_326_000_000),
    (1_200_000_000, 0, 10.0, 1_320_000_000),
    (1_000_000, 0, 0.0001, 1_000_001),
    (999_999, 0, 0.0001, 999_999),
    (1, 0, 10.0, 1),
    (19, 0, 10.0, 20),
    (0, 0, 10.0, 0),
    (333_333_333, 0, 0.1, 333_666_666),
]

# A ramp as (hours from the start, megawatts, shape), and what is committed at hours from the start.
RAMPS = [
    ("no ramp", (), [(-1, 4), (0, 4), (1000, 4)]),
    ("one level", ((0, 3, STEP),), [(0, 3), (1000, 3)]),
    (
        "steps",
        ((0, 1, STEP), (10, 2, STEP), (20, 4, STEP)),
        [(0, 1), (9.999, 1), (10, 2), (19.999, 2), (20, 4), (1000, 4)],
    ),
    (
        "a rise",
        ((0, 1, STEP), (10, 3, LINEAR)),
        [(0, 1), (1, 1.2), (5, 2), (9, 2.8), (10, 3), (1000, 3)],
    ),
    ("a fall", ((0, 3, STEP), (10, 1, LINEAR)), [(0, 3), (5, 2), (7.5, 1.5), (10, 1), (11, 1)]),
    (
        "a step, a rise, a plateau, a step",
        ((0, 1, STEP), (2, 2, STEP), (4, 4, LINEAR), (6, 4, LINEAR), (8, 3, STEP)),
        [(0, 1), (1.5, 1), (2, 2), (3, 3), (4, 4), (5, 4), (7.999, 4), (8, 3)],
    ),
]

Rows = Sequence[tuple[float, float, Shape]]


def a_ramp(rows: Rows) -> list[tuple[int, int, Shape]]:
    """Return levels given in hours after the start and megawatts as instants and milliwatts."""
    return [(START + round(hours * HOUR_MS), round(level * MW), shape) for hours, level, shape in rows]


@pytest.mark.parametrize(("committed", "burst", "tolerance", "limit"), LIMITS, ids=str)
def test_the_limit_is_exact_to_the_milliwatt(
    committed: int, burst: int, tolerance: float, limit: int
) -> None:
    """Commitment, burst and granted meter error make the limit in integers, rounded down at the very end."""
    version = a_version(committed=committed, burst=burst, tolerance_percent=tolerance)

    assert version.limit_at(START) == limit


def test_a_draw_exactly_at_the_limit_is_compliant_and_a_milliwatt_more_is_not() -> None:
    """The limit itself may be drawn: what breaks a contract is above it."""
    limit = a_version(committed=1_200_000_000, tolerance_percent=0.5).limit_at(START)

    assert [draw > limit for draw in (1_206_000_000, 1_206_000_001)] == [False, True]


@pytest.mark.parametrize(
    ("rows", "expected"), [(r, e) for _, r, e in RAMPS], ids=[name for name, _, _ in RAMPS]
)
def test_a_ramp_commits_what_its_levels_say(rows: Rows, expected: Sequence[tuple[float, float]]) -> None:
    """A step holds from its instant on; a linear level is approached evenly and reached at its instant."""
    version = a_version(START, committed=4 * MW, ramp=a_ramp(rows))

    found = [version.committed_at(START + round(hours * HOUR_MS)) for hours, _ in expected]

    assert found == [round(level * MW) for _, level in expected]


def test_a_step_is_taken_at_its_instant_and_not_a_millisecond_earlier() -> None:
    """The millisecond before a level still has the level before it."""
    version = a_version(START, ramp=a_ramp(((0, 1, STEP), (1, 2, STEP))))
    step = START + HOUR_MS

    assert [version.committed_at(step - 1), version.committed_at(step)] == [1 * MW, 2 * MW]


def test_a_rise_gains_its_last_milliwatt_at_its_instant() -> None:
    """The millisecond before a linear level is still below it, by less than the rise of a millisecond."""
    version = a_version(START, ramp=a_ramp(((0, 1, STEP), (1, 2, LINEAR), (2, 3, STEP))))
    end = START + HOUR_MS

    assert 2 * MW - MW // HOUR_MS - 1 <= version.committed_at(end - 1) < version.committed_at(end) == 2 * MW


def a_contract(*starts: int, ends_ms: int | None = None) -> Contract:
    """Return a contract of versions from these instants, of one megawatt, two, three..."""
    versions = tuple(a_version(start, committed=(i + 1) * MW) for i, start in enumerate(starts))
    return Contract(versions, ends_ms)


@pytest.mark.parametrize(
    ("instant", "committed"),
    [
        (START - 1, None),
        (START, 1 * MW),
        (START + DAY_MS - 1, 1 * MW),
        (START + DAY_MS, 2 * MW),
        (START + 2 * DAY_MS - 1, 2 * MW),
        (START + 2 * DAY_MS, None),
        (START + 3 * DAY_MS, None),
    ],
)
def test_one_version_is_in_force_at_an_instant(instant: int, committed: int | None) -> None:
    """A version holds from its instant until the next one's, and the last one until the contract ends."""
    contract = a_contract(START, START + DAY_MS, ends_ms=START + 2 * DAY_MS)

    version = contract.version_at(instant)

    assert (None if version is None else version.committed_milliwatts) == committed


def test_a_contract_without_an_end_goes_on() -> None:
    """Where no end is agreed the last version is in force for good."""
    assert a_contract(START).version_at(START + 36_500 * DAY_MS) is not None


@pytest.mark.parametrize(
    ("ends_ms", "changes"),
    [(None, [START, START + DAY_MS]), (START + 2 * DAY_MS, [START, START + DAY_MS, START + 2 * DAY_MS])],
)
def test_every_change_of_a_contract_is_told(ends_ms: int | None, changes: list[int]) -> None:
    """Each version's beginning is a change, and so is the end."""
    assert a_contract(START, START + DAY_MS, ends_ms=ends_ms).changes_ms() == changes


def contracts_of_a_quarter() -> list[tuple[str, tuple[Version, ...]]]:
    """Return versions whose limit does something inside the quarter of an hour after the start."""
    minute = MINUTE_MS
    return [
        ("one level", (a_version(START, committed=1_234_567_891),)),
        ("burst and tolerance", (a_version(START, committed=MW, burst=7, tolerance_percent=1.3),)),
        (
            "a version that begins in the middle",
            (a_version(START - DAY_MS, committed=MW), a_version(START + 7 * minute, committed=2 * MW)),
        ),
        (
            "a version that begins a second before the end",
            (a_version(START), a_version(START + QUARTER - SECOND_MS, committed=3 * MW, burst=5)),
        ),
        (
            "three versions",
            (
                a_version(START, committed=MW, tolerance_percent=1),
                a_version(START + 5 * minute, committed=MW // 3, tolerance_percent=0.5),
                a_version(START + 11 * minute, committed=2 * MW),
            ),
        ),
        (
            "two steps",
            (
                a_version(
                    START - DAY_MS,
                    ramp=[
                        (START - DAY_MS, MW // 3, STEP),
                        (START + 4 * minute, MW // 2, STEP),
                        (START + 9 * minute, MW, STEP),
                    ],
                ),
            ),
        ),
        (
            "a rise over days",
            (
                a_version(
                    START - DAY_MS,
                    ramp=[(START - DAY_MS, MW // 7, STEP), (START + 30 * DAY_MS, MW, LINEAR)],
                    tolerance_percent=0.7,
                ),
            ),
        ),
        (
            "a rise that ends inside, then a step",
            (
                a_version(
                    START - DAY_MS,
                    ramp=[
                        (START - DAY_MS, MW // 7, STEP),
                        (START + 3 * minute + 7 * SECOND_MS, MW - 1, LINEAR),
                        (START + 8 * minute, MW // 2, STEP),
                        (START + 14 * minute, MW // 3, LINEAR),
                    ],
                ),
            ),
        ),
        (
            "a rise in the second version",
            (
                a_version(START - DAY_MS, committed=MW // 3),
                a_version(
                    START + 5 * minute,
                    ramp=[(START + 5 * minute, MW // 7, STEP), (START + 10 * minute, MW, LINEAR)],
                ),
            ),
        ),
    ]


@pytest.mark.parametrize(
    "versions", [v for _, v in contracts_of_a_quarter()], ids=[name for name, _ in contracts_of_a_quarter()]
)
def test_what_a_block_may_take_is_the_sum_over_its_seconds(versions: tuple[Version, ...]) -> None:
    """Each version, step and ramp counts for its part of the block, with no more rounding than is said."""
    contract = Contract(versions)
    exact = exact_integral(contract, START, START + QUARTER)

    found = contract.limit_integral(START, START + QUARTER)

    assert exact is not None
    assert found is not None
    assert 0 <= exact - found <= rounding(contract, START, START + QUARTER)


@pytest.mark.parametrize(
    ("from_ms", "to_ms"),
    [
        (START - QUARTER, START),
        (START - 1, START + QUARTER),
        (START - QUARTER, START + QUARTER),
        (START + DAY_MS - QUARTER, START + DAY_MS + 1),
        (START + DAY_MS, START + DAY_MS + QUARTER),
        (START - DAY_MS, START + 2 * DAY_MS),
    ],
    ids=["before", "a millisecond before", "half before", "a millisecond after", "after", "all around"],
)
def test_a_span_without_a_version_in_part_of_it_has_no_limit(from_ms: int, to_ms: int) -> None:
    """Where no version is in force nothing is allowed and nothing is forbidden: there is no figure."""
    contract = a_contract(START, START + HOUR_MS, ends_ms=START + DAY_MS)

    assert contract.limit_integral(from_ms, to_ms) is None


def test_a_span_that_touches_the_borders_of_a_contract_has_a_limit() -> None:
    """From the first millisecond to the last the contract is in force."""
    contract = a_contract(START, ends_ms=START + DAY_MS)

    assert contract.limit_integral(START, START + DAY_MS) == MW * DAY_MS


def test_nothing_may_be_drawn_in_no_time() -> None:
    """An empty span takes no energy."""
    assert a_contract(START).limit_integral(START + 5, START + 5) == 0


def test_a_month_of_the_largest_site_is_an_exact_integer() -> None:
    """300 MW over 31 days do not fit a float to the milliwatt; they are not one."""
    version = a_version(START, committed=300_000_000_001)

    assert version.limit_integral(START, START + 31 * DAY_MS) == 300_000_000_001 * 31 * DAY_MS


@pytest.mark.parametrize("method", Method)
def test_a_method_binds_moments_or_blocks_or_what_is_not_judged_yet(method: Method) -> None:
    """No method binds both moments and blocks, so that one overdraw is not two breaches."""
    limit = Limit(method=method)
    judged = {
        Method.INSTANTANEOUS: (True, False),
        Method.BLOCK: (False, True),
        Method.ROLLING: (False, True),
        Method.MONTHLY_PEAK: (False, True),
        Method.PERCENTILE: (False, False),
        Method.REGISTER: (False, False),
    }

    assert (limit.binds_instantly, limit.binds_blocks) == judged[method]


def test_a_ramp_with_a_tolerance_is_rounded_once() -> None:
    """Halfway from 1 to 1,000,002 mW are 500,001.5 mW; with 50 % on top they are 750,002.25, not 750,001."""
    ramp = (
        Level(at_ms=START, milliwatts=1),
        Level(at_ms=START + 2, milliwatts=1_000_002, shape=Shape.LINEAR),
    )
    version = Version(
        from_ms=START, committed_milliwatts=1_000_002, ramp=ramp, limit=Limit(tolerance_percent=50)
    )

    assert version.exact_limit_at(START + 1) == Fraction(3_000_009, 4)
    assert version.limit_at(START + 1) == 750_002
    assert version.limit_integral(START, START + 2) == Fraction(3_000_009, 2)


@pytest.mark.parametrize(
    ("ends_ms", "given_ms", "expected"),
    [
        (None, None, []),
        (400 * DAY_MS, None, [(Event.NOTICE, 310 * DAY_MS), (Event.END, 400 * DAY_MS)]),
        (400 * DAY_MS, 200 * DAY_MS, [(Event.END, 290 * DAY_MS)]),
        (250 * DAY_MS, 200 * DAY_MS, [(Event.END, 250 * DAY_MS)]),
        (None, 200 * DAY_MS, [(Event.END, 290 * DAY_MS)]),
    ],
    ids=["no end", "an end", "notice given", "notice given too late", "notice without an end"],
)
def test_the_dates_of_a_contract_are_known_before(
    ends_ms: int | None, given_ms: int | None, expected: list[tuple[Event, int]]
) -> None:
    """Versions, levels that are reached while theirs is in force, the last day of notice, and the end."""
    ramp = tuple(Level(at_ms=day * DAY_MS, milliwatts=day + 1) for day in (0, 60, 120))
    first = Version(from_ms=0, committed_milliwatts=121, ramp=ramp)
    second = Version(from_ms=100 * DAY_MS, committed_milliwatts=90, notice_days=90, notice_given_ms=given_ms)

    found = Contract((first, second), ends_ms).dates()

    begun = [(Event.BEGIN, 0), (Event.BEGIN, 100 * DAY_MS), (Event.RAMP, 60 * DAY_MS)]
    assert found == begun + expected
    assert Contract((replace(first, ramp=ramp[:1]),)).dates() == [(Event.BEGIN, 0)]
