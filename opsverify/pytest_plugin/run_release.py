"""Release of a run: what its command line names, and the backup that a rehearsal restored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DRILL: Final = "drill.json"


def verified_release(named: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The parts of what was verified, by name; a backup by the sum of its manifest, which names all of its files."""
    try:
        manifest = json.loads((folder / DRILL).read_text(encoding="utf-8")).get("backup_manifest_sha256")
    except (OSError, ValueError, AttributeError):  # no rehearsal, or one that restored nothing
        manifest = None
    return {**named, **({"backup": f"backup_manifest@sha256:{manifest}"} if manifest else {})}
