"""`shelve`, `suppress`, `maintenance`, `unshelve` and `suppressions`: kept, previewed, ended, or refused."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from megawatch.run.clock import SteadyClock
from store.ledger.alarms import Alarm, Progress
from store.ledger.ledger import Ledger
from testing.megawatch.asking import Answer, asking
from testing.store.ledgers import a_change

SITE = """
[site]
name = "hall"
[[rack]]
ids = ["r{1..4}"]
[[asset]]
id = "CDU-1"
kind = "CDU"
serves = ["r1", "r2"]
"""


def an_alarm(name: str, rule: str, subject: str, *, severity: str = "medium") -> Alarm:
    """Return an alarm that opened a minute ago and was told."""
    opened_ms = SteadyClock().now_ms() - 60_000
    alarm = a_change(name, "opened", opened_ms).alarm
    return replace(alarm, rule=rule, subject=subject, severity=severity, opened_ms=opened_ms)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the folder of a site with four alarms, two of what a coolant unit serves."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "data").mkdir()
    alarms = [
        an_alarm("aa01", "T7", "r1", severity="critical"),
        an_alarm("bb02", "Q1", "r2"),
        an_alarm("cc03", "T7", "r3"),
        an_alarm("dd04", "T12", "CDU-1", severity="critical"),
    ]
    changes = [replace(a_change(alarm.id, "opened", alarm.opened_ms), alarm=alarm) for alarm in alarms]
    with closing(Ledger(tmp_path / "data")) as ledger:
        ledger.save(Progress(seq=1, tick_ms=alarms[0].opened_ms, changes=changes))
    return tmp_path


def ask(capsys: pytest.CaptureFixture[str], command: str, *arguments: object) -> Answer:
    """Ask one command."""
    with asking(capsys) as asker:
        return asker(command, *arguments)


WHY = ("--why", "pump exchange", "--by", "ann")


def test_a_shelf_is_kept_listed_and_ended(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says who, when, why and until when; ended, it is only in the whole list."""
    made = ask(capsys, "shelve", site, "aa01", "--for", "2h", *WHY, "--json").document
    assert (made["kind"], made["alarm"], made["by"], made["why"]) == (
        "shelved",
        "aa01",
        "ann",
        "pump exchange",
    )
    assert made["id"] in ask(capsys, "suppressions", site).out
    assert ask(capsys, "suppressions", site, "--json").document == [made]

    ended = ask(capsys, "unshelve", site, made["id"], "--by", "bob", "--json").document
    assert ended["ended_by"] == "bob"
    assert "nothing is suppressed" in ask(capsys, "suppressions", site).out
    assert ask(capsys, "suppressions", site, "--all", "--json").document == [ended]


def test_maintenance_says_before_what_it_would_have_hidden(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is about the unit or what it serves; never a leak; and nothing is kept."""
    arguments = (site, "--asset", "CDU-1", "--for", "4h", *WHY, "--preview", "7d")
    found = ask(capsys, "maintenance", *arguments, "--json").document
    lines = ask(capsys, "maintenance", *arguments).out

    assert (found["alarms"], found["by_rule"], found["critical"]) == (["aa01", "bb02"], {"Q1": 1, "T7": 1}, 1)
    assert "would have hidden 2 alarms" in lines
    assert ask(capsys, "suppressions", site, "--json").document == []


def test_suppression_by_design_needs_no_end(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It holds until somebody ends it."""
    made = ask(capsys, "suppress", site, "--rule", "T7", "--subject", "r3", *WHY, "--json").document

    assert (made["to"], made["rules"], made["subjects"]) == (None, ["T7"], ["r3"])


WRONG = {
    "maintenance of no asset": (("maintenance", "--rule", "T7", "--for", "2h", *WHY), "after --asset"),
    "for longer than anybody means": (("suppress", "--rule", "T7", "--for", "99999d", *WHY), "at most 3650d"),
    "an alarm and a rule": (("shelve", "aa01", "--rule", "T7", "--for", "2h", *WHY), "found both"),
    "a rule in small letters": (("suppress", "--rule", "t7", *WHY), "did you mean 'T7'?"),
    "no reason": (("shelve", "aa01", "--for", "2h"), "expected a reason after --why"),
    "no end": (("shelve", "aa01", *WHY), "expected an end"),
    "too long a shelf": (("shelve", "aa01", "--for", "8d", *WHY), "expected at most 7d"),
    "nothing named": (
        ("maintenance", "--for", "2h", *WHY),
        "expected an alarm, a rule, a subject or an asset",
    ),
    "an unknown rule": (("suppress", "--rule", "Z9", *WHY), "expected the name of a rule, found 'Z9'"),
    "a rule that is always told": (("suppress", "--rule", "T12", *WHY), "cannot be suppressed"),
    "an alarm that is always told": (("shelve", "dd04", "--for", "2h", *WHY), "cannot be suppressed"),
    "an end before the beginning": (
        ("maintenance", "--asset", "CDU-1", "--from", "2099-01-02", "--to", "2099-01-01", *WHY),
        "expected an end after",
    ),
    "a beginning in the past": (
        ("maintenance", "--asset", "CDU-1", "--from", "2020-01-02", "--for", "2h", *WHY),
        "expected a beginning from now on",
    ),
    "two ends": (
        ("suppress", "--rule", "T7", "--for", "2h", "--to", "2099-01-01", *WHY),
        "expected --for or --to, found both",
    ),
    "a pattern that is none": (("suppress", "--asset", "r{1..", *WHY), "expected closed brackets"),
    "no such suppression": (("unshelve", "ffff"), "expected the id of one suppression, found 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_in_one_line(
    case: str, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, one line, and nothing is kept."""
    (command, *rest), told = WRONG[case]
    answer = ask(capsys, command, site, *rest)

    assert answer.status == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert ask(capsys, "suppressions", site, "--all", "--json").document == []
