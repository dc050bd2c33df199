"""The site as its points and assets describe it now: who holds which rack, and what a draw is summed of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from facility.graph import Graph
from facility.invariants import present
from facility.points import Asset, Point
from facility.site import Site
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.racks import Racks
from rules.draw.summation_plan import Layout
from rules.telemetry.sources import Sources
from rules.view import UNBOUNDED


class Arrangement:
    """What is made of descriptions, and made anew at the next tick where one of them changed it.

    Args:
        site: What the site file declares.
        points: Every known point, by its number; kept up to date by its owner.
        arranged: Called whenever it was made anew.

    Attributes:
        graph: What hangs on what.
        sources: Points that measure one power by several sources.
    """

    def __init__(
        self, site: Site, points: Mapping[int, Point], arranged: Callable[[LayoutBuilder], None]
    ) -> None:
        self._site = site
        self._points = points
        self._arranged = arranged
        self.graph = Graph()
        for asset in site.assets:
            self.graph.add(asset)
        self.sources = Sources((), {})
        self._layable: dict[int, Point] = {}  # those points that layouts are made of
        self._other: Arrangement | None = None
        self._builder: LayoutBuilder | None = None
        self._racks: Racks | None = None
        self._layout: Layout | None = None
        self._layout_until_ms = 0

    @property
    def racks(self) -> Racks:
        """Every rack, with the points of its power.

        Raises:
            InvariantBroken: Before the first layout.
        """
        return present(self._racks, "racks, made with the layout")

    def share(self, other: Arrangement) -> None:
        """Use what another arrangement of the same site has made, where it knows the same."""
        self._other = other

    def add(self, asset: Asset) -> None:
        """Take in what is known of an asset."""
        if self.graph.add(asset):
            self.begin_anew()

    def know(self, points: Mapping[int, Point]) -> None:
        """Take in what is known of points, by their numbers."""
        for number, point in points.items():
            before = self._layable.get(number)
            if LayoutBuilder.uses(point):
                self._layable[number] = point
                if before != point:
                    self.begin_anew()
            elif before is not None:
                del self._layable[number]
                self.begin_anew()

    def begin_anew(self) -> None:
        """Let the next layout be made of everything anew."""
        self._builder = None

    def builder_of(self, graph: Graph, layable: Mapping[int, Point]) -> LayoutBuilder | None:
        """Return what makes layouts of exactly this; None where that was not made.

        Args:
            graph: What hangs on what.
            layable: Points that layouts are made of, by their numbers.
        """
        return self._builder if self._layable == layable and self.graph == graph else None

    def layout_of(self, builder: LayoutBuilder, until_ms: int) -> Layout | None:
        """Return the layout that was last made so and holds until a moment [ms]; None where none was."""
        return self._layout if self._builder is builder and self._layout_until_ms == until_ms else None

    def layout_at(self, at_ms: int) -> Layout:
        """Return the layout that holds at a moment [ms]."""
        if self._builder is None:
            builder = self._other.builder_of(self.graph, self._layable) if self._other else None
            self._builder = builder or LayoutBuilder(self._site, self.graph.copy(), self._layable)
            self._racks = Racks(self._builder, self._points)
            self.sources = Sources(self._builder.twins(), self._points)
            self._layout = None
            self._arranged(self._builder)
        if self._layout is None or at_ms >= self._layout_until_ms:
            until_ms = min((ms for ms in self._site.changes_ms() if ms > at_ms), default=UNBOUNDED)
            layout = self._other.layout_of(self._builder, until_ms) if self._other else None
            self._layout, self._layout_until_ms = layout or self._builder.build(at_ms), until_ms
            self.racks.hold(self._builder.holders(at_ms), self._layout.tenants)
        return self._layout
