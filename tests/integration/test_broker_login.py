"""Getting in: TLS with name check, user and password, and the version of MQTT that the broker speaks."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from megawatch.run.problems import problems_of
from testing.collector.publishing import Publisher
from testing.megawatch.asking import asking
from testing.megawatch.monitoring import Watch, watching
from testing.megawatch.saying import read_status
from testing.servers.brokers import Mosquitto, NatsServer
from testing.servers.guarded import USER, Guarded, make_authority, make_certificate
from testing.servers.process import need
from testing.waiting import PATIENCE_S, wait_until

RIGHT, WRONG = "correct-horse-7261", "battery-staple-9034"

SITE = """
[site]
name = "guarded"
[[broker]]
url = "{url}"
format = "rack-documents"
keepalive_s = 2
{login}
[[rack]]
ids = "r1"
rating_kw = 132
"""
LOGIN = f'username = "{USER}"\npassword_file = "secrets/bms"\n'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority with certificates for us and for somebody else."""
    made = make_authority(tmp_path_factory.mktemp("authority"))
    make_certificate(made, "localhost")
    make_certificate(made, "elsewhere.example")
    return made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[Guarded]:
    """Run a broker with TLS and a password."""
    folder = tmp_path_factory.mktemp("guarded") / "broker"
    with Guarded(folder, authority=authority, password=RIGHT) as server:
        yield server


def a_site(folder: Path, url: str, *, password: str | None = None, authority: Path | None = None) -> Path:
    """Write a site with a broker, and return its folder."""
    (folder / "secrets").mkdir(parents=True)
    login = "" if authority is None else f'ca_file = "{authority}"\n'
    if password is not None:
        login += LOGIN
        (folder / "secrets" / "bms").write_text(password + "\n")
    (folder / "site.toml").write_text(SITE.format(url=url, login=login))
    return folder


# Each case: the password, whether our authority is trusted, the host asked for, and what is told.
LOGINS = {
    # Nobody publishes there, and that is not fine.
    "the right password": (
        RIGHT,
        True,
        "localhost",
        "lets us in and subscribe, MQTT 5; nothing arrives in 2 s",
    ),
    "a wrong password": (WRONG, True, "localhost", f"does not accept the password of user '{USER}'"),
    "no password": (None, True, "localhost", "wants a user name and a password"),
    "an authority that is not trusted": (
        RIGHT,
        False,
        "localhost",
        "localhost:{port} is not accepted: ",
    ),
    "a host that the certificate does not name": (RIGHT, True, "127.0.0.1", "certificate is not valid for"),
}


