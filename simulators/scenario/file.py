"""Reading a scenario file: all of its faults at once, or the scenario.

A file says what a site is, or has one made of a few figures; what runs on it, what happens to it, what goes
wrong on the way to the monitor; and which alarms must be raised. Everything is checked that can be before
it runs: names against what is there, times against its length, strengths and ratings against what can be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from facility.errors import Fault, SiteFileError
from facility.instants import SECOND_MS
from facility.names import OPERATOR, nearest
from facility.sitefile.notes import Notes
from facility.sitefile.reader import SiteFile, read_site
from facility.sitefile.tablereader import read_table, show
from facility.sitefile.tables import Table
from formats.dsx import BUILDING_SYSTEM
from simulators.model.layouts import Shape, site_text
from simulators.model.ratings import RackRating, Rating, WiringError
from simulators.model.wiring import FEED_LETTERS, Wiring, wire
from simulators.scenario.between import breaks_of, faults_of, metering_of
from simulators.scenario.build import Names, events_of, jobs_of, names_of, ratings_of
from simulators.scenario.checks import check_commitments, check_times
from simulators.scenario.expected import expectations_of, prohibitions_of, waiting_of
from simulators.scenario.scenario import Scenario
from simulators.scenario.tables import (
    BreakTable,
    CaptionTable,
    ClockTable,
    EventTable,
    FaultTable,
    HeadTable,
    InstrumentTable,
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
from simulators.wire.pointbuild import PLANT_AGENT, RACK_AGENT
from simulators.wire.points import Catalogue

FOLDER: Final = Path(__file__).parent / "scenarios"
"""Where the scenarios are that come with the product."""

BROKER: Final = (
    '[[broker]]\nurl = "mqtt://127.0.0.1:1883"\nformat = "{wire}"\n'
    f'publishers = ["{BUILDING_SYSTEM}", "{RACK_AGENT}", "{PLANT_AGENT}"]\n'
)
"""The bus of a site that a layout makes."""

_MANY: Final[Mapping[str, type[Table]]] = {
    "lease": LeaseTable,
    "rating": RatingTable,
    "load": LoadTable,
    "event": EventTable,
    "fault": FaultTable,
    "instrument": InstrumentTable,
    "clock": ClockTable,
    "break": BreakTable,
    "caption": CaptionTable,
    "must": MustTable,
    "must_not": MustNotTable,
    "waits_for": WaitsTable,
}
_ONE: Final[Mapping[str, type[Table]]] = {"layout": LayoutTable, "metering": MeteringTable}
_STAND_INS: Final = {"begin": date(2026, 6, 1), "seconds": 366 * 86_400}
_TableType = TypeVar("_TableType", bound=Table)


def shipped() -> dict[str, Path]:
    """Return the scenarios that come with the product, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def read_scenario(
    text: str, name: str = "scenario", *, rules: Collection[str] = (), folder: Path | None = None
) -> Scenario:
    """Read a scenario.

    Args:
        text: Content of the file, TOML.
        name: What it is called, in faults too.
        rules: The rules that there are, with which expectations are checked; nothing is if empty.
        folder: Where recorded loads lie, if they are named without a folder; None for where we are.

    Raises:
        SiteFileError: Where it has faults; the error holds all of them.
    """
    return _Reader(text, name, rules, folder or Path()).read()


