"""Chart of Helm: linted, its values refused where they do not fit, and run: what it makes, without a cluster."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
import yaml

from opsverify.cli.serve import add_arguments
from tests.support.helm import CHART, NAMESPACE, RELEASE, helm, rendered, values
from tests.support.manifests import DEPLOY, documents, kinds, pods, walk
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final[dict[str, Any]] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
REFUSED: Final = {
    "a key that does not exist": ("schedule: { jobs: { daily: { retries: 3 } } }", "'retries' not allowed"),
    "a section that does not exist": ("cronjobs: {}", "'cronjobs' not allowed"),
    "a password": ("secrets: { password: hunter22 }", "'password' not allowed"),
    "root": ("user: 0", "minimum"),
    "an unknown stage": ("schedule: { jobs: { hourly: { enabled: true } } }", "'hourly' not allowed"),
    "no schedule": ("schedule: { jobs: { daily: { schedule: every morning } } }", "does not match pattern"),
    "no target": ("schedule: { targets: [] }", "minItems"),
    "a target in capitals": ("schedule: { targets: [Prod] }", "does not match pattern"),
    "a target twice": ("schedule: { targets: [a, a] }", "equal"),
    "a language that there is not": ("schedule: { language: fr }", "must be one of"),
    "an image that changes": ("image: { tag: latest }", "'not' failed"),
    "half a digest": ("image: { digest: sha256:12 }", "does not match pattern"),
    "neither TLS nor plain HTTP": ("serve: { tls: { secret: '' } }", "minLength"),
    "an ingress without a host": ("serve: { ingress: { enabled: true, tlsSecret: a } }", "minLength"),
    "an ingress without TLS": ("serve: { ingress: { enabled: true, host: a.example.com } }", "minLength"),
    "a port of root": ("serve: { port: 443 }", "minimum"),
    "a duration without a unit": ("serve: { maxAge: '30' }", "does not match pattern"),
    "a duration in words": ("serve: { approveWithin: a week }", "does not match pattern"),
    "labels that select": ("podLabels: { app.kubernetes.io/name: other }", "propertyName"),
    "text for a switch": ("serve: { enabled: 'no' }", "want boolean"),
    "evidence without room": ("reports: { size: much }", "does not match pattern"),
    "a target that is not there": ("project: { targets: { a: x } }", "production is not in project.targets"),
    "a name that is too long": (f"schedule: {{ targets: [{'a' * 32}] }}", "longer than 52 characters"),
}
LIMITS: Final = ("at_once", "queue", "longest", "max_age", "approve_within")
"""Options of the server that are values of the chart."""


@pytest.mark.parametrize("name", ["default", "on", "plain", "off"])
def test_helm_finds_nothing_to_say(name: str) -> None:
    """`helm lint --strict`: a warning is an error."""
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", "--strict", CHART, *values(name))


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    """Before anything is made, with the place."""
    text, why = REFUSED[name]
    file = tmp_path / "values.yaml"
    file.write_text(text, encoding="utf-8")
    extra = (f"--set=schedule.targets={{{'a' * 32}}}",) if "too long" in name else ()
    release = "r" * 40 if "too long" in name else RELEASE
    assert why in helm("template", release, CHART, *values(file), *extra, code=None)


def test_the_schema_is_strict_and_complete() -> None:
    """Every table of it is closed, or says what any key holds; every key of values.yaml is in it, and back."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    given = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(given, SCHEMA)
    tables = [table for table in walk(SCHEMA) if table.get("type") == "object" and "additionalProperties" not in table]
    peers = SCHEMA["properties"]["networkPolicy"]["properties"]["egress"]["items"]["properties"]["to"]["items"]
    assert tables == [peers, SCHEMA["properties"]["global"]]
    assert sorted(_keys(SCHEMA, SCHEMA) - {"global"} ^ _named(given)) == []


def _keys(part: dict[str, Any], root: dict[str, Any], place: str = "") -> set[str]:
    """The place of every key that the schema knows by name, of lists none."""
    if "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    found = set()
    for key, each in part.get("properties", {}).items():
        found |= {f"{place}{key}", *_keys(each, root, f"{place}{key}.")}
    return {each for each in found if not each.startswith("networkPolicy.egress.") and "ephemeral-storage" not in each}


def _named(given: object, place: str = "") -> set[str]:
    if not isinstance(given, dict):
        return set()
    found = {f"{place}{key}" for key in given}
    for key, each in given.items():
        found |= _named(each, f"{place}{key}.")
    return found | {f"{each[:-6]}limits.cpu" for each in found if each.endswith("limits")}


