"""What is worth a second look and depends on the day, or on what the bus has described."""

from __future__ import annotations

import pytest

from facility.instants import from_iso
from facility.kinds import KINDS
from facility.names import AssetId
from facility.points import Asset
from facility.sitefile.advice import warnings_at, warnings_of_assets
from facility.sitefile.reader import read_site
from tests.unit.facility.site_texts import SITE

HELD = f'{SITE}[[tenant]]\nid = "acme"\nholds = [{{ racks = "A-{{1..2}}", from = 2026-01-01 }}]\n'
PATH = "tenant[0].contract[0]"
VERSION = "[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = 0.1\nrack_cap_kw = 100\n"
TAPPED = f'{HELD}{VERSION}boundary = "tap_meter"\n'
NAMED = f'{HELD}{VERSION}boundary = "named_meters"\nmeters = ["NOPE"]\n'


def described(**serves: str) -> dict[AssetId, Asset]:
    """Return racks A-1 and A-2, and meters that serve what is said."""
    racks = [Asset(id=AssetId(f"A-{i}"), kind="Rack") for i in (1, 2)]
    meters = [
        Asset(id=AssetId(name), kind="PowerMeter", serves=(AssetId(rack),)) for name, rack in serves.items()
    ]
    return {asset.id: asset for asset in [*racks, *meters]}


@pytest.mark.parametrize(
    ("text", "now", "told"),
    [
        (
            HELD + VERSION.replace("2026", "2027"),
            "2026-06-01",
            f"{PATH}.from: nothing is in force before 2027-01-01 00:00: until then nothing is judged",
        ),
        (
            HELD + VERSION + "ends = 2026-03-31\n",
            "2026-06-01",
            f"{PATH}.ends: nothing is in force since 2026-04-01 00:00: nothing is judged any more",
        ),
        (
            HELD.replace("01 }", "01, to = 2026-05-01 }") + VERSION,
            "2026-06-01",
            "tenant[0].holds: it holds no rack today, and a contract is in force",
        ),
        (HELD + VERSION, "2026-06-01", ""),
        (HELD, "2026-06-01", ""),
    ],
    ids=["next year", "over", "nothing held", "in force", "no contract"],
)
def test_a_contract_by_which_nothing_is_judged_today_is_said(text: str, now: str, told: str) -> None:
    """A file whose only contract begins next year is right, and no one is watched by it."""
    found = warnings_at(read_site(text).site, from_iso(f"{now}T12:00:00Z"))

    assert found == ([told] if told else [])


def test_a_meter_that_nobody_describes_is_said() -> None:
    """Neither the file nor the bus knows it; once either does, there is nothing to say."""
    site = read_site(NAMED).site

    (told,) = warnings_of_assets(site, {})
    (near,) = warnings_of_assets(site, described(NOPE2="A-1"))
    assert told == (
        "tenant[0].contract[0].meters[0]: no [[asset]] and nothing on the bus so far is called 'NOPE'"
    )
    assert near == f"{told}; did you mean 'NOPE2'?"
    assert warnings_of_assets(site, described(NOPE="A-1")) == []
    in_file = read_site(f'{NAMED}[[asset]]\nid = "NOPE"\nkind = "PowerMeter"\n').site
    assert warnings_of_assets(in_file, {}) == []
    supply = read_site(SITE + 'supply_meters = ["NOPE"]\n').site
    assert "site.supply_meters[0]" in warnings_of_assets(supply, {})[0]


def test_a_tap_boundary_without_taps_is_said() -> None:
    """Each held rack needs a meter that serves it, from the file or from the bus."""
    site = read_site(TAPPED).site
    path = "tenant[0].contract[0].boundary: no PowerMeter is known that serves "

    (none,) = warnings_of_assets(site, {})
    (half,) = warnings_of_assets(site, described(T1="A-1"))
    assert none.startswith(f"{path}2 racks, such as 'A-1'; ")
    assert half.startswith(f"{path}rack 'A-2'; ")
    assert warnings_of_assets(site, described(T1="A-1", T2="A-2")) == []


