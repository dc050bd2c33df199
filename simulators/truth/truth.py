"""The truth of a run: what was drawn, what was owed, what went wrong, and what was said of it.

Power of every node, rack and tenant in each second, in integer milliwatts, as Parquet; everything that has a
beginning and an end as JSON lines. `docs/simulator.md` says what stands in each file; anything that reads
Parquet and JSON reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from facility.instants import SECOND_MS, to_iso
from facility.names import OPERATOR
from facility.site import Site
from simulators.model.state import State
from simulators.model.wiring import Wiring
from simulators.scenario.scenario import Scenario
from simulators.truth.conditions import Condition
from simulators.truth.episodes import Block, Episode, Sight
from simulators.truth.judge import blocks_of, judge
from simulators.truth.terms import read_agreements
from simulators.wire.faults import Account

CHUNK_S: Final = 600
"""Seconds that are held in memory before they are written."""

Series = NDArray[np.int64]


class Truth:
    """Records the truth of one run.

    Args:
        scenario: The scenario.
        wiring: Its plant.
        folder: Where to write; None keeps tenants in memory only.

    Attributes:
        tenants: The tenants, the operator's own load last.
    """

    def __init__(self, scenario: Scenario, wiring: Wiring, folder: Path | None = None) -> None:
        self._scenario = scenario
        self._wiring = wiring
        self._folder = folder
        self.tenants = (*(str(tenant.id) for tenant in scenario.site.site.tenants), str(OPERATOR))
        self._holders = Holders(scenario.site.site, wiring)
        self._meters = _metered(scenario, wiring)
        self._drawn: list[list[int]] = []
        self._chunk: list[State] = []
        self._parts = 0
        if folder is not None:
            folder.mkdir(exist_ok=True)
            self._write_head(folder, {})

    def note(self, state: State) -> None:
        """Take in a second of the plant."""
        self._drawn.append(self._tenant_powers(state))
        if self._folder is None:
            return
        self._chunk.append(state)
        if len(self._chunk) >= CHUNK_S:
            self._flush()

    def _tenant_powers(self, state: State) -> list[int]:
        powers = self._holders.sums(state.rack_milliwatts, state.time_ms)
        for place, tenant in enumerate(self.tenants[:-1]):
            meters = self._meters.get(tenant, {}).get(_version_at(self._scenario, tenant, state.time_ms))
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
        zone, agreements = read_agreements(self._scenario.site_text)
        return [
            episode
            for tenant, agreement in agreements.items()
            for episode in judge(
                tenant, agreement, Sight.perfect(self._scenario.begin_ms, self.series(tenant)), zone
            )
        ]

    def blocks(self) -> list[Block]:
        """Return every demand block that closed in the run."""
        zone, agreements = read_agreements(self._scenario.site_text)
        return [
            block
            for tenant, agreement in agreements.items()
            for block in blocks_of(
                tenant, agreement, Sight.perfect(self._scenario.begin_ms, self.series(tenant)), zone
            )
        ]

    # Writing ----------------------------------------------------------------------------

    def close(
        self,
        *,
        conditions: Iterable[Condition] = (),
        accounts: Iterable[Account] = (),
        published: Mapping[str, int] | None = None,
    ) -> None:
        """Write what is not written yet.

        Args:
            conditions: The times in which something was so that a rule is about.
            accounts: What each fault did.
            published: What became of the messages, by the words of the publisher.
        """
        if self._folder is None:
            return
        self._flush()
        self._write_tenants(self._folder / "tenants.parquet")
        self._write_head(self._folder, published or {})
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
        _lines(folder / "run.jsonl", [head])
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


class Holders:
    """Who holds which racks, at any moment.

    Args:
        site: The site.
        wiring: The order of the racks.
    """

    def __init__(self, site: Site, wiring: Wiring) -> None:
        self._site = site
        self._wiring = wiring
        self._changes = site.changes_ms()
        self._until_ms = -1
        self._of: NDArray[np.intp] = np.zeros(0, np.intp)

    def sums(self, rack_milliwatts: Series, at_ms: int) -> list[int]:
        """Return what each tenant's racks draw together, the operator's last [mW].

        Args:
            rack_milliwatts: What each rack draws, shape (R,) [mW].
            at_ms: When [ms].
        """
        if at_ms >= self._until_ms or not len(self._of):
            self._of = np.full(len(self._wiring.racks), len(self._site.tenants), np.intp)
            for place, tenant in enumerate(self._site.tenants):
                self._of[self._wiring.racks_of(tenant.id, at_ms)] = place
            self._until_ms = min((change for change in self._changes if change > at_ms), default=2**62)
        totals = np.zeros(len(self._site.tenants) + 1, np.int64)
        np.add.at(totals, self._of, rack_milliwatts)
        found: list[int] = totals.tolist()
        return found


def _metered(scenario: Scenario, wiring: Wiring) -> dict[str, dict[int, list[int]]]:
    """Return the nodes whose power is a tenant's draw, by the start of the version that names them."""
    _, agreements = read_agreements(scenario.site_text)
    return {
        tenant: {
            terms.from_ms: [wiring.nodes.index(meter) for meter in wiring.nodes if meter in terms.meters]
            for terms in agreement.versions
            if terms.meters
        }
        for tenant, agreement in agreements.items()
    }


def _version_at(scenario: Scenario, tenant: str, at_ms: int) -> int:
    """Return when the version in force at a moment began, -1 where none is."""
    contract = next(t.contract for t in scenario.site.site.tenants if t.id == tenant)
    version = None if contract is None else contract.version_at(at_ms)
    return -1 if version is None else version.from_ms


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
        blocks: The blocks.
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
        record: A dataclass.
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
