"""Reading a scenario file: all of its faults at once, or the scenario.

A file says what a site is, or has one made of a few figures; what runs on it, what happens to it, what goes
wrong on the way to whoever listens; and which alarms must be raised. Everything is checked that can be before
it runs: names against what is there, times against its length, strengths and ratings against what can be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from facility.errors import Fault, SiteFileError
from facility.names import nearest
from facility.sitefile import SiteFile, read_site
from facility.sitenotes import Notes
from facility.sitetables import Table
from facility.tablereading import read_table, show
from simulators.model.layouts import Shape, site_text
from simulators.model.ratings import Rating, WiringError
from simulators.model.wiring import Wiring, wire
from simulators.scenario.build import events_of, expectations_of, jobs_of, names_of, ratings_of
from simulators.scenario.scenario import Break, FaultSpec, Metering, Prohibition, Scenario, Waiting
from simulators.scenario.tables import (
    BreakTable,
    CaptionTable,
    EventTable,
    FaultTable,
    HeadTable,
    LayoutTable,
    LeaseTable,
    LoadTable,
    MeteringTable,
    MustNotTable,
    MustTable,
    RatingTable,
    WaitsTable,
)
from simulators.wire.catalogue import catalogue
from simulators.wire.documents import document_catalogue
from simulators.wire.faults import FAULTS
from simulators.wire.rows import MOST_FAULTS

FOLDER: Final = Path(__file__).parent / "scenarios"
"""Where the scenarios are that come with the product."""

BROKER: Final = '[[broker]]\nurl = "mqtt://127.0.0.1:1883"\nformat = "{wire}"\n'
"""The bus of a site that a layout makes."""

_MANY: Final[Mapping[str, type[Table]]] = {
    "lease": LeaseTable,
    "rating": RatingTable,
    "load": LoadTable,
    "event": EventTable,
    "fault": FaultTable,
    "break": BreakTable,
    "caption": CaptionTable,
    "must": MustTable,
    "must_not": MustNotTable,
    "waits_for": WaitsTable,
}
_ONE: Final[Mapping[str, type[Table]]] = {"layout": LayoutTable, "metering": MeteringTable}
_TableType = TypeVar("_TableType", bound=Table)


def shipped() -> dict[str, Path]:
    """Return the scenarios that come with the product, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def read_scenario(text: str, name: str = "scenario", *, rules: Collection[str] = ()) -> Scenario:
    """Read a scenario.

    Args:
        text: The file's text.
        name: What it is called, in faults too.
        rules: The rules that there are, with which expectations are checked; nothing is if empty.

    Raises:
        SiteFileError: Where it has faults; the error holds all of them.
    """
    return _Reader(text, name, rules).read()


