"""A source of readings under supervision: what takes them in is made anew wherever it failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.source import Source


@dataclass(slots=True)
class SourcePart:
    """Runs one of the sources of a monitor, and replaces it where it failed.

    Attributes:
        sources: All sources of the monitor, one of them replaced where it failed.
        place: Which one it is.
        make: Makes it anew, as the journal and the last status have left it.
        error: What ended it, until another one stands in its place; "" for nothing.
    """

    sources: list[Source]
    place: int
    make: Callable[[], Source]
    error: str = ""

    @property
    def source(self) -> Source:
        """The source that takes in now."""
        return self.sources[self.place]

    @property
    def name(self) -> str:
        """What people call this part."""
        return f"collector of {self.source.name}"

    @property
    def rounds(self) -> object:
        """What changes while it goes on."""
        return self.source.rounds

    async def run(self) -> None:
        """Take in until cancelled."""
        if self.error:
            await self.failed(self.error)
        await self.source.run()

    async def failed(self, error: str) -> None:
        """Put another one in its place, which tells the journal that nothing was heard since it failed.

        Args:
            error: What ended it.
        """
        self.error = error
        left = self.source.hand_over(f"{self.name} failed: {error}")
        after = self.make()
        after.succeed(left)
        self.sources[self.place], self.error = after, ""
        await after.announce()
