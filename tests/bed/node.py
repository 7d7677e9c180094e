"""A real node of the bed's control plane: kubelet, kube-proxy, containerd and runc, in namespaces of their own.

Nothing of this machine is changed: the node has a network, mounts, processes and a file system in memory of its own, and all of
it ends with its first process (tests/bed/node/init.sh). Its cgroups, which are this machine's, carry the number of the
process that made them and are removed after it. It reaches the control plane, and a Pod a git server of the bed, by
a relay (tests/bed/relay.py), on the same port of the node's address.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bed.build import cache_root, can_install, install, locked, node_binaries, say
from tests.bed.cluster import ROOT
from tests.bed.controlplane import NODE, NODE_ADDRESS, SERVICES, ControlPlane, die_with_parent

_INIT = Path(__file__).parent / "node" / "init.sh"
_NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "mmdebstrap": "mmdebstrap",
}
_PLUGINS, _PLUGINS_PACKAGE = Path("/usr/lib/cni"), "containernetworking-plugins"
_CGROUPS = Path("/sys/fs/cgroup")
_OURS = "gitintegration-node-"
_UNSHARE = ("unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
_TRIAL = "mount --make-rshared / && mount -t tmpfs tmpfs /run && ip link add cni0 type bridge && nft list ruleset"
_PAUSE = "localhost/pause:1"
_RELEASE = Path("/etc/os-release")
_SLIM_FOR = "bookworm"
"""The Debian whose Python the slim image is made of."""
_START = 120.0


def why_not() -> str:
    """Why there can be no node here, in a line; empty where there can. What a Debian-like machine lacks, root installs."""
    if sys.platform != "linux" or os.geteuid():
        return "it takes root on Linux"
    if not _RELEASE.exists() or f"VERSION_CODENAME={_SLIM_FOR}\n" not in _RELEASE.read_text():
        return f"its image is made of packages of Debian's {_SLIM_FOR}"
    missing = _missing()
    if missing and can_install():
        install(*missing)
        missing = _missing()
    if missing:
        return f"install {' '.join(missing)}"
    tried = subprocess.run([*_UNSHARE, "sh", "-ec", _TRIAL], capture_output=True, text=True, env=_environment())
    if tried.returncode:
        return f"this machine gives no namespaces: {' '.join(tried.stderr.split())}"
    try:
        _memory(f"{_OURS}trial").mkdir(exist_ok=True)
        _remove_cgroups(f"{_OURS}trial")
    except OSError as error:
        return f"this machine gives no cgroups: {error}"
    return ""


def _missing() -> list[str]:
    path = _environment()["PATH"]
    packages = [package for program, package in _NEEDED.items() if not shutil.which(program, path=path)]
    if not (_PLUGINS / "bridge").exists():
        packages.append(_PLUGINS_PACKAGE)
    if not _builds_images():
        packages.append("buildah")
    return packages


def _builds_images() -> bool:
    """Whether image/build.sh finds what builds one: a docker that no daemon answers is none."""
    if shutil.which("podman") or shutil.which("buildah"):
        return True
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True).returncode == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


class Node:
    """Starts in the constructor, with these images, and is Ready when that returns; `stop` ends it."""

    def __init__(self, plane: ControlPlane, directory: Path, *images: Path) -> None:
        self.plane, self.directory = plane, directory
        self._group = f"{_OURS}{os.getpid()}"
        _sweep()
        self._write()
        for image in (*images, pause_image(directory)):
            (directory / "images" / image.name).symlink_to(image)
        command = [*_UNSHARE, str(_INIT), str(directory), self._group, NODE, f"{NODE_ADDRESS}/24", SERVICES]
        with (directory / "log" / "init.log").open("wb") as log:
            self._outer = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # a terminal's Ctrl-C is for us alone
                preexec_fn=die_with_parent,
            )
        self._relays: dict[int, subprocess.Popen[str]] = {}
        try:
            self.pid = self._await(self._child)
            self._relay(plane.port, str(plane.egress))
            self._await(self._is_ready)
        except BaseException:
            self.stop()
            raise

    def reach(self, url: str) -> str:
        """The URL by which a Pod reaches one of this machine's loopback."""
        host, port = urlsplit(url).hostname, urlsplit(url).port
        assert host and port
        if port not in self._relays:
            self._relay(port)
        return url.replace(host, NODE_ADDRESS)

    def _relay(self, port: int, *egress: str) -> None:
        """Starts a relay, and waits until it is ready."""
        made = subprocess.Popen(
            [sys.executable, "-m", "tests.bed.relay", str(self.pid), str(port), *egress],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self._relays[port] = made
        assert made.stdout
        if not made.stdout.readline():
            raise RuntimeError(f"no relay to the node for port {port}")

    def stop(self) -> None:
        """The kernel ends all processes of the node with the first."""
        self._outer.kill()
        self._outer.wait()
        for relay in self._relays.values():
            relay.kill()
            relay.communicate()
        _remove_cgroups(self._group)

    def processes(self, container: str) -> list[int]:
        """The processes of a container, as this machine numbers them. `container`: its id, as its Pod's status has it."""
        return [int(pid) for pid in (self.memory_cgroup(container) / "cgroup.procs").read_text().split()]

    def memory_cgroup(self, container: str) -> Path:
        """What bounds and counts the memory of a container."""
        return next(_memory(self._group).glob(f"kubepods/**/{container.rpartition('//')[2]}"))

    def logs(self) -> str:
        """The end of what each part said."""
        said = [f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in self._logs()]
        return "\n".join(said)

    def _logs(self) -> list[Path]:
        return sorted((self.directory / "log").glob("*.log"))

    def _write(self) -> None:
        """What the parts read."""
        for name in ("log", "log/pods", "cni", "images", "state"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "bin").symlink_to(node_binaries())
        url = f"https://{NODE_ADDRESS}:{self.plane.port}"
        for user in ("kubelet", "kube-proxy"):
            self.plane.write_kubeconfig(self.directory / f"{user}.kubeconfig", url, user)
        (self.directory / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (self.directory / "containerd.toml").write_text(_containerd(self.directory))
        for name, content in (
            ("cni/10-bed.conflist", _network(self.directory)),
            ("kubelet.json", _kubelet(self.directory, self._group)),
            ("kube-proxy.json", _kube_proxy(self.directory)),
        ):
            (self.directory / name).write_text(json.dumps(content))

    def _child(self) -> int:
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _is_ready(self) -> bool:
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        return self.plane.kubectl("get", "node", NODE, f"-o=jsonpath={path}", check=False) == "True"

    def _await(self, what: Any) -> Any:
        end = time.monotonic() + _START
        while not (found := what()):
            if self._outer.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the node does not start:\n{self.logs()}")
            time.sleep(0.1)
        return found


class Pods:
    """The operator's Pods on a node."""

    namespace = "gitintegration-system"

    def __init__(self, node: Node) -> None:
        self.node, self.plane = node, node.plane

    def kubectl(self, *args: str, **options: Any) -> str:
        return self.plane.kubectl("-n", self.namespace, *args, **options)

    def all(self) -> dict[str, dict[str, Any]]:
        """By name; those that are ending are not among them."""
        found = self.plane.json("-n", self.namespace, "get", "pods", "-l=app.kubernetes.io/name=gitintegration")[
            "items"
        ]
        return {one["metadata"]["name"]: one for one in found if "deletionTimestamp" not in one["metadata"]}

    def holder(self) -> str:
        """The Pod that works."""
        path = "-o=jsonpath={.spec.holderIdentity}"
        return self.kubectl("get", "lease", "gitintegration", path)

    def state(self, name: str) -> dict[str, Any]:
        """The status of a Pod's container."""
        found: dict[str, Any] = self.plane.json("-n", self.namespace, "get", "pod", name)["status"][
            "containerStatuses"
        ][0]
        return found

    def settled(self, seconds: int = 180) -> None:
        """Waits until all are there, of the newest kind, and Available."""
        self.kubectl("rollout", "status", "deployment/gitintegration", f"--timeout={seconds}s")

    def log(self) -> str:
        """What all that are there have said, one after the other."""
        return "".join(self.kubectl("logs", name, check=False) for name in self.all())


def _containerd(directory: Path) -> str:
    unused = ", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in ("aufs", "btrfs", "zfs", "devmapper"))
    return f"""\
version = 2
root = "{directory}/state/containerd"
state = "/run/containerd"
disabled_plugins = [{unused}, "io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{_PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS}"
    conf_dir = "{directory}/cni"
"""


def _network(directory: Path) -> dict[str, Any]:
    subnet = {"subnet": f"{NODE_ADDRESS.rpartition('.')[0]}.0/24", "gateway": NODE_ADDRESS}
    ipam = {"type": "host-local", "dataDir": f"{directory}/state/cni", "ranges": [[subnet]]}
    bridge = {"type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": "bed", "plugins": [bridge]}


def _kubelet(directory: Path, group: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "podLogsDir": f"{directory}/log/pods",
        "resolvConf": f"{directory}/resolv.conf",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "volumePluginDir": f"{directory}/state/volume-plugins",
        "maxPods": 30,
    }


def _kube_proxy(directory: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{directory}/kube-proxy.kubeconfig"},
        "hostnameOverride": NODE,
        "mode": "nftables",
        "clusterCIDR": f"{NODE_ADDRESS.rpartition('.')[0]}.0/24",
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _is_v2() -> bool:
    return (_CGROUPS / "cgroup.controllers").exists()


def _memory(group: str) -> Path:
    return _CGROUPS / group if _is_v2() else _CGROUPS / "memory" / group


def _remove_cgroups(group: str, seconds: float = 10) -> None:
    """The processes in them have been killed, but may not be gone yet."""
    end = time.monotonic() + seconds
    while left := [path for path in (_CGROUPS / group, *_CGROUPS.glob(f"*/{group}")) if path.is_dir()]:
        for top in left:
            for path, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(path).rmdir()
        if time.monotonic() > end:
            raise RuntimeError(f"not to be removed: {', '.join(map(str, left))}")
        time.sleep(0.05)


def _sweep() -> None:
    """Removes the cgroups of nodes whose process was killed."""
    for path in (*_CGROUPS.glob(f"{_OURS}*"), *_CGROUPS.glob(f"*/{_OURS}*")):
        if not Path(f"/proc/{path.name.removeprefix(_OURS)}").exists():
            with contextlib.suppress(RuntimeError):
                _remove_cgroups(path.name, 0)


def pause_image(directory: Path) -> Path:
    """An archive of the image that holds a Pod's namespaces: one program."""
    program = (node_binaries() / "pause").read_bytes()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _add(archive, "pause", program, 0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {
        "architecture": machine,
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    path = directory / "pause.tar"
    with tarfile.open(path, "w") as archive:
        _add(archive, "layer.tar", layer.getvalue())
        _add(archive, "config.json", json.dumps(config).encode())
        manifest = [{"Config": "config.json", "RepoTags": [_PAUSE], "Layers": ["layer.tar"]}]
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


_INGREDIENTS = (
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "NOTICE",
    "*.lock",
    "image/*",
    "manifests/image/*",
)


def operator_image() -> Path:
    """An archive of what `make image SLIM=1` makes of this checkout, made now where it is not in the cache."""
    paths = [path for pattern in (*_INGREDIENTS, "operator/**/*.py") for path in sorted(ROOT.glob(pattern))]
    digest = hashlib.sha256(b"".join(f"{p.relative_to(ROOT)}\0".encode() + p.read_bytes() for p in paths))
    path = cache_root() / f"image-{digest.hexdigest()[:16]}.tar"
    with locked(cache_root() / "image.lock"):
        if not path.exists():
            say("building the image (Debian's packages at first, minutes in all)")
            made = path.with_suffix(".new")
            command = ["make", "--silent", "image", "SLIM=1", f"OUT={made}", f"PYTHON={sys.executable}"]
            subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
            for old in cache_root().glob("image-*.tar"):
                old.unlink()
            made.rename(path)
    return path
