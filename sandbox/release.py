"""Release operations other than traffic: migrations, the cache, the deployment record."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import tomli_w

from opsverify.language.message import say
from sandbox.errors import SandboxError
from sandbox.home import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.home import Settings
    from sandbox.parts import Parts

RECORD = "deployment.toml"
_CLEAR_TIMEOUT_S = 10
_REVISION = "SELECT version_num FROM alembic_version"


def migrate(parts: Parts, direction: str) -> str:
    """Take the database one migration `down`, or `up` to the newest; the revision it is at then."""
    parts.platform.migrate({"down": "downgrade", "up": "upgrade"}[direction])
    return str(parts.cluster.value(_REVISION))


def clear_cache(settings: Settings) -> int:
    """Ask the stable service to remove every cached judgment; how many there were."""
    request = urllib.request.Request(  # noqa: S310 - http on this machine
        settings.url("stable") + "/admin/cache/clear",
        method="POST",
        headers={"Authorization": f"Bearer {settings.secret('admin_token')}"},
    )
    try:
        # Past any proxy: the token is for this machine alone.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_CLEAR_TIMEOUT_S) as answer:
            return int(json.load(answer)["removed"])
    except (OSError, ValueError) as error:
        raise SandboxError(say("the cache was not cleared ({error}); see 'sandbox status'", error=error)) from error


def record(settings: Settings, what: str, by: str) -> Path:
    """Write the deployment record as `[attestations.deployment]` of the target expects it; its file."""
    path = settings.home / RECORD
    fields = {
        "release": settings.versions["canary"],
        "what": what,
        "by": by,
        "signed_off_by": by,
        "notes": "the stand-in platform keeps no release notes",
    }
    at = datetime.now(UTC).replace(microsecond=0)
    write_atomic(path, tomli_w.dumps({**fields, "at": at}), mode=0o644)
    return path
