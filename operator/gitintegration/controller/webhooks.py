"""The webhook of an integration: its keys handed to the receiver, its entry at the forge, and how both stand.

What goes wrong here is a condition of its own. It never keeps a sync from being made, nor makes Ready false.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from gitintegration import messages
from gitintegration.api.base_model import HOOK_RECEIVED, read_spec
from gitintegration.api.integration import GitIntegrationSpec, Webhook
from gitintegration.cluster.client import NotFoundError
from gitintegration.cluster.hook_ring import HookRing
from gitintegration.controller.credentials import CredentialResolver
from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.controller.secrets import Secret
from gitintegration.core.hooks import HookMark, hook_path, usable
from gitintegration.core.status import NO_HOOK, Hook, timestamp
from gitintegration.errors import (
    ClusterError,
    CredentialError,
    Forbidden,
    GitIntegrationError,
    Reason,
    SpecError,
    Words,
)
from gitintegration.forge.hooks import HOOK_DIALECTS, Hooks, WantedHook, fields_of
from gitintegration.forge.target import ForgeTarget, host_of_forge, is_data_center, provider_of, target_of
from gitintegration.git.url import parse_url

_CHECKED = 3600.0
"""Seconds after which it is seen to that a registered hook is still there."""
_AGAIN = 300.0
"""Seconds until a registration that failed is tried again, where nothing changed."""
_LEAVING = 10.0
"""Seconds for removing a hook whose integration is being deleted."""
_KEYS = ("token", "tokenPrevious")


@dataclass(slots=True)
class HookMemory:
    """What a process knows of one integration's hook."""

    shared: tuple[str, ...] | None = field(default=None, repr=False)
    """The keys that the receiver was handed last."""
    checked: float = float("-inf")
    """When the forge last had it, on the monotonic clock."""
    refused: tuple[float, object, GitIntegrationError] | None = None
    """When the forge last refused it, what was asked for, and why."""


