"""Reading a site file: all of its faults at once, or the site.

`read_site` takes the text of a `site.toml` and gives a `SiteFile`, or raises one `SiteFileError` that
holds every fault. It opens no other file: where secrets live is said here and read at the rim.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from facility.errors import Fault, SiteFileError
from facility.names import nearest
from facility.site import Site
from facility.sitebuild import Builder
from facility.sitenotes import Located
from facility.sitetables import (
    AssetTable,
    BrokerTable,
    EngineTable,
    MetricsTable,
    RackTable,
    RouteTable,
    SiteTable,
    StoreTable,
    Table,
    TenantTable,
)

MOST_CHARACTERS = 8_000_000
"""The longest site file that is read: some 20,000 racks written out one by one."""

SALVAGE_ROUNDS = 4
"""How often a table is read again without what was wrong in it: once for each level of nesting."""

_ONE: dict[str, type[Table]] = {
    "site": SiteTable,
    "store": StoreTable,
    "engine": EngineTable,
    "metrics": MetricsTable,
}
_MANY: dict[str, type[Table]] = {
    "broker": BrokerTable,
    "rack": RackTable,
    "asset": AssetTable,
    "tenant": TenantTable,
    "route": RouteTable,
}
_TableType = TypeVar("_TableType", bound=Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """What a site file says.

    Attributes:
        site: The site itself.
        brokers: The buses to listen to.
        store: Where readings are kept.
        engine: The rhythm of judging.
        metrics: Figures for Prometheus.
        routes: Which notifications go where.
        rules: Parameters of rules, as written, by the rule's name; checked against the rules at the rim.
        warnings: What is allowed and worth a second look, one sentence each.
    """

    site: Site
    brokers: tuple[BrokerTable, ...]
    store: StoreTable
    engine: EngineTable
    metrics: MetricsTable
    routes: tuple[RouteTable, ...]
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_site(text: str, source: str = "site.toml") -> SiteFile:
    """Read a site file.

    Args:
        text: The file's text.
        source: What to call the file in faults.

    Raises:
        SiteFileError: Where it has faults; the error holds all of them.
    """
    document = _parse(text, source)
    faults = _unknown_tables(document)
    one = {key: _table(document.get(key, {}), model, key, faults) for key, model in _ONE.items()}
    many = {key: _array(document.get(key, []), model, key, faults) for key, model in _MANY.items()}
    rules = _rules(document.get("rules", {}), faults)
    builder = Builder(faults)
    site = builder.build(
        _as(one["site"], SiteTable),
        racks=_located(many["rack"], RackTable),
        assets=_located(many["asset"], AssetTable),
        tenants=_located(many["tenant"], TenantTable),
    )
    builder.check_brokers(_located(many["broker"], BrokerTable))
    builder.check_engine(_as(one["engine"], EngineTable))
    builder.check_routes(_located(many["route"], RouteTable), _located(many["tenant"], TenantTable))
    store, engine = _as(one["store"], StoreTable), _as(one["engine"], EngineTable)
    metrics = _as(one["metrics"], MetricsTable)
    if faults or site is None or store is None or engine is None or metrics is None:
        raise SiteFileError(source, tuple(faults))
    return SiteFile(
        site=site,
        brokers=tuple(located.table for located in _located(many["broker"], BrokerTable)),
        store=store,
        engine=engine,
        metrics=metrics,
        routes=tuple(located.table for located in _located(many["route"], RouteTable)),
        rules=rules,
        warnings=tuple(builder.notes.warnings),
    )


def _parse(text: str, source: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        found = f"{len(text)} characters"
        raise SiteFileError(source, (Fault(path="file", expected=f"at most {MOST_CHARACTERS}", found=found),))
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError, ArithmeticError, ValueError) as error:
        fault = Fault(path="file", expected="a TOML document", found=str(error))
        raise SiteFileError(source, (fault,)) from error


def _unknown_tables(document: Mapping[str, Any]) -> list[Fault]:
    known = [*_ONE, *_MANY, "rules"]
    return [
        Fault(
            path=key,
            expected=f"one of the tables {', '.join(known)}",
            found=f"'{key}'",
            hint=nearest(key, known),
        )
        for key in document
        if key not in known
    ]


def _table(value: object, model: type[Table], path: str, faults: list[Fault]) -> Table | None:
    """Read one table; what is wrong in it is noted and left out, so that the rest is still checked."""
    for _ in range(SALVAGE_ROUNDS):
        try:
            return model.model_validate(value)
        except ValidationError as error:
            items = error.errors(include_url=False)
            faults += [
                fault for fault in (_fault(item, model, path) for item in items) if fault not in faults
            ]
            value = _without(value, [_location(item) for item in items])
    return None


def _without(value: object, locations: list[list[Any]]) -> object:
    """Return a document without the places that are wrong; an entry that lacks something goes whole."""
    remaining = copy.deepcopy(value)
    for location in sorted(locations, key=str, reverse=True):
        holder: Any = remaining
        entry: tuple[Any, Any] | None = None
        for part in location[:-1]:
            if isinstance(part, int):
                entry = (holder, part)
            holder = _at(holder, part)
        key = location[-1] if location else None
        if _at(holder, key) is not None:
            del holder[key]
        elif entry is not None and _at(*entry) is not None:
            entry[0][entry[1]] = None
    return _compact(remaining)


def _at(holder: Any, key: Any) -> Any:  # noqa: ANN401 - a TOML document has any shape
    try:
        return holder[key]
    except (KeyError, IndexError, TypeError):
        return None


def _compact(value: object) -> object:
    if isinstance(value, dict):
        return {key: _compact(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_compact(entry) for entry in value if entry is not None]
    return value


def _array(value: object, model: type[Table], key: str, faults: list[Fault]) -> list[tuple[str, Table]]:
    if not isinstance(value, list):
        faults.append(Fault(path=key, expected=f"tables, written [[{key}]]", found=_show(value)))
        return []
    tables = ((f"{key}[{i}]", _table(v, model, f"{key}[{i}]", faults)) for i, v in enumerate(value))
    return [(path, table) for path, table in tables if table is not None]


def _rules(value: object, faults: list[Fault]) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        faults.append(Fault(path="rules", expected="tables such as [rules.C2]", found=_show(value)))
        return {}
    for name in [name for name, table in value.items() if not isinstance(table, dict)]:
        found = _show(value.pop(name))
        faults.append(Fault(path=f"rules.{name}", expected="a table of parameters", found=found))
    return {name: {key: _plain(v) for key, v in table.items()} for name, table in value.items()}


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def _as(table: Table | None, model: type[_TableType]) -> _TableType | None:
    return table if isinstance(table, model) else None


def _located(tables: list[tuple[str, Table]], model: type[_TableType]) -> list[Located[_TableType]]:
    return [Located(path, table) for path, table in tables if isinstance(table, model)]


def _fault(item: Any, model: type[BaseModel], path: str) -> Fault:  # noqa: ANN401 - pydantic's own shape
    location = _location(item)
    where = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location)
    if item["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        known = [f.alias or name for name, f in owner.model_fields.items()] if owner else []
        return Fault(
            path=where,
            expected=f"one of {', '.join(sorted(known))}",
            found=f"the unknown key '{location[-1]}'",
            hint=nearest(str(location[-1]), known),
        )
    if item["type"] == "missing":
        owner = _model_at(model, location[:-1])
        description = _description(owner, str(location[-1])) if owner else "a value"
        return Fault(path=where, expected=description, found="nothing")
    expected = str(item["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    hint = ""
    if item["type"] == "enum" and isinstance(item["input"], str):
        hint = nearest(
            item["input"],
            item["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "),
        )
    return Fault(path=where, expected=expected, found=_show(item["input"]), hint=hint)


def _location(item: Any) -> list[Any]:  # noqa: ANN401 - pydantic's own shape
    return [part for part in item["loc"] if not _is_branch(part)]


def _is_branch(part: object) -> bool:
    """Tell whether a step of pydantic's path names a branch of a union instead of a place."""
    branches = {"str", "date", "datetime", "int", "float", "decimal"}
    return isinstance(part, str) and (part in branches or "[" in part)


def _model_at(model: type[BaseModel], location: list[Any]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        named = {f.alias or name: f for name, f in current.model_fields.items()}
        current = _model_in(named[part].annotation) if part in named else None
    return current


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, get_args(annotation)) if m is not None), None)


def _description(owner: type[BaseModel], key: str) -> str:
    for name, entry in owner.model_fields.items():
        if (entry.alias or name) == key:
            return entry.description or "a value"
    return "a value"


def _show(value: object) -> str:
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - one line of a terminal