class _Reader:
    """Reads one file."""

    def __init__(self, text: str, name: str, rules: Collection[str]) -> None:
        self._text = text
        self._name = name
        self._rules = rules
        self._faults: list[Fault] = []
        self._tables: dict[str, list[tuple[str, Table]]] = {}

    def read(self) -> Scenario:
        document = self._parse()
        head = read_table(self._head(document), HeadTable, self._name, self._faults)
        for key, model in _MANY.items():
            self._tables[key] = self._array(document.get(key, []), model, key)
        layout = read_table(document.get("layout", {}), LayoutTable, "layout", self._faults)
        metering = read_table(document.get("metering", {}), MeteringTable, "metering", self._faults)
        if head is None or layout is None or metering is None:
            raise SiteFileError(self._name, tuple(self._faults))
        site_file_text = head.site or self._laid_out(layout, head)
        site = self._site(site_file_text)
        if site is None:
            raise SiteFileError(self._name, tuple(self._faults))
        scenario = self._scenario(head, metering, site, site_file_text)
        if self._faults:
            raise SiteFileError(self._name, tuple(self._faults))
        return scenario

    # The document -----------------------------------------------------------------------

    def _parse(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, RecursionError, ArithmeticError, ValueError) as error:
            fault = Fault(path="file", expected="a TOML document", found=str(error))
            raise SiteFileError(self._name, (fault,)) from error

    def _head(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return what stands before the first table; a table that nobody knows is a fault."""
        tables = [*_ONE, *_MANY]
        head: dict[str, Any] = {}
        for key, value in document.items():
            if key in tables:
                continue
            is_table = isinstance(value, dict | list)
            if is_table:
                expected, hint = f"one of the tables {', '.join(tables)}", nearest(key, tables)
                self._faults.append(Fault(path=key, expected=expected, found=f"'{key}'", hint=hint))
            else:
                head[key] = value
        return head

    def _array(self, value: object, model: type[Table], key: str) -> list[tuple[str, Table]]:
        if not isinstance(value, list):
            self._faults.append(Fault(path=key, expected=f"tables, written [[{key}]]", found=show(value)))
            return []
        read = (
            (f"{key}[{i}]", read_table(row, model, f"{key}[{i}]", self._faults))
            for i, row in enumerate(value)
        )
        return [(path, table) for path, table in read if table is not None]

    def _of(self, key: str, model: type[_TableType]) -> list[tuple[str, _TableType]]:
        return [(path, table) for path, table in self._tables[key] if isinstance(table, model)]

    # The site ---------------------------------------------------------------------------

    def _laid_out(self, layout: LayoutTable, head: HeadTable) -> str:
        leases = [table for _, table in self._of("lease", LeaseTable)]
        held = sum(lease.racks for lease in leases)
        if held > layout.racks:
            expected = f"leases of at most {layout.racks} racks in all"
            self._faults.append(Fault(path="lease", expected=expected, found=str(held)))
            leases = []
        shape = Shape(
            racks=layout.racks,
            rating_kw=layout.rating_kw,
            racks_per_row=layout.racks_per_row,
            rows_per_group=layout.rows_per_group,
            scheme=layout.scheme,
            name=layout.name,
            timezone=layout.timezone,
            leases=(),
        )
        text = site_text(shape) + BROKER.format(wire=head.wire)
        first = 0
        for lease in leases:
            racks = ", ".join(f'"{rack}"' for rack in shape.rack_ids[first : first + lease.racks])
            text += f'[[tenant]]\nid = "{lease.id}"\nholds = [{{ racks = [{racks}], from = 2026-01-01 }}]\n'
            for version in lease.contract.split("---"):
                text += f"[[tenant.contract]]\n{version.strip()}\n"
            first += lease.racks
        return f"{text}{head.engine}\n{head.rules}\n"

    def _site(self, text: str) -> SiteFile | None:
        try:
            site = read_site(text, f"{self._name}: site")
        except SiteFileError as error:
            self._faults += error.faults
            return None
        if not site.brokers:
            self._faults.append(Fault(path="site.broker", expected="a bus to publish on", found="none"))
        return site

    # The scenario -----------------------------------------------------------------------

    def _scenario(
        self, head: HeadTable, metering: MeteringTable, site: SiteFile, site_file_text: str
    ) -> Scenario:
        notes = Notes(self._faults, zone=site.site.zone)
        names = names_of(site.site)
        ratings = ratings_of(self._of("rating", RatingTable), names, notes)
        wiring = self._wiring(site, ratings)
        jobs = jobs_of(self._of("load", LoadTable), names, site.site, wiring, notes)
        events = events_of(self._of("event", EventTable), names, wiring, jobs, notes)
        return Scenario(
            name=self._name,
            proves=head.proves,
            site_text=site_file_text,
            site=site,
            begin_ms=notes.instant(head.begin) // 1_000 * 1_000,
            seconds=head.seconds,
            seed=head.seed,
            wire=head.wire,
            qos=head.qos,
            ratings=ratings,
            metering=Metering(**{key: getattr(metering, key) for key in MeteringTable.model_fields}),
            jobs=jobs,
            events=events,
            faults=self._fault_specs(head, wiring, notes),
            breaks=self._breaks(head, notes),
            captions={table.at_s: table.text for _, table in self._of("caption", CaptionTable)},
            must=expectations_of(self._of("must", MustTable), head.seconds, self._rules, notes),
            must_not=tuple(
                Prohibition(rule=table.rule, subject=table.subject, why=table.why)
                for _, table in self._of("must_not", MustNotTable)
            ),
            waits_for=tuple(self._waiting(path, table) for path, table in self._of("waits_for", WaitsTable)),
        )

    def _wiring(self, site: SiteFile, ratings: Mapping[str, Rating]) -> Wiring | None:
        try:
            return wire(site.site, ratings=ratings)
        except WiringError as error:
            self._faults += error.faults
            return None

    def _fault_specs(self, head: HeadTable, wiring: Wiring | None, notes: Notes) -> tuple[FaultSpec, ...]:
        tables = self._of("fault", FaultTable)
        if len(tables) > MOST_FAULTS:
            notes.fault("fault", f"at most {MOST_FAULTS} faults", str(len(tables)))
        found = None
        if wiring is not None and tables:
            found = document_catalogue(wiring) if head.wire == "rack-documents" else catalogue(wiring)
        known: set[str] = set()
        if found is not None:
            known = {*found.assets, *(g.name for g in found.gateways), *(g.publisher for g in found.gateways)}
        specs = []
        for path, table in tables:
            kind = FAULTS[table.kind]
            strength = kind.usual if table.strength is None else table.strength
            if kind.unit and not kind.least <= strength <= kind.most:
                notes.fault(
                    f"{path}.strength", f"{kind.least:g} to {kind.most:g} ({kind.unit})", f"{strength:g}"
                )
            self._check_span(path, table.from_s, table.to_s, head, notes)
            scope = names_of(known).expanded(f"{path}.scope", table.scope, notes) if known else ()
            spec = FaultSpec(
                kind=table.kind,
                from_s=table.from_s,
                to_s=table.to_s,
                scope=scope,
                point_type=table.point_type,
                strength=strength,
            )
            if found is not None and not len(found.find(scope, table.point_type)):
                types = sorted({str(tag.metadata.get("pointType", "")) for tag in found.tags})
                notes.unknown(f"{path}.point_type", "a point type of its scope", table.point_type, types)
            specs.append(spec)
        return tuple(specs)

    def _breaks(self, head: HeadTable, notes: Notes) -> tuple[Break, ...]:
        found = []
        for path, table in self._of("break", BreakTable):
            self._check_span(path, table.from_s, table.to_s, head, notes)
            found.append(Break(kind=table.kind, from_s=table.from_s, to_s=table.to_s))
        return tuple(sorted(found, key=lambda item: item.from_s))

    @staticmethod
    def _check_span(path: str, from_s: int, to_s: int, head: HeadTable, notes: Notes) -> None:
        if to_s <= from_s:
            notes.fault(f"{path}.to_s", f"a second after {from_s}", str(to_s))
        if from_s >= head.seconds:
            notes.fault(f"{path}.from_s", f"a second of the {head.seconds} that it lasts", str(from_s))

    def _waiting(self, path: str, table: WaitsTable) -> Waiting:
        if table.rule in self._rules:
            expected = "a rule that does not exist yet; else [[must]]"
            self._faults.append(Fault(path=f"{path}.rule", expected=expected, found=f"'{table.rule}'"))
        return Waiting(rule=table.rule, subject=table.subject, why=table.why)


def open_scenario(name: str, *, rules: Collection[str] = ()) -> Scenario:
    """Read a scenario: one that comes with the product, by its name, or a file.

    Args:
        name: The name or the path.
        rules: The rules that there are.

    Raises:
        SiteFileError: Where it can not be found or has faults.
    """
    known = shipped()
    path = known.get(name, Path(name))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        expected = f"a scenario file, or one of {', '.join(known)}"
        fault = Fault(path=name, expected=expected, found=reason, hint=nearest(name, known))
        raise SiteFileError(name, (fault,)) from error
    return read_scenario(text, path.stem, rules=rules)
