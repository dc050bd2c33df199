"""What commands share: wrong usage that the command line can not see itself, and files that must be new."""

from __future__ import annotations

from pathlib import Path

from facility.errors import MegawatchError


class WrongUsage(MegawatchError):  # noqa: N818 - says what happened
    """An argument or an option can not mean anything."""


def write_new(target: Path, text: str) -> None:
    """Write a file that must not be there yet."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise MegawatchError(f"{target} is there already; it is left as it is") from error
