"""A broker behind TLS and passwords, with certificates of an authority of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from testing.servers.brokers import Mosquitto
from testing.servers.process import need

USER = "megawatch"


def make_authority(folder: Path) -> Path:
    """Make an authority and return its certificate; its key lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    _openssl(folder, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority of tests")
    return folder / "ca.pem"


def make_certificate(authority: Path, name: str) -> None:
    """Have an authority certify a server's name; key and certificate lie beside the authority's."""
    _openssl(
        authority.parent,
        *("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"),
        *("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", f"subjectAltName=DNS:{name}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    command = (need("openssl"), "req", "-x509", *kind, *arguments)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@dataclass(slots=True)
class Guarded(Mosquitto):
    """Mosquitto that wants a password, and TLS where it has an authority.

    Attributes:
        authority: The certificate of its authority, None for a plain listener.
        name: The name in its own certificate.
        password: The password of the one user.
        wants_certificate: Whether it wants one of the authority from its clients too.
    """

    authority: Path | None = None
    name: str = "localhost"
    password: str = field(default="", repr=False)
    wants_certificate: bool = False

    def command(self) -> list[str]:
        """Return how it is started."""
        command = Mosquitto.command(self)
        conf, users = self.folder / "conf", self.folder / "users"
        users.touch(mode=0o600)
        users.write_text(f"{USER}:{self.password}\n")
        subprocess.run([need("mosquitto_passwd"), "-U", str(users)], check=True, capture_output=True)
        lines = conf.read_text().replace("allow_anonymous true", "allow_anonymous false").splitlines()
        lines += [f"password_file {users}", "log_type all", "connection_messages true"]
        if self.authority is not None:
            folder = self.authority.parent
            lines += [f"certfile {folder / self.name}.pem", f"keyfile {folder / self.name}.key"]
            if self.wants_certificate:
                lines += [f"cafile {self.authority}", "require_certificate true"]
        conf.write_text("\n".join(lines) + "\n")
        return command

    @property
    def said(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text(errors="replace")
