"""What was refused can be looked at, by reason, topic and time, and does nothing to a terminal."""

from __future__ import annotations

import base64
from contextlib import closing
from pathlib import Path

import pytest

from facility.instants import to_iso
from facility.readings import Reason, Rejection
from megawatch.cli.deadletters import fits
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.megawatch.asking import asking

ESCAPE = b"\x1b[2Jgone \xff"
LETTERS = (
    ("hall/r1", b"{", Reason.BAD_JSON, 0),
    ("hall/r2", ESCAPE, Reason.WRONG_TYPE, 60_000),
    ("plant/\x1b[31mr3", b"x" * 900, Reason.WRONG_TYPE, 120_000),
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site whose journal has three dead letters, a minute apart."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    letters = [
        Rejection(topic, payload, len(payload), reason, f"expected better, found {topic}", T0_MS + after_ms)
        for topic, payload, reason, after_ms in LETTERS
    ]
    with closing(Journal(tmp_path / "data")) as journal, closing(Ledger(tmp_path / "data")):
        journal.append(Intake(rejections=letters, received_ms=T0_MS), T0_MS)
    return tmp_path


def test_dead_letters_are_shown_newest_first_with_what_they_said(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Time, reason, topic, what was expected, length and payload; and the sum by reason."""
    with asking(capsys) as ask:
        told = ask("deadletters", site).out.splitlines()

    assert [line.split("  ")[1:] for line in told[0:9:3]] == [
        ["wrong-type", "plant/\\x1b[31mr3"],
        ["wrong-type", "hall/r2"],
        ["bad-json", "hall/r1"],
    ]
    assert told[4:6] == ["    expected better, found hall/r2", "    10 bytes: \\x1b[2Jgone \\xff"]
    assert told[2] == f"    900 bytes: {'x' * 400} ..."
    assert told[-1] == "3 shown of 3: bad-json 1, wrong-type 2"
    assert not any("\x1b" in line for line in told)


@pytest.mark.parametrize(
    ("options", "topics"),
    [
        ((), ["plant/\x1b[31mr3", "hall/r2", "hall/r1"]),
        (("--reason", "bad-json"), ["hall/r1"]),
        (("--topic", "hall/#"), ["hall/r2", "hall/r1"]),
        (("--topic", "+/r1"), ["hall/r1"]),
        (("--topic", "hall"), []),
        (("--most", "1"), ["plant/\x1b[31mr3"]),
        (("--most", "1", "--topic", "hall/r1"), ["hall/r1"]),
        (("--from", "{1}"), ["plant/\x1b[31mr3", "hall/r2"]),
        (("--to", "{1}"), ["hall/r1"]),
        (("--to", "{2}", "--last", "1m"), ["hall/r2"]),
    ],
)
def test_dead_letters_are_chosen(
    site: Path, options: tuple[str, ...], topics: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By reason, by topic or topic filter, by time, and at most so many."""
    times = [to_iso(T0_MS + 60_000 * minute) for minute in range(3)]
    with asking(capsys) as ask:
        found = ask("deadletters", site, "--json", *(option.format(*times) for option in options)).document

    assert [letter["topic"] for letter in found["letters"]] == topics
    assert (found["dead_lettered"], found["by_reason"]) == (3, {"bad-json": 1, "wrong-type": 2})


def test_a_payload_is_there_byte_by_byte(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, in which what is none is escaped, and as base64."""
    with asking(capsys) as ask:
        (letter,) = ask("deadletters", site, "--topic", "hall/r2", "--json").document["letters"]

    assert (letter["payload"], letter["length"]) == ("\x1b[2Jgone \\xff", 10)
    assert base64.b64decode(letter["payload_base64"]) == ESCAPE


def test_an_unknown_reason_and_a_site_that_never_ran_are_told(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the nearest reason that there is."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "site.toml").write_text('[site]\nname = "hall"\n')
    with asking(capsys) as ask:
        unknown = ask("deadletters", site, "--reason", "bad-jsn")
        never = ask("deadletters", tmp_path / "new")

    assert (unknown.status, never.status) == (2, 1)
    assert "found 'bad-jsn'; did you mean 'bad-json'?" in unknown.err
    assert "no monitor has run here yet" in never.err


@pytest.mark.parametrize(
    ("topic", "asked", "expected"),
    [
        ("a/b", "#", True),
        ("a", "a/#", True),
        ("a/b/c", "a/#", True),
        ("b/b", "a/#", False),
        ("a/b", "a/+", True),
        ("a/b/c", "a/+", False),
        ("a//c", "a/+/c", True),
        ("a/b", "a/b", True),
        ("a/b", "a", False),
    ],
)
def test_a_topic_filter_lets_through_what_mqtt_says(topic: str, asked: str, expected: bool) -> None:  # noqa: FBT001
    """`+` is one level, `#` is any number of them, also none."""
    assert fits(topic, asked) is expected


def test_alarms_say_that_the_monitor_is_down(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An alarm list of a monitor that stopped is of then; programs get it beside the document."""
    status = site / "data" / "status"
    status.mkdir()
    (status / "all.json").write_text(f'{{"site": "hall", "at_ms": {T0_MS}, "is_running": true}}')
    with asking(capsys) as ask:
        told, shown = ask("alarms", site), ask("alarms", site, "--json")

    assert (told.status, shown.document) == (0, [])
    assert "The monitor does not run; this is of" in told.err
    assert "The monitor does not run; this is of" in shown.err
