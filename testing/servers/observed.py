"""A broker that tells who said what, and what it keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from testing.servers.brokers import Mosquitto
from testing.waiting import wait_until

_CAME = re.compile(r"New client connected from \S+ as (\S+) ")
_WHO = re.compile(r"Received PUBLISH from (\S+) \(.*?'([^']+)'")


@dataclass(slots=True)
class Observed(Mosquitto):
    """A broker that logs who publishes what, and counts its clients every second."""

    def command(self) -> list[str]:
        """Return how it is started."""
        command = Mosquitto.command(self)
        with (self.folder / "conf").open("a") as conf:
            conf.write("log_type all\nsys_interval 1\n")
        return command

    def came(self) -> set[str]:
        """Return who connected."""
        return set(_CAME.findall((self.folder / "log").read_text(errors="replace")))

    def spoke(self) -> set[tuple[str, str]]:
        """Return who published on which topic."""
        return set(_WHO.findall((self.folder / "log").read_text(errors="replace")))


def kept(port: int, topics: str) -> dict[str, bytes]:
    """Return what a broker keeps for whoever subscribes, by topic.

    Args:
        port: The broker's port.
        topics: A topic filter.
    """
    found: dict[str, bytes] = {}
    answers: list[int] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="", clean_session=True)

    def ask(*_details: object) -> None:
        client.subscribe(topics, qos=1)
        client.subscribe("nothing/is/here")  # its answer comes behind what is kept

    client.on_message = lambda _client, _data, message: found.update({message.topic: bytes(message.payload)})
    client.on_connect = ask
    client.on_subscribe = lambda _client, _data, number, *_details: answers.append(number)
    client.connect("127.0.0.1", port)
    client.loop_start()
    wait_until(lambda: len(answers) == 2, "two subscriptions are confirmed")
    client.disconnect()
    client.loop_stop()
    return found


def has_session(port: int, client_id: str) -> bool:
    """Tell whether a broker keeps a session of an absent client; afterwards it does not."""
    found: list[bool] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
    client.on_connect = lambda _client, _data, flags, *_details: found.append(flags.session_present)
    client.connect("127.0.0.1", port, clean_start=False)
    client.loop_start()
    wait_until(lambda: bool(found), "connected")
    client.disconnect()
    client.loop_stop()
    return found[0]
