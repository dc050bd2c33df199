"""Every query of every panel runs against real databases, finds something, and tells the truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from facility.sitefile.reader import read_site
from grafana.build import dashboards
from grafana.document import Document, panels_of
from grafana.schema import NAMES
from simulators.model.layouts import site_text
from store.base import Chunk
from store.series import TenantDraw
from testing.dashboard_queries import Ask, Filling, Series, choose, given, named
from tests.grafana.databases import first_generation, second_generation
from tests.grafana.world import AGAIN_S, BEGIN_MS, END_MS, OVER_S, SECONDS, SHAPE, World, a_world

Prepared = Callable[[Path, World], AbstractContextManager[Ask]]

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("dashboards")]

DASHBOARDS = {document["uid"]: document for document in dashboards().values()}
STEP_MW = 5e-6
"""How far what a meter of 10 W steps shows is off at most [MW]."""
LAST_MINUTE = SECONDS // 60 - 2
"""The last minute that is told: its end is a tick of the run, and the run's own end is none."""
MOMENTS = (60, OVER_S[0] + 60, 600, AGAIN_S + 60, SECONDS - 1)
"""Seconds at which figures are held against the truth."""


@pytest.fixture(scope="module")
def world() -> World:
    """Return what happened."""
    return a_world()


@pytest.fixture(
    scope="module", params=[second_generation, first_generation], ids=["InfluxDB 2", "InfluxDB 1"]
)
def ask(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, world: World
) -> Iterator[Ask]:
    """Run a database with all of it."""
    with request.param(tmp_path_factory.mktemp("database"), world) as asked:
        yield asked


def opened(document: Document, ask: Ask, *, is_all: bool = True, to_ms: int = END_MS) -> Filling:
    """Return what is filled into a dashboard's queries when somebody opens it."""
    filling = Filling(BEGIN_MS, to_ms)
    choose(document, filling, ask, is_all=is_all)
    return filling


def faults(panel: Document, ask: Ask, fillings: Sequence[Filling]) -> list[str]:
    """Return which queries of a panel are not answered, or leave a column empty whatever is chosen."""
    found = []
    for target in panel["targets"]:
        has: set[str] = set()
        wants: set[str] = set()
        for filling in fillings:
            query = filling.fill(target["query"], panel["interval"])
            try:
                answer = ask(query)
            except AssertionError as error:
                found.append(f"{panel['id']}{target['refId']}: {error}")
                break
            has |= given(answer)
            wants |= named(answer)
        if not has or wants - has:
            found.append(
                f"{panel['id']}{target['refId']}: nothing in {sorted(wants - has)}: {target['query']}"
            )
    return found


def panel_answer(uid: str, number: int, ask: Ask, filling: Filling, ref: str = "A") -> list[Series]:
    """Return what one query of a panel finds."""
    panel = next(panel for panel in panels_of(DASHBOARDS[uid]) if panel["id"] == number)
    target = next(target for target in panel["targets"] if target["refId"] == ref)
    return ask(filling.fill(target["query"], panel["interval"]))


def figure(answer: list[Series]) -> float:
    """Return the one figure that was found."""
    (series,) = answer
    ((_, value),) = series["values"]
    return float(value)


def rows(answer: list[Series]) -> Iterator[dict[str, object]]:
    """Yield the rows of a table."""
    for series in answer:
        for row in series["values"]:
            yield dict(zip(series["columns"], row, strict=True)) | series.get("tags", {})


