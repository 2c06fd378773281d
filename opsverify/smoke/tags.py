"""Tag of a journey: when, where and by which process it was made, so that what a killed journey left is known."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "opsverify-"
LONGEST_JOURNEY_S: Final = 600.0
"""Seconds after which no journey is running any more, wherever it was started."""
_TAG: Final = re.compile(PREFIX + r"(?P<at>[0-9a-f]{8})(?P<host>[0-9a-f]{4})(?P<pid>[0-9a-f]{6})[0-9a-f]{6}")
_numbers: Final = itertools.count(secrets.randbelow(1 << 24))
"""Last part of a tag, counted within a process: random ones of one second are now and then the same."""


@dataclass(frozen=True)
class Tag:
    """What a tag says of its journey."""

    at: float
    host: str
    pid: int

    @classmethod
    def parse(cls, text: str) -> Tag | None:
        """The parts of `text`; None for the tag of something else."""
        match = _TAG.fullmatch(text)
        return match and cls(float(int(match["at"], 16)), match["host"], int(match["pid"], 16))

    def is_left_over(self, now: float, older_than_s: float = LONGEST_JOURNEY_S) -> bool:
        """Whether its journey has ended: too long ago, or on this machine with its process."""
        return now - self.at >= older_than_s or (self.host == _host() and not _lives(self.pid))


def new_tag() -> str:
    """A tag that nothing else has."""
    return f"{PREFIX}{int(time.time()):08x}{_host()}{os.getpid() & 0xFFFFFF:06x}{next(_numbers) & 0xFFFFFF:06x}"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:4]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
