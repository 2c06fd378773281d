"""Control plane of Kubernetes on loopback: etcd, API server, controller manager, scheduler, and kwok as every node.

No container runs: kwok marks pods as started, ready and (those of a Job and of a Helm test) ended with 0. The end of a
pod with the label `BY_HAND` is left to the test.
"""

from __future__ import annotations

import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import network
from tests.cluster.programs import ETCD, KUBERNETES, KWOK, Build
from tests.support.gate_server import until
from tests.support.pipelines import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN_TOKEN: Final = "admin-of-one-test-cluster"
BY_HAND: Final = "end-is-of-the-test"
_ENDED_WITHIN_S: Final = 60
_NOT_BY_HAND: Final = {"key": f'.metadata.labels["{BY_HAND}"]', "operator": "DoesNotExist"}
_TEST_POD_COMPLETES: Final = """
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: helm-test-complete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchAnnotations: {helm.sh/hook: test}
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.phase, operator: In, values: [Running]}
  next:
    statusTemplate: |
      phase: Succeeded
"""


@dataclass(frozen=True)
class Process:
    """One process of the cluster: its log is read where a test waits for it in vain."""

    name: str
    child: subprocess.Popen[bytes]
    log: Path

    def running(self) -> bool:
        """Whether it runs. Fails with the end of its log where it does not."""
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        assert self.child.poll() is None, f"{self.name} ended with {self.child.returncode}: {tail}"
        return True


@contextmanager
def process(folder: Path, build: Build, program: str, *flags: str) -> Iterator[Process]:
    """Run a program of a build, for as long as the block."""
    log = folder / f"{program}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(build.folder / program), *flags], cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )  # fmt: skip
    try:
        yield Process(program, child, log)
    finally:
        child.terminate()
        try:
            child.wait(_ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane: where it is, and the file that a client of it reads."""

    url: str
    kubeconfig: Path
    authority: Path

    def trust(self) -> ssl.SSLContext:
        """What a client of it trusts: its own authority."""
        return ssl.create_default_context(cafile=str(self.authority))


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Start all of it, its state in `folder`; ready when a pod could be started."""
    with ExitStack() as stack:

        def start(build: Build, program: str, *flags: str) -> Process:
            return stack.enter_context(process(folder, build, program, *flags))

        first = network.free_port_base(4)
        clients, peers, secure, kwok = (first + offset for offset in range(4))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(folder / "server.key")
        issued.cert_chain_pems[0].write_to_path(folder / "server.crt")
        _write_account_key(folder / "accounts.key")
        (folder / "tokens.csv").write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n', encoding="utf-8")
        plane = ControlPlane(f"https://127.0.0.1:{secure}", _kubeconfig(folder, secure), folder / "ca.pem")
        store = start(
            ETCD, "etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls=http://127.0.0.1:{clients}", f"--advertise-client-urls=http://127.0.0.1:{clients}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
        )  # fmt: skip
        until(lambda: store.running() and _answers(f"http://127.0.0.1:{clients}/health"), "etcd")
        server = start(
            KUBERNETES, "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{clients}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--secure-port={secure}", "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
            f"--tls-cert-file={folder / 'server.crt'}", f"--tls-private-key-file={folder / 'server.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
        )  # fmt: skip
        until(lambda: server.running() and _answers(f"{plane.url}/readyz", plane.trust()), "the API server")
        config = f"--kubeconfig={plane.kubeconfig}"
        start(
            KUBERNETES, "kube-controller-manager", config, "--leader-elect=false", "--secure-port=0",
            f"--service-account-private-key-file={folder / 'accounts.key'}", f"--root-ca-file={folder / 'ca.pem'}",
        )  # fmt: skip
        start(KUBERNETES, "kube-scheduler", config, "--leader-elect=false", "--secure-port=0")
        stages = folder / "stages.yaml"
        stages.write_text(yaml.safe_dump_all(_stages()), encoding="utf-8")
        start(
            KWOK, "kwok", config, f"--config={stages}", "--manage-all-nodes=true", f"--server-address=127.0.0.1:{kwok}",
            "--node-ip=127.0.0.1", "--cidr=10.244.0.0/16",
        )  # fmt: skip
        yield plane


def _stages() -> list[dict[str, Any]]:
    """What happens to nodes and pods: as kwok ships it, and what these tests need beside."""
    shipped = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(KWOK.folder.glob("*.yaml"))]
    (completes,) = (each for each in shipped if each["metadata"]["name"] == "pod-complete")
    completes["spec"]["selector"]["matchExpressions"].append(_NOT_BY_HAND)
    return [*shipped, yaml.safe_load(_TEST_POD_COMPLETES)]


def _answers(url: str, context: ssl.SSLContext = NO_TLS) -> bool:
    try:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return httpx.get(url, headers=headers, verify=context, trust_env=False, timeout=10).is_success
    except httpx.HTTPError:
        return False


def _write_account_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def _kubeconfig(folder: Path, port: int) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(folder / "ca.pem"),
                },
            }
        ],
        "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
