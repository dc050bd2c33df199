"""Listening in tests: a plain client of its own, so that nothing of ours is tested against itself."""

from __future__ import annotations

import threading
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from testing.waiting import PATIENCE_S


class Subscriber:
    """A plain client that keeps what it is given, in a thread of its own.

    Args:
        port: The broker's port on loopback.
        topics: What it listens to.
    """

    def __init__(self, port: int, topics: str = "BMS/#") -> None:
        self.taken: list[tuple[str, bytes, bool]] = []
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_connect = self._on_connect
        self._topics = topics
        self._port = port

    def _on_connect(self, *_details: object) -> None:
        self._client.subscribe(self._topics, 1)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.taken.append((message.topic, bytes(message.payload), bool(message.retain)))
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S), "the broker confirms the subscription"
        return self

    def __exit__(self, *_details: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, count: int) -> None:
        """Wait until so many messages have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.taken) >= count, PATIENCE_S), (
                f"{len(self.taken)} of {count} messages came within {PATIENCE_S:g} s"
            )
