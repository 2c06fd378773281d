"""Allure results in the reader's language: a copy for the page, with titles and messages as the verdict has them.

The results of a run are evidence, and written once, in the target's language; the verdict has both languages.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import json_in, read_once

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RESULTS: Final = "allure-results"
_ID: Final = "as_id"
"""The label of Allure that holds a check's id."""
_MESSAGE: Final = {"ko": "message_ko", "en": "message"}


def worded(run_dir: Path, verdict: Mapping[str, Any], language: str, folder: Path) -> None:
    """Copy the results of `run_dir` to `folder`, worded in `ko` or `en`, with their attachments.

    Whole files: Allure follows no links.

    What the verdict does not name (a result of another plugin, a verdict of an earlier version) stays as it is.
    """
    checks = {check["id"]: check for check in verdict.get("checks", ())}
    folder.mkdir()
    for path in (run_dir / RESULTS).iterdir():
        if not path.name.endswith("-result.json"):
            shutil.copyfile(path, folder / path.name)
            continue
        text = read_once(path).decode("utf-8", "replace")
        (folder / path.name).write_text(_worded(text, checks, language), encoding="utf-8")


def _worded(text: str, checks: Mapping[str, Any], language: str) -> str:
    try:
        result = json_in(text, RESULTS)
        name = next((label["value"] for label in result.get("labels", ()) if label["name"] == _ID), None)
    except (EvidenceError, TypeError, KeyError, AttributeError):
        return text  # Allure itself says what it cannot read
    check = checks.get(str(name))
    if check is None:
        return text
    result["name"] = check.get("title", {}).get(language) or result.get("name")
    if result.get("statusDetails") and check.get(_MESSAGE[language]):
        result["statusDetails"]["message"] = check[_MESSAGE[language]]
    return json.dumps(result, ensure_ascii=False)
