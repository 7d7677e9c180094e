"""`make testbed`: a control plane, a git server and the operator to play with, until Ctrl-C.

`make node` is the same with NODE=1: a real node, and on it the operator as Pods of its own image, installed as users do it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bed.cluster import Cluster, kubectl_program
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import WRITER, GitServer, Repo
from tests.bed.node import Node, Pods, operator_image, why_not
from tests.bed.operator import OperatorProcess
from tests.bed.world import API

NAMESPACE, INTEGRATION = "data", "analytics"
PIPELINES = Path(__file__).parent / "pipelines"


class Testbed:
    """All parts, running, with a repository of pipelines and a GitIntegration between the two."""

    __test__ = False

    def __init__(self, plane: Cluster, server: GitServer, operator: OperatorProcess | Pods, directory: Path) -> None:
        self.plane, self.server, self.operator, self.directory = plane, server, operator, directory
        files = {f"pipelines/{path.name}": path.read_text() for path in sorted(PIPELINES.iterdir())}
        files["README.md"] = "# Our pipelines\n"
        self.repo: Repo = server.create("pipelines", files=files)
        self.clone = directory / "clone"

    def reached(self, url: str) -> str:
        """The same place, as the operator reaches it."""
        return self.operator.node.reach(url) if isinstance(self.operator, Pods) else url

    @property
    def integration(self) -> str:
        return f"""\
apiVersion: {API}
kind: GitIntegration
metadata: {{name: {INTEGRATION}, namespace: {NAMESPACE}}}
spec:
  repositoryURL: {self.reached(self.repo.url())}
  credentials: {{secretRef: {{name: git-credentials}}}}
  sync: {{interval: 10s}}
"""

    def prepare(self) -> None:
        """The namespace, the Secret, and a clone as a colleague has it."""
        self.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        secret = {"username": WRITER[0], "password": WRITER[1]}
        self.plane.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git-credentials"}, "stringData": secret},
            namespace=NAMESPACE,
        )
        run("git", "clone", "--quiet", self.repo.url(user=WRITER), str(self.clone))
        for key, value in (("user.name", "Ada Author"), ("user.email", "ada@example.com"), ("color.ui", "false")):
            run("git", "-C", str(self.clone), "config", key, value)

    @property
    def _log(self) -> str:
        if isinstance(self.operator, OperatorProcess):
            return f"tail -f {self.operator.log_path}"
        system = "{kubectl} -n gitintegration-system"
        return f"{system} get pods,leases           # one works, the other stands by: delete a Pod\n  {system} logs -f deploy/gitintegration"

    def how_to(self) -> str:
        """What to type next."""
        kubectl = (shutil.which("kubectl") and "kubectl") or kubectl_program()
        return f"""
The bed runs. In another terminal:

  export KUBECONFIG={self.plane.kubeconfig}
  alias k='{kubectl} -n {NAMESPACE}'
  k get gitintegrations,pipelines
  alias g='{Path(sys.executable).with_name("gitintegration")}'
  g status -n {NAMESPACE}; g diff -n {NAMESPACE}; g --help
  k edit pipeline orders                 # becomes a commit of your line within a second or two
  git -C {self.clone} pull && git -C {self.clone} log -p -1
  cd {self.clone}                        # edit a file of pipelines/, commit and push: live within 10 s
  k describe gitintegration {INTEGRATION}
  {self._log.format(kubectl=kubectl)}

Ctrl-C here, or `kill {os.getpid()}`, stops all of it and removes {self.directory}.
"""


def run(*command: str, cwd: Path | None = None) -> str:
    """A command as a user types it; what it printed."""
    env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_PAGER": "cat"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def testbed() -> Iterator[Testbed]:
    """Starts all parts, and ends them. An existing cluster is used only where $CLUSTER names its kubeconfig."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with (
        tempfile.TemporaryDirectory(prefix="gitintegration-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        directory = Path(name)
        server = GitServer(directory / "git")
        stack.callback(server.stop)
        plane, operator = _operated(directory, stack)
        bed = Testbed(plane, server, operator, directory)
        bed.prepare()
        yield bed


def _operated(directory: Path, stack: contextlib.ExitStack) -> tuple[Cluster, OperatorProcess | Pods]:
    """A cluster with the operator in it, or beside it."""
    given = os.environ.get("CLUSTER")
    with_node = bool(os.environ.get("NODE")) and not given
    if with_node and (reason := why_not()):
        print(f"There is no node here: {reason}. The operator is started beside the control plane instead.", flush=True)
        with_node = False
    if with_node:
        plane = ControlPlane(directory / "plane", pods=True)
        stack.callback(plane.stop)
        node = Node(plane, directory / "node", operator_image())
        stack.callback(node.stop)
        plane.install()
        pods = Pods(node)
        pods.settled()
        return plane, pods
    cluster = Cluster(Path(given), directory / "plane") if given else ControlPlane(directory / "plane")
    stack.callback(cluster.stop)
    cluster.install()
    operator = OperatorProcess(cluster, directory / "operator")
    stack.callback(operator.stop)
    return cluster, operator


def wait_for_interrupt() -> None:
    """Until Ctrl-C or SIGTERM."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def main() -> None:
    with contextlib.suppress(KeyboardInterrupt), testbed() as bed:
        bed.plane.kubectl("apply", "-f", "-", stdin=bed.integration)
        print(bed.how_to(), flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
