"""`megawatch doctor`: what the broker and the database can and can not do, proved and not asked."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facility.errors import StoreUnavailable
from megawatch.live import reach
from megawatch.places import examine_disk
from megawatch.sitefolder import SiteFolder, open_site
from store.influxserver import DatabaseServer, inspect


def examine(path: Path) -> tuple[dict[str, Any], str]:
    """Examine what a site names.

    Args:
        path: The site file, or the folder that holds it.

    Returns:
        What was found, as a document and as text; all is well where `is_fine` says so.

    Raises:
        SiteFileError: Where the site file is at fault.
    """
    folder = open_site(path)
    reached = asyncio.run(reach(folder))
    reached.append(examine_disk(folder.data, folder.file.store.journal_gb))
    server = _database(folder)
    is_fine = all(item["ok"] for item in reached) and (server is None or server.works)
    lines = [
        f"{'reached' if item['ok'] else 'NOT REACHED'} {item['what']}: {item['detail']}" for item in reached
    ]
    lines += _notes_of_brokers(folder)
    if server is not None:
        lines += _lines(server)
    database = None if server is None else asdict(server) | {"buckets": dict(server.buckets)}
    return {"is_fine": is_fine, "reached": reached, "database": database}, "\n".join(lines)


def _database(folder: SiteFolder) -> DatabaseServer | None:
    table = folder.file.store.influxdb
    if table is None:
        return None
    try:
        return inspect(table, folder.influx_token())
    except (OSError, StoreUnavailable):
        return None  # that it can not be reached is told with all that can not


def _notes_of_brokers(folder: SiteFolder) -> list[str]:
    return [
        f"  broker {broker.name}: asked for quality of service 0: what is said while we are away is gone, and"
        " a tenant is UNKNOWN until each point is heard again; ask for 1"
        for broker in folder.file.brokers
        if broker.qos == 0
    ]


def _lines(server: DatabaseServer) -> list[str]:
    abilities = (
        ("takes what is written", server.takes_writes),
        ("answers what is asked", server.answers_queries),
        ("speaks InfluxQL", server.speaks_influxql),
        ("keeps a line once that is sent twice", server.overwrites),
    )
    word = {True: "yes", False: "NO", None: "not known"}
    lines = [f"database: {server.kind} {server.version}".rstrip()]
    lines += [f"  {what}: {word[can]}" for what, can in abilities]
    lines += [f"  {kept} go to {bucket}" for kept, bucket in server.buckets]
    if server.retention:
        lines.append(f"  keeps readings: {server.retention}")
    return lines + [f"  {note}" for note in server.notes]
