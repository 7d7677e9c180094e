"""A repository's webhook at its forge: entered, brought up to date, removed. The calls of each forge are pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from gitintegration.api.integration import Provider
from gitintegration.errors import Reason, RemoteError
from gitintegration.forge.dialects import Call
from gitintegration.forge.pull_requests import Forges, strange
from gitintegration.forge.target import ForgeTarget

_ABOUT = "webhooks"
_ID = re.compile(r"[0-9A-Za-z{}-]{1,64}")
_ODD = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class WantedHook:
    """Where the forge is to deliver, and the token it is to prove itself with."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FoundHook:
    """As the forge tells it."""

    id: str
    url: str


class HookDialect(Protocol):
    """The calls of one forge. `fields` says in words what to enter by hand, but for the URL; $secret is the Secret's name."""

    fields: str

    def listed(self) -> Call: ...
    def found(self, answer: Any) -> list[FoundHook]: ...
    def create(self, wanted: WantedHook) -> Call: ...
    def update(self, known: str, wanted: WantedHook) -> Call: ...
    def read(self, answer: Any) -> FoundHook: ...


class _GitHub:
    fields = "`token` of Secret '$secret' as its secret, content type application/json, events push and pull requests"

    def listed(self) -> Call:
        return Call("GET", "/hooks", {"per_page": "100"})

    def found(self, answer: Any) -> list[FoundHook]:
        return [self.read(one) for one in answer]

    def create(self, wanted: WantedHook) -> Call:
        return Call("POST", "/hooks", json={"name": "web", **self._body(wanted)})

    def update(self, known: str, wanted: WantedHook) -> Call:
        return Call("PATCH", f"/hooks/{quote(known)}", json=self._body(wanted))

    def read(self, answer: Any) -> FoundHook:
        return _sound(str(int(answer["id"])), (answer.get("config") or {}).get("url") or "")

    def _body(self, wanted: WantedHook) -> dict[str, Any]:
        config = {"url": wanted.url, "content_type": "json", "secret": wanted.token, "insecure_ssl": "0"}
        return {"active": True, "events": ["push", "pull_request"], "config": config}


class _Gitea(_GitHub):
    fields = "of type Gitea or Forgejo, POST, application/json, `token` of Secret '$secret' as its secret, events push and pull requests"

    def listed(self) -> Call:
        return Call("GET", "/hooks", {"limit": "50"})

    def create(self, wanted: WantedHook) -> Call:
        return Call("POST", "/hooks", json={"type": "gitea", **self._body(wanted)})

    def _body(self, wanted: WantedHook) -> dict[str, Any]:
        events = ["push", "create", "delete", "pull_request", "pull_request_sync"]
        config = {"url": wanted.url, "content_type": "json", "http_method": "post", "secret": wanted.token}
        return {"active": True, "events": events, "config": config}


class _GitLab:
    fields = "`token` of Secret '$secret' as its signing token or secret token, push and merge request events"

    def listed(self) -> Call:
        return Call("GET", "/hooks", {"per_page": "100"})

    def found(self, answer: Any) -> list[FoundHook]:
        return [self.read(one) for one in answer]

    def create(self, wanted: WantedHook) -> Call:
        return Call("POST", "/hooks", json=self._body(wanted))

    def update(self, known: str, wanted: WantedHook) -> Call:
        return Call("PUT", f"/hooks/{quote(known)}", json=self._body(wanted))

    def read(self, answer: Any) -> FoundHook:
        return _sound(str(int(answer["id"])), answer["url"])

    @staticmethod
    def _body(wanted: WantedHook) -> dict[str, Any]:
        events = {"push_events": True, "merge_requests_events": True, "tag_push_events": False}
        return {"url": wanted.url, "token": wanted.token, "enable_ssl_verification": True, **events}


