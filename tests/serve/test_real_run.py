"""Real run: the server starts `opsverify verify` and reads its sealed verdict; another one's counts for nothing."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Final

from opsverify.core.stages import Decision
from opsverify.evidence.bundle import unpacked
from opsverify.evidence.signature import verify_run
from opsverify.serve.bodies import Release
from opsverify.serve.conclusion import conclude
from opsverify.serve.gate_run import RunRequest
from opsverify.serve.run_queue import verify_command
from tests.support.gate_server import FAR, RealProject, project_in, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.serve.gate_run import Conclusion

RELEASE: Final = Release("judgment", "c1")


def test_an_unreachable_target_is_a_hold_with_its_evidence(tmp_path: Path) -> None:
    """The verdict is that of `opsverify verify`; its evidence verifies; altered or foreign, it is a hold or refused."""
    project = RealProject(project_in(tmp_path / "project"))
    (project.folder / "targets" / "far.toml").write_text(FAR, encoding="utf-8")
    with served(project) as live:
        body = {"stage": "weekly", "target": "far", "release": {"name": RELEASE.name, "checksum": RELEASE.checksum}}
        run = live.call("POST", "/v1/runs", body).json()
        ended = live.ended(run["id"])
        assert (ended["decision"], ended["exit_code"], ended["answer"]) == ("hold", 10, "hold")
        assert "Prometheus http://127.0.0.1:9" in ended["reasons"][0]
        verdict = live.call("GET", f"/v1/runs/{run['id']}/verdict")
        assert verdict.json()["run_id"] == ended["run_id"]
        assert verdict.json()["release"]["checksum"] == RELEASE.checksum
        assert hashlib.sha256(verdict.content).hexdigest() == ended["verdict_sha256"]
        bundle = tmp_path / "bundle.tar.zst"
        bundle.write_bytes(live.call("GET", f"/v1/runs/{run['id']}/evidence").content)
        with unpacked(bundle) as folder:
            assert verify_run(folder, None).problems == ()
            assert '"by": "admin"' in (folder / "origin.json").read_text(encoding="utf-8")
        folder = project.settings.folder_of(run["id"])
        _nothing_else_counts(folder, project.folder)
        (folder / "verdict.json").write_bytes(verdict.content.replace(b'"hold"', b'"accept"'))
        for part in ("verdict", "evidence"):
            assert live.call("GET", f"/v1/runs/{run['id']}/{part}").status_code == 409
    assert not list(project.settings.state.glob("*.tar.zst"))


def _nothing_else_counts(folder: Path, root: Path) -> None:
    """A hold for another exit code, stage, target or folder, and for a verdict that says something else."""
    request = RunRequest("weekly", "far", (), RELEASE)
    own = conclude(folder, 10, request, root)
    assert own.verdict_sha256 is not None
    copy = folder.with_name("gate-copy")
    shutil.copytree(folder, copy)
    tries: dict[str, Callable[[], Conclusion]] = {
        "exit code": lambda: conclude(folder, 0, request, root),
        "stage": lambda: conclude(folder, 10, RunRequest("daily", "far", (), RELEASE), root),
        "target": lambda: conclude(folder, 10, RunRequest("weekly", "prod", (), RELEASE), root),
        "checksum": lambda: conclude(folder, 10, RunRequest("weekly", "far", (), Release("judgment", "c2")), root),
        "copied": lambda: conclude(copy, 10, request, root),
        "no folder": lambda: conclude(folder.with_name("none"), 0, request, root),
    }
    found = {name: attempt() for name, attempt in tries.items()}
    assert {name: (each.decision, each.verdict_sha256) for name, each in found.items()} == dict.fromkeys(
        tries, (Decision.HOLD, None)
    )


def test_the_command_is_the_command_line(tmp_path: Path) -> None:
    """Options become options; a value cannot become one."""
    options = (("window", "20m"), ("rolled_back_at", "2026-11-29T00:00:00Z"))
    request = RunRequest("prod-canary", "prod", options, RELEASE)
    argv = verify_command(request, tmp_path)
    assert argv[argv.index("verify") :] == [
        "verify", "prod-canary", "--target=prod", f"--report-dir={tmp_path}", "--color=no", "--window=20m",
        "--rolled-back-at=2026-11-29T00:00:00Z", "--release=name=judgment,namespace=default,checksum=c1",
    ]  # fmt: skip
