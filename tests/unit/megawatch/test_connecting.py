"""Connecting to a broker: what is told when it fails, how long is waited, and who may run twice."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from collector.mqtt import probe
from collector.mqtt.address import Address
from megawatch.cli.brokeraddress import BadAddress, split_login
from megawatch.demo.broker import find_broker
from megawatch.run.canary import WIRES
from megawatch.run.lock import AlreadyRuns, locked
from megawatch.run.part import ALL_PARTS, Part

ROOT = Path(__file__).parents[3]
PLACE = Address(host="bms.example", port=8883, client_id="c", username="me", password="geheim")  # noqa: S106 - no secret
UNTRUSTED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed:"
REFUSED = "the certificate of bms.example:8883 is not accepted:"

CAUSES = {
    "a name that is another's": (
        f"{UNTRUSTED} Hostname mismatch, certificate is not valid for 'bms.example'. (_ssl.c:1006)",
        f"{REFUSED} hostname mismatch, certificate is not valid for 'bms.example'",
        True,
    ),
    "an authority that nobody knows": (
        f"{UNTRUSTED} self-signed certificate in certificate chain (_ssl.c:1006)",
        f"{REFUSED} self-signed certificate in certificate chain",
        True,
    ),
    "no TLS there": (
        "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        "bms.example:8883 does not speak TLS as expected (wrong version number)",
        False,
    ),
    "nobody there": ("[Errno 111] Connection refused", "bms.example:8883: connection refused", False),
    "no such host": (
        "[Errno -2] Name or service not known",
        "bms.example:8883: name or service not known",
        False,
    ),
    "no answer": ("timed out", "bms.example:8883: timed out", False),
}


@pytest.mark.parametrize("case", CAUSES)
def test_what_is_told_when_no_connection_comes_about(case: str) -> None:
    """Host, port and cause in plain words; a certificate that is not accepted is known as such."""
    error, told, is_untrusted = CAUSES[case]

    assert PLACE.not_reached(error) == (told, is_untrusted)


def test_a_refused_login_names_the_user_and_never_the_password() -> None:
    """Who was refused is told; without a user name it is told that one is wanted."""
    assert PLACE.login_refused("Not authorized") == (
        "bms.example:8883 does not accept the password of user 'me' (not authorized)"
    )
    nobody = Address(host="::1", port=1883, client_id="c")
    assert nobody.login_refused("Not authorized") == (
        "[::1]:1883 wants a user name and a password (not authorized)"
    )
    assert "geheim" not in repr(PLACE)


def test_a_broker_on_the_command_line() -> None:
    """User and password are taken out of an address; what is none is told without them."""
    assert split_login("mqtt://u%20x:p%40w@h:1884", "mqtt") == ("mqtt://h:1884", "u x", "p@w")
    assert split_login("mqtts://[::1]", "mqtt", "mqtts") == ("mqtts://[::1]", None, None)
    for wrong in (
        "",
        "h",
        "mqtt://",
        "http://u:geheim@h",
        "mqtt://u:geheim@h:0",
        "mqtt://u:geheim@h/x",
        "mqtt://[h",
    ):
        with pytest.raises(BadAddress, match="expected a broker such as mqtt://host:port") as error:
            split_login(wrong, "mqtt")
        assert "geheim" not in str(error.value)


def test_without_mosquitto_the_wheel_of_the_nats_server_is_found(tmp_path: Path) -> None:
    """Where no server is installed the demo uses the one that pip installed beside Python."""
    found = find_broker(str(tmp_path))
    if found is None:
        pytest.skip("the extra 'nats' is not installed")

    assert found[0] == "nats-server"


def test_each_part_runs_once_on_a_data_folder(tmp_path: Path) -> None:
    """A second one is told which part runs and in which process; another part may run."""
    with locked(tmp_path, {Part.COLLECTOR, Part.RULES}):
        with (
            pytest.raises(AlreadyRuns, match=r"process \d+ already runs the rules of"),
            locked(tmp_path, {Part.RULES}),
        ):
            pass
        with locked(tmp_path, {Part.WRITER}):
            pass
    with locked(tmp_path, ALL_PARTS):
        pass


# The product listens ----------------------------------------------------------------------


def calls(path: Path) -> set[str]:
    """Return the names of all methods and functions that a file calls."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found = {node.func.attr for node in nodes if isinstance(node.func, ast.Attribute)}
    return found | {node.func.id for node in nodes if isinstance(node.func, ast.Name)}


def test_only_simulators_publish() -> None:
    """No other package calls anything that publishes, or leaves a will: there is no way to command a site.

    What measures a broker's queue publishes to a topic of its own, and to no other; the canary says what its
    own rack draws, and nothing else.
    """
    speaking = {"publish", "publish_to", "will_set", "Will"}
    packages = ("collector", "facility", "megawatch", "rules", "store")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    found = {path.name: names for path in files if (names := calls(path) & speaking)}

    assert len(files) > 50
    assert found == {"probe.py": {"publish"}, "canary.py": {"publish"}}
    assert probe.TOPICS == "megawatch/doctor"
    wires = [make("hall") for make in WIRES.values()]
    said = [message for wire in wires for message in (*wire.introduction(), *wire.values(0.0, 0))]
    assert {message.topic for message in said} == {
        "BMS/v1/MEGAWATCH-CANARY/Metadata/Rack/RackPower/megawatch-canary",
        "BMS/v1/MEGAWATCH-CANARY/Value/Rack/RackPower/megawatch-canary",
        "megawatch/v1/hall/megawatch-canary",
    }
    assert any(calls(path) & speaking for path in (ROOT / "simulators").rglob("*.py"))
