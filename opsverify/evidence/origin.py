"""Origin of a run: which revision of the project, who or what started it, and the versions of what took part."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ORIGIN: Final = "origin.json"
PACKAGES: Final = (
    "opsverify", "pytest", "allure-pytest", "pytest-xdist", "httpx", "psycopg", "redis", "prometheus-api-client", "mcp",
    "dnspython", "cryptography", "securesystemslib", "pydantic",
)  # fmt: skip
PIPELINES: Final[Mapping[str, Mapping[str, str]]] = {
    "OPSVERIFY_FLEET": {
        "run": "OPSVERIFY_FLEET", "plan": "OPSVERIFY_FLEET_PLAN", "unit": "OPSVERIFY_FLEET_UNIT", "job": "HOSTNAME",
    },
    "OPSVERIFY_SERVE_RUN": {"by": "OPSVERIFY_SERVE_BY", "run": "OPSVERIFY_SERVE_RUN"},
    "GITHUB_ACTIONS": {
        "by": "GITHUB_ACTOR", "run": "GITHUB_RUN_ID", "attempt": "GITHUB_RUN_ATTEMPT", "job": "GITHUB_JOB",
        "repository": "GITHUB_REPOSITORY", "revision": "GITHUB_SHA",
    },
    "GITLAB_CI": {
        "by": "GITLAB_USER_LOGIN", "run": "CI_PIPELINE_ID", "job": "CI_JOB_ID", "url": "CI_JOB_URL",
        "repository": "CI_PROJECT_PATH", "revision": "CI_COMMIT_SHA",
    },
    "JENKINS_URL": {
        "by": "BUILD_USER_ID", "run": "BUILD_NUMBER", "job": "JOB_NAME", "url": "BUILD_URL", "revision": "GIT_COMMIT",
    },
    "TEKTON_PIPELINE_RUN": {"run": "TEKTON_PIPELINE_RUN", "job": "TEKTON_TASK_RUN"},
    "KUBERNETES_SERVICE_HOST": {"job": "JOB_NAME", "run": "HOSTNAME", "unit": "JOB_COMPLETION_INDEX"},
}  # fmt: skip
"""Pipelines by a variable that each sets, and where they say who, what and where; the first one counts."""
_REVISION: Final = re.compile(r"[0-9a-f]{40,64}")
_LONGEST: Final = 300


def origin_of(root: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What is known of a run that begins now in the project `root`; a part that is unknown is None."""
    return {
        "revision": revision_of(root),
        "started_by": starter(environment),
        "host": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def starter(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Who or what started the run, as the environment says; it proves nothing."""
    for name, variables in PIPELINES.items():
        if environment.get(name):
            known = {key: environment.get(variable, "")[:_LONGEST] or None for key, variable in variables.items()}
            return {"pipeline": name, **known}
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return {"pipeline": None, "by": user}


def revision_of(root: Path) -> str | None:
    """The commit that is checked out in `root`, read from git's own files; None where there is none."""
    try:
        place = root / ".git"
        if place.is_file():  # a linked worktree, a submodule
            place = (root / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (place / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head if _REVISION.fullmatch(head) else None
        return _of_reference(place, head.removeprefix("ref: "))
    except (OSError, UnicodeDecodeError, ValueError):
        return None


def _of_reference(place: Path, name: str) -> str | None:
    common = place / "commondir"
    shared = (place / common.read_text(encoding="utf-8").strip()).resolve() if common.exists() else place
    for folder in (place, shared):
        if (folder / name).is_file():
            found = (folder / name).read_text(encoding="utf-8").strip()
            return found if _REVISION.fullmatch(found) else None
    for line in (shared / "packed-refs").read_text(encoding="utf-8").splitlines():
        revision, _, reference = line.partition(" ")
        if reference == name and _REVISION.fullmatch(revision):
            return revision
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
