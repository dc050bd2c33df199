"""What the monitor made of a run, as lines of JSON that are stored, compared and read by people.

    {"run": ...}      begins a run: its name
    {"input": ...}    what was published, where the run has a plant: a digest, so that a list that differs
                      because of the simulator is told from one that differs because of the monitor
    {"account": ...}  what became of everything that was received
    {"alarm": ...}    one transition of one alarm
    {"page": ...}     the figures of a page
    {"says": ...}     its words: a list in which only these differ has the same alarms and figures
    {"draw": ...}     a minute of a tenant's series: its first tick, its least and most, a digest of all ticks
    {"block": ...}    a demand block that closed
    {"rollup": ...}   a minute of the series of racks, feeds or the site: a digest

Power is integer milliwatts, energy integer mW·ms, other figures are compared to nine digits. Of a line, only
what is not at its usual value is written.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

from facility.instants import MINUTE_MS, to_iso
from facility.sitefile.reader import SiteFile
from rules.alarms.states import Transition
from rules.base import CANNOT_VERIFY, Rule
from rules.engine.engine import Step
from rules.notify.message import compose
from rules.registry import make_rules
from store.series import DemandBlock, FeedDraw, RackDraw, Rollup, SiteDraw, TenantDraw
from testing.rehearsal.rehearsal import Heard

PRECISION: Final = 1e-9
"""Relative difference up to which two figures are the same: sums of floats may be made in another order."""
SHOWN: Final = 3
"""Lines that are shown of each list where they begin to differ."""

_WORDS: Final = frozenset(
    {
        "headline", "title", "subject_name", "tenant_names", "reason", "clock", "desks", "damped", "too_many",
    }
)  # fmt: skip
"""Of a page, what is said and not counted."""
_ELSEWHERE: Final = frozenset(
    {
        "alarm", "at_ms", "change", "key", "known_ms", "limit", "look_at", "opened_ms", "over_ms", "peak",
        "racks_kw", "rule", "runbook", "severity", "since_ms", "site", "subject", "tenant", "tenant_kw",
        "text", "value",
    }
)  # fmt: skip
"""Of a page, what its alarm's line says, or what is made of the rest."""
_ROLLUPS: Final[dict[type[Rollup], tuple[str, tuple[str, ...]]]] = {
    RackDraw: ("rack", ("rack", "tenant", "mean_milliwatts", "most_milliwatts", "coverage")),
    FeedDraw: (
        "feed",
        (
            "feed", "kind", "racks", "metered_milliwatts", "racks_milliwatts", "most_milliwatts", "coverage",
            "amps", "limit_amps", "alone_amps",
        ),
    ),
    SiteDraw: (
        "site",
        (
            "racks_milliwatts", "most_milliwatts", "supply_milliwatts", "limit_milliwatts",
            "sold_milliwatts", "firm_milliwatts", "coverage",
        ),
    ),
}  # fmt: skip

_Minute = tuple[str, str, int]
"""Of what, by which judgement, and the number of the minute."""


