"""Trusted keys: public keys with the time that each is valid for, and the verification of a run by one of them.

A key that was replaced has a `valid_until`: what it signed before stays valid. A key that was `revoked` is in other
hands: those can write any time of signing into a run, so without another proof of the time nothing can be said of what
it signed, whenever that claims to be. That proof is a time stamp of an authority that is listed with the keys.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard

from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import Problem
from opsverify.evidence.once_read import json_in
from opsverify.evidence.signature import SIGNATURE, VERDICT, Verification, key_id, key_ids_in, public_half, verify_run
from opsverify.evidence.timestamp import TIMESTAMP, read_authorities, stamp_of
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets

Trust = Literal["valid", "not said", "refused"]
STAMPED_WITHIN: Final = dt.timedelta(hours=1)
"""How long after its end a run may be time-stamped; one that says it ended earlier was dated back."""
_SKEW: Final = dt.timedelta(minutes=5)
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
    authorities: tuple[str, ...] = ()
    """Certificates (PEM) of the authorities whose time stamps prove when it signed."""

    def doubt(self, signed: dt.datetime, proven: dt.datetime | None = None) -> str | None:
        """Why a run that says it ended at `signed` cannot rest on this key; None where it can.

        `proven` is when a time stamp says that it was signed.
        """
        if self.revoked is not None and proven is not None and proven >= self.revoked:
            return say(
                "key {name} was revoked at {revoked:%Y-%m-%d} ({reason}), the run time-stamped at {proven:%Y-%m-%d}",
                name=self.name,
                revoked=self.revoked,
                reason=self.reason,
                proven=proven,
            )
        if self.revoked is not None and proven is None:
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

    `[[authority]]` tables with `file` are the certificates of authorities of time stamps, for all of them.

    Raises EvidenceError for a file that is none.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(say("{path}: no list of keys ({error})", path=path, error=error)) from error
    entries, listed = content.get("key"), content.get("authority", [])
    if set(content) - {"authority"} != {"key"} or not (_are_tables(entries) and _are_tables(listed)):
        raise EvidenceError(say("{path}: expected [[key]] tables, each with a file", path=path))
    if not all(set(entry) == {"file"} and isinstance(entry["file"], str) for entry in listed):
        raise EvidenceError(say("{path}: expected [[authority]] tables with a file and nothing else", path=path))
    authorities = tuple(read_authorities(path.parent / entry["file"]) for entry in listed)
    return once_each([replace(_key(entry, path), authorities=authorities) for entry in entries], str(path))


def once_each(keys: Iterable[TrustedKey], where: str) -> tuple[TrustedKey, ...]:
    """The keys, none of them twice: one without limits would undo the limits or the revocation of the other.

    Raises EvidenceError with both names, and for a key that cannot be used.
    """
    by_id: dict[str, TrustedKey] = {}
    for key in keys:
        known = by_id.setdefault(key_id(key.pem), key)
        if known is not key:
            raise EvidenceError(
                say("{where}: key {name} is the same as {known}; list it once", where=where, name=key.name,
                    known=known.name)
            )  # fmt: skip
    return tuple(by_id.values())


def _are_tables(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


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
    if key_id(pem) in listed:
        return known
    ca = target.evidence.timestamp_ca
    authorities = (read_authorities(Path(ca)),) if ca else ()
    return (TrustedKey("evidence.signing_key", pem, authorities=authorities), *known)


def verify_by(folder: Path, keys: Sequence[TrustedKey], now: dt.datetime) -> Verification:
    """Verify a run by the key among `keys` that signed it; by its sums alone where there are no keys.

    Raises EvidenceError only where a key cannot be used.
    """
    if not keys:
        return verify_run(folder, None)
    by_id = {key_id(key.pem): key for key in keys}
    signing = next((by_id[each] for each in key_ids_in(folder) if each in by_id), None)
    found = verify_run(folder, (signing or keys[0]).pem)
    if signing is None or found.verdict is None:
        return found
    problems = list(found.problems)
    stamp = stamp_of(folder, signing.authorities)
    if stamp is not None and stamp.state == "altered":
        problems.append(Problem(TIMESTAMP, stamp.reason))
    proven = stamp.at if stamp is not None else None
    try:
        verdict = json_in(found.verdict, VERDICT)
        ended = dt.datetime.fromisoformat(verdict["finished_at"])
        odd = _odd_times(verdict, now) or (_dated_back(ended, proven) if proven else None)
    except (EvidenceError, ValueError, KeyError, TypeError):
        problems.append(Problem(VERDICT, say("no time of its end")))
    else:
        problems += [Problem(VERDICT, odd)] if odd else []
        if doubt := signing.doubt(ended, proven):
            problems.append(Problem(SIGNATURE, doubt))
    before = _signed_before(signing, proven) if not problems else None
    return replace(found, ok=not problems, problems=tuple(problems), stamp=stamp, signed_before=before)


def _signed_before(key: TrustedKey, proven: dt.datetime | None) -> str | None:
    """What a time stamp proves of a key that was revoked later."""
    if key.revoked is None or proven is None:
        return None
    return say(
        "key {name} was revoked at {revoked:%Y-%m-%d} ({reason}); the run was valid then, proven by its time stamp",
        name=key.name,
        revoked=key.revoked,
        reason=key.reason,
    )


def _dated_back(ended: dt.datetime, proven: dt.datetime) -> str | None:
    """How the end of a run contradicts its time stamp."""
    if -_SKEW <= proven - ended <= STAMPED_WITHIN:
        return None
    return say("ended at {ended}, time-stamped at {proven}: dated back, or stamped late", ended=ended, proven=proven)


def _odd_times(verdict: Mapping[str, Any], now: dt.datetime) -> str | None:
    """How the times in a verdict contradict each other, as they do in one that was dated back."""
    began, ended = (dt.datetime.fromisoformat(verdict[name]) for name in ("started_at", "finished_at"))
    in_id = _RUN_ID.match(verdict["run_id"])
    if in_id is None or in_id[1] != f"{began:%Y%m%dT%H%M%SZ}":
        return say("its run id {run_id} does not begin with its start, {began}", run_id=verdict["run_id"], began=began)
    if ended < began:
        return say("ended at {ended}, before its start at {began}", ended=ended, began=began)
    if ended > now + _SKEW:
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
    limits = (times["valid_from"], times["valid_until"], times["revoked"])
    return TrustedKey(own.name, own.pem, *limits, reason=str(entry.get("reason", "")))


def _time(entry: Mapping[str, Any], name: str, path: Path) -> dt.datetime | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    raise EvidenceError(say("{path}: {name}: expected a date, or a time with its zone", path=path, name=name))
