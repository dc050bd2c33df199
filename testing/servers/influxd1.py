"""An InfluxDB 1.x of a test's own: on loopback, on a free port, in a temporary folder, with two users."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from testing.servers.process import Server, find_version, free_port, running

PROGRAM: Final = find_version("influxd", 1, "MEGAWATCH_INFLUXD1")
"""Where the program of the first generation is; None where it is not."""

DATABASE: Final = "readings"
USER: Final = "writer"
PASSWORD: Final = "a-password-for-tests"  # noqa: S105 - opens a server that lives for one test
READER: Final = "reader"
ADMIN: Final = "admin"
RETENTION_H: Final = 24 * 365 * 60
"""How long the database keeps points [h]; what was measured in 1960 is beyond it."""

_CONFIGURATION: Final = """
reporting-disabled = true
bind-address = "127.0.0.1:{inner_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
{options}
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = true
  log-enabled = false
{limits}
[logging]
  level = "error"
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
"""


@contextmanager
def influxd1(folder: Path, port: int = 0, options: str = "", limits: str = "") -> Iterator[Server]:
    """Run an InfluxDB 1.x with a database, a user who writes it and one who only reads it.

    Args:
        folder: Where it keeps what it keeps.
        port: Its port; 0 for a free one.
        options: Lines of its configuration of how it keeps data.
        limits: Lines of its configuration of which requests it takes.
    """
    is_new = not (folder / "meta").exists()
    port = port or free_port()
    inner_port = free_port()
    text = _CONFIGURATION.format(
        folder=folder, port=port, inner_port=inner_port, options=options, limits=limits
    )
    (folder / "influxdb.conf").write_text(text)
    command = [str(PROGRAM), "run", "-config", str(folder / "influxdb.conf")]
    with running(command, Server(port), folder, "/ping") as server:
        if is_new:
            _set_up(server)
        yield server


def _set_up(server: Server) -> None:
    query(server, f"CREATE USER {ADMIN} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES", user="")
    for text in (
        f"CREATE DATABASE {DATABASE} WITH DURATION {RETENTION_H}h",
        f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}'",
        f"CREATE USER {READER} WITH PASSWORD '{PASSWORD}'",
        f"GRANT ALL ON {DATABASE} TO {USER}",
        f"GRANT READ ON {DATABASE} TO {READER}",
    ):
        query(server, text)


def query(server: Server, text: str, user: str = ADMIN) -> list[dict[str, Any]]:
    """Return the rows that an InfluxQL query finds, each by column; times in milliseconds."""
    parameters = urlencode({"db": DATABASE, "epoch": "ms", "q": text})
    status, body = server.request("POST", f"/query?{parameters}", headers=_authorization(user))
    assert status == 200, body
    answer = json.loads(body, parse_int=float)
    assert "error" not in body, body
    return [
        dict(zip(series["columns"], row, strict=True)) | series.get("tags", {})
        for result in answer["results"]
        for series in result.get("series", [])
        for row in series["values"]
    ]


def write(server: Server, lines: str) -> None:
    """Write lines as somebody else would."""
    path = f"/write?{urlencode({'db': DATABASE, 'precision': 'ms'})}"
    status, body = server.request("POST", path, body=lines, headers=_authorization(ADMIN))
    assert status == 204, body


def _authorization(user: str) -> dict[str, str]:
    if not user:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"}
