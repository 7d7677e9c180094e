"""Somebody with the command line, who may what `gitintegration-api-user` may, and no more."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bed.tenants import Tenant
from tests.bed.world import World

SCRIPT = str(Path(sys.executable).with_name("gitintegration"))


class User:
    """A tenant, with the command line."""

    def __init__(self, w: World) -> None:
        self.w, self.tenant = w, Tenant(w, "user")
        self.tenant.bind("gitintegration-api-user", "get", "gitintegrations")

    def run(self, *arguments: str, kubeconfig: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        known = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "COLUMNS")}
        env = {**known, "KUBECONFIG": str(kubeconfig or self.tenant.kubeconfig), **more}
        return subprocess.run([SCRIPT, *arguments], env=env, capture_output=True, text=True, timeout=180)

    def status(self, *arguments: str, code: int = 0, **more: Any) -> str:
        done = self.run("status", "-n", self.w.namespace, *arguments, **more)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout or done.stderr

    def at_a_terminal(self, answers: list[tuple[str, str]], *arguments: str, **more: str) -> tuple[int, str]:
        """The exit code and what was said, where each answer is typed once the text before it is asked for."""
        leader, follower = pty.openpty()
        env = {
            **os.environ,
            "KUBECONFIG": str(self.tenant.kubeconfig),
            "COLUMNS": "140",
            "NO_COLOR": "1",
            "TERM": "xterm",
        }
        command = [SCRIPT, *arguments]
        process = subprocess.Popen(command, env={**env, **more}, stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        said, seen = "", 0
        while True:
            try:
                piece = os.read(leader, 1 << 16)
            except OSError:  # the other side is closed
                break
            said += piece.decode(errors="replace")
            if answers and answers[0][0] in said[seen:]:
                seen = len(said)
                os.write(leader, f"{answers.pop(0)[1]}\n".encode())
        os.close(leader)
        return process.wait(60), said
