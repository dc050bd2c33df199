"""Questions in InfluxQL, with bound parameters, and their answers in columns.

The dialect that InfluxDB 1.x and 2 have in common, and that Grafana asks both in. Names in a question are
ours; whatever comes from outside is a parameter, which no server reads as part of the question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, NoReturn

import numpy as np

from facility.errors import StoreUnavailable
from facility.readings import FloatArray, IntArray
from facility.sitefile.tables import InfluxTable
from store.influx.requests import Http, Reply, authorization
from store.influx.server import Kind, identify
from store.retry import StoreBusy

TIMEOUT_S: Final = 60.0
"""How long an answer may take to begin [s]: our choice, for a year of means on a slow disk."""

_OK: Final = 200
_REFUSED: Final = (401, 403)
_PASSING: Final = (408, 429)
_FAILED: Final = 500
_NAME: Final = re.compile(r"[^\"\\\n;]+")
MOST_MS: Final = 2**53
"""A time beyond this is none [ms]."""
_NUMBERS: Final = frozenset({float, type(None)})
"""What a cell of a number is; a truth value would count as 0 or 1."""
Parameters = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer in columns.

    Attributes:
        tags: What all rows have in common, where the question asks for groups.
        time_ms: When, shape (n,), int64 [ms].
        columns: What was asked for, each of shape (n,), float64; NaN where there is no number.
        others: What stands there and is no number: row, column, and a text or a truth value.
    """

    tags: Mapping[str, str]
    time_ms: IntArray
    columns: Sequence[FloatArray]
    others: Sequence[tuple[int, int, str | bool]] = ()


class InfluxQuery:
    """Asks one database. Methods may be called from any thread.

    Args:
        table: Where it is, as the site file says.
        token: Gives the token; asked again after the database refused it.
        timeout_s: How long an answer may take to begin [s].
    """

    def __init__(self, table: InfluxTable, token: Callable[[], str], timeout_s: float = TIMEOUT_S) -> None:
        self._table = table
        self._token = token
        self._lock = Lock()
        self._http = Http(table.url, timeout_s)
        self._headers: dict[str, str] | None = None
        self._policies: frozenset[str] = frozenset()
        self._database, _, self._policy = table.bucket.partition("/")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def sources(self, measurement: str, policy: str = "") -> list[str]:
        """Return a measurement as it stands in a question: wherever it may be, with the readings last.

        Args:
            measurement: Its name, one of ours.
            policy: Under which retention policy, where there is one that is called so; "" for none.

        Raises:
            StoreUnavailable: Where the database does not say which there are.
        """
        with self._lock:
            self._known()
        mine = [policy] if policy in self._policies else []
        return [f'"{name}"."{measurement}"' if name else f'"{measurement}"' for name in [*mine, self._policy]]

    def numbers(self, questions: Sequence[str], parameters: Parameters) -> list[list[Rows]]:
        """Return what questions find that ask for numbers: for each a table for every group.

        Raises:
            StoreBusy: Where the database is away.
            StoreUnavailable: Where it does not answer such questions, or not with this token.
        """
        answers = self._ask(questions, parameters)
        with self._understood():
            return [[_rows(series) for series in found] for found in answers]

    def texts(self, questions: Sequence[str], parameters: Parameters) -> Iterator[dict[str, Any]]:
        """Yield the rows that questions find, each by column; times in milliseconds.

        Raises:
            StoreBusy: Where the database is away.
            StoreUnavailable: Where it does not answer such questions, or not with this token.
        """
        answers = self._ask(questions, parameters)
        with self._understood():
            rows = [
                dict(zip(series["columns"], row, strict=True)) | series.get("tags", {})
                for found in answers
                for series in found
                for row in series.get("values", [])
            ]
        yield from rows

    def _ask(self, questions: Sequence[str], parameters: Parameters) -> list[list[dict[str, Any]]]:
        with self._lock:
            headers = self._known()
        query = {"db": self._database, "epoch": "ms", "params": json.dumps(dict(parameters))}
        form = query | {"q": ";".join(questions)}
        return self._answered(self._http.request("POST", "/query", query=form, headers=headers))

    def _answered(self, reply: Reply) -> list[list[dict[str, Any]]]:
        if reply.status != _OK:
            self._complain(reply)
        with self._understood():
            # An integer would lose the sign of -0.
            answer = json.loads(reply.body, parse_int=float)
            return [self._checked(result) for result in answer["results"]]

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Take whatever cannot be made of an answer for no answer."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            cause = f"its answer is none of InfluxQL: {type(error).__name__}: {error}"
            raise StoreUnavailable(self._table.url, cause) from error

    def _checked(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        if "error" in result:
            # A policy that is gone since is asked for no more.
            self._headers = None
            raise StoreUnavailable(self._table.url, f"it answered: {result['error']}")
        series: list[dict[str, Any]] = result.get("series", [])
        if result.get("partial") or any(one.get("partial") for one in series):
            raise StoreUnavailable(self._table.url, "it cut its answer: raise max-row-limit, or ask for less")
        return series

    def _known(self) -> dict[str, str]:
        """Find out which server answers, and send the token from then on."""
        if self._headers is not None:
            return self._headers
        if not _NAME.fullmatch(self._table.bucket):
            raise StoreUnavailable(self._table.url, f"a bucket called {self._table.bucket!r} cannot be asked")
        try:
            headers = authorization(self._token())
        except (OSError, ValueError) as error:
            raise StoreUnavailable(self._table.url, f"the token cannot be used: {error}") from error
        kind, _ = identify(self._http)
        if kind is Kind.VICTORIA_METRICS:
            raise StoreUnavailable(
                self._table.url, "VictoriaMetrics answers no InfluxQL about readings: ask it in MetricsQL"
            )
        question = f'SHOW RETENTION POLICIES ON "{self._database}"'
        reply = self._http.request(
            "POST", "/query", query={"db": self._database, "q": question}, headers=headers
        )
        with self._understood():
            (found,) = self._answered(reply)
            self._policies = frozenset(str(row[0]) for series in found for row in series.get("values", []))
        self._headers = headers
        return headers

    def _complain(self, reply: Reply) -> NoReturn:
        if reply.status in _PASSING or reply.status >= _FAILED:
            raise StoreBusy(self._table.url, f"it answered {reply.words}")
        self._headers = None
        remedy = (
            "the token may not read: give it the permission, or use another token"
            if reply.status in _REFUSED
            else "expected an InfluxDB that answers InfluxQL: see whether url and bucket are right"
        )
        raise StoreUnavailable(self._table.url, f"{remedy} (it answered {reply.words})")


def _rows(series: dict[str, Any]) -> Rows:
    values, width, tags = series.get("values", []), len(series["columns"]), series.get("tags", {})
    if not all(isinstance(text, str) for text in tags.values()):
        raise TypeError("expected texts as tags")
    if any(len(row) != width for row in values):
        raise ValueError(f"expected rows of {width} cells")
    times, *columns = [[row[place] for row in values] for place in range(width)]
    others: list[tuple[int, int, str | bool]] = []
    for place, column in enumerate(columns):
        if not _NUMBERS.issuperset(map(type, column)):
            others += [(row, place, cell) for row, cell in enumerate(column) if type(cell) not in _NUMBERS]
            columns[place] = [cell if type(cell) in _NUMBERS else None for cell in column]
    moments = np.array(times, np.float64)
    if not (np.abs(moments) < MOST_MS).all():
        raise ValueError("expected times in milliseconds")
    return Rows(tags, moments.astype(np.int64), [np.array(column, np.float64) for column in columns], others)
