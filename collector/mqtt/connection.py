"""One connection to a broker, on aiomqtt below version 3 (known here and in `collector.mqtt.client` only).

Acknowledging by hand, taking messages without a queue that drops them, and telling whether the broker kept
the session are not in aiomqtt 2's public interface; they are reached through the paho client beneath, here
and nowhere else, and `tests/integration` proves each against real brokers. Version 3 has them in public.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from errno import EBADF, ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE
from typing import Any, Final, Self

import aiomqtt
import numpy as np
from paho.mqtt.client import MQTTMessage

from collector.mqtt.address import BAD_LOGIN, UNSUPPORTED, Address
from collector.mqtt.client import CONNECT_S, make_client
from collector.mqtt.inflow import Inflow
from collector.mqtt.message import Messages
from collector.mqtt.protocol import Breach, check_packet
from collector.mqtt.rest import REST_S, Rest
from collector.mqtt.unacknowledged import packets
from facility.readings import Flag, IntArray
from store.cputime import CpuTime

MOST_READS: Final = 8
"""How often a full buffer is read at once before others get their turn (our choice)."""

_TAKEN_OVER: Final = 142
_CLOSED: Final = 128
"""What paho says where the other end closed the connection, and not we for its silence."""
_PAHO_ERROR: Final = 8
_HUNG_UP: Final = "the broker hung up without an answer"
_HANG_UPS: Final = tuple(f"[Errno {number}]" for number in (EBADF, ECONNRESET, ENOTCONN, EPIPE))
"""What the operating system says of a socket that was closed before anything was answered."""
CHECK_S: Final = 1.0
"""How often it is looked whether anything arrives while an answer is awaited."""


class Refused(Exception):  # noqa: N818 - says what happened
    """The broker did not accept us, or we did not accept its certificate.

    Attributes:
        cause: What was said.
        is_version: Whether it does not speak this version of MQTT.
    """

    def __init__(self, cause: str, *, is_version: bool = False) -> None:
        self.cause = cause
        self.is_version = is_version
        super().__init__(cause)


class Lost(Exception):  # noqa: N818 - says what happened
    """The connection broke.

    Attributes:
        cause: What was seen.
        is_taken_over: Whether another client took our place, with our client id.
        is_unanswered: Whether the broker hung up without a word when we introduced ourselves.
        is_down: Whether nothing listened there: the broker does not run.
        is_breach: Whether the broker sent what it must not: it may do so again at once.
    """

    def __init__(
        self,
        cause: str,
        *,
        is_taken_over: bool = False,
        is_unanswered: bool = False,
        is_down: bool = False,
        is_breach: bool = False,
    ) -> None:
        self.cause = cause
        self.is_taken_over = is_taken_over
        self.is_unanswered = is_unanswered
        self.is_down = is_down
        self.is_breach = is_breach
        super().__init__(cause)


class Connection:
    """One connection, from its CONNECT to its end: an async context manager, used once.

    Args:
        address: Broker and credentials.
        version: MQTT version, 5 or 4 (which is 3.1.1).
        take: Is given messages as they arrive.
        connected: Is told, before any message arrives, whether the broker kept our session.
        is_full: Tells whether there is no room for more: nothing is read until there is.
        reading: Is charged for what is read; None where nobody asks.
        now_ms: The clock [ms].

    Attributes:
        heard_ms: When something was last received [ms].
        hung_up: Whether it ended because the other end closed it.
    """

    def __init__(
        self,
        address: Address,
        *,
        version: int,
        take: Callable[[Messages], None],
        connected: Callable[[bool], None],
        is_full: Callable[[], bool] = lambda: False,
        reading: CpuTime | None = None,
        now_ms: Callable[[], int],
    ) -> None:
        self._address = address
        self._inflow = Inflow(has_properties=version == aiomqtt.ProtocolVersion.V5.value)
        self._take = take
        self._connected = connected
        self._is_full = is_full
        self._reading = reading or CpuTime()
        self._now_ms = now_ms
        self._count = 0  # messages
        self._held_count = 0  # messages that a broker holds back until others are acknowledged
        self._loop = asyncio.get_running_loop()
        self._stack = AsyncExitStack()
        self._rest = Rest()
        self._resting: asyncio.TimerHandle | None = None
        self._is_waiting = True
        self._is_abandoned = False
        self._is_accepted = False
        self._asked_at: int | None = None
        self._answer: int | None = None
        self._is_active = False
        self._fault = ""
        self.heard_ms = 0
        self.hung_up = False
        self._client = make_client(address, version)
        self._paho: Any = self._client._client  # noqa: SLF001 - the reason of this module
        self._paho.manual_ack_set(True)  # noqa: FBT003 - paho's own signature
        self._paho.on_message = self._on_message
        self._wrap("on_connect", self._on_connect)
        self._wrap("on_disconnect", self._on_disconnect)
        self._wrap("on_socket_close", self._on_socket_close)
        self._wrap("_handle_pingresp", self._on_answer)
        self._replace(
            on_socket_open=self._on_socket_open, _easy_log=self._on_log, _sock_recv=self._inflow.give
        )

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            Refused: Where the broker does not accept us.
            Lost: Where it cannot be reached.
        """
        try:
            await self._stack.enter_async_context(self._client)
        except aiomqtt.MqttCodeError as error:
            self._abandon()
            raise self._refusal(error) from error
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            self._abandon()
            raise self._not_connected(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            self._abandon()
            raise
        finally:
            self._is_waiting = False
        _honour_cancellation()
        self.heard_ms = self._now_ms()
        return self

    async def __aexit__(self, *details: object) -> None:
        """Disconnect; the broker keeps the session."""
        if self._resting is not None:
            self._resting.cancel()
        try:
            with suppress(aiomqtt.MqttError):  # it may be gone already
                await self._stack.aclose()
        finally:
            self._abandon()
            ended = self._client._disconnected  # noqa: SLF001 - the reason of this module
            if ended.done() and not ended.cancelled():
                ended.exception()  # what waited for it has been told

    def _abandon(self) -> None:
        """Close the socket.

        aiomqtt leaves it open; a broker that answers later would find two of us under one client id.
        """
        self._is_abandoned = True
        self._paho._sock_close()  # noqa: SLF001 - the reason of this module

    def _not_connected(self, error: str) -> Refused | Lost:
        if error == _HUNG_UP or error.startswith(_HANG_UPS):
            if self._fault:
                return Refused(self._address.refused_by_tls(self._fault))
            return Lost(f"{self._address.place}: {_HUNG_UP}", is_unanswered=True)
        cause, is_untrusted = self._address.not_reached(error)
        if is_untrusted:
            return Refused(cause)
        return Lost(cause, is_down=error.startswith(f"[Errno {ECONNREFUSED}]"))

    def _refusal(self, error: aiomqtt.MqttCodeError) -> Refused:
        code, text = _code(error), _text(error)
        if code in BAD_LOGIN:
            return Refused(self._address.login_refused(text))
        return Refused(f"{self._address.place}: {text}", is_version=code in UNSUPPORTED)

    async def subscribe(self, topics: Iterable[tuple[str, int]]) -> None:
        """Subscribe; the answer may take as long as something arrives before it.

        Args:
            topics: Topic filters, each with the quality of service to ask for.

        Raises:
            Refused: Where the broker refuses one.
            Lost: Where the connection breaks meanwhile.
        """
        asked = list(topics)
        answer = asyncio.ensure_future(self._client.subscribe(asked, timeout=math.inf))
        try:
            quiet_s = 0.0
            while not (await asyncio.wait({answer}, timeout=CHECK_S))[0]:
                # Counted, and not measured: a process that did not run has heard nothing, and proves nothing.
                quiet_s = 0.0 if self._is_active else quiet_s + CHECK_S
                self._is_active = False
                if quiet_s >= CONNECT_S:
                    raise Lost(f"no answer to a subscription, and nothing else, for {CONNECT_S:g} s")
            granted = await answer
        except aiomqtt.MqttError as error:
            raise self._broken(error) from error
        finally:
            answer.cancel()
        _honour_cancellation()
        refused = [topic for (topic, _), code in zip(asked, granted, strict=False) if _value(code) >= 128]  # noqa: PLR2004 - failures begin there
        if refused:
            raise Refused(f"the broker refuses the subscription to {', '.join(refused)}")

    async def ended(self) -> None:
        """Wait until the connection breaks.

        Raises:
            Lost: Always.
        """
        future = self._client._disconnected  # noqa: SLF001 - the reason of this module
        try:
            await asyncio.shield(future)
        except aiomqtt.MqttError as error:
            raise self._broken(error) from error
        except (OSError, ValueError) as error:
            cause = str(error) or type(error).__name__
            raise Lost(cause, is_breach=isinstance(error, Breach)) from error
        raise Lost("disconnected")

    def _broken(self, error: aiomqtt.MqttError) -> Lost:
        cause = self._address.refused_by_tls(self._fault) if self._fault else _text(error)
        return Lost(cause, is_taken_over=_code(error) == _TAKEN_OVER)

    def acknowledge(self, numbers: IntArray) -> None:
        """Acknowledge messages of this connection, in the order in which they came, in one write.

        Args:
            numbers: Their packet identifiers.
        """
        if len(numbers) and self._paho.socket() is not None:
            self._paho._packet_queue(0x40, packets(numbers), 0, 1)  # noqa: SLF001 - the reason of this module

    def ask(self) -> None:
        """Ask the broker for a sign of life; what it sends before that is counted."""
        # Two that are under way could not be told apart.
        if not self._paho._ping_t and self._paho.socket() is not None:  # noqa: SLF001 - as above
            self._asked_at, self._answer = self._held_count, None
            self._paho._send_pingreq()  # noqa: SLF001 - the reason of this module

    def answered(self) -> int | None:
        """Return how many messages came between the last `ask` and its answer, once; else None.

        Only those that come at least once count: no others are held back.
        """
        answer, self._answer = self._answer, None
        return answer

    # What paho calls ------------------------------------------------------------------

    def _replace(self, **functions: Callable[..., object]) -> None:
        for name, function in functions.items():
            setattr(self._paho, name, function)

    def _wrap(self, name: str, after: Callable[..., None]) -> None:
        original = getattr(self._paho, name)

        def wrapped(*arguments: Any) -> Any:  # noqa: ANN401 - paho's own signatures
            result = original(*arguments)
            after(*arguments)
            return result

        setattr(self._paho, name, wrapped)

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, *_rest: Any) -> None:  # noqa: ANN401 - paho's
        if not getattr(reason, "is_failure", reason != 0):
            self._is_accepted = True
            self._connected(bool(flags.session_present))

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, *_rest: Any) -> None:  # noqa: ANN401 - paho's
        # Where a broker hangs up at once, this runs in the thread that connects.
        self.hung_up = flags.is_disconnect_packet_from_server or _value(reason) == _CLOSED
        self._loop.call_soon_threadsafe(self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        """Say so at once when the broker hangs up before it answered; aiomqtt waits for the answer."""
        accepted = self._client._connected  # noqa: SLF001 - the reason of this module
        if self._is_waiting and not accepted.done():
            accepted.set_exception(aiomqtt.MqttError(_HUNG_UP))

    def _on_answer(self, *_details: Any) -> None:  # noqa: ANN401 - paho's
        asked_at, self._asked_at = self._asked_at, None
        if asked_at is not None:
            self._answer = self._held_count - asked_at

    def _on_log(self, level: int, form: str, *arguments: Any) -> None:  # noqa: ANN401 - paho's
        """Remember why TLS ended a connection: paho says it nowhere else."""
        if level == _PAHO_ERROR and any(isinstance(argument, ssl.SSLError) for argument in arguments):
            self._fault = form % arguments

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:  # noqa: ANN401 - paho's
        """Hand on a message that is not plain, as one with properties."""
        flags = 0 if message.qos else Flag.AT_MOST_ONCE
        if message.retain:
            flags |= Flag.RETAINED
        if message.dup:
            flags |= Flag.REDELIVERED
        topic = bytes(message._topic)  # noqa: SLF001 - undecodable in public
        if not topic:
            raise ValueError("expected a topic, found none: we offered no alias for it")
        self._hand_on(Messages.of_one(topic, bytes(message.payload), self._now_ms(), int(flags), message.mid))

    def _hand_on(self, messages: Messages) -> None:
        self._count += len(messages)
        self._held_count += int(np.count_nonzero(messages.number))
        self._take(messages)

    def _on_socket_open(self, _client: Any, _data: Any, sock: socket.socket) -> None:  # noqa: ANN401 - paho's
        # This runs in the thread that connects, instead of aiomqtt's own.
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _watch(self, sock: socket.socket) -> None:
        descriptor = sock.fileno()
        if self._paho.socket() is not sock or descriptor < 0:
            return  # closed meanwhile: its number may be another's by now
        if self._is_abandoned:
            self._abandon()
            return
        self._loop.add_reader(descriptor, self._read, descriptor)
        self._client._misc_task = self._loop.create_task(self._client._misc_loop())  # noqa: SLF001 - as above

    def _on_socket_close(self, *_details: Any) -> None:  # noqa: ANN401 - paho's
        if self._resting is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resting.cancel)

    def _read(self, descriptor: int) -> None:
        """Read everything that is there, then rest for a moment."""
        with self._reading.measure():
            self._read_on(descriptor)

    def _read_on(self, descriptor: int) -> None:
        self._is_active = True
        sock, has_read, before = self._paho.socket(), False, self._count
        for _ in range(MOST_READS):
            is_more = self._inflow.read(sock)
            has_read = self._digest(sock) or has_read
            if self._paho.socket() is not sock:
                return
            if not is_more or self._is_full():
                break
        else:
            return  # more is there: stay on the loop
        self.heard_ms = self._now_ms()
        if self._paho._ping_t and has_read:  # noqa: SLF001 - the reason of this module
            # Its answer waits behind what arrives: who sends is alive.
            self._paho._ping_t = self._loop.time()  # noqa: SLF001 - as above
        if self._client._connected.done():  # noqa: SLF001 - as above
            self._loop.remove_reader(descriptor)
            rest_s = self._rest.after(self._count - before, self._loop.time())
            self._resting = self._loop.call_later(rest_s, self._wake, descriptor)

    def _digest(self, sock: socket.socket) -> bool:
        """Hand on what was read: plain messages in columns, all else to paho; tell whether anything came."""
        has_come = False
        try:
            for messages in self._inflow.take(self._now_ms()):
                has_come = True
                if messages is not None:
                    self._paho._last_bytes_received = self._loop.time()  # noqa: SLF001 - the reason of this module
                    self._hand_on(messages)
                    continue
                if packet := self._inflow.ready:
                    check_packet(packet, is_accepted=self._is_accepted)
                self._paho.loop_read()
                if self._paho.socket() is not sock:
                    break
        except Exception as error:  # noqa: BLE001 - a hostile broker may raise anything in paho
            ended = self._client._disconnected  # noqa: SLF001 - as above
            if not ended.done():
                ended.set_exception(error)
            self._paho._sock_close()  # noqa: SLF001 - as above
        return has_come

    def _wake(self, descriptor: int) -> None:
        current = self._paho.socket()
        if current is None or current.fileno() != descriptor:
            return
        if self._is_full():
            # Nothing is heard of the other end, because we do not listen.
            self._is_active = True
            self._paho._last_bytes_received = self._loop.time()  # noqa: SLF001 - the reason of this module
            self._paho._ping_t = self._paho._ping_t and self._loop.time()  # noqa: SLF001 - as above
            self._resting = self._loop.call_later(REST_S, self._wake, descriptor)
            return
        self._loop.add_reader(descriptor, self._read, descriptor)
        if getattr(current, "pending", lambda: 0)():
            self._read(descriptor)  # TLS may hold bytes that the socket no longer shows


def _honour_cancellation() -> None:
    """Stop here if a wait that was over in the same moment has swallowed a cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def forget(address: Address, version: int) -> None:
    """Let the broker forget our session: what it keeps for us is dropped."""
    with suppress(aiomqtt.MqttError):
        async with make_client(address, version, is_clean=True):
            pass


def _value(code: Any) -> int:  # noqa: ANN401 - a ReasonCode or an int
    return int(getattr(code, "value", code))


def _code(error: BaseException) -> int | None:
    code = getattr(error, "rc", None)
    return None if code is None else _value(code)


def _text(error: BaseException) -> str:
    if _code(error) == _CLOSED:
        return "the other end closed the connection"
    return str(error).partition("] ")[2] or str(error) or type(error).__name__
