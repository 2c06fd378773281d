"""Examples in the docs: TOML is loaded, Python is run, commands parse, and those that contact nothing are run.

`T` in a command is the sandbox's target file. In the output shown, `...` stands for anything. Commands of a page run in
a project that has the page's checks beside ours.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from sybil import Document
from sybil.parsers.markdown import CodeBlockParser

import opsverify.config.limits
from opsverify.config.load import load_target
from opsverify.config.model import Target
from opsverify.own_faults.fault_row import fault_rows
from opsverify.smoke.journeys import load_journeys
from sandbox import faults
from tests.docs.command_line import refusal
from tests.docs.tables import pages
from tests.proof.fault_table import collect
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = REPOSITORY / "targets" / "sandbox.toml"
RECORD = {"release", "what", "by", "signed_off_by", "notes", "at", "downtime", "impact", "actions"}
"""Keys of a signed record, which is no part of a target."""
_OWN_ROW = "\non = ["
"""What only a fault row of a project of one's own has."""
_CONTACTS_NOTHING = ("plan ", "sandbox faults")
_OWN = tuple(re.findall(r"(?m)^([a-z-]+)\)$", (REPOSITORY / "run").read_text()))
"""Words that the script `run` itself carries out."""
"""Words that `./run` takes for itself."""


def _examples(language: str) -> Iterator[Any]:
    for page in pages():
        for number, text in enumerate(_blocks(page, language), 1):
            yield pytest.param(text, page, id=f"{page.relative_to(REPOSITORY)}-{number}")


def _blocks(page: Path, language: str) -> list[str]:
    document = Document.parse(str(page), CodeBlockParser(language, evaluator=lambda _: None))
    return [example.parsed for example in document.examples()]


def _shown(text: str) -> list[tuple[str, str]]:
    """Commands that contact nothing, with the output that is shown of them."""
    quiet = tuple(f"./run {name}" for name in _CONTACTS_NOTHING)
    return [(command, shown) for command, shown in _transcript(text) if shown and command.startswith(quiet)]


def _transcript(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command.partition("  #")[0].strip(), shown.rstrip("\n")


@pytest.mark.parametrize(("text", "page"), [*_examples("toml")])
def test_toml_loads(text: str, page: Path, tmp_path: Path) -> None:
    """A part of a target, put into the sandbox's; a journey; a row of a fault table; a signed record."""
    value = tomllib.loads(text)
    path = tmp_path / "example.toml"
    path.write_text(text, encoding="utf-8")
    if "journey" in value:
        assert load_journeys(path)
    elif _OWN_ROW in text:
        assert fault_rows([path.rename(tmp_path / "example.faults.toml").parent])
    elif {"row", "variant", "also"} & value.keys():
        collect([path])
    elif page.parent.name != "decisions" and not value.keys() <= RECORD:
        assert value.keys() <= Target.model_fields.keys(), f"{page}: no part of a target"
        if not {"name", "environment"} <= value.keys():  # otherwise it is a whole target, and loads alone
            whole = tomllib.loads(TARGET.read_text(encoding="utf-8"))
            path.write_text(tomli_w.dumps(_merged(whole, value)), encoding="utf-8")
        load_target(path, with_secrets=False)


def _merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """`whole` with the tables of `part`; a table in both is merged, so that an example may show some keys."""
    both = {key: _merged(whole[key], part[key]) for key in part if isinstance(part[key], dict) and key in whole}
    absent = [name for name in whole.get("absent", ()) if name not in part]
    return {**whole, **part, **both, **({"absent": absent} if absent != whole.get("absent", []) else {})}


@pytest.mark.parametrize(("text", "page"), [*_examples("python")])
def test_python_runs(text: str, page: Path) -> None:
    """What a reader copies is executed; parts of rejected designs only have to be Python.

    A block that imports nothing is a line of `opsverify/config/limits.py`.
    """
    if page.parent.name == "decisions":
        ast.parse(text)
    else:
        names = {} if "import " in text else vars(opsverify.config.limits)
        exec(compile(text, str(page), "exec"), {**names, "__name__": "example"})  # noqa: S102 - our own docs


@pytest.mark.parametrize(("text", "page"), [*_examples("console"), *_examples("sh")])
def test_commands_parse(text: str, page: Path) -> None:
    """No command, verb or option in the docs is one that does not exist."""
    refused = {line: said for line in _commands(text) if (said := _refused(line))}
    assert refused == {}, page.name


@pytest.mark.parametrize(("text", "page"), [each for each in _examples("console") if _shown(each.values[0])])
def test_transcripts_are_what_is_printed(text: str, page: Path, tmp_path: Path) -> None:
    """Commands that contact nothing print what the page shows."""
    project = _project(tmp_path, page)
    for command, shown in _shown(text):
        printed = _run(command, project)
        pattern = ".*".join(map(re.escape, shown.split("...")))
        assert re.fullmatch(pattern, printed, re.DOTALL), f"{page.name}: {command}\n{printed}"


def test_a_new_check_needs_two_files(tmp_path: Path) -> None:
    """The page's checks are planned, and its fault rows name checks and faults that exist."""
    project = _project(tmp_path, REPOSITORY / "docs" / "writing-a-check.md")
    rows = collect((project / "checks").glob("test_example*.faults.toml")).rows
    planned = json.loads(_run("./run plan daily --target T --json", project))["checks"]
    ids = {check["id"] for check in planned}
    assert {row.stage for row in rows} == {"daily"}
    assert {check for row in rows for check in row.red} == {"daily.llm_parse_failures", "daily.judgments_stored"}
    assert {check for row in rows for check in (*row.red, *row.also)} <= ids
    assert {row.fault for row in rows} <= faults.catalogue().keys()


def _commands(text: str) -> Iterator[str]:
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        for part in re.split(r"&&|\|\|?|;", line.removeprefix("$ ").partition("  #")[0].partition(" #")[0]):
            if part.strip().startswith("./run ") and (line.startswith("$ ") or "$ " not in joined):
                yield part.strip()


def _refused(line: str) -> str:
    words = shlex.split(re.split(r"\s[<>]", line)[0])[1:]  # the shell's redirections are none of ours
    if words[0] in _OWN:
        return ""
    if words[0] == "sandbox":
        return refusal("sandbox", words[1:])
    return refusal("opsverify", words)


def _run(command: str, folder: Path) -> str:
    argv = command.replace("--target T", f"--target {TARGET}")
    argv = argv.replace("./run sandbox", f"{sys.executable} -m sandbox").replace(
        "./run", f"{sys.executable} -m opsverify"
    )
    done = subprocess.run(["sh", "-c", argv], capture_output=True, text=True, check=False, cwd=folder)
    return (done.stdout + done.stderr).rstrip("\n")


def _project(folder: Path, page: Path) -> Path:
    """A project with our suites, and in `checks` whatever checks and fault rows the page shows."""
    for name in ("smoke", "dr_validation", "conftest.py", "pyproject.toml"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(REPOSITORY / "checks", folder / "checks", ignore=shutil.ignore_patterns("__pycache__"))
    for suffix, language, sign in ((".py", "python", "@runbook("), (".faults.toml", "toml", "[[row]]")):
        for number, text in enumerate(_blocks(page, language)):
            if sign in text and _OWN_ROW not in text:
                (folder / "checks" / f"test_example_{number}{suffix}").write_text(text, encoding="utf-8")
    return folder
