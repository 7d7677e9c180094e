"""Webhooks on real parts: the receiver under its own ServiceAccount, the operator, git, and a real forge with hooks of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitintegration.core.hooks import SECOND_LOOK, ring_of
from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.forge import Forge, ForgeRepo
from tests.bed.operator import HooksProcess, OperatorProcess
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
TOKEN = "the token of the hook"
FILES = {f"pipelines/{name}.yaml": manifest(name) for name in ("orders", "users")}
RECEIVED = "planasonix.com/hookReceived"


@pytest.fixture(scope="module")
def hooks(control_plane: ControlPlane, bed_directory: Path) -> Iterator[HooksProcess]:
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "hooks"))
    process = HooksProcess(control_plane, bed_directory / "hooks")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def forge(bed_directory: Path) -> Iterator[Forge]:
    made = Forge(bed_directory / "forge-hooks")
    yield made
    made.stop()


def hooked(w: World, *, token: str = TOKEN, **spec: Any) -> str:
    """An integration that polls once an hour and has a hook; the hook's path."""
    w.secret()
    w.secret("hook", token=token)
    w.integrate(webhook={"secretRef": {"name": "hook"}}, sync={"interval": "1h", **spec.pop("sync", {})}, **spec)
    w.in_sync()
    return str(eventually(lambda: w.status()["webhookPath"]))


def signature(body: bytes, token: str) -> dict[str, str]:
    return {"X-Signature": "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()}


def deliver(hooks: HooksProcess, path: str, payload: Any = None, token: str = TOKEN) -> httpx.Response:
    body = json.dumps(payload or {}).encode()
    return httpx.post(hooks.url + path, content=body, headers=signature(body, token), timeout=40, trust_env=False)


def taken(hooks: HooksProcess, path: str, payload: Any = None, token: str = TOKEN) -> httpx.Response:
    """The same, once the receiver knows of this integration and its keys."""

    def answered() -> httpx.Response | None:
        answer = deliver(hooks, path, payload, token)
        return answer if answer.status_code == 202 else None

    found: httpx.Response = eventually(answered)
    return found


def mark(w: World) -> str:
    found = w.get("gi", "gitintegration")
    assert found
    return str(found["metadata"].get("annotations", {}).get(RECEIVED, ""))


def pushed(w: World, owner: str, **more: Any) -> dict[str, str]:
    """A push to the branch; what a forge would tell of it."""
    return {
        "ref": "refs/heads/main",
        "after": w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner=owner)}, **more),
    }


def is_live(w: World, owner: str) -> bool:
    return bool(w.spec("orders")["owner"] == owner)


def looks(w: World) -> int:
    """How often the repository was asked for its refs or more."""
    return sum(f"/{w.repo.name}.git/" in path for _, path in w.server.requests)


def test_a_push_goes_live_by_its_hook(world: MakeWorld, hooks: HooksProcess) -> None:
    w = world(FILES)
    path = hooked(w)
    condition = w.condition("WebhookConfigured")
    assert (condition["status"], condition["reason"]) == ("Unknown", "NotRegistered")
    assert path in condition["message"]
    assert "'hook'" in condition["message"]
    answer = taken(hooks, path, pushed(w, "git"))
    assert answer.json() == {"data": {"event": "push", "scheme": "x-signature", "looks": 1}}
    eventually(lambda: is_live(w, "git"))
    condition = eventually(lambda: (c := w.condition("WebhookConfigured"))["status"] == "True" and c)
    assert "interval may be longer" in condition["message"]
    assert w.status()["webhook"]["lastEventAt"]
    assert w.condition("Ready")["status"] == "True"


