"""Debian package unpacked into a cache folder, without root and without an installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.language.message import join, say
from sandbox.home import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DOWNLOAD_TIMEOUT_S = 180
_TIED = {"prometheus-alertmanager": ("usr/bin/prometheus-alertmanager", b"/usr/share/prometheus/alertmanager")}
"""Debian builds this program to read its templates from a system folder that only an installation fills."""


class Unavailable(Exception):  # noqa: N818 - one source of several said no
    """The package cannot be fetched; the message states why."""


def unpacked(package: str, cache: Path, progress: Callable[[str], None]) -> Path:
    """Return the folder `cache/package` with the package's files, fetched at first; raises Unavailable.

    Of two processes at once the later one waits for the earlier one's; the folder appears by one rename.
    """
    tree = cache / package
    if tree.is_dir():
        return tree
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise Unavailable(say("no {tools} on this machine", tools=join(say(" and no "), missing)))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (
            locked(cache, "fetch"),
            tempfile.TemporaryDirectory(dir=cache, prefix=f".{package}.") as work,
        ):
            if tree.is_dir():
                return tree
            progress(say("fetching the Debian package {package} (once)", package=package))
            archive = _download(package, Path(work), progress)
            files = Path(work) / "files"
            run(["dpkg-deb", "-x", str(archive), str(files)], Path(work))
            _untie(package, files)
            files.rename(tree)
    except OSError as error:
        raise Unavailable(
            say("cannot write {folder} ({error}); set XDG_CACHE_HOME", folder=cache, error=error.strerror)
        ) from error
    return tree


def working_dir(program: Path) -> Path | None:
    """Return the folder an unpacked program must be started in to find its files; None for any."""
    for inside, system_folder in _TIED.values():
        folder = program.parents[inside.count("/")] / system_folder.decode().removeprefix("/")
        if str(program).endswith(f"/{inside}") and folder.is_dir() and folder != Path(system_folder.decode()):
            return folder
    return None


def _untie(package: str, files: Path) -> None:
    if package not in _TIED:
        return
    inside, system_folder = _TIED[package]
    program = files / inside
    # A path of the same length that means the working folder, as relocatable packages do with their prefix.
    here = b"." + b"/" * (len(system_folder) - 1)
    program.write_bytes(program.read_bytes().replace(system_folder, here))


def _download(package: str, work: Path, progress: Callable[[str], None]) -> Path:
    try:
        return _apt_download(package, work, [])
    except Unavailable:
        progress(say("no package lists on this machine: fetching them into the cache folder (once, some seconds)"))
    private = private_apt(work.parent / ".apt")
    run(["apt-get", *private, "update"], work)
    return _apt_download(package, work, private)


def _apt_download(package: str, work: Path, options: Iterable[str]) -> Path:
    run(["apt-get", *options, "download", package], work)
    archives = sorted(work.glob("*.deb"))
    if not archives:
        raise Unavailable(say("apt-get download {package} brought no file", package=package))
    return archives[0]


def private_apt(state: Path, status: str = "/var/lib/dpkg/status") -> list[str]:
    """Options of apt-get that keep lists and archives in `state`; `status` is the file of what is installed."""
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": status,
        "Dir::Cache": state,
        "Dir::Cache::archives": state / "archives",
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "true",
    }
    return [part for key, value in options.items() for part in ("-o", f"{key}={value}")]


def run(argv: list[str], work: Path) -> None:
    """Run apt-get or dpkg-deb in the folder `work`. Raises Unavailable with the reason that it gives."""
    if argv[0] == "apt-get":
        # apt as root drops to a user of its own, who cannot write into our folder.
        argv = [argv[0], "-q", "-o", "APT::Sandbox::User=root", *argv[1:]]
    try:
        done = subprocess.run(
            argv, cwd=work, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            say("{tool} did not end within {limit} s", tool=argv[0], limit=_DOWNLOAD_TIMEOUT_S)
        ) from error
    if done.returncode:
        said = [
            line for line in done.stderr.splitlines() if line.startswith(("E:", "Err:"))
        ] or done.stderr.splitlines()
        raise Unavailable(
            say(
                "{tool}: {reason}",
                tool=argv[0],
                reason=said[0].removeprefix("E: ") if said else say("exit {code}", code=done.returncode),
            )
        )
