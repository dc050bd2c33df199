"""`ack` of an alarm that nobody was told of: it says so, says why and what follows, and takes it in hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from megawatch.run.clock import SteadyClock
from store.ledger.alarms import Alarm, Progress
from store.ledger.ledger import Ledger
from testing.megawatch.asking import Answer, asking
from testing.store.ledgers import a_change

Ask = Callable[..., Answer]
FOLLOWS = (
    "if it still stands once that is over, it is told then, once, on the routes that are open;"
    " it is neither repeated nor escalated, and not told later"
)


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return what asks `ack` about a coolant unit without flow, and alarms beneath it that are not told."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n[[rack]]\nids = ["r{1..4}"]\n')
    (tmp_path / "data").mkdir()
    now_ms = SteadyClock().now_ms()

    def alarm(name: str, rule: str, subject: str, since_s: int, **facts: object) -> Alarm:
        opened_ms = now_ms - since_s * 1_000
        made = replace(a_change(name, "opened", opened_ms).alarm, rule=rule, subject=subject)
        return replace(made, since_ms=opened_ms, opened_ms=opened_ms, **facts)  # type: ignore[arg-type]

    hidden = {"is_told": False}
    alarms = [
        alarm("aa01", "T18", "CDU-1", 60),
        alarm("bb02", "T7", "r1", 59, **hidden),
        alarm("cc03", "T7", "r2", 58, **hidden, returned_ms=now_ms - 1_000),
        alarm("dd04", "T12", "r3", 57, **hidden, returned_ms=now_ms - 1_000, needs_acknowledgement=True),
        alarm("ee05", "T7", "r4", 90, returned_ms=now_ms - 70_000),
    ]
    changes = [replace(a_change(one.id, "opened", one.opened_ms), alarm=one) for one in alarms]
    with closing(Ledger(tmp_path / "data")) as ledger:
        ledger.save(Progress(seq=1, tick_ms=alarms[0].opened_ms, changes=changes))

    def asked(*arguments: object) -> Answer:
        with asking(capsys) as asker:
            return asker("ack", tmp_path, *arguments)

    return asked


def test_one_that_stands_is_taken_in_hand_and_what_hides_it_is_named(ask: Ask) -> None:
    """It may be told yet, at most once; then it is in hand already."""
    answer = ask("bb02", "--by", "ann")

    assert answer.out.splitlines() == [
        "bb02 T7 r1: active, acknowledged, by ann",
        "nobody was told of it: hidden by T18 CDU-1 (aa01)",
        FOLLOWS,
    ]
    again = ask("bb02", "--by", "bob").out.splitlines()
    assert again[0] == "bb02 T7 r1: active, acknowledged, by ann; it was before you"


def test_one_that_is_over_is_nothing_to_take_in_hand(ask: Ask) -> None:
    """Nothing went wrong, and nothing is changed: it came and went under what says more."""
    answer = ask("cc03", "--by", "ann")

    assert answer.status == 0
    assert answer.out.splitlines() == [
        "cc03 T7 r2: it is over, and there is nothing to take in hand",
        "nobody was told of it: hidden by T18 CDU-1 (aa01)",
    ]
    assert ask("cc03", "--json").document["acknowledged_by"] is None


def test_one_that_is_over_and_waits_for_it_leaves_the_list(ask: Ask) -> None:
    """Whether it was told or not."""
    answer = ask("dd04", "--by", "ann")

    assert answer.out.splitlines()[0] == "dd04 T12 r3: normal, by ann"
    assert answer.out.splitlines()[1].startswith("nobody was told of it: ")
    assert FOLLOWS not in answer.out


def test_one_that_was_told_and_is_over_is_refused(ask: Ask) -> None:
    """Whoever takes it in hand now is too late."""
    answer = ask("ee05", "--by", "ann")

    assert answer.status == 2
    assert "which is over" in answer.err
