"""Machine fault: a file or folder that this machine refuses (no room, no right, gone), in one line for its reader."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.language.message import Message

_REFUSED: Final = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ELOOP, errno.EMFILE, errno.ENAMETOOLONG, errno.ENFILE,
    errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS, errno.ESTALE,
})  # fmt: skip
"""What a file system or a limit of the process says no with; any other error may be a fault of the program."""


def machine_fault(error: OSError) -> Message | None:
    """What was refused, and what to do; None where a reader needs the trace."""
    if error.errno not in _REFUSED:
        return None
    if error.filename is None:
        return say("this machine refuses: {error}; free or unlock it, then rerun", error=error.strerror)
    return say("{path}: {error}; free or unlock it, then rerun", path=error.filename, error=error.strerror)
