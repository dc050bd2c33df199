"""A fingerprint changes with all that is judged by, so that a field added later cannot be forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from facility.contracts import Contract, Level, Limit, Redundancy, Version
from facility.grid import Grid
from facility.names import AssetId, TenantId
from facility.points import Asset
from facility.site import Holding, Rack, Site, Tenant
from rules.base import Rule, Variant
from rules.engine.fingerprint import UNJUDGED, Fingerprints
from rules.library.electrical.e1_breaker_load import BreakerLoad
from testing.operations import calls_of
from testing.rules.halls import EVERY_SECOND

R1, R2 = AssetId("r1"), AssetId("r2")
METER = AssetId("meter")
VERSION = Version(
    from_ms=1_000,
    committed_milliwatts=5,
    ramp=(Level(at_ms=2_000, milliwatts=3),),
    limit=Limit(),
    meters=(METER,),
    rack_cap_milliwatts=4,
    redundancy=Redundancy.N,
    ramp_rate_milliwatts_per_min=1,
    notice_given_ms=9_000,
)
RACK = Rack(id=R1, rating_milliwatts=7, floor_milliwatts=1, error_ppm=2)
SITE = Site(
    name="hall",
    zone=ZoneInfo("UTC"),
    racks={R1: RACK, R2: replace(RACK, id=R2)},
    any_rack=replace(RACK, id=AssetId("")),
    tenants=(
        Tenant(
            id=TenantId("acme"),
            name="Acme",
            holdings=(Holding(racks=(R1, R2), from_ms=0, to_ms=90_000),),
            contract=Contract((VERSION, replace(VERSION, from_ms=50_000)), ends_ms=80_000),
        ),
        Tenant(
            id=TenantId("blue"),
            name="Blue",
            holdings=(Holding(racks=(R1,), from_ms=1, to_ms=2),),
            contract=Contract((VERSION,), ends_ms=9),
        ),
    ),
    assets=(
        Asset(id=METER, kind="PowerMeter", serves=(R1, R2)),
        Asset(id=AssetId("b1"), kind="Breaker", serves=(R1,)),
    ),
    firm_capacity_milliwatts=100,
    supply_meters=(METER, AssetId("other")),
    meter_errors_ppm={METER: 5_000},
    settings={AssetId("b1"): {"rated_a": 32.0}, R1: {"rated_lpm": 40.0}},
    grid=Grid(ramp_up_mw_per_min=20, ramp_down_mw_per_min=20, variation_mw=10),
)
"""A site that says something in every field that there is."""


def edits(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - anything of a site
    """Yield a value with one thing changed, for each thing that it says, with the field that says it."""
    match value:
        case Enum():
            yield field, next(member for member in type(value) if member is not value)
        case str():
            yield field, f"{value}x"
        case int() | float():
            yield field, value + 1
        case ZoneInfo():
            yield field, ZoneInfo("Europe/Berlin")
        case None:
            raise AssertionError(f"the site of this test says nothing in {field}")
        case _:
            yield from edits_inside(value, field)


def edits_inside(value: Any, field: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - likewise
    """Yield the same of a mapping, a tuple or a dataclass."""
    if isinstance(value, Mapping):
        yield field, {}
        for key, inner in value.items():
            yield from ((name, {**value, key: other}) for name, other in edits(inner, field))
    elif isinstance(value, tuple):
        yield field, value[1:]
        for i, inner in enumerate(value):
            yield from ((name, (*value[:i], other, *value[i + 1 :])) for name, other in edits(inner, field))
    else:
        for part in fields(value):
            path = f"{type(value).__name__}.{part.name}"
            found = edits(getattr(value, part.name), path)
            yield from ((name, replace(value, **{part.name: other})) for name, other in found)


INNER = {"Site.any_rack", "Site.grid", "Tenant.contract", "Version.limit"}
"""Fields that are changed by each field of what stands in them."""


def all_fields() -> set[str]:
    """Return every field of what a site is made of."""
    kinds = (Site, Rack, Tenant, Holding, Contract, Version, Limit, Level, Asset, Grid)
    return {f"{kind.__name__}.{part.name}" for kind in kinds for part in fields(kind)} - INNER


def fingerprint_of(site: Site = SITE, *rules: Rule) -> object:
    """Return what a snapshot would be saved under."""
    return Fingerprints(site, rules, {}).at(60_000, {})


def test_every_field_of_the_site_is_in_its_fingerprint() -> None:
    """But what people call things and read about them; the site of this test says something in each."""
    found = list(edits(SITE))
    assert {name for name, _ in found} == all_fields()

    same = {name for name, edited in found if fingerprint_of(edited) == fingerprint_of()}
    other = {name for name, edited in found if fingerprint_of(edited) != fingerprint_of()}

    assert same == {f"{kind.__name__}.{name}" for kind, names in UNJUDGED.items() for name in names}
    assert other == all_fields() - same


def test_every_field_of_a_timing_is_in_the_fingerprint() -> None:
    """When a broker's points are published decides what is silent."""
    found = {
        name: Fingerprints(SITE, (), {"bus": edited}).at(0, {}).brokers
        for name, edited in edits(EVERY_SECOND)
    }

    assert found.keys() == {f"Timing.{part.name}" for part in fields(EVERY_SECOND)}
    assert Fingerprints(SITE, (), {"bus": EVERY_SECOND}).at(0, {}).brokers not in found.values()


