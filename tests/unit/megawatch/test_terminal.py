"""What comes from outside is text on a terminal, wherever it is shown."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
import structlog
from rich.text import Text

from megawatch.cli import options, show
from megawatch.cli.terminal import Terminal
from megawatch.run import logs
from rules.notify.console import ConsoleNotifier
from store.ledger.alarms import Alarm, Notice
from testing.builders import T0_MS

EVIL = "\x1b[2J\x9bH[bold red]all is well[/nothing]:smile:\u202e\r"
WRITTEN = ("\\x1b[2J", "[bold red]", "[/nothing]", ":smile:")


def an_alarm() -> Alarm:
    """Return an alarm whose every text is from outside."""
    return Alarm(
        id="0123456789abcdef",
        rule=EVIL,
        title=EVIL,
        subject=EVIL,
        severity="high",
        unit="kW",
        since_ms=T0_MS,
        opened_ms=T0_MS,
        acknowledged_ms=T0_MS,
        acknowledged_by=EVIL,
    )


def printed(show_it: Callable[[Terminal], object]) -> str:
    """Return what is printed on a terminal of our own."""
    file = io.StringIO()
    show_it(Terminal(file, width=400))
    return file.getvalue()


def test_alarms_are_shown_as_they_are_called() -> None:
    """A subject, and who acknowledged: neither clears the screen, nor is it markup that raises."""
    table = show.alarms_table([an_alarm()], ZoneInfo("UTC"), now_ms=T0_MS, width=400)

    text = printed(lambda terminal: terminal.print(table))

    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J" in text


def test_what_a_receiver_answered_is_shown_as_text() -> None:
    """Its answer stands in the status."""
    routes = [{"name": EVIL, "waiting": 1, "refused": 0, "failing_since_ms": T0_MS, "error": f"404 {EVIL}"}]
    lines = show.pipeline_lines({"routes": routes, "undelivered": 1})

    text = printed(lambda terminal: terminal.print(*lines))

    assert "\x1b" not in text
    assert all(part in text for part in WRITTEN)


@pytest.mark.parametrize(
    ("state", "restarts", "line"),
    [
        ("running", 0, None),
        ("running", 1, "trim: runs, after 1 restart: OSError: no"),
        ("restarting", 2, "trim: failed, begins again: OSError: no (2 restarts)"),
        ("hanging", 0, "trim: hangs: OSError: no"),
    ],
)
def test_a_part_stands_in_the_status_once_something_was_wrong_with_it(
    state: str, restarts: int, line: str | None
) -> None:
    """With its last error, which is text."""
    part = {"name": "trim", "state": state, "restarts": restarts, "error": "OSError: no", "failed_ms": T0_MS}

    shown = [text.plain for text in show.pipeline_lines({"parts": [part]})]

    assert shown == ([] if line is None else [line])


def test_a_console_that_nobody_reads_ends_no_monitor() -> None:
    """Rich ends the program: that is right for a command, and for a monitor it is one route that fails."""

    class Gone(io.StringIO):
        """A pipe whose reader ended."""

        def write(self, _text: str) -> int:
            """Say so."""
            raise BrokenPipeError

    body = {"text": "a page", "severity": "high", "change": "opened"}
    notice = Notice(key="a", route="console", alarm_id="a", body=body, source_ms=0, created_ms=0, due_ms=0)

    with pytest.raises(BrokenPipeError, match="nobody reads the terminal"):
        asyncio.run(ConsoleNotifier(Terminal(Gone(), stderr=True)).deliver(notice))


def test_a_page_on_the_console_is_text() -> None:
    """The console notifier prints what pages say."""
    body = {"text": f"{EVIL}\nwhere: {EVIL}", "severity": "high", "change": "opened"}
    notice = Notice(key="a", route="console", alarm_id="a", body=body, source_ms=0, created_ms=0, due_ms=0)

    text = printed(lambda terminal: asyncio.run(ConsoleNotifier(terminal).deliver(notice)))

    assert "\x1b" not in text
    assert text.count("\\x1b[2J") == 2


def test_our_own_colours_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what stands in the text is text."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    text = printed(lambda terminal: terminal.print(Text(EVIL, style="red")))

    assert text.startswith("\x1b[31m")
    assert "\x1b[2J" not in text


def test_commands_say_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What a command prints by itself, such as who acknowledged an alarm, and what it fails with."""
    options.say(f"alarm x: acknowledged, by {EVIL}\nnext line")
    options.say(EVIL, err=True)

    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert out.count("\n") == 2


def test_logs_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer from outside begins no line of its own in a log."""
    logs.configure()
    try:
        structlog.get_logger("x").warning("notification not accepted", cause=f"404 {EVIL}\nfake event")
    finally:
        structlog.reset_defaults()

    err = capsys.readouterr().err
    assert "\x1b[2J" not in err
    assert err.count("\n") == 1
