"""A publisher in a process of its own that costs so little that others can be measured beside it.

`Load` runs it. It publishes a stream at quality of service 1 over a socket of its own: metadata, one value of
each topic, and then values at a rate, or as fast as the broker takes them.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from bench.rig.stream import Packets, Stream, batches, stream_of
from simulators.wire.frames import MOST_IDS, MQTT_3, Framer, connect

WINDOW: Final = 20_000
"""Messages that may be on their way to the broker unacknowledged."""
PAUSE_S: Final = 0.005
"""How long to rest when nothing is due [s]."""
MOST_AHEAD_MS: Final = 500
"""How far time stamps may run ahead of the clock: each run of messages has one of its own (our choice)."""
SAID_S: Final = 0.1
"""How often it is said how far it is [s]."""
PUBACK_BYTES: Final = 4
"""Length of an acknowledgement in MQTT 3.1.1, which therefore needs no parsing."""
CONNACK_BYTES: Final = 4
BATCH: Final = 500
PATIENCE_S: Final = 3_600


@dataclass(slots=True)
class Load:
    """The publisher, as who measures sees it: a context manager.

    Args:
        port: The broker's port.
        form: What is spoken (`bench.rig.stream`).
        pods: How large a site speaks.

    Attributes:
        progress: When [ms] the broker had accepted how many values, in order of time.
    """

    port: int
    form: str
    pods: int
    progress: list[tuple[int, int]] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _asked: int = 0
    _done: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.rig.load", str(self.port), self.form, str(self.pods)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def describe(self) -> None:
        """Publish all metadata, retained, and wait until the broker has it."""
        self._ask("metadata")
        self.wait()

    def speak_once(self) -> None:
        """Publish a value of each topic, and wait until the broker has it."""
        self._ask("first")
        self.wait()

    def begin(self, count: int, per_s: float) -> None:
        """Begin to publish values, after what was begun before.

        Args:
            count: How many.
            per_s: How many a second; 0 for as fast as the broker takes them.
        """
        self._ask(f"values {count} {per_s}")

    def wait(self) -> None:
        """Wait until the broker has everything that was begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._done >= self._asked, PATIENCE_S), (
                "the publisher hangs"
            )

    @property
    def is_done(self) -> bool:
        """Whether the broker has everything that was begun."""
        return self._done >= self._asked

    def _ask(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._asked += 1
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line != "done\n":
                at_ms, accepted = line.split()
                self.progress.append((int(at_ms), int(accepted)))
                continue
            with self._changed:
                self._done += 1
                self._changed.notify_all()


class Wire:
    """The publisher's connection.

    Args:
        port: The broker's port.

    Attributes:
        sent: Messages sent.
        accepted: Those that the broker acknowledged.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(connect(MQTT_3, f"bench-load-{port}", 0, None, None))
        welcome = self._socket.recv(CONNACK_BYTES, socket.MSG_WAITALL)
        assert welcome[3] == 0, f"the broker refuses: {welcome!r}"
        self.sent = self.accepted = self._bytes = 0

    @property
    def room(self) -> int:
        """How many messages may be sent now."""
        return WINDOW - (self.sent - self.accepted)

    def send(self, packets: bytes, count: int) -> None:
        """Send messages; not more than there is room for."""
        self._socket.sendall(packets)
        self.sent += count
        self._hear(socket.MSG_DONTWAIT)

    def settle(self) -> None:
        """Wait until the broker has acknowledged everything."""
        while self.accepted < self.sent:
            self._hear(0)

    def rest(self) -> None:
        """Rest a moment, and count what was acknowledged."""
        time.sleep(PAUSE_S)
        self._hear(socket.MSG_DONTWAIT)

    def _hear(self, flags: int) -> None:
        try:
            heard = len(self._socket.recv(1 << 20, flags))
        except BlockingIOError:
            return
        assert heard, "the broker hung up"
        self._bytes += heard
        self.accepted = self._bytes // PUBACK_BYTES


class Speaker:
    """Publishes a stream.

    Args:
        wire: Where.
        stream: What.
    """

    def __init__(self, wire: Wire, stream: Stream) -> None:
        self._wire = wire
        self._stream = stream
        self._packets = Packets(stream.values)
        self._place = self._stamp_ms = self._before = 0

    def describe(self) -> None:
        """Publish all metadata, retained."""
        topics = [topic for topic, _ in self._stream.metadata]
        framer = Framer(MQTT_3, topics)
        for batch in batches(
            [(str(place), payload) for place, (_, payload) in enumerate(self._stream.metadata)], BATCH
        ):
            channels = [int(place) for place, _ in batch]
            ids = [(self._wire.sent + place) % MOST_IDS + 1 for place in range(len(batch))]
            packets = framer.frames(channels, [payload for _, payload in batch], ids, is_retained=True)
            self._wire.send(packets, len(batch))
            self._wire.settle()

    def speak_once(self) -> None:
        """Publish a value of each topic; they are not counted as values of the load."""
        seen: set[str] = set()
        at_ms = self._next_ms()
        for place, (topic, _) in enumerate(self._stream.values):
            if topic not in seen:
                seen.add(topic)
                self._wire.send(self._packets.take(place, place + 1, at_ms), 1)
            if not self._wire.room:
                self._wire.settle()
        self._wire.settle()
        self._before = self._wire.accepted

    def speak(self, count: int, per_s: float) -> None:
        """Publish values.

        Args:
            count: How many.
            per_s: How many a second; 0 for as fast as the broker takes them.
        """
        begin_s = said_s = time.monotonic()
        begin, goal = self._wire.sent, self._wire.sent + count
        while self._wire.sent < goal:
            now_s = time.monotonic()
            due = min(goal, begin + int((now_s - begin_s) * per_s)) if per_s else goal
            size = min(
                due - self._wire.sent,
                self._wire.room,
                self._stream.distance,
                len(self._packets) - self._place,
            )
            if size > 0 and self._stamp_ms < _now_ms() + MOST_AHEAD_MS:
                packets = self._packets.take(self._place, self._place + size, self._next_ms())
                self._wire.send(packets, size)
                self._place = (self._place + size) % len(self._packets)
            else:
                self._wire.rest()
            if now_s - said_s >= SAID_S:
                said_s = now_s
                self._say()
        self._wire.settle()
        self._say()

    def _say(self) -> None:
        say(f"{_now_ms()} {self._wire.accepted - self._before}")

    def _next_ms(self) -> int:
        """Return a time stamp that was not used before: no reading of a point is a duplicate."""
        self._stamp_ms = max(self._stamp_ms + 1, _now_ms())
        return self._stamp_ms


def _now_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - the site has a clock of its own


def say(what: str) -> None:
    """Say something to whoever measures."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    """Do what the lines of standard input say, and say `done` after each."""
    port, form, pods = sys.argv[1:]
    speaker = Speaker(Wire(int(port)), stream_of(form, int(pods)))
    for line in sys.stdin:
        match line.split():
            case ["metadata"]:
                speaker.describe()
            case ["first"]:
                speaker.speak_once()
            case ["values", count, per_s]:
                speaker.speak(int(count), float(per_s))
            case _:
                raise AssertionError(f"expected something to publish, found {line!r}")
        say("done")


if __name__ == "__main__":
    main()
