"""The reference pages of what people write, made from the code that reads it.

`python -m megawatch.reference` writes them anew; a test holds them against the code.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from facility.kinds import ELECTRICAL, MECHANICAL, PLACES
from facility.names import NAME_RULE
from facility.sitefile.fields import FIRST_YEAR, FORM, LAST_YEAR
from facility.sitefile.tables import Table
from formats.rackdoc import json_schema
from megawatch.cli.outputs import output_schema
from megawatch.reference_alarms import alarms_reference
from megawatch.reference_model import alarm_model
from rules.base import Rule, Severity, SeverityStep
from rules.registry import OF_THE_WHOLE, RULES

DOCS: Final = Path(__file__).parents[1] / "docs"

_MADE: Final = "<!-- Made from the code by `python -m megawatch.reference`: change the code instead. -->"
_HEAD: Final = "| key | what may stand there | unit | default | what it is |\n| --- | --- | --- | --- | --- |"
_UNIT: Final = re.compile(r" \[([^\[\]]+)\]$")
_ESCAPES: Final = str.maketrans({"|": r"\|", "<": r"\<"})
_BOUNDS: Final = {
    "ge": "at least", "minimum": "at least", "gt": "above", "exclusiveMinimum": "above",
    "le": "at most", "maximum": "at most", "lt": "below", "exclusiveMaximum": "below",
}  # fmt: skip
_WORDS: Final = {
    ("string", "date"): "a date",
    ("string", "date-time"): "a time",
    ("number", None): "a number",
    ("integer", None): "a whole number",
    ("boolean", None): "`true` or `false`",
}


def site_file_reference() -> str:
    """Return the page of the site file: every table and every key of it."""
    # Scenario files are made of tables too.
    models = [model for model in tables_of(Table) if model.__module__ == Table.__module__]
    inner = {table for model in models for table in _inner(model)}
    roots = (model for model in models if model not in inner)
    intro = (
        "`site.toml` says what a site is and how it is watched.\n"
        "`megawatch init` writes one to start from; `megawatch check` finds whatever is wrong in one.\n"
        "A date begins at midnight in the site's zone, and a time without an offset is in that zone;\n"
        f"both lie in the years {FIRST_YEAR} to {LAST_YEAR}.\n"
        "A time that the clock of the zone shows twice or never is a fault, which names both readings:\n"
        "write it with its offset.\n"
        "A power is a whole number of milliwatts, at most 100 GW.\n"
        "In a pattern `[1-4]` and `[ab]` stand for one character each, `{01..48}` for a range of\n"
        "numbers and `{a,b}` for alternatives; `*` and `?` only choose among what is declared elsewhere.\n"
        f"A name is {NAME_RULE.removeprefix('a name of ')}.\n"
        "The id of a rack, a meter or another asset is written as its bus does, such as `Rack 7`; in pages\n"
        "and series it is `Rack~207`, in which nothing has to be escaped, and that may be written as well.\n"
        "The `kind` of an asset says what its edges are. Power passes through "
        f"{_listed(ELECTRICAL)}.\n"
        f"{_listed(MECHANICAL)} are of the cooling, and {_listed(PLACES)} are places.\n"
        "`megawatch check` warns of any other kind.\n"
        "What can be set under `[rules.NAME]` is in [rules.md](rules.md)."
    )
    shown = dict.fromkeys(model for root in roots for model in _walk(root))
    return _page("The site file", intro, map(_table, shown))


def rules_reference() -> str:
    """Return the page of the rules: what each detects, its desks, an example page, and what can be set."""
    severities = ", ".join(f"{severity:d} {severity.word}" for severity in Severity)
    intro = (
        "What a table shows can be set in the site file under `[rules.NAME]`, such as `[rules.C2]`.\n"
        "`enabled = false` there leaves the rule out.\n"
        "`[[rules.NAME.for]]` sets other parameters for some of a rule's subjects: those of `assets` (ids\n"
        "or patterns of subjects, or of the assets that they belong to), of `tenants` (who hold every rack\n"
        "behind it) and of `kinds` (kinds of assets). Where several of these stand in one table, all must\n"
        "hold; of several tables that choose a subject, the last holds. What a table leaves out is as under\n"
        f"`[rules.NAME]`. {_listed(OF_THE_WHOLE, 'and')} are of the whole rule.\n\n"
        "```toml\n[rules.E1]\npercent = 80\n\n"
        '[[rules.E1.for]]\nassets = ["BRK-{1..4}"]\npercent = 100\n```\n\n'
        f"A severity is a number: {severities}."
    )
    examples: dict[str, list[str]] = json.loads((DOCS / "example-pages.json").read_text(encoding="utf-8"))
    month: dict[str, Any] = json.loads((DOCS / "reference-month.json").read_text(encoding="utf-8"))
    return _page(
        "The rules",
        f"{intro}\n\n{_month(month)}",
        (_rule(rule, examples[rule.name], _fired(rule.name, month)) for rule in RULES),
    )


def _month(month: Mapping[str, Any]) -> str:
    """Return what the reference month is, and what it came to."""
    owed = sum(counts["owed"] for counts in month["rules"].values())
    opened = sum(counts["opened"] for counts in month["rules"].values())
    return (
        "How often a rule fired is said of the reference month: "
        f"{month['days']} simulated days of a site of {month['racks']} liquid-cooled racks and\n"
        f"{month['tenants']} tenants on a DSX bus (seed {month['seed']}), "
        f"with {len(month['faults'])} faults of loads, power, cooling, meters, gateways and the broker,\n"
        "two dates of contracts, and long quiet times between them, in which an alarm would be invented.\n"
        "Its messages go through decoders, rules and pages as they do live, in virtual time; rules have the\n"
        "defaults that stand here, but for the deadband of E11, which is that of a large site.\n"
        "[reference-month.json](reference-month.json) lists what happened and what each rule said;\n"
        "[simulator.md](simulator.md#the-reference-month) says how; `make month` makes it anew.\n"
        f"In it {opened} alarms opened, {_so_many(month['invented'])} without a cause; "
        f"of {owed} that were owed, {_so_many(month['missed'])} is missing."
    )


def _so_many(found: Sequence[str]) -> str:
    return str(len(found)) if found else "none"


def _fired(name: str, month: Mapping[str, Any]) -> str:
    """Return how often a rule fired in the reference month, and how that was told."""
    if name in month["cannot_fire"]:
        return f"Reference month: it cannot fire on that bus, for {month['cannot_fire'][name]}."
    counts: Mapping[str, int] = month["rules"][name]
    opened, caused, unverified = (counts[key] for key in ("opened", "cause", "unverified"))
    times = "once" if opened == 1 else f"{opened} times"
    doubts = f", {unverified} of them for not being able to tell" if unverified else ""
    cause = "with a cause" if opened == caused == 1 else "each with a cause"
    cause = cause if opened == caused else f"{caused} with a cause"
    ways = {"told": "told", "suppressed": "under an alarm that says more", "damped": "damped by Q10"}
    said = ", ".join(f"{counts[way]} {words}" for way, words in ways.items() if counts[way])
    return f"Reference month: it fired {times}{doubts}, {cause}: {said}."


def rack_document_schema() -> str:
    """Return the JSON Schema of rack documents."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def json_output_schema() -> str:
    """Return the JSON Schema of what commands print with `--json`."""
    return json.dumps(output_schema(), indent=2, ensure_ascii=False) + "\n"


