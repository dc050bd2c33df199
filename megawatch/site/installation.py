"""What an installation is called: the client id that is its own, kept beside its data."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

FILE: Final = "client-id"


def client_id_of(data: Path, site: str, *, is_new: bool) -> str:
    """Return the client id of an installation, which is made at its first start.

    Two monitors of one site must not have one client id: each would throw the other out, and take from the
    broker what it kept for it.

    Args:
        data: The data folder.
        site: Name of the site.
        is_new: Whether nothing was ever collected here: earlier versions were called after the site alone,
            and so is an installation that is older, for the broker keeps its session under that name.

    Raises:
        OSError: Where the data folder takes no file.
    """
    path = data / FILE
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    made = f"megawatch-{site}-{secrets.token_hex(4)}" if is_new else f"megawatch-{site}"
    path.write_text(made + "\n", encoding="utf-8")
    return made
