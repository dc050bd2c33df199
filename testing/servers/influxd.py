"""An InfluxDB 2 of a test's own: on loopback, on a free port, in a temporary folder, set up for writing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from testing.servers.process import Server, find_version, free_port, running

PROGRAM: Final = find_version("influxd", 2, "MEGAWATCH_INFLUXD")
"""Where the program of the second generation is; None where it is not."""

ORG: Final = "titan"
BUCKET: Final = "readings"
TOKEN: Final = "a-token-for-tests"  # noqa: S105 - opens a server that lives for one test
RETENTION_S: Final = 86_400 * 365 * 60
"""How long the bucket keeps points [s]; what was measured in 1960 is beyond it."""

_AUTHORIZATION: Final = {"Authorization": f"Token {TOKEN}"}


@contextmanager
def influxd(folder: Path, port: int = 0, options: Sequence[str] = ()) -> Iterator[Server]:
    """Run an InfluxDB with an organisation, a bucket and a token; again, where there was one.

    Args:
        folder: Where it keeps what it keeps.
        port: Its port; 0 for a free one.
        options: What it is told besides.
    """
    is_new = not (folder / "influxd.bolt").exists()
    port = port or free_port()
    command = [
        str(PROGRAM),
        "--http-bind-address",
        f"127.0.0.1:{port}",
        "--bolt-path",
        str(folder / "influxd.bolt"),
        "--sqlite-path",
        str(folder / "influxd.sqlite"),
        "--engine-path",
        str(folder / "engine"),
        "--reporting-disabled",
        "--log-level",
        "error",
        *options,
    ]
    setup = {
        "username": "admin",
        "password": "password123",
        "org": ORG,
        "bucket": BUCKET,
        "token": TOKEN,
        "retentionPeriodSeconds": RETENTION_S,
    }
    with running(command, Server(port), folder) as server:
        if is_new:
            status, body = server.request("POST", "/api/v2/setup", body=json.dumps(setup))
            assert status == 201, body
        yield server


def select(server: Server, query: str) -> list[dict[str, Any]]:
    """Return the rows that an InfluxQL query finds, each by column; times in milliseconds."""
    parameters = urlencode({"db": BUCKET, "epoch": "ms", "q": query})
    status, body = server.request("GET", f"/query?{parameters}", headers=_AUTHORIZATION)
    assert status == 200, body
    return [
        dict(zip(series["columns"], row, strict=True))
        for result in json.loads(body, parse_int=float)["results"]
        for series in result.get("series", [])
        for row in series["values"]
    ]


def write(server: Server, lines: str) -> None:
    """Write lines as somebody else would."""
    path = f"/api/v2/write?{urlencode({'org': ORG, 'bucket': BUCKET, 'precision': 'ms'})}"
    status, body = server.request("POST", path, body=lines, headers=_AUTHORIZATION)
    assert status == 204, body


def make_token(server: Server) -> str:
    """Return a token that may read the bucket and not write to it."""
    status, body = server.request("GET", f"/api/v2/buckets?name={BUCKET}", headers=_AUTHORIZATION)
    assert status == 200, body
    bucket = json.loads(body)["buckets"][0]
    resource = {"type": "buckets", "id": bucket["id"], "orgID": bucket["orgID"]}
    wanted = {"orgID": bucket["orgID"], "permissions": [{"action": "read", "resource": resource}]}
    status, body = server.request(
        "POST", "/api/v2/authorizations", body=json.dumps(wanted), headers=_AUTHORIZATION
    )
    assert status == 201, body
    token: str = json.loads(body)["token"]
    return token
