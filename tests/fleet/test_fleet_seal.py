"""Seal of a fleet's verdict: verified by its key alone, and whatever is altered afterwards is found, by name."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from opsverify.cli.main import main
from tests.fleet.merging import merged, published
from tests.support.key_pairs import key_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from tests.support.fleets import MadeFleet

VERDICT: Final = "fleet-verdict.json"
PLAN: Final = "fleet-plan.json"
SIGNATURE: Final = "fleet-signature.dsse.json"


class _Signed:
    """A fleet of three, merged and signed; its units are signed with a key of their own."""

    def __init__(self, fleet: MadeFleet, folder: Path, decisions: tuple[str, ...] = ("accept",) * 3) -> None:
        units, units_public = key_pair(folder / "units.pub")
        private, self.public = key_pair(folder / "fleet.pub")
        (folder / "fleet.key").write_text(private, encoding="utf-8")
        self.units = [fleet.unit(number, decision, key=units) for number, decision in enumerate(decisions)]
        self.keys = ["--public-key", str(self.public), "--public-key", str(units_public)]
        self.signing = ["--signing-key", str(folder / "fleet.key")]
        self.fleet = fleet
        self.code, self.verdict = self.merge()

    @property
    def folder(self) -> Path:
        return self.fleet.folder

    def merge(self, *more: str) -> tuple[int, dict[str, Any]]:
        return merged(self.fleet, *self.units, more=[*self.keys, *self.signing, *more])


@pytest.fixture
def signed(fleet: MadeFleet, tmp_path: Path) -> _Signed:
    """A green fleet."""
    return _Signed(fleet, tmp_path)


def _statement(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.b64decode(json.loads((folder / SIGNATURE).read_text())["payload"]))
    return content


def test_a_signed_fleet_is_verified(signed: _Signed, capsys: pytest.CaptureFixture[str]) -> None:
    """By the key: 0, with what lies beside it. Without one: 10, as of a run that is signed."""
    assert (signed.code, signed.verdict["evidence"]) == (0, {"signed": True})
    capsys.readouterr()
    assert main(["evidence", "verify", str(signed.folder), *signed.keys]) == 0
    said = capsys.readouterr().out
    assert "complete and unaltered; evidence of 3 of 3 units is here; signed by key " in said
    assert "not covered by the signature: fleet.html" in said
    assert main(["evidence", str(signed.folder)]) == 10
    assert "not covered by a verified signature: no --public-key" in capsys.readouterr().out


def test_the_signature_is_one_of_others_too(signed: _Signed) -> None:
    """A DSSE envelope around an in-toto test result, read with nothing of ours."""
    envelope = json.loads((signed.folder / SIGNATURE).read_text())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    key: Ed25519PublicKey = load_pem_public_key(signed.public.read_bytes())  # type: ignore[assignment]
    pre = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), pre)
    statement = json.loads(payload)
    assert {each["name"]: each["digest"]["sha256"] for each in statement["subject"]} == {
        name: hashlib.sha256((signed.folder / name).read_bytes()).hexdigest() for name in ("fleet-plan.json", VERDICT)
    }
    assert statement["predicate"] == {
        "result": "PASSED",
        "configuration": [{"name": "daily", "digest": {"sha256": signed.verdict["plan_sha256"]}}],
        "passedTests": ["plant-0000", "plant-0001", "plant-0002"], "warnedTests": [], "failedTests": [],
    }  # fmt: skip


def test_a_red_fleet_failed(fleet: MadeFleet, tmp_path: Path) -> None:
    """One rejected, one on hold: both are failed tests of a failed result."""
    signed = _Signed(fleet, tmp_path, ("accept", "reject", "hold"))
    predicate = _statement(signed.folder)["predicate"]
    assert (signed.code, predicate["result"]) == (1, "FAILED")
    assert (predicate["passedTests"], predicate["failedTests"]) == (["plant-0000"], ["plant-0001", "plant-0002"])
    assert main(["evidence", str(signed.folder), *signed.keys]) == 0


def test_a_unit_that_needed_a_waiver_is_a_warning(fleet: MadeFleet, tmp_path: Path) -> None:
    """A policy that takes no warnings takes no such fleet, as with a run."""
    waived = {"id": "health.dns", "outcome": "waived"}
    passed = {"id": "health.redis", "outcome": "pass"}
    private, _ = key_pair(tmp_path / "k.pub")
    (tmp_path / "k").write_text(private, encoding="utf-8")
    units = [fleet.unit(0), fleet.unit(1), fleet.unit(2, checks=[passed, waived], planned=2, executed=2)]
    _planned(units[2], [passed, waived])
    _, verdict = merged(fleet, *units, more=["--signing-key", str(tmp_path / "k")])
    assert [unit["waived"] for unit in verdict["units"]] == [0, 0, 1], verdict["reasons"]
    predicate = _statement(fleet.folder)["predicate"]
    assert (predicate["result"], predicate["warnedTests"]) == ("WARNED", ["plant-0002"])


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _edit_verdict(old: str, new: str) -> Callable[[_Signed], object]:
    return lambda one: _edit(one.folder / VERDICT, old, new)


def _run_again(one: _Signed) -> None:
    shutil.rmtree(one.units[2])
    one.fleet.unit(2, ended=7)


ALTERATIONS: Final[dict[str, tuple[Callable[[_Signed], object], str]]] = {
    "verdict": (_edit_verdict("plant-0001", "plant-0009"), "is not the file that was signed"),
    "one byte": (_edit_verdict('"planned": 3', '"planned":  3'), f"{VERDICT} is not the file"),
    "plan": (lambda one: _edit(one.folder / PLAN, "plant-0001", "plant-0009"), f"{PLAN}: not the plan"),
    "no plan": (lambda one: (one.folder / PLAN).unlink(), f"{PLAN}: cannot be read"),
    "no signature": (lambda one: (one.folder / SIGNATURE).unlink(), f"{SIGNATURE}: missing"),
    "no envelope": (lambda one: (one.folder / SIGNATURE).write_text("{}"), "not a DSSE envelope"),
    "signature of a run": (
        lambda one: shutil.copy(one.units[0] / "signature.dsse.json", one.folder / SIGNATURE),
        "is not the file that was signed",
    ),
    "no verdict": (lambda one: (one.folder / VERDICT).write_text("[]"), "not the verdict of a fleet"),
    "evidence of a unit": (
        lambda one: _edit(one.units[1] / "origin.json", "daily", "other"), "units/plant-0001/origin.json: altered",
    ),
    "another run of a unit": (_run_again, "units/plant-0002/"),
    "a unit without verdict": (
        lambda one: (one.units[0] / "verdict.json").unlink(), "units/plant-0000/verdict.json: cannot be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALTERATIONS)
def test_whatever_is_altered_is_found(signed: _Signed, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with the keys that verified it before."""
    alter, said = ALTERATIONS[name]
    alter(signed)
    capsys.readouterr()
    assert main(["evidence", str(signed.folder), *signed.keys]) == 10
    assert said in capsys.readouterr().out


