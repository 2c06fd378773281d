"""Files for pipelines: their schemas, and their meaning: commands, stages, exit codes, limits, hooks that exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from opsverify.core.stages import STAGES
from opsverify.serve.bodies import ArgoAnswer, ArgoBody
from opsverify.serve.operations import OPERATIONS
from opsverify.serve.parameters import FLAGGER_HOOKS
from tests.docs.command_line import refusal
from tests.support.manifests import DEPLOY, documents, walk
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ELSEWHERE: Final = ("helm/", "image/")
"""Folders whose files have tests of their own beside this one."""


def _one(*names: str) -> Any:  # noqa: ANN401 - YAML
    return documents(DEPLOY.joinpath(*names))[-1]


def _files() -> list[Path]:
    paths = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
    return [path for path in paths if not str(path.relative_to(DEPLOY)).startswith(ELSEWHERE)]


def _commands() -> Iterator[Any]:
    """Every call of opsverify in any file, with its placeholders filled."""
    for path in _files():
        name = str(path.relative_to(DEPLOY))
        if path.suffix in (".yaml", ".yml"):
            for table in (table for document in documents(path) for table in walk(document)):
                if isinstance(argv := table.get("command"), list) and argv[:1] == ["opsverify"]:
                    yield pytest.param([_filled(word) for word in argv[1:]], id=f"{name}: {' '.join(argv[1:3])}")
        text = path.read_text(encoding="utf-8").replace("\\\n", " ").replace('"$COMMAND"', "opsverify")
        for line in re.findall(r"\bopsverify ((?:verify|rehearse|ledger|serve) [^\n]*--[^\n]*)", text):
            words = shlex.split(_filled(re.sub(r"(\|\||2>&1|\",).*", "", line)))
            yield pytest.param(words, id=f"{name}: {words[0]}")


def _filled(text: str) -> str:
    text = text.replace("$(JOB_COMPLETION_INDEX)", "0")
    text = re.sub(r"\${WINDOW:\+(.*?)}(?= |$)", r"\1", text)
    for form in (r"{{args\.(\w+)}}", r"\$\[\[ inputs\.(\w+) \]\]", r'"?\$([A-Z]+)"?(?![\w])', r"\${(?:given\.)?(\w+)}"):
        text = re.sub(form, lambda found: _VALUES.get(found[1].lower(), "x"), text)
    return re.sub(r"\$\w+", "x", text)


_VALUES: Final = {
    "stage": "prod-canary", "stagename": "prod-canary", "target": "production", "window": "--window 20m",
}  # fmt: skip


@pytest.mark.parametrize("words", [*_commands()])
def test_commands_and_options_exist(words: list[str]) -> None:
    """What a file calls is a command that the parser takes, and its stage is one of ours."""
    cleaned = " ".join(words).replace("--window --window", "--window").replace("--window=--window 20m", "--window=20m")
    words = shlex.split(cleaned)
    assert refusal("opsverify", words) == ""
    assert words[0] != "verify" or words[1] in STAGES


def test_every_file_calls_opsverify_or_its_server() -> None:
    """A file that was forgotten by these tests is found."""
    called = {str(each.id).partition(":")[0] for each in _commands()}
    others = {"argo-rollouts/analysis-template-web.yaml", "flagger/canary.yaml", "prometheus/opsverify.rules.yaml",
              "kustomize/kustomization.yaml"}  # fmt: skip
    assert {str(path.relative_to(DEPLOY)) for path in _files()} == called | others


@pytest.mark.parametrize(
    ("name", "file"),
    [("github-actions", ("github", "action.yml")), ("gitlab-ci", ("gitlab", "templates", "opsverify.yml"))],
)
def test_the_pipelines_own_schema_takes_it(name: str, file: tuple[str, ...]) -> None:
    """Schemas that check-jsonschema ships."""
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    for document in documents(DEPLOY.joinpath(*file)):
        jsonschema.validate(document, schema)


def test_a_red_job_of_gitlab_is_never_repeated() -> None:
    """No retry, nothing that softens it; a person's job needs what is green for a hold, or it could never be run."""
    gitlab = _one("gitlab", "templates", "opsverify.yml")
    measure, gate, approve = gitlab
    for name in (measure, gate):
        assert gitlab[name]["retry"] == 0
        assert "allow_failure" not in gitlab[name]
    assert gitlab[gate]["needs"] == gitlab[approve]["needs"] == [measure]
    assert [rule["when"] for rule in gitlab[approve]["rules"]] == ["manual"]
    decision = gitlab[measure]["script"][1].removeprefix("rm -f ")
    assert decision in gitlab[measure]["artifacts"]["paths"]
    assert all(decision in json.dumps(gitlab[name]["script"]) for name in (measure, gate))


def _scripts() -> Iterator[Any]:
    action = _one("github", "action.yml")["runs"]["steps"]
    yield pytest.param(action[0]["run"], id="github")
    measure, gate, _ = _one("gitlab", "templates", "opsverify.yml").values()
    yield pytest.param("\n".join(measure["script"] + gate["script"]), id="gitlab")
    yield pytest.param(_one("tekton", "task.yaml")["spec"]["steps"][0]["script"], id="tekton")


