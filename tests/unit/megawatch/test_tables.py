"""What people see in a terminal: it fits 80 columns and 120, and tells the worst first."""

from __future__ import annotations

import io
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console, RenderableType

from megawatch.cli import show
from megawatch.cli.drawbar import DrawBar
from store.ledger.alarms import Alarm
from testing.builders import T0_MS

ZONE = ZoneInfo("UTC")


def drawn(content: RenderableType, width: int) -> list[str]:
    """Return what a terminal of so many columns shows."""
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(content)
    return captured.get().splitlines()


def a_tenant(name: str = "acme", **figures: Any) -> dict[str, Any]:  # noqa: ANN401 - of a document
    """Return a tenant as `status` gives it; clear where nothing else is said."""
    usual = {"low_kw": 1_500.0, "best_kw": 1_500.0, "high_kw": 1_500.0, "limit_kw": 1_850.0}
    return (
        {"id": name, "name": name, "verdict": "clear", "is_starting": False, "coverage": 1.0}
        | usual
        | figures
    )


def an_alarm(number: int, severity: str = "high", **more: Any) -> Alarm:  # noqa: ANN401 - any attribute
    """Return an alarm; each number opened a second later."""
    usual: dict[str, Any] = {
        "rule": "C2", "title": "draw above the contracted limit", "subject": "acme", "unit": "kW",
        "value": 1_938.4, "limit": 1_850.0, "peak": 1_964.0,
    }  # fmt: skip
    at_ms = T0_MS + number * 1_000
    return Alarm(id=f"{number:020x}", severity=severity, since_ms=at_ms, opened_ms=at_ms, **usual | more)


# Bars -------------------------------------------------------------------------------------

BARS = {
    "clear": (DrawBar(90, 90, 90, 100, "green"), "█████████ ┃ "),
    "nothing drawn": (DrawBar(0, 0, 0, 100, "green"), "          ┃ "),
    "exactly at the limit": (DrawBar(100, 100, 100, 100, "green"), "██████████┃ "),
    "a watt above it": (DrawBar(100.001, 100.001, 100.001, 100, "red"), "██████████┃█"),
    "far above it": (DrawBar(500, 500, 500, 100, "red"), "██████████┃█"),
    "possible only": (DrawBar(40, 70, 95, 100, "yellow"), "████░░●░░░┃ "),
    "possibly a watt above": (DrawBar(40, 70, 100.001, 100, "yellow"), "████░░●░░░┃░"),
    "no bound": (DrawBar(40, 40, None, 100, "yellow"), "███●░░░░░░┃░"),
}


@pytest.mark.parametrize("case", BARS)
def test_a_bar_is_never_past_a_limit_that_is_kept(case: str) -> None:
    """What is certain, what is possible and the best estimate stand on the right side of the limit."""
    bar, expected = BARS[case]

    assert bar.text(12).plain == expected


@pytest.mark.parametrize("width", [12, 17, 40, 61])
def test_limits_stand_under_each_other(width: int) -> None:
    """Bars of one width have their limit in one column, whatever the limit."""
    columns = {DrawBar(low, low, low, limit, "green").text(width).plain.index("┃")
               for low, limit in ((1, 10), (900, 1_000), (3e5, 2e5), (0, 7))}  # fmt: skip

    assert len(columns) == 1


# Tenants ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_tenant_is_one_line(width: int) -> None:
    """Name, draw, contract, verdict and coverage fit a line, with their units."""
    tenants = [
        a_tenant("Orchid AI"),
        a_tenant("Basil Research", low_kw=553.6, high_kw=1_346.0, verdict="unknown", coverage=0.5),
        a_tenant("Operator", limit_kw=None, verdict=None, high_kw=None),
    ]
    lines = drawn(show.tenants_table(tenants, width), width)

    assert len(lines) == 4
    assert all(len(line) <= width for line in lines)
    assert "1.500 MW" in lines[1]
    assert "CLEAR" in lines[1]
    assert "UNKNOWN" in lines[2]
    assert "50.0 %" in lines[2]
    assert "┃" not in lines[3]
    if width >= show.WIDE:
        assert "553.6 kW and 1.346 MW" in lines[2]
        assert "1.500 MW and more" in lines[3]


def test_nothing_judged_yet_is_said() -> None:
    """Without tenants there is a sentence and no empty table."""
    assert drawn(show.tenants_table([], 80), 80) == ["nothing was judged yet"]


# Alarms -----------------------------------------------------------------------------------


def alarm_lines(alarms: list[Alarm], width: int = 120, **options: Any) -> list[str]:  # noqa: ANN401 - handed on
    """Return the lines of an alarm list."""
    now_ms = options.pop("now_ms", T0_MS + 60_000)
    return drawn(show.alarms_table(alarms, ZONE, now_ms=now_ms, width=width, **options), width)


