"""How a webhook stands, whatever happens around it: Secrets, ring and forge are the test's own."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitintegration.api.base_model import HOOK_RECEIVED
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.cluster.client import NotFoundError
from gitintegration.controller.integration import Integration, first_seen
from gitintegration.controller.secrets import Secret
from gitintegration.controller.webhooks import Webhooks
from gitintegration.core.hooks import HookMark, hook_path
from gitintegration.core.status import Hook, Outcome, build_status
from gitintegration.errors import CredentialError, Forbidden, GitIntegrationError, Reason
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.hooks import Hooks
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_if_known
from gitintegration.git.remote import Basic, Remote
from gitintegration.git.url import parse_url
from gitintegration.session.connection import Connection

NOW = datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC)
NAME, UID, URL = ("data", "analytics"), "uid-1", "https://hooks.example.com"
SECRET = {"secretRef": {"name": "hook"}}
REGISTER = {**SECRET, "register": True, "baseURL": URL}


class Bed:
    """One integration with its Webhooks; `kept` are the keys that the receiver has, `calls` what the forge was asked."""

    def __init__(self, webhook: Any, url: str = "https://git.example.com/acme/pipes.git", **spec: Any) -> None:
        self.spec = {"repositoryURL": url, "provider": "gitea", "webhook": webhook, **spec}
        metadata = {"namespace": NAME[0], "name": NAME[1], "uid": UID, "generation": 1, "annotations": {}}
        self.entry: Integration = first_seen({"metadata": metadata, "spec": self.spec}, Path("/nowhere"))
        self.kept: dict[str, tuple[str, ...]] = {}
        self.ring_error: GitIntegrationError | None = None
        self.secret: dict[str, str] | None = {"token": "first"}
        self.version = 1
        self.calls: list[str] = []
        self.there: dict[int, Any] = {}
        self.refusal: httpx.Response | None = None
        self.webhooks = self.restarted()

    def restarted(self, base: str = "") -> Webhooks:
        hooks = Hooks(Forges(ForgeHttp(httpx.MockTransport(self.forge))))
        self.webhooks = Webhooks(self, self, hooks, lambda: NOW, base)  # type: ignore[arg-type]
        return self.webhooks

    async def put(self, path: str, tokens: tuple[str, ...]) -> None:
        if self.ring_error is not None:
            raise self.ring_error
        self.kept[path] = tokens

    async def hook_secret(self, name: Any, login: Any, spec: GitIntegrationSpec) -> Secret | None:
        if spec.webhook is None or spec.webhook.secret_ref is None:
            return None
        if self.secret is None:
            raise CredentialError(Reason.SecretNotFound, "Secret 'hook' is not there")
        return Secret("hook", "u", str(self.version), self.secret)

    async def connect(self, name: Any, login: Any, spec: GitIntegrationSpec) -> Connection:
        remote = Remote(parse_url(spec.repository_url), Basic("git", "forge-token"))
        return Connection(remote, target_if_known(spec.provider, remote, "forge-token"))

    def forge(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.method)
        if self.refusal is not None:
            return self.refusal
        known = request.url.path.rpartition("/")[2]
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        match request.method:
            case "GET":
                return httpx.Response(200, json=[{"id": i, "config": made["config"]} for i, made in self.there.items()])
            case "DELETE":
                return httpx.Response(204) if self.there.pop(int(known), None) else httpx.Response(404, json={})
        at = int(known) if known.isdigit() else len(self.there) + 1
        self.there[at] = body
        return httpx.Response(200, json={"id": at, "config": body["config"]})

    def run(self, **change: Any) -> Hook:
        """One run; its status is the integration's then."""
        self.spec.update(change)
        self.entry.seen = {**self.entry.seen, "spec": dict(self.spec)}
        found = asyncio.run(self.webhooks.keep(NAME, self.entry))
        assert found
        outcome = Outcome(1, "Bidirectional", suspended=not self.spec.get("enabled", True), hook=found)
        self.entry.status = build_status(self.entry.status, outcome, NOW)
        return found

    @property
    def told(self) -> dict[str, Any]:
        return dict(self.entry.status.get("webhook", {}))


