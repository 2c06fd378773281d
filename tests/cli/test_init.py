"""`opsverify init`: what it makes works as it stands, and so does every example that is commented out in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from opsverify.cli.main import main
from opsverify.config.load import load_target
from opsverify.config.parts import Part
from opsverify.core.own_runbook import read
from opsverify.core.runbook import lines_of
from opsverify.smoke.journeys import load_journeys
from opsverify.smoke.runner import require_permission

_EXAMPLE = re.compile(r"""^# (?=\[+[a-z_.]+\]|[a-z_]+ = (["[{0-9]|true|false))""", re.MULTILINE)
"""Where a commented line is TOML, and no sentence."""


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A generated project."""
    assert main(["init", str(tmp_path / "shop")]) == 0
    capsys.readouterr()
    return tmp_path / "shop"


def test_every_example_of_the_target_loads(project: Path) -> None:
    """All at once, with the parts that they describe taken out of `absent`, as the file says."""
    path = project / "targets" / "shop.toml"
    text, count = _EXAMPLE.subn("", path.read_text(encoding="utf-8"))
    assert count > 10
    described = {line[1:-1] for line in re.findall(r"^\[[a-z_]+\]", text, re.MULTILINE)}
    absent = [part for part in tomllib.loads(text)["absent"] if part not in described]
    path.write_text(re.sub(r"^absent = .*$", f"absent = {absent}", text, flags=re.MULTILINE), encoding="utf-8")
    target, _ = load_target(path, with_secrets=False)
    assert target.redis is not None
    assert target.redis.tls
    assert target.prometheus is not None


def test_the_file_of_every_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has installed the package has no checkout to look into: the file lies where the line says."""
    assert main(["init", str(tmp_path / "shop"), "--language", "en"]) == 0
    named = re.search(r"^every key of a target, with its default: (.+)$", capsys.readouterr().out, re.MULTILINE)
    assert named
    assert tomllib.loads(Path(named[1]).read_text(encoding="utf-8"))["environment"] == "production"


def test_every_part_is_named(project: Path) -> None:
    """Who has none of a part finds how it is called."""
    comment = (project / "targets" / "shop.toml").read_text(encoding="utf-8").partition("\nabsent = ")[0]
    assert [part for part in get_args(Part) if not re.search(rf"\b{part}\b", comment)] == []


def test_every_example_of_the_runbook_is_read(project: Path) -> None:
    """A line of one's own, and one of ours out of scope."""
    path = project / "runbook.toml"
    path.write_text(_EXAMPLE.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert [row.line for row in read(path, lines_of(None)).out_of_scope] == ["1-weekly/cache"]


def test_generated_journeys_need_no_permission(project: Path) -> None:
    """They only read: on the target as generated none holds because it might write."""
    target, _ = load_target(project / "targets" / "shop.toml", with_secrets=False)
    journeys = [each for name in target.synthetic.journeys for each in load_journeys(project / name)]
    assert journeys
    for journey in journeys:
        require_permission(target, journey)
