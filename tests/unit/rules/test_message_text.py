"""A page says what, where, value and limit with units, since when, how sure, and what to look at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from facility.contracts import Level, Limit
from facility.names import AssetId
from facility.site import Site
from rules.alarms.states import Change
from rules.base import CANNOT_VERIFY, Rule
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.data.q8_meters_disagree import MetersDisagree
from rules.notify import wording
from rules.notify.message import compose
from rules.registry import RULES
from testing.builders import T0_MS
from testing.rules.halls import (
    NO_RULES,
    PAIR,
    Tape,
    a_row_of,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    block,
    known_meter,
    known_rack,
    known_racks_of,
    one_tenant,
    play,
    racks_of,
)

Powers = Sequence[float | None]
Body = dict[str, Any]


def pages_of(
    site: Site, seconds: Iterable[Powers], *, rules: Mapping[str, Mapping[str, Any]] = NO_RULES
) -> list[Body]:
    """Return what people are told while every rack of a site says something second by second."""
    engine, tape, rows = an_engine(site, rules=rules), Tape(), list(seconds)
    meters = [known_meter(len(site.racks) + i, asset.id) for i, asset in enumerate(site.assets)]
    tape.put(T0_MS - 1_000, (*known_racks_of(site), *meters))
    tape.connect(T0_MS - 1_000)
    for second, powers in enumerate(rows):
        tape.second(second, *powers)
    by_name: dict[str, Rule] = {}
    for judge in engine.judges:
        by_name |= {judge.rule.name: judge.rule, f"{judge.rule.name}-{CANNOT_VERIFY}": judge.rule}
    found = []
    for step in play(engine, tape.entries, until_ms=T0_MS + 1_000 * len(rows)):
        for change in step.changes:
            if change.is_told:
                assert step.view is not None
                found.append(compose(change, by_name[change.rule], step.view, site).document())
    return found


def page(pages: Iterable[Body], rule: str, change: Change = Change.OPENED) -> Body:
    """Return the first page of a rule that tells a change."""
    return next(body for body in pages if (body["rule"], body["change"]) == (rule, change))


def line(body: Body, label: str) -> str:
    """Return what stands behind a label in a page's text."""
    lines = [text for text in str(body["text"]).split("\n") if text.startswith(f"{label}: ")]
    assert len(lines) == 1, body["text"]
    return lines[0].removeprefix(f"{label}: ")


OVERDRAWN = [(70.0, 71.0, 69.5)] * 8


def test_an_overdraw_says_everything() -> None:
    """What, where, how much of what, by how much, since when, how sure, and what to look at."""
    body = page(pages_of(one_tenant(200), OVERDRAWN), "C2")

    assert body["headline"] == "[HIGH] acme: draw above the contracted limit, 210.5 kW of 200.0 kW"
    assert str(body["text"]).split("\n") == [
        "[HIGH] acme: draw above the contracted limit, 210.5 kW of 200.0 kW",
        f"where: acme at hall, rule C2, alarm {body['alarm']}",
        "since: 2026-05-28 20:26:40 UTC, told at 2026-05-28 20:26:45 UTC",
        "over: 10.500 kW, 5.25 % of the limit",
        "draw: 210.5 kW, for certain exactly 210.5 kW",
        "contract: 200.0 kW",
        "coverage: 100 % of the rating has readings that hold now",
        "largest: r1 71.0 kW, r0 70.0 kW, r2 69.5 kW",
        f"look at: {Overdraw.look_at}",
        "runbook: docs/runbooks/c2.md",
    ]


def test_programs_find_the_same_in_fields() -> None:
    """The body is a document of plain values, with the units in the names or beside them."""
    body = page(pages_of(one_tenant(200), OVERDRAWN), "C2")

    assert {key: body[key] for key in ("value", "limit", "unit", "peak")} == {
        "value": 210.5,
        "limit": 200.0,
        "unit": "kW",
        "peak": 210.5,
    }
    assert (body["draw_low_kw"], body["draw_best_kw"], body["draw_high_kw"]) == (210.5, 210.5, 210.5)
    assert (body["since_ms"], body["opened_ms"], body["at_ms"]) == (T0_MS, T0_MS + 5_000, T0_MS + 5_000)
    assert (body["site"], body["subject"], body["tenant"]) == ("hall", "acme", "acme")
    assert body["desks"] == ["P1", "C"]
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_an_overdraw_by_a_watt_is_told_as_one() -> None:
    """Rounded figures that look alike do not hide by how much the limit is broken."""
    body = page(pages_of(one_tenant(200), [(70.0, 70.0, 60.001)] * 8), "C2")

    assert body["headline"].endswith("200.0 kW of 200.0 kW")
    assert line(body, "over") == "0.001 kW, 0.00 % of the limit"