def alarms_page() -> str:
    """Return the page of an alarm's life."""
    return _page("The life of an alarm", alarms_reference(), iter(()))


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "alarms.md": alarms_page,
    "alarm.pml": alarm_model,
    "site-file.md": site_file_reference,
    "rules.md": rules_reference,
    "rack-document.schema.json": rack_document_schema,
    "json-output.schema.json": json_output_schema,
}
"""What makes each page of the folder `docs`."""


def main() -> None:
    """Write every page anew."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")


def _listed(names: Collection[str], last: str = "") -> str:
    """Return names as code, in order."""
    *most, end = (f"`{name}`" for name in sorted(names))
    return f"{', '.join(most)} {last} {end}" if last else ", ".join((*most, end))


def _page(title: str, intro: str, sections: Iterator[str]) -> str:
    return "\n\n".join((f"# {title}", _MADE, intro, *sections)) + "\n"


def _table(model: type[Table]) -> str:
    heading, _, text = inspect.cleandoc(model.__doc__ or "").rstrip(".").partition(": ")
    about = f"{text[0].upper()}{text[1:]}.\n\n" if text else ""
    return f"## {heading}\n\n{about}{_fields(model)}"


def _rule(rule: type[Rule], example: Sequence[str], fired: str) -> str:
    severity = Severity(rule.model_fields["severity"].default).word
    desks = ", ".join(rule.desks)
    steps = "".join(f", {_step(step)}" for step in rule.severity_steps)
    facts = [f"Severity {severity}{steps}; desks {desks}; values in {rule.unit}."]
    if rule.needs_acknowledgement:
        facts.append("It stays on the list until it is acknowledged.")
    if rule.unknown_pages:
        facts.append(f"An UNKNOWN that lasts is the alarm “{rule.unknown_title}” ([why](unknown.md)).")
    about = inspect.cleandoc(rule.__doc__ or "")
    runbook = f"[Runbook](runbooks/{rule.runbook()})."
    lines = "\n".join((" ".join(facts), rule.look_at, runbook, fired))
    page = "\n".join(("A page of it:", "", "```", *example, "```"))
    return f"## {rule.name}: {rule.title}\n\n{about}\n\n{lines}\n\n{page}\n\n{_fields(rule)}"


def _step(step: SeverityStep) -> str:
    desks = f" (desks {', '.join(step.desks)} too)" if step.desks else ""
    return f"{step.severity.word} {step.when}{desks}"


def tables_of(base: type[Table]) -> Iterator[type[Table]]:
    """Yield every table that is written in a file: not what tables have in common."""
    for model in base.__subclasses__():
        if (model.__doc__ or "").startswith(("`", "An entry")):
            yield model
        yield from tables_of(model)


def _walk(model: type[Table]) -> Iterator[type[Table]]:
    """Yield a table and, after it, the tables in it."""
    yield model
    for table in _inner(model):
        yield from _walk(table)


def _inner(model: type[Table]) -> Iterator[type[Table]]:
    for field in model.model_fields.values():
        yield from _tables_in(field.annotation)


def _tables_in(annotation: object) -> Iterator[type[Table]]:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    for part in get_args(annotation):
        yield from _tables_in(part)


def _fields(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    rows = [_HEAD]
    for name, field in model.model_fields.items():
        key, description = field.alias or name, field.description or ""
        unit = _UNIT.search(description)
        cells = (
            f"`{key}`",
            _refusal(model, key) or _words(schema["properties"][key], schema.get("$defs", {})),
            unit[1] if unit else "",
            _default(field),
            _UNIT.sub("", description),
        )
        rows.append(f"| {' | '.join(cell.translate(_ESCAPES) for cell in cells)} |")
    return "\n".join(rows)


def _refusal(model: type[BaseModel], key: str) -> str:
    """Return what a validator of a text's form says that it expects, "" where any text will do."""
    for attempt, words in (("", "{}"), ([""], "a list of: {}")):
        try:
            model.model_validate({key: attempt})
        except ValidationError as error:
            own = [item for item in error.errors() if item["loc"][0] == key and item["type"] == FORM]
            if own:
                return words.format(own[0]["msg"].replace(NAME_RULE, "a name"))
    return ""


