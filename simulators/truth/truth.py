"""The truth of a run: what was drawn, what was owed, what went wrong, and what was said of it.

Power of every node, rack and tenant in each second, in integer milliwatts, as Parquet; everything that has a
beginning and an end as JSON lines. `docs/simulator.md` says what stands in each file; anything that reads
Parquet and JSON reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from numpy.typing import NDArray

from facility.errors import MegawatchError
from facility.instants import SECOND_MS, to_iso
from facility.names import OPERATOR
from simulators.model.state import State
from simulators.model.wiring import Wiring
from simulators.scenario.scenario import Scenario
from simulators.truth.conditions import Condition
from simulators.truth.episodes import Block, Episode, Sight
from simulators.truth.holders import Holders, metered, version_at
from simulators.truth.judge import blocks_of, judge
from simulators.truth.terms import Agreement, read_agreements
from simulators.wire.faults import Account

CHUNK_S: Final = 600
"""Seconds that are held in memory before they are written."""

HEAD: Final = "run.jsonl"
"""The file that says what was run; where it is, a truth is."""

Series = NDArray[np.int64]
Found = TypeVar("Found")


class TruthThere(MegawatchError):  # noqa: N818 - says what is there
    """A folder holds the truth of another run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds the truth of another run; name a folder of its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What was said in one second.

    Attributes:
        published: Messages that were handed to the broker.
        withheld: Messages that faults kept from being sent.
        acknowledged: Messages that the broker has taken for sure, of all up to then.
    """

    published: int = 0
    withheld: int = 0
    acknowledged: int = 0


class Truth:
    """Records the truth of one run.

    Args:
        scenario: What happens, and the site.
        wiring: Its plant.
        folder: Where to write; None keeps tenants in memory only.

    Attributes:
        tenants: The tenants, the operator's own load last.

    Raises:
        TruthThere: Where the folder holds another truth.
    """

    def __init__(self, scenario: Scenario, wiring: Wiring, folder: Path | None = None) -> None:
        self._scenario = scenario
        self._wiring = wiring
        self._folder = folder
        self.tenants = (*(str(tenant.id) for tenant in scenario.site.site.tenants), str(OPERATOR))
        self._holders = Holders(scenario.site.site, wiring)
        self._meters = metered(scenario, wiring)
        self._drawn: list[list[int]] = []
        self._chunk: list[State] = []
        self._parts = 0
        self._traffic: list[Traffic] = []
        if folder is not None:
            folder.mkdir(exist_ok=True)
            if (folder / HEAD).exists():
                raise TruthThere(folder)
            self._write_head(folder, {})

    def note(self, state: State, traffic: Traffic | None = None) -> None:
        """Take in a second of the plant, and what was said in it where it is published."""
        self._drawn.append(self._tenant_powers(state))
        if traffic is not None:
            self._traffic.append(traffic)
        if self._folder is None:
            return
        self._chunk.append(state)
        if len(self._chunk) >= CHUNK_S:
            self._flush()

    def _tenant_powers(self, state: State) -> list[int]:
        powers = self._holders.sums(state.rack_milliwatts, state.time_ms)
        for place, tenant in enumerate(self.tenants[:-1]):
            meters = self._meters.get(tenant, {}).get(version_at(self._scenario, tenant, state.time_ms))
            if meters is not None:
                powers[place] = int(state.node_milliwatts[meters].sum())
        return powers

    # What follows from it ---------------------------------------------------------------

    def series(self, tenant: str) -> list[int]:
        """Return what a tenant drew at the boundary of its contract, second by second [mW]."""
        place = self.tenants.index(tenant)
        return [powers[place] for powers in self._drawn]

    def episodes(self) -> list[Episode]:
        """Return what a judge who sees every second finds in all contracts."""
        return self._judged(judge)

    def blocks(self) -> list[Block]:
        """Return every demand block that closed in the run."""
        return self._judged(blocks_of)

    def _judged(self, find: Callable[[str, Agreement, Sight, ZoneInfo], list[Found]]) -> list[Found]:
        """Return what is found in every contract by who sees every second."""
        zone, agreements = read_agreements(self._scenario.site_text)
        begin_ms = self._scenario.begin_ms
        return [
            found
            for tenant, agreement in agreements.items()
            for found in find(tenant, agreement, Sight.perfect(begin_ms, self.series(tenant)), zone)
        ]

    # Writing ----------------------------------------------------------------------------

    def close(
        self,
        *,
        conditions: Iterable[Condition] = (),
        accounts: Iterable[Account] = (),
        published: Mapping[str, int] | None = None,
        undelivered: Iterable[Mapping[str, Any]] = (),
        errors: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Write what is not written yet.

        Args:
            conditions: Times in which something was so that a rule is about.
            accounts: What each fault did.
            published: What became of the messages, by the words of the publisher.
            undelivered: Messages that may not have arrived.
            errors: How far instruments and clocks were off when it began.
        """
        if self._folder is None:
            return
        self._flush()
        self._write_tenants(self._folder / "tenants.parquet")
        self._write_head(self._folder, published or {})
        _lines(self._folder / "undelivered.jsonl", undelivered)
        _lines(self._folder / "errors.jsonl", errors)
        self._write_traffic(self._folder / "messages.parquet")
        _lines(self._folder / "episodes.jsonl", (plain(episode) for episode in self.episodes()))
        blocks = self.blocks()
        _lines(self._folder / "demand.jsonl", (plain(block) for block in blocks))
        write_blocks(self._folder / "demand.parquet", blocks)
        _lines(self._folder / "conditions.jsonl", (plain(condition) for condition in conditions))
        _lines(self._folder / "events.jsonl", (plain(event) for event in self._scenario.events))
        _lines(self._folder / "faults.jsonl", (plain(account) for account in accounts))

    def _write_head(self, folder: Path, published: Mapping[str, int]) -> None:
        """Write what was run; at the beginning too, for those who look on."""
        scenario = self._scenario
        head = {
            "scenario": scenario.name,
            "proves": scenario.proves,
            "site": scenario.site.site.name,
            "seed": scenario.seed,
            "begin": to_iso(scenario.begin_ms),
            "seconds": len(self._drawn),
            "published": dict(published),
        }
        _lines(folder / HEAD, [head])
        (folder / "site.toml").write_text(scenario.site_text, encoding="utf-8")

    def _flush(self) -> None:
        states, self._chunk = self._chunk, []
        if not states or self._folder is None:
            return
        times = np.array([state.time_ms for state in states], np.int64)
        racks, nodes = [str(rack) for rack in self._wiring.racks], [str(node) for node in self._wiring.nodes]
        part = f"part-{self._parts:05d}.parquet"
        self._parts += 1
        tables = {
            "racks": (racks, np.stack([s.rack_milliwatts for s in states])),
            "racks-wanted": (racks, np.stack([s.wanted_milliwatts for s in states])),
            "nodes": (nodes, np.stack([s.node_milliwatts for s in states])),
            "losses": (nodes, np.stack([s.node_loss_milliwatts for s in states])),
        }
        for name, (ids, powers) in tables.items():
            (self._folder / name).mkdir(exist_ok=True)
            write_long(self._folder / name / part, times, ids, powers)

    def _write_tenants(self, path: Path) -> None:
        begin_ms = self._scenario.begin_ms
        times = begin_ms + np.arange(len(self._drawn), dtype=np.int64) * SECOND_MS
        powers = np.array(self._drawn, np.int64).reshape(len(self._drawn), len(self.tenants))
        write_long(path, times, list(self.tenants), powers)

    def _write_traffic(self, path: Path) -> None:
        if not self._traffic:
            return
        begin_ms, count = self._scenario.begin_ms, len(self._traffic)
        with duckdb.connect() as connection:
            columns = {
                name: np.array([getattr(second, name) for second in self._traffic], np.int64)
                for name in Traffic.__dataclass_fields__
            }
            columns["time_ms"] = begin_ms + np.arange(count, dtype=np.int64) * SECOND_MS
            connection.register("traffic", columns)
            connection.execute(
                "COPY (SELECT make_timestamp_ms(time_ms) AS time, published, withheld, acknowledged "
                "FROM traffic ORDER BY time_ms) TO ? (FORMAT parquet, COMPRESSION zstd)",
                [str(path)],
            )


