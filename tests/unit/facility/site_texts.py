"""Site files for tests, put together of small pieces that are each right by themselves."""

from __future__ import annotations

SITE = '[site]\nname = "titan"\n'
BROKER = f'{SITE}[[broker]]\nurl = "mqtt://bus"\n'
RACKS = f'{SITE}[[rack]]\nids = "A-{{1..4}}"\n'
TENANT = f'{SITE}[[tenant]]\nid = "acme"\n'
CONTRACT = f"{TENANT}[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = 1.0\n"
ROUTE = f"{SITE}[[route]]\nto = {{ console = true }}\n"

HOLDS = "tenant[0].holds[0]"
VERSION = "tenant[0].contract[0]"


def in_site(line: str) -> str:
    """Return a file whose table of the site has one more line."""
    return SITE + line + "\n"


def in_broker(line: str) -> str:
    """Return a file whose one broker has one more line."""
    return BROKER + line + "\n"


def with_url(url: str) -> str:
    """Return a file whose one broker is at an address."""
    return f'{SITE}[[broker]]\nurl = "{url}"\n'


def an_asset(name: str, serves: str) -> str:
    """Return a file of one asset that serves others."""
    return f'{SITE}[[asset]]\nid = "{name}"\nkind = "UPS"\nserves = [{serves}]\n'


def holding(entries: str) -> str:
    """Return a file whose one tenant holds these entries."""
    return f"{TENANT}holds = [{entries}]\n"


def in_contract(line: str) -> str:
    """Return a file whose one contract has one more line."""
    return CONTRACT + line + "\n"


def with_limit(keys: str) -> str:
    """Return a file whose one contract has a limit of these keys."""
    return in_contract(f"limit = {{ {keys} }}")


def with_ramp(levels: str) -> str:
    """Return a file whose one contract of 1 MW has a ramp of these levels."""
    return in_contract(f"ramp = [{levels}]")


def versions(*tables: str) -> str:
    """Return a file whose one tenant has a contract of these versions, each of 1 MW unless it says more."""
    return TENANT + "".join(f"[[tenant.contract]]\n{table}\n" for table in tables)


def in_chicago(tenant: str) -> str:
    """Return a file of a site in Chicago whose one tenant says this."""
    return f'{SITE}timezone = "America/Chicago"\n[[tenant]]\n{tenant}\n'
