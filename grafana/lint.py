"""What every dashboard must keep; each rule is a function that yields what breaks it.

Grafana's own linter knows Prometheus only. These rules are ours: they hold what goes wrong in practice, from
a milliwatt for a megawatt to a query that reads a month of seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from grafana.document import (
    Document,
    all_queries,
    defaults_of,
    overridden,
    panels_of,
    place_of,
    queries_of,
    strings,
    variables_of,
)
from grafana.schema import NAMES, RAW, RAW_HOURS
from grafana.style import COLOURS, MODES, UNITS

Rule = Callable[[Document, Mapping[str, Document]], Iterator[str]]
"""Yields the faults of a dashboard, given all of them by their uids."""

WIDTH: Final = 24
_SOURCE: Final = {"type": "influxdb", "uid": "${database}"}
_MILLI: Final = {
    "mwatt": "milliwatt: megawatt is megwatt",
    "mwatth": "megawatt-hour: kilowatt-hour is kwatth",
}
_BUILT_IN: Final = frozenset({"__to", "__interval", "timeFilter"})
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
_QUOTED: Final = re.compile(r'"([^"]+)"')
_NAMED: Final = re.compile(r'\bAS "([^"]+)"')
_FROM_RAW: Final = re.compile(
    rf"FROM (?:{'|'.join(RAW)})(?: WHERE ((?:[^()]|\([^()]*\))*?))?(?= GROUP BY| ORDER BY|\)|$)"
)
_BACK: Final = re.compile(r"time > \$\{__to\}ms - (\d+)([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BEFORE_END: Final = re.compile(r"time <= \$\{__to\}ms - \d+[sm]")
_FILL: Final = re.compile(r"fill\((\w+)\)")
_DRAWN: Final = ("best_mw", "high_mw", "headroom_mw", "current", "current.phase", "alone_amps")
_LIMITS: Final = ("limit_mw", "headroom_mw", "current.limit", "limit_amps")


def faults_of(dashboards: Mapping[str, Document]) -> list[str]:
    """Return everything that is wrong with dashboards, by the names of their files."""
    by_uid = {str(document.get("uid", "")): document for document in dashboards.values()}
    found = []
    for name, document in dashboards.items():
        if name != f"{document.get('uid')}.json":
            found.append(f"{name}: expected the uid as the file's name, found {document.get('uid')!r}")
        found += [f"{name}: {fault}" for rule in RULES for fault in rule(document, by_uid)]
    return found


# Rules -------------------------------------------------------------------------------------


def has_identity(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A dashboard has a stable uid, a title, a description; it is not edited: an upgrade would undo that."""
    del others
    if not re.fullmatch(r"megawatch-[a-z]+", str(document.get("uid", ""))):
        yield f"expected a uid megawatch-<name>, found {document.get('uid')!r}"
    for key in ("title", "description"):
        if not document.get(key):
            yield f"expected a {key}, found none"
    if document.get("id") is not None:
        yield f"expected no id, which each Grafana gives itself, found {document['id']}"
    if document.get("editable", True):
        yield "expected editable to be false"
    if document.get("timezone") != "browser":
        yield f"expected the time zone of the browser, found {document.get('timezone')!r}"


