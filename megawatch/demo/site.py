"""The site of a demo: that of its scenario, on the demo's broker, with the demo's pager."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from collector.decode.registry import FORMATS
from megawatch.scenario.destination import Destination
from simulators.scenario.scenario import Scenario

_OWN: Final = frozenset({"broker", "route", "store", "metrics"})
"""Tables of a site file that are about the monitor's surroundings: a demo has its own."""
_KEPT: Final = ("name", "format", "publishers", "heartbeat_s", "repeat_s", "period_s", "jitter_s")
"""What a broker's table says of what is spoken on it."""
_HEADER: Final = re.compile(r"\[\[?\s*([\w-]+)[\w.\s-]*\]\]?\s*(#.*)?$")

_TABLES: Final = """
[[broker]]
url = "{url}"
client_id = "megawatch-demo-{run}"
topics = ["{topics}"]
session_expiry_s = 60
{rest}

[[route]]
to = {{ webhook = "{webhook}", secret_file = "secret" }}
"""


def write_site(
    folder: Path,
    scenario: Scenario,
    *,
    broker: Destination,
    webhook: str,
    secret: bytes,
    run: str,
    queued_messages: int | None = None,
) -> None:
    """Write a demo's site file and its secrets.

    Args:
        folder: An empty folder.
        scenario: The scenario whose site it is, with its dates as they are to be.
        broker: Broker and credentials.
        webhook: Where pages go.
        secret: What they are signed with.
        run: What tells this run from others on the same broker.
        queued_messages: What the broker keeps while the monitor is away; None where that is not known.
    """
    table = scenario.site.brokers[0]
    rest = [f"{key} = {json.dumps(value)}" for key in _KEPT if (value := getattr(table, key)) is not None]
    secrets = {"secret": secret, "password": (broker.password or "").encode()}
    if queued_messages is not None:
        rest.append(f"queued_messages = {queued_messages}")
    if broker.username is not None:
        rest.append(f"username = {json.dumps(broker.username)}")
    if broker.password is not None:
        rest.append('password_file = "password"')
    if broker.authority is not None:
        rest.append('ca_file = "authority.pem"')
        secrets["authority.pem"] = broker.authority.encode()
    tables = _TABLES.format(
        url=broker.url,
        webhook=webhook,
        run=run,
        topics=FORMATS[table.format].own_topics(scenario.site.site.name),
        rest="\n".join(rest),
    )
    text = f"{without_tables(scenario.site_text, _OWN)}\n{tables}"
    for name, content in {"site.toml": text.encode(), **secrets}.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)


def without_tables(text: str, names: frozenset[str]) -> str:
    """Return a TOML document without some of its tables, and without those within them.

    Args:
        text: The document, each table's header on a line of its own.
        names: First part of the names of these tables.
    """
    kept: list[str] = []
    is_kept = True
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header is not None:
            is_kept = header[1] not in names
        if is_kept:
            kept.append(line)
    return "\n".join(kept)
