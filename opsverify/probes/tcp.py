"""TCP of a host: whether a port accepts connections; standard library only."""

from __future__ import annotations

import socket

from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line


def is_open(host: str, port: int, timeout_s: float = 2.0, record: Record = discard) -> bool:
    """Whether `host`:`port` accepts a connection within `timeout_s` seconds; nothing is sent.

    False alone does not prove a closed port, for a network may be down: test a port that should be open as well.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        record(f"TCP {host}:{port}", f"closed: {one_line(error)}")
        return False
    record(f"TCP {host}:{port}", "open")
    return True
