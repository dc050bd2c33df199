"""A good site file is read as it was meant, to the milliwatt and the millisecond."""

from __future__ import annotations

import pytest

from facility.contracts import Boundary, Contract, Method, Redundancy, Shape, Version
from facility.instants import MINUTE_MS, from_iso, to_iso
from facility.names import OPERATOR
from facility.sitefile.reader import read_site as read
from megawatch.cli.template import SITE as TEMPLATE
from tests.unit.facility.site_texts import (
    CONTRACT,
    SITE,
    holding,
    in_chicago,
    in_contract,
    versions,
    with_limit,
)


def the_contract(text: str) -> Contract:
    """Return the contract of the first tenant of a file."""
    contract = read(text).site.tenants[0].contract
    assert contract is not None
    return contract


def the_version(text: str) -> Version:
    """Return the first version of the contract of the first tenant of a file."""
    return the_contract(text).versions[0]


def in_zone(zone: str, text: str) -> str:
    """Return a file whose site is in another zone."""
    return text.replace(SITE, f'{SITE}timezone = "{zone}"\n', 1)


ALLOWED = [
    ("the least", SITE),
    ("a block of a day", with_limit('method = "block", minutes = 1440')),
    ("a block of a minute and a half", with_limit('method = "block", minutes = 1.5')),
    ("a subinterval like the block", with_limit('method = "rolling", minutes = 5, subinterval_minutes = 5')),
    ("a subinterval of no block", with_limit('method = "block", minutes = 15, subinterval_minutes = 4')),
    ("a warning at the limit", with_limit("warn_percent = 100, critical_percent = 100")),
    ("a minimum of all", in_contract("minimum_mw = 1.0")),
    ("a ramp to all", in_contract("ramp = [{ from = 2026-01-01, committed_mw = 1.0 }]")),
    ("a ramp into the burst", in_contract("burst_mw = 1\nramp = [{ from = 2026-01-01, committed_mw = 2 }]")),
    ("a ramp that began before", in_contract("ramp = [{ from = 2025-01-01, committed_mw = 0.5 }]")),
    ("a contract for nothing", versions("from = 2026-01-01\ncommitted_mw = 0")),
    ("100 GW", versions("from = 2026-01-01\ncommitted_mw = 100000")),
    ("a whole number of megawatts", versions("from = 2026-01-01\ncommitted_mw = 300")),
    ("an end on the day of the beginning", in_contract("ends = 2026-01-01")),
    ("named meters", in_contract('boundary = "named_meters"\nmeters = ["BUS-1"]')),
    ("two racks of one tenant, one after the other",
     holding('{ racks = "A", from = 2026-01-01, to = 2026-02-01 }, { racks = "A", from = 2026-02-01 }')),
    ("a rack that its tenant names twice",
     holding('{ racks = "A-{1..4}", from = 2026-01-01 }, { racks = "A-1", from = 2026-02-01 }')),
    ("a rack that changes hands",
     holding('{ racks = "A", from = 2026-01-01, to = 2026-02-01 }')
     + '[[tenant]]\nid = "globex"\nholds = [{ racks = "A", from = 2026-02-01 }]\n'),
    ("a rack that comes back",
     holding('{ racks = "A", from = 2026-01-01, to = 2026-02-01 }, { racks = "A", from = 2026-03-01 }')
     + '[[tenant]]\nid = "globex"\nholds = [{ racks = "A", from = 2026-02-01, to = 2026-03-01 }]\n'),
    ("two brokers", f'{SITE}[[broker]]\nurl = "mqtt://a"\n[[broker]]\nurl = "mqtt://b"\nname = "b"\n'),
    ("TLS and trust", f'{SITE}[[broker]]\nurl = "mqtts://a:8883"\nca_file = "ca.pem"\n'),
    ("an IPv6 address", f'{SITE}[[broker]]\nurl = "mqtt://[::1]:1883"\n'),
    ("an empty table of rules", f"{SITE}[rules]\n"),
    ("an asset that the bus knows", f'{SITE}[[asset]]\nid = "M"\nkind = "PowerMeter"\nserves = ["TAP-1"]\n'),
    ("a row end of Windows", SITE.replace("\n", "\r\n")),
]  # fmt: skip

POWERS = [
    ("1.2", 1_200_000_000),
    ("0.180", 180_000_000),
    ("0.1", 100_000_000),
    ("0.3", 300_000_000),
    ("300", 300_000_000_000),
    ("300.000000001", 300_000_000_001),
    ("0.000000001", 1),
    ("1e-9", 1),
    ("1_000.5", 1_000_500_000_000),
    ("99999.999999999", 99_999_999_999_999),
    ("12e1", 120_000_000_000),
]

