"""A cluster as its administrator meets it: a kubeconfig and kubectl. One of the bed's own, or one that the user names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
