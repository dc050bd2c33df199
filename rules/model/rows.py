"""Rows of tables: the subjects of a kind, what measures each, what it is rated, and what hangs on it.

Made of the site file and of what the bus describes; it lasts until either says something new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from facility.contracts import PPM
from facility.graph import Graph
from facility.kinds import BREAKER, COOLANT_UNIT, ELECTRICAL, METER, PLACES, SENSOR
from facility.names import OPERATOR, AssetId, path_of
from facility.points import Point
from facility.quantities import QUANTITIES
from facility.readings import BoolArray, FloatArray
from facility.site import Site
from facility.units import Dimension
from formats.dsx import REQUESTS, SET_POINTS
from rules.draw.summation_plan import NOBODY_SHARES, UNMETERED, Index, Sharing, in_a_row
from rules.model.balance import Balance, balance_of
from rules.model.dates import stage_settings, stages_of
from rules.model.failover import Failover, failover_of
from rules.model.powerpath import PowerPath
from rules.subject import OF_NO_ASSET, SubjectKind
from rules.view import KILOWATT

DRAW: Final = "draw"
"""The quantity of a rack that its own meter measures, or its feeds', or the meters that serve it [kW].

Of a rack whose meters serve others as well it is between nothing and what they measure."""
SHARED: Final = "draw of all behind its meters"
"""The quantity of such a rack that these meters measure; nothing measures it of others [kW]."""
SUPPLY: Final = "meter.power.active"
"""The quantity of the site that its supply meters measure together [kW]."""
PHASES: Final = 3
"""Phases of a three-phase line."""
_FEW: Final = 8
"""Looking up the row of each of some points is faster than folding all rows for one in so many of them."""

_WITH_ERRORS: Final = frozenset({Dimension.POWER, Dimension.CURRENT, Dimension.ENERGY})
"""What class errors of electricity meters are about."""


@dataclass(frozen=True, slots=True)
class Links:
    """For each row, rows of another table.

    Attributes:
        members: These rows, one row's after the other's, shape (members,).
        starts: Where those of each row begin among them, shape (rows + 1,): the last is their count.
    """

    members: Index
    starts: Index

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | Index]) -> Links:
        """Return the links of rows, given as the members of each."""
        members, starts = in_a_row(rows)
        return cls(members, np.append(starts, len(members)))

    def __getitem__(self, row: int) -> Index:
        return self.members[self.starts[row] : self.starts[row + 1]]

    def all_have(self, flags: BoolArray, *, of_none: bool) -> BoolArray:
        """Return for which rows a flag holds of every member.

        Args:
            flags: The flag of each row of the other table.
            of_none: What is returned for a row without members.
        """
        lacking = np.concatenate(([0], np.cumsum(~flags[self.members])))
        begin, end = self.starts[:-1], self.starts[1:]
        have: BoolArray = lacking[end] == lacking[begin]
        return have if of_none else have & (end > begin)


@dataclass(frozen=True, slots=True)
class Trios:
    """The three phases of a line of rows, one line each.

    Attributes:
        rows: The rows that have one, ascending, shape (trios,).
        places: The places of its points among those of the column, shape (trios, 3).
    """

    rows: Index
    places: Index

    def take(self, rows: Index, moved: Index) -> Trios:
        """Return those of some rows.

        Args:
            rows: The rows that are taken.
            moved: By how many places the points of each of them are moved.
        """
        order = np.argsort(rows)
        among = np.minimum(np.searchsorted(rows[order], self.rows), len(rows) - 1)
        at = order[among]
        is_taken = rows[at] == self.rows
        return Trios(at[is_taken], self.places[is_taken] + moved[at[is_taken], None])


@dataclass(frozen=True, slots=True)
class Column:
    """What measures one quantity of each row; several points where it has several phases or areas.

    Attributes:
        points: The points, one row's after the other's, -1 for a row without one, shape (members,).
        starts: Where those of each row begin, shape (rows,).
        missing: Places among them that have no point.
        is_single: Whether each row has one.
        at_least: What flows at least for one that is read, by the class error, shape (members,); None for 1.
        at_most: What flows at most.
        trios: The first three points of three phases of each row, then the second and so on.
    """

    points: Index
    starts: Index
    missing: Index
    is_single: bool
    at_least: FloatArray | None
    at_most: FloatArray | None
    trios: tuple[Trios, ...] = ()

    def rows_of(self, is_new: BoolArray) -> Index:
        """Return the rows of which a flag holds of any point.

        Args:
            is_new: The flag of each point, shape (points,); of a row without one it does not matter.
        """
        flags = is_new[self.points]
        members = np.flatnonzero(flags)
        if self.is_single:
            return members
        if len(members) > len(self.starts) // _FEW:
            return np.flatnonzero(np.logical_or.reduceat(flags, self.starts))
        rows = np.searchsorted(self.starts, members, side="right") - 1
        return rows[np.diff(rows, prepend=-1) > 0]

    def take(self, rows: Index) -> Column:
        """Return what measures some of the rows."""
        places, starts = rows, np.arange(len(rows))
        if not self.is_single:
            is_last = rows == len(self.starts) - 1
            ends = np.where(is_last, len(self.points), self.starts[np.where(is_last, 0, rows + 1)])
            sizes = ends - self.starts[rows]
            starts = np.cumsum(sizes) - sizes
            places = np.arange(sizes.sum()) + np.repeat(self.starts[rows] - starts, sizes)
        points = self.points[places]
        return Column(
            points,
            starts,
            np.flatnonzero(points == UNMETERED) if len(self.missing) else self.missing,
            is_single=self.is_single,
            at_least=None if self.at_least is None else self.at_least[places],
            at_most=None if self.at_most is None else self.at_most[places],
            trios=tuple(trios.take(rows, starts - self.starts[rows]) for trios in self.trios),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Which points of an asset are meant, where it has several of a quantity.

    Attributes:
        within: Words that must each stand in the area of the point, such as `secondary`, in small letters.
        without: Words that may not.
        is_target: Whether its set points are meant instead of what is measured.
        point_type: What the publisher calls the measurement; "" for anything.
        kind: Kind of the assets that are meant, of those that serve the row's asset directly; "" for itself.
        is_around: Whether sensors and places that serve it, and those of these places, are meant as well.
    """

    within: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    is_target: bool = False
    point_type: str = ""
    kind: str = ""
    is_around: bool = False

    def __str__(self) -> str:
        """Return it in words that differ where places do: saved windows are found again by them."""
        words = ("its set point" * self.is_target, "around it" * self.is_around, self.point_type, self.kind)
        areas = (
            f"in {' '.join(self.within)}" * bool(self.within),
            f"not in {' '.join(self.without)}" * bool(self.without),
        )
        return " ".join(filter(None, (*words, *areas)))

    def has(self, point: Point) -> bool:
        """Tell whether a point is meant, by what it says of itself."""
        area = " ".join(point.area).lower()
        return (
            (not self.point_type or point.point_type == self.point_type)
            and all(word in area for word in self.within)
            and not any(word in area for word in self.without)
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """The points of one quantity of each row, one line of all its feeds after the other.

    Attributes:
        order: The places of the points among those of the column, shape (members,).
        starts: Where the points of each line begin among them, shape (lines,).
        rows: Where the lines of each row begin, shape (rows,).
        lacking: Rows of racks of which some feed has no point, shape (lacking,).
    """

    order: Index
    starts: Index
    rows: Index
    lacking: Index


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table.

    Attributes:
        kind: What each row is.
        ids: The identity of each.
        assets: The asset that each belongs to, "" for none.
        columns: What measures each quantity of them, by the quantity.
        settings: What each is rated or set to, by the name; NaN where nothing is said.
        racks: The racks that each serves or is, as rows of the racks' table.
    """

    kind: SubjectKind
    ids: tuple[str, ...]
    assets: tuple[str, ...]
    columns: Mapping[str, Column]
    settings: Mapping[str, FloatArray]
    racks: Links


_Members = dict[str, tuple[str, list[int]]]
"""Rows by their identity: the asset of each, and its points."""


class Topology:
    """Everything that rows of tables are made of.

    Args:
        site: What the site file declares.
        graph: The power and cooling graph.
        points: Every known point, by its number.
        quantities: The quantities that rules judge.
        racks: Every rack, in the order of its table, with the points that tell its power.
        sharing: Racks whose points tell the power of others as well.

    Attributes:
        measured: The quantities that any of these points measures, of those that rules judge.
        sharing: The racks of each group that share all that feeds them, as rows of the racks' table.
    """

    def __init__(
        self,
        site: Site,
        graph: Graph,
        points: Mapping[int, Point],
        quantities: frozenset[str],
        racks: Mapping[AssetId, tuple[int, ...]],
        sharing: Sharing = NOBODY_SHARES,
    ) -> None:
        self._site = site
        self._graph = graph
        self._racks = racks
        self._rack_row = {rack: row for row, rack in enumerate(racks)}
        self._shares = np.array([rack in sharing.parts for rack in racks], np.bool_)
        self.sharing = Links.of([[self._rack_row[rack] for rack in group] for group in sharing.groups])
        self._all_points = points
        self._points = {
            number: point
            for number, point in sorted(points.items())
            if point.quantity in quantities and not _is_asked(point) and not point.is_withdrawn
        }
        self._targets = {number: point for number, point in points.items() if _is_target(point)}
        self.measured = frozenset(point.quantity for point in self._points.values())
        self._of_asset: dict[AssetId, list[int]] = defaultdict(list)
        for number, point in self._points.items():
            self._of_asset[point.asset].append(number)
        self._made: dict[SubjectKind, Rows] = {}
        self._asset_of: dict[SubjectKind, dict[str, str]] = {}
        self._beneath: dict[AssetId, list[int]] | None = None
        self._above: dict[AssetId, frozenset[AssetId]] = {}
        self._parents: dict[AssetId, list[AssetId]] | None = None
        self._power: PowerPath | None = None
        self._failover: Failover | None = None
        self._balance: Balance | None = None
        self._tolerances: dict[SubjectKind, FloatArray] = {}
        self._lines: dict[tuple[SubjectKind, str], Lines] = {}
        self._at: dict[tuple[SubjectKind, str, Place], Column | None] = {}
        self._targets_of: dict[AssetId, list[int]] | None = None
        self._of_kinds: dict[tuple[SubjectKind, str], BoolArray] = {}
        self._nearest: dict[SubjectKind, Links] = {}
        self._rack_rows: dict[SubjectKind, Index] = {}
        self._sensed_by: dict[AssetId, Sequence[AssetId]] = {}

    def rows(self, kind: SubjectKind) -> Rows:
        """Return the rows of a kind."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        return self._made[kind]

    def serving(self, asset: AssetId) -> frozenset[AssetId]:
        """Return everything that serves an asset, directly or not, with power or cooling."""
        if asset not in self._above:
            found: set[AssetId] = set()
            stack = list(self.served_by(asset))
            while stack:
                node = stack.pop()
                if node not in found:
                    found.add(node)
                    stack += self.served_by(node)
            self._above[asset] = frozenset(found)
        return self._above[asset]

    def about(self, kind: SubjectKind, subject: str) -> frozenset[str]:
        """Return the asset that a subject is or belongs to, with everything that serves it.

        Args:
            kind: What the subject is.
            subject: Its id.

        Returns:
            Ids of assets; none for a tenant, the site, or whatever else belongs to no asset.
        """
        if kind in OF_NO_ASSET:
            return frozenset()
        asset = self.asset_of(kind, subject)
        return frozenset({asset}) | self.serving(AssetId(asset))

    def asset_of(self, kind: SubjectKind, subject: str) -> str:
        """Return the asset that a subject belongs to, or its own id where it belongs to none."""
        if kind not in OF_NO_ASSET and kind in _MAKERS:
            if kind not in self._asset_of:
                rows = self.rows(kind)
                self._asset_of[kind] = dict(zip(rows.ids, rows.assets, strict=True))
            return self._asset_of[kind].get(subject, subject)
        return subject

    def served_by(self, asset: AssetId) -> Sequence[AssetId]:
        """Return what serves an asset directly, with power or cooling."""
        if self._parents is None:
            self._parents = self._graph.parents(electrical=True)
            for child, cooling in self._graph.parents(electrical=False).items():
                self._parents[child] = [*self._parents.get(child, ()), *cooling]
        return self._parents.get(asset, ())

    def without_supply(self, dead: Sequence[AssetId]) -> BoolArray:
        """Return which racks have no feed left where some nodes are dead, shape (racks,).

        Args:
            dead: The power nodes that have no voltage.
        """
        found = np.zeros(len(self._racks), np.bool_)
        if dead:
            lost, parents = self.power.lost_with(dead), self.power.parents
            for row, rack in enumerate(self._racks):
                # A feed that nobody described may be alive.
                is_whole = len(parents.get(rack, ())) >= self._site.rack(rack).feeds
                found[row] = is_whole and lost.issuperset(parents[rack])
        return found

    def failover(self, rows: Rows) -> Failover:
        """Return which racks would move to which circuits, of rows that are circuits."""
        if self._failover is None:
            circuits = {AssetId(asset): row for row, asset in enumerate(rows.assets)}
            self._failover = failover_of(self.power, circuits, self._rack_row, self._feeds)
        return self._failover

    def nearest(self, rows: Rows) -> Links:
        """Return the racks of each row that no other row beneath it serves: of a chain, the lowest."""
        if rows.kind not in self._nearest:
            row_of = {AssetId(asset): row for row, asset in enumerate(rows.assets)}
            farther: dict[int, set[int]] = defaultdict(set)
            for asset, row in row_of.items():
                for above in self.serving(asset) & row_of.keys():
                    if asset not in self.serving(above):
                        farther[row_of[above]].update(rows.racks[row].tolist())
            own = [
                [rack for rack in rows.racks[row].tolist() if rack not in farther[row]]
                for row in range(len(rows.assets))
            ]
            self._nearest[rows.kind] = Links.of(own) if any(farther.values()) else rows.racks
        return self._nearest[rows.kind]

    def balance(self, rows: Rows) -> Balance:
        """Return which nodes can be balanced, of rows that are power nodes."""
        if self._balance is None:
            metered = {
                AssetId(asset): row
                for row, asset in enumerate(rows.assets)
                if any(self._points[n].is_boundary for n in self._of_asset.get(AssetId(asset), ()))
            }
            self._balance = balance_of(self.power, metered, self._rack_row, self._feeds, len(rows.assets))
        return self._balance

    def tolerance(self, rows: Rows) -> FloatArray:
        """Return the error that is assumed of each row's meter, as a share: 0 where its class is given."""
        if rows.kind not in self._tolerances:
            assumed, error_ppm = self._site.meter_tolerance_percent / 100, self._site.error_ppm
            errors = [assumed if error_ppm(AssetId(asset)) is None else 0.0 for asset in rows.assets]
            self._tolerances[rows.kind] = np.array(errors, np.float64)
        return self._tolerances[rows.kind]

    def at(self, rows: Rows, quantity: str, place: Place) -> Column | None:
        """Return what measures a quantity at a place of each row's asset; None where nothing does of any.

        Args:
            rows: Rows that are an asset each.
            quantity: Name of a quantity that rules judge.
            place: Which of its points.
        """
        key = rows.kind, quantity, place
        if key not in self._at:
            found = [
                [
                    number
                    for part in self._parts_of(AssetId(asset), place)
                    for number in self._of(part, is_target=place.is_target)
                    if self._all_points[number].quantity == quantity and place.has(self._all_points[number])
                ]
                for asset in rows.assets
            ]
            self._at[key] = (
                self._column([numbers or [UNMETERED] for numbers in found], QUANTITIES[quantity].dimension)
                if any(found)
                else None
            )
        return self._at[key]

    def _parts_of(self, asset: AssetId, place: Place) -> Sequence[AssetId]:
        """Return the assets of which points at a place of an asset may be."""
        if place.is_around:
            return (asset, *self._around(asset))
        if not place.kind:
            return (asset,)
        return [part for part in self.served_by(asset) if self.kind_of(part) == place.kind]

    def _around(self, asset: AssetId) -> Sequence[AssetId]:
        """Return the sensors and the places that serve an asset, directly or by a place that does."""
        if asset not in self._sensed_by:
            self._sensed_by[asset] = ()  # for places that serve each other
            near = [part for part in self.served_by(asset) if self.kind_of(part) in _SENSING]
            places = [part for part in near if self.kind_of(part) in PLACES]
            found = [*near, *(part for place in places for part in self._around(place))]
            self._sensed_by[asset] = tuple(dict.fromkeys(found))
        return self._sensed_by[asset]

    def _of(self, asset: AssetId, *, is_target: bool) -> Sequence[int]:
        """Return the points of an asset, or its set points."""
        if not is_target:
            return self._of_asset.get(asset, ())
        if self._targets_of is None:
            self._targets_of = defaultdict(list)
            for number, point in sorted(self._targets.items()):
                self._targets_of[point.asset].append(number)
        return self._targets_of.get(asset, ())

    def lines(self, rows: Rows, quantity: str) -> Lines:
        """Return the points of a quantity of each row by the line that each is of, of racks or feeds."""
        if (rows.kind, quantity) not in self._lines:
            column = rows.columns[quantity]
            points = [None if n == UNMETERED else self._all_points[n] for n in column.points.tolist()]
            row_of = np.repeat(np.arange(len(rows.ids)), np.diff(np.append(column.starts, len(points))))
            phases = np.array(["" if point is None else point.phase for point in points])
            order = np.lexsort((phases, row_of))
            row_of, phases = row_of[order], phases[order]
            begins = np.append(True, (row_of[1:] != row_of[:-1]) | (phases[1:] != phases[:-1]))
            starts = np.flatnonzero(begins)
            feeds: dict[int, set[str]] = defaultdict(set)
            for place, row in zip(order.tolist(), row_of.tolist(), strict=True):
                if (point := points[place]) is not None:
                    feeds[row].add(point.feed)
            lacking = [
                row
                for row, found in feeds.items()
                if "" not in found and len(found) < self._site.rack(AssetId(rows.assets[row])).feeds
            ]
            self._lines[rows.kind, quantity] = Lines(
                order,
                starts,
                np.searchsorted(row_of[starts], np.arange(len(rows.ids))),
                np.array(lacking, np.intp),
            )
        return self._lines[rows.kind, quantity]

    def is_of(self, rows: Rows, kind: str) -> BoolArray:
        """Return which rows are assets of a kind."""
        if (rows.kind, kind) not in self._of_kinds:
            found = np.array([self.kind_of(asset) == kind for asset in rows.assets], np.bool_)
            self._of_kinds[rows.kind, kind] = found
        return self._of_kinds[rows.kind, kind]

    def rack_rows(self, rows: Rows) -> Index:
        """Return which rack the asset of each row is, as rows of the racks' table; -1 where it is none."""
        if rows.kind not in self._rack_rows:
            found = [self._rack_row.get(AssetId(asset), -1) for asset in rows.assets]
            self._rack_rows[rows.kind] = np.array(found, np.intp)
        return self._rack_rows[rows.kind]

    @property
    def _feeds(self) -> list[int]:
        """How many feeds each rack has."""
        return [self._site.rack(rack).feeds for rack in self._racks]

    @property
    def path_loss(self) -> float:
        """The most that is lost between a circuit and the racks beneath it, as a share."""
        return self._site.path_loss_percent / 100

    @property
    def power(self) -> PowerPath:
        """The power path."""
        if self._power is None:
            self._power = PowerPath(self._graph)
        return self._power

    def kind_of(self, asset: str) -> str:
        """Return the kind of an asset, "" where nobody described it."""
        known = self._graph.assets.get(AssetId(asset))
        return "" if known is None else known.kind

    # Making rows ----------------------------------------------------------------------

    def _make(self, kind: SubjectKind) -> Rows:
        members = _MAKERS[kind](self)
        assets = tuple(asset for asset, _ in members.values())
        columns = self._columns([numbers for _, numbers in members.values()])
        if kind in _OF_THREE_PHASES:
            columns = {name: replace(column, trios=self._trios(column)) for name, column in columns.items()}
        if kind is SubjectKind.RACK:
            columns |= self._draws()
        settings = self._settings(assets)
        if kind is SubjectKind.SITE:
            if SUPPLY in columns:
                columns[SUPPLY] = self._column([self._supply()], Dimension.POWER)
            grid = {} if self._site.grid is None else self._site.grid.settings()
            settings = {**settings, **{name: np.array([value]) for name, value in grid.items()}}
        if kind is SubjectKind.DATE:
            settings = stage_settings(self._site)
        return Rows(
            kind=kind,
            ids=tuple(members),
            assets=assets,
            columns=columns,
            settings=settings,
            racks=Links.of([self._racks_of(asset) for asset in assets]),
        )

    def _draws(self) -> dict[str, Column]:
        """Return the columns of what racks draw."""
        told = self._column([list(numbers) for numbers in self._racks.values()], Dimension.POWER)
        if not self._shares.any():
            return {DRAW: told}
        shares = np.repeat(self._shares, np.diff(np.append(told.starts, len(told.points))))
        ones = np.ones(len(told.points))
        at_least = np.where(shares, 0.0, ones if told.at_least is None else told.at_least)
        own = replace(told, at_least=at_least, at_most=ones if told.at_most is None else told.at_most)
        shared = [
            list(numbers) if is_shared else [UNMETERED]
            for numbers, is_shared in zip(self._racks.values(), self._shares.tolist(), strict=True)
        ]
        return {DRAW: own, SHARED: self._column(shared, Dimension.POWER)}

    def _columns(self, rows: Sequence[Sequence[int]]) -> dict[str, Column]:
        """Return a column for each quantity that any row has a point of."""
        points, starts = in_a_row(rows)
        row_of = np.repeat(np.arange(len(rows)), np.diff(np.append(starts, len(points))))
        codes: dict[str, int] = {}
        code = [codes.setdefault(self._points[number].quantity, len(codes)) for number in points.tolist()]
        order = np.argsort(np.array(code, np.int16), kind="stable")
        ends = np.cumsum(np.bincount(np.array(code, np.intp), minlength=len(codes)))
        return {
            quantity: self._column_of(points[part], row_of[part], len(rows), QUANTITIES[quantity].dimension)
            for quantity, part in zip(codes, np.split(order, ends[:-1]), strict=False)
        }

    def _column(self, rows: Sequence[Sequence[int]], dimension: Dimension) -> Column:
        """Return a column, given as the points of each row: at least one, which may be `UNMETERED`."""
        points, starts = in_a_row(rows)
        row_of = np.repeat(np.arange(len(rows)), np.diff(np.append(starts, len(points))))
        return self._column_of(points, row_of, len(rows), dimension)

    def _column_of(self, numbers: Index, row_of: Index, rows: int, dimension: Dimension) -> Column:
        """Return a column.

        Args:
            numbers: Its points, one row's after the other's, shape (points,).
            row_of: The row of each, shape (points,); a row that none is of has one `UNMETERED`.
            rows: How many rows there are.
            dimension: What the points measure.
        """
        counts = np.bincount(row_of, minlength=rows)
        sizes = np.maximum(counts, 1)
        starts = np.cumsum(sizes) - sizes
        points = np.full(sizes.sum(), UNMETERED, np.intp)
        points[starts[row_of] + np.arange(len(numbers)) - (np.cumsum(counts) - counts)[row_of]] = numbers
        at_least = at_most = None
        if dimension in _WITH_ERRORS and (errors := self._errors(points)).any():
            at_least, at_most = 1 / (1 + errors / PPM), 1 / np.maximum(1 - errors / PPM, 1e-9)
        missing = np.flatnonzero(points == UNMETERED)
        return Column(points, starts, missing, len(points) == rows, at_least, at_most)

    def _errors(self, points: Index) -> FloatArray:
        """Return the class error of the meter of each point [millionths], 0 where none is given."""
        errors = [
            0 if number == UNMETERED else self._site.error_ppm(self._all_points[number].asset) or 0
            for number in points.tolist()
        ]
        return np.array(errors, np.float64)

    def _trios(self, column: Column) -> tuple[Trios, ...]:
        """Return the three phases of each line of the rows: of an input and an output, each by its area."""
        found: list[list[tuple[int, list[int]]]] = []
        sizes = np.diff(np.append(column.starts, len(column.points)))
        for row in np.flatnonzero(sizes >= PHASES).tolist():
            start, lines = int(column.starts[row]), defaultdict[tuple[str, ...], list[int]](list)
            for place in range(start, start + int(sizes[row])):
                point = self._all_points[int(column.points[place])]
                lines[point.feed, *point.area].append(place)
            told = [places for places in lines.values() if self._is_trio(column, places)]
            everything = list(range(start, start + int(sizes[row])))
            if not told and self._is_trio(column, everything):
                told = [everything]
            for rank, places in enumerate(told):
                if rank == len(found):
                    found.append([])
                found[rank].append((row, places))
        return tuple(
            Trios(
                np.array([row for row, _ in some], np.intp), np.array([three for _, three in some], np.intp)
            )
            for some in found
        )

    def _is_trio(self, column: Column, places: Sequence[int]) -> bool:
        """Tell whether points are three of three phases."""
        phases = {self._all_points[int(column.points[place])].phase for place in places}
        return len(places) == len(phases) == PHASES and "" not in phases

    def _settings(self, assets: Sequence[str]) -> Mapping[str, FloatArray]:
        found: dict[str, FloatArray] = defaultdict(lambda: np.full(len(assets), np.nan))
        for row, asset in enumerate(assets):
            rack = self._site.rack(AssetId(asset)) if asset in self._rack_row else None
            if rack is not None and rack.rating_milliwatts is not None:
                found["rating_kw"][row] = rack.rating_milliwatts / KILOWATT
            for name, value in self._site.settings.get(AssetId(asset), _NOTHING).items():
                found[name][row] = value
        return dict(found)

    def _racks_of(self, asset: str) -> list[int]:
        """Return the racks that an asset serves, or that it is."""
        if asset in self._rack_row:
            return [self._rack_row[AssetId(asset)]]
        if self._beneath is None:
            self._beneath = defaultdict(list)
            for row, rack in enumerate(self._racks):
                for node in self.serving(rack):
                    self._beneath[node].append(row)
        return self._beneath.get(AssetId(asset), [])

    def _supply(self) -> list[int]:
        """Return the power point of each supply meter, `UNMETERED` for one that has none, or several."""
        found = []
        for meter in self._site.supply_meters:
            powers = [n for n in self._of_asset.get(meter, ()) if self._points[n].is_boundary]
            found.append(powers[0] if len(powers) == 1 else UNMETERED)
        return found

    def of_kinds(self, kinds: frozenset[str]) -> _Members:
        """Return the assets of some kinds, each with its points."""
        return {
            str(asset.id): (str(asset.id), self._of_asset.get(asset.id, []))
            for asset in self._graph.assets.values()
            if asset.kind in kinds
        }

    def of_racks(self) -> _Members:
        """Return every rack with its points."""
        return {str(rack): (str(rack), self._of_asset.get(rack, [])) for rack in self._racks}

    def circuits(self) -> _Members:
        """Return the nodes that have a rated current, by the site file or by the bus."""
        limited = {point.asset for point in self._points.values() if point.is_current_limit}
        return {
            str(asset.id): (str(asset.id), self._of_asset.get(asset.id, []))
            for asset in self._graph.assets.values()
            if asset.kind == BREAKER
            or asset.id in limited
            or "rated_a" in self._site.settings.get(asset.id, {})
        }

    def parts(self, name: Callable[[Point], str], kinds: frozenset[str] | None = None) -> _Members:
        """Return parts of assets, each with its points.

        Args:
            name: Which part of its asset a point is of, "" for none.
            kinds: Kinds of the assets; None for all.
        """
        found: _Members = {}
        for number, point in self._points.items():
            asset = self._graph.assets.get(point.asset)
            if kinds is not None and (asset is None or asset.kind not in kinds):
                continue
            part = name(point)
            if part:
                found.setdefault(f"{point.asset} {part}", (str(point.asset), []))[1].append(number)
        return found

    def registers(self) -> _Members:
        """Return every register of energy: of an asset, or of a feed, a phase or an area of it."""
        found: _Members = {}
        for number, point in self._points.items():
            if point.quantity == "energy.active":
                name = "/".join(part for part in (point.asset, point.feed, point.phase, *point.area) if part)
                found.setdefault(path_of(name), (str(point.asset), []))[1].append(number)
        return found

    def measuring(self, quantities: frozenset[str]) -> _Members:
        """Return the assets that have a point of some quantities, each with its points."""
        return {
            str(asset): (str(asset), numbers)
            for asset, numbers in self._of_asset.items()
            if any(self._points[number].quantity in quantities for number in numbers)
        }

    def of_site(self) -> _Members:
        """Return the site, with the points of its supply meters."""
        supply = [number for meter in self._site.supply_meters for number in self._of_asset.get(meter, [])]
        return {self._site.name: ("", supply)}

    def of_tenants(self) -> _Members:
        """Return the tenants, the operator's own load last; what each draws is no point."""
        return {
            name: ("", []) for name in (*(str(tenant.id) for tenant in self._site.tenants), str(OPERATOR))
        }

    def of_dates(self) -> _Members:
        """Return the stages of each date of a contract."""
        return {name: ("", []) for name in stages_of(self._site)}


def _is_asked(point: Point) -> bool:
    """Tell whether a point says what is to be, or what somebody asks for."""
    return point.is_setpoint or point.point_type in SET_POINTS or point.point_type in REQUESTS


def _is_target(point: Point) -> bool:
    """Tell whether a point is a set point that holds."""
    is_set = point.is_setpoint or point.point_type in SET_POINTS
    return is_set and point.point_type not in REQUESTS and not point.is_withdrawn


def _feed_of(point: Point) -> str:
    return f"feed {point.feed}" if point.feed else ""


def _phase_of(point: Point) -> str:
    return " ".join(part for part in (_feed_of(point), point.phase) if part) if point.phase else ""


def _loop_of(point: Point) -> str:
    return point.area[0] if point.area else ""


_OF_THREE_PHASES: Final = frozenset({SubjectKind.NODE, SubjectKind.METER, SubjectKind.BREAKER})
"""Kinds whose phases are looked for."""
_SENSING: Final = PLACES | {SENSOR}
"""Kinds of what measures the air around the assets that it serves."""
_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})
_MAKERS: Final[Mapping[SubjectKind, Callable[[Topology], _Members]]] = MappingProxyType(
    {
        SubjectKind.SITE: Topology.of_site,
        SubjectKind.TENANT: Topology.of_tenants,
        SubjectKind.DATE: Topology.of_dates,
        SubjectKind.ROOM: lambda topology: topology.of_kinds(PLACES),
        SubjectKind.RACK: Topology.of_racks,
        SubjectKind.FEED: lambda topology: topology.parts(_feed_of),
        SubjectKind.NODE: lambda topology: topology.of_kinds(ELECTRICAL),
        SubjectKind.METER: lambda topology: topology.of_kinds(frozenset({METER})),
        SubjectKind.REGISTER: Topology.registers,
        SubjectKind.BREAKER: Topology.circuits,
        SubjectKind.PHASE: lambda topology: topology.parts(_phase_of),
        SubjectKind.COOLANT_UNIT: lambda topology: topology.of_kinds(frozenset({COOLANT_UNIT})),
        SubjectKind.LOOP: lambda topology: topology.parts(_loop_of, frozenset({COOLANT_UNIT})),
        SubjectKind.VALVE: lambda topology: topology.measuring(frozenset({"valve.position"})),
        SubjectKind.SENSOR: lambda topology: topology.of_kinds(frozenset({SENSOR})),
        SubjectKind.AIR: lambda topology: topology.measuring(frozenset({"humidity", "dew.point"})),
        SubjectKind.LEAK_DETECTION: lambda topology: topology.measuring(frozenset({"leak", "leak.fault"})),
    }
)
"""How the rows of each kind are found; groups, comparisons and publishers have views of their own."""
