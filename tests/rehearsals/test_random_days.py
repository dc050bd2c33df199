"""Random days through the monitor, held against the judge: nothing missed, nothing invented, all on time.

Nor is anything certain that is false, at any tick: no clear that is none, no overdraw that is none.

A day has five tenants and two hundred racks, random loads, contracts of every method, amendments, racks that
change hands, faults on the wire, and up to three troubles. It is shortened to some minutes of event time,
judged every second, with demand blocks of one to four minutes; with the rules that say whether a contract was
kept (C2, C3, C4, C9).
A thousand of them, and longer ones, are run by `make soak`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import pytest

from testing.randomdays.day import SHORT_S
from testing.randomdays.trouble import TroubleKind
from tests.rehearsals.days import live_through

PER_TEST = 5
SEEDS = 10
TROUBLED_SEEDS = 2
DAY_S = 150
SOAK_SEEDS = 1_000
PER_SOAK_TEST = 50
COUNTED = ("false clear", "false overdraw", "untold")
"""What must never be said, and what must never be left unsaid."""
WRONG_SEEDS = range(12)
"""Days in which a monitor that is wrong gives itself away, at the latest in the last."""


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_random_days_agree_with_the_judge(first: int) -> None:
    """Over five seeds every owed page comes in its window, and no page comes without its episode."""
    duties = _check(range(first, first + PER_TEST), DAY_S)

    assert duties["overdraw page"] + duties["demand page"] > 0


@pytest.mark.parametrize("kind", list(TroubleKind))
def test_days_of_a_trouble_agree_with_the_judge(kind: TroubleKind) -> None:
    """Whatever goes wrong on the wire or at the monitor, what it says is right or unknown."""
    _check(range(TROUBLED_SEEDS), DAY_S, kinds=(kind,))


@pytest.mark.parametrize(
    ("rules", "said"),
    [("C2.on_delay_s = 20", "missed"), ("C2.on_delay_s = 1", "invented"), ("C4.enabled = false", "missed")],
)
def test_a_monitor_that_is_wrong_is_found_out(rules: str, said: str) -> None:
    """One that pages too late, too early or not at all disagrees with the judge."""
    days = (live_through(seed, seconds=SHORT_S, rules=rules, kinds=()) for seed in WRONG_SEEDS)

    assert any(text.startswith(said) for day in days for text in day.wrong)


@pytest.mark.parametrize("rules", ["C2.above_s = 0", "C2.above_s = 50"])
def test_a_monitor_that_forgets_swings_is_found_out(rules: str) -> None:
    """A load that is above its limit for four seconds again and again is owed a page, and told in the end."""
    days = (
        live_through(seed, seconds=DAY_S, rules=rules, kinds=(TroubleKind.SWINGS,)) for seed in WRONG_SEEDS
    )

    assert any(text.startswith("untold") for day in days for text in day.wrong)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, SOAK_SEEDS, PER_SOAK_TEST))
def test_a_thousand_random_days_agree_with_the_judge(first: int) -> None:
    """The same over a thousand seeds, whatever troubles they draw."""
    _check(range(first, first + PER_SOAK_TEST), SHORT_S)


def test_a_gateway_that_stamped_some_values_far_ahead_is_believed_again() -> None:
    """Once its stamps are right again, its blocks can be settled."""
    _check([202], SHORT_S, kinds=(TroubleKind.FAR_AHEAD,))


def test_a_rack_that_moved_is_not_waited_for_because_we_stood_still() -> None:
    """Its gateway spoke all the time; the overdraw is told when it is due."""
    _check([88], SHORT_S)


def test_a_value_that_is_refused_while_we_are_stopped_leaves_nothing_certain() -> None:
    """Its rack moved after it; what the broker kept says since when its last good value is none."""
    _check([312], SHORT_S)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_six_random_hours_agree_with_the_judge(seed: int) -> None:
    """The same over six hours on end, second by second."""
    _check([seed], 6 * 3_600)


def _check(
    seeds: range | list[int], seconds: int, kinds: Sequence[TroubleKind] | None = None
) -> Counter[str]:
    duties: Counter[str] = Counter()
    troubles: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds:
        day = live_through(seed, seconds=seconds, kinds=kinds)
        duties += day.duties()
        troubles += Counter(trouble.kind.value for trouble in day.troubles)
        found = [f"seed {seed}: {text}" for text in day.wrong]
        sys.stdout.write("".join(f"{text}\n" for text in found))
        wrong += found
    counts = ", ".join(f"{sum(f': {what}' in text for text in wrong)} {what}" for what in COUNTED)
    drawn = ", ".join(f"{count} {kind}" for kind, count in sorted(troubles.items()))
    sys.stdout.write(
        f"seeds {seeds[0]} to {seeds[-1]}, {seconds} s each: {counts}; {drawn or 'no trouble'}\n"
    )
    again = "run one alone: python -m tests.rehearsals.days SEED [SECONDS]"
    assert not wrong, "\n".join([again, *wrong])
    return duties
