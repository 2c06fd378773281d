"""Binding of a verdict: digests of the target, the runbook and the suites that were measured with."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.digest import differing, one_digest, target_digests
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Target

SUITES: Final = ("checks", "smoke", "dr_validation")
MOST_NAMED: Final = 5


def bound_fields(target: Target, root: Path, shown: Callable[[str], str] = str) -> dict[str, Any]:
    """The fields that bind a plan and a verdict to what they measure; `target` as its file has it.

    `shown` is how a key appears in evidence: it may be a word of the file. A sum tells nothing of what it was made of.
    """
    keys = target_digests(target)
    named = {shown(key): digest for key, digest in keys.items()}
    return {"bound": {"target": one_digest(keys), **project_digests(root)}, "target_keys": named}


def project_digests(root: Path) -> dict[str, str]:
    """The part of the binding that is the same for all targets of a project: runbook and suites."""
    runbook = resources.files("opsverify").joinpath("runbook.toml").read_bytes()
    return {"runbook": hashlib.sha256(runbook).hexdigest(), "suites": one_digest(dict(_suites(root)))}


def difference(verdict: Mapping[str, Any], target: Target, root: Path) -> str | None:
    """What differs between a verdict's binding and now; None where nothing does."""
    bound, keys = verdict.get("bound"), verdict.get("target_keys")
    if not isinstance(bound, dict) or not isinstance(keys, dict) or one_digest(keys) != bound.get("target"):
        return say("it is not bound to a target's digest (an older version wrote it, or it was altered)")
    now = bound_fields(target, root)
    if changed := differing(keys, now["target_keys"]):
        more = say(" and {count} more", count=len(changed) - MOST_NAMED) if len(changed) > MOST_NAMED else ""
        return say("the target has changed since: {changed}{more}", changed=", ".join(changed[:MOST_NAMED]), more=more)
    return next(
        (
            say("the {name} changed since it was verified", name=name)
            for name in ("runbook", "suites")
            if bound.get(name) != now["bound"][name]
        ),
        None,
    )


def _suites(root: Path) -> Iterator[tuple[str, str]]:
    """The sum of every file that a suite reads: code, plans, queries, data; only what Python compiles is left out."""
    for path in (root / "conftest.py", *(path for suite in SUITES for path in sorted((root / suite).rglob("*")))):
        if path.is_file() and "__pycache__" not in path.relative_to(root).parts:
            yield path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()
