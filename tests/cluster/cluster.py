"""Cluster for tests: kubectl, Helm and plain reads of one control plane, and waiting for what its controllers do."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
import yaml

from tests.cluster.control_plane import ADMIN_TOKEN, ControlPlane
from tests.support.gate_server import until
from tests.support.helm import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LONGEST_S: Final = 300.0
"""How long a test waits for a controller; none ever does on a healthy machine."""
ROLLOUTS: Final = "apis/argoproj.io/v1alpha1"
CANARIES: Final = "apis/flagger.app/v1beta1"
APPS: Final = "apis/apps/v1"
BATCH: Final = "apis/batch/v1"
CORE: Final = "api/v1"
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


def awaited(condition: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever the condition returns
    """Wait for what a controller does, and fail after a long time."""
    return until(condition, what, LONGEST_S, every_s=0.5)


def volume(name: str, size: str, mode: str) -> dict[str, Any]:
    """A volume that an administrator made, for whichever claim fits."""
    spec = {"capacity": {"storage": size}, "accessModes": [mode], "hostPath": {"path": f"/volumes/{name}"}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def bound_claim(name: str, namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A claim, and a volume for it alone."""
    size, mode = "1Gi", "ReadWriteOnce"
    made = volume(f"{namespace}-{name}", size, mode)
    made["spec"]["claimRef"] = {"name": name, "namespace": namespace}
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": size}}, "volumeName": made["metadata"]["name"]}
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    return made, {"apiVersion": "v1", **claim}


class Cluster:
    """A control plane and its administrator."""

    def __init__(self, plane: ControlPlane, client: httpx.Client, home: Path) -> None:
        self.plane, self._client, self._home = plane, client, home

    def kubectl(self, *arguments: object, given: str | None = None) -> str:
        """Run kubectl, with `given` as its standard input; its output. Fails where it does."""
        return self._run("kubectl", [str(each) for each in arguments], given)

    def helm(self, *arguments: object) -> str:
        """Run Helm; its output. Fails where it does."""
        return self._run("helm", [str(each) for each in arguments], None)

    def _run(self, name: str, arguments: list[str], given: str | None) -> str:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self._home), "KUBECONFIG": str(self.plane.kubeconfig),
        }  # fmt: skip
        done = subprocess.run(
            [str(program(name)), *arguments], env=environment, input=given, capture_output=True, text=True, check=False,
            timeout=2 * LONGEST_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{name} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make or change objects; the API server refuses a field that their schema has not."""
        self.kubectl("apply", "--validate=strict", "-f-", given=yaml.safe_dump_all(objects))

    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace; ready once its service account is there."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**(labels or {})}}})
        awaited(lambda: self.found(CORE, "serviceaccounts", "default", name), f"the service account of {name}")
        return name

    def found(self, api: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """An object, or None; `kind` as in addresses (`pods`)."""
        reply = self._client.get(f"/{api}/namespaces/{namespace}/{kind}/{name}")
        assert reply.is_success or reply.status_code == httpx.codes.NOT_FOUND, reply.text
        return dict(reply.json()) if reply.is_success else None

    def get(self, api: str, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """An object that is there."""
        one = self.found(api, kind, name, namespace)
        assert one is not None, f"{namespace}: no {kind}/{name}"
        return one

    def all(self, api: str, kind: str, namespace: str) -> list[dict[str, Any]]:
        """Every object of a kind in a namespace."""
        reply = self._client.get(f"/{api}/namespaces/{namespace}/{kind}")
        assert reply.is_success, reply.text
        return list(reply.json()["items"])

    def events(self, namespace: str, part: str) -> int:
        """How often events with `part` in their message came."""
        every = self.all(CORE, "events", namespace)
        return sum(each.get("count") or 1 for each in every if part in each["message"])

    def status(self, api: str, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """The status of an object, empty while it has none."""
        return dict((self.found(api, kind, name, namespace) or {}).get("status") or {})

    def image(self, name: str, namespace: str) -> str:
        """The image that a Deployment runs."""
        pod = self.get(APPS, "deployments", name, namespace)["spec"]["template"]
        return str(pod["spec"]["containers"][0]["image"])

    def set_image(self, api: str, kind: str, name: str, namespace: str, image: str) -> None:
        """A release: the image of the only container becomes another one."""
        patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
        self._patch(f"/{api}/namespaces/{namespace}/{kind}/{name}", "json-patch", patch)

    def set_status(self, api: str, kind: str, name: str, namespace: str, **fields: object) -> None:
        """What a node reports of a pod."""
        self._patch(f"/{api}/namespaces/{namespace}/{kind}/{name}/status", "merge-patch", {"status": fields})

    def _patch(self, path: str, form: str, patch: object) -> None:
        headers = {"Content-Type": f"application/{form}+json"}
        reply = self._client.patch(path, content=json.dumps(patch), headers=headers)
        assert reply.is_success, reply.text


@contextmanager
def cluster_of(plane: ControlPlane, home: Path) -> Iterator[Cluster]:
    """The cluster of a control plane, until the end of the block."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with httpx.Client(base_url=plane.url, headers=headers, verify=plane.trust(), trust_env=False, timeout=60) as client:
        yield Cluster(plane, client, home)
