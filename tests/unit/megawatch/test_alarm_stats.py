"""`alarms --stats`: steady state and upset apart, floods, chattering, stale alarms; by hand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facility.instants import DAY_MS, MINUTE_MS
from megawatch.cli.alarmstats import floods_of, most_within, statistics_of
from megawatch.run.clock import SteadyClock
from rules.alarms.openings import FLOOD_MS, FOR_CHATTER, FOR_FLOOD
from store.ledger.alarms import Alarm, Progress
from store.ledger.ledger import Ledger
from testing.megawatch.asking import asking
from testing.store.ledgers import a_change

BEGIN_MS = 20_000 * DAY_MS
SITE = '[site]\nname = "hall"\n'


def alarms_at(times_ms: Iterable[int], *, subject: str = "", lasts_ms: int = 1_000) -> list[Alarm]:
    """Return alarms that opened then, each of another subject where none is given."""
    return [
        replace(
            a_change(f"{subject}{time_ms}", "opened", time_ms).alarm,
            subject=subject or f"s{time_ms}",
            opened_ms=time_ms,
            returned_ms=time_ms + lasts_ms,
        )
        for time_ms in times_ms
    ]


def test_steady_state_and_upset_are_told_apart() -> None:
    """Two days: 12 in one minute of the first, 6 spread over the second."""
    burst = [BEGIN_MS + 3_600_000 + i * 5_000 for i in range(12)]
    spread = [BEGIN_MS + DAY_MS + i * 4 * 3_600_000 for i in range(6)]
    found = statistics_of(alarms_at(burst + spread), BEGIN_MS, BEGIN_MS + 2 * DAY_MS)

    assert found["steady_per_10_min"] == pytest.approx(18 / 288)
    assert found["upset_per_10_min"] == (12 + 1) / 2
    assert (found["peak_hour"], found["peak_minute"]) == (12, 12)
    assert (found["told"], found["not_told"]) == (18, 0)
    assert found["floods"] == 1
    assert found["flood_percent"] == pytest.approx(100 * (55_000 + FLOOD_MS) / (2 * DAY_MS))


@pytest.mark.parametrize(
    ("minutes", "floods"),
    [
        pytest.param([i / 2 for i in range(10)], 0, id="ten are none"),
        pytest.param([i / 2 for i in range(11)], 1, id="eleven are one"),
        pytest.param([i / 2 for i in range(11)] + [9 + i for i in range(30)], 1, id="as long as five come"),
        pytest.param([i / 2 for i in range(11)] + [30 + i / 2 for i in range(11)], 2, id="it ended between"),
    ],
)
def test_a_flood_begins_above_ten_and_ends_below_five(minutes: list[float], floods: int) -> None:
    """In ten minutes."""
    times = np.array([BEGIN_MS + round(minute * MINUTE_MS) for minute in minutes], np.int64)

    assert len(floods_of(times)) == floods


def test_most_within_a_span_is_counted_at_its_border() -> None:
    """What is exactly a span ago is not within it."""
    times = np.array([0, 60_000, 60_001, 119_999], np.int64) + BEGIN_MS

    assert most_within(times, 60_000) == 3
    assert most_within(times[:0], 60_000) == 0


def test_chattering_and_stale_alarms_are_counted() -> None:
    """One three times in a minute, one that stands for more than a day."""
    chatters = alarms_at([BEGIN_MS, BEGIN_MS + 20_000, BEGIN_MS + 59_999], subject="fan")
    stands = alarms_at([BEGIN_MS + 1], subject="door", lasts_ms=DAY_MS + 1)
    found = statistics_of(chatters + stands, BEGIN_MS, BEGIN_MS + 7 * DAY_MS)

    assert (found["chattering"], found["stale"]) == (1, 1)
    assert found["most_frequent"][0] == {"rule": "C2", "subject": "fan", "alarms": 3, "percent": 75.0}


def test_nothing_at_all_has_figures_too() -> None:
    """A month without an alarm."""
    found = statistics_of([], BEGIN_MS, BEGIN_MS + 30 * DAY_MS)

    assert (found["told"], found["upset_per_10_min"], found["acknowledged_after_s"]) == (0, 0, None)
    assert found["most_frequent"] == []


def test_the_list_and_the_figures_are_of_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By rule, subject, severity and age."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "data").mkdir()
    now_ms = SteadyClock().now_ms()
    changes = []
    for name, subject, severity, age_ms in (
        ("a1", "r1", "critical", 60_000),
        ("b2", "r2", "low", 60_000),
        ("c3", "x1", "critical", 3 * DAY_MS),
    ):
        opened = a_change(name, "opened", now_ms - age_ms)
        changes.append(
            replace(
                opened,
                alarm=replace(opened.alarm, subject=subject, severity=severity, opened_ms=now_ms - age_ms),
            )
        )
    with closing(Ledger(tmp_path / "data")) as ledger:
        ledger.save(Progress(seq=1, tick_ms=now_ms, changes=changes))

    def ids(*arguments: str) -> list[str]:
        with asking(capsys) as ask:
            return [alarm["id"] for alarm in ask("alarms", tmp_path, *arguments, "--json").document]

    assert ids() == ["c3", "a1", "b2"]
    assert ids("--subject", "r*") == ["a1", "b2"]
    assert ids("--severity", "critical") == ["c3", "a1"]
    assert ids("--last", "1d") == ["a1", "b2"]
    assert ids("--rule", "T7") == []
    with asking(capsys) as ask:
        found = ask("alarms", tmp_path, "--stats", "--last", "2d", "--json").document
        lines = ask("alarms", tmp_path, "--stats").out
        wrong = ask("alarms", tmp_path, "--subject", "r{1..")
        unknown = [
            ask("alarms", tmp_path, *asked).status
            for asked in (("--severity", "bogus"), ("--rule", "Z9"), ("--last", "99999999d"))
        ]
    assert found["told"] == 2
    assert "3 alarms told: 2 critical, 1 low" in lines
    assert unknown == [2, 2, 2]
    assert (wrong.status, "expected closed brackets" in wrong.err) == (2, True)


def test_what_was_damped_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what was not told; what was told after all, once it stood for a minute, is not."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "data").mkdir()
    now_ms = SteadyClock().now_ms() - MINUTE_MS
    changes = []
    for name, is_told, reason in (
        ("a1", False, FOR_CHATTER),
        ("b2", False, FOR_FLOOD),
        ("c3", True, FOR_FLOOD),
        ("d4", False, ""),
        ("e5", False, "shelved by ann: damped by Q10"),
    ):
        opened = a_change(name, "opened", now_ms)
        alarm = replace(opened.alarm, opened_ms=now_ms, is_told=is_told)
        changes.append(replace(opened, alarm=alarm, reason=reason))
    with closing(Ledger(tmp_path / "data")) as ledger:
        ledger.save(Progress(seq=1, tick_ms=now_ms, changes=changes))

    with asking(capsys) as ask:
        found = ask("alarms", tmp_path, "--stats", "--json").document
        lines = ask("alarms", tmp_path, "--stats").out

    assert (found["told"], found["not_told"], found["damped"]) == (1, 4, 2)
    assert "4 not told: under a cause, shelved, out of service, or 2 damped" in lines
