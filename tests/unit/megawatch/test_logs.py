"""A log that nobody reads, or that takes nothing, holds up no monitor and ends none."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from megawatch.run import logs
from megawatch.run.status import read_status
from testing.servers.process import free_port
from testing.waiting import wait_until

SITE = """
[site]
name = "hall"
[[broker]]
url = "mqtt://127.0.0.1:{port}"
[[route]]
to = {{ console = true }}
"""


class Stopped(io.StringIO):
    """A terminal that was stopped: it takes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def write(self, text: str) -> int:
        """Wait, then take it."""
        assert self.may_go_on.wait(60)
        return super().write(text)


def test_a_terminal_that_takes_nothing_holds_up_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, and written once it takes something again."""
    monkeypatch.setattr(logs, "MOST_LINES", 10)
    terminal = Stopped()
    stream = logs.Beside(terminal)

    for number in range(100):
        stream.write(f"{number}\n")
    terminal.may_go_on.set()
    wait_until(lambda: "0\n1\n2\n" in terminal.getvalue(), "the first are written")
    stream.close()

    assert 10 <= terminal.getvalue().count("\n") <= 12


def said_ms(site: Path) -> int:
    """Return when a monitor last said how it does [ms], 0 before it did."""
    found = read_status(site / "data")
    return 0 if found is None else found["at_ms"]


def test_a_monitor_whose_terminal_is_gone_goes_on(tmp_path: Path) -> None:
    """Its log and its console were a pipe to a program that ended."""
    (tmp_path / "site.toml").write_text(SITE.format(port=free_port()))
    command = [sys.executable, "-m", "megawatch", "run", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            wait_until(lambda: said_ms(tmp_path) > 0, "it runs")
            assert process.stderr is not None
            process.stderr.close()
            until_ms = said_ms(tmp_path) + 3_000
            wait_until(
                lambda: process.poll() is not None or said_ms(tmp_path) > until_ms,
                "it went on for three seconds",
            )
            assert process.poll() is None
        finally:
            process.terminate()
    assert process.returncode == 0
