"""Variables of the environment that target files name: the secrets of every target lie in a run's environment.

A run knows the secrets of its own target; a check that fails with `os.environ` would show those of all others.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from opsverify.config.secrets import SHORTEST

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.secrets import Secrets

# Not parsed: a project may have a thousand targets, and each of their runs would read all of them. Letters come first,
# which are searched for 30 times as fast as the beginning of a word.
_NAMED: Final = re.compile(r"""env(?<!\wenv)["']?\s*=\s*["']([^"'\n]+)["']""")


def variables_in(folder: Path) -> frozenset[str]:
    """The variables that the TOML files of `folder` name; of a file that cannot be read, none."""
    found: set[str] = set()
    for path in folder.glob("*.toml"):
        try:
            found.update(_NAMED.findall(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            continue
    return frozenset(found)


def values_to_mask(secrets: Secrets, folder: Path) -> frozenset[str]:
    """The target's own secrets, and those of the other targets in `folder` that are set in this environment."""
    values = (os.environb.get(os.fsencode(name), b"").decode("utf-8", "replace") for name in variables_in(folder))
    return secrets.values | {value for value in values if len(value) >= SHORTEST}