class _Bitbucket:
    fields = "`token` of Secret '$secret' as its secret, triggers repository push, and pull request created, updated, merged and declined"

    def listed(self) -> Call:
        return Call("GET", "/hooks", {"pagelen": "100"})

    def found(self, answer: Any) -> list[FoundHook]:
        return [self.read(one) for one in answer["values"]]

    def create(self, wanted: WantedHook) -> Call:
        return Call("POST", "/hooks", json=self._body(wanted))

    def update(self, known: str, wanted: WantedHook) -> Call:
        return Call("PUT", f"/hooks/{quote(known)}", json=self._body(wanted))

    def read(self, answer: Any) -> FoundHook:
        return _sound(str(answer["uuid"]), answer["url"])

    @staticmethod
    def _body(wanted: WantedHook) -> dict[str, Any]:
        events = ["repo:push", *(f"pullrequest:{what}" for what in ("created", "updated", "fulfilled", "rejected"))]
        return {
            "description": "gitintegration",
            "url": wanted.url,
            "secret": wanted.token,
            "active": True,
            "events": events,
        }


def _sound(known: str, url: Any) -> FoundHook:
    """Raises ValueError for an id that is none."""
    if not _ID.fullmatch(known):
        raise ValueError("no id")
    return FoundHook(known, url if isinstance(url, str) else "")


HOOK_DIALECTS: Mapping[Provider, HookDialect] = {
    Provider.github: _GitHub(),
    Provider.gitlab: _GitLab(),
    Provider.gitea: _Gitea(),
    Provider.bitbucket: _Bitbucket(),
}
"""Forges that take hooks by their API; Azure DevOps wants an administrator of the whole organisation for that."""
_BY_HAND = {
    Provider.azuredevops: "as service hooks (Web Hooks) for code pushed and for pull request created, updated and merged, any user name, "
    "`token` of Secret '$secret' as password, resource details: all",
}
_DATA_CENTER = (
    "in Repository settings, Webhooks: `token` of Secret '$secret' as Secret, and the events Push of Repository (at a mirror: Mirror "
    "synchronized), Opened, Source branch updated, Modified, Merged, Declined and Deleted of Pull request"
)
_GENERIC = (
    "`token` of Secret '$secret' as its secret, JSON, for pushes; or send the header X-Signature: sha256=, followed by "
    "the HMAC-SHA256 of the body in hex"
)


def fields_of(provider: Provider, secret: str, data_center: bool = False) -> str:
    """What to enter at the forge by hand, but for the URL, in words. `data_center`: it is Bitbucket's."""
    dialect = HOOK_DIALECTS.get(provider)
    words = dialect.fields if dialect else _BY_HAND.get(provider, _GENERIC)
    return (_DATA_CENTER if data_center else words).replace("$secret", secret)


class Hooks:
    def __init__(self, forges: Forges) -> None:
        self._forges = forges

    async def ensure(self, target: ForgeTarget, wanted: WantedHook, known: str = "") -> str:
        """The id of the one hook with this URL, or with the id `known`: made, or brought up to date. Raises RemoteError."""
        dialect = HOOK_DIALECTS[target.provider]
        try:
            found = dialect.found(await self._forges.call(target, dialect.listed(), _ABOUT))
        except _ODD:
            raise strange(target) from None
        mine = next((one for one in found if one.id == known), None)
        mine = mine or next((one for one in found if one.url == wanted.url), None)
        call = dialect.update(mine.id, wanted) if mine else dialect.create(wanted)
        answer = await self._forges.call(target, call, _ABOUT)
        try:
            return mine.id if mine else dialect.read(answer).id
        except _ODD:
            raise strange(target) from None

    async def remove(self, target: ForgeTarget, known: str) -> None:
        """It is no more; one that is not there is no error. Raises RemoteError."""
        if not _ID.fullmatch(known):
            return
        try:
            await self._forges.call(target, Call("DELETE", f"/hooks/{quote(known)}"), _ABOUT)
        except RemoteError as error:
            if error.reason is not Reason.RepositoryNotFound:
                raise
