"""Whatever is wrong in a site file is told: all of it at once, each where it stands, and nothing else."""

from __future__ import annotations

import pytest

from facility.errors import Fault, SiteFileError
from facility.sitefile.reader import MOST_CHARACTERS, read_site
from tests.unit.facility.site_faults import FILES, SITES, Told
from tests.unit.facility.site_faults_of_buses import BROKERS, RACK_TABLES
from tests.unit.facility.site_faults_of_contracts import CONTRACTS
from tests.unit.facility.site_faults_of_feeds import FEEDS
from tests.unit.facility.site_faults_of_tenants import TENANTS
from tests.unit.facility.site_texts import SITE, holding, in_broker, in_site, versions, with_ramp

FOREIGN = ("instance of", "Table", "Decimal", "pydantic", "unix timestamp")
"""What whoever writes a site file need not know."""

TABLES = [
    pytest.param(text, told, id=f"{table}: {name}")
    for table, rows in (
        ("file", FILES),
        ("site", SITES),
        ("broker and store", BROKERS),
        ("rack and asset", RACK_TABLES),
        ("tenant and route", TENANTS),
        ("contract", CONTRACTS),
        ("feed", FEEDS),
    )
    for name, text, told in rows
]


def faults_of(text: str) -> list[Fault]:
    """Return every fault of a file."""
    with pytest.raises(SiteFileError) as caught:
        read_site(text, "here.toml")

    assert str(caught.value).startswith("here.toml: ")
    return list(caught.value.faults)


def check(faults: list[Fault], told: Told) -> None:
    """Check that exactly these faults were told, in any order, in words that are not those of the code."""
    assert [fault for fault in faults if any(word in str(fault) for word in FOREIGN)] == []
    assert sorted(fault.path for fault in faults) == sorted(path for path, _ in told), faults
    for path, fragment in told:
        assert any(fault.path == path and fragment in str(fault) for fault in faults), faults


@pytest.mark.parametrize(("text", "told"), TABLES)
def test_a_fault_is_told_once_and_where_it_stands(text: str, told: Told) -> None:
    """One thing that is wrong is one fault: its path, what may stand there, what stands there, a way out."""
    check(faults_of(text), told)


def test_many_faults_at_many_depths_are_told_at_once() -> None:
    """Whoever writes a file sees everything that is wrong with it, not the first thing only."""
    text = """
        [site]
        name = "ti tan"
        timezone = "America/Chicgo"
        rack_rating_kw = true
        [[broker]]
        url = "mqtt://bus"
        qos = 3
        password_file = "secrets/bus"
        [engine]
        tick_ms = 300
        [[rack]]
        ids = ["A-{1..4}", "B-["]
        rating_kw = "132"
        [[rack]]
        ids = "A-4"
        [[tenant]]
        id = "acme"
        holds = [
          { racks = "A-*", from = 2026-01-01 },
          { racks = "C-*", from = 2026-01-01, to = 2025-01-01 },
        ]
        [[tenant.contract]]
        from = 2026-01-01
        committed_mw = 1.0
        minimum_mw = 2.0
        limit = { method = "blok", minutes = 7, warn_percnt = 90 }
        ramp = [
            { from = 2026-02-01, committed_mw = 0.5, shape = "linear" },
            { from = 2026-03-01, committed_mw = 3.0 },
        ]
        [[tenant.contract]]
        from = 2025-01-01
        committed_mw = nan
        [[tenant]]
        id = "acme"
        holds = [{ racks = "A-1", from = 2026-06-01 }]
        [[route]]
        to = {}
        tenant = ["acmee"]
        [[rout]]
    """
    told = [
        ("site.name", "'ti tan'"),
        ("site.timezone", "did you mean 'America/Chicago'?"),
        ("site.rack_rating_kw", "a number, found true"),
        ("broker[0].qos", "0 or 1"),
        ("broker[0].username", "a user name beside password_file"),
        ("engine.tick_ms", "a divisor of 1,000"),
        ("rack[0].ids", "closed brackets"),
        ("rack[0].rating_kw", "a number, found '132'"),
        ("rack[1].ids", "'A-4'"),
        ("tenant[0].holds[1].racks", "'C-*'"),
        ("tenant[0].holds[1].to", "an instant after 2026-01-01"),
        ("tenant[0].contract[0].minimum_mw", "at most committed_mw, 1.0"),
        ("tenant[0].contract[0].limit.method", "did you mean 'block'?"),
        ("tenant[0].contract[0].limit.minutes", "divides a day, found 7"),
        ("tenant[0].contract[0].limit.warn_percnt", "did you mean 'warn_percent'?"),
        ("tenant[0].contract[0].ramp[1].committed_mw", "at most the commitment and burst"),
        ("tenant[0].contract[0].ramp[0].from", "holds when the version begins"),
        ("tenant[0].contract[0].ramp[0].shape", "step: no level comes before it"),
        ("tenant[0].contract[1].committed_mw", "NaN"),
        ("tenant[1].id", "'acme', as at tenant[0].id"),
        ("tenant[1].holds", "'A-1', which 'acme' holds then"),
        ("route[0].to", "webhook, pagerduty, alertmanager, email, slack, teams or console"),
        ("route[0].tenant[0]", "did you mean 'acme'?"),
        ("rout", "did you mean 'route'?"),
    ]
    paths = {fault.path for fault in faults_of(text)}

    assert {path for path, _ in told} - paths == set()
    # What hangs on a version that could not be read may be told, or wait until it can be.
    assert paths - {path for path, _ in told} <= {"tenant[0].contract[1].from"}


