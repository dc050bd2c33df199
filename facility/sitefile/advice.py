"""What a site file allows and is worth a second look: where, and a sentence that says what follows.

A warning is no fault: overselling, a contract of next year and a meter of tomorrow may be meant. Some follow
from the file alone, some from the day, and some from what the bus has described.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from facility.contracts import Boundary, Method, Version
from facility.instants import to_datetime
from facility.kinds import COOLANT_UNIT, METER, RACK
from facility.names import AssetId, nearest
from facility.points import Asset
from facility.site import Site, Tenant
from facility.sitefile.fields import MW

_FOR_EVER: Final = float("inf")

Placed = tuple[str, Tenant, Version, float]
"""A version of a contract: its path, whose it is, and until when it is in force [ms]."""


def warnings_of(site: Site) -> list[str]:
    """Return what the file alone tells."""
    found: list[str] = []
    for path, tenant, version, until_ms in _versions(site):
        found += [f"{path}{what}" for what in _of_limit(version)]
        found += [f"{path}{what}" for what in _of_racks(site, tenant, version, until_ms)]
    found += _of_notice(site)
    contracts = [tenant.contract for tenant in site.tenants if tenant.contract is not None]
    found += _of_grid(site)
    firm, most = site.firm_capacity_milliwatts, 0
    for instant in sorted({change for contract in contracts for change in contract.changes_ms()}):
        versions = (contract.version_at(instant) for contract in contracts)
        most = max(most, sum(v.committed_milliwatts for v in versions if v is not None))
    if firm is not None and most > firm:
        found.append(
            f"site.firm_capacity_mw: {most / MW:g} MW are committed to tenants, more than the firm"
            f" {firm / MW:g} MW of the plant"
        )
    return found


def _of_grid(site: Site) -> Iterator[str]:
    if site.grid is None:
        return
    if not site.supply_meters:
        yield "grid: no supply_meters are named under [site], so nothing is judged by it"
    if site.grid.variation_mw is not None:
        yield (
            "grid.variation_mw: values of once a second can show that it is broken, and never that it is"
            " kept: that takes 110 samples a second, or the least and the most of each interval"
        )


def warnings_at(site: Site, now_ms: int) -> list[str]:
    """Return what is not in force at a moment, so that nothing is judged by it.

    Args:
        site: What the site file declares.
        now_ms: The moment [ms].
    """
    found = []
    for i, tenant in enumerate(site.tenants):
        contract = tenant.contract
        if contract is None:
            continue
        first_ms, path = contract.versions[0].from_ms, f"tenant[{i}].contract"
        if now_ms < first_ms:
            begins = _day(first_ms, site)
            found.append(f"{path}[0].from: nothing is in force before {begins}: until then nothing is judged")
        elif contract.version_at(now_ms) is None:
            last = len(contract.versions) - 1
            ended = _day(contract.ends_ms or 0, site)
            found.append(
                f"{path}[{last}].ends: nothing is in force since {ended}: nothing is judged any more"
            )
        elif not tenant.racks_at(now_ms) and any(holding.racks for holding in tenant.holdings):
            found.append(f"tenant[{i}].holds: it holds no rack today, and a contract is in force")
    return found


def warnings_of_assets(site: Site, heard: Mapping[AssetId, Asset]) -> list[str]:
    """Return what follows from the file and from what the bus has described so far.

    That is ids of the file that neither of them describes, and ratings that are missing.

    Args:
        site: What the site file declares.
        heard: The assets that the bus described; empty where it was never listened to.
    """
    assets = {**heard, **{asset.id: asset for asset in site.assets}}
    described = set(assets) | {child for asset in assets.values() for child in asset.serves}
    found = [
        f"site.supply_meters[{i}]: {_nobody(meter, described)}"
        for i, meter in enumerate(site.supply_meters)
        if meter not in described
    ]
    if heard:
        found += _never_heard(site, described)
        found += _unattributed(site, assets)
    found += _unrated(site, assets)
    tapped = {child for asset in assets.values() if asset.kind == METER for child in asset.serves}
    for path, tenant, version, until_ms in _versions(site):
        for i, meter in enumerate(version.meters):
            if meter not in described:
                found.append(f"{path}.meters[{i}]: {_nobody(meter, described)}")
        if version.boundary is Boundary.TAP_METER:
            bare = [rack for rack in _held(tenant, version.from_ms, until_ms) if rack not in tapped]
            if bare:
                found.append(
                    f"{path}.boundary: no PowerMeter is known that serves {_some(bare)}; until the bus or an"
                    " [[asset]] table tells of one, its draw is not known"
                )
    return found


def _never_heard(site: Site, described: Collection[str]) -> Iterator[str]:
    for i, tenant in enumerate(site.tenants):
        racks = dict.fromkeys(rack for holding in tenant.holdings for rack in holding.racks)
        missing = [rack for rack in racks if rack not in described]
        if missing:
            hint = nearest(missing[0], described)
            yield (
                f"tenant[{i}].holds: the bus has never told of {_some(missing)}"
                + (f"; {hint}" if hint and len(missing) == 1 else "")
            )


def _unattributed(site: Site, assets: Mapping[AssetId, Asset]) -> Iterator[str]:
    """Say beneath which circuits something hangs of which nothing is known: E3 cannot judge those."""
    for i, asset in enumerate(site.assets):
        if "rated_a" not in site.settings.get(asset.id, {}):
            continue
        for child in _beneath(asset.id, site, assets):
            known = assets.get(child)
            if not _is_rack(child, site, assets) and (known is None or not known.serves):
                yield (
                    f"asset[{i}].serves: nothing is known of what hangs on '{child}', so what '{asset.id}'"
                    " would carry alone cannot be told (E3)"
                )
                break


def _unrated(site: Site, assets: Mapping[AssetId, Asset]) -> Iterator[str]:
    """Say which racks have coolant and no rating: whether they are loaded is not known of these."""
    units = [asset.id for asset in assets.values() if asset.kind == COOLANT_UNIT]
    cooled = {child for unit in units for child in _beneath(unit, site, assets)}
    cooled |= {name for name, rated in site.settings.items() if "rated_lpm" in rated}
    heard = (asset.id for asset in assets.values() if asset.kind == RACK)
    racks = [rack for rack in dict.fromkeys([*site.racks, *heard]) if rack in cooled]
    unrated = [rack for rack in racks if site.rack(rack).rating_milliwatts is None]
    if unrated:
        yield (
            f"rack.rating_kw: {_some(unrated)}: cooled by liquid, and without a rating; whether a rack is"
            " loaded is not known then, so T7, T8, T9, T10 and T18 cannot tell that its coolant is too little"
        )


def _beneath(start: AssetId, site: Site, assets: Mapping[AssetId, Asset]) -> Iterator[AssetId]:
    """Yield what hangs on an asset, each once, down to its racks."""
    stack, seen = list(assets[start].serves), {start}
    while stack:
        child = stack.pop()
        if child not in seen:
            seen.add(child)
            yield child
            if child in assets and not _is_rack(child, site, assets):
                stack += assets[child].serves


def _is_rack(name: AssetId, site: Site, assets: Mapping[AssetId, Asset]) -> bool:
    return name in site.racks or (name in assets and assets[name].kind == RACK)


def _versions(site: Site) -> Iterator[Placed]:
    for i, tenant in enumerate(site.tenants):
        if tenant.contract is not None:
            ends_ms = _FOR_EVER if tenant.contract.ends_ms is None else tenant.contract.ends_ms
            untils = [version.from_ms for version in tenant.contract.versions[1:]] + [ends_ms]
            for j, (version, until_ms) in enumerate(zip(tenant.contract.versions, untils, strict=True)):
                yield f"tenant[{i}].contract[{j}]", tenant, version, until_ms


def _of_limit(version: Version) -> Iterator[str]:
    limit = version.limit
    if limit.method in (Method.PERCENTILE, Method.REGISTER):
        yield f".limit.method: '{limit.method}' is recorded and not judged yet"
    for name in ("warn_percent", "percentile"):
        share = getattr(limit, name)
        if 0 < share <= 1:
            yield f".limit.{name}: {share:g} is {share:g} %; did you mean {share * 100:g}?"
    if version.burst_milliwatts:
        yield ".burst_mw: a burst counts into the limit; its minutes a month are not judged yet"

    if version.minimum_milliwatts:
        yield ".minimum_mw: it is recorded; a month below what is paid for in any case is not judged yet"
    if version.ramp_rate_milliwatts_per_min is not None:
        yield ".ramp_rate_mw_per_min: it is recorded; how fast a tenant's draw changes is not judged yet"


def _of_notice(site: Site) -> Iterator[str]:
    """Hold the end of a contract against the notice that was given."""
    for i, tenant in enumerate(site.tenants):
        contract = tenant.contract
        by_notice_ms = None if contract is None else contract.end_by_notice_ms()
        if contract is None or by_notice_ms is None or contract.ends_ms == by_notice_ms:
            continue
        says = "no end" if contract.ends_ms is None else _day(contract.ends_ms, site)
        yield (
            f"tenant[{i}].contract[{len(contract.versions) - 1}].notice_given: by it the contract ends at"
            f" {_day(by_notice_ms, site)}; ends says {says}, and that is what is judged by"
        )


def _of_racks(site: Site, tenant: Tenant, version: Version, until_ms: float) -> Iterator[str]:
    """Hold a commitment against what the racks can draw that are held while it is in force."""
    if version.boundary is Boundary.NAMED_METERS:
        return
    held = _held(tenant, version.from_ms, until_ms)
    if not held:
        return
    cap = version.rack_cap_milliwatts
    ratings = [site.racks[rack].rating_milliwatts for rack in held]
    unrated = [rack for rack, rating in zip(held, ratings, strict=True) if rating is None]
    if unrated and cap is None:
        yield (
            f": {tenant.id} holds {_some(unrated)}, without a rating:"
            " while one is silent, its draw has no upper bound"
        )
    if unrated:
        return
    able = round(sum(rating for rating in ratings if rating is not None) * version.loss_factor)
    committed = version.committed_milliwatts
    if committed > able:
        yield (
            f".committed_mw: {committed / MW:g} MW can never be exceeded: by their ratings all racks that"
            f" {tenant.id} holds then can draw {able / MW:g} MW"
        )


def _held(tenant: Tenant, from_ms: int, until_ms: float) -> list[AssetId]:
    """Return the racks that a tenant holds at any moment of a span, each once."""
    holdings = (
        holding
        for holding in tenant.holdings
        if holding.from_ms < until_ms and (holding.to_ms is None or holding.to_ms > from_ms)
    )
    return list(dict.fromkeys(rack for holding in holdings for rack in holding.racks))


def _nobody(name: str, known: Iterable[str]) -> str:
    hint = nearest(name, known)
    return f"no [[asset]] and nothing on the bus so far is called '{name}'" + (f"; {hint}" if hint else "")


def _some(racks: list[AssetId]) -> str:
    return f"rack '{racks[0]}'" if len(racks) == 1 else f"{len(racks)} racks, such as '{racks[0]}'"


def _day(instant_ms: int, site: Site) -> str:
    return f"{to_datetime(instant_ms, site.zone):%Y-%m-%d %H:%M}"
