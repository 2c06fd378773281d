"""Environments of peers that a benchmark compares with: each one's own, never the project's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def environment(name: str, requirements: Sequence[str]) -> Path:
    """Python of an environment with `requirements`, made once in the cache with the uv `./run` uses."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "opsverify")
    folder = cache / "benchmarks" / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        found = [shutil.which("uv"), *map(str, sorted(cache.glob("uv-*/bin/uv"), reverse=True))]
        uv = next(filter(None, found), None)
        if uv is None:
            raise SystemExit("uv is not to be found: put it on PATH, or let ./run install it (./run plan --help)")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *requirements], check=True)
        subprocess.run([python, "-m", "compileall", "-q", folder / "lib"], check=False)
        ready.touch()
    return python
