"""What the image leaves out of the kubernetes client is not missed: its modules of each kind and each API, 120 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import asyncio, importlib, json, pkgutil, sys

class Absent:
    asked = []
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if parts[0] == "kubernetes" and "client" in parts[:-2] and parts[-2] in ("api", "models"):
            self.asked.append(name)
            raise ImportError(f"{name} is not in the image")

sys.meta_path.insert(0, Absent())
import gitintegration
for module in pkgutil.walk_packages(gitintegration.__path__, "gitintegration."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import gitintegration.__main__
from gitintegration.cluster.client import Cluster

async def main():
    for name in json.loads(sys.argv[1]):
        cluster = await Cluster.connect(name)
        assert await cluster._authorization() == "Bearer secret", name
        await cluster.close()
    try:
        import kubernetes.aio.client
        kubernetes.aio.client.CoreV1Api
    except ImportError:
        print("would be missed")

asyncio.run(main())
"""


def kubeconfig(folder: Path, name: str, user: dict[str, object]) -> str:
    """A kubeconfig that logs in so."""
    path = folder / name
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return str(path)


def test_nothing_of_it_is_imported_however_one_logs_in(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    credential = {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"token": "secret"},
    }
    plugin = {"apiVersion": credential["apiVersion"], "command": "echo", "args": [json.dumps(credential)]}
    users: dict[str, dict[str, object]] = {
        "token": {"token": "secret"},
        "file": {"tokenFile": str(tmp_path / "token")},
        "plugin": {"exec": {**plugin, "interactiveMode": "Never"}},
    }
    paths = [kubeconfig(tmp_path, f"{name}.config", user) for name, user in users.items()]
    command = [sys.executable, "-c", _PROGRAM, json.dumps(paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "would be missed\n"