def test_a_held_rack_that_the_bus_never_told_of_is_said() -> None:
    """Where no [[rack]] table could tell, what was heard does; before anything was heard nothing can."""
    site = read_site(HELD.replace("A-{1..2}", "A-{1,3}")).site

    (told,) = warnings_of_assets(site, described())
    assert told.startswith("tenant[0].holds: the bus has never told of rack 'A-3'; did you mean 'A-")
    assert warnings_of_assets(site, {}) == []


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("Transformer", ""),
        ("Row", ""),
        ("CDU", ""),
        ("transformer", "; did you mean 'Transformer'?"),
        ("Switchbord", "; did you mean 'Switchboard'?"),
        ("Gizmo", ""),
    ],
)
def test_a_kind_that_means_nothing_is_said(kind: str, told: str) -> None:
    """Its edges would be those of the cooling, and the racks beneath it would hang on no power path."""
    found = read_site(f'{SITE}[[asset]]\nid = "T1"\nkind = "{kind}"\n').warnings

    expected = (
        f"asset[0].kind: nothing is known of the kind '{kind}', so no power is taken to pass through it"
    )
    assert found == (() if kind in KINDS else (expected + told,))


UNKNOWN = "asset[0].serves: nothing is known of what hangs on"


@pytest.mark.parametrize(
    ("serves", "heard", "told"),
    [
        ('["A-1"]', {"A-1": ""}, []),
        ('["A-1", "TAP"]', {"A-1": "", "TAP": "A-1"}, []),
        (
            '["A-1", "TAP"]',
            {"A-1": "", "TAP": ""},
            ["asset[0].serves: nothing is known of what hangs on 'TAP'"],
        ),
        ('["A-1", "GONE"]', {"A-1": ""}, [f"{UNKNOWN} 'GONE'"]),
    ],
)
def test_a_circuit_whose_load_cannot_be_attributed_is_named(
    serves: str, heard: dict[str, str], told: list[str]
) -> None:
    """Once the bus has described what there is: what nobody described may carry anything."""
    site = read_site(
        '[site]\nname = "hall"\n[[rack]]\nids = "A-1"\nrating_kw = 100\n'
        f'[[asset]]\nid = "BUS"\nkind = "Busway"\nrated_a = 400\nserves = {serves}\n'
    ).site
    assets = {
        AssetId(name): Asset(
            id=AssetId(name),
            kind="TapBox" if name == "TAP" else "Rack",
            serves=tuple(AssetId(child) for child in below.split()),
        )
        for name, below in heard.items()
    }

    found = warnings_of_assets(site, assets)

    assert [text.partition(", so")[0] for text in found] == told


COOLED = '[[asset]]\nid = "CDU"\nkind = "CDU"\nserves = ["A-2", "MANIFOLD"]\n'


@pytest.mark.parametrize(
    ("text", "heard", "named"),
    [
        ('[[rack]]\nids = "A-1"\nrated_lpm = 150\n', "", "rack 'A-1'"),
        ('[[rack]]\nids = "A-1"\nrated_lpm = 150\nrating_kw = 100\n', "", ""),
        ('[[rack]]\nids = "A-{1..3}"\n' + COOLED, "", "rack 'A-2'"),
        ('[[rack]]\nids = "A-{1..3}"\n' + COOLED, "A-3", "2 racks, such as 'A-2'"),
        (COOLED, "A-3", "rack 'A-3'"),
        ('[[rack]]\nids = "A-1"\n', "", ""),
    ],
    ids=["design flow", "rated", "coolant unit", "what it serves serves", "only heard", "no coolant known"],
)
def test_a_rack_with_coolant_and_without_a_rating_is_said(text: str, heard: str, named: str) -> None:
    """Rules that count from a share of the rating on are UNKNOWN of it while its coolant is short."""
    bus = {AssetId(heard): Asset(id=AssetId(heard), kind="Rack")} if heard else {}
    below = (AssetId(heard),) if heard else ()
    bus[AssetId("MANIFOLD")] = Asset(id=AssetId("MANIFOLD"), kind="Manifold", serves=below)

    found = warnings_of_assets(read_site(SITE + text).site, bus)

    assert [warning.partition(": cooled")[0] for warning in found] == (
        [f"rack.rating_kw: {named}"] if named else []
    )
