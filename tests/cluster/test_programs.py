"""Programs of a cluster: one that cannot be built leaves a reason of one line, and nothing like a program."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.cluster.programs import ALL, ETCD, Build, UnavailableError


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Provide a build of a package that its module does not have, with a cache folder of its own."""
    if shutil.which("go") is None:
        pytest.skip("no Go here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("GOPROXY", "off")
    return Build(ETCD.name, ETCD.source, {"none": f"{ETCD.source}/none"})


@pytest.mark.parametrize(("longest_s", "said"), [(300.0, "etcd: go build: exit code 1: "), (0.0, "no time is left")])
def test_a_failure_is_one_line(unknown: Build, longest_s: float, said: str) -> None:
    """Also where the time is up; the next one begins anew."""
    with pytest.raises(UnavailableError, match=said) as raised:
        unknown.made(time.monotonic() + longest_s)
    assert "\n" not in str(raised.value)
    assert not unknown.folder.exists()


def test_a_build_knows_its_version() -> None:
    """As its `go.mod` has it; other versions are other folders."""
    assert all(build.version.startswith("v") for build in ALL)
    assert len({build.folder for build in ALL}) == len(ALL)
