"""A site on disk: its file, its secrets, and its data folder."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from collector.mqtt.address import Address
from facility.errors import Fault, SiteFileError
from facility.names import OPERATOR
from facility.sitefile.reader import SiteFile, read_site
from facility.sitefile.tables import BrokerTable
from megawatch.cli.brokeraddress import address_of, present_certificate
from megawatch.cli.template import FILE
from rules.base import Rule
from rules.notify.services import is_address, is_installed
from rules.registry import make_rules
from store.histories import Place
from store.means.means import holds

ROOMS: Final = ("slack", "teams")
"""Receivers whose whole address is a secret, by their key in a route."""


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """A site as its files say it.

    Attributes:
        path: The site file.
        file: What it says.
        rules: The rules, with the parameters that it sets.
        data: The data folder.
        secrets: What secret files hold, by the path that the site file names.
    """

    path: Path
    file: SiteFile
    rules: tuple[Rule, ...]
    data: Path
    secrets: dict[str, str] = field(repr=False)

    def secrets_now(self) -> dict[str, str]:
        """Return what secret files hold now; as it was at the start where one cannot be read."""
        return self.secrets | _read(((name, name) for name in self.secrets), self.path.parent, [])

    def address(self, broker: BrokerTable, client_id: str) -> Address:
        """Return broker and credentials of a connection, with the secrets as their files hold them now.

        Args:
            broker: Its `[[broker]]` table.
            client_id: The client id, where the broker's table names none.

        Raises:
            OSError: Where certificate and key cannot be read, or do not belong together.
        """
        return address_of(broker, client_id, self.secrets_now(), self.path.parent)

    @property
    def place(self) -> Place:
        """Where its readings are kept."""
        return Place(
            store=self.file.store, data=self.data, token=self.influx_token, hold=holds(self.file.sources)
        )

    def influx_token(self) -> str:
        """Return InfluxDB's token, as its file holds it now.

        Raises:
            OSError: Where the file cannot be read.
        """
        influxdb = self.file.store.influxdb
        return "" if influxdb is None else self._token(influxdb.token_file)

    def feed_token(self) -> str:
        """Return the token of the InfluxDB that is read, as its file holds it now.

        Raises:
            OSError: Where the file cannot be read.
        """
        return "" if self.file.feed is None else self._token(self.file.feed.token_file)

    def _token(self, name: str | None) -> str:
        return "" if name is None else (self.path.parent / name).read_text(encoding="utf-8-sig").strip()


def open_site(path: Path) -> SiteFolder:
    """Read a site: its file, or the folder that holds one.

    Raises:
        SiteFileError: Where anything of it is wrong; the error holds every fault.
    """
    source = path / FILE if path.is_dir() else path
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        hint = "" if source.exists() else f"write one: megawatch init {path.parent if path.suffix else path}"
        fault = Fault(path="file", expected="a site file", found=found.lower(), hint=hint)
        raise SiteFileError(str(source), (fault,)) from error
    faults: list[Fault] = []
    file: SiteFile | None = None
    try:
        file = read_site(text, str(source))
    except SiteFileError as error:
        faults += error.faults
    rules: tuple[Rule, ...] = ()
    secrets: dict[str, str] = {}
    if file is not None:
        rules = make_rules(
            file.rules, faults, [*(str(tenant.id) for tenant in file.site.tenants), str(OPERATOR)]
        )
        secrets = _secrets(file, source.parent, faults)
        _check_brokers(file, secrets, source.parent, faults)
    if file is None or faults:
        raise SiteFileError(str(source), tuple(faults))
    return SiteFolder(source, file, rules, source.parent / file.store.data_dir, secrets)


def _check_brokers(file: SiteFile, secrets: Mapping[str, str], folder: Path, faults: list[Fault]) -> None:
    """Find what is wrong with brokers beyond what the file's text can tell."""
    for i, broker in enumerate(file.brokers):
        if "@" in broker.url:
            expected = "an address without user name and password"
            hint = "they belong into username and password_file"
            faults.append(Fault(path=f"broker[{i}].url", expected=expected, found="both in it", hint=hint))
        if broker.ca_file is not None and broker.ca_file in secrets:
            try:
                ssl.create_default_context().load_verify_locations(cadata=secrets[broker.ca_file])
            except (ssl.SSLError, ValueError):
                fault = f"'{broker.ca_file}', which holds none"
                faults.append(Fault(path=f"broker[{i}].ca_file", expected="PEM certificates", found=fault))
        if broker.cert_file in secrets and (broker.key_file or broker.cert_file) in secrets:
            _check_own_certificate(broker, folder, f"broker[{i}].cert_file", faults)


