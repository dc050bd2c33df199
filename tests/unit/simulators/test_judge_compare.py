"""Holding a monitor against the judge: what is missed, what is late, what is let go, what is invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulators.truth.episodes import Clause, Duty, Episode
from testing.randomdays.compare import Raised, differences


def episode(clause: Clause = Clause.OVERDRAW, duty: Duty = Duty.PAGE, to_ms: int = 60_000) -> Episode:
    """Return an episode of which a page is due from 5 to 7 s."""
    return Episode(
        tenant="acme",
        clause=clause,
        duty=duty,
        from_ms=0,
        to_ms=to_ms,
        earliest_ms=5_000,
        latest_ms=7_000,
        told_by_ms=7_000,
        peak=2_000_000,
        allowed=1_000_000,
    )


def raised(
    rule: str = "C2", opened_ms: int = 6_000, told_ms: int | None = 6_200, returned_ms: int | None = None
) -> Raised:
    """Return an alarm of acme, in time where nothing else is said."""
    return Raised(rule=rule, subject="acme", opened_ms=opened_ms, told_ms=told_ms, returned_ms=returned_ms)


def test_a_page_in_its_window_is_right() -> None:
    """Opened and told between the earliest and the latest moment, and standing while the episode lasts."""
    assert differences([episode()], [raised()]) == []
    assert differences([episode()], [raised(returned_ms=60_000)]) == []


def test_an_alarm_that_stands_already_is_right() -> None:
    """An episode that begins while the alarm of the one before stands needs no second page."""
    before = episode(duty=Duty.NONE)
    assert differences([before, episode()], [raised(opened_ms=5_000, told_ms=5_000)]) == []


@pytest.mark.parametrize(
    ("alarms", "said"),
    [
        ([], "missed"),
        ([raised(told_ms=7_001)], "missed"),
        ([raised(told_ms=None)], "missed"),
        ([raised(rule="C1")], "missed"),
        ([raised(returned_ms=59_000)], "let go"),
    ],
    ids=["none", "late", "untold", "another rule", "returned too soon"],
)
def test_a_page_that_is_owed_and_does_not_come_is_missed(alarms: list[Raised], said: str) -> None:
    """None, too late, told to nobody, of another rule, or gone before the episode is."""
    found = differences([episode()], alarms)

    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize("opened_ms", [4_999, 7_001])
def test_a_page_outside_every_window_is_invented(opened_ms: int) -> None:
    """Too early and too late are both wrong."""
    alarm = raised(opened_ms=opened_ms, told_ms=opened_ms)

    found = differences([episode(duty=Duty.NONE)], [alarm])

    assert len(found) == 1
    assert found[0].startswith("invented: C2 of acme")


def test_a_page_about_somebody_else_is_invented() -> None:
    """An episode excuses the pages of its own tenant only."""
    other = Raised(rule="C2", subject="basil", opened_ms=6_000, told_ms=6_000, returned_ms=None)

    assert len(differences([episode(duty=Duty.NONE)], [other])) == 1


@pytest.mark.parametrize("rule", ["C2", "C3", "C2-cannot-verify"])
def test_a_doubt_may_be_told_in_three_ways(rule: str) -> None:
    """Where nobody could be certain, each of them says that nobody is."""
    owed = [episode(duty=Duty.DOUBT), episode(duty=Duty.NONE)]

    assert differences(owed, [raised(rule=rule)]) == []
    assert len(differences(owed, [])) == 1


def test_a_doubt_may_be_overtaken_by_knowledge() -> None:
    """Who comes to know it as the doubt is due waits for its hold once more."""
    owed = replace(episode(duty=Duty.DOUBT), told_by_ms=12_000)

    assert differences([owed], [raised(told_ms=12_000)]) == []
    assert len(differences([owed], [raised(told_ms=12_001)])) == 1


@pytest.mark.parametrize(
    ("to_ms", "alarms", "count"),
    [
        (11_999, [raised(rule="C2-cannot-verify", told_ms=None, returned_ms=11_000)], 0),
        (11_999, [], 1),
        (11_999, [raised(rule="C2-cannot-verify", opened_ms=12_001, told_ms=None)], 1),
        (12_000, [raised(rule="C2-cannot-verify", told_ms=None, returned_ms=11_000)], 1),
    ],
    ids=["over before", "not found", "found too late", "not over before"],
)
def test_a_doubt_that_is_over_before_it_must_be_told_needs_to_be_found(
    to_ms: int, alarms: list[Raised], count: int
) -> None:
    """Who comes to think it likely as the doubt is due waits whether that lasts, and tells nobody by then."""
    owed = replace(episode(duty=Duty.DOUBT, to_ms=to_ms), told_by_ms=12_000)

    assert len(differences([owed], alarms)) == count


@pytest.mark.parametrize(
    ("alarm", "count"),
    [
        (raised(told_ms=3_600_000), 0),
        (raised(told_ms=3_600_000, returned_ms=9_000), 0),
        (raised(told_ms=None), 1),
        (raised(opened_ms=60_001, told_ms=70_000), 1),
        (raised(opened_ms=-9_000, returned_ms=0), 1),
    ],
    ids=["late", "as past", "untold", "of later", "of earlier"],
)
def test_what_follows_from_all_that_came_must_be_told_at_some_time(alarm: Raised, count: int) -> None:
    """However late, as standing or as past; but of that time, and to people."""
    owed = replace(episode(duty=Duty.TELL), latest_ms=60_000, told_by_ms=2**62)

    found = [text for text in differences([owed], [alarm]) if "untold" in text]

    assert len(found) == count


def test_a_block_may_be_told_once_it_is_settled() -> None:
    """It opens as the block closes, and is told when nothing can come late any more; not after that."""
    closed = replace(episode(clause=Clause.DEMAND), told_by_ms=70_000)

    assert differences([closed], [raised(rule="C4", told_ms=70_000)]) == []
    assert len(differences([closed], [raised(rule="C4", told_ms=70_001)])) == 1


def test_a_block_is_told_as_it_closes() -> None:
    """The next block may end the alarm at once."""
    closed = episode(clause=Clause.DEMAND, to_ms=5_000)

    assert differences([closed], [raised(rule="C4", returned_ms=6_500)]) == []


@pytest.mark.parametrize(("returned_ms", "count"), [(6_500, 0), (5_001, 0), (5_000, 1), (4_000, 1)])
def test_one_alarm_tells_of_blocks_one_after_the_other(returned_ms: int, count: int) -> None:
    """The alarm of an earlier block that still stands as the next one closes tells of that one too."""
    before = replace(episode(clause=Clause.DEMAND), earliest_ms=1_000, latest_ms=2_000)
    closed = episode(clause=Clause.DEMAND)
    alarm = raised(rule="C4", opened_ms=1_000, told_ms=1_000, returned_ms=returned_ms)

    assert len(differences([before, closed], [alarm])) == count


def test_what_no_clause_is_about_is_left_alone() -> None:
    """A warning is neither owed nor invented, and a burst waits for its rule."""
    assert differences([], [raised(rule="C1"), raised(rule="Q2")]) == []
    assert differences([episode(clause=Clause.BURST)], []) == []