class Webhooks:
    """All integrations'. `base_url`: where forges reach the receiver, empty where each integration says it."""

    def __init__(
        self,
        ring: HookRing | None,
        logins: CredentialResolver,
        hooks: Hooks,
        now: Callable[[], datetime],
        base_url: str = "",
    ) -> None:
        self._ring, self._logins, self._hooks, self._now, self._base_url = ring, logins, hooks, now, base_url
        self._memory: dict[str, HookMemory] = {}
        self._log = structlog.get_logger("operator")

    async def keep(self, name: IntegrationKey, entry: Integration) -> Hook | None:
        """Bring it to what the spec says, and tell how it stands; None where that can't be told now."""
        if "webhook" not in (entry.seen.get("spec") or {}) and "webhookPath" not in entry.status:
            return NO_HOOK
        try:
            spec = read_spec(GitIntegrationSpec, entry.seen.get("spec"))
            return await self._keep(name, entry, spec)
        except SpecError:
            return None
        except GitIntegrationError as error:
            self._log.warning("webhook", namespace=name[0], integration=name[1], error=error.message)
            return None

    async def _keep(self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec) -> Hook | None:
        before, hook = _before(entry), spec.webhook
        if hook is None:
            left = await self._leave(name, entry, spec, before)
            return Hook({**before, "registered": True}, "False", Reason.NotRegistered, left) if left else NO_HOOK
        told = self._told(entry, hook, before)
        if not spec.enabled:
            left = await self._leave(name, entry, spec, before)
            if not left:
                told = _unregistered(told)
            return Hook(told, "Unknown", Reason.Suspended, left or "syncing is suspended, and no delivery is taken")
        try:
            secret = await self._logins.hook_secret(name, entry.login, spec)
            await self._share(entry, hook, secret)
        except (CredentialError, ClusterError) as error:
            return Hook(told, "False", error.reason, _joined(name, error.words))
        if not hook.register_hook:
            left = await self._unregister(name, entry, spec, before)
            told = told if left else _unregistered(told)
            return self._by_hand(entry, spec, told, left)
        assert secret is not None
        return await self._registered(name, entry, spec, told, secret)

    async def end(self, name: IntegrationKey, entry: Integration) -> str:
        """The integration is being deleted: its hook goes, if the forge says so soon. What stays, in words."""
        before = _before(entry)
        try:
            spec = read_spec(GitIntegrationSpec, entry.seen.get("spec"))
        except SpecError:
            spec = None
        left = ""
        if spec is not None and before.get("registered"):
            try:
                async with asyncio.timeout(_LEAVING):
                    left = await self._unregister(name, entry, spec, before)
            except TimeoutError:
                said = f"no answer within {_LEAVING:g} s"
                left = messages.HOOK_LEFT(id=before.get("id", ""), host=_host(spec), said=said).what
        entry.status = {**entry.status, "webhook": {**before, "registered": False}}
        await self.forget(entry)
        return left

    async def forget(self, entry: Integration) -> None:
        """It is no more: no delivery to it is taken."""
        self._memory.pop(entry.session.uid, None)
        if self._ring is not None and entry.status.get("webhookPath"):
            with contextlib.suppress(ClusterError):
                await self._ring.put(hook_path(entry.session.uid), ())

    # --- its keys ---------------------------------------------------------------------------------------------------

    async def _share(self, entry: Integration, hook: Webhook, secret: Secret | None) -> None:
        """Raises CredentialError where there is nothing to sign with, ClusterError where nobody takes it."""
        memory = self._memory.setdefault(entry.session.uid, HookMemory())
        tokens = tuple(t for key in _KEYS if usable(t := secret.data.get(key, ""))) if secret else ()
        if secret is not None and not usable(secret.data.get("token", "")):
            words = messages.HOOK_NO_TOKEN(secret=secret.name)
            if memory.shared:
                await self._put(entry, memory, ())
            raise CredentialError(Reason.InvalidSecret, words)
        if memory.shared != tokens:
            await self._put(entry, memory, tokens)

    async def _put(self, entry: Integration, memory: HookMemory, tokens: tuple[str, ...]) -> None:
        try:
            if self._ring is None:
                raise NotFoundError("this operator serves none")
            await self._ring.put(hook_path(entry.session.uid), tokens)
        except (NotFoundError, Forbidden) as error:
            words = messages.HOOK_NO_RECEIVER(said=error.message)
            raise ClusterError(Reason.NoReceiver, words, retry=True) from None
        memory.shared = tokens

    # --- its entry at the forge -------------------------------------------------------------------------------------

    async def _registered(
        self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec, told: dict[str, Any], secret: Secret
    ) -> Hook:
        url = told.get("url")
        if not url:
            words = messages.HOOK_NO_URL(host=_host(spec))
            return Hook(_unregistered(told), "False", Reason.NotRegistered, _joined(name, words))
        wanted = (url, secret.version, spec.repository_url)
        memory, moment = self._memory.setdefault(entry.session.uid, HookMemory()), time.monotonic()
        same = (
            told.get("registered") and told.get("secretVersion") == secret.version and _before(entry).get("url") == url
        )
        if same and moment - memory.checked < _CHECKED:
            return Hook(told, "True", Reason.Succeeded, _stands(told, "registered at the forge"))
        refused = memory.refused
        if refused is None or refused[1] != wanted or moment - refused[0] > _AGAIN:
            try:
                known = await self._enter(name, entry, spec, secret, url, str(told.get("id", "")))
            except GitIntegrationError as error:
                memory.refused = refused = (moment, wanted, error)
            else:
                memory.refused, memory.checked = None, moment
                rotated = told.get("rotatedAt") if same else None
                told |= {"registered": True, "id": known, "secretVersion": secret.version}
                told["rotatedAt"] = rotated or timestamp(self._now())
                return Hook(told, "True", Reason.Succeeded, _stands(told, "registered at the forge"))
        why = refused[2]
        words = messages.HOOK_REFUSED(said=why.message, host=_host(spec), url=url, fields=self._fields(spec))
        told = told if same else _unregistered(told)
        return Hook(told, "False", why.reason, _joined(name, words))

    async def _enter(
        self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec, secret: Secret, url: str, known: str
    ) -> str:
        if is_data_center(spec.provider, parse_url(spec.repository_url)):
            raise SpecError(Reason.NotRegistered, Words("the hooks of Bitbucket Data Center are entered by hand"))
        target = await self._target(name, entry, spec)
        secret.check_host(host_of_forge(target))
        if target.provider not in HOOK_DIALECTS:
            words = Words(
                f"{target.provider.value} lets only administrators of the whole organisation do that by its API"
            )
            raise SpecError(Reason.NotRegistered, words)
        return await self._hooks.ensure(target, WantedHook(url, secret.data["token"]), known)

    async def _target(self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec) -> ForgeTarget:
        made = await self._logins.connect(name, entry.login, spec)
        return made.forge or target_of(spec.provider, made.remote, entry.login.api_token)

    async def _leave(
        self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec, before: Mapping[str, Any]
    ) -> str:
        """No delivery is taken any more, and none is sent. What stays, in words."""
        if not before and not entry.status.get("webhookPath"):
            return ""
        await self.forget(entry)
        return await self._unregister(name, entry, spec, before)

    async def _unregister(
        self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec, before: Mapping[str, Any]
    ) -> str:
        known = before.get("id")
        if not before.get("registered") or not known:
            return ""
        try:
            await self._hooks.remove(await self._target(name, entry, spec), str(known))
        except GitIntegrationError as error:
            return messages.HOOK_LEFT(id=known, host=_host(spec), said=error.message).what
        return ""

    # --- how it stands ----------------------------------------------------------------------------------------------

    def _told(self, entry: Integration, hook: Webhook, before: Mapping[str, Any]) -> dict[str, Any]:
        path, base = hook_path(entry.session.uid), (hook.base_url or self._base_url).rstrip("/")
        told = {**before, "path": path, "url": base + path if base else None}
        if mark := HookMark.parse(entry.annotations.get(HOOK_RECEIVED, "")):
            told["lastEventAt"] = timestamp(min(mark.at, self._now()))
            told["lastDelivery"] = mark.delivery or None
        told.setdefault("registered", False)
        return {key: value for key, value in told.items() if value is not None}

    def _by_hand(self, entry: Integration, spec: GitIntegrationSpec, told: dict[str, Any], left: str) -> Hook:
        if told.get("lastEventAt"):
            return Hook(
                told, "True", Reason.Succeeded, "; ".join([_stands(told, "entered by hand"), *([left] if left else [])])
            )
        url = told.get("url") or f"that of the receiver (--hooks-url), with the path {told['path']}"
        words = messages.HOOK_TO_ENTER(host=_host(spec), url=url, fields=self._fields(spec))
        return Hook(told, "Unknown", Reason.NotRegistered, words.what)

    @staticmethod
    def _fields(spec: GitIntegrationSpec) -> str:
        hook, url = spec.webhook, parse_url(spec.repository_url)
        if hook is None or hook.secret_ref is None:
            return "with a token of the CI system in the header Authorization: Bearer"
        provider = provider_of(spec.provider, url) or spec.provider
        return fields_of(provider, hook.secret_ref.name, is_data_center(spec.provider, url))


def _before(entry: Integration) -> dict[str, Any]:
    return dict(entry.status.get("webhook") or {})


def _unregistered(told: Mapping[str, Any]) -> dict[str, Any]:
    gone = ("id", "secretVersion", "rotatedAt")
    return {**{key: value for key, value in told.items() if key not in gone}, "registered": False}


def _stands(told: Mapping[str, Any], how: str) -> str:
    if not told.get("lastEventAt"):
        return f"{how}; no delivery has come yet"
    return f"{how}, and deliveries come: spec.sync.interval may be longer, 30m say"


def _host(spec: GitIntegrationSpec) -> str:
    try:
        return parse_url(spec.repository_url).host
    except SpecError:
        return "the forge"


def _joined(name: IntegrationKey, words: Words) -> str:
    return messages.Place(*name).joined(words)