def every_kind(document: Document, ask: Ask) -> list[Filling]:
    """Return choices that together reach everything: all racks and one, every tenant, a tap and a busway."""
    found = [opened(document, ask, is_all=is_all) for is_all in (False, True)]
    others = {"tenant": ("basil",), "meter": ("P01A-BUS-A",) if document["uid"] == "megawatch-power" else ()}
    for name, values in others.items():
        for value in values:
            if name in found[0].chosen:
                found.append(Filling(BEGIN_MS, END_MS, found[0].chosen | {name: value}, found[0].everything))
    return found


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_query_finds_something(uid: str, ask: Ask) -> None:
    """Every column of every query has a value for some choice; no panel is empty for any."""
    document = DASHBOARDS[uid]
    fillings = every_kind(document, ask)

    found = [fault for panel in panels_of(document) for fault in faults(panel, ask, fillings)]

    assert found == []
    for filling in fillings:
        for panel in panels_of(document):
            if "noValue" in panel["fieldConfig"]["defaults"]:
                continue
            queries = [filling.fill(target["query"], panel["interval"]) for target in panel["targets"]]
            assert any(given(ask(query)) for query in queries), (panel["title"], filling.chosen)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_a_broken_query_is_found(uid: str, ask: Ask) -> None:
    """A measurement, a field or a quantity that is not there, and what is no InfluxQL."""
    document = DASHBOARDS[uid]
    fillings = every_kind(document, ask)
    for panel in panels_of(document):
        for target in panel["targets"]:
            for broken in broken_forms(target["query"]):
                assert broken != target["query"]
                alone = panel | {"targets": [target | {"query": broken}]}
                assert faults(alone, ask, fillings), broken


def broken_forms(query: str) -> Iterator[str]:
    """Yield forms of a query that each have one fault, which nobody sees who only looks whether it runs."""
    yield re.sub(r'FROM ((?:"\w+"\.)?)"(\w+)"', r'FROM \1"\2_x"', query)
    yield query.replace("SELECT", "SELCT", 1)
    fields = {field for _, fields in NAMES.values() for field in fields}
    for field in sorted({*re.findall(r'\("(\w+)"', query)} & fields - {*re.findall(r'AS "(\w+)"', query)}):
        yield query.replace(f'("{field}"', f'("{field}_x"')
    joined = r'last\("value"\) AS "(\w+)" FROM "reading" WHERE "quantity" = \''
    for name in sorted({*re.findall(joined, query)}):
        yield re.sub(rf'(AS "{name}" FROM "reading" WHERE "quantity" = \')', r"\1x.", query)


@pytest.mark.parametrize("second", MOMENTS)
def test_the_figures_of_the_site_are_true(second: int, ask: Ask, world: World) -> None:
    """The draw of all and of each tenant, as the plant knows it."""
    filling = opened(DASHBOARDS["megawatch-site"], ask, to_ms=BEGIN_MS + second * 1_000)

    drawn = figure(panel_answer("megawatch-site", 1, ask, filling))
    tenants = {str(row["tenant"]): row for row in rows(panel_answer("megawatch-site", 7, ask, filling))}

    assert drawn == pytest.approx(world.true_site_mw(second - 1), abs=len(world.racks) * STEP_MW)
    assert set(tenants) == {"acme", "basil", "cedar"}
    for tenant, row in tenants.items():
        true, held = world.true_mw(tenant, second - 1), world.held[tenant]
        assert row["draw"] == pytest.approx(true, abs=len(held) * STEP_MW)
        assert row["share"] == pytest.approx(true / float(str(row["limit"])), abs=1e-3)
        assert row["coverage"] == 1.0
    assert float(str(tenants["basil"]["limit"])) == pytest.approx(
        0.44352
    )  # 80 % of four racks, and a burst of 5 %
    assert float(str(tenants["cedar"]["limit"])) == pytest.approx(0.4224)
    shares = figure(panel_answer("megawatch-site", 3, ask, filling))
    limits = figure(panel_answer("megawatch-site", 2, ask, filling))
    of_tenants = sum(world.true_mw(tenant, second - 1) for tenant in tenants)
    assert shares == pytest.approx(of_tenants / limits, rel=1e-3)


@pytest.mark.parametrize("tenant", ["acme", "basil", "cedar"])
def test_the_figures_of_a_tenant_are_true(tenant: str, ask: Ask, world: World) -> None:
    """Its draw now, and the line of it over the whole range."""
    filling = opened(DASHBOARDS["megawatch-tenant"], ask, to_ms=END_MS - 1_000)
    filling.chosen["tenant"] = tenant
    error = len(world.held[tenant]) * STEP_MW

    assert figure(panel_answer("megawatch-tenant", 1, ask, filling)) == pytest.approx(
        world.true_mw(tenant, SECONDS - 2), abs=error
    )

    (line,) = panel_answer("megawatch-tenant", 7, ask, filling)
    steps = {int(at_ms): value for at_ms, value in line["values"]}
    for second in (100, 500, 900):
        # A step holds the ticks from its beginning on, each of which tells of the second before.
        start = second // 10 * 10
        true = sum(world.true_mw(tenant, s - 1) for s in range(start, start + 10)) / 10
        assert steps[BEGIN_MS + start * 1_000] == pytest.approx(true, abs=error)


