"""Queries of a dashboard as Grafana sends them: variables chosen, patterns escaped, times filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from grafana.document import Document, variables_of

Series = dict[str, Any]
"""A series as InfluxQL answers it: name, tags, columns, values."""
Ask = Callable[[str], list[Series]]
"""Asks a database in InfluxQL; raises where it answers with an error."""

_VARIABLE = re.compile(r"\$\{(\w+):(\w+)\}")


@dataclass(slots=True)
class Filling:
    """What is filled into queries.

    Attributes:
        from_ms: Where the range begins [ms].
        to_ms: Where it ends [ms].
        chosen: The value of each variable.
        everything: What stands for all values, of those variables of which all are chosen.
    """

    from_ms: int
    to_ms: int
    chosen: dict[str, str] = field(default_factory=dict)
    everything: dict[str, str] = field(default_factory=dict)

    def fill(self, query: str, step: str = "10s") -> str:
        """Return a query as it is sent; a variable that is not there is a KeyError.

        Args:
            query: As the panel has it, with variables and macros.
            step: The shortest step that a panel allows, which is what a short range gets.
        """
        text = query.replace("$timeFilter", f"time >= {self.from_ms}ms and time <= {self.to_ms}ms")
        text = text.replace("$__interval", step).replace("${__to}", str(self.to_ms))
        return _VARIABLE.sub(lambda found: self._value(found[1], found[2]), text)

    def _value(self, name: str, form: str) -> str:
        if name in self.everything:
            return self.everything[name]
        value = self.chosen[name]
        match form:
            case "regex":
                # As Grafana does it; the slash, which ends a pattern of InfluxQL, is escaped with the rest.
                return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value)
            case "raw":
                return value
            case _:
                raise ValueError(f"expected regex or raw as the format of {name}, found {form}")


def choose(document: Document, filling: Filling, ask: Ask, *, is_all: bool) -> None:
    """Choose a value of every variable, one after the other, as a browser does when it opens a dashboard.

    Args:
        document: The dashboard.
        filling: Where the choices go.
        ask: The database.
        is_all: Whether all values are chosen of those variables that allow it; else the first one.
    """
    for variable in variables_of(document):
        name = variable["name"]
        match variable["type"]:
            case "custom":
                first = variable["query"].split(",")[0]
                filling.chosen[name] = first.partition(" : ")[2].strip() or first.strip()
            case "query":
                found = options(variable, ask(filling.fill(variable["query"])))
                assert found or variable.get("includeAll"), f"variable {name} has no values"
                if variable.get("includeAll") and (is_all or not found):
                    filling.everything[name] = variable["allValue"]
                else:
                    filling.chosen[name] = found[0]
            case _:
                continue


def options(variable: Document, answer: list[Series]) -> list[str]:
    """Return the values that a variable offers."""
    values = [str(row[1]) for series in answer for row in series["values"]]
    pattern = variable.get("regex", "").strip("/")
    if not pattern:
        return sorted(set(values))
    found = (re.search(pattern, value) for value in values)
    return sorted({match[1] for match in found if match})


def given(answer: list[Series]) -> set[str]:
    """Return the columns and tags of which at least one value was found."""
    found = set()
    for series in answer:
        found |= {tag for tag, value in series.get("tags", {}).items() if value}
        for place, column in enumerate(series["columns"]):
            if any(row[place] is not None for row in series["values"]):
                found.add(column)
    return found - {"time"}


def named(answer: list[Series]) -> set[str]:
    """Return the columns and tags that an answer has, with values or without."""
    return {name for series in answer for name in (*series["columns"], *series.get("tags", {}))} - {"time"}
