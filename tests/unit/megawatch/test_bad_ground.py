"""Starting, and being asked, on bad ground: what can be made again is, what cannot is named and told."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from megawatch.run.clock import SteadyClock
from megawatch.run.monitor import Monitor
from megawatch.run.problems import DAMAGED_TITLE
from megawatch.run.process import end
from megawatch.run.self_monitoring import START_TITLE
from megawatch.site.folder import open_site
from rules.engine import snapshot
from store.history.integrity import damaged_files
from store.journal import file as journalfile
from store.journal.journal import Journal
from store.ledger import ledger
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.megawatch.asking import asking
from testing.store.disks import small_disk
from testing.store.journals import readings
from testing.store.ledgers import progress
from testing.waiting import until

GARBAGE = b"\x00\xffnot what was written " * 300


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site on which a monitor has run."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    data = tmp_path / "data"
    now_ms = SteadyClock().now_ms()  # what was missed since is judged tick by tick
    with closing(Journal(data)) as journal, closing(Ledger(data)) as book:
        journal.append(readings((0, now_ms, 1.0), known=["r0"]), now_ms)
        book.save(progress(("a1", "opened", now_ms), seq=2, tick_ms=now_ms))
    (data / "status").mkdir()
    said = {"site": "hall", "at_ms": T0_MS, "is_running": True, "undelivered": 0}
    (data / "status" / "all.json").write_text(json.dumps(said))
    return tmp_path


async def told_by(site: Path, words: str, *, mend: Callable[[], object] | None = None) -> tuple[str, bool]:
    """Run a monitor until it has told something, and with the ground mended until it runs.

    Args:
        site: The site.
        words: What it must tell.
        mend: What mends the ground then.

    Returns:
        What it told on the console, and whether it had started.
    """
    console = io.StringIO()
    monitor = Monitor(open_site(site), console=Console(file=console, width=500))
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: words in console.getvalue(), words, console.getvalue)
        if mend is not None:
            mend()
            await until(monitor.started.is_set, "the monitor starts", console.getvalue)
    finally:
        with suppress(asyncio.CancelledError):
            await end(running)
    return console.getvalue(), monitor.started.is_set()


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for whether it lasts."""
    monkeypatch.setattr("megawatch.run.self_monitoring.ON_DELAY_MS", 0)
    monkeypatch.setattr("megawatch.run.monitor.START_PAUSE_S", 0.02)


@pytest.mark.usefixtures("_at_once")
def test_a_monitor_that_can_not_store_tells_that_and_starts_once_it_can(tmp_path: Path) -> None:
    """Its data folder cannot be made: that leaves as a page, from memory."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    (tmp_path / "data").write_text("a file where the folder should be")

    told, is_started = asyncio.run(told_by(tmp_path, START_TITLE, mend=(tmp_path / "data").unlink))

    assert "CRITICAL" in told
    assert "Not a directory" in told
    assert is_started


@pytest.mark.usefixtures("_at_once")
def test_a_monitor_that_can_make_no_file_tells_that_and_starts_once_it_can(tmp_path: Path) -> None:
    """On a real disk that has room and no inodes."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    with small_disk(tmp_path / "data", "8m", inodes=1) as data:
        more = ["mount", "-o", "remount,nr_inodes=100", str(data)]
        mend = partial(subprocess.run, more, check=True)
        told, is_started = asyncio.run(told_by(tmp_path, START_TITLE, mend=mend))

    assert "No space left on device" in told
    assert is_started