def _words(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return in words what a JSON Schema allows."""
    match schema:
        case {"$ref": str(reference)}:
            return _words(definitions[reference.rpartition("/")[2]], definitions)
        case {"properties": _}:
            return "a table"
        case {"type": "object"}:
            return "a table of texts"
        case {"enum": values}:
            return ", ".join(f"`{json.dumps(value)}`" for value in values)
        case {"type": "array", "items": items}:
            found = _words(items, definitions)
            return "tables" if found == "a table" else f"a list of: {found}"
        case {"anyOf": choices}:
            # An exact decimal is a number to people; pydantic says that a text would do, too.
            numbers = [choice for choice in choices if choice.get("type") == "number"]
            parts = (_words(c, definitions) for c in numbers or choices if c.get("type") != "null")
            return ", ".join((" or ".join(parts), *_bounds(schema)))
        case _:
            return ", ".join((_WORDS.get((schema["type"], schema.get("format")), "text"), *_bounds(schema)))


def _bounds(schema: dict[str, Any]) -> list[str]:
    return [f"{words} {schema[bound]:,}" for bound, words in _BOUNDS.items() if bound in schema]


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "**needed**"
    if value is None or value == "" or field.default_factory is not None:
        return ""
    if isinstance(value, IntEnum):
        return f"`{value:d}`"
    return f"`{json.dumps(value)}`" if isinstance(value, (str, bool)) else f"`{value:g}`"


if __name__ == "__main__":
    main()
