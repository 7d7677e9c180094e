"""helm, built from its module once and cached: it renders the chart, and installs it as its users do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.bed.build import go_tool


def helm(*args: str, kubeconfig: Path | None = None, home: Path | None = None) -> str:
    """Runs helm, whose own files lie in `home`; its output. Raises RuntimeError with what it said."""
    env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG" and not k.startswith("HELM_")}
    folder = str(home or "/nonexistent")
    env |= {"HELM_CACHE_HOME": folder, "HELM_CONFIG_HOME": folder, "HELM_DATA_HOME": folder}
    env |= {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
    done = subprocess.run([str(program()), *args], capture_output=True, text=True, env=env, timeout=300)
    if done.returncode:
        raise RuntimeError(f"helm {' '.join(args)}: {done.stderr}")
    return done.stdout


def program() -> Path:
    """The program, built now if need be."""
    return go_tool("helm", "helm.sh/helm/v4/cmd/helm")


if __name__ == "__main__":
    program()