def test_megawatts_are_told_in_megawatts() -> None:
    """Figures of a thousand kilowatts and more are read at a glance."""
    names = [f"r{i}" for i in range(20)]
    site = a_site(racks_of(*names, rating_kw=132), a_tenant("acme", names, a_version(2_000)))

    body = page(pages_of(site, [[110.0] * 20] * 8), "C2")

    assert body["headline"].endswith("2.200 MW of 2.000 MW")
    assert line(body, "contract") == "2.000 MW"


SILENT_RACK = [(60.0, 60.0, 60.0)] * 3 + [(60.0, 60.0, None)] * 20
SILENT = [(60.0, 60.0, 60.0, 60.0, 60.0)] * 5 + [(60.0, 60.0, 60.0, 60.0, None)] * 45


def test_a_possible_overdraw_says_the_bounds_and_who_is_silent() -> None:
    """How far the draw may reach, how much is covered, and which racks to look for."""
    pages = pages_of(one_tenant(320, racks=5), SILENT)

    body = page(pages, "C3")

    assert body["headline"].startswith("[MEDIUM] acme: cannot verify the contract: an overdraw is possible")
    assert line(body, "draw") == "300.0 kW, for certain between 240.0 kW and 340.0 kW"
    assert line(body, "contract") == "320.0 kW"
    assert line(body, "coverage").startswith("80 %")
    assert line(body, "silent") == "1 rack: r4"
    assert line(body, "look at") == (
        "Find out why racks are silent; until they are heard, only the bounds are certain."
    )


def test_not_being_able_to_verify_says_so_and_what_to_do() -> None:
    """Its page is about missing readings, not about taking load off."""
    pages = pages_of(one_tenant(200), [(60.0, 60.0, 60.0)] * 5 + [(60.0, None, None)] * 45)

    body = page(pages, "C2-cannot-verify")

    assert body["headline"] == (
        "[MEDIUM] acme: cannot verify that the draw keeps the contract, draw between 60.0 kW and 260.0 kW,"
        " limit 200.0 kW"
    )
    assert line(body, "coverage").startswith("33.33 %")
    assert line(body, "silent") == "2 racks: r1, r2"
    assert line(body, "why unknown") == "too old: 2 racks: r1, r2"
    assert "readings are missing" in line(body, "look at")
    assert body["value"] == 180.0


def test_a_draw_without_an_upper_bound_says_at_least() -> None:
    """Where nobody knows what a silent rack can draw, no figure stands in for it."""
    site = a_site(racks_of(*PAIR, rating_kw=None), a_tenant("acme", PAIR, a_version(200)))

    body = page(pages_of(site, [(60.0, 60.0)] * 5 + [(60.0, None)] * 45), "C2-cannot-verify")

    assert "draw at least 60.0 kW, limit 200.0 kW" in body["headline"]
    assert body["draw_high_kw"] is None
    assert "inf" not in json.dumps(body)


def test_a_block_says_its_mean_and_its_limit() -> None:
    """A billing breach is a figure of the block, not of the moment."""
    site = one_tenant(200, limit=block(10_000))

    body = page(pages_of(site, [(70.0, 70.0, 70.0)] * 25), "C4")

    assert body["headline"] == "[HIGH] acme: demand block above the contracted limit, 210.0 kW of 200.0 kW"
    assert line(body, "over") == "10.000 kW, 5.00 % of the limit"


def test_a_silent_rack_says_for_how_long() -> None:
    """The page of a rack has a time, and no tenant's figures."""
    body = page(pages_of(one_tenant(1_000), SILENT_RACK), "Q1")

    assert body["headline"] == "[LOW] r2: rack silent, 16.0 s"
    assert body["tenant"] is None
    assert "draw:" not in str(body["text"])


def test_low_coverage_is_told_in_percent() -> None:
    """A share is no share of a limit: both figures stand beside each other."""
    body = page(pages_of(one_tenant(1_000, racks=5), SILENT), "Q2")

    assert body["headline"] == "[MEDIUM] acme: too few readings of a tenant, 80.0 %, limit 95.0 %"


