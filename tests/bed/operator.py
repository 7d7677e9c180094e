"""The operator, the gateway and the receiver of webhooks as processes, each under its own ServiceAccount with the RBAC of the manifests."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bed.cluster import Cluster
from tests.bed.controlplane import die_with_parent, free_port

_TLS = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "KUBECONFIG")

_SCRIPT = Path(sys.executable).with_name("gitintegration")
"""As the image starts it: with `python -m` its workers would begin otherwise."""


class OperatorProcess:
    """Starts in the constructor and is ready when that returns."""

    account, probe = "gitintegration", "readyz"

    def __init__(self, plane: Cluster, directory: Path, *arguments: str, name: str = "operator") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._kubeconfig = plane.service_account_kubeconfig("gitintegration-system", self.account)
        self.plane = plane
        self._directory, self._arguments = directory, arguments
        self.identity = f"{name}-{uuid.uuid4().hex[:8]}"
        self.log_path = directory / f"{name}.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [*self._entry(), sys.executable, str(_SCRIPT), *self._command(), *self._connection()]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--log-format=json", *self._arguments],
                stdout=log,
                stderr=log,
                env=self._environment(),
                preexec_fn=die_with_parent,
            )
        end = time.monotonic() + 60
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the operator does not start:\n{self.log()[-4000:]}")
            time.sleep(0.05)

    def _entry(self) -> list[str]:
        """What the command line begins with."""
        return []

    def _connection(self) -> list[str]:
        return [f"--kubeconfig={self._kubeconfig}"]

    def _environment(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if k not in _TLS}

    def _command(self) -> list[str]:
        return ["run", f"--cache-dir={self.cache}", f"--probe-port={self.port}", f"--identity={self.identity}"]

    @property
    def cache(self) -> Path:
        return self._directory / f"cache-{self.identity}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def children(self) -> list[int]:
        """The processes that it has started."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as response:
            text: str = response.read().decode()
            return text

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> float:
        """SIGTERM; the seconds it took to end."""
        started = time.monotonic()
        self._end(signal.SIGTERM)
        return time.monotonic() - started

    def _end(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            os.kill(self.pid, number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{self.probe}", timeout=1) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False


_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
_CONTAINER = f'mount -t tmpfs tmpfs /run && mkdir -p {_ACCOUNT} && cp "$0"/* {_ACCOUNT} && exec "$@"'


class ContainedOperator(OperatorProcess):
    """The operator as its container runs it: the first process of its PID namespace, a user without a name, and the
    ServiceAccount's files in place of a kubeconfig."""

    @property
    def pid(self) -> int:
        outer = super().pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])

    @property
    def _config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._kubeconfig.read_text())
        return found

    def _entry(self) -> list[str]:
        account = self._directory / "serviceaccount"
        account.mkdir(exist_ok=True)
        (account / "token").write_text(self._config["users"][0]["user"]["token"])
        authority = self._config["clusters"][0]["cluster"]["certificate-authority-data"]
        (account / "ca.crt").write_bytes(base64.b64decode(authority))
        (account / "namespace").write_text("gitintegration-system")
        mapped = ("--user", "--map-user=65532", "--map-group=65532", "--keep-caps")
        return ["unshare", *mapped, "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _CONTAINER, str(account)]

    def _connection(self) -> list[str]:
        return []

    def _environment(self) -> dict[str, str]:
        given = {k: v for k, v in super()._environment().items() if k not in ("USER", "USERNAME", "LOGNAME", "LNAME")}
        server = urlsplit(self._config["clusters"][0]["cluster"]["server"])
        host = {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port)}
        return {**given, **host, "HOME": "/"}


class GatewayProcess(OperatorProcess):
    """The REST API on `url`."""

    account, probe = "gitintegration-gateway", "healthz"

    def _command(self) -> list[str]:
        return ["serve", "--host=127.0.0.1", f"--port={self.port}"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class HooksProcess(OperatorProcess):
    """The receiver of webhooks on `url`."""

    account = "gitintegration-hooks"

    def __init__(self, plane: Cluster, directory: Path, *arguments: str, name: str = "hooks") -> None:
        self.hook_port = free_port()
        super().__init__(plane, directory, *arguments, name=name)

    def _command(self) -> list[str]:
        return ["hooks", "--host=127.0.0.1", f"--port={self.hook_port}", f"--probe-port={self.port}"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.hook_port}"
