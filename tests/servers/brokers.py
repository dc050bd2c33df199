"""Real brokers beside the tests: on loopback, in a temporary folder, stopped and killed as a test wants."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

START_S = 10.0


def find(program: str) -> str | None:
    """Return the path of a server's program, looking where servers are and beside Python."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(Path(sys.executable).parent)]
    return shutil.which(program, path=os.pathsep.join(places))


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens on a port."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"the server ended at once: {log.read_text(errors='replace')[-500:]}")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}: {log.read_text(errors='replace')[-500:]}")


@dataclass(slots=True)
class Broker:
    """A broker that can be stopped, killed and started again on the same port.

    Attributes:
        folder: Where it keeps what it keeps.
        keeps_sessions: Whether it still knows its sessions after a restart.
        port: Its port.
    """

    folder: Path
    keeps_sessions: bool = True
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    program = ""

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return how it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o777)
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(self.command(), stdout=out, stderr=subprocess.STDOUT)
        wait_for_port(self.port, self.process, log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it: politely, or with SIGKILL."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop(signal.SIGKILL)


class Mosquitto(Broker):
    """Mosquitto, with room for whatever is queued."""

    program = "mosquitto"

    def command(self) -> list[str]:
        """Return how it is started."""
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "max_queued_messages 1000000",
            "max_inflight_messages 0",
            "set_tcp_nodelay true",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it goes on as a user who can not reach the folder
        if self.keeps_sessions:
            lines += ["persistence true", f"persistence_location {self.folder}/", "autosave_interval 1"]
        (self.folder / "conf").write_text("\n".join(lines) + "\n")
        return [need(self.program), "-c", str(self.folder / "conf")]


class NatsServer(Broker):
    """The NATS server, speaking MQTT 3.1.1."""

    program = "nats-server"

    def command(self) -> list[str]:
        """Return how it is started."""
        store = self.folder / "jetstream"
        if not self.keeps_sessions:
            shutil.rmtree(store, ignore_errors=True)
        (self.folder / "conf").write_text(
            f'server_name: test\nlisten: "127.0.0.1:{free_port()}"\n'
            f'jetstream {{ store_dir: "{store}" }}\nmqtt {{ listen: "127.0.0.1:{self.port}", ack_wait: "2s" }}\n'
        )
        return [need(self.program), "-c", str(self.folder / "conf")]


def need(program: str) -> str:
    """Return the path of a program; skip the test, with the reason, where there is none."""
    found = find(program)
    if found is None:
        pytest.skip(f"no {program} on this machine")
    return found


BROKERS = {"mosquitto": Mosquitto, "nats": NatsServer}
