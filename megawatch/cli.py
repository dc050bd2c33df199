"""The command line. Every command that shows something has `--json`: one document on standard output.

Exit status: 0 all is well, 1 it found something or failed, 2 it was used wrongly.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from contextlib import closing
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from facility.errors import MegawatchError, SiteFileError
from facility.instants import to_iso
from megawatch import logs, query
from megawatch.clock import SteadyClock
from megawatch.demo import run_demo
from megawatch.discover import discover_site
from megawatch.live import reach
from megawatch.monitor import ALL_PARTS, Monitor, Part
from megawatch.process import run_until_stopped
from megawatch.show import accounting_line, alarms_table, panel, pipeline_lines, tenants_table
from megawatch.simulate import run_simulation
from megawatch.sitefolder import FILE, open_site
from megawatch.status import FRESH_MS, read_status
from megawatch.template import SITE
from store.alarms import Alarm
from store.history import ParquetHistory
from store.journalfile import JournalReader
from store.ledger import Ledger, LedgerReader

app = typer.Typer(
    name="megawatch",
    help="Watches, with proof, whether each tenant of a data center draws the megawatts it contracted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Site = Annotated[Path, typer.Argument(help="The site file, or the folder that holds site.toml.")]


class Scenario(StrEnum):
    """A course of events that can be simulated."""

    DEMO = "demo"


def main() -> NoReturn:
    """Run the command line."""
    try:
        app()
    except MegawatchError as error:
        typer.echo(str(error) if isinstance(error, SiteFileError) else f"megawatch: {error}", err=True)
        sys.exit(1)
    sys.exit(0)


def print_json(document: Any) -> None:  # noqa: ANN401 - any document
    """Print one document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


# A first look -----------------------------------------------------------------------------


