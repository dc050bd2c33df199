"""The command line in a test: asked in this process, with what it answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from jsonschema import validate

from megawatch.cli.main import main
from megawatch.cli.outputs import COMMANDS, output_schema


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered.

    Attributes:
        command: Its name.
        status: Its exit status.
        out: Standard output.
        err: Standard error.
    """

    command: str
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - any document
        """Standard output, which is one JSON document and nothing else, of the shape that the docs state."""
        found = json.loads(self.out)
        if self.command in COMMANDS:
            check_output(self.command, found)
        return found


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the command line.

    Attributes:
        captured: What pytest captures.
    """

    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Answer:
        """Run a command."""
        self.captured.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = self.captured.readouterr()
        status = ended.value.code
        assert isinstance(status, int)
        return Answer(str(arguments[0]), status, out, err)


def check_output(command: str, document: object) -> None:
    """Hold what a command printed with `--json` against the schema of the docs."""
    schema = output_schema()
    validate(document, schema["properties"][command] | {"$defs": schema["$defs"]})


@contextmanager
def asking(captured: pytest.CaptureFixture[str]) -> Iterator[Asker]:
    """Give a command line to ask, and put logging back as it was.

    Args:
        captured: What pytest captures.
    """
    try:
        yield Asker(captured)
    finally:
        structlog.reset_defaults()
