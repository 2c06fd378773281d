"""Environments of peers in a benchmark: one for each, separate from the project's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from opsverify.config.project import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def environment(name: str, requirements: Sequence[str]) -> Path:
    """Python of an environment with `requirements`, made once in the cache with the uv `./run` uses."""
    cache = cache_folder()
    folder = cache / "benchmarks" / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        found = [shutil.which("uv"), *map(str, sorted(cache.glob("uv-*/bin/uv"), reverse=True))]
        uv = next(filter(None, found), None)
        if uv is None:
            raise SystemExit("uv: not found; put it on PATH, or let ./run install it (./run plan --help)")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *requirements], check=True)
        subprocess.run([python, "-m", "compileall", "-q", folder / "lib"], check=False)
        ready.touch()
    return python
