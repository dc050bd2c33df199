"""Random contracts through the whole monitor, held against exact fractions: every tick, every block.

Draws lie exactly at a limit as often as beside it; versions, ramps and ends fall on any millisecond.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from facility.instants import from_iso, to_iso
from facility.sitefile.reader import read_site
from megawatch.scenario.offline import Rehearsal, as_message
from rules.base import Verdict
from rules.engine.engine import Step
from rules.library.contract.c2_overdraw import Overdraw
from store.series import DemandBlock
from tests.exactjudge import ExactCase, ExactVersion, random_case

ZONES = (
    ("UTC", "2026-06-01T12:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T12:14:00Z"),
    ("Europe/Berlin", "2026-10-25T00:59:20Z"),  # the clock goes back at 01:00 UTC
    ("Australia/Lord_Howe", "2026-04-04T14:59:20Z"),  # by half an hour
)
SECONDS = 130
CASES = 60
PER_TEST = 20
SOAK_CASES = 544


@pytest.mark.parametrize("first", range(0, CASES, PER_TEST))
def test_contracts_are_judged_exactly(first: int) -> None:
    """The verdict of each tick, and bounds, allowance and verdict of each block, live and settled."""
    _check(range(first, first + PER_TEST))


@pytest.mark.soak
def test_hundreds_of_contracts_are_judged_exactly() -> None:
    """The same over more of them."""
    _check(range(CASES, CASES + SOAK_CASES))


def _check(seeds: range) -> None:
    wrong = [f"seed {seed}: {text}" for seed in seeds for text in _differences(seed)]
    assert not wrong, "\n".join(wrong[:20])


def _differences(seed: int) -> list[str]:
    """Return where the monitor and the exact judge disagree."""
    random = Random(seed)  # noqa: S311 - chooses cases, hides nothing
    zone, begin = ZONES[seed % len(ZONES)]
    begin_ms = from_iso(begin) + 1_000 * random.randrange(60)
    case = random_case(random, begin_ms, SECONDS, zone)
    steps: list[Step] = []
    rehearsal = Rehearsal(read_site(_site_text(case)), begin_ms=begin_ms, told=steps.append, gather_ms=50)
    rule, wrong = Overdraw(), list[str]()
    for second, milliwatts in enumerate(case.drawn):
        at_ms = begin_ms + second * 1_000
        body = f'{{"rack":"r","time":{at_ms},"power_kw":{milliwatts / 1e6!r}}}'.encode()
        rehearsal.hear(
            [as_message("megawatch/v1/exact/r", body, at_ms, qos=1, is_retained=False)], at_ms + 300
        )
        view = rehearsal.engine.view
        if view is None or view.at_ms != at_ms or second == 0:
            continue
        found, above = int(rule.judge(view).verdict[0]), case.above(at_ms, milliwatts)
        expected = Verdict.CLEAR if above is None or above <= 0 else Verdict.BREACH
        # Bounds are whole milliwatts, rounded outwards: within one of the limit nobody can tell.
        is_tight = above is not None and abs(above) < 1
        if found != expected and not (is_tight and found == Verdict.UNKNOWN):
            wrong.append(f"{to_iso(at_ms)}: expected {expected.name}, found {Verdict(found).name}, {above}")
    rehearsal.hear([], case.end_ms + 20_000)
    wrong += _of_blocks(case, [block for step in steps for block in step.blocks])
    return wrong


def _of_blocks(case: ExactCase, blocks: list[DemandBlock]) -> list[str]:
    """Return where blocks are not what they should be."""
    wrong = []
    expected = {(start, end): sums for start, end, *sums in case.blocks()}
    for is_settled in (False, True):
        found = {
            (block.from_ms, block.to_ms): block
            for block in blocks
            if block.is_settled is is_settled
            and block.from_ms >= case.begin_ms
            and block.to_ms <= case.end_ms
        }
        kind = "settled" if is_settled else "live"
        for span in sorted(expected.keys() | found.keys()):
            name = f"{kind} block {to_iso(span[0])} to {to_iso(span[1])}"
            if span not in found or span not in expected:
                wrong.append(f"{name}: {'missing' if span in expected else 'not expected'}")
                continue
            drawn, allowed = expected[span]
            block = found[span]
            if block.verdict != (Verdict.BREACH if drawn > allowed else Verdict.CLEAR):
                wrong.append(
                    f"{name}: drawn {float(drawn)} of {float(allowed)}, {drawn > allowed}, found "
                    f"{block.verdict}: {block.low_milliwatt_ms} to {block.high_milliwatt_ms} of "
                    f"{block.allowed_milliwatt_ms}"
                )
            if not block.low_milliwatt_ms <= drawn <= (block.high_milliwatt_ms or drawn):
                wrong.append(f"{name}: drawn {float(drawn)}, found {block.low_milliwatt_ms} to ...")
    return wrong


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
