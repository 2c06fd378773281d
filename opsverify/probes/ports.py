"""Whether a TCP port takes connections."""

from __future__ import annotations

import socket

from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line


def is_open(host: str, port: int, timeout_s: float = 2.0, record: Record = discard) -> bool:
    """Whether a connection to `host`:`port` comes about within `timeout_s` seconds; nothing is sent.

    False says only that none came about: ask a port that should be open as well, or a network that is down
    looks like a closed port.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        record(f"TCP {host}:{port}", f"closed: {one_line(error)}")
        return False
    record(f"TCP {host}:{port}", "open")
    return True
