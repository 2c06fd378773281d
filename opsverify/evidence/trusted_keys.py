"""Trusted keys: public keys with the time that each is valid for, and the verification of a run by one of them.

A key that was replaced has a `valid_until`: what it signed before stays valid. A key that was `revoked` is in other
hands: those can write any time of signing into a run, so without another proof of the time nothing can be said of what
it signed, whenever that claims to be.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import Problem
from opsverify.evidence.signature import SIGNATURE, VERDICT, Verification, key_id, key_ids_in, public_half, verify_run
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets

Trust = Literal["valid", "not said", "refused"]
_KEYS: Final = frozenset({"file", "valid_from", "valid_until", "revoked", "reason"})
_RUN_ID: Final = re.compile(r"(\d{8}T\d{6}Z)-")


@dataclass(frozen=True)
class TrustedKey:
    """One public key, and when what it signed is to be believed."""

    name: str
    pem: str
    valid_from: dt.datetime | None = None
    valid_until: dt.datetime | None = None
    revoked: dt.datetime | None = None
    reason: str = ""

    def doubt(self, signed: dt.datetime) -> str | None:
        """Why a run that says it ended at `signed` cannot rest on this key; None where it can."""
        if self.revoked is not None:
            return say(
                "key {name} was revoked at {revoked:%Y-%m-%d} ({reason}): cannot say when it signed this run",
                name=self.name,
                revoked=self.revoked,
                reason=self.reason,
            )
        if self.valid_from is not None and signed < self.valid_from:
            return say(
                "key {name} is valid from {valid_from:%Y-%m-%d}, the run ended at {signed:%Y-%m-%d}",
                name=self.name,
                valid_from=self.valid_from,
                signed=signed,
            )
        if self.valid_until is not None and signed >= self.valid_until:
            return say(
                "key {name} was valid until {valid_until:%Y-%m-%d}, the run ended at {signed:%Y-%m-%d}",
                name=self.name,
                valid_until=self.valid_until,
                signed=signed,
            )
        return None


def load_keys(path: Path) -> tuple[TrustedKey, ...]:
    """The keys of a TOML file: `[[key]]` with `file`, and optionally `valid_from`, `valid_until`, `revoked`, `reason`.

    Raises EvidenceError for a file that is none.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(say("{path}: no list of keys ({error})", path=path, error=error)) from error
    entries = content.get("key")
    if set(content) != {"key"} or not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise EvidenceError(say("{path}: expected [[key]] tables, each with a file", path=path))
    return tuple(_key(entry, path) for entry in entries)


def read_key(path: Path) -> TrustedKey:
    """A public key without limits. Raises EvidenceError where it cannot be read."""
    try:
        return TrustedKey(path.name, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(say("public key {path}: cannot be read ({error})", path=path, error=error)) from error


def trusted_by(target: Target, secrets: Secrets) -> tuple[TrustedKey, ...]:
    """The keys by which runs of `target` are verified: its own, and those of its `evidence.trusted_keys`.

    Raises EvidenceError where one cannot be used.
    """
    known = load_keys(Path(target.evidence.trusted_keys)) if target.evidence.trusted_keys else ()
    own = secrets.of(target.evidence.signing_key)
    if own is None:
        return known
    pem = public_half(own)
    listed = {key_id(key.pem) for key in known}  # a key that is listed has its times, and may be revoked
    return known if key_id(pem) in listed else (TrustedKey("evidence.signing_key", pem), *known)


def verify_by(folder: Path, keys: Sequence[TrustedKey], now: dt.datetime) -> Verification:
    """Verify a run by the key among `keys` that signed it; by its sums alone where there are no keys.

    Raises EvidenceError only where a key cannot be used.
    """
    if not keys:
        return verify_run(folder, None)
    by_id = {key_id(key.pem): key for key in keys}
    signing = next((by_id[each] for each in key_ids_in(folder) if each in by_id), None)
    found = verify_run(folder, (signing or keys[0]).pem)
    problems = list(found.problems)
    if signing is not None and found.verdict is not None:
        try:
            verdict = json.loads(found.verdict)
            ended = dt.datetime.fromisoformat(verdict["finished_at"])
            odd = _odd_times(verdict, now)
        except (ValueError, KeyError, TypeError):
            problems.append(Problem(VERDICT, say("no time of its end")))
        else:
            problems += [Problem(VERDICT, odd)] if odd else []
            if doubt := signing.doubt(ended):
                problems.append(Problem(SIGNATURE, doubt))
    return Verification(not problems, tuple(problems), found.signed_by, found.verdict, found.signature_present)


def _odd_times(verdict: Mapping[str, Any], now: dt.datetime) -> str | None:
    """How the times in a verdict contradict each other, as they do in one that was dated back."""
    began, ended = (dt.datetime.fromisoformat(verdict[name]) for name in ("started_at", "finished_at"))
    in_id = _RUN_ID.match(verdict["run_id"])
    if in_id is None or in_id[1] != f"{began:%Y%m%dT%H%M%SZ}":
        return say("its run id {run_id} does not begin with its start, {began}", run_id=verdict["run_id"], began=began)
    if ended < began:
        return say("ended at {ended}, before its start at {began}", ended=ended, began=began)
    if ended > now + dt.timedelta(minutes=5):
        return say("ended at {ended}, which is in the future", ended=ended)
    return None


def _key(entry: Mapping[str, Any], path: Path) -> TrustedKey:
    if unknown := sorted(entry.keys() - _KEYS):
        raise EvidenceError(say("{path}: unknown key {name}", path=path, name=", ".join(unknown)))
    if not isinstance(entry.get("file"), str):
        raise EvidenceError(say("{path}: a [[key]] without file", path=path))
    times = {name: _time(entry, name, path) for name in ("valid_from", "valid_until", "revoked")}
    if times["revoked"] is not None and not entry.get("reason"):
        raise EvidenceError(say("{path}: {file} is revoked; add the reason", path=path, file=entry["file"]))
    own = read_key(path.parent / entry["file"])
    return TrustedKey(own.name, own.pem, **times, reason=str(entry.get("reason", "")))


def _time(entry: Mapping[str, Any], name: str, path: Path) -> dt.datetime | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    raise EvidenceError(say("{path}: {name}: expected a date, or a time with its zone", path=path, name=name))
