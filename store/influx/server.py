"""Which database answers, and what it can do: asked of it and proved on it, never guessed from its url.

Three are written to in one way: InfluxDB 2 (`/api/v2/write`), InfluxDB 1.x (`/write`) and VictoriaMetrics,
which takes both and says of itself that it is an InfluxDB. The site file names them alike: `bucket` is the
database of an InfluxDB 1.x, and the token file then holds `user:password`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from facility.errors import StoreUnavailable
from facility.sitefile.tables import InfluxTable
from store.influx.lineprotocol import Kept
from store.influx.requests import Http, Reply, authorization

_OK: Final = 200
_NO_CONTENT: Final = 204
_VICTORIA: Final = b"VictoriaMetrics"
_GENERATION: Final = re.compile(r"v?(\d+)\.", re.ASCII)
_APP_VERSION: Final = re.compile(r'vm_app_version\{[^}]*short_version="([^"]+)"', re.ASCII)
_STARTED: Final = re.compile(r"^vm_app_start_timestamp (\d+)$", re.ASCII | re.MULTILINE)
_DEDUP: Final = re.compile(r'-dedup\.minScrapeInterval="?(\d+[a-z]+)', re.ASCII)
_RETENTION: Final = re.compile(r'-retentionPeriod="?([0-9.]+[a-z]*)', re.ASCII)
# A comment is a write of nothing, for which url, organisation, bucket and token must be right all the same.
NOTHING: Final = b"#"
EMPTY: Final = "incoming write was empty"
"""What InfluxDB 3 says of a write of nothing once all else is right."""


class Kind(StrEnum):
    """Databases that take line protocol."""

    INFLUXDB_1 = "InfluxDB 1"
    INFLUXDB_2 = "InfluxDB 2"
    INFLUXDB_3 = "InfluxDB 3"
    VICTORIA_METRICS = "VictoriaMetrics"
    OTHER = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """A database, as it was found.

    Attributes:
        kind: What it is.
        version: Its version, as it says it; "" where it does not.
        takes_writes: Whether a write with this token is accepted.
        answers_queries: Whether a read with this token is answered; None where it was not tried.
        speaks_influxql: Whether it can be read with InfluxQL, as the history does.
        overwrites: Whether a line that is sent twice is kept once; None where that is not known.
        retention: How long it keeps readings, in its own words; "" where it does not say.
        buckets: Where lines of each kind go: the name of a bucket, or of a database and its policy.
        notes: What people should know or put right, a sentence each.
    """

    kind: Kind
    version: str = ""
    takes_writes: bool = False
    answers_queries: bool | None = None
    speaks_influxql: bool = False
    overwrites: bool | None = True
    retention: str = ""
    buckets: tuple[tuple[Kept, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether readings can be stored there so that nothing is lost or doubled."""
        return self.takes_writes and self.overwrites is not False


def identify(http: Http) -> tuple[Kind, str]:
    """Return which database answers and its version.

    Raises:
        StoreBusy: Where none does.
    """
    # It imitates InfluxDB's own pages, so it is asked for one that only it has.
    reply = http.request("GET", "/-/healthy")
    if _VICTORIA in reply.body:
        version = _APP_VERSION.search(http.request("GET", "/metrics").body.decode("utf-8", "replace"))
        return Kind.VICTORIA_METRICS, version[1] if version else ""
    reply = http.request("GET", "/ping")
    version_text = reply.headers.get("x-influxdb-version", "")
    generation = _GENERATION.match(version_text)
    kinds = {"1": Kind.INFLUXDB_1, "2": Kind.INFLUXDB_2, "3": Kind.INFLUXDB_3}
    return kinds.get(generation[1] if generation else "", Kind.OTHER), version_text.removeprefix("v")


def started(http: Http) -> str:
    """Return when a VictoriaMetrics was started, which answers before it has lines on disk.

    Returns:
        Its time in its own words, to the second; "" where it does not say.

    Raises:
        StoreBusy: Where no server answers.
    """
    found = _STARTED.search(http.request("GET", "/metrics").body.decode("utf-8", "replace"))
    return found[1] if found else ""


