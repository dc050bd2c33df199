"""`megawatch simulate` and `megawatch demo` on brokers of others: TLS, passwords, and one that goes away."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from testing.megawatch.asking import asking
from testing.servers.brokers import Mosquitto
from testing.servers.guarded import USER, Guarded, make_authority, make_certificate
from testing.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.servers

RIGHT, WRONG = "correct-horse-4417", "battery-staple-1180"
RETAINED = re.compile(
    r"Received PUBLISH from demo-plant\S+ \(d\d, q\d, r1, m\d+, '([^']+)', \.\.\. \((\d+) bytes"
)
SHORT = ("--seconds", "20", "--speed", "40", "--json")


@dataclass(frozen=True, slots=True)
class Place:
    """A broker behind TLS and a password, and the files to get in.

    Attributes:
        broker: The broker.
        ca_file: Its authority.
        password_file: The right password.
        wrong_file: Another one.
    """

    broker: Guarded
    ca_file: Path
    password_file: Path
    wrong_file: Path

    @property
    def where(self) -> str:
        """Its host, as its certificate names it, and its port."""
        return f"localhost:{self.broker.port}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run the broker."""
    folder = tmp_path_factory.mktemp("guarded")
    authority = make_authority(folder / "authority")
    make_certificate(authority, "localhost")
    for name, password in (("right", RIGHT), ("wrong", WRONG)):
        (folder / name).write_text(f"{password}\n")
    with Guarded(folder / "broker", authority=authority, password=RIGHT) as broker:
        yield Place(broker, authority, folder / "right", folder / "wrong")


@pytest.mark.parametrize("connections", [1, 3])
def test_a_scenario_is_played_through_tls(
    connections: int, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """User name and password from options or from the address, over as many connections as are asked for."""
    login: tuple[object, ...] = ("--username", USER, "--password-file", place.password_file)
    url = f"mqtts://{place.where}"
    if connections == 1:
        login, url = (), f"mqtts://{USER}:{RIGHT}@{place.where}"
    before = place.broker.said.count("New client connected")
    with asking(capsys) as ask:
        answer = ask(
            "simulate", "i_grid_sag", "--broker", url, *login, "--ca-file", place.ca_file,
            "--connections", connections, "--truth", tmp_path / "truth", *SHORT,
        )  # fmt: skip

    assert answer.status == 0, answer.err
    assert answer.document["published"] == answer.document["acknowledged"] > 1_000
    assert answer.document["undelivered"] == 0
    assert place.broker.said.count("New client connected") - before == connections
    with duckdb.connect() as connection:
        query = "SELECT count(*), sum(published), max(acknowledged) FROM read_parquet(?)"
        (found,) = connection.execute(query, [str(tmp_path / "truth" / "messages.parquet")]).fetchall()
    assert found[:2] == (20, answer.document["published"])
    assert found[2] <= answer.document["acknowledged"]
    assert (tmp_path / "truth" / "undelivered.jsonl").read_text() == ""
    errors = [json.loads(line) for line in (tmp_path / "truth" / "errors.jsonl").read_text().splitlines()]
    assert {"id", "point", "gain", "offset"} == errors[0].keys()
    assert RIGHT not in answer.err + answer.out


# Each case: scheme and host, the password's file, whether the authority is trusted, and what is told.
REFUSED = {
    "a wrong password": (
        "mqtts://localhost",
        "wrong",
        True,
        f"does not accept the password of user '{USER}'",
    ),
    "no password": ("mqtts://localhost", None, True, "wants a user name and a password"),
    "an authority that is not trusted": ("mqtts://localhost", "right", False, "is not accepted: "),
    "a host that the certificate does not name": (
        "mqtts://127.0.0.1",
        "right",
        True,
        "certificate is not valid for '127.0.0.1'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("command", ["simulate", "demo"])
def test_who_is_not_let_in_is_told_why(
    command: str, case: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the place and the cause, and never a password."""
    url, which, is_trusted, told = REFUSED[case]
    options: list[object] = ["--broker", f"{url}:{place.broker.port}"]
    if which is not None:
        file = {"right": place.password_file, "wrong": place.wrong_file}[which]
        options += ["--username", USER, "--password-file", file]
    if is_trusted:
        options += ["--ca-file", place.ca_file]
    with asking(capsys) as ask:
        answer = ask(command, *options, "--seconds", "5", "--json")

    assert (answer.status, answer.out) == (1, "")
    assert told in answer.err
    assert f":{place.broker.port}" in answer.err
    assert answer.err.count("\n") == 1
    assert RIGHT not in answer.err
    assert WRONG not in answer.err


def test_a_demo_runs_through_tls(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Site and monitor both get in; every reading is accounted for, and nothing stays on the broker."""
    with asking(capsys) as ask:
        answer = ask(
            "demo", "--broker", f"mqtts://{place.where}", "--username", USER,
            "--password-file", place.password_file, "--ca-file", place.ca_file, "--seconds", "4", "--json",
        )  # fmt: skip

    assert answer.status == 0, answer.err
    accounting = answer.document["accounting"]
    assert accounting["received"] == accounting["stored"] > 1_000
    kept = {topic: int(size) for topic, size in RETAINED.findall(place.broker.said)}
    assert len(kept) > 100
    assert not any(kept.values())


def test_a_run_waits_for_its_broker_and_says_so(tmp_path: Path) -> None:
    """In lines where there is no terminal; the truth has what was not delivered; Ctrl-C ends it in order."""
    scenario = "demo_minute"
    with Mosquitto(tmp_path / "broker", keeps_sessions=False) as broker:
        command = [
            *(sys.executable, "-m", "megawatch", "simulate", scenario, "--broker", broker.url, "--json"),
            *("--speed", "4", "--qos", "0", "--truth", str(tmp_path / "truth")),
        ]
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
        try:
            told(tmp_path / "err", "all three tenants draw what they contracted")
            broker.stop(signal.SIGKILL)
            told(tmp_path / "err", "the broker is away, the run waits: ")
            broker.start()
            told(tmp_path / "err", "the broker is back")
            told(tmp_path / "err", "Orchid draws more than it contracted")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    said = json.loads((tmp_path / "out").read_text())
    lines = (tmp_path / "truth" / "undelivered.jsonl").read_text().splitlines()
    assert said["published"] == said["acknowledged"] + said["undelivered"] > 1_000
    assert len(lines) == said["undelivered"]
    assert all(json.loads(line).keys() == {"sent", "topic", "payload"} for line in lines)
    assert 14 <= said["seconds"] < 75
    head = json.loads((tmp_path / "truth" / "run.jsonl").read_text())
    assert head["seconds"] == said["seconds"]
    assert head["published"]["undelivered"] == said["undelivered"]


def told(file: Path, text: str) -> None:
    """Wait until a file says something."""
    wait_until(lambda: text in file.read_text(), text, file.read_text)


def test_a_truth_is_not_mixed_with_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds one is left as it is."""
    folder = tmp_path / "truth"
    with Mosquitto(tmp_path / "broker", keeps_sessions=False) as broker, asking(capsys) as ask:
        options = ("i_grid_sag", "--broker", broker.url, "--seconds", "2", "--speed", "50", "--truth", folder)
        first = ask("simulate", *options)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        again = ask("simulate", *options)

    assert (first.status, again.status) == (0, 1)
    assert "holds the truth of another run" in again.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
