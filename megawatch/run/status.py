"""What the monitor is doing, as one document: for `status`, for `/metrics`, and for the demo's last line.

The monitor writes it beside its data every second, each process its own part of it; a command reads the
files. Nothing has to be connected to, and an answer that is old says so.
"""

from __future__ import annotations

import json
import resource
import time
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from collector.mqtt.versions import NAMES
from collector.source import Source
from facility.quantities import known_or_none
from megawatch.cli.outputs import (
    Accounting,
    Broker,
    Costs,
    PartNow,
    ProcessStatus,
    RouteNow,
    StageNow,
    TenantNow,
)
from megawatch.run.supervisor import State, Supervised
from megawatch.site.folder import SiteFolder
from rules.base import Verdict
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.contract.c4_block_exceeded import BlockExceeded
from rules.notify.message import doubts_of, held_by
from rules.telemetry.cause import WORDS
from rules.view import KILOWATT, NO_LIMIT, UNBOUNDED, View
from store.journal.file import Account
from store.series import Health
from store.threads import in_thread

if TYPE_CHECKING:
    from megawatch.run.parts import Parts
    from rules.engine.service import RulesService
    from rules.notify.outbox import Receiver

FOLDER: Final = "status"
_COUNTED: Final = ("received", "stored", "duplicates", "dead_lettered", "waiting")
_CHECKSUM: Final = "checksum"
_MESSAGES: Final = "messages"
FRESH_MS: Final = 5_000
"""A status older than this is of a monitor that does not run."""
COSTS_S: Final = 60.0
"""Over how long it is told what a message costs [s]."""
TRIES: Final = 3
"""How often a status is read that is being written over."""


