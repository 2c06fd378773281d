"""Fuzzing of the gate: requests of every kind that its OpenAPI document allows and forbids, against the real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opsverify.serve.openapi import document
from opsverify.serve.operations import OPERATIONS
from tests.support.gate_server import TARGETS, GateProject, plain, project_in, served, tokens_text
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from opsverify.serve.gate_run import RunRequest

PROGRAM: Final = Path(sys.executable).with_name("schemathesis")
HOOKS: Final = {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(REPOSITORY)}
SETTINGS: Final = """
[generation]
deterministic = true
max-examples = 4

[[operations]]
include-operation-id = "startRun"
# By default, and 422: an Idempotency-Key that was used for another request (draft-ietf-httpapi-idempotency-key-header).
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
"""


class _HoldsAtOnce(GateProject):
    """A project whose runs are holds, without waiting."""

    def command(self, _request: RunRequest, _folder: Path) -> list[str]:
        return ["/bin/sh", "-c", "exit 10"]


def _document() -> dict[str, Any]:
    """The published document, with the targets and the token that there are on this server: others are only refused."""
    found: dict[str, Any] = json.loads(json.dumps(document()))
    targets = {"type": "string", "enum": list(TARGETS)}
    operations = [operation for path in found["paths"].values() for operation in path.values()]
    known = {"target": targets, "token": {"type": "string", "enum": [plain("admin")]}}
    for each in (parameter for operation in operations for parameter in operation["parameters"]):
        if each["in"] == "path":
            each["schema"] = known.get(each["name"], each["schema"])
    found["components"]["schemas"]["RunBody"]["properties"]["target"] = targets
    return found


def test_the_server_is_as_its_document_says(tmp_path: Path) -> None:
    """Every answer is as documented, what is valid is taken, what is not is refused: all checks of Schemathesis."""
    project = _HoldsAtOnce(project_in(tmp_path / "project"))
    own = f"self_approval = {json.dumps(TARGETS)}"
    (project.folder / "tokens.toml").write_text(tokens_text(more=own), encoding="utf-8")
    (tmp_path / "openapi.json").write_text(json.dumps(_document()), encoding="utf-8")
    (tmp_path / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    with served(project, most_waiting=100_000) as live:
        ended = subprocess.run(
            [PROGRAM, "--config-file", tmp_path / "settings.toml", "run", tmp_path / "openapi.json", "--url", live.url,
             "--checks=all", "--header", f"Authorization: Bearer {plain('admin')}", "--continue-on-failure"],
            cwd=tmp_path, env={**os.environ, **HOOKS},  # its cache lies in the working directory
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        reached = {row["what"] for row in live.gate.store._query("SELECT what FROM event")}
    assert ended.returncode == 0, ended.stdout
    assert f"Tested: {len(OPERATIONS)}\n" in ended.stdout
    assert {"approve", "retire"} <= reached, "nothing came as far as a run"
