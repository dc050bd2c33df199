"""Replicas of Alertmanager on loopback, that tell each other what they sent, and notify one receiver."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testing.servers.process import free_port, is_listening, launch, need, stop
from testing.waiting import PATIENCE_S

PROGRAM = "prometheus-alertmanager"
_CONFIGURATION = """
route:
  receiver: here
  group_by: [alertname, site]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: here
    webhook_configs:
      - url: "{webhook}"
        send_resolved: true
"""


@dataclass(slots=True)
class Replica:
    """One replica.

    Attributes:
        folder: Where it keeps what it keeps.
        webhook: Who it notifies.
        peers: Where the replicas before it listen for each other.
        port: Its port.
        peer_port: Where it listens for the others.
    """

    folder: Path
    webhook: str
    peers: Sequence[int] = ()
    port: int = field(default_factory=free_port)
    peer_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "alertmanager.yml"
        configuration.write_text(_CONFIGURATION.format(webhook=self.webhook))
        command = [
            need(PROGRAM),
            f"--config.file={configuration}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--cluster.listen-address=127.0.0.1:{self.peer_port}",
            "--cluster.settle-timeout=0s",
            "--cluster.peer-timeout=1s",
            *(f"--cluster.peer=127.0.0.1:{peer}" for peer in self.peers),
        ]
        self.process = launch(command, self.folder / "log", lambda: is_listening(self.port))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it, or end it with another signal: then it keeps what it notified of, never its alerts."""
        process, self.process = self.process, None
        if process is not None:
            stop(process, number)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextmanager
def replicas(folder: Path, webhook: str, count: int = 2) -> Iterator[list[Replica]]:
    """Run replicas that know each other.

    Args:
        folder: Where they keep what they keep.
        webhook: Who they notify.
        count: How many.
    """
    with ExitStack() as stack:
        found: list[Replica] = []
        for number in range(count):
            replica = Replica(folder / str(number), webhook, [other.peer_port for other in found])
            stack.callback(replica.kill)
            replica.start()
            found.append(replica)
        yield found