def _check_own_certificate(broker: BrokerTable, folder: Path, path: str, faults: list[Fault]) -> None:
    certificate = broker.cert_file or ""
    key = broker.key_file or certificate
    try:
        present_certificate(ssl.create_default_context(), folder / certificate, folder / key)
    except (OSError, ValueError) as error:
        expected = "a PEM certificate and its private key, without a pass phrase"
        reason = getattr(error, "reason", None) or "no certificate or no key in them"
        found = f"'{certificate}' and '{key}': {str(reason).lower().replace('_', ' ')}"
        faults.append(Fault(path=path, expected=expected, found=found))


def _secrets(file: SiteFile, folder: Path, faults: list[Fault]) -> dict[str, str]:
    wanted = [(f"broker[{i}].password_file", b.password_file) for i, b in enumerate(file.brokers)]
    wanted += [(f"broker[{i}].ca_file", b.ca_file) for i, b in enumerate(file.brokers)]
    wanted += [(f"broker[{i}].cert_file", b.cert_file) for i, b in enumerate(file.brokers)]
    wanted += [(f"broker[{i}].key_file", b.key_file) for i, b in enumerate(file.brokers)]
    wanted += [
        (f"route[{i}].to.{name}", getattr(route.to, name))
        for i, route in enumerate(file.routes)
        for name in ("secret_file", "pagerduty", "apprise", *ROOMS)
    ]
    wanted.append(("smtp.password_file", file.smtp.password_file))
    wanted.append(("heartbeat.url_file", file.heartbeat.url_file))
    wanted.append(("acknowledge.secret_file", file.acknowledge.secret_file))
    wanted.append(("acknowledge.pagerduty_secret_file", file.acknowledge.pagerduty_secret_file))
    if file.store.influxdb is not None:
        wanted.append(("store.influxdb.token_file", file.store.influxdb.token_file))
    if file.feed is not None:
        wanted.append(("influxdb.token_file", file.feed.token_file))
    found = _read([(path, name) for path, name in wanted if name is not None], folder, faults)
    addresses = [("heartbeat.url_file", file.heartbeat.url_file)]
    addresses += [
        (f"route[{i}].to.{room}", getattr(route.to, room))
        for i, route in enumerate(file.routes)
        for room in ROOMS
    ]
    for path, name in addresses:
        if name is not None and name in found and not _is_address(found[name]):
            expected = "a file that holds an https:// or http:// address"
            faults.append(Fault(path=path, expected=expected, found=f"'{name}'"))
    for i, route in enumerate(file.routes):
        _check_service(f"route[{i}].to.apprise", route.to.apprise, found, faults)
    return found


def _is_address(text: str) -> bool:
    try:
        return urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False


def _check_service(path: str, name: str | None, secrets: Mapping[str, str], faults: list[Fault]) -> None:
    """Check that a service beyond those that are built in can be reached by its address."""
    if name is None or name not in secrets:
        return
    if not is_installed():
        expected = "the extra that it needs: pip install 'megawatch[apprise]'"
        faults.append(Fault(path=path, expected=expected, found="none"))
    elif not is_address(secrets[name]):
        expected = "a file that holds one address of a service that Apprise knows"
        faults.append(Fault(path=path, expected=expected, found=f"'{name}'"))


def _read(wanted: Iterable[tuple[str, str]], folder: Path, faults: list[Fault]) -> dict[str, str]:
    """Return what files hold, by their names; one that cannot be read is a fault at the place given."""
    found: dict[str, str] = {}
    for path, name in wanted:
        try:
            found[name] = (folder / name).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            faults.append(Fault(path=path, expected="a file that can be read", found=f"'{name}': {reason}"))
    return found