INSTANTS = [
    ("UTC", "2026-06-01", "2026-06-01T00:00:00.000Z"),
    ("America/Chicago", "2026-06-01", "2026-06-01T05:00:00.000Z"),
    ("America/Chicago", "2026-01-01", "2026-01-01T06:00:00.000Z"),
    ("America/Chicago", "2026-06-01T00:00:00-05:00", "2026-06-01T05:00:00.000Z"),
    ("America/Chicago", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00.000Z"),
    ("America/Chicago", "2026-06-01T12:30:00", "2026-06-01T17:30:00.000Z"),
    ("America/Chicago", "2026-06-01 12:30:00.250", "2026-06-01T17:30:00.250Z"),
    ("America/Chicago", "2026-03-08", "2026-03-08T06:00:00.000Z"),
    ("America/Chicago", "2026-03-09", "2026-03-09T05:00:00.000Z"),
    ("Asia/Kathmandu", "2026-06-01", "2026-05-31T18:15:00.000Z"),
]

ENDS = [
    ("UTC", "2026-12-31", "2027-01-01T00:00:00.000Z"),
    ("America/Chicago", "2029-05-31", "2029-06-01T05:00:00.000Z"),
    ("America/Chicago", "2026-03-08", "2026-03-09T05:00:00.000Z"),
    ("America/Chicago", "2026-12-31T12:00:00", "2026-12-31T18:00:00.000Z"),
    ("America/Chicago", "2026-12-31T12:00:00Z", "2026-12-31T12:00:00.000Z"),
]


@pytest.mark.parametrize("text", [t for _, t in ALLOWED], ids=[name for name, _ in ALLOWED])
def test_what_is_at_the_edge_of_a_rule_keeps_it(text: str) -> None:
    """A value exactly at its bound, and an order without a gap, are no faults."""
    assert read(text).site.name == "titan"


def test_the_template_has_no_faults_and_says_what_its_comments_say() -> None:
    """The file that a newcomer starts from can be used as it stands, without a warning."""
    file = read(TEMPLATE)
    site, (acme, globex) = file.site, file.site.tenants

    assert file.warnings == ()
    assert (site.name, site.zone.key, len(site.racks)) == ("my-site", "America/Chicago", 24)
    assert [tenant.id for tenant in site.tenants] == ["acme", "globex"]
    assert acme.racks_at(from_iso("2026-06-01T00:00:00Z")) == [f"A-{i:02}" for i in range(1, 13)]
    assert acme.contract is not None
    assert globex.contract is not None
    version = acme.contract.versions[0]
    assert version.committed_at(from_iso("2026-01-01T06:00:00Z")) == 800_000_000
    assert version.committed_at(from_iso("2026-07-01T05:00:00Z")) == 1_200_000_000
    assert to_iso(acme.contract.ends_ms or 0) == "2029-06-01T05:00:00.000Z"
    assert globex.contract.versions[0].limit.method is Method.BLOCK
    assert (file.brokers[0].url, file.store.influxdb, file.metrics.port) == ("mqtt://127.0.0.1:1883", None, 0)
    assert file.routes[0].to.console


@pytest.mark.parametrize(("text", "milliwatts"), POWERS, ids=[text for text, _ in POWERS])
def test_a_power_is_read_as_it_is_written(text: str, milliwatts: int) -> None:
    """No power passes through a float: 300.000000001 MW has its last milliwatt."""
    version = the_version(versions(f"from = 2026-01-01\ncommitted_mw = {text}"))

    assert version.committed_milliwatts == milliwatts


@pytest.mark.parametrize(("zone", "text", "instant"), INSTANTS, ids=[f"{z} {t}" for z, t, _ in INSTANTS])
def test_a_date_begins_in_the_zone_of_the_site(zone: str, text: str, instant: str) -> None:
    """A date is its first instant there, a time without an offset is there, and an offset is kept."""
    version = the_version(in_zone(zone, versions(f"from = {text}\ncommitted_mw = 1")))

    assert to_iso(version.from_ms) == instant


@pytest.mark.parametrize(("zone", "text", "instant"), ENDS, ids=[f"{z} {t}" for z, t, _ in ENDS])
def test_a_contract_ends_with_its_last_day(zone: str, text: str, instant: str) -> None:
    """A date as the end is the last day that is whole; a time is the end itself."""
    contract = the_contract(in_zone(zone, in_contract(f"ends = {text}")))

    assert to_iso(contract.ends_ms or 0) == instant


def test_every_field_of_a_contract_is_read_in_its_unit() -> None:
    """Megawatts become milliwatts, hours and minutes milliseconds, and names what they stand for."""
    version = the_version(
        in_contract(
            """
            ramp = [
              { from = 2026-01-01, committed_mw = 0.5 },
              { from = 2026-02-01, committed_mw = 1.0, shape = "linear" },
            ]
            boundary = "named_meters"
            meters = ["BUS-1", "BUS-2"]
            burst_mw = 0.05
            burst_minutes_per_month = 30
            minimum_mw = 0.85
            loss_factor = 1.02
            rack_cap_kw = 140
            redundancy = "N+1"
            ramp_rate_mw_per_min = 20
            cure_hours = 0.5
            notice_days = 180
            notice_given = 2026-03-01
            monthly_fee = 1250000000.00
            currency = "EUR"
            [tenant.contract.limit]
            method = "rolling"
            minutes = 30
            subinterval_minutes = 10
            percentile = 99
            sustain_s = 2.5
            warn_percent = 90
            critical_percent = 110
            tolerance_percent = 0.5
            """
        )
    )

    assert [(level.milliwatts, level.shape) for level in version.ramp] == [
        (500_000_000, Shape.STEP),
        (1_000_000_000, Shape.LINEAR),
    ]
    assert (version.boundary, version.meters) == (Boundary.NAMED_METERS, ("BUS-1", "BUS-2"))
    assert (version.burst_milliwatts, version.burst_minutes_per_month) == (50_000_000, 30)
    assert (version.minimum_milliwatts, version.loss_factor) == (850_000_000, 1.02)
    assert (version.rack_cap_milliwatts, version.redundancy) == (140_000_000, Redundancy.N_PLUS_1)
    assert (version.ramp_rate_milliwatts_per_min, version.cure_ms) == (20_000_000_000, 30 * MINUTE_MS)
    assert (version.notice_days, to_iso(version.notice_given_ms or 0)[:10]) == (180, "2026-03-02")
    assert (version.monthly_fee, version.currency) == ("1250000000.00", "EUR")
    limit = version.limit
    assert (limit.method, limit.block_ms, limit.subinterval_ms) == (Method.ROLLING, 1_800_000, 600_000)
    assert (limit.percentile, limit.sustain_ms) == (99, 2_500)
    assert (limit.warn_percent, limit.critical_percent, limit.tolerance_percent) == (90, 110, 0.5)


def test_a_ramp_may_rise_from_the_commitment() -> None:
    """A level that comes later than the version, and is higher, is where the commitment rises to."""
    version = the_version(
        versions(
            "from = 2026-06-01T00:00:00-05:00\ncommitted_mw = 0.180\n"
            'ramp = [{ from = 2026-07-01, committed_mw = 0.200, shape = "linear" }]'
        )
    )

    begins, reached = version.ramp
    assert (begins.at_ms, begins.milliwatts) == (version.from_ms, 180_000_000)
    assert version.committed_at((begins.at_ms + reached.at_ms) // 2) == 190_000_000
    assert version.committed_at(reached.at_ms) == version.committed_milliwatts == 200_000_000


def test_a_time_that_the_clock_shows_twice_is_fine_with_its_offset() -> None:
    """What was asked for can be written: either reading, or a date, which begins once."""
    text = 'id = "acme"\n[[tenant.contract]]\nfrom = {}\ncommitted_mw = 1'
    first, second, day = (
        the_version(in_chicago(text.format(when))).from_ms
        for when in ("2026-11-01T01:30:00-05:00", "2026-11-01T01:30:00-06:00", "2026-11-01")
    )

    assert (second - first, first - day) == (60 * MINUTE_MS, 90 * MINUTE_MS)


def test_what_a_contract_does_not_say_is_the_least_surprising() -> None:
    """Without a word an instantaneous limit binds each rack's own power, with no burst and no tolerance."""
    version = the_version(CONTRACT)

    assert version == Version(from_ms=version.from_ms, committed_milliwatts=1_000_000_000)


def test_versions_follow_each_other_and_the_last_end_holds() -> None:
    """An amendment may begin before its predecessor's last day; the last version's end is the contract's."""
    contract = the_contract(
        versions(
            "from = 2026-01-01\ncommitted_mw = 1\nends = 2029-05-31",
            "from = 2027-01-01\ncommitted_mw = 2\nends = 2030-05-31",
        )
    )

    assert [version.committed_milliwatts for version in contract.versions] == [1_000_000_000, 2_000_000_000]
    assert to_iso(contract.ends_ms or 0) == "2030-06-01T00:00:00.000Z"


def test_the_operator_is_nobody_of_the_file() -> None:
    """The site's own load is a tenant that no file declares."""
    assert all(tenant.id != OPERATOR for tenant in read(TEMPLATE).site.tenants)
