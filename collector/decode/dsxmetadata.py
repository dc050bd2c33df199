"""Metadata of the DSX bus: from the payload to the point and the asset that it describes."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final

import msgspec

from collector.decode.base import check_keys
from facility.names import AssetId, for_people, is_level, name_of, path_of
from facility.points import Asset, Cadence, Point
from facility.readings import Reason
from formats import dsx

MOST_NAME: Final = 120
"""How much of a text for people is kept."""
MOST_PARTS: Final = 8
"""How many parts of a process area are kept (our choice)."""
MOST_STATES: Final = 256
"""How many states of a point are told apart by a text (our choice)."""
MOST_UNIT: Final = 40
"""How much of an unknown unit is kept [characters]."""
MOST_SERVED: Final = 5_000
"""The most assets that one may serve."""
MOST_SHARED: Final = 16_384
"""How many names are kept to be one text in all that name them (our choice)."""

_name = lru_cache(MOST_SHARED)(name_of)
_path = lru_cache(MOST_SHARED)(path_of)
_shown = lru_cache(MOST_SHARED)(for_people)
_quantity = lru_cache(MOST_SHARED)(dsx.quantity_of)


_StateNumber = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Values are floats, in which a whole number beyond this is not told from its neighbours."""


class _State(msgspec.Struct, gc=False):
    value: _StateNumber
    text: str


class _Metadata(msgspec.Struct, gc=False):
    """The keys of the contract that are used; others may be there."""

    objectType: str | None = None  # noqa: N815 - the contract's name
    pointType: str | None = None  # noqa: N815 - the contract's name
    engUnit: str | None = None  # noqa: N815 - the contract's name
    stateText: list[_State] | None = None  # noqa: N815 - the contract's name
    rackLocationName: str | None = None  # noqa: N815 - the contract's name
    rackLocationId: str | None = None  # noqa: N815 - the contract's name
    objectName: str | None = None  # noqa: N815 - the contract's name
    objectId: str | None = None  # noqa: N815 - the contract's name
    associateId: str | None = None  # noqa: N815 - the contract's name
    servesId: list[str] | None = None  # noqa: N815 - the contract's name
    processArea: list[str] | None = None  # noqa: N815 - the contract's name
    phase: str | None = None
    isSetpoint: bool = False  # noqa: N815 - the contract's name
    scope: str | None = None
    integration: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Metadata)


class Described(msgspec.Struct, frozen=True, gc=False):
    """What metadata says.

    Attributes:
        point: The point that is described.
        asset: Its asset, None where the point only belongs to one that others describe.
        publisher: Who publishes its values.
        scope: What a heartbeat covers, "" where it is none or covers all of its publisher.
    """

    point: Point
    asset: Asset | None
    publisher: str
    scope: str


class Refusal(msgspec.Struct, frozen=True):
    """Metadata that cannot be used.

    Attributes:
        reason: Why.
        detail: What was expected and what was found.
        publisher: Who publishes the values that cannot be understood therefore; "" where it does not say.
    """

    reason: Reason
    detail: str
    publisher: str = ""


