"""Container of a server, known by its id, and the engine that has it; the engine's errors are the sandbox's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from opsverify.docker_engine import EngineRefused, EngineUnavailable, engine
from opsverify.language.message import say
from sandbox.errors import SandboxError, WrongUsage

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

    from docker import DockerClient
    from docker.models.containers import Container

    from opsverify.language.message import Message

_RUNNING: Final = "running"
_GONE: Final = (404, 409)
"""Status of the engine's answers about a container that is gone, has ended, or is being removed."""


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """One started container, by its id."""

    container: str

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        with sandbox_engine() as client:
            found = _found(client, self.container)
            return found is not None and found.status == _RUNNING

    @property
    def mark(self) -> str:
        """The begin of its id, as `docker ps` shows it."""
        return self.container[:12]

    @property
    def place(self) -> Message:
        """Its id, in words."""
        return say("container {id}", id=self.mark)

    def send(self, number: signal.Signals) -> None:
        """Signal its server, which is the container's first process."""
        with sandbox_engine() as client, _gone_is_well():
            if (found := _found(client, self.container)) is not None:
                found.kill(signal=number.name)

    def remove(self) -> None:
        """Remove it with the volumes that its image asked for."""
        with sandbox_engine() as client:
            if (found := _found(client, self.container)) is not None:
                remove_now(found)

    def to_dict(self) -> dict[str, object]:
        """Its entry in the table."""
        return asdict(self)


@contextmanager
def engine_errors() -> Iterator[None]:
    """Raise what the engine says as an error of the sandbox: WrongUsage where there is none."""
    try:
        yield
    except EngineRefused as error:
        raise SandboxError(str(error)) from error
    except EngineUnavailable as error:
        raise WrongUsage(
            say(
                "{reason}; start one, set DOCKER_HOST, or start the sandbox without --provider containers", reason=error
            )
        ) from error


@contextmanager
def sandbox_engine() -> Iterator[DockerClient]:
    """Yield a client of the engine, and close it. Raises SandboxError."""
    with engine_errors(), engine() as client:
        yield client


def _found(client: DockerClient, container: str) -> Container | None:
    import docker.errors  # noqa: PLC0415 - its client is open

    try:
        return client.containers.get(container)
    except docker.errors.NotFound:
        return None


def remove_now(container: Container) -> None:
    """Remove a container with its volumes, whatever it does; one that is gone already is well."""
    with _gone_is_well():
        container.remove(force=True, v=True)


@contextmanager
def _gone_is_well() -> Iterator[None]:
    import docker.errors  # noqa: PLC0415 - its client is open

    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in _GONE:
            raise
