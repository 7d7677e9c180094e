"""A cluster as its administrator meets it: a kubeconfig and kubectl. One of the bed's own, or one that the user names."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from kubernetes import config
from kubernetes.client import Configuration

ROOT = Path(__file__).parents[2]


_PROBE = "gitintegration-bed-probe"
"""Nobody: a user, and the Role of that user, for as long as it is looked whether the policies are in effect."""
_RBAC = "rbac.authorization.k8s.io"


def _probe(kind: str) -> dict[str, Any]:
    rule = {"apiGroups": ["planasonix.com"], "resources": ["gitintegrations", "pipelines"], "verbs": ["*"]}
    named = {"kind": kind, "metadata": {"name": _PROBE}}
    match kind:
        case "Role":
            return {**named, "apiVersion": f"{_RBAC}/v1", "rules": [rule]}
        case "RoleBinding":
            subject = {"apiGroup": _RBAC, "kind": "User", "name": _PROBE}
            ref = {"apiGroup": _RBAC, "kind": "Role", "name": _PROBE}
            return {**named, "apiVersion": f"{_RBAC}/v1", "roleRef": ref, "subjects": [subject]}
    spec = {"repositoryURL": "https://git.invalid/r", "credentials": {"secretRef": {"name": "none"}}}
    return {**named, "apiVersion": "planasonix.com/v1alpha1", "spec": spec}


def kubectl_program() -> str:
    """The kubectl of the project's own environment, else the one on PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    return str(beside) if beside.exists() else (shutil.which("kubectl") or "kubectl")


class Cluster:
    """A cluster that is there already. Kubeconfigs made for it are written to `directory`."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.kubeconfig, self.directory = kubeconfig, directory

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True, kubeconfig: Path | None = None) -> str:
        """Runs kubectl as administrator; its output, with what it said on stderr where `check` is off."""
        command = [kubectl_program(), f"--kubeconfig={kubeconfig or self.kubeconfig}", *args]
        env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=env)
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(args)}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def read(self, path: str) -> Any:
        """What the API server has at `path`, as administrator; None where it has nothing there.

        As `merge` and `put` it asks the API server itself: kubectl takes a tenth of a second of the processor for each look,
        and tests look until something is there. Raises RuntimeError, as kubectl does.
        """
        return self._request("GET", path)

    def merge(self, path: str, patch: dict[str, Any], manager: str) -> Any:
        """What `kubectl patch --type=merge` and its kind do, as this field manager."""
        headers = {"Content-Type": "application/merge-patch+json"}
        found = self._request("PATCH", f"{path}?fieldManager={manager}", patch, headers)
        if found is None:
            raise RuntimeError(f"PATCH {path}: NotFound")
        return found

    def put(self, path: str, document: dict[str, Any]) -> None:
        """Have this stand in the collection at `path`, whatever was there."""
        one = f"{path}/{document['metadata']['name']}"
        if self._request("PUT", one, document) is None:
            self._request("POST", path, document)

    def _request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error}") from None
        if answer.status_code == 404:
            return None
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.text}")
        return answer.json()

    @cached_property
    def _client(self) -> httpx.Client:
        found = Configuration()
        config.load_kube_config(str(self.kubeconfig), client_configuration=found)  # type: ignore[no-untyped-call]
        trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if found.cert_file:
            trust.load_cert_chain(found.cert_file, found.key_file)
        token = found.api_key.get("BearerToken")
        headers = {"Authorization": token} if token else {}
        client = httpx.Client(base_url=found.host, verify=trust, headers=headers, timeout=30.0, trust_env=False)
        weakref.finalize(self, client.close)
        return client

    def json(self, *args: str) -> Any:
        return json.loads(self.kubectl(*args, "-o", "json"))

    def apply(self, *documents: dict[str, Any], namespace: str | None = None) -> None:
        where = ["-n", namespace] if namespace else []
        self.kubectl(*where, "apply", "-f", "-", stdin="\n---\n".join(json.dumps(d) for d in documents))

    def install(self, overlay: str = ".") -> None:
        """What a user's `kubectl apply -k manifests/` does, or of an overlay there."""
        self.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / overlay))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        self._await_policies()

    def _await_policies(self, seconds: float = 60) -> None:
        """Until the admission policies are in effect, which is some time after they are there: until the one that is applied
        last (kubectl goes by name) refuses somebody who may write integrations and pipelines, but read no Secret."""
        where = ("-n", "gitintegration-system")
        role, tried = _probe("Role"), json.dumps(_probe("GitIntegration"))
        self.kubectl(*where, "apply", "-f", "-", stdin=json.dumps(role) + "\n---\n" + json.dumps(_probe("RoleBinding")))
        try:
            end = time.monotonic() + seconds
            said = ""
            while "'gitintegration-secrets'" not in said:
                if time.monotonic() > end:
                    raise RuntimeError(f"the admission policies are not in effect: {said}")
                command = (*where, f"--as={_PROBE}", "create", "--dry-run=server", "-f", "-")
                said = self.kubectl(*command, stdin=tried, check=False)
        finally:
            self.kubectl(*where, "delete", "role,rolebinding", _PROBE, "--ignore-not-found")

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of that ServiceAccount."""
        token = self.kubectl("-n", namespace, "create", "token", name, "--duration=24h").strip()
        config = self.json("config", "view", "--minify", "--flatten", "--raw")
        config["users"] = [{"name": "user", "user": {"token": token}}]
        config["contexts"][0]["context"]["user"] = "user"
        path = self.directory / f"{namespace}-{name}.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def stop(self) -> None:
        """A cluster that was there before stays."""
