"""Publishing in tests: a plain client of its own, so that nothing of ours is tested against itself."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from testing.waiting import PATIENCE_S


class Publisher:
    """A client that publishes, in a thread of its own; it reconnects, and keeps what it could not send.

    Args:
        port: The broker's port on loopback.
        client_id: Its client id.
    """

    def __init__(self, port: int, client_id: str = "test-publisher") -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
        self._client.max_inflight_messages_set(1_000)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_publish = self._on_publish
        self._port = port
        self._changed = threading.Condition()
        self.published = 0
        self.accepted = 0

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port, keepalive=30)
        self._client.loop_start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish a message; one of quality of service 0 is gone when nobody is connected."""
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if qos or info.rc == paho.MQTT_ERR_SUCCESS:
            self.published += 1

    def flush(self) -> None:
        """Wait until the broker has taken everything that was published."""
        with self._changed:
            done = self._changed.wait_for(lambda: self.accepted >= self.published, PATIENCE_S)
        assert done, f"{self.accepted} of {self.published} messages were taken within {PATIENCE_S:g} s"

    def _on_publish(self, *_details: object) -> None:
        with self._changed:
            self.accepted += 1
            self._changed.notify_all()
