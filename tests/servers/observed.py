"""A broker that tells who said what, and what it keeps."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers.brokers import Mosquitto

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

    def spoke(self) -> set[tuple[str, str]]:
        """Return who published on which topic."""
        return set(_WHO.findall((self.folder / "log").read_text(errors="replace")))


def kept(port: int, topics: str, wanted: str = "", seconds: float = 15) -> dict[str, bytes]:
    """Return what a broker keeps for whoever subscribes, by topic.

    Args:
        port: The broker's port.
        topics: A topic filter.
        wanted: A topic that ends the wait; "" to wait only until whatever is kept must have come.
        seconds: How long to wait for it at most [s].
    """
    found: dict[str, bytes] = {}
    is_subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="", clean_session=True)

    def ask(*_details: object) -> None:
        client.subscribe(topics, qos=1)

    def settle(*_details: object) -> None:
        is_subscribed.set()

    client.on_message = lambda _client, _data, message: found.update({message.topic: bytes(message.payload)})
    client.on_connect = ask
    client.on_subscribe = settle
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert is_subscribed.wait(seconds)
    until = time.monotonic() + (seconds if wanted else 1)
    while wanted not in found and time.monotonic() < until:
        time.sleep(0.05)
    client.disconnect()
    client.loop_stop()
    return found


def sessions(port: int) -> int:
    """Return how many sessions of absent clients a broker keeps, besides one that is left for counting.

    The broker tells the number when it changes, and forgets what it told after a minute.
    """
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="left-for-counting", clean_session=False)
    client.connect("127.0.0.1", port)
    client.loop_start()
    time.sleep(1)
    client.disconnect()
    client.loop_stop()
    time.sleep(3)  # the number has changed, so it is told within the next second
    topic = "$SYS/broker/clients/disconnected"
    return int(kept(port, topic, topic)[topic]) - 1