class StatusWriter:
    """Writes what one process of the monitor is doing.

    Args:
        site: The site's files.
        parts: What runs.
    """

    def __init__(self, site: SiteFolder, parts: Parts) -> None:
        self._site = site
        self._parts = parts
        self._sources = parts.sources
        self._base = parts.journal.account() if parts.journal is not None else Account()
        names = [
            name
            for name, part in (
                ("collector", parts.journal),
                ("rules", parts.rules),
                ("writer", parts.shipper),
                ("notifier", parts.outbox),
            )
            if part is not None
        ]
        self._path = site.data / FOLDER / f"{'-'.join(names)}.json"
        self._heard: dict[str, tuple[int, int]] = {}
        self._spent: deque[tuple[float, Mapping[str, float]]] = deque()
        self._waiting: Mapping[str, int] = {}
        self._refused: Mapping[str, int] = {}

    async def write(self) -> None:
        """Write once."""
        self.note_spent()
        rules, found = self._parts.rules, self._but_tenants()
        await in_thread(self._finish, found, None if rules is None else rules.view)

    async def count(self) -> None:
        """Ask the ledger how many notifications wait; nothing else waits for its answer."""
        self._waiting, self._refused = await in_thread(self._counted)

    def _counted(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        return self._parts.ledger.waiting(), self._parts.ledger.refused()

    def end(self) -> None:
        """Write that this process runs no more."""
        self._save({**self.document(), "is_running": False})

    def document(self) -> ProcessStatus:
        """Return what this process is doing, all of it at one moment of the event loop."""
        rules = self._parts.rules
        return self._with_tenants(self._but_tenants(), None if rules is None else rules.view)

    def _finish(self, found: ProcessStatus, view: View | None) -> None:
        """Add what each tenant draws, and write; beside the loop, as a site may have hundreds of tenants."""
        self._save(self._with_tenants(found, view))

    def _with_tenants(self, found: ProcessStatus, view: View | None) -> ProcessStatus:
        """Return what this process is doing with what each tenant draws at the moment of a view."""
        rules = self._parts.rules
        if rules is not None and view is not None:
            found["tenants"] = _tenants(view, rules, self._site)
        return found

    def _but_tenants(self) -> ProcessStatus:
        """Return what this process is doing, without what each tenant draws."""
        parts, costs = self._parts, self.costs()
        found: ProcessStatus = {
            "site": self._site.file.site.name,
            "at_ms": parts.clock.now_ms(),
            "is_running": True,
            "undelivered": sum(self._waiting.values()),
            "parts": [_part(part) for part in parts.supervisor.parts.values()],
            "stages": costs["stages"],
        }
        if parts.journal is not None:
            found["accounting"] = self.accounting()
            found["messages_per_s"] = costs["messages_per_s"]
            found["brokers"] = [_broker(source, self._silent_s(source)) for source in self._sources]
        if parts.rules is not None:
            found["rules"] = {
                "tick_ms": parts.rules.lag.tick_ms,
                "seq": parts.rules.lag.seq,
                "step_ms": round(parts.rules.lag.step_ms, 2),
                "is_recovering": parts.rules.lag.is_recovering,
                "store_error": parts.rules.lag.store_error,
                "snapshot_error": parts.rules.lag.snapshot_error,
                "error": parts.rules.lag.error,
                "failing": dict(parts.rules.lag.failing),
                "openings": [
                    {"rule": rule, "telling": telling, "count": count}
                    for (rule, telling), count in sorted(parts.rules.openings.items())
                ],
            }
            found["tenants"] = []
        if parts.outbox is not None:
            found["routes"] = [
                self._route(route, receiver) for route, receiver in parts.outbox.receivers.items()
            ]
        if parts.canary is not None:
            trials = parts.canary.trials
            found["canary"] = {
                "began_ms": trials.began_ms,
                "delay_s": None if trials.delay_ms is None else trials.delay_ms / 1_000,
                "trouble": parts.canary.trouble,
            }
        if parts.shipper is not None:
            found["history"] = {
                "sink": parts.shipper.name,
                "seq": parts.shipper.seq,
                "error": parts.shipper.error,
                "refused": parts.shipper.refused,
            }
        if parts.journal is not None:
            found["journal_seq"] = parts.journal.head_seq
            found["journal_stamp_ms"] = parts.journal.head_stamp_ms
        return found

    def _route(self, route: str, receiver: Receiver) -> RouteNow:
        """Return how telling does on a route."""
        failing = receiver.failing
        return {
            "name": receiver.label,
            "waiting": self._waiting.get(route, 0),
            "refused": self._refused.get(route, 0),
            "failing_since_ms": None if failing is None else failing.since_ms,
            "error": "" if failing is None else failing.cause,
        }

    # What it costs ------------------------------------------------------------------------

    def _cpu_s(self) -> dict[str, float]:
        """Return the CPU time of each stage that runs here since the start [s], by its name."""
        parts, found = self._parts, dict[str, float]()
        if parts.journal is not None:
            counters = [source.counters for source in self._sources]
            found["read"] = sum(each.reading.seconds for each in counters)
            found["append"] = sum(each.appending.seconds for each in counters)
        if parts.rules is not None:
            found["judge"] = parts.rules.judging_cpu.seconds
        if parts.shipper is not None:
            found["ship"] = parts.shipper.shipping_cpu.seconds
        return found

    def costs(self) -> Costs:
        """Return what each stage costs that runs here, and how many messages are taken here."""
        found: Costs = {
            "stages": [
                {"name": name, "cpu_s": round(cpu_s, 6), "core": self._per_s(name, cpu_s)}
                for name, cpu_s in self._cpu_s().items()
            ]
        }
        if self._parts.journal is not None:
            found["messages_per_s"] = self._per_s(_MESSAGES, self._messages())
        return found

    def _messages(self) -> int:
        return sum(source.counters.messages for source in self._sources)

    def note_spent(self) -> None:
        """Note what was spent up to now, and forget what was noted over a minute ago."""
        now_s = self._parts.clock.monotonic_s()
        self._spent.append((now_s, {_MESSAGES: self._messages(), **self._cpu_s()}))
        while now_s - self._spent[0][0] > COSTS_S:
            self._spent.popleft()

    def _per_s(self, name: str, figure: float) -> float | None:
        """Return by how much a figure grew a second over the last minute; None where not known."""
        if not self._spent:
            return None
        began_s, before = self._spent[0]
        passed_s = self._parts.clock.monotonic_s() - began_s
        return round((figure - before.get(name, 0.0)) / passed_s, 6) if passed_s > 0 else None

    def _silent_s(self, source: Source) -> float:
        """Return how long nothing has arrived from a source [s]."""
        name, messages, now_ms = source.name, source.counters.messages, self._parts.clock.now_ms()
        before, since_ms = self._heard.get(name, (-1, now_ms))
        if messages != before:
            since_ms = now_ms
        self._heard[name] = (messages, since_ms)
        return (now_ms - since_ms) / 1_000

    def accounting(self) -> Accounting:
        """Return where every reading went: `received` is counted when decoded, the rest when stored."""
        counters = [source.counters for source in self._sources]
        total = sum((c.account for c in counters), start=self._base)
        queued = sum(source.waiting for source in self._sources)
        in_hand = sum(c.in_hand for c in counters)
        dead = sum(total.dead_lettered.values())
        return {
            "received": self._base.received + sum(c.received for c in counters) + queued,
            "stored": total.stored,
            "dead_lettered": dead,
            "dead_lettered_by_reason": dict(sorted(total.dead_lettered.items())),
            "letters_dropped": total.letters_dropped,
            "duplicates": total.duplicates,
            "waiting": total.waiting + in_hand + queued,
            "metadata": sum(c.metadata for c in counters),
            "metadata_unchanged": sum(c.metadata_unchanged for c in counters),
            "messages": self._messages(),
        }

    def health(self) -> Health:
        """Return how this process does, as it is written beside the readings: figures of one moment."""
        found = self.document()
        account: Mapping[str, Any] = found.get("accounting", {})
        brokers = found.get("brokers", [])
        figures = {name: float(account[name]) for name in _COUNTED if name in account}
        for name, entries, seconds in lags(found):
            figures |= {f"{name}_lag_entries": float(entries), f"{name}_lag_s": seconds}
        figures |= {
            "undelivered": float(found["undelivered"]),
            "brokers": float(len(brokers)),
            "brokers_connected": float(sum(broker["state"] == "connected" for broker in brokers)),
            "cpu_s": time.process_time(),
            "memory_bytes": resident_bytes(),
        } | {f"cpu_{stage['name']}_s": stage["cpu_s"] for stage in found.get("stages", [])}
        canary = found.get("canary")
        if canary is not None and canary["delay_s"] is not None:
            figures["canary_delay_s"] = canary["delay_s"]
        refused = dict(account.get("dead_lettered_by_reason", {}))
        return Health(at_ms=found["at_ms"], figures=figures, dead_lettered=refused)

    def _save(self, document: Mapping[str, Any]) -> None:
        draft = self._path.with_suffix(".draft")
        text = _with_checksum(document)
        with suppress(OSError):  # a full disk is told by those who need it
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = draft.open("wb")
            except OSError:  # no file can be made: the checksum tells readers what is only half written
                _write_over(self._path, text)
                return
            with file:
                file.write(text)
            draft.replace(self._path)

    def metrics(self) -> Iterable[Metric]:
        """Return what this process is doing as metrics."""
        return metrics_of(self.document())


def metrics_of(status: Mapping[str, Any]) -> Iterable[Metric]:
    """Yield a status as metrics; what people read (errors, details) stands in `megawatch status`.

    Args:
        status: What a process is doing.
    """
    accounting = status.get("accounting", {})
    yield from _counters_of(status, accounting)
    if "waiting" in accounting:
        yield _gauge("megawatch_waiting", "readings that wait", accounting["waiting"])
        dead = CounterMetricFamily(
            "megawatch_dead_lettered", "readings and messages refused", labels=["reason"]
        )
        for reason, count in accounting["dead_lettered_by_reason"].items():
            dead.add_metric([reason], count)
        yield dead
    yield _gauge("megawatch_undelivered", "notifications that wait", status.get("undelivered", 0))
    for name, readings, seconds in lags(status):
        yield _gauge(f"megawatch_{name}_lag_entries", f"entries that {name} has not read", readings)
        yield _gauge(f"megawatch_{name}_lag_seconds", f"how far {name} is behind", seconds)
    canary = status.get("canary") or {}
    if canary.get("delay_s") is not None:
        yield _gauge("megawatch_canary_delay_seconds", "how long its page took", canary["delay_s"])
    if canary:
        yield _gauge(
            "megawatch_canary_fails", "1 while it does not come through", float(bool(canary["trouble"]))
        )
    brokers = status.get("brokers", [])
    refuses = any(broker["store_error"] for broker in brokers)
    yield _gauge("megawatch_store_refuses", "1 while acknowledgements are stopped", float(refuses))
    silent = ((broker["name"], broker["silent_s"]) for broker in brokers)
    yield _gauges("megawatch_source_silent_seconds", "how long nothing has arrived", "source", silent)
    connected = ((broker["name"], float(broker["state"] == "connected")) for broker in brokers)
    yield _gauges("megawatch_source_connected", "1 while there is a connection", "source", connected)
    tenants = status.get("tenants", [])
    for figure in ("low_kw", "best_kw", "high_kw", "limit_kw", "coverage"):
        values = ((tenant["id"], tenant[figure]) for tenant in tenants if tenant[figure] is not None)
        yield _gauges(f"megawatch_tenant_{figure}", f"{figure} of a tenant's draw", "tenant", values)
    parts = status["parts"]
    states = GaugeMetricFamily("megawatch_part_state", "1 for what a part is doing", labels=["part", "state"])
    for part in parts:
        for state in State:
            states.add_metric([part["name"], state.value], float(part["state"] == state))
    yield states
    restarts = CounterMetricFamily(
        "megawatch_part_restarts", "how often a part was begun again", labels=["part"]
    )
    for part in parts:
        restarts.add_metric([part["name"]], part["restarts"])
    yield restarts
    failed = ((part["name"], part["failed_ms"] / 1_000) for part in parts if part["failed_ms"] is not None)
    yield _gauges("megawatch_part_last_failure_timestamp_seconds", "when a part failed last", "part", failed)


def _counters_of(status: Mapping[str, Any], accounting: Mapping[str, Any]) -> Iterable[Metric]:
    """Yield what came, the CPU time of each stage that it went through, and the alarms that opened."""
    for name in ("received", "stored", "duplicates"):
        if name in accounting:
            yield _counter(f"megawatch_{name}", f"readings {name}", accounting[name])
    if _MESSAGES in accounting:
        yield _counter("megawatch_messages", "messages taken", accounting[_MESSAGES])
    cpu = CounterMetricFamily("megawatch_cpu_seconds", "CPU time of a stage", labels=["stage"])
    for stage in status.get("stages", ()):
        cpu.add_metric([stage["name"]], stage["cpu_s"])
    yield cpu
    openings = CounterMetricFamily("megawatch_alarm_openings", "alarms opened", labels=["rule", "telling"])
    for opening in status.get("rules", {}).get("openings", ()):
        openings.add_metric([opening["rule"], opening["telling"]], opening["count"])
    yield openings


def _part(part: Supervised) -> PartNow:
    """Return how a part does."""
    return {
        "name": part.name,
        "state": part.state.value,
        "restarts": part.restarts,
        "error": part.error,
        "failed_ms": part.failed_ms,
    }


def _broker(source: Source, silent_s: float) -> Broker:
    """Return how the connection with a source does.

    Args:
        source: A broker's collector, or the poller of a database.
        silent_s: How long nothing has arrived [s].
    """
    health, counters = source.health, source.counters
    return {
        "name": source.name,
        "state": health.state.value,
        "detail": health.detail,
        "mqtt": "" if health.version is None else NAMES[health.version],
        "connections": health.connections,
        "stale_acknowledgements": health.stale,
        "dropped": health.dropped,
        "repeated": health.repeated,
        "gaps": counters.gaps,
        "rate_per_s": source.rate_per_s,
        "missed_documents": source.missed,
        "store_error": counters.store_error,
        "silent_s": round(silent_s, 1),
        "is_silent": silent_s > source.patience_s,
    }


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    """Return one family of a gauge: its value by the value of its one label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for label_value, value in values:
        family.add_metric([label_value], value)
    return family


def resident_bytes() -> float:
    """Return how much memory this process holds [bytes]; at its most, where only that is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024.0
    return float(pages * resource.getpagesize())


def lags(document: Mapping[str, Any]) -> Iterable[tuple[str, int, float]]:
    """Yield how far each reader of the journal is behind: its name, in entries and in seconds."""
    head, stamp_ms = document.get("journal_seq"), document.get("journal_stamp_ms", 0)
    if head is None:
        return
    if "rules" in document:
        rules = document["rules"]
        behind_ms = max(0, document["at_ms"] - rules["tick_ms"]) if rules["tick_ms"] else 0
        yield "rules", head - rules["seq"], behind_ms / 1_000
    if "history" in document:
        behind = head - document["history"]["seq"]
        yield document["history"]["sink"], behind, (document["at_ms"] - stamp_ms) / 1_000 if behind else 0.0


def _tenants(view: View, rules: RulesService, site: SiteFolder) -> list[TenantNow]:
    names: dict[str, str] = {tenant.id: tenant.name for tenant in site.file.site.tenants}
    tenants = view.tenants
    found = rules.verdicts(Overdraw.name), rules.verdicts(BlockExceeded.name)
    return [
        _tenant(view, i, _verdict(view, i, *found), names.get(tenant, "the site's own load"))
        for i, tenant in enumerate(tenants.ids)
        if tenants.has_racks[i] or tenant in names
    ]


def _tenant(view: View, place: int, verdict: str | None, name: str) -> TenantNow:
    tenants, demand = view.tenants, view.demand
    best = tenants.estimate(place)
    low, high, limit = int(tenants.low[place]), int(tenants.high[place]), int(tenants.limit[place])
    # What was heard lately counts as covered; where the draw is not certain it may have changed since.
    share = tenants.coverage[place] if low == high else min(tenants.coverage[place], tenants.certain[place])
    return {
        "id": tenants.ids[place],
        "name": name,
        "low_kw": low / KILOWATT,
        "best_kw": None if best is None else best / KILOWATT,
        "high_kw": None if high == UNBOUNDED else high / KILOWATT,
        "limit_kw": None if limit == NO_LIMIT else limit / KILOWATT,
        "verdict": verdict,
        "is_starting": bool(tenants.is_starting[place]),
        "coverage": round(float(share), 6),
        "meters_agree": bool(tenants.is_consistent[place]),
        "demand_kw": _figure(demand.demand_kw[place]),
        "forecast_kw": _figure(demand.forecast_kw[place]),
        "block_limit_kw": _figure(demand.limit_kw[place]),
        "doubts": [
            {"cause": WORDS[cause], "racks": len(racks)}
            for cause, racks in doubts_of(view, held_by(view, place))
        ],
    }


def _verdict(
    view: View, place: int, overdrawn: Mapping[str, Verdict], exceeded: Mapping[str, Verdict]
) -> str | None:
    """Return what the rules say of a tenant's contract at this moment; None without a limit.

    Args:
        view: The site at this moment.
        place: Row of the tenant.
        overdrawn: What the rule of every moment found of each tenant.
        exceeded: What the rule of demand blocks found of each.
    """
    tenants, demand = view.tenants, view.demand
    if tenants.limit[place] == NO_LIMIT:
        return None
    tenant, found = tenants.ids[place], []
    if tenants.binds_instantly[place]:
        found.append(overdrawn.get(tenant, Verdict.UNKNOWN))
    if tenants.binds_blocks[place]:
        # The rule judges a block once it is settled; live tells how it ended before that.
        closed = Verdict(demand.closed_verdict[place])
        found += [exceeded.get(tenant, closed), closed]
        if np.isnan(demand.closed_kw[place]) and demand.forecast_verdict[place] != Verdict.CLEAR:
            found.append(Verdict.UNKNOWN)  # no block is over, and the first one may still end either way
    worst = next((v for v in (Verdict.BREACH, Verdict.UNKNOWN) if v in found), Verdict.CLEAR)
    return worst.name.lower()


def _figure(value: float) -> float | None:
    known = known_or_none(value)
    return None if known is None else round(known, 3)


def read_status(data: Path) -> ProcessStatus | None:
    """Return what the processes of a monitor last said, put together; None where none ever ran."""
    found: ProcessStatus | None = None
    parts: list[PartNow] = []
    stages: list[StageNow] = []
    for path in sorted((data / FOLDER).glob("*.json")):
        document = _read(path)
        if document is None:
            continue
        if document.get("is_running"):
            parts += document.get("parts", ())
            stages += document.get("stages", ())
        if found is None:
            found = document
        elif document["at_ms"] >= found["at_ms"]:
            found = {**found, **document}
        else:
            found = {**document, **found}
    return None if found is None else {**found, "parts": parts, "stages": stages}


def _write_over(path: Path, content: bytes) -> None:
    """Write another content into a file that exists.

    Raises:
        OSError: Where there is none, or the disk refuses.
    """
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def _read(path: Path) -> ProcessStatus | None:
    """Return what a process last said; None where that is damaged, also when read again."""
    return next(filter(None, (_read_once(path) for _ in range(TRIES))), None)


def _read_once(path: Path) -> ProcessStatus | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        checksum = document.pop(_CHECKSUM, None)  # older versions wrote none
        if checksum in (None, _checksum(document)) and isinstance(document.get("at_ms"), int):
            return cast("ProcessStatus", document)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    return None


def _with_checksum(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON, with its checksum as the last key."""
    text = json.dumps(document).encode()
    return b'%s, "%s": %d}' % (text[:-1], _CHECKSUM.encode(), zlib.crc32(text))


def _checksum(document: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(document).encode())
