"""docs/first-hour.md, from its first command to its last, as somebody types them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bed.cluster import ROOT, kubectl_program
from tests.bed.gitserver import WRITER, git
from tests.bed.world import World

MakeWorld = Callable[..., World]
PAGE = (ROOT / "docs" / "first-hour.md").read_text()
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_each_command_of_the_page_does_what_the_page_says(world: MakeWorld, tmp_path: Path) -> None:
    blocks = _FENCE.findall(PAGE)
    (orders,) = (text for language, text in blocks if language == "yaml")
    lines = [line for language, text in blocks if not language for line in text.splitlines()]
    w = world({"pipelines/orders.yaml": orders})
    clone = tmp_path / "clone"
    git("clone", "-q", w.repo.url(user=WRITER), str(clone), cwd=tmp_path)
    (tmp_path / "token").write_text(WRITER[1])
    answers = f"--username {WRITER[0]} --token-file {tmp_path}/token --yes"  # what a terminal would be asked for
    path = f"{Path(kubectl_program()).parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    who = {f"GIT_{role}_{key}": "ada@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "KUBECONFIG": str(w.plane.kubeconfig), "PATH": path, "COLUMNS": "140"}
    said: dict[str, str] = {}
    for number, line in enumerate(lines):
        command = re.sub(r"-n data\b", f"-n {w.namespace}", line)
        if line.startswith("gitintegration init"):
            command = re.sub(r"https://\S+", w.repo.url(), command) + f" {answers}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True, timeout=120
        )
        in_conflict = line.startswith("gitintegration sync") and not any(
            "gitintegration sync" in earlier for earlier in said
        )
        differs = line.startswith("gitintegration diff") or in_conflict
        assert done.returncode == int(differs), f"{line}\n{done.stdout}{done.stderr}"
        said[f"{number} {line}"] = done.stdout
    told = "\n".join(f"$ {line}\n{text}" for line, text in said.items())
    assert '+  schedule: "15 5 * * *"  # before the shop opens' in told
    assert "IN CONFLICT" in told
    assert "30 5 * * *" in told
    assert w.repo.read("pipelines/orders.yaml") == orders.replace("0 5 * * *", "15 5 * * *")
    assert w.spec("orders")["owner"] == "sales"
    assert w.status("analytics")["inSync"] is True
