"""Compiles the loops over messages into the wheel, where there is a C compiler and Python's headers.

Without either the wheel is pure, and the same loops run in Python (`collector.kernels`).
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS: Final = Path("collector/kernels")
SOURCE: Final = KERNELS / "_native.pyx"


class NativeBuild(BuildHookInterface[Any]):
    """Builds `collector.kernels._native`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile beside the source, and put what came of it into the wheel.

        Args:
            version: `standard` or `editable`.
            build_data: What the wheel is made of.
        """
        root = Path(self.root)
        target = KERNELS / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
        cause = compile_into(root / target, root / SOURCE)
        if cause:
            print(f"megawatch: built without compiled loops, which are faster: {cause}", file=sys.stderr)  # noqa: T201
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version == "standard":
            build_data["force_include"][str(root / target)] = str(target)


def compile_into(target: Path, source: Path) -> str:
    """Compile a Cython source.

    Args:
        target: The module to make.
        source: The source.

    Returns:
        Why that could not be done, "" where it was.
    """
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder, "native.c")
        compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
        include = sysconfig.get_path("include")
        steps = (
            [sys.executable, "-m", "cython", "-3", str(source), "-o", str(generated)],
            # A product and a sum are rounded each by itself on every machine, as in Python.
            [
                compiler,
                "-O2",
                "-ffp-contract=off",
                "-shared",
                "-fPIC",
                f"-I{include}",
                str(generated),
                "-o",
                str(target),
            ],
        )
        for step in steps:
            try:
                done = subprocess.run(step, capture_output=True, text=True, check=False)  # noqa: S603 - ours
            except OSError as error:
                return f"expected a C compiler, found {error}"
            if done.returncode:
                return (done.stderr.strip().splitlines() or [f"{step[0]} failed"])[-1]
    return ""