@app.command()
def demo(
    *,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.", min=1)] = None,
    broker: Annotated[str | None, typer.Option(help="Use this broker: mqtt://host:port.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a site that is not there, watched by the whole monitor through a real broker."""
    logs.configure(quiet=True)
    console = None if as_json else Console()
    document = asyncio.run(run_demo(broker_url=broker, seconds=seconds, console=console))
    if as_json:
        print_json(document)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to put site.toml.")]) -> None:
    """Write a commented site file that passes check."""
    target = folder / FILE
    if target.exists():
        raise MegawatchError(f"{target} is there already; it is left as it is")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(SITE, encoding="utf-8")
    typer.echo(f"wrote {target}; next: megawatch check {folder}")


@app.command()
def check(
    site: Site,
    *,
    live: Annotated[bool, typer.Option(help="Also reach the broker, the database and the pagers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find all faults of a site file at once."""
    faults: list[dict[str, str]] = []
    warnings: list[str] = []
    reached: list[dict[str, Any]] = []
    try:
        folder = open_site(site)
    except SiteFileError as error:
        faults = [asdict(fault) for fault in error.faults]
        if not as_json:
            typer.echo(str(error))
    else:
        warnings = list(folder.file.warnings)
        if live:
            reached = asyncio.run(reach(folder))
        if not as_json:
            own = folder.file.site
            typer.echo(f"{folder.path}: fine; {len(own.racks)} racks, {len(own.tenants)} tenants")
            for warning in warnings:
                typer.echo(f"  worth a look: {warning}")
            for item in reached:
                typer.echo(f"  {'reached' if item['ok'] else 'NOT REACHED'} {item['what']}: {item['detail']}")
    if as_json:
        print_json({"faults": faults, "warnings": warnings, "live": reached})
    if faults or not all(item["ok"] for item in reached):
        raise typer.Exit(1)


@app.command()
def discover(
    broker: Annotated[str, typer.Argument(help="The broker to listen to: mqtt://host:port.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the site file here; else print it.")] = None,
    seconds: Annotated[float, typer.Option(help="For how long to listen.", min=1)] = 30,
    name: Annotated[str, typer.Option(help="What to call the site.")] = "discovered",
    as_json: AsJson = False,
) -> None:
    """Listen to a DSX bus and propose a site file of what it tells."""
    if out is not None and out.exists():
        raise MegawatchError(f"{out} is there already; it is left as it is")
    text, heard = asyncio.run(discover_site(broker, seconds, name))
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"site_file": text, **heard})
    elif out is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(
            f"wrote {out}: {heard['racks']} racks, {heard['assets']} assets; next: megawatch check {out}"
        )
    if not heard["racks"]:
        typer.echo("no rack was heard; does the bus publish metadata?", err=True)
        raise typer.Exit(1)


# The monitor ------------------------------------------------------------------------------


@app.command()
def run(
    site: Site,
    *,
    only: Annotated[list[Part] | None, typer.Option(help="Only this part; may be repeated.")] = None,
) -> None:
    """Run the monitor: collector, writer, rules and notifier in one process."""
    logs.configure()
    folder = open_site(site)
    parts = frozenset(only) if only else ALL_PARTS
    asyncio.run(run_until_stopped(lambda: Monitor(folder, parts=parts).run()))


@app.command()
def simulate(
    scenario: Annotated[Scenario, typer.Argument(help="What happens.")] = Scenario.DEMO,
    *,
    broker: Annotated[str, typer.Option(help="Publish to this broker.")] = "mqtt://127.0.0.1:1883",
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.", min=1)] = None,
    truth: Annotated[Path | None, typer.Option(help="Write the truth here, a JSON line a second.")] = None,
    seed: Annotated[int, typer.Option(help="What all noise follows from.")] = 7,
    qos: Annotated[int, typer.Option(help="Quality of service of values.", min=0, max=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Publish a simulated site to a broker."""
    del scenario  # there is one so far
    published = asyncio.run(run_simulation(broker, seconds=seconds, truth=truth, seed=seed, qos=qos))
    if as_json:
        print_json({"published": published, "seed": seed})
    else:
        typer.echo(f"{published} messages published, seed {seed}")


# What it sees -----------------------------------------------------------------------------


@app.command()
def status(site: Site, *, as_json: AsJson = False) -> None:
    """Show tenants against their contracts, and where every reading went."""
    folder = open_site(site)
    found = read_status(folder.data)
    if not found:
        raise MegawatchError(f"no monitor has run here yet: there is nothing in {folder.data}")
    age_ms = SteadyClock().now_ms() - found["at_ms"]
    found["age_s"] = round(age_ms / 1_000, 1)
    found["is_running"] = found["is_running"] and age_ms < FRESH_MS
    with closing(LedgerReader(folder.data)) as ledger:
        open_alarms = ledger.alarms(only_open=True)
    found["open_alarms"] = len(open_alarms)
    if as_json:
        print_json(found)
    else:
        console = Console()
        console.print(panel("tenants", tenants_table(found.get("tenants", []))))
        console.print(panel("open alarms", alarms_table(open_alarms, folder.file.site.zone)))
        lines = pipeline_lines(found)
        if "accounting" in found:
            lines.insert(0, accounting_line(found["accounting"]))
        console.print(panel("pipeline", *lines))
        if not found["is_running"]:
            console.print(
                f"the monitor does not run; this is of {found['age_s']:.0f} s ago", style="bold red"
            )
    if not found["is_running"]:
        raise typer.Exit(1)


@app.command()
def alarms(
    site: Site,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the alarm list."""
    folder = open_site(site)
    with closing(LedgerReader(folder.data)) as ledger:
        found = ledger.alarms(only_open=not everything)
    if as_json:
        print_json([alarm_document(alarm) for alarm in found])
    else:
        Console().print(alarms_table(found, folder.file.site.zone))


@app.command()
def ack(
    site: Site,
    alarm: Annotated[str, typer.Argument(help="The alarm's id, or its beginning.")],
    *,
    by: Annotated[str | None, typer.Option(help="Who takes it in hand; by default who is logged in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take an alarm in hand."""
    folder = open_site(site)
    with closing(LedgerReader(folder.data)) as reader:
        found = reader.alarm(alarm)
    if len(found) != 1 or not alarm:
        count = "no alarm" if not found else f"{len(found)} alarms"
        raise MegawatchError(f"expected the beginning of one alarm's id, found {count} for '{alarm}'")
    with closing(Ledger(folder.data)) as ledger:
        after = ledger.acknowledge(found[0], by=by or getpass.getuser(), at_ms=SteadyClock().now_ms())
    if as_json:
        print_json(alarm_document(after))
    else:
        typer.echo(f"{after.id} {after.rule} {after.subject}: {after.state}, by {after.acknowledged_by}")


@app.command(name="query")
def query_command(
    site: Site,
    subject: Annotated[str, typer.Argument(help="A tenant, an asset, or the key of a point.")],
    what: Annotated[str, typer.Argument(help="Figure of a tenant, or quantity of an asset.")] = "",
    *,
    last: Annotated[str, typer.Option(help="How far back: 90s, 15m, 6h, 2d.")] = "15m",
    since: Annotated[str | None, typer.Option("--from", help="Start: a date or a time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="End: a date or a time.")] = None,
    step: Annotated[str | None, typer.Option(help="Means over this: 1m, 15m.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a series of a tenant, an asset or a point."""
    folder = open_site(site)
    zone = folder.file.site.zone
    to_ms = SteadyClock().now_ms() + 1 if until is None else query.moment_ms(until, zone)
    from_ms = to_ms - query.span_ms(last) if since is None else query.moment_ms(since, zone)
    with closing(JournalReader(folder.data)) as journal:
        points = [known.point for known in journal.known().values()]
    question = query.Question(subject, what, from_ms, to_ms, None if step is None else query.span_ms(step))
    found = query.answer(question, folder.file.site, points, ParquetHistory(folder.data))
    if as_json:
        span = {"from": to_iso(from_ms), "to": to_iso(to_ms)}
        print_json({"series": found.name, "unit": found.unit, **span, "values": query.as_rows(found)})
    elif as_csv:
        sys.stdout.write(query.as_csv(found))
    else:
        table = Table("time", f"{found.name} [{found.unit}]", "quality", box=None, header_style="dim")
        for row, time_ms in zip(query.as_rows(found), found.time_ms.tolist(), strict=True):
            value = "" if row["value"] is None else f"{row['value']:,.3f}"
            table.add_row(
                query.local_time(time_ms, zone), value, "" if not row["quality"] else str(row["quality"])
            )
        Console().print(table)


def alarm_document(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as a document."""
    times = {name: getattr(alarm, f"{name}_ms") for name in ("since", "opened", "returned", "acknowledged")}
    return {
        **{name: getattr(alarm, name) for name in Alarm.__slots__ if not name.endswith("_ms")},
        **{name: None if value is None else to_iso(value) for name, value in times.items()},
        "state": alarm.state,
    }