@pytest.mark.parametrize("script", [*_scripts()])
@pytest.mark.parametrize(
    ("code", "decision"), [(0, "pass"), (1, "fail"), (2, "hold"), (3, "hold"), (5, "hold"), (10, "hold"), (137, "hold")]
)
def test_exit_codes_become_decisions(script: str, code: int, decision: str, tmp_path: Path) -> None:
    """The script itself is run with an `opsverify` that ends so: only 0 passes, only 1 fails, the rest is hold."""
    program = tmp_path / "opsverify"
    program.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    for name in ("decision", "exit-code"):
        script = script.replace(f"$(results.{name}.path)", str(tmp_path / name))
    script = re.sub(r"\$\[\[ inputs\.\w+ \]\]", "x", script)
    variables = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "COMMAND": "opsverify", "STAGE": "daily", "TARGET": "t", "WINDOW": "20m",
        "RUN_DIR": "x", "CI_JOB_ID": "1", "TEKTON_TASK_RUN": "1", "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }  # fmt: skip
    shell = ["bash", "-eo", "pipefail", "-c", script]
    done = subprocess.run(shell, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180)
    kept = [path.read_text() for name in ("output", "decision") if (path := tmp_path / name).exists()]
    said = "".join([done.stdout, *kept])
    assert set(re.findall(r"\b(pass|fail|hold)\b", said)) == {decision}
    if not kept:
        assert done.returncode == {"pass": 0, "fail": 1, "hold": 10}[decision]


def test_the_action_ends_as_it_decided() -> None:
    """Its last step fails for all but pass, after the evidence was kept."""
    steps = _one("github", "action.yml")["runs"]["steps"]
    assert steps[1]["if"] == "always()"
    codes = {}
    for decision in ("pass", "fail", "hold", ""):
        done = subprocess.run(["bash", "-c", steps[-1]["run"]], env={"DECISION": decision}, check=False, timeout=180)
        codes[decision] = done.returncode
    assert codes == {"pass": 0, "fail": 1, "hold": 10, "": 10}
    assert "${{" not in "".join(step.get("run", "") for step in steps), "an input in a script is code of others"


def test_argos_template_can_tell_hold_from_promote() -> None:
    """Both conditions, every limit that the rules need, the path, the headers and the body that the server takes."""
    metric = _one("argo-rollouts", "analysis-template-web.yaml")["spec"]["metrics"][0]
    web = metric["provider"]["web"]
    assert metric["successCondition"] == 'result == "promote"'
    assert metric["failureCondition"] == 'result == "rollback"'
    assert metric["inconclusiveLimit"] >= metric["count"]
    assert (metric["consecutiveSuccessLimit"], metric["failureLimit"]) == (1, 0)
    assert metric["consecutiveErrorLimit"] > 4
    assert web["timeoutSeconds"] <= 10
    assert web["jsonPath"] == "{$.answer}"
    assert "answer" in ArgoAnswer.__struct_fields__
    assert set(web["jsonBody"]) <= set(ArgoBody.__struct_fields__)
    path = re.sub(r"{{args\.(\w+)}}", r"{\1}", web["url"]).removeprefix("{server}")
    assert (web["method"], path) in {(each.method, each.path) for each in OPERATIONS}
    arguments = {each["name"] for each in _one("argo-rollouts", "analysis-template-web.yaml")["spec"]["args"]}
    assert set(re.findall(r"{{args\.(\w+)}}", json.dumps(metric))) <= arguments


def test_argos_job_fails_on_the_first_red() -> None:
    """`failureLimit: 1` with `count: 1` would pass a failed Job."""
    metric = _one("argo-rollouts", "analysis-template-job.yaml")["spec"]["metrics"][0]
    assert (metric["count"], metric["failureLimit"], metric["inconclusiveLimit"]) == (1, 0, 0)


def test_flaggers_hooks_are_ours() -> None:
    """Each webhook's type is its address' hook, on a stage that decides on a release; hold waits, it does not fail."""
    hooks = _one("flagger", "canary.yaml")["spec"]["analysis"]["webhooks"]
    for hook in hooks:
        *_, stage, _target, name = hook["url"].split("/")
        assert name == hook["type"]
        assert name in FLAGGER_HOOKS, "rollout and pre-rollout would count a hold as a failed check"
        assert STAGES[stage].releases
        assert "/v1/hooks/flagger/TOKEN/" in hook["url"]
    assert {hook["type"] for hook in hooks} == set(FLAGGER_HOOKS)


def test_jenkins_passes_only_zero() -> None:
    """Its switch: 0 is pass, 1 is fail, everything else asks a person."""
    text = (DEPLOY / "jenkins" / "vars" / "opsverify.groovy").read_text(encoding="utf-8")
    cases = re.findall(r"(case \d+|default):\s+(return '\w+'|timeout)", text)
    assert cases == [("case 0", "return 'pass'"), ("case 1", "return 'fail'"), ("default", "timeout")]
    assert "returnStatus: true" in text
    assert "submitterParameter" in text


def test_a_release_sets_every_version(tmp_path: Path) -> None:
    """Images, chart and Dockerfile have the version of pyproject.toml, and the line of .ci/release changes them all."""
    old = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    named = _versions(tmp_path)
    assert {version for _, version in named} == {old}
    assert {"Chart.yaml", "Dockerfile", "cronjobs.yaml", "opsverify.yml"} <= {path.name for path, _ in named}
    script = (REPOSITORY / ".ci" / "release").read_text(encoding="utf-8")
    (line,) = (line for line in script.splitlines() if " deploy " in line)
    variables = {"old": old, "version": "12.3.4", "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-eo", "pipefail", "-c", line], cwd=tmp_path, env=variables, check=True, timeout=180)
    assert _versions(tmp_path) == [(path, "12.3.4") for path, _ in named]


def _versions(folder: Path) -> list[tuple[Path, str]]:
    """Every version of ours that a file below `folder` names."""
    form = re.compile(r"(?:opsverify:|^version: |^appVersion: |^ARG VERSION=)(\d+\.\d+\.\d+)$", re.MULTILINE)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, found) for path in files for found in form.findall(path.read_text(encoding="utf-8"))]
