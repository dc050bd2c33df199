"""The demand blocks of a tenant, for people and programs: what each was judged by, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from facility.instants import to_iso
from facility.names import nearest
from megawatch.cli.outputs import Block
from megawatch.cli.queries import open_ledger
from megawatch.cli.query import NotFound, local_time, moment_ms, span_ms
from megawatch.cli.show import a_table
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder
from store.influx.serieslines import VERDICTS
from store.series import DemandBlock


def demand_blocks(
    folder: SiteFolder, tenant: str, *, last: str, since: str | None, until: str | None
) -> list[DemandBlock]:
    """Return the demand blocks of a tenant that ended in a span, in order of time.

    Args:
        folder: The site's files.
        tenant: Id of the tenant.
        last: How far back, where no start is given.
        since: Start of the span; None for as far back as `last`.
        until: End of the span; None for now.

    Raises:
        NeverRan: Where no monitor ever did anything.
        NotFound: Where there is no such tenant.
        WrongUsage: Where a time or a duration is none.
    """
    site = folder.file.site
    known = [str(one.id) for one in site.tenants]
    if tenant not in known:
        raise NotFound("a tenant", tenant, nearest(tenant, known))
    with open_ledger(folder) as ledger:
        to_ms = SteadyClock().now_ms() if until is None else moment_ms(until, site.zone)
        from_ms = to_ms - span_ms(last) if since is None else moment_ms(since, site.zone)
        return ledger.blocks(tenant, from_ms, to_ms)


def block_document(block: DemandBlock) -> Block:
    """Return a demand block as plain values."""
    high = block.high_milliwatt_ms
    return {
        "tenant": block.tenant,
        "from": to_iso(block.from_ms),
        "to": to_iso(block.to_ms),
        "judged": "settled" if block.is_settled else "live",
        "verdict": VERDICTS[block.verdict],
        "method": block.method,
        "version_from": to_iso(block.version_from_ms),
        "coverage": block.coverage,
        "low_kwh": block.kwh(block.low_milliwatt_ms),
        "low_kw": block.mean_kw(block.low_milliwatt_ms),
        "best_kwh": block.kwh(block.best_milliwatt_ms),
        "best_kw": block.mean_kw(block.best_milliwatt_ms),
        "high_kwh": None if high is None else block.kwh(high),
        "high_kw": None if high is None else block.mean_kw(high),
        "allowed_kwh": block.kwh(block.allowed_milliwatt_ms),
        "allowed_kw": block.mean_kw(block.allowed_milliwatt_ms),
    }


def blocks_table(blocks: Sequence[DemandBlock], folder: SiteFolder) -> Table:
    """Return demand blocks as people read them; power in kW."""
    found = a_table()
    for name in ("from", "to", "judged", "verdict"):
        found.add_column(name)
    for name in ("at least", "best", "at most", "allowed", "covered"):
        found.add_column(name, justify="right")
    zone = folder.file.site.zone
    for block in blocks:
        document = block_document(block)
        means = (document["low_kw"], document["best_kw"], document["high_kw"], document["allowed_kw"])
        found.add_row(
            local_time(block.from_ms, zone),
            local_time(block.to_ms, zone),
            "settled" if block.is_settled else "live",
            VERDICTS[block.verdict],
            *("no bound" if mean is None else f"{mean:,.3f}" for mean in means),
            f"{block.coverage:.1%}",
        )
    return found
