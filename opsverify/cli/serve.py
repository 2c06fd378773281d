"""`opsverify serve`: the gate of pipelines, an HTTP server for the targets of one project."""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_language
from opsverify.config.project import project_root
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.serve.tokens import made_token
from opsverify.units import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

PORT: Final = 8470
NEEDED: Final = ("starlette", "uvicorn", "anyio", "jwt", "cryptography", "prometheus_client")
_LONGEST_TOKEN: Final = dt.timedelta(days=365)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--tokens", type=Path, default=Path("tokens.toml"), metavar="FILE",
                        help=say("who may ask for what (default: tokens.toml)"))  # fmt: skip
    parser.add_argument(
        "--make-token", metavar="NAME", help=say("print a new token and its table for the file, and end")
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help=say("address to listen on (default: 127.0.0.1)")
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=say("port (default: {port})", port=PORT))
    parser.add_argument("--certificate", type=Path, metavar="FILE", help=say("TLS: certificate chain (PEM)"))
    parser.add_argument("--key", type=Path, metavar="FILE", help=say("TLS: private key (PEM)"))
    parser.add_argument("--plain-http", action="store_true", help=say("no TLS beyond loopback: an ingress ends it"))
    parser.add_argument("--queue", type=int, default=20, metavar="N", help=say("runs that may wait (default: 20)"))
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help=say("runs at once (default: 2)"))
    parser.add_argument(
        "--longest", default="6h", metavar="DURATION", help=say("a run is ended after this (default: 6h)")
    )
    parser.add_argument("--max-age", default="30m", metavar="DURATION",
                        help=say("how long a promotion opens the gate (default: 30m)"))  # fmt: skip
    parser.add_argument("--approve-within", default="7d", metavar="DURATION",
                        help=say("how long after its end a hold may be approved (default: 7d)"))  # fmt: skip
    add_language(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Serve until SIGTERM; 4 where the server cannot begin. Raises TargetError for arguments that do not fit."""
    if options.make_token:
        return _make_token(options.make_token)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise TargetError(
            say("serve needs {missing}; type: pip install 'opsverify[serve]'", missing=", ".join(missing))
        )
    from opsverify.serve.run_queue import QueueSettings  # noqa: PLC0415 - only where the extra is installed
    from opsverify.serve.server import Listener, opened, serve  # noqa: PLC0415 - as above

    try:
        longest, max_age = parse_duration(options.longest), parse_duration(options.max_age)
        approve_within = parse_duration(options.approve_within)
    except ValueError as error:
        raise TargetError(say("serve: {error}", error=error)) from error
    for name, value in (("--queue", options.queue), ("--at-once", options.at_once)):
        if value < 1:
            raise TargetError(say("serve: {name} {value}: expected 1 or more", name=name, value=value))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    listener = Listener(options.host, options.port, options.certificate, options.key, options.plain_http)
    listener.check()
    settings = QueueSettings(project_root(), options.at_once, longest)
    with opened(settings, options.tokens, options.queue, max_age, approve_within) as gate:
        return serve(gate, listener)


def _make_token(name: str) -> int:
    plain, table = made_token(name, dt.datetime.now(dt.UTC) + _LONGEST_TOKEN)
    sys.stdout.write(f"{table}\n")
    sys.stderr.write(f"{plain}\n")
    return ExitCode.PASSED