def has_stable_ids(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Every panel has a number of its own, and every query of a panel a letter of its own."""
    del others
    counts = Counter(panel.get("id") for panel in panels_of(document))
    for number, count in counts.items():
        if not isinstance(number, int) or number < 1 or count > 1:
            yield f"expected a number from 1 on for each panel, found {number!r} {count} times"
    for panel in panels_of(document):
        letters = [target.get("refId") for target in panel.get("targets", [])]
        if len(set(letters)) != len(letters):
            yield f"{place_of(panel)}: expected a letter of its own for each query, found {letters}"


def has_room(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Panels stand within 24 columns, and none on another."""
    del others
    for panel in panels_of(document):
        at = panel["gridPos"]
        if at["x"] < 0 or at["x"] + at["w"] > WIDTH or at["w"] < 1 or at["h"] < 1:
            yield f"{place_of(panel)}: expected a place within {WIDTH} columns, found {at}"
    for one, other in combinations(panels_of(document), 2):
        a, b = one["gridPos"], other["gridPos"]
        if (
            a["x"] < b["x"] + b["w"]
            and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"]
            and b["y"] < a["y"] + a["h"]
        ):
            yield f"{place_of(one)}: stands on {place_of(other)}"


def is_described(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A panel has a title, and a description of one sentence."""
    del others
    for panel in panels_of(document):
        if not panel.get("title"):
            yield f"{place_of(panel)}: expected a title"
        text = str(panel.get("description", ""))
        if not text.endswith(".") or ". " in text:
            yield f"{place_of(panel)}: expected a description of one sentence, found {text!r}"


def has_unit(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Every value has a unit, and none is a milliwatt."""
    del others
    for panel in panels_of(document):
        units = [defaults_of(panel).get("unit", "")]
        units += [value for _, name, value in overridden(panel) if name == "unit"]
        for unit in units:
            if unit in _MILLI:
                yield f"{place_of(panel)}: unit {unit} is {_MILLI[unit]}"
            elif unit not in UNITS:
                yield f"{place_of(panel)}: expected one of our units, found {unit!r}"


def has_source(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """The data source is a variable, everywhere."""
    del others
    kinds = {v["name"]: v.get("query") for v in variables_of(document) if v.get("type") == "datasource"}
    if kinds != {"database": "influxdb"}:
        yield f"expected one variable of data sources, database, found {kinds}"
    parts: list[tuple[str, Document]] = [(place_of(panel), panel) for panel in panels_of(document)]
    parts += [
        (place_of(panel), target) for panel in panels_of(document) for target in panel.get("targets", [])
    ]
    parts += [(f"variable {v['name']}", v) for v in variables_of(document) if v.get("type") == "query"]
    parts += [(f"annotation {a['name']}", a) for a in document.get("annotations", {}).get("list", [])]
    for place, part in parts:
        if part.get("datasource") != _SOURCE:
            yield f"{place}: expected the data source ${{database}}, found {part.get('datasource')}"


def has_queries(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Every panel asks for something."""
    del others
    for panel in panels_of(document):
        if not panel.get("targets"):
            yield f"{place_of(panel)}: expected a query, found none"
    for place, query in all_queries(document):
        if not query.strip():
            yield f"{place}: expected a query, found an empty one"


def fills_variables(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A query names variables that are there, each with its format; and no clock but the range's end."""
    del others
    known = {variable["name"] for variable in variables_of(document)}
    for place, query in all_queries(document):
        for name, form, bare in _VARIABLE.findall(query):
            if (name or bare) in _BUILT_IN:
                continue
            if (name or bare) not in known:
                yield f"{place}: expected a variable of this dashboard, found {name or bare}"
            elif not form:
                yield f"{place}: expected ${{{name or bare}:regex}}, with its format, found none"
        if "now()" in query:
            yield f"{place}: expected ${{__to}}ms, found now(), which shows nothing of the past"


def has_choices(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A variable without a query has its values and a choice: a file is loaded as it is."""
    del others
    for variable in variables_of(document):
        if variable.get("type") == "custom":
            values = [option["value"] for option in variable.get("options", [])]
            found = variable.get("current", {}).get("value")
            if found not in values:
                yield f"variable {variable['name']}: expected one of {values} to be chosen, found {found!r}"


def stacks_what_is_whole(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Areas on each other end before the step that is not full: where one has no value, all fall to zero."""
    del others
    for panel in panels_of(document):
        custom = defaults_of(panel).get("custom", {})
        if custom.get("stacking", {}).get("mode") == "normal" and custom.get("drawStyle") == "line":
            for query in queries_of(panel):
                if not _BEFORE_END.search(query):
                    yield f"{place_of(panel)}: expected an end before ${{__to}}ms, found none"


def knows_names(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A query names measurements, tags and fields that the writer writes, or what it named itself."""
    del others
    known = {
        "minute",
        "quarter",
        *NAMES,
        *(n for tags, fields in NAMES.values() for n in (*tags, *fields)),
    }
    for place, query in all_queries(document):
        for name in sorted({*_QUOTED.findall(query)} - known - {*_NAMED.findall(query)}):
            yield f"{place}: expected a name of the schema, found {name!r}"


def reads_little(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """What has a value every second is read for six hours at most."""
    del others
    for place, query in all_queries(document):
        if query.startswith("SHOW TAG VALUES"):
            continue
        for found in _FROM_RAW.finditer(query):
            spans = [int(n) * _SECONDS[unit] for n, unit in _BACK.findall(found[1] or "")]
            if not spans or min(spans) > RAW_HOURS * 3_600:
                yield f"{place}: expected at most {RAW_HOURS} h of raw values, found {found[0][:80]!r}"


def has_thresholds(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A figure that is held against a limit has colours by value; a line has the limit beside it."""
    del others
    for panel in panels_of(document):
        text = " ".join(queries_of(panel))
        names = {*_QUOTED.findall(text), *re.findall(r"'([^']*)'", text)}
        is_held = not names.isdisjoint(_DRAWN) and not names.isdisjoint(_LIMITS)
        if panel["type"] == "timeseries" or not is_held:
            continue
        steps = [defaults_of(panel).get("thresholds", {}).get("steps", [])]
        steps += [value["steps"] for _, name, value in overridden(panel) if name == "thresholds"]
        if max(map(len, steps)) < 2:  # noqa: PLR2004 - one colour says nothing
            yield f"{place_of(panel)}: expected thresholds, for it reads a limit, found none"


def keeps_gaps(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Nothing is drawn where nothing is known: a gap is no line, and no value is carried over it."""
    del others
    for place, query in all_queries(document):
        for fill in _FILL.findall(query):
            if fill not in ("null", "none"):
                yield f"{place}: expected fill(null), found fill({fill})"
    for panel in panels_of(document):
        if (
            panel["type"] == "timeseries"
            and defaults_of(panel).get("custom", {}).get("spanNulls") is not False
        ):
            yield f"{place_of(panel)}: expected gaps to stay open (spanNulls), found them joined"


def says_none(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """A panel about alarms says so where there are none, which is well."""
    del others
    for panel in panels_of(document):
        if any("alarm_event" in query for query in queries_of(panel)) and not defaults_of(panel).get(
            "noValue"
        ):
            yield f"{place_of(panel)}: expected words for no alarms at all (noValue), found none"


def is_for_all_eyes(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Colours are of the palette that everybody can tell apart."""
    del others
    for key, value in strings(document):
        is_colour = key in ("color", "fixedColor", "iconColor")
        if is_colour and value not in COLOURS:
            yield f"expected a colour of the palette, found {value!r}"
    for panel in panels_of(document):
        modes = [defaults_of(panel).get("color", {}).get("mode")]
        modes += [value.get("mode") for _, name, value in overridden(panel) if name == "color"]
        for mode in modes:
            if mode not in MODES:
                yield f"{place_of(panel)}: expected colours {', '.join(sorted(MODES))}, found {mode!r}"


def has_links_that_resolve(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """Links lead to dashboards that are there, and set variables that these have."""
    for key, url in strings(document):
        if key != "url":
            continue
        target = others.get(urlsplit(url).path.removeprefix("/d/"))
        if not url.startswith("/d/") or target is None:
            yield f"expected a link to one of our dashboards, found {url!r}"
            continue
        chosen = {
            name.removeprefix("var-") for name, _ in parse_qsl(urlsplit(url).query) if name.startswith("var-")
        }
        for name in sorted(chosen - {variable["name"] for variable in variables_of(target)}):
            yield f"expected a variable of {target['uid']}, found {name!r} in {url!r}"
    linked = {link.get("url") for link in document.get("links", [])}
    for uid in sorted(others):
        if f"/d/{uid}" not in linked:
            yield f"expected a link to {uid} above the panels, found none"


def has_columns_that_are_there(document: Document, others: Mapping[str, Document]) -> Iterator[str]:
    """What is said of a column or a line is said of one that the panel's queries give."""
    del others
    for panel in panels_of(document):
        targets = panel.get("targets", [])
        if any("$tag_" in str(target.get("alias", "")) for target in targets) and len(targets) == 1:
            continue  # named by the database
        given = {"Time", *(str(target.get("alias", "")) for target in targets)}
        for query in queries_of(panel):
            given |= {*_QUOTED.findall(query)}
        for name in sorted({name for name, _, _ in overridden(panel)} - given):
            if name.startswith("/"):
                continue  # a pattern of names
            yield f"{place_of(panel)}: expected a column of its queries, found {name!r}"


RULES: Final[Sequence[Rule]] = (
    has_identity,
    has_stable_ids,
    has_room,
    is_described,
    has_unit,
    has_source,
    has_queries,
    fills_variables,
    has_choices,
    knows_names,
    reads_little,
    has_thresholds,
    keeps_gaps,
    stacks_what_is_whole,
    says_none,
    is_for_all_eyes,
    has_links_that_resolve,
    has_columns_that_are_there,
)
"""Every rule."""
