"""Environment: the language that the reader's own settings (`LC_ALL`, `LC_MESSAGES`, `LANG`) ask for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.language.message import Language

VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""As POSIX has them: the first that is set and not empty decides."""


def environment_language(environment: Mapping[str, str] | None = None) -> Language:
    """Korean for `ko`, `ko_KR.UTF-8` and the like, else English."""
    variables = os.environ if environment is None else environment
    given = next((value for name in VARIABLES if (value := variables.get(name))), "")
    return "ko" if given.lower().replace(".", "_").split("_")[0] == "ko" else "en"
