"""Customers of the shop: orders placed and looked at, a share of them at the canary."""

from __future__ import annotations

import argparse
import time
from http.client import HTTPConnection, HTTPException

from sandbox.home import Control, load_settings
from sandbox.platform.faults import Share

_TIMEOUT_S = 5.0


def main() -> None:
    """Send requests at the control file's rate until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True)
    home = parser.parse_args().home
    ports, control = load_settings(home).ports, Control(home)
    canary = Share()
    due = time.monotonic()
    while True:
        state = control.read()
        release = "canary" if canary.pick(state.canary_share) else "stable"
        _place(ports[release])
        due = max(due + 1 / max(state.rate, 0.1), time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))


def _place(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/orders", '{"total": 3}', {"Content-Type": "application/json"})
        connection.getresponse().read()
    except (OSError, HTTPException):
        return
    finally:
        connection.close()


if __name__ == "__main__":
    main()
