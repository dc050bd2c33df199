"""Racks, holdings, assets, rules and warnings of a good site file are what it says."""

from __future__ import annotations

import pytest

from facility.instants import from_iso, to_iso
from facility.names import AssetId as R
from facility.sitefile.reader import read_site as read
from tests.unit.facility.site_faults_of_feeds import FEED, SOURCE
from tests.unit.facility.site_texts import CONTRACT, SITE, TENANT, holding, in_contract, with_limit, with_ramp

RATED = """
[site]
name = "titan"
rack_rating_kw = 132
rack_feeds = 1
[[rack]]
ids = ["A-{1..2}", "B-1"]
rating_kw = 140.5
floor_percent = 12
feeds = 3
[[rack]]
ids = "C-1"
[[tenant]]
id = "acme"
holds = [{ racks = ["A-*", "D-1"], from = 2026-01-01 }]
[[tenant]]
id = "globex"
holds = [{ racks = "[BC]-?", from = 2026-01-01, to = 2026-07-01 }, { racks = "C-1", from = 2026-08-01 }]
"""


@pytest.mark.parametrize(
    ("rack", "rating", "floor", "feeds"),
    [
        ("A-1", 140_500_000, 16_860_000, 3),
        ("B-1", 140_500_000, 16_860_000, 3),
        ("C-1", 132_000_000, 0, 1),
        ("D-1", 132_000_000, 0, 1),
        ("heard-only", 132_000_000, 0, 1),
    ],
)
def test_a_rack_has_its_own_figures_or_those_of_the_site(
    rack: str, rating: int, floor: int, feeds: int
) -> None:
    """A table's figures hold for its racks, and the site's for all others, declared or only heard."""
    found = read(RATED).site.rack(R(rack))

    assert (found.rating_milliwatts, found.floor_milliwatts, found.feeds) == (rating, floor, feeds)


def test_a_rack_that_nobody_rates_has_no_bound() -> None:
    """Where no table says what a rack can draw, nothing is made up."""
    assert read(holding('{ racks = "A", from = 2026-01-01 }')).site.rack(R("A")).rating_milliwatts is None


def test_what_is_named_outright_is_declared_and_what_is_chosen_is_not() -> None:
    """A rack named anywhere will be missed when it is silent; a star adds none."""
    assert list(read(RATED).site.racks) == ["A-1", "A-2", "B-1", "C-1", "D-1"]


@pytest.mark.parametrize(
    ("day", "acme", "globex"),
    [
        ("2025-12-31", [], []),
        ("2026-01-01", ["D-1", "A-1", "A-2"], ["B-1", "C-1"]),
        ("2026-06-30", ["D-1", "A-1", "A-2"], ["B-1", "C-1"]),
        ("2026-07-01", ["D-1", "A-1", "A-2"], []),
        ("2026-08-01", ["D-1", "A-1", "A-2"], ["C-1"]),
    ],
)
def test_a_tenant_holds_its_racks_from_and_to(day: str, acme: list[str], globex: list[str]) -> None:
    """A holding begins with its first instant and is over at its last."""
    tenants = read(RATED).site.tenants
    instant = from_iso(f"{day}T00:00:00Z")

    assert sorted(tenants[0].racks_at(instant)) == sorted(acme)
    assert sorted(tenants[1].racks_at(instant)) == sorted(globex)


def test_a_rack_that_is_held_twice_over_is_held_once() -> None:
    """A sum over a tenant's racks counts none of them twice."""
    text = holding(
        '{ racks = ["A", "A", "B"], from = 2026-01-01, to = 2026-02-01 }, { racks = "A", from = 2026-02-01 }'
    )

    tenant = read(text).site.tenants[0]

    assert tenant.racks_at(from_iso("2026-01-15T00:00:00Z")) == ["A", "B"]
    assert tenant.racks_at(from_iso("2026-02-01T00:00:00Z")) == ["A"]