def test_another_key_is_none(signed: _Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stranger's, and one that was revoked; the units' own key does not stand for the fleet's."""
    _, stranger = key_pair(tmp_path / "stranger.pub")
    for key in (stranger, tmp_path / "units.pub"):
        assert main(["evidence", str(signed.folder), "--public-key", str(key)]) == 10
        assert "no valid signature by key" in capsys.readouterr().out
    for more, said in (
        ('revoked = 2026-12-01\nreason = "lost"', "was revoked at 2026-12-01 (lost)"),
        ("valid_from = 2026-11-29", "is valid from 2026-11-29"),
    ):
        text = f'[[key]]\nfile = "fleet.pub"\n{more}\n[[key]]\nfile = "units.pub"\n'
        (tmp_path / "keys.toml").write_text(text, encoding="utf-8")
        assert main(["evidence", str(signed.folder), "--keys", str(tmp_path / "keys.toml")]) == 10
        assert said in capsys.readouterr().out


def test_an_unsigned_verdict_that_contradicts_itself(fleet: MadeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any key: what its units do not come to, and a signature that was taken away, are found all the same."""
    code, _ = merged(fleet, fleet.unit(0), fleet.unit(1, "reject"), fleet.unit(2))
    capsys.readouterr()
    assert code == 1
    assert main(["evidence", str(fleet.folder)]) == 0
    assert "verdict, plan and evidence agree; evidence of 3 of 3 units is here" in capsys.readouterr().out
    verdict = json.loads((fleet.folder / VERDICT).read_text(encoding="utf-8"))
    for changes, said in (
        ({"outcome": "pass", "decision": "accept", "exit_code": 0}, "its units come to reject"),
        ({"units": verdict["units"][:2]}, "its units are not those of the plan"),
        ({"evidence": {"signed": True}}, f"{SIGNATURE}: missing: the verdict says"),
        ({"schema": "opsverify.fleet-verdict/2"}, "another schema"),
    ):
        (fleet.folder / VERDICT).write_text(json.dumps(verdict | changes), encoding="utf-8")
        assert main(["evidence", str(fleet.folder)]) == 10
        assert said in capsys.readouterr().out


def test_merged_elsewhere(signed: _Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan goes with the verdict; evidence that is not there is said to be, and is no fault."""
    place = tmp_path / "elsewhere"
    signed.merge("--report-dir", str(place))
    assert (place / VERDICT).read_bytes() == (signed.folder / VERDICT).read_bytes()
    capsys.readouterr()
    assert main(["evidence", str(place), *signed.keys]) == 0
    assert "evidence of 0 of 3 units is here" in capsys.readouterr().out


def test_merging_again(signed: _Signed) -> None:
    """The same bytes, signature included; without the key, no signature of other bytes is left behind."""
    before = {name: (signed.folder / name).read_bytes() for name in (VERDICT, SIGNATURE, "fleet-plan.json")}
    signed.merge()
    assert {name: (signed.folder / name).read_bytes() for name in before} == before
    _, verdict = merged(signed.fleet, *signed.units, more=signed.keys)
    assert verdict["evidence"] == {"signed": False}
    assert not (signed.folder / SIGNATURE).exists()


@pytest.mark.parametrize("content", ["no key", None])
def test_a_key_that_is_none(fleet: MadeFleet, tmp_path: Path, content: str | None) -> None:
    """Is said before anything is merged, and nothing of it is shown."""
    path = tmp_path / "k"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["merge", str(fleet.plan_file), "--signing-key", str(path)]) not in (0, 1)
    assert not (fleet.folder / VERDICT).exists()


def test_the_schema_refuses(signed: _Signed) -> None:
    """A decision of no unit's, a delivered unit without its run, a missing one with it."""
    assert published().is_valid(signed.verdict)
    unit = signed.verdict["units"][0]
    for changes in (
        {"decision": "maybe"},
        {"units": [unit | {"run_id": None}]},
        {"units": [unit | {"state": "missing"}]},
        {"plan_sha256": "0"},
        {"unknown": 1},
    ):
        assert not published().is_valid(signed.verdict | changes), changes


def _planned(folder: Path, checks: list[dict[str, str]]) -> None:
    """Seal the unit anew with these checks in its plan too."""
    from opsverify.evidence.run_folder import RunFolder  # noqa: PLC0415 - only here
    from opsverify.evidence.seal import seal  # noqa: PLC0415 - as above

    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    (folder / "plan.json").write_text(json.dumps(plan | {"checks": checks}), encoding="utf-8")
    del verdict["evidence"]
    seal(RunFolder(verdict["run_id"], folder), verdict, None)
