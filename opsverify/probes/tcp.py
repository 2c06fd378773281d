"""TCP port of a host: whether it accepts connections; standard library only."""

from __future__ import annotations

import socket
from typing import Literal

from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line

PortAnswer = Literal["open", "refused", "no answer"]
"""Of a port: it takes connections, its host refuses them, or nothing came back, which proves neither."""


def port_answer(host: str, port: int, timeout_s: float = 2.0, record: Record = discard) -> PortAnswer:
    """What `host`:`port` answers to a connection within `timeout_s` seconds; nothing is sent.

    Only a refusal comes from the host: without an answer a firewall drops, the network is down, the host is off, or
    its name is not known.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except ConnectionRefusedError as error:
        record(f"TCP {host}:{port}", f"refused: {one_line(error)}")
        return "refused"
    except OSError as error:
        record(f"TCP {host}:{port}", f"no answer: {one_line(error)}")
        return "no answer"
    record(f"TCP {host}:{port}", "open")
    return "open"
