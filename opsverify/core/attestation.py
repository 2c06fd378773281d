"""Attestations: what only a person can confirm, as a dated and signed record."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.config.model import Target

FIELDS = ("release", "what", "by", "signed_off_by")
CLOCK_SLACK = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class AttestationRecord:
    """A deployment record: which release, what was done to it, who did it, who signs it off, when, and notes."""

    release: str
    what: str
    by: str
    signed_off_by: str
    at: dt.datetime
    text: str


def read_attestation(target: Target, name: str, since: dt.datetime, also: tuple[str, ...] = ()) -> AttestationRecord:
    """Read the record `name` of the target, made at or after `since`; `also` are further fields it must fill in.

    Raises Inconclusive where the target names none, or the file is missing, incomplete, unsigned, older or
    dated in the future: this deployment is not attested then.
    """
    if name not in target.attestations:
        raise Inconclusive(say("missing [attestations.{name}]; add it to the target, with record = FILE", name=name))
    path = Path(target.attestations[name].record)
    example = say(
        "a TOML file with {fields} (text) and at = {since} or later",
        fields=", ".join((*FIELDS, *also)),
        since=since.isoformat(timespec="seconds"),
    )
    try:
        text = path.read_text(encoding="utf-8")
        record = _record(tomllib.loads(text), text, also)
    except OSError as error:
        raise Inconclusive(
            say(
                "attestation {name}: {path}: {error}; write {example}",
                name=name,
                path=path,
                error=error.strerror,
                example=example,
            )
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Inconclusive(
            say(
                "attestation {name}: {path}: {error}; expected {example}",
                name=name,
                path=path,
                error=error,
                example=example,
            )
        ) from error
    if record.at < since:
        raise Inconclusive(
            say(
                "attestation {name}: {path} is of {at}, before this deployment ({since}); write {example}",
                name=name,
                path=path,
                at=record.at.isoformat(),
                since=since.isoformat(timespec="seconds"),
                example=example,
            )
        )
    if record.at > dt.datetime.now(dt.UTC) + CLOCK_SLACK:
        raise Inconclusive(
            say(
                "attestation {name}: {path} is dated {at}, in the future; correct at",
                name=name,
                path=path,
                at=record.at.isoformat(),
            )
        )
    return record


def _record(raw: dict[str, Any], text: str, also: tuple[str, ...]) -> AttestationRecord:
    for name in (*FIELDS, *also):
        if not isinstance(raw.get(name), str) or not raw[name].strip():
            raise ValueError(say("{name} is missing or empty", name=name))
    at = raw.get("at")
    if not isinstance(at, dt.datetime) or at.tzinfo is None:
        raise ValueError(say("at is missing, or has no time zone"))
    return AttestationRecord(raw["release"], raw["what"], raw["by"], raw["signed_off_by"], at, text)
