"""The command line. Every command that shows something has `--json`: one document on standard output.

Exit status: 0 all is well, 1 it found something or failed, 2 it was used wrongly. What a command needs is
imported when it runs, so that help and mistakes are told at once.
"""
# ruff: noqa: PLC0415 - said above

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from facility.errors import MegawatchError, SiteFileError
from megawatch.cli import influx, play
from megawatch.cli.options import AsJson, CaFile, PasswordFile, Site, Username, print_json, say
from megawatch.cli.usage import WrongUsage, make_room, who, write_new
from megawatch.run.part import ALL_PARTS, Part


def show_version(*, is_asked: bool) -> None:
    """Print the version and end, where it is asked for."""
    if is_asked:
        from importlib.metadata import version

        say(f"megawatch {version('megawatch')}")
        raise typer.Exit


app = typer.Typer(
    name="megawatch",
    help="Watches, with proof, whether each tenant of a data center draws the megawatts it contracted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(influx.app)


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """Take what holds for the whole program."""


_WORDS = {"Value error, ": "", "Input should be ": "expected "}
"""What the libraries beneath say, and what we say."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line.

    Args:
        arguments: What stands after the program's name; None for what we were started with.
    """
    try:
        status = app(arguments, prog_name="megawatch", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = "megawatch" if context is None else context.command_path
        message = error.format_message().rstrip(".")
        for words, ours in _WORDS.items():
            message = message.replace(words, ours)
        if not message:
            sys.exit(error.exit_code)  # nothing was asked for, and help was given
        fail(f"{message}; see {command} --help", error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except SiteFileError as error:
        fail(str(error), 1, prefix="")
    except MegawatchError as error:
        fail(str(error), 2 if isinstance(error, WrongUsage) else 1)
    except BrokenPipeError:
        # The reader of our output has seen enough; nothing more is to be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        fail(what, 1)
    sys.exit(status or 0)


def fail(message: str, status: int, *, prefix: str = "megawatch: ") -> NoReturn:
    """End with a message on standard error."""
    say(prefix + message, err=True)
    sys.exit(status)


# A first look -----------------------------------------------------------------------------


app.command()(play.demo)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to put site.toml.")]) -> None:
    """Write a commented site file that passes check."""
    from megawatch.cli.template import FILE, SITE

    target = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    write_new(target, SITE)
    say(f"wrote {target}; next: megawatch check {folder}")


@app.command()
def check(
    site: Site,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also reach the brokers, the database and the pagers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find all faults of a site file at once."""
    from megawatch.check.sitefile import check_site
    from megawatch.run import logs

    logs.configure(quiet=True)
    document, text = check_site(site, live=live)
    if as_json:
        print_json(document)
    else:
        say(text)
    if not document["is_fine"]:
        raise typer.Exit(1)


@app.command()
def doctor(site: Site, *, as_json: AsJson = False) -> None:
    """Tell what the brokers and the database can and cannot do: proved, not asked."""
    from megawatch.check.doctor import examine
    from megawatch.run import logs

    logs.configure(quiet=True)
    document, text = examine(site)
    if as_json:
        print_json(document)
    else:
        say(text)
    if not document["is_fine"]:
        raise typer.Exit(1)


@app.command()
def discover(
    bus: Annotated[
        str, typer.Argument(help="mqtt://host:port or mqtts://host:port, or a site whose bus it is.")
    ],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the site file here; else print it.")] = None,
    seconds: Annotated[
        float, typer.Option(help="For how long to listen; each value comes within 100 s.", min=1)
    ] = 30,
    name: Annotated[str, typer.Option(help="What to call the site.")] = "discovered",
    username: Username = None,
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Listen to a DSX bus and propose a site file of what it tells."""
    import asyncio

    from megawatch.discover.discover import Bus, Login, discover_site
    from megawatch.run import logs
    from megawatch.site.folder import open_site

    logs.configure(quiet=True)
    if out is not None:
        make_room(out)
    if "://" in bus or not Path(bus).exists():
        login = Login(username=username, password_file=password_file, ca_file=ca_file)
        heard_on = Bus.at(bus, name, login, None if out is None else out.parent)
    else:
        heard_on = Bus.of(open_site(Path(bus)))
    if sys.stderr.isatty():
        say(f"listening to {heard_on.table.url} for {seconds:g} s", err=True)
    found = asyncio.run(discover_site(heard_on, seconds))
    if out is not None:
        try:
            write_new(out, found["site_file"])
        except (OSError, MegawatchError):
            typer.echo(found["site_file"], nl=False)  # what took so long to hear is not lost
            raise
    if as_json:
        print_json(found)
    elif out is None:
        typer.echo(found["site_file"], nl=False)
    else:
        racks = f"{found['racks']} racks, {found['assets']} assets, {found['points']} points"
        say(f"wrote {out}: {racks}; next: megawatch check {out}")
        if found["left_out"] or found["racks_without_power"]:
            bare = len(found["racks_without_power"])
            say(f"left out: {len(found['left_out'])} topics, and the power of {bare} racks; why stands in it")
    if not found["racks"]:
        say("megawatch: no rack was heard; does the bus publish metadata?", err=True)
        raise typer.Exit(1)


# The monitor ------------------------------------------------------------------------------


@app.command()
def run(
    site: Site,
    *,
    only: Annotated[list[Part] | None, typer.Option(help="Only this part; may be repeated.")] = None,
) -> None:
    """Run the monitor: collector, writer, rules and notifier in one process."""
    import asyncio

    from megawatch.run import logs
    from megawatch.run.monitor import Monitor
    from megawatch.run.process import collect_seldom, give_back_memory, run_until_stopped
    from megawatch.site.folder import open_site

    give_back_memory()
    collect_seldom()
    with logs.beside():
        folder = open_site(site)
        parts = frozenset(only) if only else ALL_PARTS
        asyncio.run(run_until_stopped(lambda: Monitor(folder, parts=parts).run()))


app.command()(play.simulate)


# What it sees -----------------------------------------------------------------------------


@app.command()
def status(site: Site, *, as_json: AsJson = False) -> None:
    """Show tenants against their contracts, and where every reading went."""
    from megawatch.cli import queries
    from megawatch.site.folder import open_site

    folder = open_site(site)
    found = queries.status_document(folder)
    if as_json:
        print_json(found)
    else:
        queries.print_status(folder, found)
    if found["trouble"]:
        raise typer.Exit(1)


@app.command()
def alarms(
    site: Site,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over or held back.")] = False,
    rule: Annotated[list[str] | None, typer.Option(help="Of this rule; may be repeated.")] = None,
    subject: Annotated[str, typer.Option(help="About this subject, or this pattern.")] = "",
    severity: Annotated[list[str] | None, typer.Option(help="Of this severity; may be repeated.")] = None,
    last: Annotated[str | None, typer.Option(help="That opened so lately: 90s, 15m, 6h, 2d.")] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Figures of the last 30 d, or of --last.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the alarm list, or how many alarms there are."""
    from megawatch.cli import queries
    from megawatch.site.folder import open_site

    folder = open_site(site)
    asked = queries.AlarmsAsked(rules=rule or (), subject=subject, severities=severity or (), last=last)
    if stats:
        from megawatch.cli.alarmstats import lines_of

        figures = queries.alarm_stats(folder, asked)
        if as_json:
            print_json(figures)
        else:
            for line in lines_of(figures):
                say(line)
        return
    found = queries.alarm_list(folder, asked, everything=everything)
    if as_json:
        print_json([queries.alarm_document(alarm) for alarm in found])
    else:
        queries.print_alarms(folder, found, everything=everything)
    down = queries.why_down(folder)
    if down:
        say(f"megawatch: {down}", err=True)


@app.command()
def deadletters(
    site: Site,
    *,
    reason: Annotated[str | None, typer.Option(help="Refused for this, such as wrong-type.")] = None,
    topic: Annotated[str, typer.Option(help="This topic, or topic filter with + and #.")] = "#",
    last: Annotated[str | None, typer.Option(help="How far back: 90s, 15m, 6h, 2d.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Start: a date or a time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="End: a date or a time.")] = None,
    most: Annotated[int, typer.Option(help="So many at most, the newest.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was refused, and why."""
    from megawatch.cli.deadletters import Asked, dead_letters, lines_of
    from megawatch.site.folder import open_site

    folder = open_site(site)
    asked = Asked(reason=reason, topic=topic, last=last, since=since, until=until, most=most)
    found = dead_letters(folder, asked)
    if as_json:
        print_json(found.document())
    else:
        for line in lines_of(found, folder):
            say(line)


@app.command()
def blocks(
    site: Site,
    tenant: Annotated[str, typer.Argument(help="The tenant's id.")],
    *,
    last: Annotated[str, typer.Option(help="How far back: 90s, 15m, 6h, 2d.")] = "1d",
    since: Annotated[str | None, typer.Option("--from", help="Start: a date or a time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="End: a date or a time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a tenant's demand blocks, as known when they closed and settled."""
    from megawatch.cli import show
    from megawatch.cli.blocks import block_document, blocks_table, demand_blocks
    from megawatch.site.folder import open_site

    folder = open_site(site)
    found = demand_blocks(folder, tenant, last=last, since=since, until=until)
    if as_json:
        print_json([block_document(block) for block in found])
    elif found:
        show.terminal().print(blocks_table(found, folder))
    else:
        say(f"no demand block of {tenant} ended in that time")


@app.command()
def ack(
    site: Site,
    alarm: Annotated[str, typer.Argument(help="The alarm's id, or its beginning.")],
    *,
    by: Annotated[str | None, typer.Option(help="Who takes it in hand; by default who is logged in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take an alarm in hand: that ends repetition and escalation until it worsens, also before it is told."""
    from megawatch.cli import queries
    from megawatch.cli.why import acknowledged_lines
    from megawatch.site.folder import open_site

    name, folder = who(by), open_site(site)
    after = queries.acknowledge(folder, alarm, name)
    if as_json:
        print_json(queries.alarm_document(after))
    else:
        for line in acknowledged_lines(after, folder, name):
            say(line)


_By = Annotated[str | None, typer.Option("--by", help="Who decides it; by default who is logged in.")]
_Why = Annotated[str, typer.Option("--why", help="Why; it is shown wherever the alarms are.")]
_Rules = Annotated[list[str] | None, typer.Option("--rule", help="Alarms of this rule; may be repeated.")]
_Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="About this subject, or this pattern; may be repeated.")
]
_Assets = Annotated[
    list[str] | None,
    typer.Option("--asset", help="About this asset and what it serves, or this pattern; may be repeated."),
]
_For = Annotated[str | None, typer.Option("--for", help="For so long: 90s, 15m, 6h, 2d.")]
_From = Annotated[str | None, typer.Option("--from", help="Beginning: a date or a time; by default now.")]
_To = Annotated[str | None, typer.Option("--to", help="End: a date or a time.")]
_Preview = Annotated[
    str | None, typer.Option("--preview", help="Keep nothing; say what it would have hidden in the last 7d.")
]


def _suppress(
    site: Path, kind: str, preview: str | None, *, as_json: bool, by: str | None, why: str, **asked: object
) -> None:
    """Keep a suppression, or say what it would have hidden."""
    from megawatch.cli import suppressing
    from megawatch.site.folder import open_site
    from store.ledger.suppressions import SuppressionKind

    folder = open_site(site)
    by = who(by)
    chosen: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    asked_for = suppressing.Asked(kind=SuppressionKind(kind), by=by, why=why, **chosen)
    found, zone = suppressing.suppression_of(folder, asked_for), folder.file.site.zone
    if preview is not None:
        hidden = suppressing.preview(folder, found, preview)
        if as_json:
            print_json(suppressing.hidden_document(found, hidden))
        else:
            for line in suppressing.preview_lines(hidden, preview, zone):
                say(line)
        return
    suppressing.keep(folder, found)
    if as_json:
        print_json(suppressing.document(found))
    else:
        say(suppressing.line_of(found, zone))


@app.command()
def shelve(  # noqa: PLR0913 - its options
    site: Site,
    alarm: Annotated[str, typer.Argument(help="The alarm's id, or its beginning.")] = "",
    *,
    rule: _Rules = None,
    subject: _Subjects = None,
    last: _For = None,
    until: _To = None,
    why: _Why = "",
    by: _By = None,
    preview: _Preview = None,
    as_json: AsJson = False,
) -> None:
    """Hold back an alarm for a time; its return is told all the same."""
    _suppress(
        site,
        "shelved",
        preview,
        as_json=as_json,
        alarm=alarm,
        rules=rule,
        subjects=subject,
        last=last,
        until=until,
        by=by,
        why=why,
    )


@app.command()
def suppress(  # noqa: PLR0913 - its options
    site: Site,
    *,
    rule: _Rules = None,
    subject: _Subjects = None,
    asset: _Assets = None,
    last: _For = None,
    until: _To = None,
    why: _Why = "",
    by: _By = None,
    preview: _Preview = None,
    as_json: AsJson = False,
) -> None:
    """Hold back alarms by design, until that is ended."""
    _suppress(
        site,
        "suppressed by design",
        preview,
        as_json=as_json,
        rules=rule,
        subjects=subject,
        assets=asset,
        last=last,
        until=until,
        by=by,
        why=why,
    )


@app.command()
def maintenance(  # noqa: PLR0913 - its options
    site: Site,
    *,
    asset: _Assets = None,
    rule: _Rules = None,
    since: _From = None,
    last: _For = None,
    until: _To = None,
    why: _Why = "",
    by: _By = None,
    preview: _Preview = None,
    as_json: AsJson = False,
) -> None:
    """Plan work on assets: what is about them or what they serve is not told within it."""
    _suppress(
        site,
        "out of service",
        preview,
        as_json=as_json,
        rules=rule,
        assets=asset,
        since=since,
        last=last,
        until=until,
        by=by,
        why=why,
    )


@app.command()
def unshelve(
    site: Site,
    suppression: Annotated[str, typer.Argument(help="Its id, or that of an alarm that it hides.")],
    *,
    by: _By = None,
    as_json: AsJson = False,
) -> None:
    """End a shelf, a suppression or a maintenance; what still stands is told."""
    from megawatch.cli import suppressing
    from megawatch.site.folder import open_site

    folder = open_site(site)
    ended = suppressing.end(folder, suppression, who(by))
    if as_json:
        print_json(suppressing.document(ended))
    else:
        say(suppressing.line_of(ended, folder.file.site.zone))


@app.command()
def suppressions(
    site: Site,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is held back now, and what is planned."""
    from megawatch.cli import suppressing
    from megawatch.site.folder import open_site

    folder = open_site(site)
    found = suppressing.listed(folder, everything=everything)
    if as_json:
        print_json([suppressing.document(one) for one in found])
    elif found:
        for one in found:
            say(suppressing.line_of(one, folder.file.site.zone))
    else:
        say("nothing is suppressed")


@app.command()
def routes(
    site: Site,
    *,
    tries: Annotated[
        bool, typer.Option("--try", help="Send a test page on each, and its end; people see it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show where pages go, and with --try whether they get there."""
    import asyncio

    from megawatch.cli import routes as routing
    from megawatch.cli import show
    from megawatch.run import logs
    from megawatch.site.folder import open_site

    logs.configure(quiet=True)
    folder = open_site(site)
    found = asyncio.run(routing.tried(folder, show.terminal())) if tries else routing.routes_now(folder)
    if as_json:
        print_json(found)
    else:
        for line in routing.lines_of(found):
            say(line)
    if tries and not routing.is_well(found):
        raise typer.Exit(1)


@app.command()
def why(
    site: Site,
    alarm: Annotated[str, typer.Argument(help="The alarm's id, or its beginning.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show why an alarm was told, late, or not at all."""
    from megawatch.cli.why import lines_of, way_of
    from megawatch.site.folder import open_site

    folder = open_site(site)
    found = way_of(folder, alarm)
    if as_json:
        print_json(found.document())
    else:
        for line in lines_of(found, folder):
            say(line)


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
    from megawatch.cli import queries
    from megawatch.site.folder import open_site

    folder = open_site(site)
    asked = queries.Asked(subject=subject, what=what, last=last, since=since, until=until, step=step)
    answer = queries.series(folder, asked)
    if as_json:
        print_json(answer.document())
    else:
        queries.print_series(folder, answer, as_csv=as_csv)