def test_every_change_of_a_site_is_known_in_order() -> None:
    """The instants at which holdings and versions begin and end are told once each, in order."""
    text = in_contract("ends = 2026-12-31").replace(
        'id = "acme"\n', 'id = "acme"\nholds = [{ racks = "A", from = 2026-01-01, to = 2026-07-01 }]\n'
    )

    changes = [to_iso(instant)[:10] for instant in read(text).site.changes_ms()]

    assert changes == ["2026-01-01", "2026-07-01", "2027-01-01"]


def test_assets_of_the_file_serve_racks_and_each_other() -> None:
    """What the bus does not tell is added to the graph, by id, by pattern and by what the bus may know."""
    text = f"""
        {SITE}
        [[rack]]
        ids = "A-{{1..2}}"
        [[asset]]
        id = "BUS"
        kind = "PowerMeter"
        name = "Busway 1"
        serves = ["TAP-*", "TAP-9"]
        [[asset]]
        id = "TAP-1"
        kind = "PowerMeter"
        serves = ["A-?"]
    """

    bus, tap = read(text).site.assets

    assert (bus.id, bus.kind, bus.name) == ("BUS", "PowerMeter", "Busway 1")
    assert set(bus.serves) == {"TAP-1", "TAP-9"}
    assert tap.serves == ("A-1", "A-2")


def test_parameters_of_rules_are_handed_on_as_plain_numbers() -> None:
    """What a rule is told is what TOML says, without the exact decimals of powers."""
    rules = read(f"{SITE}[rules.C2]\non_delay_s = 5.5\nseverity = 3\nenabled = true\n").rules

    assert rules == {"C2": {"on_delay_s": 5.5, "severity": 3, "enabled": True}}
    assert isinstance(rules["C2"]["on_delay_s"], float)


UNRATED = (
    TENANT + 'holds = [{ racks = "A-{1..2}", from = 2026-01-01 }]\n[[tenant.contract]]\nfrom = 2026-01-01\n'
)
TWO = (
    f"{SITE}firm_capacity_mw = 2.5\n"
    '[[tenant]]\nid = "acme"\n[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = 1.5\n'
    '[[tenant]]\nid = "globex"\n[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = '
)

TWO_RATED = f'{SITE}[[rack]]\nids = "A-[1-2]"\nrating_kw = 100\n[[tenant]]\nid = "acme"\n'
BOTH = 'holds = [{ racks = "A-1", from = 2026-01-01 }, { racks = "A-2", from = 2026-06-01 }]\n'
FROM = "[[tenant.contract]]\nfrom = 2026-01-01\n"
IN_TURN = (
    f"{SITE}firm_capacity_mw = 2.5\n"
    '[[tenant]]\nid = "acme"\n[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = 2\nends = 2026-06-30\n'
    '[[tenant]]\nid = "globex"\n[[tenant.contract]]\nfrom = {begins}\ncommitted_mw = 2\n'
    "[[tenant.contract]]\nfrom = 2027-01-01\ncommitted_mw = 0.5\n"
)

