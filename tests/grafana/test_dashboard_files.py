"""The committed files are what the code makes, and Grafana finds them and the database."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import build
from grafana.document import all_queries
from grafana.schema import NAMES
from store.influx.lineprotocol import Encoder
from tests.grafana.world import a_world

PROVISIONING = Path(build.__file__).parent / "provisioning"
_FIELD = re.compile(r"(?:^|,)(\w+)=")
ROOT = Path(build.__file__).parents[1]


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever it holds
    """Return what a file holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_committed_files_are_what_the_code_makes() -> None:
    """Byte by byte; and made twice they are the same."""
    there = {path.name: path.read_text(encoding="utf-8") for path in build.FOLDER.glob("*.json")}

    assert there == build.texts() == build.texts()


def test_a_difference_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that somebody edited, one too many, one that is missing; writing mends all three."""
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    (tmp_path / "megawatch-site.json").write_text("{}", encoding="utf-8")
    (tmp_path / "megawatch-rack.json").unlink()
    (tmp_path / "megawatch-old.json").write_text("{}", encoding="utf-8")

    assert build.main(["--check"]) == 1

    said = capsys.readouterr().err
    for name in ("site", "rack", "old"):
        assert f"megawatch-{name}.json: not what the code makes; run python -m grafana.build" in said
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    assert build.main(["--write"]) == 2


@pytest.mark.xdist_group("dashboards")  # whose small world is made once
def test_the_writer_writes_every_name_that_a_query_may_have() -> None:
    """Measurements, tags and fields of the schema, found in the lines of the small world."""
    encoder = Encoder()
    tags: dict[str, set[str]] = {}
    fields: dict[str, set[str]] = {}
    for chunk in a_world().chunks:
        for lines in encoder.encode(chunk).lines.values():
            for line in lines:
                series, _, rest = line.decode().partition(" ")
                measurement, *pairs = series.split(",")
                tags.setdefault(measurement, set()).update(pair.partition("=")[0] for pair in pairs)
                fields.setdefault(measurement, set()).update(_FIELD.findall(rest))

    for measurement, (its_tags, its_fields) in NAMES.items():
        assert set(its_tags) <= tags[measurement], measurement
        assert set(its_fields) <= fields[measurement], measurement


def test_every_name_of_the_schema_is_used() -> None:
    """What no query names is no business of the dashboards."""
    text = " ".join(query for document in build.dashboards().values() for _, query in all_queries(document))
    names = {name for tags, fields in NAMES.values() for name in (*tags, *fields)} | set(NAMES)

    assert {name for name in names if f'"{name}"' not in text} == set()


def test_dashboards_are_found_where_the_container_has_them() -> None:
    """The provider reads the folder that compose mounts, keeps nobody's edits, and keeps uids."""
    (provider,) = read_yaml(PROVISIONING / "dashboards" / "megawatch.yaml")["providers"]
    mounts = read_yaml(ROOT / "compose.yaml")["services"]["grafana"]["volumes"]

    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounts


def test_the_data_source_speaks_influxql_with_a_token_from_a_file() -> None:
    """No secret stands in a file that is committed."""
    source, _alerts = read_yaml(PROVISIONING / "datasources" / "megawatch.yaml")["datasources"]

    assert source["type"] == "influxdb"
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["httpMode"] == "POST"
    assert source["secureJsonData"]["httpHeaderValue1"] == "Token $__file{/run/tokens/read}"
    assert json.dumps(source).count("$__file{") == 1
