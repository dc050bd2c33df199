"""A VictoriaMetrics of a test's own: on loopback, on a free port, in a temporary folder."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

PROGRAM: Final = shutil.which("victoria-metrics")
"""Where the program is; None where it is not."""

_START_S: Final = 20.0
_STOP_S: Final = 10.0
_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens on loopback.

    Attributes:
        port: Where.
    """

    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Make a request; return status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def running(command: Sequence[str], server: Server, folder: Path) -> Iterator[Server]:
    """Run a server until the context ends; it is up once its `/health` says so.

    Args:
        command: How to start it; it stops on an interrupt.
        server: What it will be.
        folder: Its home and working folder.
    """
    environment = {**os.environ, "HOME": str(folder)}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            _wait_until_up(process, server, log)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], server: Server, log: Path) -> None:
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s and process.poll() is None:
        try:
            status, _ = server.request("GET", "/health")
        except OSError:
            status = 0
        if status == http.client.OK:
            return
        time.sleep(_PAUSE_S)
    raise RuntimeError(f"the server did not come up: {log.read_text(errors='replace')[-2_000:]}")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def victoria(folder: Path) -> Iterator[Server]:
    """Run a VictoriaMetrics that keeps one sample of a series and moment."""
    port = free_port()
    command = [
        str(PROGRAM),
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder / 'data'}",
        "-retentionPeriod=100y",
        "-dedup.minScrapeInterval=1ms",
        "-memory.allowedBytes=256MB",
        "-loggerLevel=ERROR",
    ]
    with running(command, Server(port), folder) as server:
        yield server


def export(server: Server, selector: str) -> list[dict[str, Any]]:
    """Return all series that a selector finds: metric, values and timestamps [ms] of each."""
    server.request("GET", "/internal/force_flush")
    query = urlencode({"match[]": selector})
    status, body = server.request("GET", f"/api/v1/export?{query}")
    assert status == http.client.OK, body
    return [json.loads(line) for line in body.splitlines()]
