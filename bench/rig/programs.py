"""The programs that are measured whole, as a user runs them: on one broker, into one database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.influxdatabases import Database
from bench.rig import telegraf
from bench.rig.processes import has_ended
from bench.rig.stream import Stream
from megawatch.cli.outputs import ProcessStatus
from megawatch.run.status import read_status
from store.influx.server import Kind
from testing.servers import influxd, influxd1
from testing.servers.brokers import Mosquitto
from testing.servers.process import Server, find, stop
from testing.waiting import wait_until

OURS: Final = "megawatch run"
TELEGRAF: Final = "Telegraf"
MOSQUITTO_SUB: Final = "mosquitto_sub"
PLAIN: Final = "plain loop"

_TELEGRAF: Final = """
[agent]
  interval = "10s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{topics}"]
  qos = 1
  persistent_session = true
  client_id = "{client}"
  max_undelivered_messages = 50000
  data_format = "json"
  json_time_key = "{time_key}"
  json_time_format = "unix_ms"
"""
_TO_2: Final = """
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"
  content_encoding = "identity"
"""
_TO_1: Final = """
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "{bucket}"
  username = "{user}"
  password = "{password}"
  skip_database_creation = true
  content_encoding = "identity"
"""
_BROKER: Final = """
[[broker]]
url = "{url}"
format = "{form}"
queued_messages = 1000000
"""
_STORE: Final = """
[store]
influxdb = {{ url = "{url}", org = "{org}", bucket = "{bucket}", token_file = "token" }}
"""


@dataclass(frozen=True, slots=True)
class Target:
    """The database that all write to.

    Attributes:
        database: What it is.
        server: Where it runs.
    """

    database: Database
    server: Server

    def points(self) -> int:
        """Return how many points it was given."""
        if self.database.kind is Kind.INFLUXDB_1:
            rows = influxd1.query(self.server, "SHOW STATS FOR 'write'")
            return sum(int(row["pointReq"]) for row in rows)
        _, page = self.server.request("GET", "/metrics")
        # InfluxDB 2 to 2.8 has the two the wrong way round: its sum counts requests, its count counts points.
        return max(_added_up(page, "storage_shard_write_count{"), _added_up(page, "storage_shard_write_sum{"))


def _added_up(page: str, series: str) -> int:
    """Return the sum of a counter over its labels."""
    lines = (line for line in page.splitlines() if line.startswith(series))
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


@dataclass(frozen=True, slots=True)
class Bench:
    """What a program is run on.

    Attributes:
        folder: Where it may keep what it keeps.
        broker: The broker that it hears.
        target: The database that it writes to; None where there is none on this machine.
        stream: What is published.
        count: How many values will be published in all.
    """

    folder: Path
    broker: Mosquitto
    target: Target | None
    stream: Stream
    count: int


@dataclass(frozen=True, slots=True)
class Running:
    """A program that runs.

    Attributes:
        pid: Its first process.
        log: What it says.
        taken: Tells how many values it has brought to where it brings them.
        is_idle: Tells whether nothing of them is left to do.
        stages: Tells the CPU time of each of its stages [s], as it measures them itself.
    """

    pid: int
    log: Path
    taken: Callable[[], int]
    is_idle: Callable[[], bool] = lambda: True
    stages: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True, slots=True)
class Program:
    """A program to measure.

    Attributes:
        name: What it is.
        run: Runs it, until the context ends; it has a session with the broker once that has begun.
    """

    name: str
    run: Callable[[Bench], AbstractContextManager[Running]]


def programs(target: Target | None) -> list[Program]:
    """Return ours and its peers, where they are on this machine."""
    found = [Program(OURS, megawatch)]
    if find("mosquitto_sub"):
        if target and telegraf.PROGRAM:
            found.append(Program(TELEGRAF, _telegraf))  # its session is made by mosquitto_sub
        found.append(Program(MOSQUITTO_SUB, _mosquitto_sub))
    if target and target.database.kind is Kind.INFLUXDB_2:
        found.append(Program(PLAIN, _plain))
    return found


# Ours ---------------------------------------------------------------------------------


@contextmanager
def megawatch(
    bench: Bench, tables: str = "", runner: tuple[str, ...] = ("-m", "megawatch")
) -> Iterator[Running]:
    """Run `megawatch run`: collector, journal, rules, notifier and writer.

    Args:
        bench: What it is run on.
        tables: Other tables of its site file.
        runner: What Python runs; the arguments of `megawatch` follow.
    """
    text = bench.stream.site + _BROKER.format(url=bench.broker.url, form=bench.stream.form) + tables
    if bench.target:
        text += _STORE.format(url=bench.target.server.url, org=influxd.ORG, bucket=influxd.BUCKET)
        (bench.folder / "token").write_text(bench.target.database.token)
    (bench.folder / "site.toml").write_text(text)
    data = bench.folder / "data"

    def is_connected() -> bool:
        status = read_status(data)
        return status is not None and all(
            one["state"] == "connected" for one in status.get("brokers", [{"state": ""}])
        )

    def is_idle() -> bool:
        status = _said(data)
        return bench.target is None or status["history"]["seq"] >= status["journal_seq"]

    def stages() -> Mapping[str, float]:
        return {stage["name"]: stage["cpu_s"] for stage in _said(data)["stages"]}

    with _process([sys.executable, *runner, "run", str(bench.folder)], bench.folder / "log") as process:
        wait_until(
            is_connected, "megawatch run has a session", lambda: (bench.folder / "log").read_text()[-2_000:]
        )
        yield Running(
            process.pid, bench.folder / "log", lambda: taken(data) // bench.stream.readings, is_idle, stages
        )


def _said(data: Path) -> ProcessStatus:
    """Return what a monitor that has a session last said of itself."""
    status = read_status(data)
    assert status is not None, "expected a status, found none"
    return status


def taken(data: Path) -> int:
    """Return how many readings are stored, or known to be stored already, or refused."""
    account = _said(data)["accounting"]
    return account["stored"] + account["duplicates"] + account["dead_lettered"]


# The others ---------------------------------------------------------------------------


@contextmanager
def _telegraf(bench: Bench) -> Iterator[Running]:
    assert bench.target
    assert telegraf.PROGRAM
    client = _keep_session(bench, "telegraf")
    text = _TELEGRAF.format(
        port=bench.broker.port, client=client, topics=bench.stream.topics, time_key=bench.stream.time_key
    )
    is_1 = bench.target.database.kind is Kind.INFLUXDB_1
    text += (_TO_1 if is_1 else _TO_2).format(
        url=bench.target.server.url,
        token=influxd.TOKEN,
        org=influxd.ORG,
        bucket=influxd.BUCKET,
        user=influxd1.ADMIN,
        password=influxd1.PASSWORD,
    )
    (bench.folder / "telegraf.conf").write_text(text)
    target, before = bench.target, bench.target.points()
    command = [telegraf.PROGRAM, "--config", str(bench.folder / "telegraf.conf"), "--quiet"]
    with _process(command, bench.folder / "log") as process:
        yield Running(process.pid, bench.folder / "log", lambda: target.points() - before)


@contextmanager
def _mosquitto_sub(bench: Bench) -> Iterator[Running]:
    client = _keep_session(bench, "sub")
    command = [*_subscriber(bench.broker, bench.stream.topics, client), "-F", "%t %p", "-C", str(bench.count)]
    with Path(os.devnull).open("wb") as out, _process(command, bench.folder / "log", out) as process:

        def heard() -> int:
            """Return how many values it has printed; it tells only when it has all, for then it ends."""
            return bench.count if has_ended(process.pid) else bench.stream.sources

        yield Running(process.pid, bench.folder / "log", heard)


@contextmanager
def _plain(bench: Bench) -> Iterator[Running]:
    assert bench.target
    target, before = bench.target, bench.target.points()
    command = [
        sys.executable, "-m", "bench.rig.plain", str(bench.broker.port), bench.target.server.url,
        influxd.TOKEN, influxd.ORG, influxd.BUCKET,
    ]  # fmt: skip
    said = bench.folder / "said"
    with said.open("wb") as out, _process(command, bench.folder / "log", out) as process:
        wait_until(lambda: said.stat().st_size > 0, "the plain loop listens")
        yield Running(process.pid, bench.folder / "log", lambda: target.points() - before)


def _subscriber(broker: Mosquitto, topics: str, client: str) -> list[str]:
    return [
        "mosquitto_sub", "-p", str(broker.port), "-V", "mqttv5", "-i", client, "-c", "-x", "86400",
        "-q", "1", "-t", topics,
    ]  # fmt: skip


def _keep_session(bench: Bench, client: str) -> str:
    """Let a broker keep a subscribed session of a client, so that it misses nothing however late it comes."""
    subprocess.run([*_subscriber(bench.broker, bench.stream.topics, client), "-E"], check=True)
    return client


@contextmanager
def _process(command: list[str], log: Path, out: object = None) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=out or file, stderr=file)  # type: ignore[call-overload]
        try:
            yield process
        finally:
            stop(process)
