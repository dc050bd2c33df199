"""From the plant to its points: the building of a catalogue, one kind of thing after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from simulators.model.state import Floats, Ints
from simulators.model.wiring import Wiring
from simulators.wire.bus import Tag, tag
from simulators.wire.points import (
    COOLING_GATEWAY,
    POWER_GATEWAY,
    Catalogue,
    Equipment,
    Gateway,
    Group,
    Reader,
    gateway_tag,
    node_rows,
    rows_of,
)

RACK_AGENT: Final = "NICO"
"""The integration that speaks for the trays of a rack, as in the recording."""
PLANT_AGENT: Final = "MEPAI"
"""The integration that asks coolant units for a temperature, as in the recording."""


class Builder:
    """Builds a catalogue.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        equipment: What of it is on the bus.
        samples: Whether the racks' meters show the draw of an instant.

    Attributes:
        wiring: The plant's graph and ratings, in arrays.
        equipment: What of it is on the bus.
        samples: Whether the racks' meters show the draw of an instant.
        rows: Names of the rows.
        row_of: (R,) row of each rack.
        node_rows: (N) row of each electrical node, -1 where it stands in none.
        described: Assets that have points, or are left without on purpose.
    """

    def __init__(self, wiring: Wiring, equipment: Equipment, *, samples: bool = False) -> None:
        self.wiring = wiring
        self.equipment = equipment
        self.samples = samples
        self.rows, self.row_of = rows_of(wiring)
        self.node_rows = node_rows(wiring, self.row_of)
        self.described: set[str] = set()
        self._site = wiring.site.name
        self._serves = {str(asset.id): list(asset.serves) for asset in wiring.site.assets}
        self._found = Catalogue(wiring)
        self._gateway: list[int] = []
        self._found.gateways = [
            *(Gateway(f"GW-{row}", scope=f"{self._site}/{row}") for row in self.rows),
            Gateway(POWER_GATEWAY, scope=f"{self._site}/power-chain"),
            Gateway(COOLING_GATEWAY, scope=f"{self._site}/cooling-plant"),
            Gateway(RACK_AGENT, RACK_AGENT),
            Gateway(PLANT_AGENT, PLANT_AGENT),
        ]

    def build(self) -> Catalogue:
        """Return the catalogue; gateways that have nothing to publish are left out."""
        found = self._found
        used, places = np.unique(np.array(self._gateway, np.int32), return_inverse=True)
        found.gateways = [found.gateways[i] for i in used.tolist()]
        found.gateway = places.astype(np.int32)
        if self.equipment.has_heartbeats:
            found.heartbeats = [gateway_tag(gateway, self._site) for gateway in found.gateways]
        return found

    def add(
        self,
        kind: str,
        tags: Sequence[Tag],
        assets: Sequence[str],
        gateways: Sequence[int],
        read: Reader,
        *,
        rating: Floats | None = None,
        agent: str = "",
    ) -> None:
        """Add points of one kind.

        Args:
            kind: Kind of instrument.
            tags: What each point is.
            assets: What each is a point of.
            gateways: Who publishes each, unless an integration does.
            read: Reads them.
            rating: Rating of each in its unit.
            agent: The integration that publishes them, "" for the gateways.
        """
        if not tags:
            return
        if agent:
            tags = [Tag(t.key, t.metadata | {"integration": agent}, agent) for t in tags]
            gateways = [self.gateway(agent)] * len(tags)
        ratings = np.ones(len(tags)) if rating is None else rating
        first = len(self._found.tags)
        self._found.groups.append(Group(kind, first, len(tags), read, ratings, kind == "register"))
        self._found.tags += tags
        self._found.assets += assets
        self._gateway += gateways
        self.described |= set(assets)

    def gateway(self, name: str) -> int:
        """Return the number of a gateway."""
        return next(i for i, gateway in enumerate(self._found.gateways) if gateway.name == name)

    # Tags of the three kinds of things ------------------------------------------------

    def rack_points(
        self,
        racks: Ints,
        kind: str,
        point_type: str,
        path: str,
        read: Reader,
        *,
        rating: Floats | None = None,
        agent: str = "",
        **metadata: Any,  # noqa: ANN401 - the keys of the contract, any of them
    ) -> None:
        """Add a point of each of some racks."""
        names = self.rack_names(racks)
        tags = [
            tag(
                "Rack",
                point_type,
                self.rack_path(rack, path),
                rackLocationName=name,
                rackLocationId=name,
                **metadata,
            )
            for rack, name in zip(racks.tolist(), names, strict=True)
        ]
        self.add(kind, tags, names, self.row_of[racks].tolist(), read, rating=rating, agent=agent)

    def node_points(
        self,
        nodes: Ints,
        kind: str,
        object_type: str,
        point_type: str,
        path: str,
        read: Reader,
        *,
        rating: Floats | None = None,
        **metadata: Any,  # noqa: ANN401 - the keys of the contract, any of them
    ) -> None:
        """Add a point of each of some electrical nodes."""
        names = self.node_names(nodes)
        tags = [
            tag(object_type, point_type, self.node_path(node, path), **self.identity(name), **metadata)
            for node, name in zip(nodes.tolist(), names, strict=True)
        ]
        self.add(kind, tags, names, self.node_gateways(nodes), read, rating=rating)

    def plant_points(
        self,
        names: Iterable[str],
        kind: str,
        object_type: str,
        point_type: str,
        path: str,
        read: Reader,
        *,
        agent: str = "",
        **metadata: Any,  # noqa: ANN401 - the keys of the contract, any of them
    ) -> None:
        """Add a point of each of some things of the cooling plant."""
        assets = [str(name) for name in names]
        tags = [
            tag(
                object_type,
                point_type,
                f"{self._site}/cooling-plant/{name}/{path}",
                **self.identity(name),
                **metadata,
            )
            for name in assets
        ]
        self.add(kind, tags, assets, [self.gateway(COOLING_GATEWAY)] * len(assets), read, agent=agent)

    # Names and places -----------------------------------------------------------------

    def identity(self, name: str) -> Mapping[str, Any]:
        """Return the keys that name a thing and what it serves."""
        return {"objectName": name, "objectId": name, "servesId": self._serves.get(name, [])}

    def rack_names(self, racks: Ints) -> list[str]:
        """Return the ids of racks."""
        return [str(self.wiring.racks[rack]) for rack in racks]

    def node_names(self, nodes: Ints) -> list[str]:
        """Return the ids of electrical nodes."""
        return [str(self.wiring.nodes[node]) for node in nodes]

    def rack_path(self, rack: int, path: str) -> str:
        """Return the tag path of a point of a rack."""
        return f"{self._site}/{self.rows[self.row_of[rack]]}/{self.wiring.racks[rack]}/{path}"

    def row_path(self, row: int, path: str) -> str:
        """Return the tag path of a point of a row."""
        return f"{self._site}/{self.rows[row]}/{path}"

    def node_path(self, node: int, path: str) -> str:
        """Return the tag path of a point of an electrical node."""
        row = self.node_rows[node]
        scope = self.rows[row] if row >= 0 else "power-chain"
        return f"{self._site}/{scope}/{self.wiring.nodes[node]}/{path}"

    def node_gateways(self, nodes: Ints) -> list[int]:
        """Return who publishes for electrical nodes: the gateway of their row, else that of the chain."""
        chain = self.gateway(POWER_GATEWAY)
        return [self.node_rows[node] if self.node_rows[node] >= 0 else chain for node in nodes]
