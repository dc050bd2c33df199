"""Real brokers beside the tests: on loopback, in a temporary folder, stopped and killed as a test wants."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from testing.servers.process import free_port, is_listening, launch, need, stop


@dataclass(slots=True)
class Broker:
    """A broker that can be stopped, killed and started again on the same port.

    Attributes:
        folder: Where it keeps what it keeps.
        keeps_sessions: Whether it still knows its sessions after a restart.
        repeats_s: How long it waits for an acknowledgement before it sends a message again, on a connection
            that stands [s]; Mosquitto never does.
        port: Its port.
    """

    folder: Path
    keeps_sessions: bool = True
    repeats_s: int = 2
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
        self.process = launch(self.command(), self.folder / "log", lambda: is_listening(self.port))

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it: politely, or with SIGKILL."""
        process, self.process = self.process, None
        if process is not None:
            stop(process, number)

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
            lines.append("user root")  # else it goes on as a user who cannot reach the folder
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
            f'jetstream {{ store_dir: "{store}" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}", ack_wait: "{self.repeats_s}s" }}\n'
        )
        return [need(self.program), "-c", str(self.folder / "conf")]


BROKERS = {"mosquitto": Mosquitto, "nats": NatsServer}
