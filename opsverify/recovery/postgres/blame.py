"""Blame for an error of PostgreSQL's programs: the backup's, or this machine's, by what the message is about."""

from __future__ import annotations

import re
from typing import Final

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say

_THIS_MACHINE: Final = re.compile(
    r"could not access file"  # a library that production preloads, or an extension's
    r"|could not load library"
    r"|extension \"[^\"]*\" (?:is not available|has no installation script|must be (?:pre)?loaded)"
    r"|could not open extension control file"
    r"|must be loaded via \"?shared_preload_libraries"
    r"|resource manager with ID \d+ not registered"
    r"|could not create shared memory|could not map anonymous shared memory|could not resize shared memory"
    r"|could not create any TCP/IP sockets|could not bind|could not create any Unix-domain sockets"
    r"|group \"[^\"]*\" does not exist"
    r"|No space left on device|Permission denied|[Oo]ut of memory|Too many open files|Cannot allocate memory"
    r"|could not open configuration (?:file|directory)"
    r"|database locale is incompatible with operating system|locale \"[^\"]*\" does not exist"
    r"|invalid (?:locale name|LC_\w+ locale name)|could not create locale"
    r"|collation .* for encoding .* does not exist|ICU is not supported in this build|could not open collator"
    r"|invalid value for parameter \"(?:lc_\w+|io_method|wal_compression|default_toast_compression|max_stack_depth"
    r"|timezone|log_timezone|wal_sync_method|recovery_init_sync_method|dynamic_shared_memory_type|file_copy_method)\""
    r"|is not supported by this build|not supported on this platform"
    r"|unsupported version \(.*\) in file header"
)


def is_of_this_machine(message: str) -> bool:
    """Whether `message` names something that this machine lacks, whatever the state of the backup."""
    return _THIS_MACHINE.search(message) is not None


def fault_of(message: str, text: str, damaged: type[NotRestorable] = NotRestorable) -> Inconclusive:
    """The error with `text` for a program's `message`: `damaged`, or Inconclusive where this machine is at fault."""
    if is_of_this_machine(message):
        return Inconclusive(
            say(
                "{text}; this machine lacks it, which tells nothing about the backup: fix it here, or "
                "restore on another",
                text=text,
            )
        )
    return damaged(text)
