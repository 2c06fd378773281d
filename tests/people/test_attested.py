"""Attestations: what a person signed counts, as long as it is whole, of this wording, in time, and theirs."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opsverify.config.people import Person
from opsverify.core.runbook import lines_of
from opsverify.core.stages import Outcome
from opsverify.errors import EvidenceError
from opsverify.people.attested import Attestations, wording_of
from opsverify.people.log import FAILED, SCHEMA, SignedEntry, append, path_of, read
from opsverify.people.signing import sign

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.UTC)
LINE = lines_of(None)["1-weekly/cache"]


def entry(**changes: Any) -> SignedEntry:  # noqa: ANN401 - fields of every type
    """An attestation of one hour ago, unsigned."""
    observed = (NOW - dt.timedelta(hours=1)).isoformat()
    whole = SignedEntry(
        SCHEMA, "t", LINE.id, wording_of(LINE), "confirmed", "kim", "L2", observed, observed, None, "", {}
    )
    return replace(whole, **changes)


def result(reports: Path, people: dict[str, Person] | None = None, stage: str = "weekly") -> tuple[Outcome, str]:
    """The line's outcome and message, as a run at NOW has it."""
    found = Attestations(reports, "t", people or {}, stage, NOW).result("runbook.x", LINE)
    return found.outcome, found.message


def keys(folder: Path) -> tuple[Path, Path]:
    """A person's private and public key files."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "kim.pem", folder / "kim.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_without_an_entry_the_line_is_inconclusive_and_says_how_to_sign(tmp_path: Path) -> None:
    """Nothing is a pass by itself."""
    outcome, message = result(tmp_path)
    assert outcome is Outcome.INCONCLUSIVE
    assert "this runbook line (1-weekly/cache); " in message
    assert message.endswith(": opsverify attest --list weekly --target t")


def test_a_fresh_entry_passes_and_says_that_it_is_unsigned(tmp_path: Path) -> None:
    """Who, as what, when, and whether signed."""
    append(path_of(tmp_path, "t"), entry())
    assert result(tmp_path) == (Outcome.PASS, "attested by kim (L2), observed 2026-11-28T11:00:00+00:00, unsigned")


@pytest.mark.parametrize(
    ("changes", "stage", "outcome", "told"),
    [
        ({"result": FAILED, "note": "hit rate fell"}, "weekly", Outcome.FAIL, "hit rate fell"),
        ({"wording": "0" * 64}, "weekly", Outcome.INCONCLUSIVE, "another wording"),
        ({"observed_at": "2026-11-20T12:00:00+00:00"}, "weekly", Outcome.INCONCLUSIVE, "expired: observed"),
        ({"observed_at": "2026-11-20T12:00:00+00:00"}, "monthly", Outcome.PASS, "attested by kim"),
        ({"observed_at": "2026-11-28T07:00:00+00:00"}, "incident-db", Outcome.INCONCLUSIVE, "limit <= 4h"),
        ({"observed_at": "2026-11-28T13:00:00+00:00"}, "weekly", Outcome.INCONCLUSIVE, "in the future"),
        ({"valid_until": "2026-11-28T11:30:00+00:00"}, "weekly", Outcome.INCONCLUSIVE, "expired"),
        ({"target": "other"}, "weekly", Outcome.INCONCLUSIVE, "for target other, not this one"),
        ({"item": "1-weekly/retention"}, "weekly", Outcome.INCONCLUSIVE, "no check carries out"),
    ],
)
def test_what_an_entry_counts_for(
    changes: dict[str, Any], stage: str, outcome: Outcome, told: str, tmp_path: Path
) -> None:
    """Failed is a fail; another wording, too old, from the future or of another line is inconclusive."""
    append(path_of(tmp_path, "t"), entry(**changes))
    found, message = result(tmp_path, stage=stage)
    assert found is outcome
    assert told in message


def test_the_newest_entry_counts(tmp_path: Path) -> None:
    """A failure that was put right, and a confirmation that was taken back."""
    path = path_of(tmp_path, "t")
    append(path, entry(result=FAILED, note="x"))
    append(path, entry())
    assert result(tmp_path)[0] is Outcome.PASS
    append(path, entry(result=FAILED, note="again"))
    assert result(tmp_path)[0] is Outcome.FAIL


def test_a_person_with_a_key_has_to_sign_with_it(tmp_path: Path) -> None:
    """Unsigned, signed by another key, and altered after signing: inconclusive; signed: pass."""
    private, public = keys(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = keys(tmp_path / "other")
    people = {"kim": Person(name="Kim", roles=("L2",), public_key=str(public))}
    path = path_of(tmp_path, "t")
    altered = replace(entry(), signature=sign(entry(), private), note="added later")
    for unproven in (entry(), replace(entry(), signature=sign(entry(), other)), altered):
        append(path, unproven)
        assert result(tmp_path, people) == (Outcome.INCONCLUSIVE, result(tmp_path, people)[1])
        assert "without a valid signature" in result(tmp_path, people)[1]
    append(path, replace(entry(), signature=sign(entry(), private)))
    assert result(tmp_path, people)[1].endswith(", signed")


def test_a_key_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    """Inconclusive with the file's name, not the end of the run."""
    append(path_of(tmp_path, "t"), entry())
    outcome, message = result(tmp_path, {"kim": Person(name="Kim", public_key=str(tmp_path / "gone.pub"))})
    assert outcome is Outcome.INCONCLUSIVE
    assert "gone.pub" in message