def test_what_is_refused_is_refused_alike_and_wakes_nobody(world: MakeWorld, hooks: HooksProcess) -> None:
    w, suspended = world(FILES), world(FILES)
    path, other = hooked(w), hooked(suspended)
    taken(hooks, path, pushed(w, "git"))
    taken(hooks, other, pushed(suspended, "git"))
    eventually(lambda: is_live(w, "git") and is_live(suspended, "git"))
    suspended.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec":{"enabled":false}}')
    eventually(lambda: suspended.condition("Ready")["reason"] == "Suspended")
    eventually(lambda: deliver(hooks, other).status_code == 404)
    before, asked = (mark(w), mark(suspended)), looks(w)
    answers = [
        deliver(hooks, path, token="wrong"),
        deliver(hooks, path, token=""),
        deliver(hooks, other),
        deliver(hooks, "/hooks/" + "0" * 64),
        httpx.post(hooks.url + path, content=b"{}", timeout=40, trust_env=False),
    ]
    told = {(answer.status_code, answer.content, tuple(sorted(set(answer.headers) - {"date"}))) for answer in answers}
    assert len(told) == 1
    assert answers[0].status_code == 404
    assert (mark(w), mark(suspended)) == before
    assert looks(w) == asked
    assert suspended.condition("WebhookConfigured")["reason"] == "Suspended"


def test_a_push_to_a_branch_that_matters_to_nobody_costs_no_git_request(world: MakeWorld, hooks: HooksProcess) -> None:
    w = world(FILES)
    path = hooked(w)
    taken(hooks, path, pushed(w, "git"))
    eventually(lambda: is_live(w, "git"))
    w.sync_now()
    before, asked = mark(w), looks(w)
    sha = w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="elsewhere")}, branch="feature")
    answer = taken(hooks, path, {"ref": "refs/heads/feature", "after": sha})
    assert answer.json()["data"]["looks"] == 0
    assert mark(w) == before
    again = taken(hooks, path, {"ref": "refs/heads/main", "after": w.repo.head()})  # delivered again: known
    assert again.json()["data"]["looks"] == 1
    taken(hooks, path, pushed(w, "last"))  # and what is new is seen after all of them
    eventually(lambda: is_live(w, "last"))
    assert looks(w) - asked <= 3  # ls-refs and fetch of one look


def test_a_hook_before_its_ref_is_followed_by_one_more_look(world: MakeWorld, hooks: HooksProcess) -> None:
    """W6: the forge reads from a replica that lags."""
    w = world(FILES)
    path = hooked(w)
    taken(hooks, path, pushed(w, "git"))
    eventually(lambda: is_live(w, "git"))
    with w.server.lagging(w.repo):
        told, asked = pushed(w, "late"), looks(w)
        taken(hooks, path, told)
        eventually(lambda: looks(w) > asked)
    eventually(lambda: is_live(w, "late"))


def test_a_storm_is_at_most_two_looks(world: MakeWorld, hooks: HooksProcess) -> None:
    """W7: a thousand deliveries of pushes that never come."""
    w = world(FILES)
    path = hooked(w)
    taken(hooks, path, pushed(w, "git"))
    eventually(lambda: is_live(w, "git"))
    w.sync_now()
    asked = looks(w)
    w.sync_now()
    one = looks(w) - asked  # requests of a look that finds nothing
    before = looks(w)

    async def storm() -> list[int]:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(
            base_url=hooks.url, timeout=httpx.Timeout(60, pool=None), limits=limits, trust_env=False
        ) as client:

            async def one(n: int) -> int:
                body = json.dumps({"ref": "refs/heads/main", "after": f"{n:040x}"}).encode()
                return (await client.post(path, content=body, headers=signature(body, TOKEN))).status_code

            return await asyncio.gather(*(one(n) for n in range(1, 1001)))

    began = time.monotonic()
    codes = asyncio.run(storm())
    seconds = time.monotonic() - began
    print(f"{len(codes)} deliveries in {seconds:.1f} s, {codes.count(202)} taken")
    assert set(codes) <= {202, 429}
    eventually(lambda: looks(w) >= before + 2 * one)
    windows = 1 + int((seconds + 1) / SECOND_LOOK)
    told = pushed(w, "after the storm")
    taken(hooks, path, told)
    eventually(lambda: is_live(w, "after the storm"))
    print(f"{looks(w) - before} requests, {one} of a look")
    assert looks(w) - before <= 2 * windows * one + one + 3  # the last look fetches as well