@pytest.mark.parametrize("width", [80, 120])
def test_an_alarm_is_one_line(width: int) -> None:
    """Its id, severity, subject, and value of limit fit a line at 80 columns; the title may be cut."""
    long = an_alarm(1, "critical", subject="bus:PUB:GATEWAY-OF-THE-SECOND-HALL", title="a title " * 20)
    lines = alarm_lines([long, an_alarm(2, "medium")], width)

    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)
    assert "00000000" in lines[1]
    assert "CRIT" in lines[1]
    assert "20:26:41" in lines[1]
    assert "1.964 of 1.850 MW" in lines[1]
    assert "acme" in lines[2]


def test_alarms_come_worst_first() -> None:
    """Open ones before those that are over, then by severity, then the newest."""
    alarms = [
        an_alarm(1, "critical", returned_ms=T0_MS + 9_000, needs_acknowledgement=True),
        an_alarm(2, "medium"),
        an_alarm(3, "high", subject="first"),
        an_alarm(4, "high", subject="second"),
    ]
    lines = alarm_lines(alarms)[1:]

    assert ["second" in lines[0], "first" in lines[1], "MED" in lines[2], "CRIT" in lines[3]] == [True] * 4
    assert "over since 20:26:49" in lines[3]


def test_alarms_held_back_are_counted_and_can_be_seen() -> None:
    """Under a common cause a hundred silent racks are one line; unfolded each is its own."""
    held = [an_alarm(i, "low", rule="Q1", title="rack silent", is_told=False) for i in range(100)]
    folded = alarm_lines([an_alarm(200), *held])
    unfolded = alarm_lines([an_alarm(200), *held], folds=False)

    assert len(folded) == 3
    assert "100 more held back" in folded[2]
    assert "Q1 (100)" in folded[2]
    assert len(unfolded) == 102


def test_a_list_that_is_too_long_says_so() -> None:
    """Rows beyond those that fit are counted."""
    assert len(alarm_lines([an_alarm(i) for i in range(10)], most=10)) == 11
    cut = alarm_lines([an_alarm(i) for i in range(11)], most=10)
    assert len(cut) == 11
    assert cut[-1].strip() == "and 2 more"


def test_times_of_another_day_carry_their_date() -> None:
    """At half past midnight an alarm of the evening is not shown as if it were of today."""
    assert "05-28 20:26" in alarm_lines([an_alarm(1)], now_ms=T0_MS + 4 * 3_600_000)[1]


def test_an_alarm_shows_who_has_it_in_hand() -> None:
    """Acknowledged alarms name who; in narrow terminals the mark tells."""
    taken = an_alarm(1, acknowledged_ms=T0_MS, acknowledged_by="kim")

    assert "acknowledged: kim" in alarm_lines([taken])[1]
    assert alarm_lines([taken], 80)[1].startswith("✓")


FIGURES = {
    "kilowatts and megawatts": (an_alarm(1, peak=900.0, limit=1_250.0), "900.0 kW of 1.250 MW"),
    "one unit": (an_alarm(1), "1.964 of 1.850 MW"),
    "percent": (an_alarm(1, unit="%", peak=66.666, limit=95.0), "66.7 of 95.0 %"),
    "no limit": (an_alarm(1, unit="s", peak=8.2, limit=0.0), "8.2 s"),
    "nothing": (an_alarm(1, value=None, peak=None), ""),
}


@pytest.mark.parametrize("case", FIGURES)
def test_figures_carry_their_unit(case: str) -> None:
    """Value and limit share a unit where they can, and never lose it."""
    alarm, expected = FIGURES[case]

    assert show.figures(alarm) == expected


# The pipeline -----------------------------------------------------------------------------


def test_the_accounting_fits_a_line() -> None:
    """Where every reading went is one sum on one line, up to hundreds of thousands."""
    account = {"received": 212_811, "stored": 212_800, "dead_lettered": 5, "duplicates": 4, "waiting": 2}

    assert drawn(show.accounting_line(account), 80) == [
        "212,811 received = 212,800 stored + 5 dead-lettered + 4 duplicates + 2 waiting"
    ]


def test_what_is_wrong_with_the_pipeline_is_said() -> None:
    """A broker that refuses, a database that is away, and pages that wait are each a line."""
    broker = {"name": "bus", "state": "refused", "detail": "wrong password", "store_error": "", "gaps": 2}
    status = {
        "brokers": [broker],
        "history": {"sink": "influxdb", "error": "connection refused"},
        "rules": {"is_recovering": True},
        "undelivered": 3,
    }

    assert [line.plain for line in show.pipeline_lines(status)] == [
        "broker bus: refused, wrong password, 2 gaps",
        "database: influxdb, connection refused",
        "rules: catching up with what came before",
        "3 notifications wait",
    ]