RULE = BreakerLoad()
FOR_ONE = Variant(BreakerLoad(percent=100), assets=("b1", "b2"))
FOR_ALL = Variant(BreakerLoad(percent=90), kinds=("Breaker",), tenants=("acme",))


@pytest.mark.parametrize(
    "other",
    [
        BreakerLoad(percent=81).with_variants((FOR_ONE, FOR_ALL)),
        RULE,
        RULE.with_variants((FOR_ONE,)),
        RULE.with_variants((FOR_ALL, FOR_ONE)),
        RULE.with_variants((replace(FOR_ONE, rule=BreakerLoad(percent=99)), FOR_ALL)),
        RULE.with_variants((replace(FOR_ONE, assets=("b1",)), FOR_ALL)),
        RULE.with_variants((FOR_ONE, replace(FOR_ALL, kinds=("Busway",)))),
        RULE.with_variants((FOR_ONE, replace(FOR_ALL, tenants=("blue",)))),
    ],
    ids=["usual", "none", "one less", "order", "parameter", "assets", "kinds", "tenants"],
)
def test_parameters_for_some_are_in_the_fingerprint_of_a_rule(other: Rule) -> None:
    """Of several tables that choose a subject the last holds, so their order is part of it."""
    usual = RULE.with_variants((FOR_ONE, FOR_ALL))

    assert fingerprint_of(SITE, usual) != fingerprint_of(SITE, other)


def test_the_order_of_what_has_none_changes_nothing() -> None:
    """Tables and lists of a site file may stand in any order."""
    turned = replace(
        SITE,
        racks=dict(list(SITE.racks.items())[::-1]),
        tenants=SITE.tenants[::-1],
        assets=SITE.assets[::-1],
        supply_meters=SITE.supply_meters[::-1],
        settings=dict(list(SITE.settings.items())[::-1]),
    )

    assert fingerprint_of(turned) == fingerprint_of()


def test_two_judgements_of_one_site_describe_it_once() -> None:
    """It may have 100,000 racks."""
    live, settled = Fingerprints(SITE, [], {}), Fingerprints(SITE, [], {})
    settled.share(live)
    found = []

    first = calls_of(lambda: found.append(live.at(0, {})))
    second = calls_of(lambda: found.append(settled.at(0, {})))

    assert found[0] == found[1]
    assert second < first / 2
