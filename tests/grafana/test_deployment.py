"""What runs the monitor: containers and the service, held against what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from facility.sitefile.reader import read_site

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "megawatch.service"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"influxdb-init"}
"""What runs and ends."""
EXPOSURE = 2.0
"""The worst that systemd's own judgement may be; it calls everything below this OK."""


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_healthy_and_without_rights(name: str) -> None:
    """A version in each image, a health check in whatever runs on, no right but what is named."""
    service = SERVICES[name]

    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", service["image"])
    assert ("healthcheck" in service) is (name not in ONCE)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("privileged", False) is False


def test_nothing_but_grafana_is_reachable() -> None:
    """No other service publishes a port, and the database has no way out either."""
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"grafana"}
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["influxdb"]["networks"] == ["inside"]
    assert all("network_mode" not in service for service in SERVICES.values())


def test_secrets_are_files_that_are_not_committed() -> None:
    """Every secret that is used is declared, is a file of one folder, and no variable holds one."""
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}

    assert used == set(files)
    assert files == {name: f"./deploy/secrets/{name}" for name in files}
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|SECRET", name) or str(value).startswith("/run/secrets/")


def test_whatever_is_mounted_is_there() -> None:
    """Volumes and configurations are declared; files are in the project, but for secrets."""
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if not source.startswith("./"):
                assert source in COMPOSE["volumes"]
            elif not source.startswith("./deploy/secrets/"):
                assert (ROOT / source).exists(), source
        for config in service.get("configs", []):
            assert (ROOT / COMPOSE["configs"][config["source"]]["file"]).exists()


def test_the_site_of_the_containers_is_a_site() -> None:
    """It reads, and names the services and the mounts of compose.yaml."""
    site = read_site((ROOT / "deploy" / "site" / "site.toml").read_text(encoding="utf-8"))

    assert [broker.url for broker in site.brokers] == ["mqtt://mosquitto:1883"]
    assert site.store.influxdb is not None
    assert site.store.influxdb.url == "http://influxdb:8086"
    mounts = [mount.split(":")[1] for mount in SERVICES["megawatch"]["volumes"]]
    assert site.store.data_dir in mounts
    assert str(Path(site.store.influxdb.token_file or "").parent) in mounts
    assert site.brokers[0].password_file == "/run/secrets/mosquitto-megawatch"  # noqa: S105 - a path


def test_the_container_is_not_root_and_holds_what_is_needed() -> None:
    """It ends as an account by number, and copies every package of the wheel."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()

    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert all(
        re.search(r":\d+\.\d+\.\d+-", image) for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    )
    for package in ("collector", "facility", "megawatch", "rules", "simulators", "store"):
        assert f"COPY {package} {package}" in text
        assert f"!{package}" in ignored


def test_the_locked_requirements_are_those_of_the_project() -> None:
    """The container has the versions that the tests ran with, and nothing that only developers need."""
    locked = {
        name: re.findall(
            r"^([\w.-]+(?:\[[\w,]+\])?==\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
        )
        for name in ("requirements.lock", "deploy/requirements.lock")
    }

    assert set(locked["deploy/requirements.lock"]) <= set(locked["requirements.lock"])
    assert not [
        line for line in locked["deploy/requirements.lock"] if line.startswith(("mypy", "pytest", "ruff"))
    ]


def test_the_service_tells_when_it_is_ready_and_alive() -> None:
    """It is of the notifying kind, is watched, comes back always, and is no root."""
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys of units have capitals
    unit.read(UNIT)
    service = unit["Service"]

    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) <= 60
    assert service["Restart"] == "always"
    assert service["User"] == "megawatch"
    assert "u megawatch" in (ROOT / "deploy" / "megawatch.sysusers").read_text(encoding="utf-8")


def test_systemd_finds_nothing_wrong_with_the_service(tmp_path: Path) -> None:
    """It reads every line, and judges it hardly exposed."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    # The program is where it is installed, not here.
    text = UNIT.read_text(encoding="utf-8").replace("/opt/megawatch/bin/megawatch", "/bin/true")
    path = tmp_path / UNIT.name
    path.write_text(text, encoding="utf-8")

    verified = subprocess.run([analyze, "verify", path], capture_output=True, text=True, check=False)
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verified.returncode, verified.stderr) == (0, "")
    if judged.returncode and "unrecognized option" in judged.stderr:
        pytest.skip("this systemd-analyze judges no files")
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert exposure is not None, judged.stderr
    assert float(exposure[1]) < EXPOSURE
