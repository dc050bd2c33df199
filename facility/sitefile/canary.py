"""What the canary needs of a site: a rack, a tenant whose contract is one watt, and a route of its own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from facility.names import CANARY, CANARY_RULE
from facility.sitefile.tables import CanaryTable, RackTable, RouteTable, TenantTable

BEGAN: Final = date(2020, 1, 1)
"""From when on it holds its rack: before any reading."""


def canary_rack() -> RackTable:
    """Return the rack that the canary's contract holds."""
    return RackTable.model_validate({"ids": [CANARY], "rating_kw": Decimal("0.01")})


def canary_tenant() -> TenantTable:
    """Return who holds it, by a contract of one watt."""
    return TenantTable.model_validate(
        {
            "id": CANARY,
            "name": "Megawatch's own canary",
            "holds": [{"racks": [CANARY], "from": BEGAN}],
            "contract": [{"from": BEGAN, "committed_mw": Decimal("0.000001")}],
        }
    )


def canary_route(table: CanaryTable) -> RouteTable:
    """Return the one route that the canary's page takes."""
    return RouteTable(to=table.to, tenant=[CANARY], rule=[CANARY_RULE])
