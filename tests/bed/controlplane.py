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

from tests.bed.build import binaries, node_binaries
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


_CONTROLLERS = ("garbage-collector-controller", "namespace-controller", "clusterrole-aggregation-controller")


class Write(NamedTuple):
    """A request that changed something. `who`: what the writer calls itself, empty for people; `user`: whose rights
    it was made with."""

    began: datetime
    ended: datetime
    who: str
    resource: str
    user: str


NODE, NODE_ADDRESS, SERVICES = "node", "10.244.0.1", "10.96.0.0/16"
"""The one node that may join: its name, its address, by which its Pods reach this machine too, and those of Services."""
_USERS = {"admin": ("admin", "system:masters"), "kubelet": (f"system:node:{NODE}", "system:nodes")}
_USERS["kube-proxy"] = ("system:kube-proxy", "")


class ControlPlane(Cluster):
    """Starts in the constructor; `stop` ends it. All state is below `directory`.

    `pods`: with all controllers and a scheduler, so that a node that joins (tests/bed/node.py) is given Pods to run.
    """

    def __init__(self, directory: Path, *, controller_manager: bool = True, pods: bool = False) -> None:
        super().__init__(directory / "admin.kubeconfig", directory)
        self._bin = binaries()
        self._tokens = {name: secrets.token_hex(16) for name in _USERS}
        self._token = self._tokens["admin"]
        self.port, self._etcd, peer = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
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
                f"--secure-port={self.port}",
                f"--cert-dir={directory / 'certs'}",
                f"--token-auth-file={directory / 'tokens.csv'}",
                "--authorization-mode=Node,RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={directory / 'sa.pub'}",
                f"--service-account-signing-key-file={directory / 'sa.key'}",
                f"--service-cluster-ip-range={SERVICES}",
                *(self._for_pods() if pods else ["--disable-admission-plugins=ServiceAccount"]),
                f"--audit-policy-file={directory / 'audit.json'}",
                f"--audit-log-path={directory / 'audit.log'}",
                "--max-requests-inflight=2000",
                "--max-mutating-requests-inflight=1000",
            ],
            "kube-controller-manager": [
                f"--kubeconfig={self.kubeconfig}",
                f"--controllers={'*' if pods else ','.join(_CONTROLLERS)}",
                *(self._of_accounts() if pods else []),
                f"--flex-volume-plugin-dir={directory / 'volume-plugins'}",
                "--leader-elect=false",
                "--use-service-account-credentials=false",
                "--secure-port=0",
            ],
            "kube-scheduler": [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--secure-port=0"],
        }
        if not pods:
            del self._commands["kube-scheduler"]
        if not controller_manager:
            del self._commands["kube-controller-manager"]
        self.start("etcd")
        self.start("kube-apiserver")
        self.write_kubeconfig(self.kubeconfig, self.url)
        for name in list(self._commands)[2:]:
            self.start(name)

    def restart(self, name: str = "kube-apiserver") -> None:
        self.end(name)
        self.start(name)

    def stop(self) -> None:
        for name in reversed(list(self._processes)):
            self.end(name)

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

    def start(self, name: str) -> None:
        """Starts a part, and waits until the API server is ready."""
        folder = self._bin if (self._bin / name).exists() else node_binaries()
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(folder / name), *self._commands[name]],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
                preexec_fn=die_with_parent,
            )
        if name == "kube-apiserver":
            self._wait(self._ready, name, 90)

    def end(self, name: str) -> None:
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
        rows = [f'{self._tokens[name]},{user},{name},"{group}"\n' for name, (user, group) in _USERS.items()]
        (self.directory / "tokens.csv").write_text("".join(rows))

    def _for_pods(self) -> list[str]:
        """What the API server is told besides: it reaches the node, which is in a network of its own, by a proxy."""
        transport = {"uds": {"udsName": str(self.egress)}}
        selection = {"name": "cluster", "connection": {"proxyProtocol": "HTTPConnect", "transport": transport}}
        kind = {"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration"}
        path = self.directory / "egress.json"
        path.write_text(json.dumps({**kind, "egressSelections": [selection]}))
        return [
            f"--advertise-address={NODE_ADDRESS}",
            f"--egress-selector-config-file={path}",
            "--enable-admission-plugins=NodeRestriction",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-extend-token-expiration=false",
        ]

    def _of_accounts(self) -> list[str]:
        """Given a key, the controller manager removes tokens of accounts that are not there, and only with Pods all are made."""
        return [f"--service-account-private-key-file={self.directory / 'sa.key'}", f"--root-ca-file={self.ca}"]

    @property
    def egress(self) -> Path:
        """The socket of that proxy."""
        return self.directory / "egress.sock"

    def write_kubeconfig(self, path: Path, url: str, user: str = "admin") -> None:
        """A kubeconfig of one of the users, for where the API server is to be had at `url`."""
        cluster = {"server": url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bed", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user}}],
            "current-context": "bed",
        }
        path.write_text(json.dumps(config))
        path.chmod(0o600)