def test_its_keys_go_to_the_receiver_and_with_it() -> None:
    bed = Bed(SECRET)
    found = bed.run()
    assert (found.status, found.reason) == ("Unknown", Reason.NotRegistered)
    path = hook_path(UID)
    assert (bed.kept, bed.entry.status["webhookPath"], bed.told["path"]) == ({path: ("first",)}, path, path)
    bed.secret = {"token": "second", "tokenPrevious": "first"}
    bed.run()
    assert bed.kept[path] == ("second", "first")
    assert bed.run(enabled=False).reason is Reason.Suspended
    assert bed.kept[path] == ()
    bed.run(enabled=True)
    assert bed.kept[path] == ("second", "first")
    assert bed.run(webhook=None).told == {}
    assert bed.kept[path] == ()
    assert not {"webhook", "webhookPath"} & bed.entry.status.keys()
    assert "WebhookConfigured" not in [c["type"] for c in bed.entry.status["conditions"]]


def test_deliveries_make_it_configured_and_the_status_tells_the_last() -> None:
    bed = Bed(SECRET)
    bed.entry.seen["metadata"]["annotations"][HOOK_RECEIVED] = str(HookMark(NOW, delivery="d-1"))
    found = bed.run()
    assert (found.status, found.reason) == ("True", Reason.Succeeded)
    assert "interval may be longer" in found.message
    assert (bed.told["lastEventAt"], bed.told["lastDelivery"]) == ("2026-11-28T01:02:03Z", "d-1")


@pytest.mark.parametrize("error", [NotFoundError("secrets not found"), Forbidden("may not")])
def test_where_no_receiver_is_installed_that_is_told(error: GitIntegrationError) -> None:
    bed = Bed(SECRET)
    bed.ring_error = error
    found = bed.run()
    assert (found.status, found.reason) == ("False", Reason.NoReceiver)
    assert "kubectl apply --server-side -k manifests/hooks" in found.message
    bed.ring_error = None
    assert bed.run().reason is Reason.NotRegistered


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (None, Reason.SecretNotFound),
        ({}, Reason.InvalidSecret),
        ({"token": ""}, Reason.InvalidSecret),
        ({"token": "a\nb"}, Reason.InvalidSecret),
    ],
)
def test_what_can_sign_nothing_takes_nothing(secret: dict[str, str] | None, reason: Reason) -> None:
    bed = Bed(SECRET)
    bed.run()
    bed.secret = secret
    found = bed.run()
    assert (found.status, found.reason) == ("False", reason)
    if secret is not None:
        assert bed.kept[hook_path(UID)] == ()


def test_it_is_entered_once_and_rotated_when_the_secret_is_another() -> None:
    bed = Bed(REGISTER)
    assert bed.run().status == "True"
    ((known, made),) = bed.there.items()
    assert (bed.told["registered"], bed.told["id"]) == (True, str(known))
    assert (made["config"]["url"], made["config"]["secret"]) == (URL + hook_path(UID), "first")
    asked = len(bed.calls)
    bed.run()
    assert len(bed.calls) == asked
    bed.secret, bed.version = {"token": "second"}, 2
    bed.run()
    assert bed.there[known]["config"]["secret"] == "second"
    bed.restarted()
    bed.run()  # a new process looks whether it is still there
    assert list(bed.there) == [known]
    bed.run(webhook={**REGISTER, "baseURL": "https://elsewhere.example.com/"})
    assert bed.there[known]["config"]["url"] == "https://elsewhere.example.com" + hook_path(UID)


@pytest.mark.parametrize("change", [{"webhook": SECRET}, {"webhook": None}, {"enabled": False}], ids=str)
def test_it_is_removed_when_it_is_not_wanted(change: dict[str, Any]) -> None:
    bed = Bed(REGISTER)
    bed.run()
    bed.run(**change)
    assert not bed.there
    assert not bed.told.get("registered")
    assert not {"id", "secretVersion"} & bed.told.keys()


