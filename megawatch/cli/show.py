"""What people see in a terminal: tenants, alarms, accounting, as rich tables, at 80 columns and more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from facility.instants import to_datetime
from facility.names import CANARY
from megawatch.cli.drawbar import DrawBar
from megawatch.cli.terminal import Terminal
from megawatch.run.status import lags
from store.ledger.alarms import Alarm, rule_of

SEVERITY: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
VERDICT: Final = {"breach": "bold red", "unknown": "yellow", "clear": "green"}
LEGEND: Final = "█ certain  ░ possible  ● best estimate  ┃ contract"
WIDE: Final = 100
"""From so many columns on there is room for the figures beside the bars."""

MOST_BEHIND_S: Final = 300
"""A history that is further behind than this [s] is not fine: files are sealed each minute (our choice)."""

_SHORT: Final = {"critical": "CRIT", "high": "HIGH", "medium": "MED", "low": "LOW", "info": "INFO"}
_MARK: Final = {
    "active, unacknowledged": "●",
    "active, acknowledged": "✓",
    "active, suppressed": "·",
    "returned, unacknowledged": "○",
    "normal": " ",
}
_SUPPRESSED: Final = "active, suppressed"


# Tenants ----------------------------------------------------------------------------------


def tenants_table(tenants: Sequence[Mapping[str, Any]], width: int) -> RenderableType:
    """Return each tenant's draw beside its contract.

    Args:
        tenants: As `status` gives them.
        width: Columns of the terminal.
    """
    if not tenants:
        return Text("nothing was judged yet", style="dim")
    is_wide = width >= WIDE
    table = a_table()
    table.add_column("tenant", no_wrap=True, min_width=10)
    table.add_column("draw", justify="right", no_wrap=True, min_width=8)
    table.add_column("against its contract", ratio=1)
    table.add_column("contract", justify="right", no_wrap=True, min_width=8)
    if is_wide:
        table.add_column("for certain between", no_wrap=True, min_width=21)
    table.add_column("verdict", no_wrap=True, min_width=7)
    table.add_column("covered", justify="right", no_wrap=True, min_width=7)
    for tenant in tenants:
        if tenant["id"] == CANARY:
            continue
        verdict = tenant["verdict"] or ""
        is_starting = verdict == "unknown" and tenant["is_starting"]
        cells: list[RenderableType] = [
            tenant["name"],
            Text("" if tenant["best_kw"] is None else megawatts(tenant["best_kw"]), style="bold"),
            _bar(tenant),
            "" if tenant["limit_kw"] is None else megawatts(tenant["limit_kw"]),
            Text("STARTING" if is_starting else verdict.upper(), style=VERDICT.get(verdict, "")),
            Text(f"{percent(tenant['coverage'])} %", style="" if tenant["coverage"] == 1 else "yellow"),
        ]
        if is_wide:
            cells.insert(4, Text(_between(tenant), style="dim" if verdict == "clear" else ""))
        table.add_row(*cells)
    return table


def doubt_lines(tenants: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why tenants' draws are not known for certain, a line for each that has racks in doubt.

    Args:
        tenants: As `status` gives them.
    """
    return [
        f"{tenant['name']}: "
        + "; ".join(f"{doubt['racks']} of its racks: {doubt['cause']}" for doubt in tenant["doubts"])
        for tenant in tenants
        if tenant.get("doubts")
    ]


def _bar(tenant: Mapping[str, Any]) -> RenderableType:
    if not tenant["limit_kw"]:
        return ""
    colour = {"breach": "red", "unknown": "yellow"}.get(tenant["verdict"], "green")
    return DrawBar(tenant["low_kw"], tenant["best_kw"], tenant["high_kw"], tenant["limit_kw"], colour)


def _between(tenant: Mapping[str, Any]) -> str:
    low = megawatts(tenant["low_kw"])
    return f"{low} and more" if tenant["high_kw"] is None else f"{low} and {megawatts(tenant['high_kw'])}"


# Alarms -----------------------------------------------------------------------------------


def alarms_table(
    alarms: Sequence[Alarm],
    zone: ZoneInfo,
    *,
    now_ms: int,
    width: int,
    most: int | None = None,
    folds: bool = True,
) -> RenderableType:
    """Return alarms: open ones first, then the gravest, then the newest.

    Args:
        alarms: Alarms in any order.
        zone: In which times are shown.
        now_ms: The time [ms]; alarms of the same day are shown without their date.
        width: Columns of the terminal.
        most: How many rows at most; None for all.
        folds: Whether those that one cause stands for are only counted.
    """
    held = [alarm for alarm in alarms if folds and alarm.state == _SUPPRESSED]
    kept = [alarm for alarm in alarms if folds and alarm.suppression is not None]
    shown = sorted(
        (alarm for alarm in alarms if alarm not in held and alarm not in kept),
        key=lambda alarm: (alarm.returned_ms is not None, _rank(alarm), -alarm.opened_ms, alarm.id),
    )
    if not shown and not held and not kept:
        return Text("no alarm", style="green")
    rows = shown if most is None else shown[: max(0, most - 1) if len(shown) > most else most]
    parts: list[RenderableType] = [_alarm_rows(rows, zone, now_ms=now_ms, width=width)] if rows else []
    if len(rows) < len(shown):
        parts.append(Text(f"and {len(shown) - len(rows)} more", style="dim"))
    if held:
        parts.append(_held_back(held))
    if kept:
        counts = Counter(alarm.suppression or "" for alarm in kept)
        named = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        parts.append(Text(f"~ {len(kept)} more not told: {named}; see megawatch suppressions", style="dim"))
    return Group(*parts)