class AlarmList:
    """Takes the steps of one run, and makes its lines.

    Args:
        name: What the run is called.
        shows_ticks: Whether every tick of the series is a line, for a look at where they begin to differ.
    """

    def __init__(self, name: str, *, shows_ticks: bool = False) -> None:
        self._name = name
        self._shows_ticks = shows_ticks
        self._rules: dict[str, Rule] = {}
        self._changes: list[tuple[tuple[Any, ...], list[dict[str, Any]]]] = []
        self._pages: list[dict[str, Any]] = []
        self._draws: dict[_Minute, list[TenantDraw]] = defaultdict(list)
        self._ticks: list[dict[str, Any]] = []
        self._rollups: dict[_Minute, list[Rollup]] = defaultdict(list)
        self._blocks: list[dict[str, Any]] = []
        self._input = hashlib.blake2b(digest_size=10)
        self._published = 0

    # What a run brings ------------------------------------------------------------------

    def publish(self, payloads: Iterable[bytes]) -> None:
        """Note what is published."""
        for payload in payloads:
            self._input.update(payload)
            self._published += 1

    def note(self, file: SiteFile, step: Step) -> None:
        """Note what a tick brought."""
        judged = "settled" if step.is_settled else "live"
        for change in step.changes:
            self._note_change(file, step, change, judged)
        for draw in step.draws:
            self._draws[draw.tenant, judged, step.at_ms // MINUTE_MS].append(draw)
            if self._shows_ticks:
                self._ticks.append({"tick": to_iso(step.at_ms), "judged": judged, **_draw(draw)})
        self._blocks += [_block(block) for block in step.blocks]
        for rollup in step.rollups:
            name, _ = _ROLLUPS[type(rollup)]
            self._rollups[name, judged, rollup.start_ms // MINUTE_MS].append(rollup)

    def _note_change(self, file: SiteFile, step: Step, change: Transition, judged: str) -> None:
        order = (change.at_ms, judged, change.rule, change.subject, change.opened_ms, change.is_told)
        lines = [_alarm(change, judged)]
        if change.is_told and step.view is not None:
            body = compose(change, self._rule(file, change.rule), step.view, file.site).document()
            figures = {name: value for name, value in body.items() if name not in _WORDS | _ELSEWHERE}
            words = {name: value for name, value in body.items() if name in _WORDS}
            lines += [{"page": change.alarm_id, **figures}, {"says": change.alarm_id, **words}]
            self._pages.append(lines[1])
        self._changes.append((order, lines))

    def _rule(self, file: SiteFile, name: str) -> Rule:
        if not self._rules:
            rules = make_rules(file.rules, [])
            self._rules = {n: rule for rule in rules for n in (rule.name, f"{rule.name}-{CANNOT_VERIFY}")}
        return self._rules[name]

    # Its lines --------------------------------------------------------------------------

    def lines(self, heard: Heard | None = None) -> list[str]:
        """Return the lines of the run.

        Args:
            heard: What a rehearsal came to: when each page left, and the account; None where there is none.
        """
        found: list[dict[str, Any]] = [{"run": self._name}]
        if self._published:
            found.append({"input": self._input.hexdigest(), "messages": self._published})
        if heard is not None:
            found.append({"account": {name: count for name, count in sorted(heard.account.items()) if count}})
            for page, told in zip(self._pages, heard.pages, strict=True):
                page["told"] = to_iso(told.told_ms)
        found += [line for _, lines in sorted(self._changes, key=lambda item: item[0]) for line in lines]
        found += [
            {"draw": tenant, "judged": judged, "minute": to_iso(minute * MINUTE_MS), **_minute(draws)}
            for (tenant, judged, minute), draws in sorted(self._draws.items())
        ]
        found += sorted(self._ticks, key=lambda line: (line["tenant"], line["judged"], line["tick"]))
        found += sorted(
            self._blocks, key=lambda line: (line["block"], line["judged"], line["from"], line["to"])
        )
        found += [
            {
                "rollup": name,
                "judged": judged,
                "minute": to_iso(minute * MINUTE_MS),
                "rows": len(rollups),
                "digest": _digest(sorted(_rollup(rollup) for rollup in rollups)),
            }
            for (name, judged, minute), rollups in sorted(self._rollups.items())
        ]
        return [json.dumps(_written(line), ensure_ascii=False) for line in found]


def _alarm(change: Transition, judged: str) -> dict[str, Any]:
    return {
        "alarm": change.alarm_id,
        "rule": change.rule,
        "subject": change.subject,
        "change": change.change.value,
        "severity": change.severity.word,
        "at": to_iso(change.at_ms),
        "judged": judged,
        "is_told": change.is_told,
        "is_past": change.is_past or None,
        "since": to_iso(change.since_ms),
        "opened": to_iso(change.opened_ms),
        "over": None if change.over_ms is None else to_iso(change.over_ms),
        "value": change.value,
        "limit": change.limit,
        "peak": change.peak,
        "reason": change.reason or None,
    }


def _draw(draw: TenantDraw) -> dict[str, Any]:
    return {
        "tenant": draw.tenant,
        "low": draw.low_milliwatts,
        "best": draw.best_milliwatts,
        "high": draw.high_milliwatts,
        "limit": draw.limit_milliwatts,
        "coverage": draw.coverage,
        "demand": _milliwatts(draw.demand_kw),
        "forecast": _milliwatts(draw.forecast_kw),
        "block_limit": _milliwatts(draw.block_limit_kw),
    }


def _minute(draws: Sequence[TenantDraw]) -> dict[str, Any]:
    first, highs = draws[0], [draw.high_milliwatts for draw in draws]
    return {
        "ticks": len(draws),
        "first": [first.low_milliwatts, first.best_milliwatts, first.high_milliwatts],
        "least_low": min(draw.low_milliwatts for draw in draws),
        "most_high": None if None in highs else max(high for high in highs if high is not None),
        "digest": _digest([_written(list(_draw(draw).values())) for draw in draws]),
    }


def _block(block: DemandBlock) -> dict[str, Any]:
    return {
        "block": block.tenant,
        "judged": "settled" if block.is_settled else "live",
        "from": to_iso(block.from_ms),
        "to": to_iso(block.to_ms),
        "method": block.method,
        "version_from": to_iso(block.version_from_ms),
        "low": block.low_milliwatt_ms,
        "best": block.best_milliwatt_ms,
        "high": block.high_milliwatt_ms,
        "allowed": block.allowed_milliwatt_ms,
        "coverage": block.coverage,
        "verdict": block.verdict,
    }


def _rollup(rollup: Rollup) -> str:
    _, names = _ROLLUPS[type(rollup)]
    return json.dumps([_written(getattr(rollup, name)) for name in names])


def _milliwatts(kilowatts: float | None) -> int | None:
    return None if kilowatts is None or math.isnan(kilowatts) else round(kilowatts * 1_000_000)


def _digest(rows: Sequence[Any]) -> str:
    return hashlib.blake2b(json.dumps(rows).encode(), digest_size=8).hexdigest()


def _written(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a value without what is not known, its floats to ten digits: beyond them sums are noise."""
    match value:
        case dict():
            return {name: _written(each) for name, each in value.items() if not _is_unknown(each)}
        case list() | tuple():
            return [None if _is_unknown(each) else _written(each) for each in value]
        case bool() | int() | str():
            return value
        case float():
            return float(f"{value:.10g}")
        case _:
            return value


def _is_unknown(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


# Comparing ----------------------------------------------------------------------------


def difference(expected: Sequence[str], found: Sequence[str]) -> str:
    """Return where two lists begin to differ, both under each other with the run; "" where they do not."""
    run = ""
    for number, (old, new) in enumerate(zip_longest(expected, found)):
        begins = old or new or ""
        if begins.startswith('{"run"'):
            run = json.loads(begins)["run"]
        if not _is_same(old, new):
            gone, new_ones = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
            counts = f"{gone.total()} of {len(expected)} lines are gone, {new_ones.total()} are new"
            lines = [f"{run}: differs from line {number + 1} on; {counts}"]
            lines += [f"  expected {line}" for line in expected[number : number + SHOWN]]
            lines += [f"  found    {line}" for line in found[number : number + SHOWN]]
            return "\n".join(lines)
    return ""


def _is_same(old: str | None, new: str | None) -> bool:
    if old == new:
        return True
    return old is not None and new is not None and _is_near(json.loads(old), json.loads(new))


def _is_near(old: Any, new: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    match old, new:
        case dict(), dict():
            return old.keys() == new.keys() and all(_is_near(each, new[name]) for name, each in old.items())
        case list(), list():
            return len(old) == len(new) and all(map(_is_near, old, new))
        case (float(), float() | int()) | (int(), float()):
            return math.isclose(old, new, rel_tol=PRECISION)
        case _:
            return bool(old == new)
