"""Reading one table of a site file: every fault of it, and whatever of it can be used.

Each field is read on its own, so one thing that is wrong is one fault and hides none beside it. What could
not be read takes its default, so that the rest is still checked against the rest of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from facility.errors import Fault
from facility.names import nearest
from facility.sitefile.tables import Table

_SHOWN_CHARACTERS: Final = 60
"""How much of a value is shown: one line of a terminal, beside its path."""
_SHOWN_DEPTH: Final = 3
_SHOWN_ENTRIES: Final = 12
_SHOWN_BITS: Final = 256

_BOUNDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_WORDS: Final = {"string_type": "a text", "list_type": "a list"}

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
"""A terminal shows these instead of doing what they say."""

_UNREADABLE: Final = object()

_TableType = TypeVar("_TableType", bound=Table)


def read_table(value: object, model: type[_TableType], path: str, faults: list[Fault]) -> _TableType | None:
    """Read one table.

    A text that is needed and could not be read is replaced by the path of the table, which is no name and so
    equals no other.

    Args:
        value: What stands in the file.
        model: What should.
        path: Where in the file it stands.
        faults: Takes what is wrong with it.

    Returns:
        The table, with defaults in place of what is wrong; None where something needed has no stand-in.
    """
    if not isinstance(value, dict):
        faults.append(Fault(path=path, expected="a table", found=show(value)))
        return None
    fields = _fields_of(model)
    if not fields.keys() >= value.keys():
        faults += _unknown_keys(value, sorted(fields), path)
    found: dict[str, Any] = {}
    is_whole = True
    for key, (name, field) in fields.items():
        where = f"{path}.{key}"
        if key in value:
            read = _read_field(value[key], model, name, where, faults)
        elif field.is_required():
            faults.append(Fault(path=where, expected=field.description or "a value", found="nothing"))
            read = _UNREADABLE
        else:
            continue
        if read is not _UNREADABLE:
            found[name] = read
        elif field.is_required() and field.annotation is str:
            found[name] = path
        elif field.is_required():
            is_whole = False
    # Every field was read on its own, so nothing is left to validate. The cast is for pydantic's mypy plugin.
    return cast(_TableType, model.model_construct(**found)) if is_whole else None


def show(value: object, depth: int = _SHOWN_DEPTH) -> str:
    """Return a value of a TOML document as a person would write it, cut to one line of a terminal."""
    text = _write(value, depth).translate(_CONTROLS)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def _write(value: object, depth: int) -> str:
    match value:
        case str():
            return f"'{value}'"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > _SHOWN_BITS:
            return f"{value:#x}"
        case dict() | list() if depth == 0:
            return "..."
        case dict():
            entries = list(value.items())[:_SHOWN_ENTRIES]
            return "{" + ", ".join(f"{key} = {_write(entry, depth - 1)}" for key, entry in entries) + "}"
        case list():
            return "[" + ", ".join(_write(entry, depth - 1) for entry in value[:_SHOWN_ENTRIES]) + "]"
        case _:
            return str(value)


def _unknown_keys(table: Mapping[str, object], known: list[str], path: str) -> list[Fault]:
    return [
        Fault(
            path=f"{path}.{key.translate(_CONTROLS)}",
            expected=f"one of {', '.join(known)}",
            found=f"the unknown key {show(key)}",
            hint=nearest(key, known),
        )
        for key in table
        if key not in known
    ]


def _read_field(value: object, model: type[Table], name: str, path: str, faults: list[Fault]) -> object:
    inner = _tables_of(model).get(name)
    if inner is None:
        return _read_value(value, model, name, path, faults)
    if get_origin(model.model_fields[name].annotation) is not list:
        table = read_table(value, inner, path, faults)
        return _UNREADABLE if table is None else table
    if not isinstance(value, list):
        faults.append(Fault(path=path, expected="a list of tables", found=show(value)))
        return _UNREADABLE
    return [read_table(entry, inner, f"{path}[{i}]", faults) for i, entry in enumerate(value)]


def _read_value(value: object, model: type[Table], name: str, path: str, faults: list[Fault]) -> object:
    adapter = _adapter(model, name)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        items = error.errors(include_url=False)
    wrong = {item["loc"][0] for item in items if item["loc"]}
    faults += [_fault(item, value, model.model_fields[name], path) for item in items]
    if not isinstance(value, list) or len(wrong) in (0, len(value)):
        return _UNREADABLE
    return adapter.validate_python([entry for i, entry in enumerate(value) if i not in wrong])


def _fault(item: Any, value: object, field: FieldInfo, path: str) -> Fault:  # noqa: ANN401 - pydantic's own shape
    if item["loc"] and isinstance(value, list):
        place = item["loc"][0]
        path, value = f"{path}[{place}]", value[place]
    context = item.get("ctx", {})
    known = context.get("known") or _choices(field.annotation)
    return Fault(
        path=path,
        expected=_expected(item, context),
        found=show(value),
        hint=nearest(value, known) if isinstance(value, str) else "",
    )


def _expected(item: Any, context: Mapping[str, Any]) -> str:  # noqa: ANN401 - pydantic's own shape
    if item["type"] in _WORDS:
        return _WORDS[item["type"]]
    for bound, words in _BOUNDS.items():
        if bound in context:
            return f"{words} {context[bound]:,}"
    return str(item["msg"]).removeprefix("Input should be ")


@cache
def _fields_of(model: type[Table]) -> Mapping[str, tuple[str, FieldInfo]]:
    """Return name and description of each field by its key in the file."""
    return {field.alias or name: (name, field) for name, field in model.model_fields.items()}


@cache
def _tables_of(model: type[Table]) -> Mapping[str, type[Table]]:
    """Return what is read in each field that holds a table or tables, by its name."""
    found = {name: _table_in(field.annotation) for name, field in model.model_fields.items()}
    return {name: table for name, table in found.items() if table is not None}


@cache
def _adapter(model: type[Table], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[(annotation, *field.metadata)] if field.metadata else annotation)


def _choices(annotation: object) -> Iterable[str]:
    """Return the texts that a choice has, however deep in the annotation it stands."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def _table_in(annotation: object) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next((table for table in map(_table_in, get_args(annotation)) if table is not None), None)
