"""Options that commands share, and how a document is printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from facility.shown import in_lines

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Site = Annotated[Path, typer.Argument(help="The site file, or the folder that holds site.toml.")]
Seconds = Annotated[float | None, typer.Option(help="End after so many seconds.", min=1)]
Username = Annotated[str | None, typer.Option(help="User name on the broker.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File that holds the password.")]
CaFile = Annotated[Path | None, typer.Option(help="Certificates to trust, if not the system's.")]


def print_json(document: Any) -> None:  # noqa: ANN401 - any document
    """Print one document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str, *, err: bool = False) -> None:
    """Print text of several lines; what comes from outside is no command to the terminal.

    Args:
        text: Which, whatever it holds.
        err: Whether to standard error.
    """
    typer.echo(in_lines(text), err=err)
