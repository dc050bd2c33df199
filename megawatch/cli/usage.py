"""What commands share: wrong usage that the command line cannot see itself, and files that must be new."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from facility.errors import MegawatchError


class WrongUsage(MegawatchError):  # noqa: N818 - says what happened
    """An argument or an option cannot mean anything."""


def who(name: str | None) -> str:
    """Return who asks: the name that is given, else that of who is logged in; in one line.

    Raises:
        WrongUsage: Where neither is known.
    """
    try:
        found = " ".join((name or getpass.getuser()).split())
    except (KeyError, OSError) as error:
        raise WrongUsage("expected a name after --by, as nobody is logged in here") from error
    if not found:
        raise WrongUsage("expected a name after --by, found none")
    return found


def make_room(target: Path) -> None:
    """Make the folder of a file that is to be written later, and see that it can be.

    Raises:
        MegawatchError: Where the file is there already, or cannot be written.
    """
    if target.exists():
        raise MegawatchError(f"{target} is there already; it is left as it is")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise MegawatchError(f"{target.parent}: expected a folder that can be written")


def write_new(target: Path, text: str) -> None:
    """Write a file that must not be there yet."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise MegawatchError(f"{target} is there already; it is left as it is") from error