@pytest.mark.usefixtures("_at_once")
def test_a_file_of_a_newer_version_is_told_with_its_remedy(site: Path) -> None:
    """It is left as it is, and the monitor does not end without a word to whoever is on call."""
    with closing(Ledger(site / "data")) as book:
        book._writer.execute("PRAGMA user_version = 99")

    told, is_started = asyncio.run(told_by(site, START_TITLE))

    assert "run the version of Megawatch that wrote it" in " ".join(told.split())
    assert not is_started


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("file", [journalfile.FILE, ledger.FILE])
def test_a_monitor_on_garbage_begins_anew_and_tells_what_it_put_aside(site: Path, file: str) -> None:
    """The snapshot counts from the file that is gone: it is made again."""
    (site / "data" / file).write_bytes(GARBAGE)
    for suffix in ("-wal", "-shm"):
        (site / "data" / f"{file}{suffix}").unlink(missing_ok=True)
    (site / "data" / snapshot.FILE).write_bytes(GARBAGE)

    told, is_started = asyncio.run(told_by(site, DAMAGED_TITLE))

    assert is_started
    assert f"{file}.damaged" in told
    assert [path.read_bytes() for path in damaged_files(site / "data")] == [GARBAGE]
    made = site / "data" / snapshot.FILE
    assert not made.exists() or made.read_bytes() != GARBAGE


def test_a_removed_journal_is_no_other_journal(site: Path) -> None:
    """The history has sealed more than the new one holds; nothing is refused, and nothing is skipped."""
    with closing(Ledger(site / "data")) as book:
        book.save(Progress(seq=4_711, tick_ms=SteadyClock().now_ms()))
    for path in (site / "data").glob(f"{journalfile.FILE}*"):
        path.unlink()

    async def run() -> int:
        monitor = Monitor(open_site(site), console=Console(file=io.StringIO()))
        running = asyncio.create_task(monitor.run())
        await monitor.started.wait()
        journal = monitor.built.journal
        assert journal is not None
        await end(running)
        return journal.head_seq

    with suppress(asyncio.CancelledError):
        assert asyncio.run(run()) >= 4_711


@pytest.mark.parametrize("what", ["ledger", "status", "journal", "all", "nothing left"])
@pytest.mark.parametrize("command", [("status",), ("alarms",), ("query", "r0")], ids=" ".join)
def test_questions_on_garbage_are_answered_in_words(
    site: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], what: str
) -> None:
    """What is wrong is said; there is no traceback, and what is not damaged is shown."""
    data = site / "data"
    files = {
        "ledger": [data / ledger.FILE],
        "status": [data / "status" / "all.json"],
        "journal": [data / journalfile.FILE],
    }
    for path in [path for name, paths in files.items() for path in paths if what in (name, "all")]:
        path.write_bytes(GARBAGE)
    if what == "nothing left":
        for paths in files.values():
            for path in paths:
                path.write_bytes(b"")

    with asking(capsys) as ask:
        answer = ask(command[0], site, *command[1:])

    assert answer.status in (0, 1)
    assert "Traceback" not in answer.out + answer.err
    assert (answer.out + answer.err).strip()


def test_status_says_what_it_does_not_know(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No list of alarms is shown where none can be read: an empty one would say that all is well."""
    (site / "data" / ledger.FILE).write_bytes(GARBAGE)

    with asking(capsys) as ask:
        shown, document = ask("status", site), ask("status", site, "--json").document

    assert "not known" in shown.out
    assert "no alarm" not in shown.out
    assert document["open_alarms"] is None
    assert "Alarms are not known" in document["trouble"]


def test_a_disk_that_is_read_only_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a real one: alarms and status of a monitor that has ended are shown from it."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    with small_disk(tmp_path / "data", "8m") as data:
        with closing(Ledger(data)) as book:
            book.save(progress(("a1", "opened", T0_MS)))
        (data / "status").mkdir()
        said = {"site": "hall", "at_ms": T0_MS, "is_running": False, "undelivered": 0}
        (data / "status" / "all.json").write_text(json.dumps(said))
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)  # noqa: S607 - where it is differs

        with asking(capsys) as ask:
            alarms, status = ask("alarms", tmp_path, "--json"), ask("status", tmp_path, "--json")

    assert [alarm["id"] for alarm in alarms.document] == ["a1"]
    assert status.document["open_alarms"] == 1
