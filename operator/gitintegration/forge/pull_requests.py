"""One pull request from a branch to another: asked again, the open one is found and updated."""

from __future__ import annotations

from typing import Any

from gitintegration.api.integration import Provider
from gitintegration.errors import GitIntegrationError, Reason, RemoteError
from gitintegration.forge.client import Declined, ForgeHttp
from gitintegration.forge.dialects import DIALECTS, Call, Draft, PullRequest
from gitintegration.forge.target import ForgeTarget
from gitintegration.git.remote import Remote

_ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What comes of reading an answer that is not made as it should be."""


_URL = 2048
"""Characters of a pull request's page."""


class Forges:
    def __init__(self, http: ForgeHttp) -> None:
        self._http = http

    def forget(self, remote: Remote) -> None:
        """Nothing is asked for this remote any more."""
        self._http.forget(remote.tls)

    async def ensure(self, target: ForgeTarget, head: str, base: str, wanted: Draft) -> PullRequest:
        """The open pull request from `head` to `base`, made or brought up to date. Raises RemoteError."""
        dialect = DIALECTS[target.provider]
        known = await self.find(target, head, base)
        if known is None:
            try:
                answer = await self.call(target, dialect.create(head, base, wanted))
            except Declined:
                known = await self.find(target, head, base)  # somebody was quicker
                if known is None:
                    raise
            else:
                known = self._read(target, answer)
                await self._label(target, known, wanted)
                return known
        answer = await self.call(target, dialect.update(known.number, wanted))
        await self._label(target, known, wanted)
        return self._read(target, answer)

    async def _label(self, target: ForgeTarget, known: PullRequest, wanted: Draft) -> None:
        call = DIALECTS[target.provider].label(known.number, wanted.labels) if wanted.labels else None
        if call is not None:
            await self.call(target, call)

    async def find(self, target: ForgeTarget, head: str, base: str) -> PullRequest | None:
        """The open one, if there is one."""
        dialect = DIALECTS[target.provider]
        answer = await self.call(target, dialect.find(target, head, base))
        try:
            found = [_sound(one) for one in dialect.found(target, answer, head, base)]
        except _ODD:
            raise strange(target) from None
        return max(found, key=lambda one: one.number, default=None)

    async def get(self, target: ForgeTarget, number: int) -> PullRequest:
        """What became of it."""
        return self._read(target, await self.call(target, DIALECTS[target.provider].get(number)))

    async def may_push(self, target: ForgeTarget) -> bool | None:
        """Whether the login may write. None where git's own answer tells: only Gitea lets readers begin a push."""
        if target.provider is not Provider.gitea:
            return None
        answer = await self.call(target, Call("GET", ""))
        try:
            return bool(answer["permissions"]["push"])
        except _ODD:
            raise strange(target) from None

    def _read(self, target: ForgeTarget, answer: Any) -> PullRequest:
        try:
            return _sound(DIALECTS[target.provider].read(target, answer))
        except _ODD:
            raise strange(target) from None

    async def call(self, target: ForgeTarget, call: Call, about: str = "pull requests") -> Any:
        """One call for its repository; the answer's JSON. Raises RemoteError that names the Secret."""
        try:
            return await self._http.request(
                call.method,
                target.api + call.path,
                login=target.login,
                tls=target.tls,
                proxy=target.proxy,
                timeout=target.timeout,
                params=call.params or None,
                json=call.json,
                about=about,
            )
        except GitIntegrationError as error:
            error.of_secret(target.secret)
            raise


def _sound(found: PullRequest) -> PullRequest:
    """The same. Raises ValueError where a status could not hold it as it is."""
    if not 0 < found.number < 1 << 53 or len(found.url) > _URL or not found.url.isprintable():
        raise ValueError("no pull request")
    if not found.url.startswith(("https://", "http://")):
        raise ValueError("no page")
    return found


def strange(target: ForgeTarget) -> RemoteError:
    """The answer is not made as that forge makes it."""
    words = f"the API of {target.web} does not answer as {target.provider.value} does: is spec.provider right?"
    return RemoteError(Reason.InvalidSpec, words)
