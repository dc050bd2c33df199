"""A dashboard as Grafana reads it, and its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
"""A dashboard, or a part of one."""


def panels_of(document: Document) -> list[Document]:
    """Return the panels of a dashboard."""
    found: list[Document] = document.get("panels", [])
    return found


def queries_of(panel: Document) -> list[str]:
    """Return the queries of a panel."""
    return [str(target.get("query", "")) for target in panel.get("targets", [])]


def variables_of(document: Document) -> list[Document]:
    """Return the variables of a dashboard."""
    found: list[Document] = document.get("templating", {}).get("list", [])
    return found


def place_of(panel: Document) -> str:
    """Return what to call a panel in a fault."""
    return f"panel {panel.get('id')} ({panel.get('title')})"


def overridden(panel: Document) -> Iterator[tuple[str, str, Any]]:
    """Yield each property that a panel gives to a column: the column, the property, its value."""
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        for item in override["properties"]:
            yield str(override["matcher"]["options"]), item["id"], item["value"]


def defaults_of(panel: Document) -> Document:
    """Return what a panel says of all its columns."""
    found: Document = panel.get("fieldConfig", {}).get("defaults", {})
    return found


def all_queries(document: Document) -> Iterator[tuple[str, str]]:
    """Yield every query of a dashboard, and where it stands."""
    for panel in panels_of(document):
        for query in queries_of(panel):
            yield place_of(panel), query
    for variable in variables_of(document):
        if variable.get("type") == "query":
            yield f"variable {variable['name']}", str(variable.get("query", ""))
    for annotation in document.get("annotations", {}).get("list", []):
        yield f"annotation {annotation['name']}", str(annotation.get("target", {}).get("query", ""))


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any part of a document
    """Yield every text of a document with its key."""
    match value:
        case dict():
            for name, item in value.items():
                yield from strings(item, str(name))
        case list():
            for item in value:
                yield from strings(item, key)
        case str():
            yield key, value
        case _:
            return
