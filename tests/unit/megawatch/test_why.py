"""`why` shows the way of an alarm: the hold, what hid it, each route's attempts and answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.megawatch.asking import Answer, asking
from testing.store.ledgers import ROUTE, a_change, a_notice

SITE = """
[site]
name = "hall"
[[route]]
to = { webhook = "https://pager.example/secret-path" }
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the folder of a site in which a monitor ran."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "data").mkdir()
    return tmp_path


def save(site: Path, *changes: Any, notices: Any = ()) -> None:  # noqa: ANN401 - of the ledger's kinds
    """Save what a tick brought."""
    with closing(Ledger(site / "data")) as ledger:
        ledger.save(Progress(seq=1, tick_ms=T0_MS, changes=list(changes), notices=list(notices)))


def settle(site: Path, **facts: Any) -> None:  # noqa: ANN401 - any field of a notice
    """Note what became of everything that waits."""
    with closing(Ledger(site / "data")) as ledger:
        for notice in ledger.due(T0_MS + 10**9, ROUTE):
            ledger.settle(replace(notice, **facts))


def why(site: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    """Ask why."""
    with asking(capsys) as ask:
        return ask("why", site, "a", *arguments)


def document(site: Path, capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    """Return the answer as a document."""
    found: Mapping[str, Any] = why(site, capsys, "--json").document
    return found


def test_an_alarm_that_was_told_shows_its_attempts(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When it happened, after what hold it opened, who accepted it when, and what was said before."""
    opened = a_change("a", "opened", T0_MS)
    save(
        site,
        replace(opened, alarm=replace(opened.alarm, since_ms=T0_MS - 5_000)),
        notices=[a_notice("a", "opened", T0_MS)],
    )
    settle(site, state="delivered", attempts=3, delivered_ms=T0_MS + 2_500)

    found = document(site, capsys)
    lines = why(site, capsys).out

    assert (found["hold_s"], found["silence"]) == (5.0, None)
    (told,) = found["told"]
    assert (told["state"], told["attempts"], told["delay_s"]) == ("delivered", 3, 2.5)
    assert "opened" in lines
    assert "after 5 s" in lines
    assert "accepted 2.5 s later, 3 attempts" in lines


def test_what_waits_says_what_the_receiver_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, whatever it said."""
    save(site, a_change("a", "opened", T0_MS), notices=[a_notice("a", "opened", T0_MS)])
    settle(site, attempts=2, error="503\nbusy\x1b[2J")

    lines = why(site, capsys).out

    assert "waiting, 2 attempts, 503 busy" in lines
    assert "\x1b" not in lines


def test_what_was_hidden_says_by_what(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C1 beside the overdraw that says more."""
    hidden, grave = a_change("a", "opened", T0_MS), a_change("b", "opened", T0_MS)
    save(
        site,
        replace(hidden, alarm=replace(hidden.alarm, rule="C1", subject="acme", is_told=False)),
        replace(grave, alarm=replace(grave.alarm, rule="C2", subject="acme")),
    )

    found = document(site, capsys)

    assert found["told"] == []
    assert found["silence"] == "hidden by C2 acme (b)"
    assert found["hidden_by"] == ["b"]
    assert "nothing was told: hidden by C2 acme (b)" in why(site, capsys).out


def test_what_was_damped_says_why(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Q10, with its alarm of this one; not that of another."""
    damped, other = a_change("a", "opened", T0_MS), a_change("c", "opened", T0_MS)
    chatter = a_change("b", "opened", T0_MS)
    save(
        site,
        replace(
            damped,
            alarm=replace(damped.alarm, rule="T1", subject="r1", is_told=False),
            reason="damped by Q10: this alarm chatters",
        ),
        replace(chatter, alarm=replace(chatter.alarm, rule="Q10", subject="T1 r1")),
        replace(other, alarm=replace(other.alarm, rule="Q10", subject="T1 r2")),
    )

    found = document(site, capsys)

    assert found["silence"] == "damped by Q10: this alarm chatters: Q10 T1 r1 (b)"
    assert found["hidden_by"] == ["b"]


def test_what_no_route_takes_is_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody hears of it, and nobody wonders."""
    save(site, a_change("a", "opened", T0_MS))

    assert "no route of the site file took it" in document(site, capsys)["silence"]


def test_no_alarm_of_that_name(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear line."""
    save(site)

    answer = why(site, capsys)

    assert answer.status == 1
    assert "found no alarm for 'a' (pages of Q9, about Megawatch itself, end by themselves" in answer.err