def test_a_fifo_in_a_run_folder_is_not_waited_for(tmp_path: Path) -> None:
    """An earlier run's verdict is read only where it is a regular file."""
    append(path_of(tmp_path, "t"), entry())
    (tmp_path / "1").mkdir()
    os.mkfifo(tmp_path / "1" / "verdict.json")
    assert result(tmp_path)[0] is Outcome.PASS


def test_only_listed_people_in_their_roles(tmp_path: Path) -> None:
    """A name that the target does not list, and a role that it does not give."""
    append(path_of(tmp_path, "t"), entry())
    assert "[people] does not list" in result(tmp_path, {"lee": Person(name="Lee")})[1]
    assert "does not give them" in result(tmp_path, {"kim": Person(name="Kim", roles=("L1",))})[1]


def test_a_changed_log_fails(tmp_path: Path) -> None:
    """A changed, a removed, a half-written entry: fail by number; nothing is added to it."""
    path = path_of(tmp_path, "t")
    for _ in range(3):
        append(path, entry())
    whole = path.read_text(encoding="utf-8")
    first, second, third = whole.splitlines(keepends=True)
    cases = {
        whole.replace('"kim"', '"lee"', 1): 1,
        first + third: 2,
        first + second + third[:40]: 3,
        first + second + json.dumps(asdict(entry())) + "\n": 3,
    }
    for text, number in cases.items():
        path.write_text(text, encoding="utf-8")
        outcome, message = result(tmp_path)
        assert outcome is Outcome.FAIL
        assert f"entry {number} was changed" in message
        with pytest.raises(EvidenceError):
            append(path, entry())
        assert path.read_text(encoding="utf-8") == text


def test_a_log_that_lost_its_tail_fails(tmp_path: Path) -> None:
    """The head in an earlier verdict of the target shows what was cut off; of another target it says nothing."""
    path = path_of(tmp_path, "t")
    append(path, entry())
    append(path, entry(result=FAILED, note="x"))
    head = asdict(read(path).head)
    for run, target in (("1", "t"), ("2", "other")):
        (tmp_path / run).mkdir()
        verdict = {"target": target, "attestations": head}
        (tmp_path / run / "verdict.json").write_text(json.dumps(verdict), encoding="utf-8")
    assert result(tmp_path)[0] is Outcome.FAIL
    path.write_text(path.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
    outcome, message = result(tmp_path)
    assert outcome is Outcome.FAIL
    assert "truncated" in message
    (tmp_path / "1" / "verdict.json").unlink()
    assert result(tmp_path)[0] is Outcome.PASS
