"""Seal of a run's evidence: manifest, signature, and last the verdict."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from opsverify.evidence.files import write_atomic
from opsverify.evidence.json_text import json_text
from opsverify.evidence.manifest import write_manifest
from opsverify.evidence.run_folder import VERDICT, RunFolder
from opsverify.evidence.signature import ReadVerdict, sign_run

if TYPE_CHECKING:
    from collections.abc import Mapping


def seal(
    folder: RunFolder, verdict: dict[str, Any], signing_key: str | None, known: Mapping[str, str] | None = None
) -> str:
    """Write manifest, signature (where there is a key) and `verdict.json`, in this order.

    The signature covers the manifest and the exact bytes of the verdict that is written after it, so that the
    verdict appears only when all of its evidence is complete. `known` is as for `write_manifest`. Returns the SHA-256
    sum of the verdict.
    """
    manifest_sha256 = write_manifest(folder.path, known)
    content = {**verdict, "evidence": {"manifest_sha256": manifest_sha256, "signed": signing_key is not None}}
    text = json_text(content).encode()
    if signing_key is not None:
        sign_run(folder.path, signing_key, ReadVerdict(text, content))
    write_atomic(folder.path / VERDICT, text)
    return hashlib.sha256(text).hexdigest()
