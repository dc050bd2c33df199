"""The commands that play a simulated site: `megawatch demo` and `megawatch simulate`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megawatch.cli.options import AsJson, CaFile, PasswordFile, Seconds, Username, print_json
from megawatch.cli.usage import WrongUsage


def demo(
    *,
    scenario: Annotated[str, typer.Option(help="A scenario of ours by its name, or a file.")] = "demo_minute",
    seconds: Seconds = None,
    broker: Annotated[
        str | None, typer.Option(help="Use this broker: mqtt://host:port or mqtts://host:port.")
    ] = None,
    username: Username = None,
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    picture: Annotated[Path | None, typer.Option(help="Save the last view as SVG.", hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Show a site that is not there, watched by the whole monitor through a real broker."""
    import asyncio

    from megawatch.cli import show
    from megawatch.demo.demo import Wish, run_demo
    from megawatch.run import logs
    from megawatch.scenario.destination import Destination

    logs.configure(quiet=True)
    to = None
    if broker is not None:
        to = Destination.of(broker, username=username, password_file=password_file, ca_file=ca_file)
    elif username or password_file or ca_file:
        raise WrongUsage("--broker: expected beside a user name, a password or certificates, found nothing")
    console = None if as_json else show.terminal()
    wish = Wish(scenario=scenario, broker=to, seconds=seconds, console=console, picture=picture)
    document = asyncio.run(run_demo(wish))
    if as_json:
        print_json(document)


def simulate(  # noqa: PLR0913 - one for each option
    scenario: Annotated[
        str, typer.Argument(help="A scenario of ours by its name, or a file.")
    ] = "demo_minute",
    *,
    broker: Annotated[
        str, typer.Option(help="Publish to this broker: mqtt://host:port or mqtts://host:port.")
    ] = "mqtt://127.0.0.1:1883",
    username: Username = None,
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    connections: Annotated[int, typer.Option(help="Connections that share the topics.", min=1, max=64)] = 1,
    seconds: Seconds = None,
    truth: Annotated[Path | None, typer.Option(help="Write the truth into this folder.")] = None,
    seed: Annotated[int | None, typer.Option(help="What all chance follows from.", min=0)] = None,
    qos: Annotated[int | None, typer.Option(help="Quality of service of values.", min=0, max=1)] = None,
    speed: Annotated[float, typer.Option(help="How many times as fast as real time.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Publish a simulated site to a broker."""
    import asyncio

    from megawatch.cli import simulate
    from megawatch.run import logs
    from megawatch.scenario.destination import Destination

    logs.configure(quiet=True)
    wish = simulate.Wish(
        broker=Destination.of(broker, username=username, password_file=password_file, ca_file=ca_file),
        connections=connections,
        seconds=seconds,
        truth=truth,
        seed=seed,
        qos=qos,
        speed=speed,
    )
    done = asyncio.run(simulate.simulate(scenario, wish))
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{done['published']} messages published, seed {done['seed']}")
