"""Merge beside what cannot be read: named as altered, the verdict is written, and none of before is left."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from opsverify.cli.main import main
from opsverify.fleet import publish
from tests.fleet.merging import GREEN, merged, states

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fleets import MadeFleet


def _malformed(place: Path) -> Path:
    """A bundle whose only file has a name with a NUL: `tarfile` raises ValueError for it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("run/x")
        entry.pax_headers = {"path": "run/ver\0dict.json"}
        archive.addfile(entry)
    bundle = place / "bad.tar.zst"
    bundle.write_bytes(zstandard.compress(made.getvalue()))
    return bundle


def test_a_malformed_bundle_is_altered_and_a_reject_counts(fleet: MadeFleet, tmp_path: Path) -> None:
    """As any other folder that counts for nothing: it holds by name, and hides no rejected unit."""
    green = [fleet.unit(number) for number in range(2)]
    code, verdict = merged(fleet, *green, fleet.unit(2, "reject"), _malformed(tmp_path))
    assert (code, verdict["decision"]) == (1, "reject")
    assert [one["state"] for one in verdict["refused"]] == ["altered"]
    assert verdict["reasons"][-1].startswith("bad.tar.zst: altered: ")


@pytest.mark.parametrize("name", [b"loop-\xff", b"\xff-not-utf8"])
def test_a_folder_that_cannot_be_looked_at_is_altered(fleet: MadeFleet, tmp_path: Path, name: bytes) -> None:
    """A link to itself, and a name that is no text: the verdict is written and names it."""
    path = tmp_path / os.fsdecode(name)
    if name.startswith(b"loop"):
        path.symlink_to(path)
    else:
        path.mkdir()
    code, verdict = merged(fleet, *(fleet.unit(number) for number in range(3)), path)
    assert (code, verdict["decision"], len(verdict["refused"])) == (10, "hold", 1)
    assert states(verdict) == [GREEN] * 3


def test_a_merge_that_fails_leaves_no_verdict_of_before(
    fleet: MadeFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Green before, then anything ends the merge: no green verdict and no page remain, and nothing verifies."""
    units = [fleet.unit(number) for number in range(3)]
    assert merged(fleet, *units)[0] == 0
    with monkeypatch.context() as patched:
        patched.setattr(publish, "fleet_page", _full)
        assert main(["merge", str(fleet.plan_file), *map(str, units)]) == 10
    assert not (fleet.folder / "fleet-verdict.json").exists()
    assert not (fleet.folder / "fleet.html").exists()
    assert main(["evidence", "verify", str(fleet.folder)]) == 10
    assert "Traceback" not in capsys.readouterr().err


def test_since_when_is_kept_over_a_merge_that_failed(fleet: MadeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict of before is set aside until there is a new one, for the time since when a target is red."""
    units = [fleet.unit(0), fleet.unit(1), fleet.unit(2, "reject")]
    merged(fleet, *units)
    verdict = fleet.folder / "fleet-verdict.json"
    before = json.loads(verdict.read_text())
    before["previous"] = {"fleet": "one-before", "created_at": "2026-11-27T06:00:00Z"}
    before["units"][2]["red_since"] = "2026-11-20T06:00:00Z"
    verdict.write_text(json.dumps(before))
    with monkeypatch.context() as patched:
        patched.setattr(publish, "fleet_page", _full)
        main(["merge", str(fleet.plan_file), *map(str, units)])
    _, after = merged(fleet, *units)
    assert after["units"][2]["red_since"] == "2026-11-20T06:00:00Z"
    assert [path.name for path in fleet.folder.glob("fleet-verdict*")] == ["fleet-verdict.json"]


def _full(*_given: Any) -> None:  # noqa: ANN401 - as `fleet_page`
    raise OSError(28, "No space left on device")