def test_the_long_figures_of_a_tenant_are_true(ask: Ask, world: World) -> None:
    """The highest quarter-hour, the minutes over the limit, and the line of minutes."""
    filling = opened(DASHBOARDS["megawatch-tenant"], ask)
    filling.chosen["tenant"] = "basil"
    error = len(world.held["basil"]) * STEP_MW

    def true(seconds: range) -> float:
        return sum(world.true_mw("basil", second - 1) for second in seconds) / len(seconds)

    (line,) = panel_answer("megawatch-tenant", 11, ask, filling)
    minutes = {(int(at_ms) - BEGIN_MS) // 60_000: value for at_ms, value in line["values"]}
    for minute in (2, 6, 12, 16):
        assert minutes[minute] == pytest.approx(true(range(minute * 60, minute * 60 + 60)), abs=error)
    # For the first two seconds the monitor has not heard all racks yet.
    peak = figure(panel_answer("megawatch-tenant", 12, ask, filling))
    assert peak == pytest.approx(true(range(1, 901)), abs=2 * true(range(1, 3)) / 900)
    over = [m for m in range(1, 17) if true(range(m * 60, m * 60 + 60)) > 0.44352]
    assert figure(panel_answer("megawatch-tenant", 13, ask, filling)) == len(over)


def test_a_tenant_s_racks_are_those_that_it_holds(ask: Ask, world: World) -> None:
    """Each with what it truly drew over the last whole minute."""
    filling = opened(DASHBOARDS["megawatch-tenant"], ask)
    filling.chosen["tenant"] = "cedar"

    racks = {str(row["asset"]): row for row in rows(panel_answer("megawatch-tenant", 14, ask, filling))}

    assert set(racks) == set(world.held["cedar"])
    for rack, row in racks.items():
        assert row["draw"] == pytest.approx(world.true_kw(rack, LAST_MINUTE), abs=STEP_MW * 1e3)
        assert row["coverage"] == 1.0


def test_what_is_sold_and_what_cooling_and_losses_take_is_true(ask: Ask, world: World) -> None:
    """Commitments at the end of every ramp, the plant's firm capacity, and the interim PUE."""
    filling = opened(DASHBOARDS["megawatch-site"], ask)
    site = read_site(site_text(SHAPE)).site
    contracts = [tenant.contract for tenant in site.tenants if tenant.contract is not None]
    versions = [contract.version_at(END_MS) for contract in contracts]

    answer = panel_answer("megawatch-site", 12, ask, filling)
    (sold,) = rows(answer)
    pue = figure(panel_answer("megawatch-site", 13, ask, filling))

    committed = sum(version.committed_milliwatts for version in versions if version is not None)
    assert sold["sold"] == pytest.approx(committed / 1e9)
    assert sold["deliverable"] == pytest.approx(SHAPE.racks * SHAPE.rating_kw / 1e3)
    minutes = range(1, LAST_MINUTE + 1)
    supply = sum(world.true_supply_mw(minute) for minute in minutes)
    drawn = sum(world.true_kw(rack, minute) / 1e3 for rack in world.racks for minute in minutes)
    # The first minute, of which not all was heard, is in the figure and not here.
    assert pue == pytest.approx(supply / drawn, rel=5e-3)
    assert pue > 1


def test_what_a_meter_would_carry_alone_is_what_its_racks_draw(ask: Ask, world: World) -> None:
    """A busway of a pair carries about half of its row; its phases would grow as its power would."""
    filling = opened(DASHBOARDS["megawatch-power"], ask)

    alone = {str(row["asset"]): row for row in rows(panel_answer("megawatch-power", 11, ask, filling))}

    for name, racks in SHAPE.rows:
        drawn = sum(world.true_kw(rack, LAST_MINUTE) for rack in racks)
        for feed in "AB":
            row = alone[f"{name}-BUS-{feed}"]
            bus = {key: float(str(value)) for key, value in row.items() if key != "asset"}
            assert bus["alone"] == pytest.approx(drawn, abs=len(racks) * STEP_MW * 1e3)
            assert 0.4 < bus["now"] / drawn < 0.65
            assert bus["share"] == pytest.approx(bus["amps"] / bus["limit"])
            assert bus["left"] == pytest.approx(bus["limit"] - bus["amps"])
            # Three phases at 415 V carry what is drawn at its end, at a power factor of about one.
            now_kw = sum(world.true_kw_at(rack, (LAST_MINUTE + 1) * 60 - 1) for rack in racks)
            assert bus["amps"] == pytest.approx(now_kw * 1e3 / (3**0.5 * 415), rel=0.1)


def test_alarms_are_those_that_stand(ask: Ask) -> None:
    """Returned ones do not stand, acknowledged ones do; each is told once."""
    early = opened(DASHBOARDS["megawatch-alarms"], ask, to_ms=BEGIN_MS + 700_000)
    late = opened(DASHBOARDS["megawatch-alarms"], ask)

    def standing(filling: Filling) -> set[tuple[object, object]]:
        found = rows(panel_answer("megawatch-alarms", 4, ask, filling))
        # Dates of contracts stand for days.
        return {(row["rule"], row["subject"]) for row in found if row["rule"] != "C10"}

    assert standing(early) == {("C4-cannot-verify", "acme"), ("C4-cannot-verify", "cedar")}
    assert standing(late) == {("C1", "basil"), ("C2", "basil")}
    counts = {row["severity"]: row["open"] for row in rows(panel_answer("megawatch-alarms", 1, ask, late))}
    assert counts == {"high": 1, "medium": 1, "info": 2}


@pytest.mark.parametrize("prepared", [second_generation, first_generation], ids=["InfluxDB 2", "InfluxDB 1"])
def test_a_bound_that_is_not_known_makes_none(prepared: Prepared, tmp_path: Path) -> None:
    """The sum of upper bounds is none, and the least headroom is none, while one tenant has no bound."""

    def draw(tenant: str, high: int | None) -> TenantDraw:
        return TenantDraw(
            tenant=tenant,
            low_milliwatts=1_000_000_000,
            best_milliwatts=1_000_000_000,
            high_milliwatts=high,
            limit_milliwatts=3_000_000_000,
            coverage=1.0,
            demand_kw=None,
            forecast_kw=None,
            block_limit_kw=None,
        )

    empty = a_world().chunks[0].batch.take(np.zeros(0, np.int64))
    draws = [
        (
            BEGIN_MS + second * 1_000,
            (draw("a", 2_000_000_000), draw("b", None if second < 60 else 2_500_000_000)),
        )
        for second in range(120)
    ]
    world = World([], {}, chunks=[Chunk(first_seq=1, last_seq=1, batch=empty, points={}, draws=draws)])
    with prepared(tmp_path, world) as asked:
        unknown, known = (Filling(BEGIN_MS, BEGIN_MS + second * 1_000) for second in (59, 119))

        assert panel_answer("megawatch-site", 4, asked, unknown) == []
        assert figure(panel_answer("megawatch-site", 4, asked, known)) == pytest.approx(0.5)
        (line,) = panel_answer("megawatch-site", 9, asked, known, "B")
        assert [value for _, value in line["values"]] == [None] * 6 + [4.5] * 6


def test_a_rack_shows_what_its_meters_show(ask: Ask, world: World) -> None:
    """Power, and the flow for each kilowatt, of the rack that is chosen."""
    filling = opened(DASHBOARDS["megawatch-rack"], ask, to_ms=END_MS)
    place = world.racks.index(filling.chosen["rack"])
    state = world.seconds[-1].state

    assert figure(panel_answer("megawatch-rack", 1, ask, filling)) == pytest.approx(
        int(state.rack_milliwatts[place]) / 1e6, abs=STEP_MW * 1e3
    )
    feeds = panel_answer("megawatch-rack", 7, ask, filling)
    assert {series["tags"]["asset"] for series in feeds} == {
        f"{filling.chosen['rack']}-TAP-A",
        f"{filling.chosen['rack']}-TAP-B",
    }