def test_secrets_are_rotated_without_a_gap(world: MakeWorld, hooks: HooksProcess) -> None:
    w = world(FILES)
    path = hooked(w)
    taken(hooks, path, pushed(w, "first"))
    w.secret("hook", token="next token", tokenPrevious=TOKEN)
    taken(hooks, path, pushed(w, "second"), token="next token")
    assert deliver(hooks, path).status_code == 202
    w.kubectl("patch", "secret", "hook", "--type=json", "-p", '[{"op":"remove","path":"/data/tokenPrevious"}]')
    eventually(lambda: deliver(hooks, path).status_code == 404)
    assert deliver(hooks, path, pushed(w, "third"), token="next token").status_code == 202
    eventually(lambda: is_live(w, "third"))
    assert w.status()["webhookPath"] == path


def test_a_secret_without_a_token_is_told_and_ready_stays(world: MakeWorld, hooks: HooksProcess) -> None:
    w = world(FILES)
    w.secret()
    w.integrate(webhook={"secretRef": {"name": "hook"}})
    w.in_sync()
    eventually(lambda: w.condition("WebhookConfigured")["reason"] == "SecretNotFound")
    w.secret("hook", Token="x")
    condition = eventually(lambda: (c := w.condition("WebhookConfigured"))["reason"] == "InvalidSecret" and c)
    assert "patch secret hook" in condition["message"]
    assert w.condition("Ready")["status"] == "True"
    w.secret("hook", token=TOKEN)
    eventually(lambda: w.condition("WebhookConfigured")["reason"] == "NotRegistered")
    w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec":{"webhook":null}}')
    eventually(lambda: "webhookPath" not in w.status() and not w.condition("WebhookConfigured"))
    assert "webhook" not in w.status()


def test_a_receiver_that_was_killed_goes_on(
    world: MakeWorld, control_plane: ControlPlane, bed_directory: Path, hooks: HooksProcess
) -> None:
    w = world(FILES)
    path = hooked(w)
    mine = HooksProcess(control_plane, bed_directory / "killed", name=f"hooks-{uuid.uuid4().hex[:6]}")
    try:
        taken(mine, path, pushed(w, "first"))
        eventually(lambda: is_live(w, "first"))
        mine.kill()
        told = pushed(w, "second")
        mine.start()
        assert deliver(mine, path, told).status_code == 202
        eventually(lambda: is_live(w, "second"))
    finally:
        mine.stop()


