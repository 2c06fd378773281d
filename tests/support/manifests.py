"""Manifests of Kubernetes as tests read them: objects, the pods in them, and the commands of their containers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.support.helm import rendered
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEPLOY: Final = REPOSITORY / "deploy"
TEMPLATES: Final = DEPLOY / "helm" / "opsverify" / "templates"
YAML: Final = sorted(path for path in DEPLOY.rglob("*.y*ml") if TEMPLATES not in path.parents)
SETS: Final = ("kustomize", "default", "on", "plain", "off")
"""Objects that belong together: those of kustomize, and those of the chart with the values of that name."""


@dataclass(frozen=True)
class PodOf:
    """A pod with the object that makes it."""

    owner: dict[str, Any]
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        """Its only container."""
        (only,) = self.spec["containers"]
        return dict(only)

    @property
    def name(self) -> str:
        """Kind and name of the object that makes it."""
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"


@cache
def documents(path: Path) -> list[Any]:
    """Every document of a YAML file, parsed once."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]


def walk(value: object) -> Iterator[dict[str, Any]]:
    """Every table below `value`."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def objects(name: str) -> list[dict[str, Any]]:
    """The objects of a set."""
    if name == "kustomize":
        return [each for file in ("cronjobs", "server") for each in documents(DEPLOY / name / f"{file}.yaml")]
    return rendered(name)


def pods(of: list[dict[str, Any]]) -> list[PodOf]:
    """Every pod that the objects make."""
    found = []
    for each in of:
        if each["kind"] == "Pod":
            found.append(PodOf(each, each["metadata"]["labels"], each["spec"]))
            continue
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each.get("spec", {})
        if isinstance(template := spec.get("template"), dict):
            found.append(PodOf(each, template.get("metadata", {}).get("labels", {}), template["spec"]))
    return found


def kinds(of: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one kind."""
    return [each for each in of if each["kind"] == kind]
