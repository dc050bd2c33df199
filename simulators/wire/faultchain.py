"""The faults of a scenario, ready to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from simulators.meters.instrumentfaults import INSTRUMENT_FAULTS
from simulators.scenario.scenario import FaultKind, FaultSpec
from simulators.wire.faults import Chain, Fault
from simulators.wire.identityfaults import IDENTITY_FAULTS
from simulators.wire.points import Catalogue
from simulators.wire.speech import Speaker
from simulators.wire.wirefaults import WIRE_FAULTS

MAKERS: Final[Mapping[FaultKind, type[Fault]]] = MappingProxyType(
    {**INSTRUMENT_FAULTS, **WIRE_FAULTS, **IDENTITY_FAULTS}
)
"""What makes each kind of fault."""


def chain_of(specs: Sequence[FaultSpec], catalogue: Catalogue, speaker: Speaker, seed: int) -> Chain:
    """Return the faults of a scenario, ready to work.

    Args:
        specs: What is asked for.
        catalogue: Points of the plant, in columns.
        speaker: Who says what.
        seed: What their chance follows from.

    Raises:
        ValueError: Where a fault cannot work on this site.
    """
    return Chain(
        [MAKERS[spec.kind](place, spec, catalogue, speaker, seed) for place, spec in enumerate(specs)]
    )
