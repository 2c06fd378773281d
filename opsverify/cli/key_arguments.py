"""Keys on the command line: those by which evidence is verified, for every command that verifies some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.errors import EvidenceError
from opsverify.evidence.signature import public_half
from opsverify.evidence.trusted_keys import load_keys, once_each, read_key
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
    """The keys given. Raises EvidenceError where one cannot be read, or is given twice."""
    keys = [read_key(Path(path)) for path in options.public_key]
    listed = load_keys(Path(options.keys)) if options.keys else ()
    where = f"--keys {options.keys}" if listed else "--public-key"
    return list(once_each([*listed, *keys], where))


def add_signing_key(parser: argparse.ArgumentParser) -> None:
    """Take the key that a fleet's verdict is signed with."""
    parser.add_argument(
        "--signing-key", type=Path, metavar="FILE", help=say("sign the fleet's verdict: ed25519 key (PKCS8 PEM)")
    )


def signing_key(options: argparse.Namespace) -> str | None:
    """The key given, before anything is run for it. Raises EvidenceError where it cannot be used."""
    if options.signing_key is None:
        return None
    try:
        pem: str = options.signing_key.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(say("--signing-key {path}: cannot be read", path=options.signing_key)) from error
    public_half(pem)
    return pem