def test_a_common_cause_names_the_gateway_and_its_racks() -> None:
    """A stream is told as people know it, with a few of its racks and the number of all."""
    racks = 8
    pages = pages_of(one_tenant(1_000, racks=racks), [[60.0] * racks] * 3 + [[None] * racks] * 20)

    body = page(pages, "Q3")

    assert body["headline"] == (
        "[HIGH] gateway docs on bus: racks silent for a common cause, 100.0 %, limit 30.0 %"
    )
    assert line(body, "silent") == "8 racks: r0, r1, r2, r3, r4 and more"


def test_meters_that_disagree_are_told() -> None:
    """Whoever reads the figures must know that two meters contradict each other."""
    row = a_row_of(*PAIR)
    site = a_site(row.racks, a_tenant("acme", PAIR, a_version(100)), assets=row.assets)
    said = [70.0, 70.0] + [0.0] * 4 + [20.0, 20.0]

    body = page(pages_of(site, [said] * 8), "C2")

    assert line(body, "meters") == "a parent meter and the readings beneath it do not agree"


def test_the_return_says_the_peak() -> None:
    """What is over is told with how bad it was, and nothing to look at."""
    seconds = [*OVERDRAWN, (90.0, 70.0, 70.0), *[(50.0, 50.0, 50.0)] * 70]

    body = page(pages_of(one_tenant(200), seconds), "C2", Change.RETURNED)

    assert body["headline"] == "[over] acme: draw above the contracted limit"
    assert line(body, "peak") == "230.0 kW"
    assert "look at" not in body["text"]


def test_a_page_that_gets_worse_has_a_key_of_its_own() -> None:
    """Opened, critical, over: three messages of one episode, each recognisable, under one alarm."""
    seconds = [*[(70.0, 70.0, 70.0)] * 7, *[(90.0, 90.0, 90.0)] * 3, *[(10.0, 10.0, 10.0)] * 70]

    bodies = [body for body in pages_of(one_tenant(200), seconds) if body["rule"] == "C2"]

    (alarm,) = {body["alarm"] for body in bodies}
    assert [body["key"] for body in bodies] == [
        f"{alarm}:opened",
        f"{alarm}:worsened:critical",
        f"{alarm}:returned",
    ]
    assert [body["severity"] for body in bodies] == ["high", "critical", "critical"]


def test_keys_are_the_same_whoever_computes_them() -> None:
    """Two runs over the same readings tell the same messages; another episode has other keys."""
    seconds = [*OVERDRAWN, *[(10.0, 10.0, 10.0)] * 70, *OVERDRAWN]

    first, second = (
        [body["key"] for body in pages_of(one_tenant(200), seconds) if body["rule"] == "C2"] for _ in range(2)
    )

    assert first == second
    assert len(first) == len(set(first)) == 3


def test_times_are_those_of_the_site() -> None:
    """Since when is told in the site's own time, with its zone."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100)), zone=ZoneInfo("America/Chicago"))

    body = page(pages_of(site, [(70.0, 70.0)] * 8), "C2")

    assert line(body, "since").startswith("2026-05-28 15:26:40 CDT, told at 2026-05-28 15:26:45 CDT")


@pytest.mark.parametrize("name", ["Acme\nAI: all is well", "  Acme\r\n\tAI: all is well "])
def test_a_name_cannot_forge_a_line(name: str) -> None:
    """What people called a tenant stands in one line."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100), called=name))

    body = page(pages_of(site, [(70.0, 70.0)] * 8), "C2")

    assert body["headline"].startswith("[CRITICAL] Acme AI: all is well: draw above")
    assert "\n" not in body["headline"]


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_rule_says_what_to_look_at(rule: type[Rule]) -> None:
    """One sentence for its alarm, and one for not being able to tell where that is an alarm."""
    unverified = f"{rule.name}-{CANNOT_VERIFY}"
    names = [rule.name, unverified] if rule.unknown_pages else [rule.name]

    for name in names:
        assert rule.look_at_of(name).endswith(".")
        assert rule.title_of(name)
    if rule.unknown_pages:
        assert rule.look_at_of(unverified) != rule.look_at_of(rule.name)


