"""Docker engine: whether one answers, and testcontainers' containers without their reaper.

The reaper is an image of its own, which an engine without a registry does not have, and it would remove what shall
outlive the command that started it. Whoever starts a container removes it.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient
    from testcontainers.core.container import DockerContainer

HOST_VARIABLE: Final = "DOCKER_HOST"
_DEFAULT_HOST: Final = "unix:///var/run/docker.sock"


class EngineUnavailable(Exception):  # noqa: N818 - one source of several is not available
    """There is no engine, or nothing to talk to it with; the message is the reason, in one line."""


class EngineRefused(EngineUnavailable):
    """The engine answers, and cannot do what it was asked."""


def engine_host() -> str:
    """Where the engine is, as a URL: DOCKER_HOST, or the usual socket."""
    return os.environ.get(HOST_VARIABLE) or _DEFAULT_HOST


def image_variable(component: str) -> str:
    """The environment variable that names another image of a component (postgres, redis, ...) than the official one."""
    return f"OPSVERIFY_{component.upper()}_IMAGE"


def named_image(component: str) -> str:
    """The image that this variable names, or ''."""
    return os.environ.get(image_variable(component), "")


def require_engine() -> None:
    """Raise EngineUnavailable if nothing listens on the engine's socket; does nothing for a DOCKER_HOST elsewhere."""
    host = urlsplit(engine_host())
    if host.scheme != "unix":
        return
    # The client would leave its socket open, and takes half a second to import.
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(host.path)
        except OSError as error:
            raise EngineUnavailable(
                say("no Docker engine at {host} ({reason})", host=engine_host(), reason=error.strerror)
            ) from error


@contextmanager
def containers() -> Iterator[type[DockerContainer]]:
    """Yield testcontainers' DockerContainer, whose containers stay until they are removed.

    Raises EngineUnavailable without an engine or without the extra `containers`; EngineRefused where the engine
    refuses what is asked of it inside.
    """
    require_engine()
    try:
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 - half a second
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    except ImportError as error:
        raise _extra_missing(error) from error
    reaper, testcontainers_config.ryuk_disabled = testcontainers_config.ryuk_disabled, True
    try:
        with _errors_in_one_line():
            yield DockerContainer
    finally:
        testcontainers_config.ryuk_disabled = reaper


@contextmanager
def engine() -> Iterator[DockerClient]:
    """Yield a client of the engine, and close it. Raises EngineUnavailable as `containers` does."""
    require_engine()
    try:
        import docker  # noqa: PLC0415 - half a second
    except ImportError as error:
        raise _extra_missing(error) from error
    with _errors_in_one_line():
        client = docker.from_env()
        try:
            yield client
        finally:
            client.close()


def _extra_missing(error: ImportError) -> EngineUnavailable:
    return EngineUnavailable(say("{name} is missing; type: pip install 'opsverify[containers]'", name=error.name))


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    import docker.errors  # noqa: PLC0415 - with its client

    try:
        yield
    except docker.errors.APIError as error:
        raise EngineRefused(say("Docker engine: {why}", why=error.explanation or error)) from error
    except docker.errors.DockerException as error:
        raise EngineUnavailable(
            say("no Docker engine at {host} ({reason})", host=engine_host(), reason=error)
        ) from error