def _alarm_rows(alarms: Sequence[Alarm], zone: ZoneInfo, *, now_ms: int, width: int) -> Table:
    today = to_datetime(now_ms, zone).date()
    is_of_today = all(to_datetime(alarm.opened_ms, zone).date() == today for alarm in alarms)
    table = a_table()
    table.add_column("", no_wrap=True)
    table.add_column("alarm", no_wrap=True, min_width=8)
    table.add_column("opened", no_wrap=True, min_width=8 if is_of_today else 11)
    table.add_column("grade", no_wrap=True, min_width=4)
    table.add_column("about", no_wrap=True, overflow="ellipsis", max_width=20 if width >= WIDE else 13)
    table.add_column("what", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("worst of limit", no_wrap=True, justify="right")
    if width >= WIDE:
        table.add_column("state", no_wrap=True, overflow="ellipsis", max_width=24)
    for alarm in alarms:
        opened = to_datetime(alarm.opened_ms, zone)
        style = "" if alarm.returned_ms is None else "dim"
        cells: list[RenderableType] = [
            Text(_MARK.get(alarm.state, "~"), style=SEVERITY[alarm.severity]),
            alarm.id[:8],
            opened.strftime("%H:%M:%S" if is_of_today else "%m-%d %H:%M"),
            Text(_SHORT[alarm.severity], style=style or SEVERITY[alarm.severity]),
            alarm.subject,
            f"{rule_of(alarm.rule)} {alarm.title}",
            figures(alarm),
            _state(alarm, zone),
        ]
        table.add_row(*cells[: len(table.columns)], style=style)
    return table


def _held_back(alarms: Sequence[Alarm]) -> Text:
    counts = Counter(alarm.rule for alarm in alarms)
    named = ", ".join(f"{rule} ({count})" for rule, count in sorted(counts.items()))
    return Text(f"· {len(alarms)} more held back under a cause above: {named}", style="dim")


def _state(alarm: Alarm, zone: ZoneInfo) -> str:
    if alarm.returned_ms is not None:
        return f"over since {to_datetime(alarm.returned_ms, zone):%H:%M:%S}"
    if alarm.acknowledged_by is not None:
        return f"acknowledged: {alarm.acknowledged_by}"
    return alarm.state.rpartition(", ")[2]


def _rank(alarm: Alarm) -> int:
    return list(SEVERITY).index(alarm.severity)


def figures(alarm: Alarm) -> str:
    """Return an alarm's worst value and its limit, with one unit where they share it."""
    value = alarm.value if alarm.peak is None else alarm.peak
    if value is None:
        return ""
    if alarm.unit == "kW":
        worst = megawatts(value)
        if alarm.limit is None:
            return worst
        limit = megawatts(alarm.limit)
        return f"{worst.removesuffix(limit[-3:])} of {limit}"
    return f"{value:,.1f}" + (f" of {alarm.limit:,.1f}" if alarm.limit else "") + f" {alarm.unit}"


# The pipeline -----------------------------------------------------------------------------


def accounting_line(accounting: Mapping[str, Any]) -> Text:
    """Return where every reading went, as the sum that it is."""
    text = Text()
    text.append(f"{accounting['received']:,} received", style="bold")
    text.append(f" = {accounting['stored']:,} stored")
    for name, label in (
        ("dead_lettered", "dead-lettered"),
        ("duplicates", "duplicates"),
        ("waiting", "waiting"),
    ):
        count = accounting[name]
        text.append(" + ")
        text.append(f"{count:,} {label}", style="yellow" if count and name == "dead_lettered" else "")
    return text


def refused_line(accounting: Mapping[str, Any]) -> Text | None:
    """Return why messages and readings were refused; None where none was."""
    reasons = accounting["dead_lettered_by_reason"]
    if not reasons:
        return None
    counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
    return Text(f"dead letters: {counts}; see megawatch deadletters", style="yellow")


def cost_line(status: Mapping[str, Any]) -> Text | None:
    """Return what a message cost over the last minute, by stage; None where none came."""
    costs = status["message_us"]
    if not costs:
        return None
    by_stage = ", ".join(f"{stage} {cost_us:,.1f}" for stage, cost_us in costs.items())
    text = (
        f"CPU of a message: {sum(costs.values()):,.1f} µs ({by_stage}), at {status['messages_per_s']:,.0f}/s"
    )
    return Text(text, style="dim")


def pipeline_lines(status: Mapping[str, Any]) -> list[Text]:
    """Return what the monitor's parts are doing."""
    lines = []
    for broker in status.get("brokers", ()):
        fine = broker["state"] == "connected" and not (broker["store_error"] or broker.get("is_silent"))
        detail = broker["store_error"] or broker["detail"]
        if broker["state"] == "connected" and broker.get("is_silent"):
            detail = f"nothing has arrived for {broker['silent_s']:,.0f} s; {detail}"
        gaps = f", {broker['gaps']} gaps" if broker["gaps"] else ""
        text = f"broker {broker['name']}: {broker['state']}, {detail}{gaps}"
        lines.append(Text(text, style="" if fine else "red"))
    if "history" in status:
        history = status["history"]
        name = "history: Parquet files" if history["sink"] == "history" else f"database: {history['sink']}"
        behind_s = max(
            (seconds for reader, _, seconds in lags(status) if reader == history["sink"]), default=0
        )
        late = f"behind by {behind_s:,.0f} s" if behind_s > MOST_BEHIND_S else ""
        lines.append(
            Text(
                f"{name}, {history['error'] or late or 'fine'}",
                style="red" if history["error"] else "yellow" if late else "",
            )
        )
    if "rules" in status and status["rules"]["is_recovering"]:
        lines.append(Text("rules: catching up with what came before", style="yellow"))
    if snapshot_error := status.get("rules", {}).get("snapshot_error"):
        lines.append(Text(f"rules: their state is not saved: {snapshot_error}", style="red"))
    lines += _judging_lines(status.get("rules", {}))
    if "canary" in status:
        lines.append(_canary_line(status["canary"]))
    lines += [Text(*line) for part in status.get("parts", ()) if (line := _part_line(part))]
    return lines + _telling_lines(status)


def _part_line(part: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong with a part, and how grave that looks; None where nothing ever was."""
    if part["state"] == "hanging":
        return f"{part['name']}: hangs: {part['error']}", "red"
    again = f"{part['restarts']} restarts" if part["restarts"] != 1 else "1 restart"
    if part["state"] == "restarting":
        return f"{part['name']}: failed, begins again: {part['error']} ({again})", "red"
    return (f"{part['name']}: runs, after {again}: {part['error']}", "yellow") if part["restarts"] else None


def _canary_line(canary: Mapping[str, Any]) -> Text:
    """Return how the canary does."""
    if canary["trouble"]:
        return Text(f"canary: {canary['trouble']}", style="red")
    delay_s = canary["delay_s"]
    text = "no page of it yet" if delay_s is None else f"its last page was accepted after {delay_s:.1f} s"
    return Text(f"canary: {text}")


def _telling_lines(status: Mapping[str, Any]) -> list[Text]:
    """Return what keeps people from being told."""
    lines = []
    for route in status.get("routes", ()):
        if route["error"]:
            text = f"pages to {route['name']}: not accepted, tried again: {route['error']}"
            lines.append(Text(text, style="red"))
        if route["refused"]:
            lines.append(
                Text(f"pages to {route['name']}: {route['refused']} refused for good", style="yellow")
            )
    if status.get("undelivered"):
        lines.append(Text(f"{status['undelivered']} notifications wait", style="yellow"))
    return lines


def _judging_lines(rules: Mapping[str, Any]) -> list[Text]:
    """Return what keeps rules from judging."""
    errors = {"rules": rules.get("error", "")} | {
        f"rule {name}": error for name, error in rules.get("failing", {}).items()
    }
    return [Text(f"{name}: judges nothing: {error}", style="red") for name, error in errors.items() if error]


# Pieces -----------------------------------------------------------------------------------


def section(title: str, *content: RenderableType, is_roomy: bool, note: str = "") -> RenderableType:
    """Return content under a title: in a frame, or under a line where rows are dear.

    Args:
        title: Words in its upper edge, or on the line.
        content: What stands there.
        is_roomy: Whether there is room for a frame.
        note: What stands at its lower edge, in a frame only.
    """
    if is_roomy:
        return Panel(
            Group(*content),
            title=Text(title, style="bold"),
            title_align="left",
            subtitle=Text(note, style="grey58") if note else None,
            subtitle_align="right",
            border_style="grey39",
        )
    return Group(Rule(Text(title, style="bold"), align="left", style="grey39"), *content)


def terminal() -> Console:
    """Return standard output as a terminal; 120 columns where it is none, so that nothing is cut short."""
    console = Terminal()
    return console if console.is_terminal else Terminal(width=max(console.width, 120))


def percent(share: float) -> str:
    """Return a share in percent, rounded down: nothing is whole that is not."""
    return f"{math.floor(share * 1_000) / 10:.1f}"


def megawatts(kilowatts: float) -> str:
    """Return a power as people read it."""
    if abs(kilowatts) >= 1_000:  # noqa: PLR2004 - a megawatt
        return f"{kilowatts / 1_000:,.3f} MW"
    return f"{kilowatts:,.1f} kW"


def a_table() -> Table:
    """Return a table without rows, as every list of ours looks."""
    return Table(expand=True, pad_edge=False, box=None, header_style="dim", padding=(0, 1, 0, 0))
