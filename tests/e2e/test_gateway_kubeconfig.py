"""The gateway reaches the API server as its kubeconfig says, for itself and for its callers, and says what went wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane, free_port
from tests.bed.operator import GatewayProcess
from tests.bed.pki import Authority
from tests.bed.proxy import LOGIN, Proxy, pump

Start = Callable[..., "Elsewhere"]


class Elsewhere(GatewayProcess):
    """A gateway whose kubeconfig has other fields in its cluster; None drops one."""

    cluster: dict[str, Any]

    def _connection(self) -> list[str]:
        config = json.loads(self._kubeconfig.read_text())
        fields = {**config["clusters"][0]["cluster"], **self.cluster}
        config["clusters"][0]["cluster"] = {k: v for k, v in fields.items() if v is not None}
        path = self._directory / f"{self.identity}.kubeconfig"
        path.write_text(json.dumps(config))
        return [f"--kubeconfig={path}"]


@pytest.fixture
def token(control_plane: ControlPlane) -> str:
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))
    control_plane.kubectl("create", "namespace", "elsewhere", check=False)
    control_plane.kubectl("-n", "elsewhere", "create", "serviceaccount", "caller", check=False)
    binding = ("rolebinding", "caller", "--clusterrole=gitintegration-api-user", "--serviceaccount=elsewhere:caller")
    control_plane.kubectl("-n", "elsewhere", "create", *binding, check=False)
    return control_plane.kubectl("-n", "elsewhere", "create", "token", "caller").strip()


@pytest.fixture
def start(control_plane: ControlPlane, bed_directory: Path, token: str) -> Iterator[Start]:
    made: list[Elsewhere] = []

    def begin(**cluster: Any) -> Elsewhere:
        kind = type("_Elsewhere", (Elsewhere,), {"cluster": {k.replace("_", "-"): v for k, v in cluster.items()}})
        made.append(kind(control_plane, bed_directory / "elsewhere", name="elsewhere"))
        return made[-1]

    yield begin
    for process in made:
        process.stop()
        process.log_path.unlink(missing_ok=True)


@pytest.fixture
def relay(control_plane: ControlPlane) -> Iterator[str]:
    """The API server at an address that its certificate does not name."""
    port = urlsplit(control_plane.url).port
    with socket.create_server(("127.0.0.9", 0)) as listener:

        def serve(client: socket.socket) -> None:
            with client, socket.create_connection(("127.0.0.1", port or 0)) as server:
                threading.Thread(target=pump, args=(server, client), daemon=True).start()
                pump(client, server)

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.9:{listener.getsockname()[1]}"


def ask(gateway: Elsewhere, token: str) -> httpx.Response:
    url = f"{gateway.url}/api/namespaces/elsewhere/git-integration"
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=40, trust_env=False)


def served(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["enabled"] is False


def failed(gateway: Elsewhere, token: str, words: str) -> None:
    answer = ask(gateway, token)
    assert answer.status_code == 503
    told = answer.json()["error"]
    assert told["code"] == "unavailable"
    assert words in told["message"], told
    assert words in gateway.log()
    assert token not in gateway.log()


def test_a_name_that_the_certificate_does_not_hold(start: Start, relay: str, token: str) -> None:
    failed(start(server=relay), token, "its certificate is not accepted: IP address mismatch")


def test_tls_server_name(start: Start, relay: str, token: str) -> None:
    served(ask(start(server=relay, tls_server_name="kubernetes.default.svc"), token))


def test_insecure_skip_tls_verify(start: Start, relay: str, token: str) -> None:
    unchecked = {"certificate_authority_data": None, "insecure_skip_tls_verify": True}
    served(ask(start(server=relay, **unchecked), token))


def test_another_authority(start: Start, token: str, tmp_path: Path) -> None:
    other = Authority(tmp_path / "pki").certificate
    gateway = start(certificate_authority_data=None, certificate_authority=str(other))
    failed(gateway, token, "its certificate is not accepted: ")


def test_nobody_listens(start: Start, token: str) -> None:
    failed(start(server=f"https://127.0.0.1:{free_port()}"), token, "connection refused")


def test_proxy_url(start: Start, token: str, control_plane: ControlPlane) -> None:
    proxy = Proxy()
    try:
        address = proxy.address.replace("http://", f"http://{LOGIN[0]}:{LOGIN[1]}@")
        served(ask(start(proxy_url=address), token))
        assert len(proxy.made) >= 2  # one for what the gateway asks, one for what its caller does
        assert set(proxy.made) == {urlsplit(control_plane.url).netloc}
        gateway = start(proxy_url=proxy.address.replace("http://", "http://somebody:hunter2@"))
        failed(gateway, token, "its proxy answers 407: it wants other credentials")
        assert "hunter2" not in gateway.log()
    finally:
        proxy.stop()
    failed(start(proxy_url=f"http://127.0.0.1:{free_port()}"), token, "its proxy can't be reached: connection refused")


def test_a_gateway_without_its_own_rights_says_so(start: Start, token: str, control_plane: ControlPlane) -> None:
    gateway = start()
    binding = json.loads(control_plane.kubectl("get", "clusterrolebinding", "gitintegration-gateway", "-o", "json"))
    control_plane.kubectl("delete", "clusterrolebinding", "gitintegration-gateway")
    try:
        failed(gateway, token, "the gateway may not create tokenreviews")
    finally:
        control_plane.apply(
            {k: v for k, v in binding.items() if k != "metadata"} | {"metadata": {"name": "gitintegration-gateway"}}
        )
