"""Servers in containers of this machine's Docker engine, started by testcontainers.

They share the machine's network, because what Prometheus scrapes and Alertmanager notifies are processes that listen
on 127.0.0.1 alone; and they find the sandbox's data folder at its own path, so that configuration, sockets, backups
and WAL archive are the same as for processes. They run as the person who started them (PostgreSQL: as the user that
it would have as a process), without privileges.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opsverify.docker_engine import (
    EngineRefused,
    containers,
    engine_host,
    image_variable,
    named_image,
)
from opsverify.language.message import say
from sandbox.errors import WrongUsage
from sandbox.processes import signals_deferred, wait_until
from sandbox.running_container import RunningContainer, engine_errors, remove_now, sandbox_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from docker import DockerClient
    from testcontainers.core.container import DockerContainer

    from sandbox.home import Settings
    from sandbox.processes import Table
    from sandbox.started import Started

LABEL: Final = "opsverify-sandbox"
"""Label of every container, with the home of its sandbox: what a killed command left is found by it."""
COMPONENT_LABEL: Final = "opsverify-component"
IMAGES: Final[Mapping[str, str]] = {
    "postgres": "postgres:18",
    "redis": "redis:8",
    "prometheus": "prom/prometheus",
    "alertmanager": "prom/alertmanager",
}
"""The official image of each component."""
_TO_LOG: Final = ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1']
_SHARED_MEMORY: Final = "256m"
_REMOVAL_S: Final = 60.0
"""For PostgreSQL's parallel queries; the engine's default is 64 MB."""


def image_of(component: str) -> str:
    """The image of a component: named by its variable, else the official one."""
    return named_image(component) or IMAGES[component]


class ServerContainers:
    """Provider of the servers of one sandbox; `table` keeps their containers."""

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self._table = table

    def find(self, components: Collection[str], progress: Callable[[str], None]) -> None:
        """Find their images, pulling those that the engine does not have.

        Raises WrongUsage without an engine on this machine, and for an image that cannot be had.
        """
        if urlsplit(engine_host()).scheme != "unix":
            raise WrongUsage(
                say(
                    "the Docker engine {host} may be another machine's, which has no folders of this one: "
                    "expected DOCKER_HOST=unix://...; unset it, or leave out --provider containers",
                    host=engine_host(),
                )
            )
        with engine_errors():
            for component in IMAGES:
                if component in components:
                    _pull(component, progress)

    def start(
        self, component: str, program: str, arguments: Sequence[str], *, log: Path, user: tuple[int, int] | None = None
    ) -> Started:
        """Start a server in a container of its own; its output goes to `log`, as a process's does."""
        log.touch()
        if user is not None:
            os.chown(log, *user)
        with signals_deferred(), _containers() as docker_container:
            container = self._container(docker_container, component, user, entrypoint=_TO_LOG)
            container.with_volume_mapping(str(log), str(log), "rw").with_command([str(log), program, *arguments])
            if (ended := self._table.all().get(component)) is not None:
                ended.remove()
            with closing(_client(container)):
                running = RunningContainer(container.start().get_container_id())
            self._table.record(component, running)
        return running

    def run(
        self, component: str, program: str, arguments: Sequence[str], *, user: tuple[int, int] | None = None,
        timeout_s: float = 120,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program in a container that is removed with it."""
        with _containers() as docker_container:
            container = self._container(docker_container, component, user, entrypoint=[program])
            with closing(_client(container)), container.with_command(list(arguments)) as running:
                wrapped = running.get_wrapped_container()
                try:
                    code = wrapped.wait(timeout=timeout_s)["StatusCode"]
                except OSError as error:  # what the engine's client makes of a timeout
                    raise subprocess.TimeoutExpired([program, *arguments], timeout_s) from error
                stdout, stderr = (
                    wrapped.logs(stdout=out, stderr=not out).decode(errors="backslashreplace") for out in (True, False)
                )
        return subprocess.CompletedProcess([program, *arguments], code, stdout, stderr)

    def sweep(self) -> None:
        """Remove every container of this sandbox, recorded or not."""
        with sandbox_engine() as client:

            def none_is_left() -> bool:
                # Sparse: the engine lists a container that it has not finished making, and denies that it is there.
                found = client.containers.list(
                    all=True, sparse=True, filters={"label": f"{LABEL}={self._settings.home}"}
                )
                for container in found:
                    remove_now(container)
                return not found

            wait_until(none_is_left, _REMOVAL_S, say("the containers of the sandbox to be gone"))

    def _container(
        self,
        docker_container: type[DockerContainer],
        component: str,
        user: tuple[int, int] | None,
        entrypoint: list[str],
    ) -> DockerContainer:
        """A container that is not started yet; it may write to the data folder only."""
        data = self._settings.data_dir
        uid, gid = user or (os.geteuid(), os.getegid())
        container = docker_container(image_of(component)).with_kwargs(
            entrypoint=entrypoint,
            labels={LABEL: str(self._settings.home), COMPONENT_LABEL: component},
            network_mode="host",
            user=f"{uid}:{gid}",
            working_dir=str(data),
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            shm_size=_SHARED_MEMORY,
        )
        container.with_env("LC_ALL", "C").with_volume_mapping(str(data), str(data), "rw")
        if component == "postgres":  # initdb refuses a user without a name
            accounts = data / "passwd"
            accounts.write_text(f"postgres:x:{uid}:{gid}::{data}:/bin/sh\n", encoding="ascii")
            container.with_volume_mapping(str(accounts), "/etc/passwd", "ro")
        return container


def _pull(component: str, progress: Callable[[str], None]) -> None:
    try:
        with containers() as docker_container:
            import docker.errors  # noqa: PLC0415 - with testcontainers, half a second

            unused = docker_container(image_of(component))  # it knows of a mirror that testcontainers was told
            with closing(_client(unused)) as client:
                try:
                    client.images.get(unused.image)
                except docker.errors.ImageNotFound:
                    progress(say("pulling the image {image} (once)", image=unused.image))
                    client.images.pull(unused.image)
    except EngineRefused as error:
        raise WrongUsage(
            say(
                "image {image} cannot be had ({reason}); load it into the engine, or name another in ${variable}",
                image=image_of(component),
                reason=error,
                variable=image_variable(component),
            )
        ) from error


def _client(container: DockerContainer) -> DockerClient:
    return container.get_docker_client().client


@contextmanager
def _containers() -> Iterator[type[DockerContainer]]:
    with engine_errors(), containers() as docker_container:
        yield docker_container
