"""Real servers beside the tests: found, started on loopback in a folder of their own, and stopped."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from testing.waiting import PATIENCE_S, PAUSE_S

_SHOWN = 2_000
_VERSION = re.compile(r"v?(\d+)\.\d+", re.ASCII)


def places() -> list[str]:
    """Return the folders in which servers are looked for: the PATH, where daemons are, and beside Python."""
    path = os.environ.get("PATH", "").split(os.pathsep)
    return [*path, "/usr/sbin", "/usr/local/sbin", str(Path(sys.executable).parent)]


def find(program: str) -> str | None:
    """Return the path of a server's program, None where there is none."""
    return shutil.which(program, path=os.pathsep.join(places()))


def find_version(program: str, major: int, variable: str) -> str | None:
    """Return the path of a program of one generation, None where there is none.

    Args:
        program: Its name; programs of several generations may have the same one.
        major: The first number of the version that it names when it is run with `version`.
        variable: An environment variable that may hold the path of one.
    """
    named = os.environ.get(variable)
    found = [shutil.which(program, path=place) for place in places()]
    for path in dict.fromkeys([named, *found]):
        if path and _major(path) == major:
            return path
    return None


def _major(path: str) -> int | None:
    try:
        answer = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    return int(match[1]) if match else None


def need(program: str) -> str:
    """Return the path of a program; skip the test, with the reason, where there is none."""
    found = find(program)
    if found is None:
        pytest.skip(f"no {program} on this machine")
    return found


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Tell whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(PATIENCE_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def launch(
    command: Sequence[str],
    log: Path,
    is_up: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in the folder of its log and return once it is up.

    Args:
        command: How to start it.
        log: Where its output goes, after what is there.
        is_up: Tells whether it answers.
        environment: What it is told besides our own environment.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    until_s = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until_s:
        if is_up():
            return process
        time.sleep(PAUSE_S)
    said = log.read_text(errors="replace")[-_SHOWN:]
    what = "ended at once" if process.poll() is not None else f"is not up after {PATIENCE_S:g} s"
    stop(process, signal.SIGKILL)
    raise AssertionError(f"{Path(command[0]).name} {what}: {said}")


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> None:
    """Stop a server: politely, or with SIGKILL; one that does not listen is killed."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """A server that speaks HTTP on loopback.

    Attributes:
        port: The TCP port on 127.0.0.1.
        pid: Its process; 0 while it does not run.
    """

    port: int
    pid: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Make a request; return status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def answers(self, path: str) -> bool:
        """Tell whether a page is there."""
        try:
            status, _ = self.request("GET", path)
        except OSError:
            return False
        return status in (http.client.OK, http.client.NO_CONTENT)


@contextmanager
def running(command: Sequence[str], server: Server, folder: Path, path: str = "/health") -> Iterator[Server]:
    """Run a server until the context ends.

    Args:
        command: How to start it; it stops on an interrupt.
        server: What it will be.
        folder: Its home and working folder.
        path: A page that is there once it is up.
    """
    process = launch(command, folder / "log", lambda: server.answers(path), {"HOME": str(folder)})
    try:
        yield replace(server, pid=process.pid)
    finally:
        stop(process)