def test_what_the_forge_does_not_let_go_of_is_told_and_tried_again() -> None:
    bed = Bed(REGISTER)
    bed.run()
    bed.refusal = httpx.Response(403, json={"message": "no"})
    found = bed.run(webhook=None)
    assert "stays at git.example.com" in found.message
    assert bed.told["id"] == "1"
    bed.refusal = None
    assert bed.run().told == {}
    assert not bed.there


def test_a_refusal_is_told_with_what_to_enter_and_not_repeated_at_once() -> None:
    bed = Bed(REGISTER)
    bed.refusal = httpx.Response(403, json={"message": "Resource not accessible by integration"})
    found = bed.run()
    assert (found.status, found.reason) == ("False", Reason.PermissionDenied)
    for words in ("Resource not accessible", URL + hook_path(UID), "'hook'", "push"):
        assert words in found.message
    assert "first" not in found.message
    asked = len(bed.calls)
    assert bed.run().message == found.message
    assert len(bed.calls) == asked
    bed.refusal = None
    bed.version = 2  # what changed is tried at once
    assert bed.run().status == "True"


def test_azure_is_entered_by_hand() -> None:
    bed = Bed(REGISTER, "https://dev.azure.com/acme/data/_git/pipes", provider="azuredevops")
    found = bed.run()
    assert (found.status, found.reason) == ("False", Reason.NotRegistered)
    assert "service hooks" in found.message
    assert not bed.calls


@pytest.mark.parametrize(
    ("url", "provider", "webhook", "status"),
    [
        ("https://git.example.com/scm/data/pipes.git", "generic", REGISTER, "False"),
        ("https://git.example.com/bitbucket/scm/data/pipes.git", "generic", SECRET, "Unknown"),
        ("ssh://git@git.example.com:7999/data/pipes.git", "generic", SECRET, "Unknown"),
        ("https://git.example.com/data/pipes.git", "bitbucket", REGISTER, "False"),
    ],
)
def test_bitbucket_data_center_is_entered_by_hand_with_its_own_names(
    url: str, provider: str, webhook: Any, status: str
) -> None:
    bed = Bed(webhook, url, provider=provider)
    found = bed.run()
    assert (found.status, found.reason) == (status, Reason.NotRegistered)
    for words in (
        "git.example.com",
        "Repository settings",
        "'hook' as Secret",
        "Push",
        "Source branch updated",
        hook_path(UID),
    ):
        assert words in found.message
    assert not bed.calls


@pytest.mark.parametrize("url", ["https://git.example.com/scm/pipes.git", "https://git.example.com/data/pipes.git"])
def test_any_other_server_is_told_the_signature(url: str) -> None:
    assert "X-Signature" in Bed(SECRET, url, provider="generic").run().message


def test_without_an_address_nothing_is_registered() -> None:
    bed = Bed({**SECRET, "register": True})
    found = bed.run()
    assert (found.status, found.reason) == ("False", Reason.NotRegistered)
    assert "--hooks-url" in found.message
    bed.restarted(base=URL)
    assert bed.run().status == "True"
    assert bed.told["url"] == URL + hook_path(UID)


def test_its_end_takes_the_hook_along_or_says_that_it_stays() -> None:
    bed = Bed(REGISTER)
    bed.run()
    assert asyncio.run(bed.webhooks.end(NAME, bed.entry)) == ""
    assert not bed.there
    assert bed.kept[hook_path(UID)] == ()
    bed = Bed(REGISTER)
    bed.run()
    bed.refusal = httpx.Response(500)
    assert "stays at git.example.com" in asyncio.run(bed.webhooks.end(NAME, bed.entry))


def test_a_spec_that_cannot_be_read_leaves_all_as_it_stood() -> None:
    bed = Bed(REGISTER)
    bed.run()
    before = dict(bed.entry.status)
    bed.entry.seen = {**bed.entry.seen, "spec": {**bed.spec, "sync": {"interval": "soon"}}}
    assert asyncio.run(bed.webhooks.keep(NAME, bed.entry)) is None
    assert build_status(before, Outcome(1, "", hook=None), NOW)["webhook"] == before["webhook"]