@pytest.mark.servers
@pytest.mark.parametrize("case", LOGINS)
def test_live_tells_who_is_let_in(
    case: str, guarded: Guarded, authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the right password over a certificate that names the host is let in; all else is told clearly."""
    password, is_trusted, host, told = LOGINS[case]
    url = f"mqtts://{host}:{guarded.port}"
    site = a_site(tmp_path / "site", url, password=password, authority=authority if is_trusted else None)
    with asking(capsys) as ask:
        answer = ask("check", site, "--live", "--json")

    [reached] = answer.document["live"]
    assert told.format(port=guarded.port) in reached["detail"]
    assert f"{host}:{guarded.port}" in reached["detail"]
    assert (answer.status, reached["ok"]) == (1, False)
    assert RIGHT not in answer.out + answer.err
    assert WRONG not in answer.out + answer.err


@pytest.mark.servers
def test_a_certificate_for_another_host_stops_the_monitor_from_connecting(
    authority: Path, tmp_path: Path
) -> None:
    """The session is refused by us, says why, and nothing was sent: not even the password."""

    async def story() -> None:
        server = Guarded(tmp_path / "broker", authority=authority, name="elsewhere.example", password=RIGHT)
        with server:
            url = f"mqtts://localhost:{server.port}"
            site = a_site(tmp_path / "site", url, password=RIGHT, authority=authority)
            async with watching(site, (site / "site.toml").read_text()) as watch:
                await watch.until(lambda: state(watch) == "refused", "refused")
                detail = str(broker(watch)["detail"])

            assert "not accepted: hostname mismatch" in detail
            assert "New client connected" not in server.said

    asyncio.run(story())


@pytest.mark.servers
def test_a_wrong_password_is_told_retried_and_mended_without_a_restart(tmp_path: Path) -> None:
    """Attempts go on, with pauses; when the password file is put right the next one gets in."""

    async def story() -> None:
        with Guarded(tmp_path / "broker", password=RIGHT) as server:
            site = a_site(tmp_path / "site", server.url, password=WRONG)
            async with watching(site, (site / "site.toml").read_text()) as watch:
                await watch.until(lambda: state(watch) == "refused", "refused")
                told = str(broker(watch)["detail"])
                await watch.until(lambda: attempts(server) >= 3, "tried again")
                await asyncio.to_thread((site / "secrets" / "bms").write_text, RIGHT)
                await watch.until_connected()
                assert broker(watch)["mqtt"] == "5"

            assert f"does not accept the password of user '{USER}'" in told

    asyncio.run(story())


@pytest.mark.servers
def test_no_password_is_in_logs_status_or_data(guarded: Guarded, authority: Path, tmp_path: Path) -> None:
    """Neither the right one nor a wrong one is in anything that the monitor prints or writes."""
    url = f"mqtts://localhost:{guarded.port}"
    sites = {
        password: a_site(tmp_path / f"site-{place}", url, password=password, authority=authority)
        for place, password in enumerate((RIGHT, WRONG))
    }
    command = (sys.executable, "-m", "megawatch", "run")
    monitors = [
        subprocess.Popen([*command, str(site)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for site in sites.values()
    ]
    try:
        for site, wanted in zip(sites.values(), ("connected", "refused"), strict=True):
            until_broker_is(wanted, site)
    finally:
        for monitor in monitors:
            monitor.send_signal(signal.SIGTERM)
    printed = [monitor.communicate(timeout=PATIENCE_S)[0] for monitor in monitors]

    for (password, site), said in zip(sites.items(), printed, strict=True):
        written = b"".join(path.read_bytes() for path in (site / "data").rglob("*") if path.is_file())
        assert len(written) > 1_000
        assert b"rules start" in said
        assert password.encode() not in said + written
    assert [monitor.returncode for monitor in monitors] == [0, 0]


def until_broker_is(wanted: str, site: Path) -> None:
    """Wait until the status of a site's broker is as wanted."""

    def is_so() -> bool:
        return bool(read_status(site / "data").get("brokers", [{}])[0].get("state") == wanted)

    wait_until(is_so, wanted, lambda: read_status(site / "data"))


@pytest.mark.servers
def test_a_broker_of_a_foreign_authority_is_refused_with_its_reason(authority: Path, tmp_path: Path) -> None:
    """Its certificate is real, and made by nobody that we trust."""
    stranger = make_authority(tmp_path / "stranger")

    async def story() -> None:
        with Guarded(tmp_path / "broker", authority=authority, password=RIGHT) as server:
            url = f"mqtts://localhost:{server.port}"
            site = a_site(tmp_path / "site", url, password=RIGHT, authority=stranger)
            async with watching(site, (site / "site.toml").read_text()) as watch:
                await watch.until(lambda: state(watch) == "refused", "refused")
                detail = str(broker(watch)["detail"])
                (problem,) = problems_of(watch.monitor.built)
            assert (problem.subject, problem.cause) == ("broker bus", detail)
            assert f"the certificate of localhost:{server.port} is not accepted: " in detail

    asyncio.run(story())


@pytest.mark.servers
def test_a_broker_that_wants_our_certificate_gets_it(authority: Path, tmp_path: Path) -> None:
    """Without one it is said what is missing; with one it lets us in."""
    make_certificate(authority, "the-monitor")
    own = authority.parent / "the-monitor"
    ours = f'cert_file = "{own}.pem"\nkey_file = "{own}.key"\n'

    async def story() -> None:
        server = Guarded(tmp_path / "broker", authority=authority, password=RIGHT, wants_certificate=True)
        with server:
            url = f"mqtts://localhost:{server.port}"
            for name, keys in (("without", ""), ("with", ours)):
                site = a_site(tmp_path / name, url, password=RIGHT, authority=authority)
                text = (site / "site.toml").read_text().replace("keepalive_s", f"{keys}keepalive_s")
                async with watching(site, text) as watch:
                    if keys:
                        await watch.until_connected()
                    else:
                        await watch.until(lambda: state(watch) == "refused", "refused")
                        assert "wants a client certificate" in str(broker(watch)["detail"])

    asyncio.run(story())


@pytest.mark.servers
@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('cert_file = "{at}/localhost.pem"\nkey_file = "{at}/ca.key"', "key values mismatch"),
        ('cert_file = "{at}/localhost.pem"', "no certificate or no key in them"),
        ('cert_file = "{at}/nothing.pem"', "No such file"),
        ('cert_file = "{at}/localhost.pem"\nkey_file = "{at}/locked.key"', "locked.key"),
    ],
)
def test_a_certificate_of_ours_that_can_not_be_used_is_a_fault(
    keys: str, fault: str, authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told when the site file is read, and nobody is asked for a pass phrase."""
    at = authority.parent
    lock = f"ec -in {at}/localhost.key -aes256 -passout pass:secret -out {at}/locked.key"
    subprocess.run([need("openssl"), *lock.split()], check=True, capture_output=True)
    site = a_site(tmp_path / "site", "mqtts://localhost:1", authority=authority)
    text = (site / "site.toml").read_text().replace("keepalive_s", keys.format(at=at) + "\nkeepalive_s")
    (site / "site.toml").write_text(text)
    with asking(capsys) as ask:
        answer = ask("check", site, "--json")

    assert answer.status == 1
    (told,) = answer.document["faults"]
    assert told["path"] == "broker[0].cert_file"
    assert fault in told["found"]


# Versions ---------------------------------------------------------------------------------


@asynccontextmanager
async def old_fashioned(port: int) -> AsyncIterator[int]:
    """Run a broker that hangs up on MQTT 5 and hands 3.1.1 on to another; yield its port."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(65_536)
        is_new = hello[hello.index(b"MQTT") + 4] == 5
        if is_new:
            writer.close()
            return
        beyond, onward = await asyncio.open_connection("127.0.0.1", port)
        onward.write(hello)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, onward))
            group.create_task(pump(beyond, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.servers
@pytest.mark.parametrize("kind", ["says that it is too new", "hangs up without a word"])
def test_a_broker_of_the_older_version_is_spoken_to_in_it(kind: str, tmp_path: Path) -> None:
    """Whether it answers or just hangs up on MQTT 5: readings come in over 3.1.1."""

    async def story() -> None:
        with (NatsServer if kind.startswith("says") else Mosquitto)(tmp_path / "broker") as server:
            async with old_fashioned(server.port) as old:
                port = server.port if kind.startswith("says") else old
                site = SITE.format(url=f"mqtt://127.0.0.1:{port}", login="")
                async with watching(tmp_path / "site", site) as watch:
                    await watch.until_connected()
                    assert broker(watch)["mqtt"] == "3.1.1"
                    await asyncio.to_thread(say, server.port)
                    await watch.until_stored(1)

    asyncio.run(story())


def say(port: int) -> None:
    """Publish one document of a rack."""
    at_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
    document = json.dumps({"time": at_ms, "seq": 1, "power_kw": 40.0}).encode()
    with Publisher(port) as publisher:
        publisher.publish("megawatch/v1/guarded/r1", document)
        publisher.flush()


def broker(watch: Watch) -> dict[str, object]:
    """Return how the session with the one broker is doing."""
    return {**watch.monitor.status.document()["brokers"][0]}


def state(watch: Watch) -> str:
    """Return what the session with the one broker is doing."""
    return str(broker(watch)["state"])


def attempts(server: Guarded) -> int:
    """Return how often somebody was not let in."""
    return server.said.count("disconnected, not authorised")