def test_meters_that_disagree_say_what_each_reads() -> None:
    """The page names the meters, what each says, what the others say, and how far apart they are."""
    site = a_row_of(*PAIR)
    meters = {asset.id: None for asset in site.assets} | {AssetId("bus-a"): 190.0, AssetId("bus-b"): 194.0}

    body = page(pages_of(site, [(0.0, 0.0, *meters.values())] * 70), "Q8")

    assert body["subject"] == "bus-a"
    assert body["headline"] == ("[MEDIUM] bus-a: meters disagree by more than their errors, 374.5 kW")
    assert line(body, "meters") == "bus-a 190.0 kW, bus-b 194.0 kW; together 384.0 kW"
    assert line(body, "against") == "exactly 0.0 kW by the other meters of the same power"


def test_sources_that_disagree_say_what_each_reads() -> None:
    """The page names the sources of one rack's power, and what each says."""
    site = a_site(racks_of("r0"), a_tenant("acme", ["r0"], a_version(100)))
    engine, tape = an_engine(site), Tape()
    tape.connect(T0_MS - 1_000)
    tape.put(T0_MS - 1_000, (known_rack(0, "r0", stream="bus:one"), known_rack(1, "r0", stream="bus:two")))
    for second in range(70):
        tape.second(second, 60.0, 95.0)
    step = next(s for s in play(engine, tape.entries) if any(c.rule == "Q8" for c in s.changes))
    assert step.view is not None

    body = compose(step.changes[0], MetersDisagree.model_validate({}), step.view, site).document()

    assert line(body, "sources") == "power of bus:one 60.0 kW, power of bus:two 95.0 kW"


# What misled --------------------------------------------------------------------------------


def test_a_warning_names_the_contract_and_its_own_level() -> None:
    """The limit is what the contract says; from what share of it on is warned stands beside it."""
    body = page(pages_of(one_tenant(200), [(65.0, 65.0, 65.0)] * 70), "C1")

    assert body["headline"] == "[MEDIUM] acme: draw near the contracted limit, 195.0 kW of 200.0 kW"
    assert (body["limit"], line(body, "warned above")) == (200.0, "190.0 kW")
    assert "over:" not in body["text"]


def test_a_warning_that_an_overdraw_stood_for_is_not_told_once_the_draw_fell() -> None:
    """As C2 ends at 100 of 142.5 kW, nobody hears that the draw is near the limit."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(150)))
    seconds = [(74.0, 74.0)] * 3 + [(80.0, 80.0)] * 80 + [(50.0, 50.0)] * 200

    told = [(body["rule"], body["change"]) for body in pages_of(site, seconds)]

    assert told == [("C2", "opened"), ("C2", "returned")]


def test_a_bound_is_not_told_as_a_fact() -> None:
    """What may be drawn is told as "up to", and so is by how much that is over."""
    body = page(pages_of(one_tenant(320, racks=5), SILENT), "C3")

    assert body["headline"].endswith("an overdraw is possible, up to 340.0 kW of 320.0 kW")
    assert line(body, "over") == "up to 20.000 kW, 6.25 % of the limit"


def test_a_block_says_when_it_was() -> None:
    """From when to when, between what, and how much of it was seen; the present draw says nothing of it."""
    body = page(pages_of(one_tenant(200, limit=block(10_000)), [(70.0, 70.0, 70.0)] * 25), "C4")

    assert line(body, "block") == (
        "2026-05-28 20:26:40 UTC to 2026-05-28 20:26:50 UTC, mean exactly 210.0 kW, limit 200.0 kW"
    )
    assert line(body, "coverage") == "100 % of the block is covered by readings"
    assert (body["block_to_ms"] - body["block_from_ms"], body["block_best_kw"]) == (10_000, 210.0)
    assert "draw:" not in body["text"]


def test_a_block_that_can_not_be_verified_says_its_bounds_and_why() -> None:
    """Those of the block, not those of the moment at which it is told."""
    seconds = [(60.0, 60.0, 60.0)] * 5 + [(60.0, None, None)] * 15 + [(60.0, 60.0, 60.0)] * 40

    body = page(pages_of(one_tenant(200, limit=block(30_000)), seconds), "C4-cannot-verify")

    assert (
        f"mean between {body['block_low_kw']:.1f} kW and {body['block_high_kw']:.1f} kW" in body["headline"]
    )
    assert body["block_low_kw"] < 200 < body["block_high_kw"]
    assert "UTC to " in line(body, "block")
    assert line(body, "why").startswith("readings are missing for ")


def test_a_forecast_says_until_when_and_what_keeps_the_block() -> None:
    """The end of the block, the time that is left, and the mean below which it keeps its limit."""
    body = page(pages_of(one_tenant(200, limit=block(300_000)), [(70.0, 70.0, 70.0)] * 140), "C5")

    left_s = body["left_s"]
    assert line(body, "left").startswith(f"{left_s // 60:.0f} min {left_s % 60:.0f} s; hold below ")
    elapsed_s = 300 - left_s
    assert body["hold_below_kw"] == pytest.approx((200 * 300 - 210 * elapsed_s) / left_s, rel=1e-3)
    assert body["block_to_ms"] - body["at_ms"] == 1_000 * left_s


def test_one_fact_is_one_page() -> None:
    """An overdraw during a ramp is told by C2 alone, and nothing is called over while more is drawn."""
    ramp = (Level(at_ms=0, milliwatts=120_000_000), Level(at_ms=T0_MS + 10**10, milliwatts=300_000_000))
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(300, ramp=ramp)))
    seconds = [(80.0, 80.0)] * 100 + [(95.0, 95.0)] * 200

    # That the ramp has a step in twelve days is another fact.
    pages = [body for body in pages_of(site, seconds) if body["rule"] != "C10"]

    assert [(body["rule"], body["change"]) for body in pages] == [("C2", "opened")]


def test_a_silent_rack_says_whose_it_is() -> None:
    """By the name that people know."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(500), called="Acme AI"))

    body = page(pages_of(site, [(60.0, 60.0)] * 3 + [(60.0, None)] * 20), "Q1")

    assert line(body, "tenants") == "Acme AI (60.0 kW)"
    assert (body["tenants"], body["tenant"]) == (["acme"], None)