def test_its_version_is_ours() -> None:
    """Chart, application and the image that it starts: the version of pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == project["version"]
    images = {pod.container["image"] for pod in pods(rendered("default"))}
    assert images == {f"registry.example.com/opsverify:{project['version']}"}


def test_a_digest_decides_over_a_tag() -> None:
    """Of every container."""
    images = {pod.container["image"] for pod in pods(rendered("on", "--set=image.tag=1.2.3"))}
    assert images == {"registry.example.com/opsverify@sha256:" + "1" * 64}


def test_everything_off_leaves_the_evidence() -> None:
    """The claim, which is kept, and the account."""
    made = rendered("off")
    assert {each["kind"] for each in made} == {"PersistentVolumeClaim", "ServiceAccount"}
    (claim,) = kinds(made, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_texts_arrive_as_they_were_given() -> None:
    """Targets, files and runbook: indented, with braces, without a last line break."""
    given = yaml.safe_load(values_text("on"))["project"]
    made = {each["metadata"]["name"]: each["data"] for each in kinds(rendered("on"), "ConfigMap")}
    assert made == {
        "ov-opsverify-targets": {f"{name}.toml": text for name, text in given["targets"].items()},
        "ov-opsverify-files": given["files"],
        "ov-opsverify-runbook": {"runbook.toml": given["runbook"]},
    }


def values_text(name: str) -> str:
    """A file of values."""
    return (REPOSITORY / "tests" / "deploy" / "values" / f"{name}.yaml").read_text(encoding="utf-8")


def test_limits_of_the_server_reach_its_command() -> None:
    """Each value its option; without any, what the command itself would take."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = {"atOnce": "3", "queue": "7", "longest": "2h", "maxAge": "10m", "approveWithin": "2d"}
    made = rendered("plain", *(f"--set=serve.{name}={value}" for name, value in given.items()))
    options = parser.parse_args(_server_arguments(made))
    assert [str(getattr(options, name)) for name in LIMITS] == list(given.values())
    own, untold = parser.parse_args([]), parser.parse_args(_server_arguments(rendered("plain")))
    assert [getattr(untold, name) for name in LIMITS] == [getattr(own, name) for name in LIMITS]


def _server_arguments(made: list[dict[str, Any]]) -> list[str]:
    (server,) = [pod.container for pod in pods(kinds(made, "Deployment"))]
    found: list[str] = server["command"]
    return found[found.index("serve") + 1 :]


def test_a_changed_runbook_replaces_the_server() -> None:
    """It is mounted as one file, which does not follow; a changed target is read by the next run."""

    def annotations(*arguments: str) -> object:
        return kinds(rendered("on", *arguments), "Deployment")[0]["spec"]["template"]["metadata"]["annotations"]

    assert annotations() != annotations("--set=project.runbook=other")
    assert annotations() == annotations("--set=project.targets.second=other")


def test_the_alerts_are_those_of_the_repository(tmp_path: Path) -> None:
    """Word for word, in a packaged chart too; the job they look for is the one that is scraped."""
    rules = documents(DEPLOY / "prometheus" / "opsverify.rules.yaml")[0]
    helm("package", CHART, f"--destination={tmp_path}")
    (package,) = tmp_path.iterdir()
    made = rendered("on", chart=package)
    (rule,), (monitor,), (service,) = (kinds(made, kind) for kind in ("PrometheusRule", "ServiceMonitor", "Service"))
    assert rule["spec"] == rules
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "opsverify"
    assert 'job="opsverify"' in json.dumps(rules).replace('\\"', '"')
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert "insecureSkipVerify" not in json.dumps(made)
    assert kinds(rendered("plain"), "ServiceMonitor")[0]["spec"]["endpoints"][0]["scheme"] == "http"


def test_egress_is_dns_and_what_is_named() -> None:
    """null: anywhere (no rule of egress); a list: DNS, the server of this release for `helm test`, and the list."""
    (own, _) = kinds(rendered("on"), "NetworkPolicy")
    dns, server, named = own["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert [port["port"] for port in server["ports"]] == [8470]
    assert named["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    assert len(kinds(rendered("plain"), "NetworkPolicy")[0]["spec"]["egress"]) == 2
    assert "egress" not in kinds(rendered("default"), "NetworkPolicy")[0]["spec"]


@pytest.mark.parametrize("name", ["default", "on", "plain", "off"])
def test_notes_name_what_is_needed(name: str) -> None:
    """Every Secret and ConfigMap that is not made here, and a command for each CronJob."""
    made = rendered(name)
    notes = helm("install", RELEASE, CHART, f"--namespace={NAMESPACE}", "--dry-run=client", *values(name))
    notes = notes.partition("NOTES:")[2]
    text = json.dumps(made)
    secrets = {*re.findall(r'"secretName": "([^"]+)"', text), *re.findall(r'"secretRef": {"name": "([^"]+)"', text)}
    assert set(re.findall(r"^  Secret (\S+):", notes, re.MULTILINE)) == secrets
    assert ("ConfigMap opsverify-targets" in notes) == ("opsverify-targets" in text and name == "default")
    crons = {each["metadata"]["name"] for each in kinds(made, "CronJob")}
    assert {*re.findall(r"cronjob/(\S+)", notes)} == {each for each in crons if not each.endswith("-second")}
    assert ("helm test" in notes) == (name != "off")
