"""What a benchmark says: medians, their spread, and the ratio to the competing way of the same run."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured figure.

    Attributes:
        what: What was measured.
        unit: The unit of the samples.
        samples: One for each repetition.
        beside: What competes with it in the same run, "" for nothing.
        theirs: Its samples.
        aim: What the figure should be, in words, "" for no aim.
    """

    what: str
    unit: str
    samples: Sequence[float]
    beside: str = ""
    theirs: Sequence[float] = ()
    aim: str = ""

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def ratio(self) -> float | None:
        """Median over their median, None where nothing competes."""
        return self.median / statistics.median(self.theirs) if self.theirs else None

    def document(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "least": min(self.samples),
            "most": max(self.samples),
            "repetitions": len(self.samples),
            "beside": self.beside or None,
            "beside_median": statistics.median(self.theirs) if self.theirs else None,
            "ratio": self.ratio,
            "aim": self.aim or None,
        }


def be_quiet() -> None:
    """Let the product log nothing below an error, so that what a benchmark says can be read."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long something takes [s]."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def quantile(samples: Iterable[float], share: float) -> float:
    """Return the smallest sample that at least a share of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * round(share * 1_000) // 1_000) - 1)]


def show(title: str, figures: Sequence[Figure], console: Console) -> None:
    """Show figures to people."""
    table = Table(title=title, title_justify="left", title_style="bold", expand=False)
    table.add_column("what", overflow="fold")
    for name in ("median", "least", "most", "beside", "ratio", "aim"):
        table.add_column(name, justify="right", overflow="fold")
    for figure in figures:
        beside = f"{statistics.median(figure.theirs):,.4g} ({figure.beside})" if figure.theirs else ""
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(
            figure.what,
            f"{figure.median:,.4g} {figure.unit}",
            f"{min(figure.samples):,.4g}",
            f"{max(figure.samples):,.4g}",
            beside,
            ratio,
            figure.aim,
        )
    console.print(table)


def print_json(found: dict[str, Sequence[Figure]]) -> None:
    """Print figures for programs, as one document."""
    print(json.dumps({name: [f.document() for f in figures] for name, figures in found.items()}, indent=2))