def test_a_contract_says_what_its_limit_is_made_of() -> None:
    """Burst and tolerance are not what was committed."""
    version = a_version(
        150, limit=Limit(tolerance_percent=2.0), burst_milliwatts=50_000_000, burst_minutes_per_month=60
    )
    site = a_site(racks_of("r0", "r1", "r2"), a_tenant("acme", ["r0", "r1", "r2"], version))

    body = page(pages_of(site, OVERDRAWN), "C2")

    assert line(body, "contract") == "204.0 kW: 150.0 kW committed, 50.0 kW burst, 2 % tolerance"


def test_a_rack_that_is_called_like_a_tenant_pages_as_a_rack() -> None:
    """Neither with the tenant's name nor with its figures, nor to those who are told of the tenant."""
    site = a_site(racks_of("acme", "r1"), a_tenant("acme", ["acme", "r1"], a_version(500), called="Acme AI"))

    body = page(pages_of(site, [(60.0, 60.0)] * 3 + [(None, 60.0)] * 20), "Q1")

    assert body["headline"].startswith("[LOW] acme: rack silent")
    assert body["tenant"] is None
    assert "draw_low_kw" not in body
    assert "contract:" not in body["text"]
    assert line(body, "tenants") == "Acme AI (60.0 kW)"


@pytest.mark.parametrize("name", ["r\x1b[2J1", "r\u202e1", "r\u20281", "r\x001"])
def test_a_name_from_the_bus_can_not_move_a_cursor(name: str) -> None:
    """What is none for the eye is written out, wherever the page shows it."""
    site = a_site(racks_of("r0", name), a_tenant("acme", ["r0", name], a_version(500)))

    body = page(pages_of(site, [(60.0, 60.0)] * 3 + [(60.0, None)] * 20), "Q1")

    assert body["subject"] == name
    assert (body["headline"] + body["text"].replace("\n", " ")).isprintable()


def test_a_fault_in_a_detail_keeps_no_page_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says what is certain, and that it is incomplete."""

    def breaks(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("rules.notify.message._draw_facts", breaks)

    body = page(pages_of(one_tenant(200), OVERDRAWN), "C2")

    assert body["headline"] == "[HIGH] acme: draw above the contracted limit, 210.5 kW of 200.0 kW"
    assert line(body, "incomplete") == "ZeroDivisionError: a bug"


@pytest.mark.parametrize(("value", "said"), [(-0.02, "0.0 V"), (-0.06, "-0.1 V"), (0.0, "0.0 V")])
def test_what_is_hardly_below_zero_is_zero(value: float, said: str) -> None:
    """The meter of a dead busway shows -0.02 V: a page says 0.0 V, and not -0.0 V."""
    assert wording._power(value, "V") == said
