"""Keys on the command line: those by which evidence is verified, for every command that verifies some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.evidence.trusted_keys import load_keys, read_key
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse

    from opsverify.evidence.trusted_keys import TrustedKey


def add_trusted_keys(parser: argparse.ArgumentParser) -> None:
    """Take public keys, and a file of keys with the time each is valid for."""
    parser.add_argument(
        "--public-key",
        metavar="FILE",
        action="append",
        default=[],
        help=say("ed25519 key (PEM), may be given again; without any only sums count"),
    )
    parser.add_argument("--keys", metavar="FILE", help=say("TOML file of keys with valid_from, valid_until, revoked"))


def trusted_keys(options: argparse.Namespace) -> list[TrustedKey]:
    """The keys given. Raises EvidenceError where one cannot be read."""
    keys = [read_key(Path(path)) for path in options.public_key]
    return keys + list(load_keys(Path(options.keys)) if options.keys else ())