@pytest.mark.parametrize(
    ("text", "told", "may_be_told"),
    [
        (
            versions("committed_mw = 1", "from = 2026-01-01\ncommitted_mw = 1\nminimum_mw = 2"),
            ("tenant[0].contract[0].from",),
            ("tenant[0].contract[1].minimum_mw",),
        ),
        (
            versions("committed_mw = 1", 'from = 2026-01-01\ncommitted_mw = "1"'),
            ("tenant[0].contract[0].from", "tenant[0].contract[1].committed_mw"),
            (),
        ),
        (
            versions(
                "from = 2026-01-01\ncommitted_mw = 1\nends = 2026-12-31",
                "from = 2027-01-01",
                "from = 2028-01-01\ncommitted_mw = 1",
            ),
            ("tenant[0].contract[1].committed_mw",),
            (),
        ),
        (
            holding('{ from = 2026-01-01 }, { racks = "A", from = 2026-01-01, to = 2025-01-01 }'),
            ("tenant[0].holds[0].racks",),
            ("tenant[0].holds[1].to",),
        ),
        (
            with_ramp("{ from = 2026-01-01 }, { from = 2026-02-01, committed_mw = 1 }"),
            ("tenant[0].contract[0].ramp[0].committed_mw",),
            (),
        ),
    ],
    ids=["a version", "two versions", "a version between others", "a holding", "a level"],
)
def test_what_can_not_be_read_moves_nothing_else(
    text: str, told: tuple[str, ...], may_be_told: tuple[str, ...]
) -> None:
    """An entry that is left out neither shifts the paths of the entries after it nor breaks their order."""
    paths = [fault.path for fault in faults_of(text)]

    assert len(set(paths)) == len(paths)
    assert set(told) <= set(paths) <= {*told, *may_be_told}


def test_a_power_that_can_not_be_is_told_beside_other_faults() -> None:
    """No fault waits until another is put right."""
    text = in_site("firm_capacity_mw = 200000\nrack_rating_kw = 1e12")

    check(faults_of(text), [("site.firm_capacity_mw", "100 GW"), ("site.rack_rating_kw", "100 GW")])


def test_a_found_value_is_shown_on_one_line_of_a_terminal() -> None:
    """However long what stands there is, a fault stays readable."""
    (fault,) = faults_of(in_broker(f'format = "{"x" * 1_000}"'))

    assert len(fault.found) <= 60


def test_the_longest_file_is_read_and_a_longer_one_is_refused() -> None:
    """Eight million characters are a site; one more is a mistake."""
    padded = SITE.ljust(MOST_CHARACTERS)

    assert read_site(padded).site.name == "titan"
    check(faults_of(padded + " "), [("file", f"at most {MOST_CHARACTERS}")])


@pytest.mark.parametrize("depth", [100, 1_000, 3_000])
@pytest.mark.parametrize("start", ["site.", "site.name.", "rules.C2.", "store.influxdb."])
def test_a_file_that_is_nested_without_end_is_a_fault(start: str, depth: int) -> None:
    """A key of a thousand dots is refused like any other nonsense."""
    text = f"{start}{'.'.join('a' * depth)} = 1\n"

    assert faults_of(text) != []
