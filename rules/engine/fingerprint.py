"""What a site file says, in short, and what of a saved state still holds under an edited one.

A fingerprint is made of content alone: comments, the order of tables and what people call things leave it as
it is. Of each tenant it covers the span that its open block reaches back over, so an amendment that comes
into force later changes nothing now.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from facility.contracts import Contract, Method, Version
from facility.names import AssetId, TenantId
from facility.points import Asset
from facility.site import Rack, Site, Tenant
from rules.base import Rule
from rules.subject import SubjectKind
from rules.telemetry.timing import Timing

WORDS: Final = {
    "racks": "the racks",
    "ratings": "the ratings of the racks",
    "metering": "the metering",
    "blocks": "the demand blocks",
    "contract": "the contract",
}
"""Each part of what a site file says of a tenant, as people call it."""
SUMMED: Final = frozenset({"racks", "ratings", "metering"})
"""The parts that a draw is summed by."""
UNJUDGED: Final[Mapping[type, frozenset[str]]] = MappingProxyType(
    {Site: frozenset({"name", "runbooks"}), Tenant: frozenset({"name"}), Asset: frozenset({"name"})}
)
"""Fields that no judgement depends on: what people call things, and where they read about them."""
INTEGRATED: Final = SUMMED | {"blocks"}
"""The parts that the energy of an open block is added up by."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a site file says, as hashes that are equal where it says the same.

    Attributes:
        site: Of everything that is said of the site itself.
        rules: Of each rule's parameters, by its name; a rule that is switched off has none.
        brokers: Of when points are published, by the broker's name.
        tenants: Of each part of what is said of a tenant (`WORDS`), by the tenant's id.
    """

    site: str
    rules: Mapping[str, str]
    brokers: Mapping[str, str]
    tenants: Mapping[str, Mapping[str, str]]


UNKNOWN: Final = Fingerprint("", {}, {}, {})
"""That of a site file whose content is not known."""


class Fingerprints:
    """Makes the fingerprints of one site file.

    Args:
        site: What the site file declares.
        rules: The rules, with the parameters that it sets.
        timings: When points are published, by the broker's name.
    """

    def __init__(self, site: Site, rules: Sequence[Rule], timings: Mapping[str, Timing]) -> None:
        self._site = site
        self._rules = {rule.name: _hash(said(rule)) for rule in rules}
        self._brokers = {name: _hash(said(timing)) for name, timing in timings.items()}
        self._tenants: dict[tuple[object, ...], dict[str, str]] = {}
        self._content_of = cache(lambda: _hash(said(site)))

    def share(self, other: Fingerprints) -> None:
        """Use what another made of the same site: of a large one that takes a while."""
        self._content_of = other._content_of

    @property
    def _content(self) -> str:
        return self._content_of()

    @cached_property
    def _declared(self) -> frozenset[AssetId]:
        return frozenset((*self._site.racks, *(asset.id for asset in self._site.assets)))

    @cached_property
    def _serving(self) -> Mapping[AssetId, Sequence[AssetId]]:
        """Return the declared assets that serve each asset directly."""
        found: dict[AssetId, list[AssetId]] = defaultdict(list)
        for asset in self._site.assets:
            for child in asset.serves:
                found[child].append(asset.id)
        return found

    def _above(self, assets: Sequence[AssetId]) -> list[Asset]:
        """Return the declared assets that serve some, directly or not, sorted by id.

        What serves an asset that the file does not declare may serve any of them, as the bus may tell.
        """
        found = set[AssetId]()
        stack = [*assets, *(self._serving.keys() - self._declared)]
        while stack:
            if (asset := stack.pop()) not in found:
                found.add(asset)
                stack += self._serving.get(asset, ())
        return sorted((asset for asset in self._site.assets if asset.id in found), key=lambda asset: asset.id)

    def at(self, at_ms: int, since_ms: Mapping[TenantId, int]) -> Fingerprint:
        """Return the fingerprint of what counts at a moment.

        Args:
            at_ms: The moment [ms].
            since_ms: How far back each tenant's open block reaches [ms]; no further than the moment for a
                tenant that is not in it.
        """
        tenants: dict[str, Mapping[str, str]] = {
            t.id: self._tenant(t, since_ms.get(t.id, at_ms), at_ms) for t in self._site.tenants
        }
        return Fingerprint(self._content, self._rules, self._brokers, tenants)

    def _tenant(self, tenant: Tenant, from_ms: int, to_ms: int) -> dict[str, str]:
        """Return the hash of each part of what is said of a tenant over a span."""
        contract = tenant.contract
        changes = {change for h in tenant.holdings for change in (h.from_ms, h.to_ms) if change is not None}
        changes |= set(() if contract is None else contract.changes_ms())
        times = [from_ms, *sorted(change for change in changes if from_ms < change <= to_ms)]
        versions = [None if contract is None else contract.version_at(time) for time in times]
        held = [tuple(i for i, h in enumerate(tenant.holdings) if h.holds_at(time)) for time in times]
        # As long as nothing comes into force, it is the same from snapshot to snapshot.
        key = (tenant.id, *times[1:], *held, *(v.from_ms if v else None for v in versions))
        if key not in self._tenants:
            racks = [sorted(tenant.racks_at(time)) for time in times]
            self._tenants = {k: found for k, found in self._tenants.items() if k[0] != tenant.id}
            self._tenants[key] = self._parts(contract, times, racks, versions)
        return self._tenants[key]

    def _parts(
        self,
        contract: Contract | None,
        times: Sequence[int],
        racks: Sequence[Sequence[AssetId]],
        versions: Sequence[Version | None],
    ) -> dict[str, str]:
        site, each = self._site, sorted({rack for some in racks for rack in some})
        meters = sorted({AssetId(meter) for version in versions if version for meter in version.meters})
        above = self._above((*each, *meters))
        return {
            "racks": _hash(_changes(times, racks)),
            "ratings": _hash([(rack, site.rack(rack), site.error_ppm(rack)) for rack in each]),
            "metering": _hash(
                _changes(times, list(map(_boundary, versions))),
                [(meter, site.error_ppm(meter)) for meter in meters],
                [(asset.id, asset.kind, sorted(asset.serves), site.error_ppm(asset.id)) for asset in above],
                (site.meter_tolerance_percent, site.path_loss_percent),
            ),
            "blocks": _hash(_changes(times, list(map(_measure, versions))), site.zone.key),
            "contract": _hash([_version(version) for version in versions], contract and contract.ends_ms),
        }


def said(value: object) -> object:
    """Return all that a value of the site file says, as what prints alike where it says the same.

    Every field counts but those of `UNJUDGED`, so that one that is added later does too. What stands in
    another order says the same, except variants of a rule: of those that choose a subject, the last holds.
    """
    match value:
        case str():
            return value
        case Rack():
            return repr(value)  # there may be 100,000
        case Rule():
            return sorted(value.model_dump(mode="json").items()), [
                said(variant) for variant in value.variants
            ]
        case ZoneInfo():
            return value.key
        case Mapping():
            return sorted((key, said(found)) for key, found in value.items())
        case tuple():
            return sorted(map(said, value), key=repr)
        case _:
            kind: Any = type(value)
            names = _judged_fields(kind)
            return value if names is None else [(name, said(getattr(value, name))) for name in names]


@cache
def _judged_fields(kind: type[Any]) -> Sequence[str] | None:
    """Return the names of the fields of a dataclass that judgements depend on; None of another type."""
    unjudged = UNJUDGED.get(kind, ())
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else None
    return names and [name for name in names if name not in unjudged]


class Edits:
    """What a site file says otherwise than when a state was saved.

    Args:
        before: The fingerprint that was saved.
        now: That of the site file as it is.
    """

    def __init__(self, before: Fingerprint, now: Fingerprint) -> None:
        self.is_same_site = before.site == now.site
        self._is_unknown = before == UNKNOWN
        self._rules = {name for name, found in now.rules.items() if before.rules.get(name, found) != found}
        self._off = before.rules.keys() - now.rules.keys()
        self._on = now.rules.keys() - before.rules.keys()
        self._is_retimed = before.brokers != now.brokers
        self._gone = before.tenants.keys() - now.tenants.keys()
        self._new = now.tenants.keys() - before.tenants.keys()
        self._changed = {
            tenant: [part for part in WORDS if before.tenants[tenant].get(part) != found[part]]
            for tenant, found in now.tenants.items()
            if tenant in before.tenants
        }

    def is_summed_alike(self, tenant: str) -> bool:
        """Tell whether a tenant's draw is summed of the same as before."""
        if tenant not in self._changed:  # it is new, or it is the operator: nobody's racks may be others now
            return self.is_same_site
        return SUMMED.isdisjoint(self._changed[tenant])

    def is_integrated_alike(self, tenant: str) -> bool:
        """Tell whether the energy of a tenant's open block is added up as before."""
        return tenant in self._changed and INTEGRATED.isdisjoint(self._changed[tenant])

    def reason(self, rule: Rule, subject: str) -> str:
        """Return what was edited that an alarm may end by, "" where nothing was.

        Args:
            rule: Its rule.
            subject: Id of its subject.
        """
        what = ""
        if rule.name in self._rules:
            what = f"the parameters of rule {rule.name}"
        elif rule.kind is SubjectKind.TENANT and self._changed.get(subject):
            what = f"{' and '.join(WORDS[part] for part in self._changed[subject])} of {subject}"
        elif self._is_retimed:
            what = "the timing of a broker"
        elif rule.kind is not SubjectKind.TENANT and not self.is_same_site:
            what = "what it says of racks, tenants or meters"
        return f"the site file was edited: {what}" if what else ""

    def lines(self) -> Iterator[str]:
        """Yield what was edited and what becomes of the state, a line for each."""
        if self._is_unknown:
            yield "nobody knows of what: every open block begins anew"
            return
        for tenant in sorted(self._gone):
            yield f"tenant {tenant} is gone: its alarms end"
        for tenant in sorted(self._new):
            yield f"tenant {tenant} is new: nothing is known of its past"
        yield from self._changes()
        for name in sorted(self._off):
            yield f"rule {name} is switched off: its alarms end"
        for name in sorted(self._on):
            yield f"rule {name} is switched on"
        for name in sorted(self._rules):
            yield f"rule {name} has other parameters: its alarms go on and are judged by them"
        if self._is_retimed:
            yield "brokers or their timing changed"
        elif not self.is_same_site:
            yield "what the site file says of the site changed"

    def _changes(self) -> Iterator[str]:
        for tenant, parts in self._changed.items():
            if parts:
                kept = "goes on" if self.is_integrated_alike(tenant) else "begins anew"
                words = ", ".join(WORDS[part] for part in parts)
                yield f"of tenant {tenant} changed: {words}; its open block {kept}"


def _changes(times: Sequence[int], values: Sequence[object]) -> list[tuple[int, object]]:
    """Return what holds at first, and what else holds from which later time on [ms]."""
    later = [
        (time, value)
        for time, (before, value) in zip(times[1:], pairwise(values), strict=True)
        if value != before
    ]
    return [(0, values[0]), *later]


def _version(version: Version | None) -> Version | None:
    return version and replace(version, meters=tuple(sorted(version.meters)))


def _boundary(version: Version | None) -> tuple[object, ...]:
    return () if version is None else (version.boundary, sorted(version.meters), version.loss_ppm)


def _measure(version: Version | None) -> tuple[object, ...]:
    if version is None or not version.limit.binds_blocks:
        return ()
    limit = version.limit
    return (limit.method, limit.block_ms, limit.subinterval_ms if limit.method is Method.ROLLING else 0)


def _hash(*content: object) -> str:
    return hashlib.blake2b(repr(content).encode(), digest_size=10).hexdigest()
