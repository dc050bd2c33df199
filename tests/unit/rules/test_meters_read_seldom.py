"""What meters tell that are read every ten seconds, of a rule about two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from rules.telemetry.timing import Timing
from testing.scenarios.reading import FOLDER, read
from testing.scenarios.runner import ScenarioSource, run

SELDOM: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=10_000, certain_ms=15_000)
FALLS: Final = (
    '[kw]\n"a1" = "60 _x9 60 _x9 60 _x9"\n"m1" = "50 _x9 50 _x9 25 _x9"\n"m2" = "40 _x9 40 _x9 40 _x9"\n'
)


def test_what_was_lost_between_two_readings_may_have_gone_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of what is contracted is lost within ten seconds; E12 is about two."""
    fires = (FOLDER / "e12_step_loss" / "fires.toml").read_text(encoding="utf-8")
    path = tmp_path / "rules" / "seldom.toml"
    path.parent.mkdir()
    path.write_text(f'{fires[: fires.index("[kw]")]}{FALLS}[expect]\n"E12 hall" = ".x30"\n', encoding="utf-8")
    monkeypatch.setattr(ScenarioSource, "timing", property(lambda _self: SELDOM))

    found = run(read(path))

    assert not any("E12" in told for told in found.told)