def describe(topic: dsx.Topic, payload: bytes, broker: str, *, is_kept: bool = False) -> Described | Refusal:
    """Read metadata.

    Args:
        topic: Its topic, taken apart and allowed.
        payload: Its payload.
        broker: The broker it came from, part of the name of its stream.
        is_kept: Whether it was read before, and its keys are known to stand there once.
    """
    try:
        found = _DECODER.decode(payload)
    except msgspec.ValidationError as error:
        return Refusal(Reason.WRONG_TYPE, str(error))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Refusal(Reason.BAD_JSON, str(error)[:200] or "expected a JSON object")
    if not is_kept and (wrong := check_keys(payload)) is not None:
        return Refusal(*wrong)
    key, own = topic.key, topic.publisher == dsx.BUILDING_SYSTEM
    publisher = found.integration or topic.publisher
    if not is_level(publisher):
        return Refusal(Reason.BAD_NAME, f"expected one level of a topic, found {publisher[:MOST_NAME]!r}")
    if not own and publisher != topic.publisher:
        detail = f"expected no integration but {topic.publisher} itself, found {publisher[:MOST_NAME]!r}"
        return Refusal(Reason.IDENTITY_CONFLICT, detail, topic.publisher)
    # What it is of: a rack, an object, or the object that it belongs to.
    said_owner = found.rackLocationId or found.objectId or found.associateId or ""
    problem = _problem(topic, found, said_owner)
    if problem is not None:
        return Refusal(*problem, publisher)
    try:
        quantity, unit = _quantity(
            topic.point_type, found.engUnit, has_states=found.stateText is not None and found.engUnit is None
        )
    except dsx.UnitContradiction as error:
        return Refusal(Reason.UNIT_CONTRADICTS, str(error), publisher)
    except LookupError as error:
        return Refusal(Reason.UNKNOWN_UNIT, str(error), publisher)
    stream = own_stream(broker, publisher)
    owner = AssetId(_name(said_owner))
    asset = _asset(owner, topic, found)
    scope = found.scope if found.scope and quantity.name == "heartbeat" else ""
    point = Point(
        key=path_of(key if own else f"{topic.publisher}/{key}"),
        asset=owner,
        quantity=quantity.name,
        unit=_shown(unit, MOST_UNIT),
        stream=f"{stream}:{owner}" if scope else stream,
        cadence=Cadence.ON_CHANGE,
        point_type=_path(topic.point_type),
        object_type=_path(topic.object_type),
        phase=_name(found.phase) if found.phase else "",
        area=_area(tuple(found.processArea[:MOST_PARTS])) if found.processArea else (),
        is_setpoint=found.isSetpoint,
        states=_states(found.stateText[:MOST_STATES]) if found.stateText else (),
    )
    return Described(point, asset, publisher, scope)


def _asset(owner: AssetId, topic: dsx.Topic, found: _Metadata) -> Asset | None:
    if not (found.rackLocationId or found.objectId):
        return None
    kind = "Rack" if found.rackLocationId else _path(topic.object_type)
    name = _shown(found.rackLocationName or found.objectName or "", MOST_NAME)
    return _serving(owner, kind, name, tuple(found.servesId or ()))


@lru_cache(MOST_SHARED)
def _serving(owner: AssetId, kind: str, name: str, served: tuple[str, ...]) -> Asset:
    serves = tuple([AssetId(_name(each)) for each in served])
    return Asset(id=owner, kind=kind, name=name, serves=serves)


@lru_cache(MOST_SHARED)
def own_stream(broker: str, publisher: str) -> str:
    """Return the stream of what a publisher says, where no scope of a heartbeat gives it another one."""
    return f"{broker}:{_name(publisher)}"


@lru_cache(MOST_SHARED)
def _area(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([_shown(part, MOST_NAME) for part in parts])


def _states(states: list[_State]) -> tuple[tuple[int, str], ...]:
    return _shared_states(tuple([(state.value, state.text) for state in states]))


@lru_cache(MOST_SHARED)
def _shared_states(states: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
    return tuple([(value, _shown(text, MOST_NAME)) for value, text in states])


def _problem(topic: dsx.Topic, found: _Metadata, owner: str) -> tuple[Reason, str] | None:
    """Check what the contract demands of the identity of a point; None where it is kept."""
    if found.objectType is not None and found.objectType != topic.object_type:
        return _not_that_of_the_topic("objectType", found.objectType, topic.object_type)
    if found.pointType is not None and found.pointType != topic.point_type:
        return _not_that_of_the_topic("pointType", found.pointType, topic.point_type)
    if not owner:
        return Reason.MISSING_FIELD, "expected rackLocationId, objectId or associateId, found none"
    if (served := found.servesId) is None:
        return None
    if "" in served:
        return Reason.BAD_NAME, "expected an id in servesId, found an empty text"
    if len(served) > MOST_SERVED:
        return Reason.TOO_LARGE, f"expected at most {MOST_SERVED} ids in servesId, found {len(served)}"
    return None


def _not_that_of_the_topic(key: str, said: str, levelled: str) -> tuple[Reason, str]:
    detail = f"expected the {key} of the topic, {levelled}, found {said[:MOST_NAME]!r}"
    return Reason.IDENTITY_CONFLICT, detail
