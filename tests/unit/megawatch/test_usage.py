"""The command line used rightly and wrongly: exit status, one clear line, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from facility.errors import MegawatchError
from megawatch.cli.usage import make_room, write_new
from testing.megawatch.asking import asking

WRONG = {
    "a command that is none": (("runn",), "No such command 'runn'. Did you mean 'run'?"),
    "a part that is none": (("run", "--only", "foo", "x"), "'foo' is not one of 'collector', 'writer'"),
    "nothing where a site must be": (("run",), "Missing argument 'site'"),
    "an option that is none": (("demo", "--secnds", "3"), "No such option: --secnds"),
    "no time at all": (("demo", "--seconds", "0"), "expected greater than or equal to 1"),
    "a broker without a scheme": (("demo", "--broker", "localhost"), "mqtts://host:port, found 'localhost'"),
    "a broker with a path": (("simulate", "--broker", "mqtt://x/y"), "found 'mqtt://x/y'"),
    "a port that is none": (("discover", "mqtt://x:99999"), "found 'mqtt://x:99999'"),
    "a site that cannot be called so": (("discover", "mqtt://x", "--name", "a b"), "found 'a b'"),
    "a certificate without TLS": (("discover", "mqtt://x", "--ca-file", __file__), "beside mqtts://"),
    "a certificate for plain publishing": (("simulate", "--ca-file", __file__), "beside mqtts://"),
    "certificates that are none": (
        ("simulate", "--broker", "mqtts://x", "--ca-file", __file__),
        "expected PEM certificates, found",
    ),
    "a password of nobody": (("simulate", "--password-file", __file__), "--username: expected beside"),
    "a login for a broker of its own": (("demo", "--username", "me"), "--broker: expected beside"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_told_in_one_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, nothing on standard output, and one line that says what was wrong."""
    arguments, told = WRONG[case]
    with asking(capsys) as ask:
        answer = ask(*arguments)

    assert (answer.status, answer.out) == (2, "")
    assert told in answer.err
    assert answer.err.startswith("megawatch: ")
    assert answer.err.count("\n") == 1


FAILED = {
    "no site": (("run", "{tmp}/nowhere"), "expected a site file, found no such file"),
    "no site to ask": (("status", "{tmp}/nowhere"), "megawatch init"),
    "nobody listens": (("discover", "mqtt://127.0.0.1:1", "--seconds", "1"), "connection refused"),
    "no folder to write to": (("simulate", "--truth", "{tmp}/no/where"), "No such file or directory"),
    "no password file": (
        ("discover", "mqtt://x", "--username", "me", "--password-file", "{tmp}/pw"),
        "No such file or directory",
    ),
}


@pytest.mark.parametrize("case", FAILED)
def test_failure_is_told_without_a_traceback(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, nothing on standard output, and what failed."""
    arguments, told = FAILED[case]
    with asking(capsys) as ask:
        answer = ask(*(argument.format(tmp=tmp_path) for argument in arguments))

    assert (answer.status, answer.out) == (1, "")
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_password_in_an_address_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is wrong with an address, the password in it is in no message."""
    with asking(capsys) as ask:
        answers = [
            ask("demo", "--broker", "http://me:geheim@127.0.0.1:1"),
            ask("discover", "mqtt://me:geheim@127.0.0.1:1", "--seconds", "1"),
            ask("simulate", "--broker", "mqtt://me:geheim@127.0.0.1:0"),
        ]

    assert all(answer.status for answer in answers)
    assert "geheim" not in str(answers)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reports a fault can say of which version."""
    with asking(capsys) as ask:
        answer = ask("--version")

    assert (answer.status, answer.out) == (0, f"megawatch {version('megawatch')}\n")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Help is there for the program and for each command, and ends well."""
    names = (
        "demo",
        "init",
        "check",
        "discover",
        "run",
        "simulate",
        "status",
        "alarms",
        "deadletters",
        "blocks",
        "ack",
        "why",
        "query",
    )
    with asking(capsys) as ask:
        whole = ask("--help")
        alone = [ask(name, "-h") for name in names]

    assert whole.status == 0
    assert all(name in whole.out for name in names)
    assert [answer.status for answer in alone] == [0] * len(names)


@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_help_costs_little(asked: str) -> None:
    """Nothing heavy is imported for it; some 0.12 s were measured."""
    command = [sys.executable, "-X", "importtime", "-m", "megawatch", asked]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    imported = {line.rpartition("|")[2].strip() for line in told.splitlines()}

    assert "megawatch.cli.main" in imported
    assert not imported & {"numpy", "duckdb", "aiomqtt", "paho", "pydantic", "sqlite3", "aiohttp"}


def test_a_reader_who_has_seen_enough_is_no_failure_to_be_explained() -> None:
    """Output into a pipe that nobody reads any more ends without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "megawatch", "--help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert ended.stderr == b""


def test_the_folder_of_a_file_is_made_before_there_is_anything_to_lose(tmp_path: Path) -> None:
    """What took 100 s to hear has a place to go to; a file that is there, or cannot be, is told first."""
    target = tmp_path / "new" / "folder" / "site.toml"
    make_room(target)
    write_new(target, "x")

    assert target.read_text() == "x"
    with pytest.raises(MegawatchError, match="it is left as it is"):
        make_room(target)
    with pytest.raises(OSError, match="exists"):
        make_room(target / "site.toml")