class _Reader:
    """Reads one file."""

    def __init__(self, text: str, name: str, rules: Collection[str], folder: Path) -> None:
        self._folder = folder
        self._text = text
        self._name = name
        self._rules = rules
        self._faults: list[Fault] = []
        self._tables: dict[str, list[tuple[str, Table]]] = {}

    def read(self) -> Scenario:
        document = self._parse()
        head = self._read_head(self._head(document))
        for key, model in _MANY.items():
            self._tables[key] = self._array(document.get(key, []), model, key)
        layout = read_table(document.get("layout", {}), LayoutTable, "layout", self._faults)
        metering = read_table(document.get("metering", {}), MeteringTable, "metering", self._faults)
        if head is None or layout is None or metering is None:
            raise SiteFileError(self._name, tuple(self._faults))
        site_file_text = head.site or self._laid_out(layout, head)
        site = self._site(site_file_text)
        if site is None:
            self._check_without_site(head, metering)
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
        """Return what stands before the first table; an unknown table is a fault."""
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

    def _read_head(self, written: dict[str, Any]) -> HeadTable | None:
        """Read the head; where needed parts of it are wrong, others stand in, to check the rest against."""
        head = read_table(written, HeadTable, self._name, self._faults)
        if head is not None:
            return head
        wrong = [key for key in _STAND_INS if not Notes(self._faults).could_read(f"{self._name}.{key}")]
        return read_table(written | {key: _STAND_INS[key] for key in wrong}, HeadTable, self._name, [])

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
        if head.queued_messages is not None:
            text += f"queued_messages = {head.queued_messages}\n"
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
        begin_ms = notes.instant("begin", head.begin) // SECOND_MS * SECOND_MS
        ratings, rack_ratings = ratings_of(self._of("rating", RatingTable), names, site.site, notes)
        wiring = self._wiring(site, ratings, rack_ratings)
        points = self._catalogue(head, metering, wiring)
        loads, events = self._of("load", LoadTable), self._of("event", EventTable)
        jobs = jobs_of(loads, names, site.site, wiring, self._open, notes)
        check_times([*loads, *events, *self._of("caption", CaptionTable)], head.seconds, notes)
        check_commitments(site.site, (begin_ms, begin_ms + head.seconds * SECOND_MS), notes)
        subjects = Names((*names.known, site.site.name, OPERATOR, "site", *FEED_LETTERS))
        return Scenario(
            name=self._name,
            proves=head.proves,
            site_text=site_file_text,
            site=site,
            begin_ms=begin_ms,
            seconds=head.seconds,
            seed=head.seed,
            wire=head.wire,
            qos=head.qos,
            ratings=ratings,
            rack_ratings=rack_ratings,
            metering=metering_of(
                metering,
                self._of("instrument", InstrumentTable),
                self._of("clock", ClockTable),
                points,
                notes,
            ),
            jobs=jobs,
            events=events_of(events, names, wiring, jobs, notes),
            faults=faults_of(self._of("fault", FaultTable), points, head.seconds, begin_ms, notes),
            breaks=breaks_of(self._of("break", BreakTable), head.seconds, notes),
            captions={table.at_s: table.text for _, table in self._of("caption", CaptionTable)},
            must=expectations_of(self._of("must", MustTable), head.seconds, self._rules, subjects, notes),
            must_not=prohibitions_of(self._of("must_not", MustNotTable), self._rules, subjects, notes),
            waits_for=waiting_of(self._of("waits_for", WaitsTable), self._rules, subjects, notes),
        )

    def _check_without_site(self, head: HeadTable, metering: MeteringTable) -> None:
        """Find what is wrong with times, amounts and rules where the site cannot be read."""
        notes, seconds = Notes(self._faults), head.seconds
        loads, events = self._of("load", LoadTable), self._of("event", EventTable)
        check_times([*loads, *events, *self._of("caption", CaptionTable)], seconds, notes)
        metering_of(
            metering, self._of("instrument", InstrumentTable), self._of("clock", ClockTable), None, notes
        )
        faults_of(self._of("fault", FaultTable), None, seconds, 0, notes)
        breaks_of(self._of("break", BreakTable), seconds, notes)
        expectations_of(self._of("must", MustTable), seconds, self._rules, None, notes)
        prohibitions_of(self._of("must_not", MustNotTable), self._rules, None, notes)
        waiting_of(self._of("waits_for", WaitsTable), self._rules, None, notes)

    def _open(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8-sig")

    def _wiring(
        self, site: SiteFile, ratings: Mapping[str, Rating], rack_ratings: Mapping[str, RackRating]
    ) -> Wiring | None:
        """Wire the site up; where what is said of equipment is impossible, as if it were not said."""
        for said, of_racks in ((ratings, rack_ratings), ({}, {})):
            try:
                return wire(site.site, ratings=said, rack_ratings=of_racks)
            except WiringError as error:
                self._faults += [fault for fault in error.faults if fault not in self._faults]
        return None

    def _catalogue(self, head: HeadTable, metering: MeteringTable, wiring: Wiring | None) -> Catalogue | None:
        """Return the points of the plant, where anything is said of some."""
        if wiring is None or not any(self._tables[key] for key in ("fault", "instrument", "clock")):
            return None
        samples = metering.sampling == "instant"
        make = document_catalogue if head.wire == "rack-documents" else catalogue
        return make(wiring, samples=samples)


def open_scenario(name: str, *, rules: Collection[str] = ()) -> Scenario:
    """Read a scenario: one that comes with the product, by its name, or a file.

    Args:
        name: Name of a scenario that comes with the product, or path of a file.
        rules: Names of the rules that there are.

    Raises:
        SiteFileError: Where it cannot be found or has faults.
    """
    known = shipped()
    path = known.get(name, Path(name))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        expected = f"a scenario file, or one of {', '.join(known)}"
        fault = Fault(path=name, expected=expected, found=reason, hint=nearest(name, known))
        raise SiteFileError(name, (fault,)) from error
    return read_scenario(text, path.stem, rules=rules, folder=path.parent)
