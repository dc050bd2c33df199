"""`megawatch doctor`: what the broker and the database can and cannot do, proved and not asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from facility.errors import StoreUnavailable
from megawatch.check.broker import BrokerExam, examine_broker
from megawatch.check.destinations import examine_disk
from megawatch.check.live import reach
from megawatch.cli.outputs import Database, Doctor, Reached
from megawatch.site.folder import SiteFolder, open_site
from store.influx.server import DatabaseServer, inspect


def examine(path: Path) -> tuple[Doctor, str]:
    """Examine what a site names.

    Args:
        path: The site file, or the folder that holds it.

    Returns:
        What was found, as a document and as text; all is well where `is_fine` says so.

    Raises:
        SiteFileError: Where the site file is at fault.
    """
    folder = open_site(path)
    reached, brokers = asyncio.run(_ask(folder))
    reached.append(examine_disk(folder.data, folder.file.store.journal_gb))
    server = _database(folder)
    is_fine = all(item["ok"] for item in reached) and all(broker.is_fine for broker in brokers)
    is_fine = is_fine and (server is None or server.works)
    lines = [
        f"{'reached' if item['ok'] else 'NOT REACHED'} {item['what']}: {item['detail']}" for item in reached
    ]
    lines += [line for broker in brokers for line in broker.lines()]
    if server is not None:
        lines += _lines(server)
    document: Doctor = {
        "is_fine": is_fine,
        "reached": reached,
        "brokers": [broker.document() for broker in brokers],
        "database": None if server is None else _found(server),
    }
    return document, "\n".join(lines)


async def _ask(folder: SiteFolder) -> tuple[list[Reached], list[BrokerExam]]:
    exams = asyncio.gather(*(examine_broker(folder, table) for table in folder.file.brokers))
    reached, brokers = await asyncio.gather(reach(folder), exams)
    return reached, brokers


def _database(folder: SiteFolder) -> DatabaseServer | None:
    table = folder.file.store.influxdb
    if table is None:
        return None
    try:
        return inspect(table, folder.influx_token())
    except (OSError, StoreUnavailable):
        return None  # that it cannot be reached is told with all that cannot


def _found(server: DatabaseServer) -> Database:
    return {
        "kind": server.kind,
        "version": server.version,
        "takes_writes": server.takes_writes,
        "answers_queries": server.answers_queries,
        "speaks_influxql": server.speaks_influxql,
        "overwrites": server.overwrites,
        "retention": server.retention,
        "buckets": dict(server.buckets),
        "notes": list(server.notes),
    }


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