WARNINGS: list[tuple[str, str, list[str]]] = [
    ("nothing to say", CONTRACT, []),
    ("all of the plant is sold", f"{TWO}1.0\n", []),
    ("the plant is sold twice, one after the other", IN_TURN.format(begins="2026-07-01"), []),
    ("the plant is sold twice for a day", IN_TURN.format(begins="2026-06-30"), ["4 MW are committed"]),
    ("more than the plant is sold", f"{TWO}1.000000001\n", ["more than the firm 2.5 MW"]),
    (
        "racks without a rating",
        f"{UNRATED}committed_mw = 1\n",
        ["contract[0]: acme holds 2 racks, such as 'A-1', without a rating"],
    ),
    ("racks with a cap", f"{UNRATED}committed_mw = 1\nrack_cap_kw = 140\n", []),
    (
        "meters instead of racks",
        f'{UNRATED}committed_mw = 1\nboundary = "named_meters"\nmeters = ["M"]\n',
        [],
    ),
    ("a percentile", with_limit('method = "percentile"'), ["'percentile' is recorded and not judged yet"]),
    ("a register", with_limit('method = "register"'), ["'register' is recorded and not judged yet"]),
    ("a burst", in_contract("burst_mw = 0.1"), ["its minutes a month are not judged yet"]),
    ("a minimum", in_contract("minimum_mw = 0.5"), [".minimum_mw: it is recorded"]),
    ("a ramp rate", in_contract("ramp_rate_mw_per_min = 5"), [".ramp_rate_mw_per_min: it is recorded"]),
    ("a cure", in_contract("cure_hours = 24"), [".cure_hours: it is recorded"]),
    ("a notice that ends it as agreed", in_contract("notice_given = 2026-03-02\nends = 2026-05-31"), []),
    (
        "a notice that ends it before",
        in_contract("notice_given = 2026-03-01\nends = 2026-05-31"),
        ["by it the contract ends at 2026-05-31 00:00; ends says 2026-06-01 00:00"],
    ),
    ("a notice without an end", in_contract("notice_given = 2026-03-01"), ["ends says no end, and that"]),
    (
        "a share where percent are meant",
        with_limit("warn_percent = 0.95"),
        ["tenant[0].contract[0].limit.warn_percent: 0.95 is 0.95 %; did you mean 95?"],
    ),
    (
        "a percentile as a share",
        with_limit('method = "percentile", percentile = 0.95'),
        ["'percentile' is recorded", "limit.percentile: 0.95 is 0.95 %; did you mean 95?"],
    ),
    (
        "a held rack that no table names",
        TWO_RATED + 'holds = [{ racks = "A-{1,2,l}", from = 2026-01-01 }]\n',
        ["tenant[0].holds[0].racks: no [[rack]] table names 'A-l'; did you mean 'A-"],
    ),
    (
        "megawatts that no rack can draw",
        f"{TWO_RATED}{BOTH}{FROM}committed_mw = 150\n",
        ["tenant[0].contract[0].committed_mw: 150 MW can never be exceeded: by their ratings"],
    ),
    ("racks that come while the version is in force", f"{TWO_RATED}{BOTH}{FROM}committed_mw = 0.2\n", []),
    (
        "a ramp that ends below the commitment",
        with_ramp("{ from = 2026-01-01, committed_mw = 0.5 }, { from = 2026-02-01, committed_mw = 0.8 }"),
        ["tenant[0].contract[0].ramp: it ends at 0.8 MW, and committed_mw says 1.0"],
    ),
]


@pytest.mark.parametrize(
    ("text", "told"), [(t, w) for _, t, w in WARNINGS], ids=[name for name, _, _ in WARNINGS]
)
def test_what_is_allowed_and_worth_a_second_look_is_said(text: str, told: list[str]) -> None:
    """A warning names the tenant and what follows; overselling may be meant, and is no fault."""
    warnings = read(text).warnings

    assert len(warnings) == len(told)
    assert all(fragment in warning for fragment, warning in zip(told, warnings, strict=True))


def test_judging_waits_for_what_a_feed_holds_back() -> None:
    """Every judgement waits for the delay of whoever stores the lines, and for a poll."""
    found = read(FEED)

    assert found.feed is not None
    assert [source.name for source in found.sources] == ["influxdb"]
    assert found.engine.lateness_ms == 12_000
    assert (
        read(FEED.replace("[rules]", "[engine]\nlateness_ms = 20000\n[rules]")).engine.lateness_ms == 20_000
    )
    assert "source" not in found.rules


def test_a_feed_that_nobody_reads_is_warned_of() -> None:
    """Without `rules.source` nothing is read, and no judgement waits."""
    found = read(FEED.replace(SOURCE, ""))

    assert (found.feed, found.sources, found.engine.lateness_ms) == (None, (), 250)
    assert found.warnings == ("influxdb: it is not read: say so with source = 'influxdb' in [rules]",)
