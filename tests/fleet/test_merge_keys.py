"""Keys and bundles: signed units are verified by the key that is given, folders and `.tar.zst` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.evidence.bundle import write_bundle
from tests.fleet.merging import GREEN, merged, states
from tests.support.key_pairs import key_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fleets import MadeFleet


def test_signed_units_need_their_key(fleet: MadeFleet, tmp_path: Path) -> None:
    """Without a key a signed unit is not verified, as `opsverify evidence` says; with another one neither."""
    private, public = key_pair(tmp_path / "release.pub")
    _, stranger = key_pair(tmp_path / "stranger.pub")
    folders = [fleet.unit(number, key=private) for number in range(3)]
    assert merged(fleet, *folders, more=["--public-key", str(public)])[0] == 0
    code, verdict = merged(fleet, *folders)
    assert (code, states(verdict)) == (10, [("unverified", "hold")] * 3)
    code, verdict = merged(fleet, *folders, more=["--public-key", str(stranger)])
    assert (code, states(verdict)) == (10, [("altered", "hold")] * 3)
    unsigned = [folders[0], folders[1], fleet.unit(2, name="unsigned", ended=1)]
    code, verdict = merged(fleet, *unsigned, more=["--public-key", str(public)])
    assert (code, states(verdict)) == (10, [GREEN, GREEN, ("altered", "hold")])


def test_bundles_are_merged_as_folders_are(fleet: MadeFleet, tmp_path: Path) -> None:
    """A `.tar.zst` of a unit; one that is none is altered."""
    folders = [fleet.unit(number) for number in range(3)]
    bundles = [tmp_path / f"{folder.name}.tar.zst" for folder in folders]
    for folder, bundle in zip(folders, bundles, strict=True):
        write_bundle(folder, bundle)
    assert merged(fleet, *bundles)[0] == 0
    bundles[2].write_bytes(b"x")
    code, verdict = merged(fleet, *bundles)
    assert (code, states(verdict)[2]) == (10, ("missing", "hold"))
    assert [entry["state"] for entry in verdict["refused"]] == ["altered"]