def bucket_of(table: InfluxTable, kept: Kept) -> str:
    """Return the bucket in which something is kept for so long: `megawatch`, `megawatch/minute`, ..."""
    return f"{table.bucket}/{kept}" if kept else table.bucket


def write_target(kind: Kind, table: InfluxTable, bucket: str) -> tuple[str, dict[str, str]]:
    """Return path and parameters of a write of lines in milliseconds.

    Args:
        kind: Which database it is.
        table: What the site file says of it.
        bucket: Name of the bucket, or of the database of an InfluxDB 1.
    """
    if kind is Kind.INFLUXDB_1:
        database, _, policy = bucket.partition("/")
        return "/write", {"db": database, "precision": "ms"} | ({"rp": policy} if policy else {})
    return "/api/v2/write", {"org": table.org, "bucket": bucket, "precision": "ms"}


def is_stored(reply: Reply) -> bool:
    """Tell whether a write of nothing was accepted."""
    return reply.status == _NO_CONTENT or EMPTY.encode() in reply.body


def try_write(http: Http, kind: Kind, table: InfluxTable, token: str, bucket: str) -> Reply:
    """Write nothing, for which all must be right that must be for a line; return what was said.

    Raises:
        StoreBusy: Where no server answers.
        ValueError: Where the token cannot be one.
    """
    path, query = write_target(kind, table, bucket)
    return http.request("POST", path, query=query, body=NOTHING, headers=authorization(token))


def find_buckets(http: Http, kind: Kind, table: InfluxTable, token: str) -> dict[Kept, str]:
    """Return where lines go: into a bucket of their own where there is one, else with the readings.

    Raises:
        StoreBusy: Where no server answers.
        ValueError: Where the token cannot be one.
    """
    found = {Kept.DAYS: bucket_of(table, Kept.DAYS)}
    for kept in (Kept.MONTHS, Kept.YEARS):
        bucket = bucket_of(table, kept)
        has_buckets = kind is not Kind.VICTORIA_METRICS
        is_there = has_buckets and is_stored(try_write(http, kind, table, token, bucket))
        found[kept] = bucket if is_there else found[Kept.DAYS]
    return found


def inspect(table: InfluxTable, token: str, timeout_s: float = 5.0) -> DatabaseServer:
    """Find out which database is there and what it can do; nothing is written.

    Args:
        table: What the site file says of it.
        token: Access token, "" for none.
        timeout_s: How long it may be silent [s].

    Raises:
        StoreUnavailable: Where no server answers, or the token cannot be one.
    """
    http = Http(table.url, timeout_s)
    try:
        kind, version = identify(http)
        reply = try_write(http, kind, table, token, table.bucket)
        buckets = find_buckets(http, kind, table, token) if is_stored(reply) else {}
        if kind is Kind.VICTORIA_METRICS:
            return _victoria(http, version, reply)
        return _influxdb(http, kind, version, table, token, reply, buckets)
    except ValueError as error:
        raise StoreUnavailable(table.url, f"the token cannot be one: {error}") from error
    finally:
        http.close()


def _influxdb(
    http: Http,
    kind: Kind,
    version: str,
    table: InfluxTable,
    token: str,
    reply: Reply,
    buckets: dict[Kept, str],
) -> DatabaseServer:
    notes = [] if is_stored(reply) else [f"a write is answered {reply.words}"]
    can_read, retention = _policies(http, table, token, notes)
    if kind is Kind.INFLUXDB_2:
        retention = _expiry(http, table, token)
    shared = [bucket_of(table, kept) for kept, bucket in buckets.items() if bucket != bucket_of(table, kept)]
    if shared:
        notes.append(
            f"there is no {' and no '.join(shared)}, or the token may not write there: means and alarms are"
            f" kept with the readings, no longer than these; `megawatch influx init` makes them"
        )
    if kind is Kind.INFLUXDB_1 and token and ":" not in token:
        notes.append("InfluxDB 1 takes no tokens: put user:password into the token file")
    if kind is Kind.OTHER:
        notes.append("it is none of the databases that are known: watch whether readings can be read back")
    return DatabaseServer(
        kind=kind,
        version=version,
        takes_writes=is_stored(reply),
        answers_queries=can_read,
        speaks_influxql=can_read,
        overwrites=True if kind is not Kind.OTHER and is_stored(reply) else None,
        retention=retention,
        buckets=tuple(buckets.items()),
        notes=tuple(notes),
    )


