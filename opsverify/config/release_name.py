"""Release: what a run verifies, as whoever starts it names it: image, chart, migration, or by other names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,40}")
_VALUE: Final = re.compile(r"[!-~]{1,300}")
_DIGEST: Final = re.compile(r"(?P<name>[^@]+)@sha256:(?P<sum>[0-9a-f]{64})")
IMAGE: Final = "image"
FORM: Final = "image=REPOSITORY@sha256:DIGEST,chart=judgment-1.4.2,migration=0004"


def release_in(flag: str, text: str | None) -> dict[str, str]:
    """The parts of a release in the text of the option `flag`: pairs NAME=VALUE, separated by commas.

    An image (`image`, `image.worker` and the like) is named by its digest: a tag can be moved after it was verified.

    Raises TargetError for another form.
    """
    release: dict[str, str] = {}
    for pair in [] if text is None else text.split(","):
        name, _, value = pair.partition("=")
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise TargetError(
                say("{flag}: {pair!r} is no NAME=VALUE; expected such as {form}", flag=flag, pair=pair, form=FORM)
            )
        if name in release:
            raise TargetError(say("{flag}: {name} is named twice", flag=flag, name=name))
        if (name.partition(".")[0] == IMAGE or "@" in value) and not _DIGEST.fullmatch(value):
            raise TargetError(
                say(
                    "{flag}: {name}={value}: a tag can be moved after it was verified; expected NAME@sha256: and "
                    "64 hexadecimal digits",
                    flag=flag,
                    name=name,
                    value=value,
                )
            )
        release[name] = value
    return release


def digests_in(release: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 sum of every part that is named by its digest."""
    for value in release.values():
        if found := _DIGEST.fullmatch(value):
            yield found["name"], found["sum"]
