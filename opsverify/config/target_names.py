"""Names of targets: each stands in one file, since state and history of a target go by its name."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.language.message import Message


def shared_names(places: Iterable[tuple[str, str]]) -> dict[str, Message]:
    """Why no target of a name can be used, by each name that several files have; `places` are names with their file."""
    files: defaultdict[str, list[str]] = defaultdict(list)
    for name, file in places:
        files[name].append(file)
    return {
        name: say("target {name!r}: in {files}; give each file a name of its own", name=name, files=", ".join(found))
        for name, found in files.items()
        if len(found) > 1
    }