def _policies(http: Http, table: InfluxTable, token: str, notes: list[str]) -> tuple[bool, str]:
    """Return whether reads are answered, and how long readings are kept; add to the notes why not."""
    database, _, policy = table.bucket.partition("/")
    rows, words = show(http, f'SHOW RETENTION POLICIES ON "{database}"', database, token)
    if rows is None:
        notes.append(f"a query is answered {words}")
        return False, ""
    for row in rows:
        if row.get("name") == policy or (not policy and row.get("default")):
            duration = str(row.get("duration", ""))
            return True, "for ever" if duration in ("0", "0s") else duration
    return True, ""


def _expiry(http: Http, table: InfluxTable, token: str) -> str:
    """Return how long a bucket of an InfluxDB 2 keeps readings, which it does not say in InfluxQL."""
    query = {"org": table.org, "name": table.bucket}
    reply = http.request("GET", "/api/v2/buckets", query=query, headers=authorization(token))
    try:
        (bucket,) = json.loads(reply.body)["buckets"]
        seconds = min((rule["everySeconds"] for rule in bucket["retentionRules"]), default=0)
    except (ValueError, KeyError, TypeError):
        return ""
    return f"{seconds // 3_600}h" if seconds else "for ever"


def show(http: Http, question: str, database: str, token: str) -> tuple[list[dict[str, Any]] | None, str]:
    """Ask a question in InfluxQL that has no parameters and a short answer.

    Args:
        http: Sends requests to the server.
        question: The question, in our own words.
        database: Name of the database that is asked.
        token: Access token, "" for none.

    Returns:
        Rows by column, None where it was not answered; and what was said then.
    """
    if re.fullmatch(r"[^\"\\;]*", database) is None:
        return None, "the bucket's name cannot be asked for"
    reply = http.request(
        "POST", "/query", query={"db": database, "q": question}, headers=authorization(token)
    )
    if reply.status != _OK:
        return None, reply.words
    try:
        (result,) = json.loads(reply.body)["results"]
        series = result.get("series", [])
        if "error" in result:
            return None, str(result["error"])
        return [dict(zip(s["columns"], row, strict=True)) for s in series for row in s.get("values", [])], ""
    except (ValueError, KeyError, TypeError):
        return None, f"something that is no answer of InfluxQL: {reply.words}"


def _victoria(http: Http, version: str, reply: Reply) -> DatabaseServer:
    flags = http.request("GET", "/flags")
    text = flags.body.decode("utf-8", "replace") if flags.status == _OK else ""
    dedup, retention = _DEDUP.search(text), _RETENTION.search(text)
    notes = ["it answers no InfluxQL about readings: `query` and the history do not work on it"]
    overwrites: bool | None = None
    if flags.status == _OK:
        merges = dedup is not None and not dedup[1].startswith("0")
        overwrites = merges if is_stored(reply) else None
        if not merges:
            notes.append("start it with -dedup.minScrapeInterval=1ms: it keeps what is sent twice twice")
    else:
        notes.append("it does not show its flags: -dedup.minScrapeInterval=1ms must be among them")
    if not is_stored(reply):
        notes.append(f"a write is answered {reply.words}")
    export = http.request("GET", "/api/v1/export", query={"match[]": '{__name__="no_such_series"}'})
    return DatabaseServer(
        kind=Kind.VICTORIA_METRICS,
        version=version,
        takes_writes=is_stored(reply),
        answers_queries=export.status == _OK,
        overwrites=overwrites,
        retention=retention[1] if retention else "1 month" if text else "",
        notes=tuple(notes),
    )


def host_is_near(url: str) -> bool:
    """Tell whether a database is on this machine, so that squeezing what it is sent saves nothing."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
