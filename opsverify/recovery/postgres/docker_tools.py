"""PostgreSQL tools taken from an image, `postgres:N` or one that is named: copied out once, run without a container.

A container would need mounts for backup and drill folders, and handles signals otherwise. So the programs are
copied out with every library they were linked against and with the image's own loader, which needs only this
machine's kernel.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tarfile
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from opsverify.config.project import cache_folder
from opsverify.docker_engine import EngineUnavailable, containers, named_image
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_COLLECT: Final = """
set -e
bin=$(dirname "$(readlink -f "$(command -v postgres || echo /usr/lib/postgresql/*/bin/postgres)")")
lib=$("$bin/pg_config" --pkglibdir)
share=$("$bin/pg_config" --sharedir)
linked=$(ldd "$bin"/* "$lib"/*.so 2>/dev/null | sed -n 's,^[^/]*\\(/[^ ]*\\) (0x.*,\\1,p' | sort -u)
whole=$(for file in $linked; do echo "$(readlink -f "$(dirname "$file")")/$(basename "$file")"; done | sort -u)
tar -chf /tmp/opsverify.tar "$bin" "$lib" "$share" $whole 2>/tmp/opsverify.errors ||
    { tail -1 /tmp/opsverify.errors; exit 1; }
echo "$bin"
"""
_TAR: Final = "/tmp/opsverify.tar"  # noqa: S108 - inside a container of our own
_LOADER: Final = "ld-linux*.so*"
_ELF: Final = b"\x7fELF"
_WRAPPER: Final = """#!/bin/sh
bin=${{0%/*}}
root=$bin/{up}
exec "$root/{loader}" --library-path "{libraries}" --argv0 "$0" "$bin/.real/{program}" "$@"
"""


class ImageUnavailable(Exception):  # noqa: N818 - one source of several is not available
    """The tools cannot be taken from an image; the message is the reason, in a few words."""


def image_of(major: int) -> str:
    """The image to take the tools of PostgreSQL `major` from: OPSVERIFY_POSTGRES_IMAGE, else the official one."""
    return named_image("postgres") or f"postgres:{major}"


def tools_of_image(image: str) -> tuple[Path, Path]:
    """Return the folder of PostgreSQL's tools taken out of `image`, and the tree it belongs to.

    Needs a Docker engine the first time only; the tree stays in the cache folder (some 100 MB). Raises
    ImageUnavailable without an engine, without the image, or when the image is laid out otherwise.
    """
    tree = cache_folder() / f"image-{re.sub(r'[^0-9A-Za-z.-]', '_', image)}"
    if not tree.exists():
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
            with FileLock(cache_folder() / f".{tree.name}.lock"):
                if not tree.exists():
                    _extract(image, tree)
        except OSError as error:
            raise ImageUnavailable(
                say(
                    "cannot write {cache_folder} ({error}): set XDG_CACHE_HOME",
                    cache_folder=cache_folder(),
                    error=error.strerror,
                )
            ) from error
    programs = next(tree.glob("**/bin/.real"), None)
    if programs is None:
        raise ImageUnavailable(say("{tree} is incomplete: remove it", tree=tree))
    return programs.parent, tree


def _extract(image: str, tree: Path) -> None:
    partial = tree.with_name(f"{tree.name}.{os.getpid()}")
    packed = partial.with_suffix(".tar")
    try:
        folder = _copy_out(image, packed)
        with tarfile.open(packed) as archive:
            archive.extractall(partial, filter="tar")
        _wrap(partial / folder.lstrip("/"), partial)
        partial.chmod(0o755)
        partial.rename(tree)
    finally:
        packed.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)


def _copy_out(image: str, packed: Path) -> str:
    """Write the image's tools to the tar file `packed`; the folder they have in there."""
    try:
        with containers() as docker_container:
            container = docker_container(image).with_kwargs(entrypoint=["sleep"], network_mode="none")
            with container.with_command("900") as running:
                done = running.exec(["sh", "-c", _COLLECT])
                output = done.output.decode(errors="backslashreplace").strip().splitlines()
                if done.exit_code != 0 or not output:
                    raise ImageUnavailable(
                        say(
                            "tools could not be collected: {output}",
                            output=output[-1] if output else say("no output"),
                        )
                    )
                running.copy_from_container(_TAR, packed)
                return str(output[-1])
    except EngineUnavailable as error:
        raise ImageUnavailable(str(error)) from error


def _wrap(folder: Path, tree: Path) -> None:
    """Replace every program with a script that starts it with the tree's own loader and libraries.

    The scripts keep the programs' names: PostgreSQL's programs start each other by their own folder.
    """
    loaders = sorted(tree.glob(f"**/{_LOADER}"))
    if not loaders:
        raise ImageUnavailable(say("no loader {loader} in the image: expected a Debian image", loader=_LOADER))
    up = os.path.relpath(tree, folder)
    libraries = ":".join(f"$root/{path.relative_to(tree)}" for path in _library_folders(tree))
    real = folder / ".real"
    real.mkdir()
    for program in [path for path in folder.iterdir() if path.is_file() and path.read_bytes()[:4] == _ELF]:
        program.rename(real / program.name)
        script = _WRAPPER.format(
            up=up,
            loader=loaders[0].relative_to(tree),
            libraries=libraries,
            program=shlex.quote(program.name),
        )
        program.write_text(script, encoding="utf-8")
        program.chmod(0o755)


def _library_folders(tree: Path) -> Iterable[Path]:
    return sorted({path.parent for path in tree.glob("**/*.so.*")})
