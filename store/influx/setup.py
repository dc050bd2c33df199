"""Preparing a database: buckets that keep for as long as is wanted, mappings for InfluxQL, two tokens.

It can be run again: what is there is left as it is, but for a retention that is too short. Nothing is ever
kept for less than before, and no token is replaced unless that is asked for.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS
from facility.names import is_path
from facility.sitefile.tables import InfluxTable
from store.influx.lineprotocol import Kept
from store.influx.requests import Http, Reply, authorization
from store.influx.server import Kind, bucket_of, identify, show

_DAY_S: Final = DAY_MS // 1_000
RETENTIONS_S: Final = MappingProxyType({Kept.DAYS: 30 * _DAY_S, Kept.MONTHS: 400 * _DAY_S, Kept.YEARS: 0})
"""How long each kind is kept at least [s]: 30 days, 13 months, and for ever (0)."""
POLICIES: Final = MappingProxyType({Kept.DAYS: "autogen", Kept.MONTHS: "minute", Kept.YEARS: "quarter"})
"""The retention policy of each kind, by which InfluxQL names it."""
WRITER: Final = "megawatch-writer"
READER: Final = "megawatch-reader"

_OK: Final = (200, 201, 204)
_GRANTS: Final = MappingProxyType({WRITER: "ALL", READER: "READ"})


@dataclass(slots=True)
class Setup:
    """What was prepared.

    Attributes:
        steps: What was found and done, a sentence each.
        tokens: New tokens, by `WRITER` and `READER`, as the token file takes them. One that was there before
            is not shown again by the server, and is not here.
    """

    steps: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)


def set_up(
    table: InfluxTable,
    token: str,
    *,
    renews_tokens: bool = False,
    retentions_s: Mapping[Kept, int] = RETENTIONS_S,
    timeout_s: float = 10.0,
) -> Setup:
    """Prepare the database of a site.

    The writer may write, and read back what it wrote; the reader may only read.

    Args:
        table: Where it is, as the site file says.
        token: A token that may do all this: the operator's, or `user:password` of an InfluxDB 1's admin.
        renews_tokens: Whether tokens that are there are replaced.
        retentions_s: How long each kind is kept at least [s]; 0 for ever.
        timeout_s: How long it may be silent [s].

    Raises:
        StoreUnavailable: Where it cannot be done, with what was expected.
    """
    if not is_path(table.bucket) or "/" in table.bucket:
        raise StoreUnavailable(
            table.url, f"expected a bucket of letters, digits, '.', '_' and '-', found {table.bucket!r}"
        )
    http = Http(table.url, timeout_s)
    try:
        kind, version = identify(http)
        setup = Setup([f"found {kind} {version}".rstrip()])
        if kind is Kind.VICTORIA_METRICS:
            setup.steps.append("it has no buckets and no tokens: start it with the retention that is wanted")
        elif kind is Kind.INFLUXDB_1:
            _First(http, table, token, setup).run(retentions_s, renews_tokens=renews_tokens)
        elif kind is Kind.INFLUXDB_2:
            _Second(http, table, token, setup).run(retentions_s, renews_tokens=renews_tokens)
        else:
            raise StoreUnavailable(table.url, f"expected InfluxDB 1 or 2, found {kind} {version}")
    except ValueError as error:
        raise StoreUnavailable(table.url, f"the token cannot be one: {error}") from error
    else:
        return setup
    finally:
        http.close()


class _Second:
    """An InfluxDB 2."""

    def __init__(self, http: Http, table: InfluxTable, token: str, setup: Setup) -> None:
        self._http = http
        self._table = table
        self._headers = authorization(token)
        self._setup = setup
        self._org = ""

    def run(self, retentions_s: Mapping[Kept, int], *, renews_tokens: bool) -> None:
        self._org = self._organisation()
        buckets = {kept: self._bucket(bucket_of(self._table, kept), retentions_s[kept]) for kept in Kept}
        for kept, bucket in buckets.items():
            self._mapping(bucket, POLICIES[kept], is_default=kept is Kept.DAYS)
        for name, actions in ((WRITER, ("write", "read")), (READER, ("read",))):
            self._token(name, actions, list(buckets.values()), renews_it=renews_tokens)

    def _organisation(self) -> str:
        found = self._ask("GET", "/api/v2/orgs", {"org": self._table.org}, might_be_gone=True)
        organisations = found.get("orgs", [])
        if not organisations:
            raise StoreUnavailable(
                self._table.url,
                f"organisation {self._table.org!r} is not there, or the token may not see it: make it, or"
                " correct `org` or the token",
            )
        return str(organisations[0]["id"])

    def _bucket(self, name: str, retention_s: int) -> str:
        query = {"orgID": self._org, "name": name}
        found = self._ask("GET", "/api/v2/buckets", query, might_be_gone=True).get("buckets", [])
        rules = [{"type": "expire", "everySeconds": retention_s}]
        if not found:
            body = {"orgID": self._org, "name": name, "retentionRules": rules if retention_s else []}
            made = self._ask("POST", "/api/v2/buckets", body=body)
            self._setup.steps.append(f"made bucket {name}, which keeps {_span(retention_s)}")
            return str(made["id"])
        bucket = found[0]
        kept_s = min((rule["everySeconds"] for rule in bucket["retentionRules"]), default=0)
        if kept_s and (not retention_s or kept_s < retention_s):
            body = {"retentionRules": rules if retention_s else [{"type": "expire", "everySeconds": 0}]}
            self._ask("PATCH", f"/api/v2/buckets/{bucket['id']}", body=body)
            self._setup.steps.append(f"bucket {name} kept {_span(kept_s)}; it keeps {_span(retention_s)} now")
        else:
            self._setup.steps.append(f"bucket {name} is there, and keeps {_span(kept_s)}")
        return str(bucket["id"])

    def _mapping(self, bucket: str, policy: str, *, is_default: bool) -> None:
        database = self._table.bucket
        query = {"orgID": self._org, "db": database, "rp": policy}
        found = self._ask("GET", "/api/v2/dbrps", query).get("content", [])
        real = [mapping for mapping in found if not mapping.get("virtual")]
        if any(mapping["bucketID"] == bucket for mapping in real):
            self._setup.steps.append(f"mapping {database}.{policy} is there")
            return
        if real:
            raise StoreUnavailable(
                self._table.url, f"mapping {database}.{policy} leads to another bucket: remove or correct it"
            )
        body = {
            "orgID": self._org,
            "bucketID": bucket,
            "database": database,
            "retention_policy": policy,
            "default": is_default,
        }
        self._ask("POST", "/api/v2/dbrps", body=body)
        self._setup.steps.append(f"made mapping {database}.{policy}")

    def _token(self, name: str, actions: Sequence[str], buckets: Sequence[str], *, renews_it: bool) -> None:
        description = f"{name} {self._table.bucket}"
        query = {"orgID": self._org}
        listed = self._ask("GET", "/api/v2/authorizations", query).get("authorizations", [])
        old = [one for one in listed if one.get("description") == description]
        if old and not renews_it:
            self._setup.steps.append(f"token {description!r} is there; it is not shown again")
            return
        resources = [{"type": "buckets", "id": bucket, "orgID": self._org} for bucket in buckets]
        permissions = [{"action": a, "resource": resource} for a in actions for resource in resources]
        body = {"orgID": self._org, "description": description, "permissions": permissions}
        made = self._ask("POST", "/api/v2/authorizations", body=body)
        self._setup.tokens[name] = str(made["token"])
        for one in old:
            self._ask("DELETE", f"/api/v2/authorizations/{one['id']}")
        verb = "replaced" if old else "made"
        self._setup.steps.append(f"{verb} token {description!r}, which may {' and '.join(actions)}")

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        might_be_gone: bool = False,
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | {"Content-Type": "application/json"}
        reply = self._http.request(method, path, query=query, body=data, headers=headers)
        if reply.status not in _OK:
            if might_be_gone and reply.status == 404:  # noqa: PLR2004 - not found
                return {}
            raise _refused(self._table.url, f"{method} {path}", reply)
        try:
            found = json.loads(reply.body) if reply.body else {}
        except ValueError as error:
            raise _refused(self._table.url, f"{method} {path}", reply) from error
        return dict(found)


class _First:
    """An InfluxDB 1.x."""

    def __init__(self, http: Http, table: InfluxTable, token: str, setup: Setup) -> None:
        self._http = http
        self._table = table
        self._token = token
        self._setup = setup

    def run(self, retentions_s: Mapping[Kept, int], *, renews_tokens: bool) -> None:
        database = self._table.bucket
        if database not in {row["name"] for row in self._ask("SHOW DATABASES")}:
            duration = _duration(retentions_s[Kept.DAYS])
            name = POLICIES[Kept.DAYS]
            self._ask(f'CREATE DATABASE "{database}" WITH DURATION {duration} REPLICATION 1 NAME "{name}"')
            self._setup.steps.append(f"made database {database}")
        for kept in Kept:
            self._policy(database, POLICIES[kept], retentions_s[kept])
        users = {row["user"] for row in self._ask("SHOW USERS")}
        for user, privilege in _GRANTS.items():
            self._user(database, user, privilege, is_there=user in users, renews_it=renews_tokens)

    def _policy(self, database: str, policy: str, retention_s: int) -> None:
        durations = {
            row["name"]: str(row["duration"]) for row in self._ask(f'SHOW RETENTION POLICIES ON "{database}"')
        }
        duration = _duration(retention_s)
        there = durations.get(policy)
        kept_s = int(there.partition("h")[0]) * 3_600 if there and "h" in there else 0
        if there is None:
            self._ask(f'CREATE RETENTION POLICY "{policy}" ON "{database}" DURATION {duration} REPLICATION 1')
            self._setup.steps.append(f"made policy {database}.{policy}, which keeps {_span(retention_s)}")
        elif kept_s and (not retention_s or kept_s < retention_s):
            self._ask(f'ALTER RETENTION POLICY "{policy}" ON "{database}" DURATION {duration}')
            self._setup.steps.append(
                f"policy {database}.{policy} kept {_span(kept_s)}; it keeps {_span(retention_s)} now"
            )
        else:
            self._setup.steps.append(f"policy {database}.{policy} is there, and keeps {_span(kept_s)}")

    def _user(self, database: str, user: str, privilege: str, *, is_there: bool, renews_it: bool) -> None:
        if is_there and not renews_it:
            self._setup.steps.append(f"user {user!r} is there; the password is not shown again")
        else:
            password = secrets.token_urlsafe(24)
            verb = "SET PASSWORD FOR" if is_there else "CREATE USER"
            link = "=" if is_there else "WITH PASSWORD"
            self._ask(f"{verb} \"{user}\" {link} '{password}'")
            self._setup.tokens[user] = f"{user}:{password}"
            self._setup.steps.append(f"{'replaced the password of' if is_there else 'made'} user {user!r}")
        self._ask(f'GRANT {privilege} ON "{database}" TO "{user}"')

    def _ask(self, question: str) -> list[dict[str, Any]]:
        rows, words = show(self._http, question, "", self._token)
        if rows is None:
            what = " ".join(question.split()[:2])
            raise StoreUnavailable(self._table.url, f"expected to be let do {what}; it answered {words}")
        return rows


def _refused(url: str, what: str, reply: Reply) -> StoreUnavailable:
    return StoreUnavailable(url, f"expected to be let do {what}; it answered {reply.words}")


def _duration(seconds: int) -> str:
    return f"{seconds // 3_600}h" if seconds else "INF"


def _span(seconds: int) -> str:
    return f"{seconds / _DAY_S:g} days" if seconds else "for ever"
