"""A process on a disk that forgets what was not synced, and whose syncs fail: `forgetful.c`, preloaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

SOURCE = Path(__file__).with_suffix(".c")

_BEGIN = """
import ctypes, json, os, sys
from pathlib import Path
from tests.unit.store.forgetful import cut_power
disk = ctypes.CDLL(None)
root, kept, cuts = (Path(path) for path in sys.argv[1:4])
"""


@cache
def _library() -> Path:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a library to preload needs a C compiler, and Linux")
    library = Path(mkdtemp(prefix="forgetful-")) / "forgetful.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the library to preload was not compiled: {done.stderr[:200]}")
    return library


def run_on_forgetful_disk(program: str, folder: Path) -> Any:  # noqa: ANN401 - what the program prints
    """Run a program whose files under `root` lie on a disk that forgets, and return the JSON that it prints.

    It finds `root`, an empty folder `cuts` for images of what a power cut would leave, made by
    `cut_power(kept, image)`, and `disk.forgetful_fail(n)`: the next n syncs fail, for ever where n < 0.

    Args:
        program: Its text; what it needs beyond that it imports.
        folder: Where its folders are; another program may go on in them.
    """
    root, kept, cuts = (folder / name for name in ("disk", "kept", "cuts"))
    for path in (root, kept / "data", cuts):
        path.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "LD_PRELOAD": str(_library()),
        "FORGETFUL_ROOT": str(root),
        "FORGETFUL_KEPT": str(kept),
    }
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + program, str(root), str(kept), str(cuts)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cut_power(kept: Path, image: Path) -> Path:
    """Make the folder that a power cut would leave at this moment.

    Args:
        kept: What was synced.
        image: The folder to make.
    """
    image.mkdir()
    if (kept / "names").exists():
        for line in (kept / "names").read_text(encoding="utf-8").splitlines():
            number, name = line.split(" ", 1)
            data = kept / "data" / number
            if data.exists() and not name.endswith("-shm"):
                shutil.copyfile(data, image / name)
            elif not name.endswith("-shm"):
                (image / name).touch()
    return image
