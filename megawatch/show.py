"""What people see in a terminal: tenants, alarms, accounting, as rich tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from facility.instants import to_datetime
from store.alarms import Alarm

SEVERITY = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
VERDICT = {"breach": "bold red", "unknown": "yellow", "clear": "green"}


def tenants_table(tenants: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return each tenant's draw beside its contract."""
    table = Table(expand=True, pad_edge=False, box=None, header_style="dim")
    for title in ("tenant", "draw", "for certain between", "contract", "", "verdict", "coverage"):
        table.add_column(title, justify="right" if title in ("draw", "contract", "coverage") else "left")
    for tenant in tenants:
        limit, best = tenant["limit_kw"], tenant["best_kw"]
        high = "no bound" if tenant["high_kw"] is None else megawatts(tenant["high_kw"])
        verdict = tenant["verdict"] or ""
        table.add_row(
            tenant["name"],
            Text(megawatts(best), style="bold"),
            f"{megawatts(tenant['low_kw'])} and {high}",
            "" if limit is None else megawatts(limit),
            _bar(best, limit),
            Text(verdict, style=VERDICT.get(verdict, "")),
            f"{tenant['coverage'] * 100:.1f} %",
        )
    return table


def _bar(value: float, limit: float | None) -> RenderableType:
    if not limit:
        return ""
    share = value / limit
    style = "red" if share > 1 else "yellow" if share > 0.95 else "green"  # noqa: PLR2004 - the usual warning
    return ProgressBar(total=1.2, completed=min(share, 1.2), width=24, complete_style=style)


def alarms_table(alarms: Sequence[Alarm], zone: ZoneInfo) -> RenderableType:
    """Return alarms, the newest first."""
    if not alarms:
        return Text("no alarms", style="green")
    table = Table(expand=True, pad_edge=False, box=None, header_style="dim")
    for title in ("alarm", "severity", "about", "what", "value of limit", "opened", "state"):
        table.add_column(title, no_wrap=title in ("alarm", "severity", "opened"))
    for alarm in sorted(alarms, key=lambda alarm: -alarm.opened_ms):
        table.add_row(
            alarm.id[:8],
            Text(alarm.severity, style=SEVERITY[alarm.severity]),
            alarm.subject,
            f"{alarm.rule}: {alarm.title}",
            figures(alarm),
            to_datetime(alarm.opened_ms, zone).strftime("%m-%d %H:%M:%S"),
            alarm.state,
        )
    return table


def figures(alarm: Alarm) -> str:
    """Return an alarm's worst value and its limit."""
    value = alarm.value if alarm.peak is None else alarm.peak
    if value is None:
        return ""
    if alarm.unit == "kW":
        return megawatts(value) + ("" if alarm.limit is None else f" of {megawatts(alarm.limit)}")
    return f"{value:,.1f} {alarm.unit}" + (f" of {alarm.limit:,.1f}" if alarm.limit else "")


def accounting_line(accounting: Mapping[str, Any]) -> Text:
    """Return where every reading went, as the sum that it is."""
    text = Text()
    text.append(f"{accounting['received']:,} received", style="bold")
    text.append(" = ")
    parts = [f"{accounting['stored']:,} stored", f"{accounting['dead_lettered']:,} dead-lettered"]
    parts += [f"{accounting['duplicates']:,} duplicates", f"{accounting['waiting']:,} waiting"]
    text.append(" + ".join(parts))
    return text


def pipeline_lines(status: Mapping[str, Any]) -> list[Text]:
    """Return what the monitor's parts are doing."""
    lines = []
    for broker in status.get("brokers", ()):
        fine = broker["state"] == "connected" and not broker["store_error"]
        detail = broker["store_error"] or broker["detail"]
        gaps = f", {broker['gaps']} gaps" if broker["gaps"] else ""
        text = f"broker {broker['name']}: {broker['state']}, {detail}{gaps}"
        lines.append(Text(text, style="" if fine else "red"))
    if "history" in status:
        history = status["history"]
        text = f"history {history['sink']}: {history['error'] or 'up to date'}"
        lines.append(Text(text, style="red" if history["error"] else ""))
    if status.get("undelivered"):
        lines.append(Text(f"{status['undelivered']} notifications wait", style="yellow"))
    return lines


def panel(title: str, *content: RenderableType) -> RenderableType:
    """Return content under a title."""
    return Panel(Group(*content), title=title, title_align="left", border_style="dim")


def megawatts(kilowatts: float) -> str:
    """Return a power as people read it."""
    if abs(kilowatts) >= 1_000:  # noqa: PLR2004 - a megawatt
        return f"{kilowatts / 1_000:,.3f} MW"
    return f"{kilowatts:,.1f} kW"
