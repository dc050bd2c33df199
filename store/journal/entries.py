"""What the journal holds, entry by entry: readings, points that became known, and marks.

The order of the entries is the order of events for everybody who reads the journal. Each carries the
moment at which it was appended (its stamp); a judgement at event time T uses exactly the entries stamped
up to T plus the allowed lateness, so it comes out the same whenever it is made.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from functools import lru_cache
from sys import intern
from typing import Final, TypeVar

import msgspec
from msgspec.structs import force_setattr

from facility.errors import StoreCorrupt
from facility.names import AssetId
from facility.points import Asset, Point
from facility.readings import Batch
from store.journal.columns import decode, encode

F = TypeVar("F")


class EntryKind(IntEnum):
    """What an entry holds."""

    READINGS = 0
    POINTS = 1
    MARK = 2


class MarkKind(StrEnum):
    """What happened to a connection, as far as it changes what is known."""

    STARTED = "started"  # a collector began; what passed at quality of service 0 before is not known
    CONNECTED = "connected"  # a session was resumed: what is at least once is whole
    SESSION_LOST = "session-lost"  # the broker forgot us: whatever it held for us is gone
    LOST = "lost"  # the connection broke
    OVERLOADED = "overloaded"  # we could not keep up with what comes at most once
    GAP = "gap"  # what the broker kept for us may lack something: nothing proves that it is whole
    CAUGHT_UP = "caught-up"  # what the broker had kept for us has been read
    STEPPED = "stepped"  # our own clock was set: it said `since_ms`, and says the entry's stamp from here on


EVERY_BROKER: Final = "*"
"""In place of a broker's name: whatever any of them sent."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a connection.

    Attributes:
        kind: What happened.
        broker: Which connection, by the broker's name in the site file; `EVERY_BROKER` for all of them.
        since_ms: From when on it holds [ms]: for a broken connection, when something was last heard.
        detail: What was seen, for people.
        until_ms: Up to when it held, for a gap [ms]; 0 where that says nothing.
        stream: The one stream that it happened to, by its name, which begins with the broker's; "" for each
            that comes through the broker.
    """

    kind: MarkKind
    broker: str
    since_ms: int
    detail: str = ""
    until_ms: int = 0
    stream: str = ""

    @property
    def scope(self) -> str:
        """What it happened to: a stream, or a broker with all of its streams."""
        return self.stream or self.broker


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A point that became known, or known better.

    Attributes:
        id: Its number, as batches use it.
        point: What it is.
        asset: Its asset, with what that serves; None where another point described it.
        unconfirmed_ms: Since when it means something else than before, not confirmed yet [ms]; else 0.
    """

    id: int
    point: Point
    asset: Asset | None = None
    unconfirmed_ms: int = 0


