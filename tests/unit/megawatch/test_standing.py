"""`status` says how the monitor does, not only what it last said: down, hanging, full, or unheard."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from collector.decode.registry import patience_s
from facility.sitefile.tables import BrokerTable
from megawatch.cli import queries
from megawatch.cli.show import pipeline_lines
from megawatch.run.lock import AlreadyRuns, holders, locked
from megawatch.run.part import ALL_PARTS, Part
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.megawatch.asking import asking
from testing.store.disks import small_disk


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site whose monitor last spoke long ago."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    with closing(Ledger(tmp_path / "data")):
        (tmp_path / "data" / "status").mkdir()
    said = {"site": "hall", "at_ms": T0_MS, "is_running": True, "undelivered": 0}
    (tmp_path / "data" / "status" / "all.json").write_text(json.dumps(said))
    return tmp_path


@contextmanager
def running(site: Path) -> Iterator[None]:
    """Hold the locks of a monitor as one that runs does."""
    with locked(site / "data", ALL_PARTS):
        yield


def test_a_monitor_that_is_gone_does_not_run(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever its last word was."""
    with asking(capsys) as ask:
        shown, told = ask("status", site, "--json"), ask("status", site)

    assert (shown.status, told.status) == (1, 1)
    assert shown.document["is_running"] is False
    assert "The monitor does not run; this is of" in told.out


@pytest.mark.parametrize(
    ("free_bytes", "words"),
    [
        (0, f"The monitor runs (process {os.getpid()}), and the disk of"),
        (10**12, f"The monitor runs (process {os.getpid()}), and hangs or cannot write"),
    ],
    ids=["full disk", "hangs"],
)
def test_a_monitor_that_can_not_say_how_it_does_runs_all_the_same(
    site: Path,
    free_bytes: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who holds the locks is there; a full disk keeps it from writing its status."""
    monkeypatch.setattr(queries, "_free_bytes", lambda _data: free_bytes)
    with asking(capsys) as ask, running(site):
        shown, told = ask("status", site, "--json"), ask("status", site)

    assert (shown.status, told.status) == (1, 1)
    assert shown.document["is_running"] is True
    assert words in shown.document["trouble"]
    assert "does not run" not in told.out


def test_a_status_that_is_old_because_no_inode_is_free_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a real disk that has room: who sees that looks no further."""
    (tmp_path / "site.toml").write_text('[site]\nname = "hall"\n')
    with small_disk(tmp_path / "data", "8m", inodes=10) as data, running(tmp_path):
        with suppress(OSError):
            for number in range(10):
                (data / str(number)).touch()
        with asking(capsys) as ask:
            status = ask("status", tmp_path, "--json")

    assert status.status == 1
    assert (
        f"and the disk of {data} has no free inode for a file; it has said nothing yet"
        in (status.document["trouble"])
    )


def test_who_looks_who_runs_disturbs_nobody(tmp_path: Path) -> None:
    """Locks tell which parts run and in which process; looking keeps no part from starting."""
    assert holders(tmp_path) == {}
    with locked(tmp_path, [Part.RULES]):
        assert holders(tmp_path) == {Part.RULES: str(os.getpid())}
        with locked(tmp_path, [Part.WRITER]), pytest.raises(AlreadyRuns), locked(tmp_path, [Part.RULES]):
            pass
    assert holders(tmp_path) == {}


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (BrokerTable(url="mqtt://bus"), 30),
        (BrokerTable(url="mqtt://bus", format="rack-documents"), 15),
        (BrokerTable(url="mqtt://bus", format="rack-documents", period_s=60), 180),
    ],
)
def test_a_broker_is_silent_after_three_of_what_it_says_most_often(pace: BrokerTable, seconds: float) -> None:
    """A heartbeat of the DSX bus, a document of each rack."""
    assert patience_s(pace) == seconds


def test_a_connection_on_which_nothing_arrives_is_not_fine() -> None:
    """Connected is no word about readings."""
    broker = {"name": "bus", "state": "connected", "detail": "MQTT 5", "gaps": 0, "store_error": ""}
    fine, silent = (
        pipeline_lines({"brokers": [broker | {"silent_s": 45.0, "is_silent": is_silent}]})[0]
        for is_silent in (False, True)
    )

    assert (fine.plain, fine.style) == ("broker bus: connected, MQTT 5", "")
    assert (silent.plain, silent.style) == (
        "broker bus: connected, nothing has arrived for 45 s; MQTT 5",
        "red",
    )


def test_a_history_that_is_far_behind_is_not_fine() -> None:
    """No error is no word about how far it is."""
    status = {
        "journal_seq": 900,
        "journal_stamp_ms": T0_MS,
        "at_ms": T0_MS + 600_000,
        "history": {"sink": "influx", "seq": 100, "error": "", "refused": 0},
    }
    (late,) = pipeline_lines(status)
    (fine,) = pipeline_lines(status | {"journal_seq": 100})

    assert (late.plain, fine.plain) == ("database: influx, behind by 600 s", "database: influx, fine")
