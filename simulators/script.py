"""What happens when: the tenants' loads, and the events of the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REPEAT_S = 100
"""How often the DSX bus repeats metadata and unchanged values [s]."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A tenant's racks change what they draw, evenly, from one second to another.

    Attributes:
        tenant: Whose.
        from_s: When it begins [s].
        to_s: When the new level is reached [s].
        rack_kw: What each rack draws then [kW].
    """

    tenant: str
    from_s: float
    to_s: float
    rack_kw: float


@dataclass(frozen=True, slots=True)
class Silence:
    """A gateway says nothing from one second to another.

    Attributes:
        row: The row whose gateway it is.
        from_s: When it falls silent [s].
        to_s: When it speaks again [s].
    """

    row: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A course of events.

    Attributes:
        holders: The tenant of each rack.
        rack_kw: What each rack of a tenant draws at first [kW].
        drifts: Changes of load, in order of time.
        silences: Gateways that fall silent.
        captions: What to tell onlookers, by the second at which it happens.
    """

    holders: Mapping[str, str]
    rack_kw: Mapping[str, float]
    drifts: Sequence[Drift] = ()
    silences: Sequence[Silence] = ()
    captions: Mapping[float, str]

    def level_kw(self, tenant: str, at_s: float) -> float:
        """Return what each rack of a tenant asks for at a second [kW]."""
        level = self.rack_kw[tenant]
        for drift in self.drifts:
            if drift.tenant != tenant or at_s < drift.from_s:
                continue
            share = min(1.0, (at_s - drift.from_s) / (drift.to_s - drift.from_s))
            level += (drift.rack_kw - level) * share
        return level

    def targets_kw(self, racks: Sequence[str], at_s: float) -> list[float]:
        """Return what each rack asks for at a second [kW]."""
        levels = {tenant: self.level_kw(tenant, at_s) for tenant in self.rack_kw}
        return [levels[self.holders[rack]] for rack in racks]

    def is_silent(self, row: str, at_s: float) -> bool:
        """Tell whether a row's gateway is silent at a second."""
        return any(s.row == row and s.from_s <= at_s < s.to_s for s in self.silences)

    def caption(self, at_s: float) -> str:
        """Return the last caption at a second."""
        past = [text for second, text in sorted(self.captions.items()) if second <= at_s]
        return past[-1] if past else ""


def demo_script(racks: Sequence[str]) -> Script:
    """Return the minute of the demo: a drift past the contract, a silent gateway, and the return.

    Args:
        racks: Forty-eight racks, in four rows of twelve.
    """
    holders = {}
    for place, rack in enumerate(racks):
        holders[rack] = "orchid" if place < 18 else "basil" if place < 30 else "cedar"  # noqa: PLR2004 - shares of the hall
    return Script(
        holders=holders,
        rack_kw={"orchid": 94.0, "basil": 92.0, "cedar": 88.0},
        drifts=(
            Drift("orchid", 6, 18, 109.0),
            Drift("orchid", 52, 57, 92.0),
        ),
        silences=(Silence("B", 34, 50),),
        captions={
            0: "all three tenants draw what they contracted",
            6: "Orchid starts a job: its draw rises towards its contract",
            18: "Orchid draws more than it contracted",
            34: "the gateway of row B falls silent: bounds widen, nothing is resolved",
            50: "the gateway of row B is back",
            52: "Orchid takes load off",
            60: "everything returns",
        },
    )