def test_the_receiver_may_mark_and_nothing_else(
    world: MakeWorld, hooks: HooksProcess, control_plane: ControlPlane
) -> None:
    w = world(FILES)
    path = hooked(w)
    taken(hooks, path, pushed(w, "git"))
    receiver = control_plane.service_account_kubeconfig("gitintegration-system", "gitintegration-hooks")

    def says(*words: str, namespace: str = w.namespace) -> str:
        return control_plane.kubectl("-n", namespace, *words, check=False, kubeconfig=receiver)

    config = json.loads(receiver.read_text())
    cluster, token = config["clusters"][0]["cluster"], config["users"][0]["user"]["token"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    place = f"{cluster['server']}/apis/planasonix.com/v1alpha1/namespaces/{w.namespace}/gitintegrations/gi"

    def patched(change: Any) -> httpx.Response:
        """kubectl would read it first, which the receiver may not."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
        return httpx.patch(
            place, content=json.dumps(change), headers=headers, verify=trust, trust_env=False, timeout=30
        )

    at = "2026-11-28T01:02:03.000000Z"
    for change in (
        {"spec": {"enabled": False}},
        {"metadata": {"annotations": {"planasonix.com/requestedAt": "x"}}},
        {"metadata": {"annotations": {"planasonix.com/confirmDeletes": "x", RECEIVED: at}}},
        {"metadata": {"annotations": {RECEIVED: "anything"}}},
        {"metadata": {"annotations": {RECEIVED: None}}},
        {"metadata": {"labels": {"planasonix.com/shard": "mine"}}},
        {"metadata": {"finalizers": ["x.example.com/y"]}},
    ):
        answer = patched(change)
        assert answer.status_code == 403, change
        assert "and nothing else" in answer.text, answer.text
    assert patched({"metadata": {"annotations": {RECEIVED: at}}}).status_code == 200
    for words in (
        ("get", "secret", "hook"),
        ("get", "secrets"),
        ("patch", "gi", "gi", "--subresource=status", "--type=merge", "-p", '{"status":{"inSync":true}}'),
        ("delete", "gi", "gi"),
        ("get", "pipelines"),
    ):
        assert "Forbidden" in says(*words), words
    ring, key = ring_of(path)
    found = json.loads(says("get", "secret", ring, "-o", "json", namespace="gitintegration-system"))
    assert json.loads(base64.b64decode(found["data"][key])) == {"tokens": [TOKEN]}
    assert "Forbidden" in says("get", "secrets", namespace="gitintegration-system")
    assert "Forbidden" in says(
        "patch", "secret", ring, "--type=merge", "-p", '{"data":null}', namespace="gitintegration-system"
    )
    w.kubectl("delete", "gi", "gi")
    where = ("-n", "gitintegration-system", "get", "secret", ring, "-o", "json")
    eventually(lambda: key not in json.loads(control_plane.kubectl(*where)).get("data", {}))
    eventually(lambda: deliver(hooks, path).status_code == 404)


def held(process: HooksProcess, field: str = "VmRSS") -> int:
    """Bytes."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(rf"{field}:\s+(\d+)", text)[0]) << 10


def test_a_gigabyte_is_cut_and_not_held(hooks: HooksProcess) -> None:
    """W2: chunked, so that no length tells; and with a length."""
    deliver(hooks, "/hooks/" + "0" * 64)
    before = held(hooks)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for head in ("Transfer-Encoding: chunked", f"Content-Length: {1 << 30}"):
        with socket.create_connection(("127.0.0.1", hooks.hook_port), timeout=40) as made:
            made.sendall(f"POST /hooks/{'0' * 64} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
            sent = 0
            try:
                while sent < 1 << 30:
                    made.sendall(chunk)
                    sent += 65536
            except OSError:  # it is not taken any more
                pass
            made.settimeout(5)
            try:
                said = made.recv(4096)
            except OSError:
                said = b""
        assert sent < 1 << 30
        assert not said or b" 413 " in said
    assert held(hooks) - before < 10 << 20
    print(f"{(held(hooks, 'VmHWM') - before) >> 10} KB more at most")


def test_nothing_else_is_on_the_port_of_deliveries(hooks: HooksProcess) -> None:
    for path in ("/metrics", "/healthz", "/readyz", "/docs", "/openapi.json", "/api/git-integration", "/"):
        assert httpx.get(hooks.url + path, timeout=40, trust_env=False).status_code == 405
        assert httpx.post(hooks.url + path, timeout=40, trust_env=False).status_code == 404


def test_each_outcome_is_counted_and_nothing_secret_is_logged(world: MakeWorld, hooks: HooksProcess) -> None:
    w = world(FILES)
    path = hooked(w, token="a-token-that-nobody-logs")
    taken(hooks, path, token="a-token-that-nobody-logs")
    deliver(hooks, path, token="wrong")
    text = hooks.metrics()
    for outcome in ("woken", "wrong"):
        found = re.search(rf'gitintegration_hook_deliveries_total{{outcome="{outcome}"}} (\S+)', text)
        assert found, text
        assert float(found[1]) >= 1
    assert "a-token-that-nobody-logs" not in hooks.log() + text
    assert path not in hooks.log()


# --- a forge's own hooks ----------------------------------------------------------------------------------------------


def registered(w: World, repo: ForgeRepo, hooks: HooksProcess, **webhook: Any) -> World:
    w.secret(token=repo.forge.token)
    w.secret("hook", token=TOKEN)
    hook = {"secretRef": {"name": "hook"}, "register": True, "baseURL": hooks.url, **webhook}
    w.integrate(repositoryURL=repo.url, provider="gitea", webhook=hook, sync={"interval": "1h"})
    w.in_sync()
    eventually(lambda: w.status()["webhook"]["registered"])
    return w


def entries(repo: ForgeRepo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = repo.forge.api("GET", f"{repo.path}/hooks")
    return found


@pytest.fixture
def repo(forge: Forge) -> ForgeRepo:
    return forge.create(FILES)


def test_a_forge_delivers_what_is_pushed_to_it(world: MakeWorld, repo: ForgeRepo, hooks: HooksProcess) -> None:
    w = registered(world(), repo, hooks)
    (entry,) = entries(repo)
    status = w.status()["webhook"]
    assert (status["id"], entry["config"]["url"]) == (str(entry["id"]), hooks.url + w.status()["webhookPath"])
    assert w.condition("WebhookConfigured")["status"] == "True"
    eventually(lambda: deliver(hooks, w.status()["webhookPath"]).status_code == 202)
    repo.commit({"pipelines/orders.yaml": manifest("orders", owner="forge")})
    eventually(lambda: is_live(w, "forge"))
    assert eventually(lambda: w.status()["webhook"].get("lastDelivery"))
    w.patch("users", {"owner": "cluster"})  # our own push is delivered as well, and is nobody's edit
    eventually(lambda: repo.read("pipelines/users.yaml") == manifest("users", owner="cluster"))
    w.in_sync()
    assert w.condition("Ready")["status"] == "True"


def test_a_rotated_secret_is_given_to_the_forge(world: MakeWorld, repo: ForgeRepo, hooks: HooksProcess) -> None:
    w = registered(world(), repo, hooks)
    first = w.status()["webhook"]
    w.secret("hook", token="rotated", tokenPrevious=TOKEN)
    eventually(lambda: w.status()["webhook"]["secretVersion"] != first["secretVersion"])
    w.kubectl("patch", "secret", "hook", "--type=json", "-p", '[{"op":"remove","path":"/data/tokenPrevious"}]')
    path = w.status()["webhookPath"]
    eventually(lambda: deliver(hooks, path).status_code == 404)
    assert deliver(hooks, path, token="rotated").status_code == 202
    (entry,) = entries(repo)
    assert str(entry["id"]) == first["id"]
    repo.commit({"pipelines/orders.yaml": manifest("orders", owner="rotated")})
    eventually(lambda: is_live(w, "rotated"))


@pytest.mark.parametrize("how", ["register", "webhook", "enabled", "delete"])
def test_a_hook_goes_when_it_is_not_wanted(world: MakeWorld, repo: ForgeRepo, hooks: HooksProcess, how: str) -> None:
    w = registered(world(), repo, hooks)
    assert len(entries(repo)) == 1
    match how:
        case "register":
            w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec":{"webhook":{"register":false}}}')
            eventually(lambda: w.status()["webhook"]["registered"] is False and "id" not in w.status()["webhook"])
        case "webhook":
            w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec":{"webhook":null}}')
        case "enabled":
            w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec":{"enabled":false}}')
            eventually(lambda: w.status()["webhook"]["registered"] is False)
        case "delete":
            w.kubectl("delete", "gi", "gi", "--timeout=30s")
    eventually(lambda: entries(repo) == [])
    if how == "enabled":
        w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec":{"enabled":true}}')
        eventually(lambda: len(entries(repo)) == 1 and w.status()["webhook"]["registered"])


def test_a_token_without_the_right_is_told_what_to_enter_where(
    world: MakeWorld, repo: ForgeRepo, hooks: HooksProcess
) -> None:
    """A failing registration is a condition of its own: all else goes on."""
    repo.forge.api("PUT", f"{repo.path}/collaborators/reader", {"permission": "write"})
    w = world()
    w.secret(token=repo.forge.reader_token)
    w.secret("hook", token=TOKEN)
    hook = {"secretRef": {"name": "hook"}, "register": True, "baseURL": hooks.url}
    w.integrate(repositoryURL=repo.url, provider="gitea", webhook=hook)
    w.in_sync()
    condition = eventually(lambda: (c := w.condition("WebhookConfigured"))["status"] == "False" and c)
    assert hooks.url + w.status()["webhookPath"] in condition["message"]
    assert "'hook'" in condition["message"]
    assert w.condition("Ready")["status"] == "True"
    assert w.status()["webhook"]["registered"] is False
    w.kubectl("delete", "gi", "gi", "--timeout=30s")


def test_a_hook_that_was_removed_at_the_forge_is_entered_again(
    world: MakeWorld, repo: ForgeRepo, hooks: HooksProcess, operator: OperatorProcess
) -> None:
    w = registered(world(), repo, hooks)
    (entry,) = entries(repo)
    repo.forge.api("DELETE", f"{repo.path}/hooks/{entry['id']}")
    w.secret("hook", token="another")  # or within an hour
    eventually(lambda: len(entries(repo)) == 1)
    eventually(lambda: w.status()["webhook"]["id"] == str(entries(repo)[0]["id"]) != str(entry["id"]))
