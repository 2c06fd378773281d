"""Judgment service process: `python -m sandbox.platform.judgment --home H --track stable`."""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox.home import load_settings
from sandbox.platform.service import Service
from sandbox.platform.serving import log_to_stderr, serve


def main() -> None:
    """Serve one track until SIGTERM."""
    parser = argparse.ArgumentParser(prog="sandbox.platform.judgment", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--track", choices=("stable", "canary"), required=True)
    parser.add_argument("--pod", help="the service whose port it takes (default: the track's first)")
    arguments = parser.parse_args()
    log_to_stderr()
    settings = load_settings(arguments.home)
    service = Service.build(settings, arguments.track, leads=arguments.pod is None)
    serve(service.app(), settings.ports[arguments.pod or arguments.track])


if __name__ == "__main__":
    main()
