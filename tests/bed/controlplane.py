"""A real control plane on loopback: etcd, kube-apiserver, and kube-controller-manager for garbage and role aggregation."""

from __future__ import annotations

import ctypes
import json
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.bed.build import binaries
from tests.bed.cluster import Cluster

_LIBC = ctypes.CDLL(None)


def die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [{"group": "planasonix.com"}],
        },
        {"level": "None"},
    ],
}


class Write(NamedTuple):
    """A request that changed something. `who`: what the writer calls itself, empty for people; `user`: whose rights
    it was made with."""

    began: datetime
    ended: datetime
    who: str
    resource: str
    user: str


class ControlPlane(Cluster):
    """Starts in the constructor; `stop` ends it. All state is below `directory`."""

    def __init__(self, directory: Path, *, controller_manager: bool = True) -> None:
        super().__init__(directory / "admin.kubeconfig", directory)
        self._bin = binaries()
        self._token = secrets.token_hex(16)
        self._port, self._etcd, peer = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.ca = directory / "certs" / "apiserver.crt"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._write_keys()
        (directory / "audit.json").write_text(json.dumps(_AUDIT))
        self._commands = {
            "etcd": [
                f"--data-dir={directory / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{self._etcd}",
                f"--advertise-client-urls=http://127.0.0.1:{self._etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
                "--log-level=error",
            ],
            "kube-apiserver": [
                f"--etcd-servers=http://127.0.0.1:{self._etcd}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self._port}",
                f"--cert-dir={directory / 'certs'}",
                f"--token-auth-file={directory / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={directory / 'sa.pub'}",
                f"--service-account-signing-key-file={directory / 'sa.key'}",
                "--disable-admission-plugins=ServiceAccount",
                "--service-cluster-ip-range=10.96.0.0/16",
                f"--audit-policy-file={directory / 'audit.json'}",
                f"--audit-log-path={directory / 'audit.log'}",
                "--max-requests-inflight=2000",
                "--max-mutating-requests-inflight=1000",
            ],
            "kube-controller-manager": [
                f"--kubeconfig={self.kubeconfig}",
                "--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller",
                "--leader-elect=false",
                "--use-service-account-credentials=false",
                "--secure-port=0",
            ],
        }
        if not controller_manager:
            del self._commands["kube-controller-manager"]
        self._start("etcd")
        self._start("kube-apiserver")
        self._wait(self._ready, "kube-apiserver", 90)
        self._write_kubeconfig()
        if controller_manager:
            self._start("kube-controller-manager")

    def restart(self, name: str = "kube-apiserver") -> None:
        self._end(name)
        self._start(name)
        self._wait(self._ready, name, 90)

    def stop(self) -> None:
        for name in reversed(list(self._processes)):
            self._end(name)

    def writes(self, namespace: str) -> list[Write]:
        """Who wrote to our resources in a namespace, in the order of the answers."""
        found = []
        for line in (self.directory / "audit.log").read_text().splitlines():
            event = json.loads(line)
            if event["objectRef"].get("namespace") == namespace and event["responseStatus"]["code"] < 300:
                began, ended = (
                    datetime.fromisoformat(event[k]) for k in ("requestReceivedTimestamp", "stageTimestamp")
                )
                agent = event.get("userAgent", "")
                who = agent.partition("(")[2].rstrip(")") if agent.startswith("gitintegration/") else ""
                user = (event.get("impersonatedUser") or event["user"])["username"]
                found.append(Write(began, ended, who, event["objectRef"]["resource"], user))
        return sorted(found, key=lambda write: write.ended)

    def memory(self, name: str) -> int:
        """Resident bytes of a part."""
        status = Path(f"/proc/{self._processes[name].pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024

    def _start(self, name: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(self._bin / name), *self._commands[name]],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
                preexec_fn=die_with_parent,
            )

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, ready: Callable[[], bool], name: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if self._processes[name].poll() is not None or time.monotonic() > end:
                tail = (self.directory / f"{name}.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{name} does not start:\n{tail}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        if not self.ca.exists():
            return False
        context = ssl.create_default_context(cafile=str(self.ca))
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self._token}"})
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.directory / "sa.key").write_bytes(private)
        (self.directory / "sa.pub").write_bytes(public)
        (self.directory / "tokens.csv").write_text(f'{self._token},admin,admin,"system:masters"\n')

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bed", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "admin"}}],
            "current-context": "bed",
        }
        self.kubeconfig.write_text(json.dumps(config))
        self.kubeconfig.chmod(0o600)
