"""`megawatch influx`: preparing the database that a site file names."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from facility.errors import MegawatchError
from megawatch.cli.template import FILE

app = typer.Typer(name="influx", help="Prepare the database of a site.", no_args_is_help=True)

OWNER_ONLY: Final = 0o600
GROUP_READS: Final = 0o640
"""The reader's token is Grafana's, which runs as another user of the same group."""


@app.command()
def init(
    site: Annotated[Path, typer.Argument(help="The site file, or the folder that holds site.toml.")],
    *,
    admin_token_file: Annotated[
        Path, typer.Option(help="File with a token that may do this; admin:password for an InfluxDB 1.")
    ],
    write_token_file: Annotated[
        Path | None, typer.Option(help="Where the writer's token goes; by default the site's token_file.")
    ] = None,
    read_token_file: Annotated[
        Path | None, typer.Option(help="Where the reader's token goes, for Grafana; by default beside it.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Replace tokens that are there.")] = False,
) -> None:
    """Make buckets with retention, mappings for InfluxQL and two tokens with the least rights."""
    from facility.sitefile.reader import read_site
    from store.influx.setup import READER, WRITER, set_up

    # The site's secrets need not be there yet: its own token is about to be made.
    path = site / FILE if site.is_dir() else site
    table = read_site(path.read_text(encoding="utf-8-sig"), str(path)).store.influxdb
    if table is None:
        raise MegawatchError(f"{path}: expected store.influxdb, found none")
    writer = write_token_file or (None if table.token_file is None else path.parent / table.token_file)
    if writer is None:
        raise MegawatchError(f"{path}: expected store.influxdb.token_file or --write-token-file, found none")
    reader = read_token_file or writer.with_name(f"{writer.name}-read")
    made = set_up(table, admin_token_file.read_text(encoding="utf-8-sig").strip(), renews_tokens=renew)
    for step in made.steps:
        typer.echo(step)
    for name, target, mode in ((WRITER, writer, OWNER_ONLY), (READER, reader, GROUP_READS)):
        if name in made.tokens:
            write_secret(target, made.tokens[name], mode)
            typer.echo(f"wrote {target}: the token of {name}")


def write_secret(target: Path, text: str, mode: int) -> None:
    """Write a secret that only its owner may read, in place of the one that was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(OWNER_ONLY, exist_ok=False)
    draft.write_text(text, encoding="utf-8")
    draft.chmod(mode)
    draft.replace(target)
