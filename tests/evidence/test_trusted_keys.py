"""Trusted keys: rotation, revocation and times, a year later."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli.main import main
from opsverify.errors import EvidenceError
from opsverify.evidence.signature import sign_run
from opsverify.evidence.trusted_keys import TrustedKey, load_keys, verify_by
from tests.evidence.keys import FOREIGN, PRIVATE, PUBLIC
from tests.support.finished_run import finish

if TYPE_CHECKING:
    from pathlib import Path

ENDED = dt.datetime(2026, 11, 22, 20, 20, tzinfo=dt.UTC)
TIMES = {"started_at": "2026-11-22T20:12:33.120Z", "finished_at": "2026-11-22T20:20:00.000Z"}
NOW = dt.datetime(2027, 11, 22, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def _signed(run_dir: Path, **changes: Any) -> Path:  # noqa: ANN401 - any JSON value
    finish(run_dir, **{**TIMES, **changes})
    sign_run(run_dir, PRIVATE)
    return run_dir


def _key(**limits: Any) -> TrustedKey:  # noqa: ANN401 - times and a reason
    return TrustedKey("a.pub", PUBLIC, **limits)


def test_the_key_that_signed_is_found_among_several(run_dir: Path) -> None:
    """After a rotation the list has both keys, in any order."""
    _signed(run_dir)
    other = TrustedKey("b.pub", FOREIGN, valid_from=ENDED + DAY)
    for keys in ((_key(valid_until=ENDED + DAY), other), (other, _key(valid_until=ENDED + DAY))):
        found = verify_by(run_dir, keys, NOW)
        assert found.ok, found.problems
        assert found.signed_by is not None
    assert not verify_by(run_dir, [other], NOW).ok


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, None),
        ({"valid_from": ENDED}, None),
        ({"valid_from": ENDED + DAY}, "is valid from 2026-11-23"),
        ({"valid_until": ENDED}, "was valid until 2026-11-22"),
        ({"valid_until": ENDED + DAY}, None),
        ({"revoked": NOW - DAY, "reason": "laptop lost"}, "revoked at 2027-11-21 (laptop lost): cannot say when"),
        ({"revoked": ENDED - DAY, "reason": "lost"}, "cannot say when it signed"),
    ],
)
def test_a_key_counts_for_its_time(run_dir: Path, limits: dict[str, Any], says: str | None) -> None:
    """A run outside of a key's time, or of a revoked key, is not valid: who has the key can write any time."""
    found = verify_by(_signed(run_dir), [_key(**limits)], NOW)
    assert found.ok == (says is None)
    assert (says or "") in "".join(map(str, found.problems))


@pytest.mark.parametrize(
    "changes",
    [
        {"finished_at": "2026-11-22T20:12:00.000Z"},
        {"started_at": "2025-11-22T20:12:33.120Z", "finished_at": "2025-11-22T20:20:00.000Z"},
        {"finished_at": "2027-12-22T20:12:00.000Z"},
        {"finished_at": "yesterday"},
        {"finished_at": None},
        {"finished_at": "2026-11-22T20:20:00"},
    ],
)
def test_times_that_contradict_each_other(run_dir: Path, changes: dict[str, Any]) -> None:
    """A verdict dated back, or to come, or without a time, is refused although its signature is valid."""
    found = verify_by(_signed(run_dir, **changes), [_key()], NOW)
    assert not found.ok
    assert [problem.path for problem in found.problems] == ["verdict.json"]


def test_a_list_of_keys_is_read(tmp_path: Path) -> None:
    """Files beside the list; days count as midnight UTC."""
    (tmp_path / "a.pub").write_text(PUBLIC)
    (tmp_path / "keys.toml").write_text(
        '[[key]]\nfile = "a.pub"\nvalid_from = 2026-01-01\nvalid_until = 2027-01-01T00:00:00+09:00\n'
    )
    (key,) = load_keys(tmp_path / "keys.toml")
    assert (key.pem, key.valid_from) == (PUBLIC, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert key.valid_until == dt.datetime(2026, 12, 31, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "no list of keys"),
        ("", "expected [[key]]"),
        ("[key]\nfile = 'a.pub'\n", "expected [[key]]"),
        ("[[key]]\n", "without file"),
        ("[[key]]\nfile = 'gone.pub'\n", "cannot be read"),
        ("[[key]]\nfile = 'a.pub'\nvalid_form = 2026-01-01\n", "unknown key valid_form"),
        ("[[key]]\nfile = 'a.pub'\nvalid_from = '2026-01-01'\n", "expected a date"),
        ("[[key]]\nfile = 'a.pub'\nvalid_from = 2026-01-01T00:00:00\n", "a time with its zone"),
        ("[[key]]\nfile = 'a.pub'\nrevoked = 2026-01-01\n", "add the reason"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A mistake in the list never makes a key count for longer."""
    (tmp_path / "a.pub").write_text(PUBLIC)
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(EvidenceError, match=r"keys\.toml|gone\.pub") as refused:
        load_keys(tmp_path / "keys.toml")
    assert says in str(refused.value)


def test_without_keys_sums_count(run_dir: Path) -> None:
    """As before: nothing is signed by anybody."""
    _signed(run_dir)
    found = verify_by(run_dir, [], NOW)
    assert (found.ok, found.signed_by, found.signature_present) == (True, None, True)


def test_a_statement_names_the_stage_first(run_dir: Path) -> None:
    """Policies take the first configuration for the test's identity."""
    (run_dir / "plan.json").write_text("{}")
    _signed(run_dir)
    envelope = json.loads((run_dir / "signature.dsse.json").read_text())
    assert [each["keyid"] for each in envelope["signatures"]] == [verify_by(run_dir, [_key()], NOW).signed_by]


@pytest.mark.parametrize("revoked_first", [True, False])
def test_a_key_listed_twice_is_refused(tmp_path: Path, revoked_first: bool) -> None:  # noqa: FBT001 - a case
    """File and both names are said: the entry without limits would undo the revocation of the other."""
    (tmp_path / "k.pub").write_text(PUBLIC)
    (tmp_path / "again.pub").write_text(PUBLIC)
    entries = ['[[key]]\nfile="k.pub"\nrevoked=2026-11-20\nreason="lost"\n', '[[key]]\nfile="again.pub"\n']
    (tmp_path / "keys.toml").write_text("".join(entries if revoked_first else reversed(entries)))
    with pytest.raises(EvidenceError) as refused:
        load_keys(tmp_path / "keys.toml")
    assert all(name in str(refused.value) for name in ("keys.toml", "k.pub", "again.pub"))


def test_a_listed_key_given_again_is_refused(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same over `--keys` and `--public-key`, and over two of the latter."""
    (tmp_path / "k.pub").write_text(PUBLIC)
    (tmp_path / "keys.toml").write_text('[[key]]\nfile="k.pub"\nrevoked=2026-11-20\nreason="lost"\n')
    finish(run_dir)
    sign_run(run_dir, PRIVATE)
    given = ["--public-key", str(tmp_path / "k.pub")]
    for more in (["--keys", str(tmp_path / "keys.toml")], given):
        assert main(["evidence", "verify", str(run_dir), *given, *more]) == 10
        assert "key k.pub is the same as k.pub; list it once" in capsys.readouterr().err