Content = Batch | tuple[Known, ...] | Mark


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the journal.

    Attributes:
        seq: Its number, rising.
        stamp_ms: When it was appended [ms], never falling.
        content: What it holds.
    """

    seq: int
    stamp_ms: int
    content: Content


class _MarkForm(msgspec.Struct, array_like=True):
    kind: str
    broker: str
    since_ms: int
    detail: str
    until_ms: int = 0
    stream: str = ""


_COMMON: Final = ("asset", "quantity", "unit", "stream", "point_type", "object_type", "feed", "phase")
"""The texts of a point that others have as well."""
_MOST_SHARED: Final = 16_384
"""How many values are kept to be one in all that have them (our choice)."""
_ENCODER: Final = msgspec.msgpack.Encoder()
_KNOWN: Final = msgspec.msgpack.Decoder(tuple[Known, ...])
_MARK: Final = msgspec.msgpack.Decoder(_MarkForm)
_BOUNDLESS: Final = b"["
"""What begins content that MessagePack cannot hold, as integers beyond 64 bits: it is JSON, in ASCII."""
_SEALED: Final = b"\xc1"
"""What begins bytes with a checksum: neither MessagePack nor columns ever begin so."""
_CHECKSUM: Final = struct.Struct("<I")
_PLACE: Final = struct.Struct("<qB")


def kind_of(content: Content) -> EntryKind:
    """Return what kind of entry holds this content."""
    match content:
        case Batch():
            return EntryKind.READINGS
        case Mark():
            return EntryKind.MARK
        case _:
            return EntryKind.POINTS


def pack(content: Content) -> bytes:
    """Return the content of an entry as bytes, whatever numbers and texts are in it."""
    if isinstance(content, Batch):
        return encode(content)
    form = _form(content)
    try:
        return _ENCODER.encode(form)
    except (OverflowError, UnicodeError, msgspec.MsgspecError):
        return json.dumps(msgspec.to_builtins(form)).encode("ascii")


def unpack(kind: int, data: bytes, where: str) -> Content:
    """Return the content that `pack` made.

    Args:
        kind: `EntryKind` code.
        data: What `pack` made.
        where: What to call the bytes in an error.

    Raises:
        StoreCorrupt: Where the bytes are damaged.
    """
    if kind == EntryKind.READINGS:
        return decode(data, where)
    try:
        if kind == EntryKind.MARK:
            form = _decoded(data, _MARK, _MarkForm)
            return Mark(
                MarkKind(form.kind), form.broker, form.since_ms, form.detail, form.until_ms, form.stream
            )
        return _sharing(_decoded(data, _KNOWN, tuple[Known, ...]))
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise StoreCorrupt(where, str(error)) from error


def _sharing(points: tuple[Known, ...]) -> tuple[Known, ...]:
    """Return points as they were just read, in which what they have in common is one object.

    A site has tens of thousands of them: each with texts of its own, they would be twice as large.
    """
    for known in points:
        point = known.point
        for name in _COMMON:
            force_setattr(point, name, intern(getattr(point, name)))
        force_setattr(point, "area", _one(point.area))
        force_setattr(point, "states", _one(point.states))
        if known.asset is not None:
            force_setattr(known, "asset", _asset(known.asset))
    return points


@lru_cache(_MOST_SHARED)
def _one(value: F) -> F:
    """Return the first of values that are equal."""
    return value


@lru_cache(_MOST_SHARED)
def _asset(asset: Asset) -> Asset:
    """Return the first of assets that are equal, whose ids are those that points have."""
    serves = tuple([AssetId(intern(served)) for served in asset.serves])
    return replace(asset, id=AssetId(intern(asset.id)), serves=serves)


def seal(data: bytes, stamp_ms: int = 0, kind: int = 0) -> bytes:
    """Return bytes with a checksum over them, and over what is kept beside them.

    Args:
        data: Content of an entry, as `pack` made it.
        stamp_ms: The stamp of their entry [ms].
        kind: Its kind.
    """
    return _SEALED + _CHECKSUM.pack(_checksum(data, stamp_ms, kind)) + data


def unseal(data: bytes, where: str, stamp_ms: int = 0, kind: int = 0) -> bytes:
    """Return the bytes that `seal` was given; bytes of older versions have no checksum and are as they are.

    Args:
        data: What `seal` made.
        where: What to call the bytes in an error.
        stamp_ms: The stamp of their entry [ms].
        kind: Its kind.

    Raises:
        StoreCorrupt: Where the bytes, the stamp or the kind are not what they were.
    """
    begin = len(_SEALED) + _CHECKSUM.size
    try:
        if not data.startswith(_SEALED):
            return data
        content = data[begin:]
        is_whole = data[len(_SEALED) : begin] == _CHECKSUM.pack(_checksum(content, stamp_ms, kind))
    except (TypeError, AttributeError, struct.error) as error:  # a damaged file has any types
        raise StoreCorrupt(where, str(error)) from error
    if not is_whole:
        raise StoreCorrupt(where, "the checksum does not match")
    return content


def _checksum(data: bytes, stamp_ms: int, kind: int) -> int:
    return zlib.crc32(data, zlib.crc32(_PLACE.pack(stamp_ms, kind)))


def _form(content: tuple[Known, ...] | Mark) -> _MarkForm | tuple[Known, ...]:
    if isinstance(content, Mark):
        return _MarkForm(
            content.kind, content.broker, content.since_ms, content.detail, content.until_ms, content.stream
        )
    return content


def _decoded(data: bytes, decoder: msgspec.msgpack.Decoder[F], form: type[F]) -> F:
    if data.startswith(_BOUNDLESS):
        return msgspec.convert(json.loads(data), form)
    return decoder.decode(data)
