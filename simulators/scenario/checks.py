"""What of a scenario cannot be, beyond its names: times past its end, and commitments beyond ratings."""

from __future__ import annotations

from collections.abc import Iterable

from facility.contracts import Boundary, Version
from facility.names import AssetId
from facility.site import Site, Tenant
from facility.sitefile.notes import Notes
from simulators.scenario.tables import CaptionTable, EventTable, LoadTable

Timed = LoadTable | EventTable | CaptionTable


def check_times(tables: Iterable[tuple[str, Timed]], seconds: int, notes: Notes) -> None:
    """Note what would begin only after the scenario is over.

    Args:
        tables: The tables, with their places.
        seconds: How long it lasts [s].
        notes: Takes the faults.
    """
    for path, table in tables:
        key = "from_s" if isinstance(table, LoadTable) else "at_s"
        begin_s = getattr(table, key)
        if begin_s >= seconds:
            notes.fault(f"{path}.{key}", f"a second of the {seconds} that it lasts", f"{begin_s:g}")


def check_commitments(site: Site, span_ms: tuple[int, int], notes: Notes) -> None:
    """Note which tenants are promised more than the racks that they hold could ever draw.

    A tenant that holds no racks yet, or whose draw is that of named meters, is not judged.

    Args:
        site: What the site file declares.
        span_ms: When the scenario begins and ends [ms].
        notes: Takes the faults.
    """
    begin_ms, end_ms = span_ms
    moments = [begin_ms, *(at for at in site.changes_ms() if begin_ms < at < end_ms), end_ms - 1]
    for place, tenant in enumerate(site.tenants):
        told: set[int] = set()
        for at_ms in moments:
            version = None if tenant.contract is None else tenant.contract.version_at(at_ms)
            if tenant.contract is None or version is None or version.boundary is Boundary.NAMED_METERS:
                continue
            number = tenant.contract.versions.index(version)
            most, committed = _most(site, tenant, version, at_ms), version.committed_at(at_ms)
            if 0 < most < committed and number not in told:
                told.add(number)
                notes.fault(
                    f"tenant[{place}].contract[{number}].committed_mw",
                    f"at most {most / 1e9:g}, what the racks that '{tenant.id}' holds are rated",
                    f"{committed / 1e9:g}",
                )


def _most(site: Site, tenant: Tenant, version: Version, at_ms: int) -> int:
    """Return the most that a tenant's racks draw at the delivery point [mW], 0 where that is not known."""
    ratings = [site.racks[AssetId(rack)].rating_milliwatts for rack in tenant.racks_at(at_ms)]
    if None in ratings:
        return 0
    held = sum(rating for rating in ratings if rating is not None)
    # Meters before the racks see what is lost on the way as well.
    lost = site.path_loss_percent if version.boundary is Boundary.TAP_METER else 0.0
    return round(held * (1 + lost / 100) * version.loss_factor)
