"""Writes the dashboards, or tells whether the files are what this code makes.

python -m grafana.build            writes grafana/dashboards/*.json
python -m grafana.build --check    fails where a file differs, is missing or is too many
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import alarms, cooling, pipeline, power, rack, site, tenant
from grafana.lint import faults_of

SCHEMA_VERSION: Final = 38
"""The form of dashboards that Grafana 10.0 reads."""
FOLDER: Final = Path(__file__).parent / "dashboards"


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every dashboard by the name of its file."""
    made = (m.dashboard() for m in (site, tenant, power, cooling, rack, alarms, pipeline))
    found: dict[str, dict[str, Any]] = {}
    for builder in made:
        document = json.loads(json.dumps(builder.build(), cls=JSONEncoder))
        found[f"{document['uid']}.json"] = _tidied(document)
    return found


def _tidied(document: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard for every Grafana from 10 on, without what the kit adds for the newest.

    Newer ones bring an older form up to date as they load it; older ones do not know a newer one.
    """
    document["schemaVersion"] = SCHEMA_VERSION
    for part in (*document["links"], *document.get("annotations", {}).get("list", [])):
        part.pop("placement", None)
    for panel in document["panels"]:
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            for name in set(link) - {"title", "url"}:
                del link[name]
    return document


def texts() -> dict[str, str]:
    """Return the files, by name."""
    return {name: json.dumps(found, indent=2, sort_keys=True) + "\n" for name, found in dashboards().items()}


def main(arguments: Sequence[str]) -> int:
    """Write the files, or compare them.

    Args:
        arguments: `--check`, or nothing.

    Returns:
        0 where all is well, 1 where a file differs or a dashboard breaks a rule, 2 for any other argument.
    """
    if list(arguments) not in ([], ["--check"]):
        print("usage: python -m grafana.build [--check]", file=sys.stderr)
        return 2
    wanted = texts()
    faults = faults_of(dashboards())
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    if arguments:
        differing = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
        faults += [f"{name}: not what the code makes; run python -m grafana.build" for name in differing]
    else:
        for name in set(there) - set(wanted):
            (FOLDER / name).unlink()
        for name, text in wanted.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
