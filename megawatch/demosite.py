"""The site of the demo: its contracts, and delays that let a day's story happen within a minute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_SITE: Final = """
[site]
name = "demo"
rack_rating_kw = 132

[[broker]]
url = "{url}"
client_id = "megawatch-demo-{run}"
topics = ["BMS/v1/PUB/+/+/+/demo/#"]
session_expiry_s = 60
{login}
[[tenant]]
id = "orchid"
name = "Orchid AI"
holds = [{{ racks = ["A-{{01..12}}", "B-0[1-6]"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.85

[[tenant]]
id = "basil"
name = "Basil Research"
holds = [{{ racks = ["B-0[7-9]", "B-1[0-2]", "C-0[1-6]"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.25

[[tenant]]
id = "cedar"
name = "Cedar Cloud"
holds = [{{ racks = ["C-0[7-9]", "C-1[0-2]", "D-{{01..12}}"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.75

[[route]]
to = {{ webhook = "{webhook}", secret_file = "secret" }}

# Delays are a tenth of what they are by default, so that all of it fits into a minute.
[rules]
C1 = {{ on_delay_s = 3, off_delay_s = 5 }}
C2 = {{ on_delay_s = 3, off_delay_s = 5, unknown_delay_s = 3 }}
C3 = {{ on_delay_s = 3, off_delay_s = 5 }}
Q1 = {{ on_delay_s = 3, off_delay_s = 3 }}
Q2 = {{ on_delay_s = 3, off_delay_s = 5 }}
Q3 = {{ on_delay_s = 2, off_delay_s = 4 }}
"""
_LOGIN: Final = """username = {username}
password_file = "password"
"""


def write_site(
    folder: Path, *, url: str, login: tuple[str | None, str | None], webhook: str, secret: bytes, run: str
) -> None:
    """Write the demo's site file and its secrets.

    Args:
        folder: An empty folder.
        url: The broker's address.
        login: User name and password, None for none.
        webhook: Where pages go.
        secret: What they are signed with.
        run: What tells this run from others on the same broker.
    """
    username, password = login
    text = _SITE.format(
        url=url,
        webhook=webhook,
        run=run,
        login=_LOGIN.format(username=json.dumps(username))
        if username is not None and password is not None
        else "",
    )
    for name, content in (
        ("site.toml", text.encode()),
        ("secret", secret),
        ("password", (password or "").encode()),
    ):
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
