"""A target whose steps are harmless, and finished runs about it."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsverify.config.load import load_target
from opsverify.evidence.bound import bound_fields
from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import RunFolder
from opsverify.evidence.seal import seal
from opsverify.evidence.target_state import TargetState
from opsverify.release.execute import Platform

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-hunter2"
KEY = (
    Ed25519PrivateKey.generate()
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)
TARGET = """
name = "prod"
environment = "production"
language = "en"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "inbox", "recovery"]
[owners]
default = "me"
[services.a]
url = "http://127.0.0.1:9"
[canary]
steps = ["10 %", "50 %", "100 %"]
[evidence]
signing_key = { file = "key.pem" }
[actions]
folder = "."
"""


def note(word: str) -> list[str]:
    """A step that adds `word` to the file `done`."""
    return [sys.executable, "-c", "import sys; print(sys.argv[1], file=open('done', 'a'))", word]


def fail(code: int = 3) -> list[str]:
    """A step that says a secret and fails."""
    return [sys.executable, "-c", f"print('{SECRET}'); raise SystemExit({code})"]


def steps(kind: str, *argvs: list[str], more: str = "") -> str:
    """The TOML of steps."""
    return "".join(f'[[actions.{kind}]]\nrun = {json.dumps(argv)}\nrunbook = "2-4"\n{more}\n' for argv in argvs)


SHARE = f'[actions.share]\nrun = {json.dumps(note("share {share}"))}\nrunbook = "2-3"\n'
BOTH = steps("rollback", note("first"), note("second {run_id}")) + steps("promote", note("promoted")) + SHARE


def platform_in(folder: Path, actions: str = BOTH, said: list[str] | None = None) -> Platform:
    """Load a target with `actions`, in `folder`."""
    (folder / "key.pem").write_text(KEY)
    path = folder / "prod.toml"
    path.write_text(TARGET + actions, encoding="utf-8")
    target, secrets = load_target(path)
    lines = [] if said is None else said
    return Platform(target, path, folder, Redactor({*secrets.values, SECRET}), lines.append)


def finish(folder: Path, platform: Platform, *, signed: bool = True, **changes: Any) -> Path:  # noqa: ANN401
    """Leave the evidence of a finished prod-canary run in `folder`."""
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"signature_expected": signed}))
    decision = changes.get("decision", "rollback")
    listed = {"promote": platform.target.actions.promote, "rollback": platform.target.actions.rollback}
    verdict = {
        "schema": "opsverify.verdict/1",
        "run_id": f"run-{folder.name}",
        "stage": "prod-canary",
        "target": "prod",
        "environment": "production",
        "outcome": {"promote": "pass", "rollback": "fail"}.get(decision, "inconclusive"),
        "decision": decision,
        "exit_code": {"promote": 0, "accept": 0, "rollback": 1, "reject": 1}.get(decision, 10),
        "reasons": ["canary.error_rate: 2.31% of 4,120 requests failed, limit < 1%"],
        "finished_at": dt.datetime.now(dt.UTC).isoformat(),
        "planned": 1,
        "checks": [{"id": "canary.error_rate", "outcome": "pass" if decision in ("promote", "accept") else "fail"}],
        "actions": [{"argv": list(step.run)} for step in listed.get(decision, ())],
        **bound_fields(platform.target, platform.root),
        **changes,
    }
    state = TargetState.of(platform.root / "reports", platform.target.name)
    verdict["chain"] = state.begin(verdict["run_id"], verdict["stage"], folder)
    sum_of_it = seal(RunFolder(verdict["run_id"], folder), verdict, KEY if signed else None)
    state.finish(verdict["run_id"], verdict["stage"], decision, sum_of_it)
    return folder


def done(folder: Path) -> list[str]:
    """What the steps have done."""
    path = folder / "done"
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
