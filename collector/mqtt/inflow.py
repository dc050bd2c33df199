"""What a socket brings, taken apart: plain messages in columns, and every other packet by itself.

Whole buffers are read, and the plain PUBLISH packets that follow one another in them become columns at
one go. All else, such as an answer of the broker, a message with properties or what breaks the protocol, is
laid ready for paho, which reads it as from a socket.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import numpy as np

from collector.kernels import frame
from collector.kernels.portable import packet_end
from collector.mqtt.message import Messages
from collector.mqtt.protocol import MOST_PACKET_BYTES, cut

BUFFER_BYTES: Final = 393_216
"""How much is read at once [bytes]: 70 ms of 20,000 messages a second (our choice)."""
MOST_MESSAGES: Final = 4_096
"""How many messages are put into columns at once (our choice)."""

_NOTHING_THERE: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Inflow:
    """What one connection brings.

    Args:
        has_properties: Whether packets may have properties, as they have in MQTT 5.
    """

    def __init__(self, *, has_properties: bool) -> None:
        self._has_properties = has_properties
        self._buffer = bytearray(BUFFER_BYTES)
        self._have = 0
        self._ready = memoryview(b"")  # for paho
        self._cut = b""  # the beginning of a message that is too long, while the rest of it comes
        self._passing = 0  # how much of it is still to come [bytes]
        self._end: OSError | None = None
        self._has_ended = False
        self._spans = np.empty((MOST_MESSAGES, 4), np.int32)
        self._flags = np.empty(MOST_MESSAGES, np.uint8)
        self._numbers = np.empty(MOST_MESSAGES, np.int64)

    def read(self, sock: socket.socket) -> bool:
        """Read what is there, up to a full buffer; tell whether more may be there."""
        free = memoryview(self._buffer)
        try:
            while self._have < len(free):
                count = sock.recv_into(free[self._have :])
                if not count:
                    self._has_ended = True
                    return False
                self._have += count
        except _NOTHING_THERE:
            return False
        except (OSError, ValueError) as error:
            self._has_ended = True
            self._end = error if isinstance(error, OSError) else OSError(str(error))
            return False
        finally:
            free.release()
        return True

    def take(self, received_ms: int) -> Iterator[Messages | None]:
        """Yield what was read, in order: messages, and None for what is laid ready for paho.

        Args:
            received_ms: When it was read [ms].

        Raises:
            Breach: Where a packet is too long and no message; all before it was yielded.
        """
        at = self._pass_over(0)
        while not self._passing:
            if self._cut:
                packet, self._cut = self._cut, b""
                yield self._next(packet, 0, len(packet), received_ms)[0]
            came, end = self._next(self._buffer, at, self._have, received_ms)
            if end > at:
                yield came
                at = end
            elif self._begins_too_long(at):
                at = self._pass_over(at)
            else:
                break
        self._keep(at)
        if self._has_ended:
            yield None

    @property
    def ready(self) -> bytes:
        """What is laid ready for paho."""
        return bytes(self._ready)

    def give(self, most: int) -> bytes:
        """Return what is laid ready, as a socket would that does not wait.

        Raises:
            BlockingIOError: Where nothing is.
            OSError: Where the connection broke.
        """
        given, self._ready = self._ready[:most], self._ready[most:]
        if not given:
            if self._end is not None:
                raise self._end
            if not self._has_ended:
                raise BlockingIOError
        return bytes(given)

    def _next(
        self, data: bytes | bytearray, at: int, have: int, received_ms: int
    ) -> tuple[Messages | None, int]:
        """Return what begins at a place, messages or None for what is laid ready for paho, and where it ends.

        That is the same place where it has not come whole.
        """
        count, end = frame(data, at, have, self._has_properties, self._spans, self._flags, self._numbers)
        if count:
            return self._messages(data, at, end, count, received_ms), end
        end = _odd_end(data, at, have)
        if end > at:
            self._ready = memoryview(bytes(memoryview(data)[at:end]))
        return None, end

    def _messages(self, data: bytes | bytearray, at: int, end: int, count: int, received_ms: int) -> Messages:
        return Messages(
            data=bytes(memoryview(data)[at:end]),
            spans=self._spans[:count] - np.int32(at),
            received_ms=np.full(count, received_ms, np.int64),
            flags=self._flags[:count].copy(),
            number=self._numbers[:count].copy(),
            generation=np.zeros(count, np.int64),
        )

    def _begins_too_long(self, at: int) -> bool:
        """Cut a message short that begins at a place and is seen to be too long; tell whether one is."""
        found = packet_end(self._buffer, at, self._have)
        if found is None:
            return False
        body, end = found
        if end - body <= MOST_PACKET_BYTES or self._have - body < MOST_PACKET_BYTES:
            return False
        self._cut = cut(self._buffer[at], self._buffer[body : body + MOST_PACKET_BYTES], end - body)
        self._passing = end - at
        return True

    def _pass_over(self, at: int) -> int:
        """Pass over what has come of a message that is too long; return where it ends, or what has come."""
        count = min(self._passing, self._have - at)
        self._passing -= count
        return at + count

    def _keep(self, at: int) -> None:
        """Keep the beginning of a packet that has not come: there is room for all that is read whole."""
        kept = self._buffer[at : self._have]
        self._buffer[: len(kept)] = kept
        self._have = len(kept)


def _odd_end(data: bytes | bytearray, at: int, have: int) -> int:
    """Return where the packet at `at` ends; `at` itself where it has not come whole."""
    if at == have:
        return at
    try:
        found = packet_end(data, at, have)
    except ValueError:
        return have  # nothing can be read any more: paho says so
    return found[1] if found is not None and found[1] <= have else at
