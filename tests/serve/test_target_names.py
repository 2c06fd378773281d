"""Names of targets: two files of one name would be two runs at once on one target."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.errors import TargetError
from opsverify.serve.server import opened
from opsverify.serve.target_names import TargetNames
from tests.support.gate_server import GateProject, LiveGate, plain, served, until

if TYPE_CHECKING:
    from pathlib import Path

HOOK = {"name": "judgment", "namespace": "default", "checksum": "c1"}


def alias(project: GateProject) -> Path:
    """A second file of the target `prod`."""
    path = project.folder / "targets" / "alias.toml"
    path.write_bytes((project.folder / "targets" / "prod.toml").read_bytes())
    return path


def test_a_server_does_not_start_with_two_files_of_one_name(project: GateProject) -> None:
    """The files are named; a link is a second file too."""
    (project.folder / "targets" / "link.toml").symlink_to("staging.toml")
    alias(project)
    with pytest.raises(TargetError) as refused, opened(project.settings, project.folder / "tokens.toml"):
        raise AssertionError
    assert [str(each) for each in refused.value.problems] == [
        "target 'prod': in targets/alias.toml, targets/prod.toml; give each file a name of its own",
        "target 'staging': in targets/link.toml, targets/staging.toml; give each file a name of its own",
    ]


@pytest.mark.parametrize("target", ["prod", "alias"])
def test_a_second_file_that_comes_later_stops_both(live: LiveGate, project: GateProject, target: str) -> None:
    """Until it is taken away again; the other targets go on."""
    path = alias(project)
    body: dict[str, Any] = {"stage": "staging", "target": target, "release": {"name": "judgment", "checksum": "c1"}}
    hooks = ("/v1/hooks/argo/staging/{target}", "/v1/hooks/flagger/{token}/staging/{target}/confirm-promotion")
    argo, flagger = (each.format(target=target, token=plain("admin")) for each in hooks)
    for answer in (
        live.call("POST", "/v1/runs", body),
        live.call("POST", argo, HOOK),
        live.call("POST", flagger, HOOK),
    ):
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert "targets/alias.toml, targets/prod.toml" in answer.json()["detail"]
    assert live.call("POST", "/v1/runs", body | {"target": "staging"}).status_code == 202
    path.unlink()
    assert live.call("POST", "/v1/runs", body | {"target": "prod"}).status_code == 202
    project.decide("c1", 10)


def test_a_second_file_that_comes_while_a_run_waits_is_a_hold(project: GateProject) -> None:
    """It was asked for while each name stood in one file; started, it would be measured beside the other one's runs."""
    project.most_at_once = 1
    release = {"name": "judgment", "checksum": "c1"}
    with served(project) as live:
        live.call("POST", "/v1/runs", {"stage": "staging", "target": "staging", "release": release})
        until(lambda: project.begun("c1"), "the first run")
        body = {"stage": "staging", "target": "prod", "release": release | {"checksum": "c2"}}
        run = live.call("POST", "/v1/runs", body).json()
        alias(project)
        project.decide("c2", 0)
        project.decide("c1", 0)
        ended = live.ended(run["id"])
    assert ended["decision"] == "hold"
    assert "targets/alias.toml, targets/prod.toml" in ended["reasons"][0]
    assert project.begun("c2") == []


def test_a_file_that_is_changed_to_another_name_is_read_again(project: GateProject) -> None:
    """Of the same length, and with the time of before: as a copy that keeps times."""
    names = TargetNames(project.folder / "targets")
    other = project.folder / "targets" / "twin.toml"
    other.write_bytes((project.folder / "targets" / "prod.toml").read_bytes().replace(b'"prod"', b'"twin"'))
    before = other.stat()
    assert names.shared("prod") is None
    other.write_bytes((project.folder / "targets" / "prod.toml").read_bytes())
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names.shared("prod") is not None


def test_a_file_that_cannot_be_read_stops_no_other(live: LiveGate, project: GateProject) -> None:
    """Nor does one of another kind."""
    (project.folder / "targets" / "broken.toml").write_text("name =", encoding="utf-8")
    (project.folder / "targets" / "rights.toml").write_text('schema = "rights"\nname = "prod"\n', encoding="utf-8")
    body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
    assert live.call("POST", "/v1/runs", body).status_code == 202
    project.decide("c1", 10)


@pytest.mark.parametrize("target", ["x" * 3000, "%00", "a%2Fb", "prod%0A", "..%2Fprod"])
def test_a_hook_names_no_file_but_a_target(live: LiveGate, target: str) -> None:
    """Whatever stands in its address: a target that is not there, not a fault of the server."""
    for path in (f"/v1/hooks/argo/staging/{target}", f"/v1/hooks/flagger/{plain('admin')}/staging/{target}/rollback"):
        answer = live.call("POST", path, HOOK)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
