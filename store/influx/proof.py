"""Reading back what a database said that it stored.

A server may answer that it stored lines and drop them: VictoriaMetrics does so with what is beyond its
retention, and a proxy that answers for a server that is away may do so with everything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from facility.errors import StoreUnavailable
from store.influx.requests import Http, authorization
from store.influx.server import Kind

SAMPLE: Final = 8
"""How many lines of a chunk are read back: the first, the last, and some between them."""
PERIOD_S: Final = 60.0
"""How often a chunk is read back [s]: our choice."""
PAUSES_S: Final = (0.0, 1.0, 2.0, 2.0)
"""How long is waited before each look for a line [s]: VictoriaMetrics shows new ones after a second or so."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as it is looked for.

    Attributes:
        measurement: Its measurement.
        tags: Its tags.
        field: Name of one of its numeric fields.
        at_ms: Its time [ms].
    """

    measurement: str
    tags: dict[str, str]
    field: str
    at_ms: int


class Unreadable(Exception):  # noqa: N818 - says what it is
    """Nothing can be read back; it says why."""


class NothingThere(Exception):  # noqa: N818 - says what it is
    """Nothing that was read back is there."""


class Proof:
    """Looks for lines in a database.

    Args:
        http: Sends requests to it.
        kind: Which database it is.
        token: Its access token.
        pauses_s: How long is waited before each look for a line [s].

    Attributes:
        proved_s: When a chunk was last read back, by the event loop's clock [s]; None before.
    """

    def __init__(self, http: Http, kind: Kind, token: str, pauses_s: Sequence[float] = PAUSES_S) -> None:
        self._http = http
        self._kind = kind
        self._token = token
        self._pauses_s = pauses_s
        self._witness = b""
        self._looks = 0
        self.proved_s: float | None = None

    def is_due(self, now_s: float, *, is_old: bool) -> bool:
        """Tell whether a chunk is to be read back: an old one, the first one, and one each minute."""
        return is_old or self.proved_s is None or now_s - self.proved_s >= PERIOD_S

    async def dropped(self, lines: Sequence[bytes], accepted: Sequence[int], bucket: str) -> list[int]:
        """Return which lines, in order of time and said to be stored, were dropped without a word.

        A sample is looked for. Where older ones of it are missing and newer ones are there, everything older
        than the oldest line that is there was dropped.

        Args:
            lines: Lines of a chunk, in order of time, without their ends.
            accepted: Which of them are said to be stored, at least one.
            bucket: Bucket or database that they were written to.

        Raises:
            NothingThere: Where no line of the sample is there, nor anything newer that was.
            Unreadable: Where nothing can be read, as with a token that may only write.
        """
        sample = sorted({accepted[n * (len(accepted) - 1) // (SAMPLE - 1)] for n in range(SAMPLE)})
        missing = await self._look(lines, sample, bucket)
        there = [place for place in sample if place not in missing]
        if not there:
            newest = lines[sample[-1]]
            is_older = _read(newest).at_ms < _read(self._witness).at_ms if self._witness else False
            if is_older and not await self._look([self._witness], [0], bucket):
                return list(accepted)
            raise NothingThere(
                f"it answers that it stores lines, and none of {len(sample)} that were read back is there:"
                " see what stands between, and whether readings are older than what it keeps"
            )
        self._witness = max(
            self._witness, lines[there[-1]], key=lambda line: _read(line).at_ms if line else 0
        )
        older = [place for place in missing if place < there[0]]
        after, before = accepted.index(older[-1]) if older else -1, accepted.index(there[0])
        while before - after > 1 and older:
            middle = (after + before) // 2
            # By now whatever is there can be seen.
            is_gone = bool(await asyncio.to_thread(self.missing, [lines[accepted[middle]]], bucket))
            after, before = (middle, before) if is_gone else (after, middle)
        return [place for number, place in enumerate(accepted) if number <= after or place in missing]

    async def _look(self, lines: Sequence[bytes], places: Sequence[int], bucket: str) -> list[int]:
        """Return which of some lines cannot be found, after some patience."""
        missing = list(places)
        for pause_s in self._pauses_s:
            await asyncio.sleep(pause_s)
            found = await asyncio.to_thread(self.missing, [lines[place] for place in missing], bucket)
            missing = [missing[number] for number in found]
            if not missing:
                break
        return missing

    def missing(self, lines: Sequence[bytes], bucket: str) -> list[int]:
        """Return which lines, made by us and said to be stored, are not there.

        Args:
            lines: Lines without their ends.
            bucket: Bucket or database that they were written to.

        Raises:
            Unreadable: Where nothing can be read, as with a token that may only write.
        """
        wanted = [_read(line) for line in lines]
        try:
            if self._kind is Kind.VICTORIA_METRICS:
                return [place for place, line in enumerate(wanted) if not self._is_exported(line)]
            return self._not_selected(wanted, bucket)
        except (StoreUnavailable, ValueError, KeyError, TypeError) as error:
            raise Unreadable(str(error)) from error

    def _is_exported(self, line: _Line) -> bool:
        labels = {"__name__": f"{line.measurement}_{line.field}", **line.tags}
        self._looks += 1
        # It remembers which questions found nothing, so each is a new one, by a condition that always holds.
        terms = [*(f'{name}="{value}"' for name, value in labels.items()), f'look!="{self._looks}"']
        selector = ",".join(terms)
        at_s = f"{line.at_ms / 1_000:.3f}"
        query = {"match[]": f"{{{selector}}}", "start": at_s, "end": at_s}
        reply = self._http.request("GET", "/api/v1/export", query=query, headers=authorization(self._token))
        if reply.status != _OK:
            raise Unreadable(reply.words)
        return any(line.at_ms in json.loads(text)["timestamps"] for text in reply.body.splitlines())

    def _not_selected(self, lines: Sequence[_Line], bucket: str) -> list[int]:
        database, _, policy = bucket.partition("/")
        of = f'"{policy}".' if policy else ""
        parameters: dict[str, str | int] = {}
        questions = []
        for place, line in enumerate(lines):
            terms = [f"time = $time{place}"]
            parameters[f"time{place}"] = line.at_ms * 1_000_000
            for name, value in line.tags.items():
                terms.append(f'"{name}" = ${name}{place}')
                parameters[f"{name}{place}"] = value
            questions.append(
                f'SELECT "{line.field}" FROM {of}"{line.measurement}" WHERE {" AND ".join(terms)}'  # noqa: S608 - names of ours
            )
        query = {"db": database, "epoch": "ms"}
        form = {"q": ";".join(questions), "params": json.dumps(parameters)}
        reply = self._http.request("POST", "/query", query=query | form, headers=authorization(self._token))
        if reply.status != _OK:
            raise Unreadable(reply.words)
        results = json.loads(reply.body)["results"]
        faults = [result["error"] for result in results if "error" in result]
        if faults:
            raise Unreadable(faults[0])
        return [place for place, result in enumerate(results) if not result.get("series")]


def _read(line: bytes) -> _Line:
    """Read a line of our own, in which nothing is escaped and a space ends what a name is part of."""
    head, rest = line.decode("utf-8").split(" ", 1)
    fields, _, at_ms = rest.rpartition(" ")
    measurement, *tags = head.split(",")
    names = [part.partition("=") for part in fields.split(",")]
    field = next((name for name, _, value in names if not value.startswith('"')), "")
    return _Line(measurement, dict(tag.split("=", 1) for tag in tags), field, int(at_ms))
