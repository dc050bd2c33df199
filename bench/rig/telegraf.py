"""Telegraf between a writer and an InfluxDB 2: what it spends on lines that it is sent and sends on."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from bench.influxdatabases import Database, send
from bench.rig.processes import cpu_s
from testing.servers import influxd
from testing.servers.process import Server, find, free_port, is_listening, launch, stop

PROGRAM: Final = os.environ.get("MEGAWATCH_TELEGRAF") or find("telegraf")
"""Where Telegraf is; None where it is not on this machine."""

_CONFIGURATION: Final = """
[agent]
  interval = "10s"
  flush_interval = "200ms"
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  omit_hostname = true
[[inputs.influxdb_v2_listener]]
  service_address = "127.0.0.1:{port}"
  parser_type = "upstream"
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"
  content_encoding = "identity"
"""


def forwarding(database: Database, bodies: Iterable[Sequence[bytes]]) -> list[float]:
    """Return what each line of some costs it [us]; nothing where there is no Telegraf.

    Args:
        database: An InfluxDB 2.
        bodies: Lines, for a repetition each.
    """
    if PROGRAM is None:
        return []
    with tempfile.TemporaryDirectory() as name, database.run(Path(name)) as server:
        port, folder, spent = free_port(), Path(name), []
        (folder / "telegraf.conf").write_text(
            _CONFIGURATION.format(
                port=port, url=server.url, token=influxd.TOKEN, org=influxd.ORG, bucket=influxd.BUCKET
            )
        )
        command = [PROGRAM, "--config", str(folder / "telegraf.conf"), "--quiet"]
        process = launch(command, folder / "telegraf.log", lambda: is_listening(port))
        for lines in bodies:
            before = cpu_s(process.pid)
            asyncio.run(send(database, Server(port), lines))
            spent.append((_settled(process.pid) - before) / len(lines) * 1e6)
        stop(process)
    return spent


def _settled(pid: int) -> float:
    """Return the CPU that a process has spent, once it spends hardly any more [s]."""
    before = -1.0
    while (after := cpu_s(pid)) - before > 0.02:  # noqa: PLR2004 - two ticks of the system's accounting
        before = after
        time.sleep(1)
    return after
