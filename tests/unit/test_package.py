"""The wheel: exactly our packages, whole, with the command, the dashboards and the service."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"collector", "facility", "formats", "megawatch", "rules", "simulators", "store"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel, with what is installed here and nothing fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [file] = folder.iterdir()
    return zipfile.ZipFile(file)


def test_top_level_names_are_ours_alone(wheel: zipfile.ZipFile) -> None:
    """Generic import names are the price of a flat layout; no further one may slip in."""
    names = {name.partition("/")[0] for name in wheel.namelist()}

    assert {name for name in names if not name.endswith((".dist-info", ".data"))} == PACKAGES


def test_nothing_is_left_out(wheel: zipfile.ZipFile) -> None:
    """Every module of the checkout that a monitor needs is in it, and each package says that it is typed."""
    here = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}

    makes_pages = {f"megawatch/{name}.py" for name in ("reference", "reference_alarms", "reference_model")}

    assert here - set(wheel.namelist()) == makes_pages
    assert {f"{package}/py.typed" for package in PACKAGES} - set(wheel.namelist()) == set()


def test_the_dashboards_and_the_service_are_in_it(wheel: zipfile.ZipFile) -> None:
    """Who installs the wheel has every file that Grafana and systemd need, byte for byte."""
    here = {
        f"share/megawatch/{path.relative_to(ROOT)}": path.read_bytes()
        for folder in ("grafana/dashboards", "grafana/provisioning")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    for name in ("megawatch.service", "megawatch.sysusers"):
        here[f"share/megawatch/{name}"] = (ROOT / "deploy" / name).read_bytes()
    data = {name.partition(".data/data/")[2]: name for name in wheel.namelist() if ".data/data/" in name}

    assert sum(name.endswith(".json") for name in data) == 7
    assert {name: wheel.read(data[name]) for name in data} == here


def test_the_command_is_there(wheel: zipfile.ZipFile) -> None:
    """The one console script starts the command line, and the dependencies are those of the project."""
    folder = next(name for name in wheel.namelist() if name.endswith("/METADATA")).partition("/")[0]
    scripts = ConfigParser()
    scripts.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    metadata = wheel.read(f"{folder}/METADATA").decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]

    assert dict(scripts["console_scripts"]) == {"megawatch": "megawatch.cli.main:main"}
    assert len([line for line in needed if "extra ==" not in line]) == len(wanted)
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
