"""Random contracts played through the whole monitor, one rack each, second by second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from random import Random

from facility.instants import from_iso, to_iso
from facility.sitefile.reader import SiteFile, read_site
from rules.engine.engine import Step
from testing.rehearsal.rehearsal import Rehearsal, as_message
from tests.rehearsals.exactjudge import ExactCase, ExactVersion, random_case

ZONES = (
    ("UTC", "2026-06-01T12:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T12:14:00Z"),
    ("Europe/Berlin", "2026-10-25T00:59:20Z"),  # the clock goes back at 01:00 UTC
    ("Australia/Lord_Howe", "2026-04-04T14:59:20Z"),  # by half an hour
)
SECONDS = 130


def case_of(seed: int) -> ExactCase:
    """Return the contract, and what is drawn, of a seed."""
    random = Random(seed)  # noqa: S311 - chooses cases, hides nothing
    zone, begin = ZONES[seed % len(ZONES)]
    return random_case(random, from_iso(begin) + 1_000 * random.randrange(60), SECONDS, zone)


def rehearsal_of(case: ExactCase, told: Callable[[SiteFile, Step], None]) -> Rehearsal:
    """Return a monitor of a contract, which gives the site and every step of the engine to `told`."""
    file = read_site(_site_text(case))
    return Rehearsal(file, begin_ms=case.begin_ms, told=lambda step: told(file, step), gather_ms=50)


def hear(case: ExactCase, rehearsal: Rehearsal) -> Iterator[int]:
    """Let a monitor hear what is drawn: yields the draw of each second, once heard [mW]; then settles."""
    for second, milliwatts in enumerate(case.drawn):
        at_ms = case.begin_ms + second * 1_000
        body = f'{{"rack":"r","time":{at_ms},"power_kw":{milliwatts / 1e6!r}}}'.encode()
        message = as_message("megawatch/v1/exact/r", body, at_ms, qos=1, is_retained=False)
        rehearsal.hear([message], at_ms + 300)
        yield milliwatts
    rehearsal.hear([], case.end_ms + 20_000)


def _site_text(case: ExactCase) -> str:
    tables = [
        f"""
[site]
name = "exact"
timezone = "{case.zone.key}"
rack_rating_kw = 1000

[[rack]]
ids = "r"

[[broker]]
url = "mqtt://127.0.0.1"
format = "rack-documents"
period_s = 2
jitter_s = 1

[engine]
tick_ms = 1000
lateness_ms = 250
settle_after_s = 1
wait_for_silent_s = 5

[rules]
C5.enabled = false
C10.enabled = false
Q1.enabled = false
Q2.enabled = false
Q3.enabled = false

[[tenant]]
id = "acme"
holds = [{{ racks = ["r"], from = 2026-01-01 }}]
"""
    ]
    tables += [_version_text(version) for version in case.versions]
    if case.ends_ms is not None:
        tables.append(f"ends = {to_iso(case.ends_ms)}\n")
    return "".join(tables)


def _version_text(version: ExactVersion) -> str:
    limit = [f'method = "{version.method}"']
    if version.method != "instantaneous":
        limit.append(f"minutes = {version.minutes}")
    if version.method == "rolling":
        limit.append(f"subinterval_minutes = {version.subinterval}")
    if version.tolerance:
        limit.append(f"tolerance_percent = {_decimal(version.tolerance * 100)}")
    lines = [
        "[[tenant.contract]]",
        f"from = {to_iso(version.from_ms)}",
        f"committed_mw = {_decimal(Fraction(version.committed, 10**9))}",
        f"burst_mw = {_decimal(Fraction(version.burst, 10**9))}",
        "burst_minutes_per_month = 5",
        f"loss_factor = {_decimal(version.loss)}",
        f"limit = {{ {', '.join(limit)} }}",
    ]
    if version.levels:
        levels = ", ".join(
            f"{{ from = {to_iso(level.at_ms)}, committed_mw = {_decimal(Fraction(level.milliwatts, 10**9))}, "
            f'shape = "{"linear" if level.is_linear else "step"}" }}'
            for level in version.levels
        )
        lines.append(f"ramp = [{levels}]")
    return "\n".join(lines) + "\n"


def _decimal(number: Fraction) -> str:
    """Return an exact decimal of at most nine digits after the point."""
    return f"{number.numerator * 10**9 // number.denominator / 10**9:.9f}".rstrip("0").rstrip(".") or "0"
