"""Release of the chart without a cluster: its objects, its Secrets, and the folders of its pods."""

from __future__ import annotations

import os
import socket
import subprocess
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import trustme
import yaml

from tests.support.gate_server import tokens_text
from tests.support.helm import NAMESPACE, RELEASE, rendered
from tests.support.manifests import kinds, pods
from tests.support.pod_folder import PodFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICE: Final = f"{RELEASE}-opsverify.{NAMESPACE}.svc"
TARGET: Final = """
name = "production"
environment = "staging"
language = "en"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
[owners]
default = "me"
[services.gate]
url = "{url}"
health = "/healthz"
latency = "< 60 s"
{more}
"""


def held_port(holder: object) -> int:
    """A port that nobody else is given while `holder` lives; a server can be bound to it, as it does not listen."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        weakref.finalize(holder, os.close, os.dup(one.fileno()))
        return int(one.getsockname()[1])


class ChartRelease:
    """A release: its objects, and the Secrets that its owner made."""

    def __init__(self, root: Path, *, tls: bool) -> None:
        self.root, self.port = root, held_port(self)
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        self.secrets = {
            "opsverify-tokens": {"tokens.toml": tokens_text()},
            "opsverify-tls": {
                "tls.crt": "".join(each.bytes().decode() for each in issued.cert_chain_pems),
                "tls.key": issued.private_key_pem.bytes().decode(),
                "ca.crt": authority.cert_pem.bytes().decode(),
            },
        }
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        more = 'ca_file = "../files/ca.pem"' if tls else ""
        values: dict[str, Any] = {
            "project": {
                "targets": {"production": TARGET.format(url=self.url, more=more)}, "runbook": "# none\n",
                "files": {"ca.pem": self.secrets["opsverify-tls"]["ca.crt"]},
            },
            "serve": {"port": self.port, "tls": {"plainHttp": not tls}},
        }  # fmt: skip
        file = root / "values.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        self.made = rendered(file)

    def pod(self, kind: str, name: str) -> PodFolder:
        """The folder of one of its pods."""
        (pod,) = pods([each for each in kinds(self.made, kind) if each["metadata"]["name"] == name])
        return PodFolder(self.root / name, pod, self.made, self.secrets)

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        """The server, for as long as the block."""
        pod = self.pod("Deployment", "ov-opsverify")
        with subprocess.Popen(
            pod.command, cwd=pod.folder, env=pod.environment(), text=True, stderr=subprocess.PIPE
        ) as server:  # fmt: skip
            try:
                assert server.stderr is not None
                line = next((line for line in server.stderr if "listening on" in line), "")
                assert str(self.port) in line
                yield server
            finally:
                server.terminate()
                server.communicate(timeout=180)
