"""Docker engine under test: its images of servers, and the containers of one sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.docker_engine import EngineUnavailable, engine
from sandbox.containers import LABEL
from tests.support.server_images import ImagesUnavailable, images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient


@pytest.fixture(scope="session")
def images_of_servers() -> Mapping[str, str]:
    """Images by the variable that names each; skipped without an engine, or without images."""
    try:
        return images()
    except (EngineUnavailable, ImagesUnavailable) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server_images(images_of_servers: Mapping[str, str]) -> Iterator[None]:
    """Images of all servers, named by their variables while a module's tests run: others restore with other tools."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, image in images_of_servers.items():
            patch.setenv(variable, image)
        yield


@pytest.fixture
def docker(server_images: None) -> Iterator[DockerClient]:  # noqa: ARG001 - the engine that has them
    """A client of the engine."""
    with engine() as client:
        yield client


def containers_of(home: Path) -> list[str]:
    """Ids of the containers of the sandbox in `home`, ended ones included."""
    with engine() as client:
        # Sparse: one that comes or goes meanwhile could not be inspected.
        found = client.containers.list(all=True, sparse=True, filters={"label": f"{LABEL}={home}"})
        return [str(each.id) for each in found]


def volumes_of(home: Path) -> set[str]:
    """Volumes that the containers of the sandbox in `home` have, as their images ask for."""
    with engine() as client:
        mounts = [mount for id_ in containers_of(home) for mount in client.containers.get(id_).attrs["Mounts"]]
    return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}


def volumes() -> set[str]:
    """All volumes of the engine."""
    with engine() as client:
        return {str(found.name) for found in client.volumes.list()}
