"""Who holds which racks at any moment, and which meters count for which tenant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facility.site import Site
from simulators.model.state import Ints
from simulators.model.wiring import Wiring
from simulators.scenario.scenario import Scenario
from simulators.truth.terms import read_agreements


class Holders:
    """Who holds which racks, at any moment.

    Args:
        site: What the site file declares.
        wiring: Gives the order of the racks.
    """

    def __init__(self, site: Site, wiring: Wiring) -> None:
        self._site = site
        self._wiring = wiring
        self._changes = site.changes_ms()
        self._until_ms = -1
        self._of: NDArray[np.intp] = np.zeros(0, np.intp)

    def sums(self, rack_milliwatts: Ints, at_ms: int) -> list[int]:
        """Return what each tenant's racks draw together, the operator's last [mW].

        Args:
            rack_milliwatts: What each rack draws, shape (R,) [mW].
            at_ms: When [ms].
        """
        if at_ms >= self._until_ms or not len(self._of):
            self._of = np.full(len(self._wiring.racks), len(self._site.tenants), np.intp)
            for place, tenant in enumerate(self._site.tenants):
                self._of[self._wiring.racks_of(tenant.id, at_ms)] = place
            self._until_ms = min((change for change in self._changes if change > at_ms), default=2**62)
        totals = np.zeros(len(self._site.tenants) + 1, np.int64)
        np.add.at(totals, self._of, rack_milliwatts)
        found: list[int] = totals.tolist()
        return found


def metered(scenario: Scenario, wiring: Wiring) -> dict[str, dict[int, list[int]]]:
    """Return the nodes whose power is a tenant's draw, by the start of the version that names them."""
    _, agreements = read_agreements(scenario.site_text)
    return {
        tenant: {
            terms.from_ms: [wiring.nodes.index(meter) for meter in wiring.nodes if meter in terms.meters]
            for terms in agreement.versions
            if terms.meters
        }
        for tenant, agreement in agreements.items()
    }


def version_at(scenario: Scenario, tenant: str, at_ms: int) -> int:
    """Return when the version in force at a moment began, -1 where none is."""
    contract = next(t.contract for t in scenario.site.site.tenants if t.id == tenant)
    version = None if contract is None else contract.version_at(at_ms)
    return -1 if version is None else version.from_ms