def write_long(path: Path, times_ms: Series, ids: Sequence[str], milliwatts: Series) -> None:
    """Write powers as rows of time, id and power.

    Args:
        path: The Parquet file.
        times_ms: When, shape (T,) [ms].
        ids: Whose, N of them.
        milliwatts: How much, shape (T, N) [mW].
    """
    with duckdb.connect() as connection:
        columns = {
            "time_ms": np.repeat(times_ms, len(ids)),
            "place": np.tile(np.arange(len(ids)), len(times_ms)),
            "milliwatts": milliwatts.reshape(-1),
        }
        names = {"place": np.arange(len(ids)), "id": np.array(ids, dtype=object)}
        connection.register("powers", columns)
        connection.register("names", names)
        connection.execute(
            "COPY (SELECT make_timestamp_ms(time_ms) AS time, id, milliwatts FROM powers JOIN names "
            "USING (place) ORDER BY time_ms, place) TO ? (FORMAT parquet, COMPRESSION zstd)",
            [str(path)],
        )


def write_blocks(path: Path, blocks: Sequence[Block]) -> None:
    """Write demand blocks as rows of time of beginning and end, tenant, demand and what was allowed.

    Args:
        path: The Parquet file.
        blocks: Demand blocks, in order.
    """
    with duckdb.connect() as connection:
        columns = {
            "from_ms": np.array([block.from_ms for block in blocks], np.int64),
            "to_ms": np.array([block.to_ms for block in blocks], np.int64),
            "id": np.array([block.tenant for block in blocks], dtype=object),
            "demand": np.array([float(block.demand) for block in blocks], np.float64),
            "allowed": np.array([float(block.allowed) for block in blocks], np.float64),
        }
        connection.register("blocks", columns)
        connection.execute(
            'COPY (SELECT make_timestamp_ms(from_ms) AS "from", make_timestamp_ms(to_ms) AS "to", '
            "CAST(id AS VARCHAR) AS id, demand AS milliwatts, allowed AS allowed_milliwatts FROM blocks) "
            "TO ? (FORMAT parquet, COMPRESSION zstd)",
            [str(path)],
        )


def plain(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return a record as a document: times as text too, exact fractions as numbers.

    Args:
        record: An instance of a dataclass.
    """
    document: dict[str, Any] = {}
    for name, value in asdict(record).items():
        document[name] = _value(value)
        if name.endswith("_ms") and isinstance(value, int):
            document[name.removesuffix("_ms")] = to_iso(value)
    return document


def _value(value: Any) -> Any:  # noqa: ANN401 - what JSON takes
    match value:
        case Fraction():
            return float(value)
        case float() if value == float("inf"):
            return None
        case dict():
            return {key: _value(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_value(entry) for entry in value]
        case np.generic():
            return value.item()
        case _:
            return value


def _lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(text, encoding="utf-8")
