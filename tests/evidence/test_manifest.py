"""The manifest notices every change to the evidence, and no change to what is made from it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import verify_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUERY = "allure-results/query-attachment.txt"


def _hide_in_linked_folder(run: Path) -> None:
    (run.parent / "elsewhere").mkdir()
    (run / "extra").symlink_to(run.parent / "elsewhere")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered": (lambda run: (run / QUERY).write_text("x"), f"{QUERY}: altered: SHA-256 is 2d711642b726..."),
    "missing": (lambda run: (run / QUERY).unlink(), f"{QUERY}: missing"),
    "additional": (
        lambda run: (run / "allure-results/2-result.json").write_text("{}"),
        "2-result.json: additional",
    ),
    "nested verdict": (
        lambda run: (run / "allure-results/verdict.json").write_text("{}"),
        "verdict.json: additional",
    ),
    "linked folder": (_hide_in_linked_folder, "extra: additional"),
    "damaged manifest": (
        lambda run: (run / "manifest.sha256").write_text("x\n"),
        "line 1: expected a sum and a path",
    ),
    "no manifest": (lambda run: (run / "manifest.sha256").unlink(), "manifest.sha256: cannot be read"),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=[name.replace(" ", "_") for name in CHANGES])
def test_change_is_named(run_dir: Path, change: Callable[[Path], object], expected: str) -> None:
    """Each change to the evidence is one line with the file's path and what is wrong."""
    change(run_dir)
    (problem,) = verify_manifest(run_dir)
    assert expected in str(problem)
    assert "\n" not in str(problem)


def test_untouched_run_has_no_problems(run_dir: Path) -> None:
    """Verdict, signature and report come after the manifest and are not part of it."""
    for name in ("signature.dsse.json", "report.html"):
        (run_dir / name).write_text("made later")
    (run_dir / "report").mkdir()
    (run_dir / "report" / "index.html").write_text("made later")
    assert verify_manifest(run_dir) == ()


def test_sha256sum_reads_it(run_dir: Path) -> None:
    """An auditor needs no opsverify: coreutils check the same file, odd names included."""
    (run_dir / "odd\nname\\사유.txt").write_text("x")
    digest = write_manifest(run_dir)
    assert digest == hashlib.sha256((run_dir / "manifest.sha256").read_bytes()).hexdigest()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "manifest.sha256"], cwd=run_dir, check=True)
    assert verify_manifest(run_dir) == ()


def test_lines_are_sorted_paths(run_dir: Path) -> None:
    """Two manifests of the same files are the same bytes."""
    lines = (run_dir / "manifest.sha256").read_text().splitlines()
    assert [line[66:] for line in lines] == ["allure-results/1-result.json", QUERY, "plan.json"]


def test_link_is_no_evidence(run_dir: Path) -> None:
    """What a link points to can change after the run, so a run with one cannot be closed."""
    (run_dir / "log").symlink_to("/etc/hostname")
    with pytest.raises(EvidenceError, match="log: not a regular file"):
        write_manifest(run_dir)


BREAKS: Final = [chr(code) for code in range(sys.maxunicode + 1) if len(f"a{chr(code)}b".splitlines()) == 2]
"""Every character at which Python may end a line."""


@pytest.mark.parametrize("character", BREAKS, ids=ascii)
def test_a_name_with_any_line_end_is_read_back(run_dir: Path, character: str) -> None:
    """A manifest's line ends at a line feed alone, as for `sha256sum`; that of a name is escaped."""
    (run_dir / f"a{character}b{character}").write_text("x")
    write_manifest(run_dir)
    assert verify_manifest(run_dir) == ()
    assert (
        subprocess.run(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=run_dir, check=False).returncode == 0
    )
